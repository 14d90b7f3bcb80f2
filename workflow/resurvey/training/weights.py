"""What a finished training leaves: model.safetensors, model.json, history.csv."""

import csv
import io
import os
from pathlib import Path

from safetensors.torch import save

from resurvey import files
from resurvey.networks.build import Network


def write_history(history: list[dict], path: str | os.PathLike) -> None:
    """One row per epoch: epoch (from 0), loss, acc or mae, val_loss, val_acc or val_mae, lr, seconds."""
    text = io.StringIO()
    writer = csv.DictWriter(text, history[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    with files.atomic(path) as part:
        part.write_text(text.getvalue())


def write_model(network: Network, about: dict, folder: str | os.PathLike) -> None:
    """Weights first, then model.json with their digest: a folder with a model.json is whole."""
    folder = Path(folder)
    weights = folder / "model.safetensors"
    with files.atomic(weights) as part:
        part.write_bytes(save({name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}))
    files.write_json({**about, "weights_sha256": files.sha256(weights)}, folder / "model.json")
