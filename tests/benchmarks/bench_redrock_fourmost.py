"""redrock and our networks on the same mock spectra of 4MOST (paper §4.3.2): GF, mean absolute deviation, seconds, by class.

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python tests/benchmarks/bench_redrock_fourmost.py [--per-class 20] [--run demo_4most]

Needs redrock (`pip install -e .[bench]`), its templates (RR_TEMPLATE_DIR) and a finished run (`make demo-4most`). Both get the spectra as they
stand in the shards. redrock chooses among all its classes; as in the paper our redshifts come from the network of the true class. Where
the mock survey was made from redrock's own templates, redrock fits what it was made of.
"""

import argparse
import contextlib
import io
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_redrock import THRESHOLDS, Ours
from jobs import ROOT
from record import Unavailable, record, start
from redrock_templates import find_templates

SIGMA = 0.25  # pixels of the shards' 4 Å: 4MOST's line spread is about 0.5 Å


def chosen(shards: Path, per_class: int) -> tuple[list[dict], np.ndarray, np.ndarray, np.ndarray]:
    """(rows with label and z, wavelength, flux, ivar) of `per_class` test spectra of each class with redshift."""
    from resurvey.shards.reading import iterate, metadata

    paths = sorted(path for path in shards.glob("*.parquet") if path.stem.isdigit())
    if not paths:
        raise Unavailable(f"{shards}: holds no shards; run `make demo-4most` first")
    grid = metadata(paths)["grid"]
    rows, flux, ivar, counts = [], [], [], {}
    for path in paths:
        for batch in iterate(path):
            for number, row in enumerate(batch.table.select(["label", "z", "split"]).to_pylist()):
                if row["split"] == "test" and row["z"] is not None and counts.get(row["label"], 0) < per_class:
                    counts[row["label"]] = counts.get(row["label"], 0) + 1
                    rows.append(row)
                    flux.append(batch.flux[number].copy())
                    ivar.append(batch.ivar[number].copy())
    return rows, grid["start"] + grid["step"] * np.arange(grid["pixels"]), np.array(flux), np.array(ivar)


def redrock_answers(folder: Path, wave: np.ndarray, flux: np.ndarray, ivar: np.ndarray) -> tuple[np.ndarray, float]:
    """Redshifts of redrock's best fits, and its seconds per spectrum without preparation."""
    import scipy.sparse
    from redrock.targets import DistTargetsCopy, Spectrum, Target
    from redrock.templates import load_dist_templates
    from redrock.zfind import zfind

    offsets = np.arange(-2, 3)
    weights = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    matrix = scipy.sparse.dia_matrix(
        (np.repeat(weights[:, None] / weights.sum(), len(wave), 1), offsets), (len(wave),) * 2
    )
    with contextlib.redirect_stdout(io.StringIO()):
        templates = load_dist_templates({"all": wave}, templates=str(folder), mp_procs=1)

    def fit(numbers):
        targets = [
            Target(
                int(n),
                [Spectrum(wave, flux[n].astype(float), ivar[n].astype(float), matrix, matrix.tocsr(), band="all")],
            )
            for n in numbers
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            _, fits = zfind(DistTargetsCopy(targets), templates, mp_procs=1)
        best = {int(row["targetid"]): float(row["z"]) for row in fits if row["znum"] == 0}
        return [best[int(n)] for n in numbers]

    fit([0])  # compiles
    begun = time.process_time()
    found = fit(range(len(flux)))
    return np.array(found), (time.process_time() - begun) / len(flux)


def ours_of_true_class(ours: Ours, rows: list[dict], flux: np.ndarray) -> tuple[np.ndarray, float]:
    """Redshifts of the networks of the true classes, and seconds per spectrum for all networks."""
    ours.predictor.predict(flux[:8])
    repeat = np.resize(np.arange(len(flux)), 512)
    begun = time.process_time()
    for at in range(0, len(repeat), 256):
        ours.predictor.predict(flux[repeat[at : at + 256]])
    seconds = (time.process_time() - begun) / len(repeat)
    part = ours.predictor.predict(flux)
    return np.array([float(part[f"z_{row['label']}"][n]) for n, row in enumerate(rows)]), seconds


def main() -> None:
    """The answers of both on the same spectra."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", default="demo_4most")
    parser.add_argument("--model", default="gasnet2_4most_zpdf")
    parser.add_argument("--per-class", type=int, default=20)
    args = parser.parse_args()
    try:
        import redrock
    except ImportError as error:
        raise Unavailable("redrock is not installed: pip install -e '.[bench]'") from error
    run = ROOT / "results" / args.run
    rows, wave, flux, ivar = chosen(run / "fourmost" / "shards", args.per_class)
    ours, seconds = ours_of_true_class(Ours(run / "models", args.model), rows, flux)
    with tempfile.TemporaryDirectory() as scratch:
        folder, name = find_templates(Path(scratch))
        peer, peer_seconds = redrock_answers(folder, wave, flux, ivar)
    print(
        f"redrock {redrock.__version__}, templates: {name}; ours: {args.model} of results/{args.run}; all of it the mock survey\n"
    )
    truth = np.array([row["z"] for row in rows])
    labels = np.array([row["label"] for row in rows])
    record("redrock, per spectrum and core", peer_seconds, "{:.2f} s")
    record("ours, per spectrum and core", 1e3 * seconds, "{:.2f} ms")
    groups = {label: labels == label for label in sorted(set(labels))}
    groups["all"] = np.ones(len(labels), bool)
    limit = np.array([THRESHOLDS[label.split("_")[0]] for label in labels])
    for label, here in groups.items():
        for who, z in (("redrock", peer), ("ours", ours)):
            error = (z - truth)[here] / (1 + truth[here])
            good = np.abs(np.log((1 + truth[here]) / (1 + np.maximum(z[here], -0.9)))) < limit[here]
            record(f"{label}: GF, {who} (N = {here.sum()})", float(good.mean()), "{:.2f}")
            record(f"{label}: mean absolute deviation, {who}", float(np.abs(error - error.mean()).mean()), "{:.2g}")


if __name__ == "__main__":
    start(main)
