"""Small stellar spectra whose labels are known, as arrays and as shards, and small label networks that learn them in seconds."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from resurvey import files
from resurvey.shards.schema import spectrum_type

PIXELS = 160
GRID = {"start": 4.18, "step": 6e-6, "pixels": PIXELS, "unit": "Angstrom", "frame": "vacuum", "scale": "log10"}
LABELS = ["teff", "logg", "mg_h", "al_h", "fe_h", "c_h"]
BROAD = {
    "teff": [[0, 10], [92, 100]],
    "logg": [[10, 18], [106, 112]],
    "fe_h": [[34, 40], [50, 58], [112, 118], [152, 158]],
}
WINDOWS = {"mg_h": [[20, 32], [100, 104]], "al_h": [[40, 48]], "c_h": [[60, 90], [120, 150]]}
MEAN = np.array([4700.0, 2.3, -0.1, 0.0, -0.15, 0.05])
SPREAD = np.array([300.0, 0.6, 0.3, 0.35, 0.3, 0.25])
NOISE = 0.01
ARCHITECTURE = {
    "kind": "apogee_bcnn_censored", "filters": [2, 4], "kernel": 8, "pool": 4, "dense": [48, 32], "mini": [12, 8],
    "wide": {"c_h": [2, 2]}, "connection": 2, "max_norm": 0.5, "dropout": 0.1, "init_std": 0.15, "l2": 5e-9,
    "full_spectrum_labels": ["teff", "logg", "fe_h"],
}  # fmt: skip
UNCENSORED = {
    **{key: ARCHITECTURE[key] for key in ("filters", "kernel", "pool", "dropout", "init_std", "l2")},
    "kind": "apogee_bcnn",
    "dense": [64, 32],
}
TRAINING = {
    "epochs": 4, "batch": 32, "optimizer": "adam", "lr": 0.003, "schedule": "plateau", "adam_eps": 1e-7, "precision": "float32",
    "plateau": {"factor": 0.5, "patience": 2, "min_delta": 5e-5, "min_lr": 1e-8}, "keep": "last",
}  # fmt: skip
INFERENCE = {"passes": 20, "variance": "variance_of_mean", "inv_tau": False}


def spectra(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(flux (count, 160) float32, labels (count, 6)): each label dims pixels of its own."""
    rng = np.random.default_rng(seed)
    scaled = rng.normal(size=(count, len(LABELS))).clip(-2, 2)
    flux = np.ones((count, PIXELS))
    for name, runs in {**BROAD, **WINDOWS}.items():
        for start, stop in runs:
            flux[:, start:stop] -= 0.05 * (1 + 0.7 * scaled[:, LABELS.index(name), None])
    flux += rng.normal(0, NOISE, flux.shape)
    return flux.astype(np.float32), MEAN + SPREAD * scaled


def spec(architecture: dict = ARCHITECTURE) -> dict:
    """What builds a network for these spectra."""
    whole = {**architecture, "pixels": PIXELS, "labels": LABELS, "head": {"kind": "censored"}}
    return {**whole, "windows": WINDOWS} if architecture["kind"] == "apogee_bcnn_censored" else whole


def write_windows(folder: Path) -> Path:
    """windows.csv as a release has it, with an element too many."""
    path = folder / "windows.csv"
    rows = [
        (label[:-2].capitalize(), pixel) for label, runs in WINDOWS.items() for a, b in runs for pixel in range(a, b)
    ]
    path.write_text("element,pixel\n" + "".join(f"{element},{pixel}\n" for element, pixel in [*rows, ("Cu", 3)]))
    return path


def write_shards(
    folder: Path, count: int, shards: int = 2, seed: int = 1, missing: float = 0.0, error: float = 0.02
) -> list[Path]:
    """Stars with splits 60/20/20, labels with `error` spreads of scatter and a fraction of them missing, not Teff; the shards' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    flux, true = spectra(count, seed)
    rng = np.random.default_rng([seed, 1])
    label = true + rng.normal(0, error, true.shape) * SPREAD
    lost = rng.random(true.shape) < missing
    lost[:, 0] = False
    label[lost] = np.nan
    number = np.arange(count)
    columns = {
        "spectrum_id": [f"4100-2M{i:08d}" for i in number],
        "object_id": pa.array(number * 7919 + 11, pa.int64()),
        "split": np.array(["train", "train", "train", "valid", "test_visits"])[number % 5],
        "sn_median": pa.array(np.full(count, 250.0), pa.float32()),
    }
    for place, name in enumerate(LABELS):
        columns[name] = pa.array(label[:, place].astype(np.float32), mask=lost[:, place])
        columns[f"{name}_err"] = pa.array(np.full(count, error * SPREAD[place], np.float32), mask=lost[:, place])
    table = pa.table(columns)
    meta = {"origin": "mock", "release": "toy", "dataset": "toy", "grid": GRID, "normalisation": {"method": "none"}}
    files.write_table(pa.table({name: true[:, i] for i, name in enumerate(LABELS)}), folder / "truth.parquet", meta)
    paths = []
    for shard in range(shards):
        here = number[number % shards == shard]
        spectrum = pa.FixedSizeListArray.from_arrays(pa.array(flux[here].ravel()), type=spectrum_type(PIXELS))
        part = table.take(here).append_column("flux", spectrum).append_column("ivar", spectrum)
        paths.append(folder / f"{shard:04d}.parquet")
        counts = {"expected": len(here), "read": len(here), "rejected": 0}
        files.write_table(part, paths[-1], {**meta, **counts}, row_group_size=64)
    return paths


def settings(
    windows: Path | None = None, architecture: dict = ARCHITECTURE, size: int | None = None, **training
) -> dict:
    """What the train command gets, for the toy."""
    entry = {
        "dataset": "toy",
        "training_size": size,
        "architecture": architecture,
        "training": {**TRAINING, **training},
        "networks": {"bcnn": {"role": "labels"}},
    }
    extras = {} if windows is None else {"windows": str(windows)}
    return {"model": "toy", "paper": "astronn", "entry": entry, "classes": None, "labels": LABELS, "extras": extras,
            "dataset": "toy", "seed": 7}  # fmt: skip
