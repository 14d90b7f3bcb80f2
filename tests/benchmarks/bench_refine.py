"""Refining redshifts by templates: seconds per spectrum and core, beside a full grid of redshifts by the same fit and beside redrock.

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python tests/benchmarks/bench_refine.py [--spectra 24] [--rounds 3] [--redrock 6]

The processor's seconds, 2501 pixels, five peaks each. Needs public templates below RESURVEY_SHARED (default ../shared). redrock gets the first
--redrock of the same spectra and chooses among all its templates, stars too; without redrock the rest is measured and that it is missing is said.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_redrock import resolution
from record import Unavailable, record, start
from redrock_templates import find_templates
from resurvey.errors import ResurveyError
from resurvey.inference import refine
from resurvey.simulate.templates import libraries
from timing import compare
from train_on_mocks import GRID, mocks

PEAKS = (0.002, 0.1, 0.2, -0.05, 0.3)  # ln(1+z) of the peaks from the truth
PIXELS, DR16 = 5001, "five peaks, 5001 pixels"  # of DR16's sample
FULL = {"GALAXY": (0.0, 0.75, 3e-4), "QSO": (0.0, 2.0, 1e-3)}  # first and last ln(1+z), step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectra", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--redrock", type=int, default=6, help="spectra of each kind that redrock gets; 0: none")
    args = parser.parse_args()
    folder = Path(os.environ.get("RESURVEY_SHARED", Path(__file__).parents[3] / "shared"), "reference")
    try:
        library = libraries.load(folder)
    except ResurveyError as missing:
        raise Unavailable(str(missing)) from missing
    wave = GRID["start"] + GRID["step"] * np.arange(GRID["pixels"])
    peer = redrock_on(wave) if args.redrock else None
    for kind in refine.SEARCHES:
        flux, truth = mocks(str(folder), kind, args.spectra, [9])
        ivar = np.repeat(1 / np.median(np.abs(np.diff(flux)), axis=1, keepdims=True) ** 2, len(wave), 1)
        x = np.log1p(truth["z"])[:, None] + PEAKS
        peaks = np.where(x > 0, np.expm1(x), np.nan)
        first = refine.refine(flux, ivar, wave, peaks, kind, library)
        off = np.abs(np.log1p(first.z) - np.log1p(truth["z"]))
        record(f"{kind}: median |Δ ln(1+z)| of mock spectra", float(np.median(off)), "{:.1e}")
        fine = np.linspace(wave[0], wave[-1], PIXELS)
        flux_fine = np.stack([np.interp(fine, wave, row) for row in flux])
        ivar_fine = np.repeat(ivar[:, :1], PIXELS, 1)
        methods = {
            "five peaks": lambda f=flux, i=ivar, p=peaks, k=kind: refine.refine(f, i, wave, p, k, library),
            DR16: lambda f=flux_fine, i=ivar_fine, p=peaks, k=kind, w=fine: refine.refine(f, i, w, p, k, library),
            "full grid": lambda f=flux[:1], i=ivar[:1], k=kind: full(f[0], i[0], wave, k, library),
        }
        found = compare(methods, args.rounds, clock=time.process_time)
        for title, size in (("five peaks", args.spectra), (DR16, args.spectra), ("full grid", 1)):
            record(f"{kind}, {title}: seconds per spectrum and core", found[title]["seconds"] / size, "{:.3f}")
        if peer:
            some = slice(0, args.redrock)
            peer(flux[:1], ivar[:1])  # compiles
            begun = time.process_time()
            z = peer(flux[some], ivar[some])
            seconds = (time.process_time() - begun) / len(z)
            record(f"{kind}, redrock: seconds per spectrum and core", seconds, "{:.2f}")
            record(
                f"{kind}, redrock's over five peaks'",
                seconds * args.spectra / found["five peaks"]["seconds"],
                "{:.0f} ×",
            )
            off = np.abs(np.log1p(z) - np.log1p(truth["z"][some]))
            record(f"{kind}, redrock: median |Δ ln(1+z)| of {len(z)} of them", float(np.median(off)), "{:.1e}")


def redrock_on(wave):
    """redrock on one grid (P,): (flux, ivar) (n, P) → z (n,) of its best template. None, with a word, where it or its templates are not here."""
    try:
        from redrock.targets import DistTargetsCopy, Spectrum, Target
        from redrock.templates import load_dist_templates
        from redrock.zfind import zfind
    except ImportError:
        print("redrock: not measured, it is not installed: pip install -e '.[bench]'")
        return None
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        try:
            folder, _ = find_templates(Path(scratch))
        except Unavailable as missing:
            print(f"redrock: not measured: {missing}", file=sys.stderr)
            return None
        templates = load_dist_templates({"grid": wave}, templates=str(folder), mp_procs=1)
    matrix = resolution(len(wave))

    def fit(flux, ivar):
        targets = [
            Target(number, [Spectrum(wave, f.astype(float), i.astype(float), matrix, matrix.tocsr(), band="grid")])
            for number, (f, i) in enumerate(zip(flux, ivar, strict=True))
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            _, rows = zfind(DistTargetsCopy(targets), templates, mp_procs=1)
        best = {int(row["targetid"]): float(row["z"]) for row in rows if row["znum"] == 0}
        return np.array([best[number] for number in range(len(flux))])

    return fit


def full(flux, ivar, wave, kind, library) -> None:
    """The fit at every redshift, in pieces of a peak's size."""
    low, high, step = FULL[kind]
    polynomial = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(wave)), refine.SEARCHES[kind].order).T
    for part in np.array_split(np.arange(low, high, step), 80):
        shapes = refine.library_of(kind, float(np.expm1(part[0])), library)
        refine.chi_square(flux, ivar, np.log10(wave), part, shapes, polynomial, forest=kind == "QSO")


if __name__ == "__main__":
    start(main)
