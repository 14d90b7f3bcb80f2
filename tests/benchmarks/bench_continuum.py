"""Continuum normalisation of APOGEE spectra: a batch at once against numpy's Chebyshev.fit of each spectrum and detector.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_continuum.py [--spectra 512] [--rounds 7]

Makes its own spectra (8575 pixels, a curve with lines and noise, 2 % of the pixels without measurement, a continuum pixel in every 25).
Times of the normalisation are the processor's. The loop does what the paper's code does: gaps out, fit per detector, divide flux and error, negative flux to 0, masked pixels to 1.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.polynomial import Chebyshev
from record import record, start
from timing import compare, show

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import apogee_files as af
from resurvey.surveys import apogee_mask, registry
from resurvey.surveys.apogee_continuum import Normaliser
from resurvey.surveys.apogee_grid import DR13, WAVELENGTH
from resurvey.surveys.apogee_star import star


def spectra(count):
    rng = np.random.default_rng(1)
    flux = np.stack([af.curve(WAVELENGTH, tilt) for tilt in rng.uniform(-0.5, 0.5, count)]) * af.lines(WAVELENGTH)
    error = flux / 100 * rng.uniform(0.5, 2, flux.shape)
    flux += rng.normal(size=flux.shape) * error
    lost = rng.random(flux.shape) < 0.02
    flux[lost], error[lost] = 0, af.NO_MEASUREMENT
    return flux.astype(np.float32), error.astype(np.float32), np.where(lost, 1, 0).astype(np.int32)


def loop(flux, error, mask, pixels):
    """(flux, error) normalised as the paper's code does it."""
    flux, error, bad = DR13.cut(flux), DR13.cut(error), apogee_mask.bad(DR13.cut(mask))
    continuum = np.isin(DR13.index, pixels)
    for row in range(len(flux)):
        for part in DR13.slices:
            at, x = continuum[part], np.arange(part.stop - part.start)
            w = 1 / (np.square(error[row, part][at]) + 1e-8)
            level = Chebyshev.fit(x[at], flux[row, part][at], 2, w=w)(x)
            flux[row, part] /= level
            error[row, part] /= level
    flux[flux < 0] = 0
    flux[~np.isfinite(flux)] = 1
    flux[bad] = error[bad] = 1
    return flux, error


def bench_normalisation(count, rounds):
    flux, error, mask = spectra(count)
    normaliser = Normaliser(DR13, pixels=af.PIXELS)

    def batches(size):
        for first in range(0, count, size):
            rows = slice(first, first + size)
            normaliser(flux[rows], error[rows], mask[rows])

    expected, _ = loop(flux[:32], error[:32], mask[:32], af.PIXELS)
    difference = float(np.abs(normaliser(flux[:32], error[:32], mask[:32]).flux - expected).max())
    few = slice(0, max(8, count // 8))
    methods = {f"batches of {size}": lambda size=size: batches(size) for size in (128, 32, 512)}
    results = compare(methods, rounds, clock=time.process_time)
    show(f"Normalisation, {count} spectra", results, count)
    together = lambda: normaliser(flux[few], error[few], mask[few])  # noqa: E731
    results = compare(
        {"a batch": together, "loop over spectra": lambda: loop(flux[few], error[few], mask[few], af.PIXELS)},
        rounds,
        clock=time.process_time,
    )
    show(f"Against a loop, {few.stop} spectra", results, few.stop)
    record("largest difference of normalised flux from the loop's", difference, "{:.1e}", at_most=1e-6, check=True)
    record("normalisation of one spectrum", results["a batch"]["seconds"] / few.stop * 1e6, "{:.0f} µs")
    record("faster than a loop over spectra", results["loop over spectra"]["ratio"], "{:.1f} ×", at_least=4)


def bench_reading(rounds):
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(2)
        paths = [af.write_apstar(Path(folder, f"apStar-{i}.fits"), *af.rows(4, rng)) for i in range(16)]

        def read():
            for path in paths:
                with registry.open_fits(path, path.read_bytes()) as hdus:
                    star(hdus, path.name)

        results = compare({"apStar, six rows": read}, rounds)
        show(f"Reading, {len(paths)} files", results, len(paths))
        record("reading of one apStar file, six rows", results["apStar, six rows"]["seconds"] / 16 * 1e3, "{:.1f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--spectra", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    bench_normalisation(args.spectra, args.rounds)
    bench_reading(args.rounds)


if __name__ == "__main__":
    start(main)
