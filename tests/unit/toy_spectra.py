"""Small spectra with known classes and redshifts, as arrays and as shards, and small networks that learn them in seconds."""

import numpy as np
import pyarrow as pa
from resurvey import files
from resurvey.shards.schema import spectrum_type

GRID = {"start": 4000.0, "step": 20.0, "pixels": 251, "unit": "Angstrom", "frame": "vacuum", "scale": "linear"}
CLASSES = [
    {"label": "STAR_A0", "class": "STAR", "subclass": "A0"},
    {"label": "GALAXY_nan", "class": "GALAXY", "subclass": ""},
    {"label": "QSO_nan", "class": "QSO", "subclass": ""},
]
LABELS = [entry["label"] for entry in CLASSES]
LINES = {
    "STAR_A0": (4102, 4341, 4861, 6563),
    "GALAXY_nan": (3728, 4960, 5008, 6564),
    "QSO_nan": (1549, 1909, 2798, 4861),
}
Z = {"STAR_A0": (0, 0), "GALAXY_nan": (0.05, 0.6), "QSO_nan": (0.5, 2.0)}


def spectra(label: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(flux (count, 251) float32, z (count,), NaN for stars): lines of a class on a sloping continuum, S/N 20."""
    rng = np.random.default_rng([seed, LABELS.index(label)])
    wave = GRID["start"] + GRID["step"] * np.arange(GRID["pixels"])
    z = rng.uniform(*Z[label], count)
    flux = 1 + rng.uniform(-0.5, 0.5, (count, 1)) * (wave - 6500) / 2500
    width = 90 if label.startswith("QSO") else 30
    for line in LINES[label]:
        sign = -0.6 if label.startswith("STAR") else 1.5
        flux += sign * np.exp(-0.5 * ((wave - line * (1 + z[:, None])) / width) ** 2)
    flux = flux * rng.lognormal(1, 1, (count, 1)) + rng.normal(0, 0.05, flux.shape)
    return flux.astype(np.float32), z if label != "STAR_A0" else np.full(count, np.nan)


def write_shards(folder, per_class: int, shards: int = 2, seed: int = 1, origin: str = "mock") -> list:
    """Shards of all three classes with splits 60/20/20, and `targets.parquet`; returns the shards' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    flux, z, label = [], [], []
    for name in LABELS:
        f, redshift = spectra(name, per_class, seed)
        flux.append(f)
        z.append(redshift)
        label += [name] * per_class
    flux, z = np.concatenate(flux), np.concatenate(z)
    number = np.arange(len(flux))
    split = np.array(["train", "train", "train", "valid", "test"])[number % 5]
    meta = {"origin": origin, "release": "toy", "dataset": "toy", "grid": GRID, "resample": "flux_conserving"}
    table = pa.table({
        "spectrum_id": [f"{0:04d}-{55000}-{i:04d}" for i in number],
        "object_id": pa.array(number),
        "label": label,
        "z": pa.array(z, mask=~np.isfinite(z)),
        "split": split,
        "sn_median": pa.array(np.full(len(z), 20.0), pa.float32()),
        "n_good": pa.array(np.full(len(z), GRID["pixels"]), pa.int32()),
    })  # fmt: skip
    home = pa.array([f"{shard:04d}" for shard in number % shards])
    files.write_table(table.append_column("shard", home).sort_by("shard"), folder / "targets.parquet", meta)
    paths = []
    for shard in range(shards):
        here = number[number % shards == shard]
        values = pa.array(flux[here].ravel())
        spectrum = pa.FixedSizeListArray.from_arrays(values, type=spectrum_type(GRID["pixels"]))
        paths.append(folder / f"{shard:04d}.parquet")
        counts = {"expected": len(here), "read": len(here), "rejected": 0}
        part = table.take(here).append_column("flux", spectrum).append_column("ivar", spectrum)
        files.write_table(part, paths[-1], {**meta, **counts}, row_group_size=16)
    return paths


ARCHITECTURE = {
    "kind": "resnet", "widths": [8, 16, 32], "kernel": 5, "stride": 3, "pool": 5, "padding": "same", "dropout": 0.1, "dense": 32,
    "init_std": 0.001, "bn_eps": 0.001, "bn_momentum": 0.1, "normalisation": "unit_rms",
}  # fmt: skip
TRAINING = {
    "epochs": 3, "batch": 16, "optimizer": "adamw", "lr": 0.003, "schedule": "cosine", "halve_every": 5, "adam_eps": 1e-7,
    "weight_decay": 0.01, "precision": "float32", "z_range": [0.0, 5.0], "z_scale": 10.0, "huber_delta": 0.1,
}  # fmt: skip
NETWORKS = {
    "ResNet_P": {"role": "classifier"},
    "ResNet_7": {"role": "redshift", "class": "GALAXY_nan"},
    "ResNet_11": {"role": "redshift", "class": "QSO_nan"},
    "ResNet_7_point": {"role": "point", "class": "GALAXY_nan"},
}


def settings(head: str = "bins", members: int = 2, **training) -> dict:
    """What the train command gets, for the toy."""
    entry = {
        "dataset": "toy",
        "members": members,
        "joint": True,
        "architecture": ARCHITECTURE,
        "training": {**TRAINING, **training},
        "head": head,
        "bins": {"GALAXY": 0.006, "QSO": 0.012, "soft": 1.0, "readout": 3},
        "networks": NETWORKS,
    }
    return {"model": "toy", "paper": "gasnet2", "entry": entry, "classes": CLASSES, "dataset": "toy", "seed": 7}
