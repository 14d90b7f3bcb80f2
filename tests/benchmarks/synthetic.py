"""Products of every stage at any size, with nothing in them but the right columns: for what depends on their number only."""

import struct
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jobs import ROOT
from resurvey import files, settings
from resurvey.networks.build import build
from resurvey.shards.writer import open_shard
from resurvey.training.plan import make_plan
from resurvey.training.weights import write_model

sys.path.insert(0, str(ROOT / "tests" / "unit"))
import spec_files

MODEL = "gasnet2_sdss_zpdf"
FIBRES = 500  # of a plate; whole plates stand in one shard, so rows of a shard are multiples of it
SENTINEL = (-1234567, -2345678, -3456789)  # plate, mjd, fibre of the file that all others are copied from


def resolved(pixels: int) -> dict:
    """The paper's settings on a grid of `pixels` between 4000 and 9000 Å; short grids need padded convolutions."""
    grid = {"start": 4000.0, "step": 5001 / pixels, "pixels": pixels}
    over = {"preset": "paper", "datasets": {"sdss_dr16": {"grid": grid}}}
    if pixels < 1800:
        over["models"] = {name: {"architecture": {"padding": "same"}} for name in ("gasnet2_sdss", MODEL)}
    return settings.load(ROOT / "config.yaml", over)


def grid_meta(pixels: int) -> dict:
    """`grid` as shards and models say it."""
    return {"start": 4000.0, "step": 5001 / pixels, "pixels": pixels, "unit": "Angstrom", "frame": "vacuum", "scale": "linear"}  # fmt: skip


def targets(rows: int, labels: list[str], per_shard: int) -> pa.Table:
    """A selection: classes in turn, 70/15/15, `per_shard` rows a shard, whole plates."""
    number = np.arange(rows)
    plate, fiber = 4000 + number // FIBRES, 1 + number % FIBRES
    label = np.array(labels)[number % len(labels)]
    coarse = np.array([name.split("_")[0] for name in labels])[number % len(labels)]
    star, z = coarse == "STAR", np.random.default_rng(1).uniform(0.05, 0.6, rows)
    return pa.table({
        "plate": pa.array(plate, pa.int32()), "mjd": pa.array(55000 + plate, pa.int32()), "fiberid": pa.array(fiber, pa.int32()),
        "run2d": ["v5_13_0"] * rows, "ra": number * 1e-3, "dec": number * 1e-4,
        "survey_class": coarse, "survey_subclass": [""] * rows, "survey_z": z, "survey_z_err": np.full(rows, 1e-4),
        "survey_zwarning": pa.array(np.zeros(rows), pa.int32()), "sn_median": pa.array(np.full(rows, 9.0), pa.float32()),
        "vdisp": pa.array(np.zeros(rows), pa.float32()), "vdisp_err": pa.array(np.zeros(rows), pa.float32()),
        "specprimary": np.ones(rows, bool), "platequality": ["good"] * rows, "targettype": ["SCIENCE"] * rows,
        "spectrum_id": [f"{p:04d}-{55000 + p}-{f:04d}" for p, f in zip(plate, fiber, strict=True)], "object_id": number,
        "label": label, "z": pa.array(z, mask=star), "split": np.array(["train"] * 14 + ["valid"] * 3 + ["test"] * 3)[number % 20],
        "shard": [f"{n // per_shard:04d}" for n in number],
    })  # fmt: skip


def write_archive(folder: Path, selected: pa.Table) -> None:
    """Spec-lite files of all targets, `targets.parquet` and `downloads.parquet`: what a shard job reads."""
    arrays = spec_files.spectrum_arrays(np.random.default_rng(2))
    content = spec_files.write_lite(folder / "one.fits", SENTINEL, 35500, arrays).read_bytes()
    places = [content.index(struct.pack(">i", value)) for value in SENTINEL]
    rows = []
    for row in selected.select(["plate", "mjd", "fiberid"]).to_pylist():
        data = bytearray(content)
        for place, value in zip(places, row.values(), strict=True):
            struct.pack_into(">i", data, place, value)
        path = f"{row['plate']}/spec-{row['plate']:04d}-{row['mjd']}-{row['fiberid']:04d}.fits"
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(data)
        rows.append({**row, "path": path, "route": "lite", "state": "verified", "reason": None})
    meta = {"origin": "mock", "release": "sdss_dr16", "dataset": "sdss_dr16"}
    files.write_table(selected, folder / "targets.parquet", meta)
    files.write_table(pa.Table.from_pylist(rows), folder / "downloads.parquet", meta)


def write_shards(folder: Path, selected: pa.Table, pixels: int, grid: dict) -> None:
    """Shards of noise, and `targets.parquet` beside them."""
    meta = {"origin": "mock", "release": "sdss_dr16", "dataset": "sdss_dr16", "grid": grid, "resample": "linear"}
    files.write_table(selected, folder / "targets.parquet", meta)
    noise = np.random.default_rng(3).normal(1, 0.3, (64, pixels)).astype(np.float32)
    names = selected["shard"].to_numpy()
    for name in np.unique(names):
        rows = selected.filter(pa.array(names == name))
        out, rejected = folder / f"{name}.parquet", folder / f"{name}.rejected.parquet"
        with open_shard(rows, pixels, meta, out, rejected) as writer:
            for number in range(rows.num_rows):
                flux, ivar = writer.slot()
                flux[:], ivar[:] = noise[number % 64], 1
                writer.accept(number, pixels, 4000.0, 9000.0)


def write_networks(folder: Path, chosen: dict, pixels: int, members: int, widths: list[int] | None) -> dict[str, str]:
    """The classifier and all ensembles of MODEL with random weights; returns {network: MODEL} as `infer` wants it."""
    entry = dict(chosen["models"][MODEL], members=members)
    if widths:
        entry["architecture"] = {**entry["architecture"], "widths": widths}
    entry["architecture"] = {**entry["architecture"], "init_std": 0.05}
    classes = chosen["datasets"]["sdss_dr16"]["classes"]
    wanted = {"model": MODEL, "entry": entry, "classes": classes, "dataset": "sdss_dr16", "seed": 1}
    homes = {}
    for name, network in entry["networks"].items():
        if network["role"] == "point":
            continue
        plan = make_plan(wanted, name, pixels, 0.6)
        about = {
            "model": MODEL, "network": name, "role": plan.role, "class": plan.label, "classes": plan.labels, "head": entry["head"],
            "architecture": plan.spec, "grid": grid_meta(pixels), "origin": "mock", "metrics": {"val_mae": 0.01},
        }  # fmt: skip
        torch.manual_seed(plan.seed)
        write_model(build(plan.spec, plan.seed), about, folder / MODEL / name)
        homes[name] = MODEL
    return homes


def write_predictions(folder: Path, selected: pa.Table, labels: list[str]) -> None:
    """Predictions of noise for every target."""
    rng = np.random.default_rng(4)
    names = selected["shard"].to_numpy()
    for name in np.unique(names):
        ids = selected["spectrum_id"].filter(pa.array(names == name))
        columns = {"spectrum_id": ids}
        probability = rng.dirichlet(np.ones(len(labels)), len(ids)).astype(np.float32)
        columns |= {f"prob_{label}": probability[:, i] for i, label in enumerate(labels)}
        for label in labels:
            if not label.startswith("STAR"):
                columns[f"z_{label}"] = rng.uniform(0, 1, len(ids)).astype(np.float32)
                columns[f"z_std_{label}"] = rng.uniform(0, 0.01, len(ids)).astype(np.float32)
        meta = {"origin": "mock", "release": "sdss_dr16", "dataset": "sdss_dr16", "model": MODEL, "engine": "torch"}
        files.write_table(pa.table(columns), folder / f"{name}.parquet", meta)
