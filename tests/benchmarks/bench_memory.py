"""Highest memory of the jobs whose input grows: a shard job, inference, the merge and a training, at 1× and 10× the rows.

    python tests/benchmarks/bench_memory.py [--rows 300] [--merge-rows 20000] [--pixels 5001]

Inputs are synthetic (right columns, meaningless spectra) and made first; each job is a process of its own. A job whose memory
does not depend on the rows has a ratio near 1; a training holds its spectra in memory, 4 bytes per pixel, by intention.
"""

import argparse
import json
import tempfile
from pathlib import Path

import synthetic
from jobs import Job, resurvey, run_job
from record import record, start

GROWTH = 1.5  # of the peak, at 10 times the rows, of a job that streams


def shard_job(folder: Path, chosen: dict, rows: int) -> Job:
    """`resurvey shard` on spec-lite files of a shard of `rows`."""
    labels = [entry["label"] for entry in chosen["datasets"]["sdss_dr16"]["classes"]]
    synthetic.write_archive(folder, synthetic.targets(rows, labels, rows))
    release = chosen["releases"]["sdss_dr16"]
    settings = json.dumps({"dataset": chosen["datasets"]["sdss_dr16"], "release": release, "origin": "mock"})
    command = resurvey(
        *("shard", "--targets", folder / "targets.parquet", "--shard", "0000", "--downloads", folder / "downloads.parquet"),
        *("--raw", folder, "--settings", settings, "--out", folder / "0000.parquet"),
        *("--rejected", folder / "0000.rejected.parquet"),
    )  # fmt: skip
    return run_job(command, folder)


def infer_job(folder: Path, chosen: dict, rows: int, pixels: int, members: int, widths: list[int] | None) -> Job:
    """`resurvey infer` of the classifier and six ensembles on a shard of `rows`."""
    labels = [entry["label"] for entry in chosen["datasets"]["sdss_dr16"]["classes"]]
    synthetic.write_shards(folder, synthetic.targets(rows, labels, rows), pixels, synthetic.grid_meta(pixels))
    homes = synthetic.write_networks(folder / "models", chosen, pixels, members, widths)
    settings = json.dumps({"networks": homes, "engine": "auto", "skip_below": 0.0})
    command = resurvey(
        *("infer", "--shard", folder / "0000.parquet", "--models", folder / "models", "--model", synthetic.MODEL),
        *("--settings", settings, "--out", folder / "predictions.parquet"),
    )
    return run_job(command, folder)


def merge_job(folder: Path, chosen: dict, rows: int, per_shard: int, pixels: int) -> Job:
    """`resurvey catalogue` of `rows` predictions in shards of `per_shard`."""
    labels = [entry["label"] for entry in chosen["datasets"]["sdss_dr16"]["classes"]]
    selected = synthetic.targets(rows, labels, per_shard)
    synthetic.write_shards(folder / "shards", selected, 8, synthetic.grid_meta(8))
    synthetic.write_predictions(folder / "predictions", selected, labels)
    synthetic.write_networks(folder / "models", chosen, pixels, 1, [1, 1, 1, 1, 1, 1])
    command = resurvey(
        *("catalogue", "--predictions", folder / "predictions", "--shards", folder / "shards"),
        *("--targets", folder / "shards" / "targets.parquet", "--count", -(-rows // per_shard)),
        *("--models", folder / "models", "--model", synthetic.MODEL, "--out", folder / "catalogue.parquet"),
        *("--fits", folder / "catalogue.fits", "--rejected", folder / "rejected.parquet"),
    )
    return run_job(command, folder)


def train_job(folder: Path, chosen: dict, rows: int, pixels: int) -> Job:
    """`resurvey train` of the paper's classifier for one epoch on `rows` spectra, training and validation."""
    classes = chosen["datasets"]["sdss_dr16"]["classes"]
    selected = synthetic.targets(rows, [entry["label"] for entry in classes], rows)
    synthetic.write_shards(folder, selected, pixels, synthetic.grid_meta(pixels))
    entry = chosen["models"]["gasnet2_sdss"]
    network = {"role": "classifier", "training": {"epochs": 1, "batch": 32}}
    settings = json.dumps({
        "model": "gasnet2_sdss", "paper": entry["paper"], "entry": {**entry, "networks": {"ResNet_P": network}},
        "classes": classes, "dataset": "sdss_dr16", "seed": 1,
    })  # fmt: skip
    command = resurvey(
        *("train", "--shards", folder, "--count", 1, "--model", "gasnet2_sdss", "--network", "ResNet_P"),
        *("--settings", settings, "--out", folder / "model"),
    )
    return run_job(command, folder)


def main() -> None:
    """Run each job at 1× and 10× the rows, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=300, help="spectra of a shard at 1×")
    parser.add_argument("--merge-rows", type=int, default=20000, help="rows of the catalogue at 1×")
    parser.add_argument("--per-shard", type=int, default=2000, help="rows of a shard that is merged")
    parser.add_argument("--pixels", type=int, default=5001)
    args = parser.parse_args()
    chosen = synthetic.resolved(args.pixels)
    small = [4, 8, 16, 32, 64, 128]
    jobs = {
        f"shard job, {args.pixels} pixels": (lambda f, n: shard_job(f, chosen, n), args.rows),
        "inference, small networks": (lambda f, n: infer_job(f, chosen, n, args.pixels, 3, small), args.rows),
        "merge to Parquet and FITS": (
            lambda f, n: merge_job(f, chosen, n, args.per_shard, args.pixels),
            args.merge_rows,
        ),
        "training of the classifier": (lambda f, n: train_job(f, chosen, n, args.pixels), args.rows),
    }
    found: list[tuple[str, int, Job]] = []
    for name, (job, rows) in jobs.items():
        for times in (1, 10):
            with tempfile.TemporaryDirectory() as folder:
                found.append((name, rows * times, job(Path(folder), rows * times)))
    with tempfile.TemporaryDirectory() as folder:
        whole = infer_job(Path(folder), chosen, 32, args.pixels, 10, None)
    name = "inference, the paper's classifier and 60 members"
    found.append((name, 32, whole))
    print("\n### Memory of a job\n\n| job | rows | peak MiB | s |\n|---|---|---|---|")
    for name, rows, job in found:
        print(f"| {name} | {rows} | {job.peak:.0f} | {job.seconds:.1f} |")
    print()
    for (name, rows, one), (_, more, ten) in zip(found[:-1:2], found[1:-1:2], strict=True):
        record(f"{name}: peak, {rows} rows", one.peak, "{:.0f} MiB")
        record(f"{name}: peak, {more} rows", ten.peak, "{:.0f} MiB")
        goal = {} if name.startswith("training") else {"at_most": GROWTH}
        record(f"{name}: peak at 10× the rows", ten.peak / one.peak, "{:.2f} ×", **goal)
    record(f"{found[-1][0]}: peak", whole.peak, "{:.0f} MiB")


if __name__ == "__main__":
    start(main)
