"""From the outputs of classifiers and redshift networks to catalogue rows: best class, its redshift and errors, flags."""

import json
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from resurvey.catalogues import flags as fl
from resurvey.catalogues.columns import FIXED, REFINED, Column, classes_of, per_class
from resurvey.catalogues.identifiers import identifiers
from resurvey.catalogues.rows import aligned, floats, nullable
from resurvey.errors import ResurveyError
from resurvey.files import META_KEY
from resurvey.inference.calibration import calibrated
from resurvey.inference.refine import SEARCHES, template_kind

Flag = fl.Flag
OURS = ("class", "class_prob", "z", "z_std", "z_err", "z_label", "flags")


def catalogue_columns(prediction_names: Iterable[str], spectra_names: Iterable[str] = ()) -> list[Column]:
    """All columns of the catalogue that a predictions table and a table of spectra with these column names give."""
    names = list(prediction_names)
    refined = [column for column in REFINED if column.name in names]
    return FIXED + identifiers(spectra_names) + refined + per_class(*classes_of(names))


def assemble(predictions: pa.Table, targets: pa.Table, calibration: dict | None, models: list[dict]) -> pa.Table:
    """Catalogue rows, one per row of `predictions`, in their order, with the `catalogue_columns`.

    predictions: `spectrum_id`, `prob_*`, `z_*`, `z_std_*`, `z_point_*`, of refined ones the columns REFINED.
    targets: `spectrum_id` and any of the catalogue's fixed columns (a shard's, say); its `z` is the label. What is absent
      becomes null. Its `resurvey` metadata says `origin` and `grid` of the spectra.
    calibration: the content of the model's calibration.json, or None: z_err is null.
    models: the model.json of the networks; read are `role`, `class`, `origin`, `grid`, `head`,
      `metrics.val_mae`, `metrics.z_min`, `metrics.z_max`.
    Raises ResurveyError when a prediction has no row in `targets` or ids repeat.
    """
    labels, redshift, _ = classes_of(predictions.column_names)
    if not labels:
        found = ", ".join(predictions.column_names)
        raise ResurveyError(f"the predictions hold no class probabilities (columns prob_*); found {found}")
    meta = json.loads((targets.schema.metadata or {}).get(META_KEY, b"{}"))
    columns = catalogue_columns(predictions.column_names, targets.column_names)
    known = [c.name for c in FIXED + identifiers(targets.column_names) if c.name not in OURS] + ["z"]
    targets = aligned(predictions, targets, known)
    data = {name: targets[name] for name in targets.column_names if name != "z"}
    if "z" in targets.column_names:
        data["z_label"] = targets["z"]
    data |= {name: predictions[name] for name in predictions.column_names}

    prob = np.column_stack([floats(predictions[f"prob_{label}"]) for label in labels])
    finite = np.isfinite(prob).all(1)
    best = np.where(finite, np.argmax(np.where(np.isfinite(prob), prob, -1), 1), -1)
    rows = np.arange(len(best))
    z, std, err = (np.full(len(best), np.nan) for _ in range(3))
    for index, label in enumerate(labels):
        here = best == index
        if label in redshift:
            z[here] = floats(predictions[f"z_{label}"])[here]
            std[here] = floats(predictions[f"z_std_{label}"])[here]
            err[here] = calibrated(std[here], label, calibration)
    data |= {
        "class": pa.array(np.array([*labels, ""], object)[best], mask=best < 0),
        "class_prob": pa.array(prob[rows, best], mask=best < 0),
        "z": nullable(z),
        "z_std": nullable(std),
        "z_err": nullable(err),
    }
    if "n_good" not in data:
        raise ResurveyError("the spectra's table lacks n_good (good pixels of the grid); make the shard again")
    data["flags"] = pa.array(_flags(data, labels, best, z, std, err, models, meta), pa.int32())
    schema = pa.schema([column.field() for column in columns])
    arrays = [data[f.name].cast(f.type) if f.name in data else pa.nulls(len(best), f.type) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def learned(models: list[dict]) -> dict[str, dict[str, float]]:
    """Per class with a redshift ensemble what its networks' model.json say of the validation split and the training range:
    `val_mae` (mean over members trained apart), `z_min`, `z_max`; keys that no network gives are absent."""
    combine = {"val_mae": np.mean, "z_min": np.min, "z_max": np.max}
    found: dict[str, dict[str, list[float]]] = {}
    for model in models:
        if model.get("role") == "redshift":
            for key in combine.keys() & model.get("metrics", {}).keys():
                found.setdefault(model["class"], {}).setdefault(key, []).append(model["metrics"][key])
    return {label: {key: float(combine[key](v)) for key, v in limits.items()} for label, limits in found.items()}


def about(models: list[dict]) -> dict:
    """What the catalogue's provenance says of such networks beside their names: the head, the validation errors by class; of a model
    with classes of its own {class: the dataset's classes}, and the fraction of training labels that were exchanged."""
    ensembles = [model for model in models if model.get("role") == "redshift" and model.get("class")]
    relabelled = next((model for model in models if model.get("groups")), {})
    return {
        **{key: relabelled[key] for key in ("groups", "contamination") if key in relabelled},
        "head": next((model["head"] for model in ensembles if model.get("head")), None),
        "val_mae": {label: limits["val_mae"] for label, limits in learned(models).items() if "val_mae" in limits},
    }


def _flags(
    data: dict,
    labels: list[str],
    best: np.ndarray,
    z: np.ndarray,
    std: np.ndarray,
    err: np.ndarray,
    models: list[dict],
    meta: dict,
):
    """The bits of each row, int32; a comparison with an unknown value (null) sets no bit."""
    bits = np.zeros(len(best), np.int32)

    def mark(flag: Flag, where: np.ndarray) -> None:
        bits[where] |= int(flag)

    def column(name: str) -> np.ndarray:
        return floats(data[name]) if name in data else np.full(len(best), np.nan)

    known = learned(models)
    binned = {m.get("class") for m in models if m.get("role") == "redshift" and m.get("head") == "bins"}
    extragalactic = np.array([not label.startswith("STAR") for label in [*labels, "STAR"]])[best]
    for index, label in enumerate(labels):
        here, limits = best == index, known.get(label, {})
        sigma = np.where(np.isfinite(err), err, std) if label in binned else std
        mark(Flag.UNSTABLE, here & (sigma >= limits.get("val_mae", np.inf)))
        mark(Flag.Z_RANGE, here & ((z < limits.get("z_min", -np.inf)) | (z > limits.get("z_max", np.inf))))
        has_network = f"z_{label}" in data
        mark(Flag.NO_NETWORK, here & extragalactic & (not has_network))
        mark(Flag.BAD_OUTPUT, here & has_network & ~np.isfinite(z))
        if "z_refined" in data and template_kind(label):
            mark(Flag.BROAD, here & (std > (1 + z) * SEARCHES[template_kind(label)].reach))
    mark(Flag.AMBIGUOUS, column("dchi2") < fl.SMALL_DCHI2)
    mark(Flag.BAD_FIT, column("chi2") > fl.LARGE_CHI2 + (fl.MISFIT * column("sn_median")) ** 2)
    mark(Flag.BAD_OUTPUT, best < 0)
    mark(Flag.LOW_PROB, column("class_prob") < fl.LOW_PROBABILITY)
    mark(Flag.LOW_SN, column("sn_median") < fl.LOW_SN_BELOW)
    grid = meta.get("grid") or next((model["grid"] for model in models if model.get("grid")), None)
    if grid:
        good = column("n_good")
        mark(Flag.MISSING_PIXELS, good < (1 - fl.MISSING_FRACTION) * grid["pixels"])
        mark(Flag.MOSTLY_MISSING, good < (1 - fl.MOSTLY_MISSING_FRACTION) * grid["pixels"])
        last = grid["start"] + grid["step"] * (grid["pixels"] - 1)
        inside = (column("coverage_min") > grid["start"] + grid["step"]) | (
            column("coverage_max") < last - grid["step"]
        )
        mark(Flag.NO_COVERAGE, inside)
    mark(Flag.SURVEY_WARNING, column("survey_zwarning") > 0)
    if "survey_class" in data:
        survey = np.array([str(name or "").strip() for name in data["survey_class"].to_pylist()], object)
        ours = np.array([*(label.split("_")[0] for label in labels), ""], object)[best]
        mark(Flag.CLASS_DIFFERS, (survey != "") & (ours != "") & (survey != ours))
    if "split" in data:
        mark(Flag.SEEN_IN_TRAINING, np.isin(data["split"].to_numpy(zero_copy_only=False), ["train", "valid"]))
    if meta.get("origin") == "real" and any(model.get("origin") == "mock" for model in models):
        mark(Flag.MOCK_TRAINED_REAL_INPUT, np.ones(len(best), bool))
    return bits
