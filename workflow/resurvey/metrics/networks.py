"""Trained networks as scores and figures see them: their model.json and training history, ours or the authors' (Keras CSV)."""

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from resurvey import files
from resurvey.errors import ResurveyError

KERAS_Z_SCALE = 10.0  # the authors' histories are of targets z·10; Table 4 divides loss and MAE by it


@dataclass(frozen=True)
class Network:
    """One network: its name, role (`classifier`, `redshift`, `point`), class or None, metadata, history.

    history: `epoch, loss, val_loss` and `acc, val_acc` or `mae, val_mae`; MAE in redshift, Huber losses over the targets' scale
    as in Table 4.
    """

    name: str
    role: str
    label: str | None
    meta: dict
    history: pd.DataFrame

    @property
    def best(self) -> dict[str, float]:
        """The best of each validation column, as Table 4 prints them: minimal loss and MAE, maximal accuracy."""
        result = {"val_loss": float(self.history["val_loss"].min())}
        if "val_acc" in self.history:
            result["val_acc"] = float(self.history["val_acc"].max())
        if "val_mae" in self.history:
            result["val_mae"] = float(self.history["val_mae"].min())
        return result


def read_networks(paths: list) -> list[Network]:
    """Every network below the given folders (those that hold model.json). Raises ResurveyError when there is none."""
    found = sorted({json for path in paths for json in Path(path).rglob("model.json")})
    if not found:
        raise ResurveyError(f"no trained network (model.json) below {', '.join(map(str, paths))}")
    return [_network(path) for path in found]


def _network(path: Path) -> Network:
    meta = files.read_json(path)
    history_path = path.with_name("history.csv")
    try:
        history = pd.read_csv(history_path)
    except (OSError, ValueError) as error:
        raise ResurveyError(f"{history_path}: is not a readable training history ({error})") from error
    missing = {"epoch", "loss", "val_loss"} - set(history.columns)
    if missing:
        raise ResurveyError(f"{history_path}: lacks the columns {', '.join(sorted(missing))}")
    scale = (meta.get("architecture") or {}).get("head", {}).get("z_scale", 1.0)  # the loss is of z·scale, the MAE of z
    history = history.assign(**{c: history[c] / scale for c in ("loss", "val_loss")})
    return Network(meta["network"], meta["role"], meta.get("class"), meta, history)


def from_keras(histories: dict[str, pd.DataFrame], names: dict[str, str] | None = None) -> list[Network]:
    """The authors' histories, by class (`classifier` for ResNet_P); redshift losses and MAE are divided by the target's 10."""
    networks = []
    for label, history in histories.items():
        name = (names or {}).get(label, label)
        if label == "classifier":
            networks.append(Network(name, "classifier", None, {}, history))
            continue
        columns = [c for c in history if c.removeprefix("val_") in ("loss", "mae")]
        scaled = history.assign(**{c: history[c] / KERAS_Z_SCALE for c in columns})
        networks.append(Network(name, "redshift", label, {}, scaled))
    return networks


def is_model_folder(path: str | os.PathLike) -> bool:
    """Whether a folder holds trained networks."""
    return Path(path).is_dir() and next(Path(path).rglob("model.json"), None) is not None
