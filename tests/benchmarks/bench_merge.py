"""Merge, calibration and evaluation of a catalogue of 10⁵, 10⁶ and 10⁷ rows: peak memory, seconds, bytes.

    python tests/benchmarks/bench_merge.py [--rows 100000 1000000 10000000] [--per-shard 5000] [--scratch DIR]

Inputs are synthetic: shards without pixels (the merge reads none) and predictions of noise, made shard by shard. `in order`: whole
plates in plate order, as shards of an archive are; `interleaved`: each shard has spectra of all plates, as released arrays
can have. The largest size needs 8 GB of disk.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jobs import ROOT, Job, resurvey, run_job
from record import record, start
from resurvey import files, settings

FLAT = 1.25  # peak at the largest size over that at the smallest
FIBRES = 500
TARGETS_GROUP = 20_000  # rows of a row group, as `resurvey targets` writes them
MODEL = "gasnet2_sdss_zpdf"
GRID = {"start": 4000.0, "step": 1.0, "pixels": 5001, "unit": "Angstrom", "frame": "vacuum", "scale": "linear"}
ABOUT = {"origin": "mock", "release": "sdss_dr16", "dataset": "sdss_dr16", "grid": GRID, "resample": "linear"}


def labels() -> list[str]:
    """The paper's 13 classes."""
    chosen = settings.load(ROOT / "config.yaml", {"preset": "paper"})
    return [entry["label"] for entry in chosen["datasets"]["sdss_dr16"]["classes"]]


def rows_of(numbers: np.ndarray, names: list[str]) -> pa.Table:
    """A shard's columns, pixels apart, of the spectra with these numbers; number // FIBRES is the plate."""
    plate, fibre, n = numbers // FIBRES + 1, numbers % FIBRES + 1, len(numbers)
    rng = np.random.default_rng(numbers[0])
    label, z = np.array(names)[numbers % len(names)], rng.uniform(0.05, 0.6, n)
    star = np.char.startswith(label, "STAR")
    real = {
        "ra": rng.uniform(0, 360, n),
        "dec": rng.uniform(-10, 60, n),
        "survey_z": z,
        "survey_z_err": np.full(n, 1e-4),
    }
    single = {"sn_median": 9.0, "vdisp": 150.0, "coverage_min": 4000.0, "coverage_max": 9000.0}
    whole = {
        "plate": plate,
        "mjd": 50000 + plate % 9000,
        "fiberid": fibre,
        "survey_zwarning": 0,
        "n_good": GRID["pixels"],
    }
    return pa.table({
        "spectrum_id": [f"{p:04d}-{50000 + p % 9000}-{f:04d}" for p, f in zip(plate.tolist(), fibre.tolist(), strict=True)],
        "object_id": numbers, "run2d": ["v5_13_0"] * n, "survey_class": [name.split("_")[0] for name in label],
        "survey_subclass": [""] * n, "specprimary": np.ones(n, bool), "label": label, "z": pa.array(z, mask=star),
        "split": np.array(["train"] * 14 + ["valid"] * 3 + ["test"] * 3)[rng.integers(0, 20, n)], **real,
        **{name: pa.array(np.full(n, value), pa.float32()) for name, value in single.items()},
        **{name: pa.array(np.broadcast_to(value, n), pa.int32()) for name, value in whole.items()},
    })  # fmt: skip


def predicted(table: pa.Table, names: list[str]) -> pa.Table:
    """Noise in the columns of predictions."""
    rng, n = np.random.default_rng(table["object_id"][0].as_py()), len(table)
    probability = rng.dirichlet(np.ones(len(names)), n).astype(np.float32)
    columns = {"spectrum_id": table["spectrum_id"]} | {f"prob_{c}": probability[:, i] for i, c in enumerate(names)}
    for label in names:
        if not label.startswith("STAR"):
            columns |= {
                f"z_{label}": rng.uniform(0, 1, n).astype("f4"),
                f"z_std_{label}": rng.uniform(0, 0.01, n).astype("f4"),
            }
    return pa.table(columns)


def shards(rows: int, per_shard: int, interleaved: bool) -> Iterator[np.ndarray]:
    """The numbers of the spectra of each shard, in ascending order."""
    count = -(-rows // per_shard)
    for shard in range(count):
        yield (
            np.arange(shard, rows, count)
            if interleaved
            else np.arange(shard * per_shard, min(rows, (shard + 1) * per_shard))
        )


def write_inputs(folder: Path, rows: int, per_shard: int, interleaved: bool, names: list[str]) -> int:
    """Targets, shards, predictions and model.json below `folder`; returns the number of shards."""
    writer, pending = None, []
    for number, chosen in enumerate(shards(rows, per_shard, interleaved)):
        table, name = rows_of(chosen, names), f"{number:04d}.parquet"
        files.write_table(table, folder / "shards" / name, {**ABOUT, "expected": len(table)})
        about = {**ABOUT, "model": MODEL, "engine": "torch", "weights": {"ResNet_P": "0"}}
        files.write_table(predicted(table, names), folder / "predictions" / name, about)
        selected = table.drop_columns(["n_good", "coverage_min", "coverage_max"])
        selected = selected.append_column("shard", pa.array([name[:4]] * len(table)))
        if writer is None:
            writer = pq.ParquetWriter(folder / "targets.parquet", files.with_meta(selected.schema, ABOUT))
        pending.append(selected)
        if sum(map(len, pending)) >= TARGETS_GROUP:
            writer.write_table(pa.concat_tables(pending), TARGETS_GROUP)
            pending = []
    if pending:
        writer.write_table(pa.concat_tables(pending), TARGETS_GROUP)
    writer.close()
    for label in (None, *(name for name in names if not name.startswith("STAR"))):
        about = {
            "network": f"of_{label}",
            "role": "redshift" if label else "classifier",
            "class": label,
            "head": "bins",
        }
        about |= {
            "model": MODEL,
            "grid": GRID,
            "origin": "mock",
            "metrics": {"val_mae": 0.01, "z_min": 0.0, "z_max": 1.0},
        }
        files.write_json(about, folder / "models" / MODEL / f"of_{label}" / "model.json")
    return number + 1


def jobs(folder: Path, count: int) -> Iterator[tuple[str, Job]]:
    """Calibration, merge and evaluation, one after the other."""
    common = ("--predictions", folder / "predictions", "--targets", folder / "targets.parquet", "--count", count)
    models = ("--models", folder / "models", "--model", MODEL)
    calibration, out = folder / "calibration.json", folder / "catalogue.parquet"
    yield "calibrate", run_job(resurvey("calibrate", *common, *models, "--out", calibration), folder)
    yield "catalogue", run_job(
        resurvey("catalogue", *common, *models, "--shards", folder / "shards", "--calibration", calibration, "--out", out,
                 "--fits", folder / "catalogue.fits", "--rejected", folder / "rejected.parquet"), folder)  # fmt: skip
    yield "evaluate", run_job(resurvey("evaluate", "--catalogue", out, "--out", folder / "tidy.parquet"), folder)


def main() -> None:
    """Run the jobs at each size, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--per-shard", type=int, default=5000)
    parser.add_argument("--scratch", type=Path, help="folder for the files (default: the system's)")
    parser.add_argument("--only", choices=["in order", "interleaved"])
    args = parser.parse_args()
    names = labels()
    kinds = [args.only] if args.only else ["in order", "interleaved"]
    found: dict[tuple[str, str], list[tuple[int, Job]]] = {}
    sizes = {}
    for kind in kinds:
        for rows in args.rows:
            with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
                folder = Path(scratch)
                count = write_inputs(folder, rows, args.per_shard, kind == "interleaved", names)
                for name, job in jobs(folder, count):
                    found.setdefault((kind, name), []).append((rows, job))
                    print(
                        f"{kind}, {rows} rows: {name} {job.peak:.0f} MiB, {job.seconds:.1f} s, {job.cpu:.1f} core s",
                        flush=True,
                    )
                sizes[rows] = {
                    kind: (folder / f"catalogue.{kind}").stat().st_size / rows for kind in ("parquet", "fits")
                }
    print("\n| shards | job | rows | peak MiB | s | core s |\n|---|---|---|---|---|---|")
    for (kind, name), measured in found.items():
        for rows, job in measured:
            print(f"| {kind} | {name} | {rows} | {job.peak:.0f} | {job.seconds:.1f} | {job.cpu:.1f} |")
    print()
    for (kind, name), measured in found.items():
        (_, smallest), (rows, largest) = measured[0], measured[-1]
        for size, job in measured:
            record(f"{name}, shards {kind}, {size} rows", job.peak, "{:.0f} MiB")
        record(
            f"{name}, shards {kind}: peak at {rows} rows over the smallest",
            largest.peak / smallest.peak,
            "{:.2f} ×",
            at_most=FLAT,
        )
        record(f"{name}, shards {kind}, {rows} rows: per million", largest.cpu / rows * 1e6, "{:.1f} core s")
    for kind, size in sizes[args.rows[-1]].items():
        record(f"catalogue as {kind}, per row", size, "{:.0f} bytes")


if __name__ == "__main__":
    start(main)
