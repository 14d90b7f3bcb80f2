"""Mock spectra per second and core: drawing, rendering, instrument and noise, at the demo's grid of 1251 pixels.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_simulate.py [--spectra 1024] [--rounds 5]

The processor's seconds. Classes of 4MOST from the built-in physics; stars, galaxies and quasars from the public templates where
RESURVEY_SHARED (default ../shared) names a folder with them.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
from record import record, start
from resurvey.errors import ResurveyError
from resurvey.simulate import exposure, fourmost
from resurvey.simulate.spectrographs import QMOST, SPECTROGRAPHS
from resurvey.simulate.templates import libraries, mock
from resurvey.simulate.templates.recipe import SDSS_LIKE
from timing import compare

GRID = np.arange(4000.0, 9001.0, 4.0)  # the demo's
BLOCK = 256


def classes(maker):
    """A block of each of 4MOST's classes, as the mock archive makes them."""
    rng, loglam = np.random.default_rng(0), QMOST.loglam()
    for label in fourmost.LABELS:
        table = maker.draw(label, BLOCK, rng)
        exposure.expose(maker.noiseless(table, QMOST, loglam, rng), loglam, table["sn"], QMOST, GRID, rng)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectra", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    count = max(args.spectra // BLOCK, 1) * BLOCK
    methods = {"noise and instrument alone": lambda: noise(count)}
    methods["4MOST's ten classes, built-in physics"] = lambda: classes(fourmost.FromPhysics())
    sizes = {"noise and instrument alone": count, "4MOST's ten classes, built-in physics": BLOCK * len(fourmost.LABELS)}
    shared = Path(os.environ.get("RESURVEY_SHARED", Path(__file__).parents[3] / "shared"), "reference")
    try:
        templates = libraries.load(shared)
    except ResurveyError as missing:
        print(f"without public templates: {missing}")
    else:
        for name, device in (("4MOST", QMOST), ("BOSS", SPECTROGRAPHS["BOSS"])):
            for kind, recipe in SDSS_LIKE.items():
                title = f"{kind} from templates, {name}"
                methods[title] = lambda recipe=recipe, device=device: mock.simulate(
                    recipe, templates, device, GRID, count, 1
                )
                sizes[title] = count
        maker = fourmost.FromTemplates(templates)
        methods["4MOST's ten classes, templates"] = lambda: classes(maker)
        sizes["4MOST's ten classes, templates"] = BLOCK * len(fourmost.LABELS)
    results = compare(methods, args.rounds, clock=time.process_time)
    for title, result in results.items():
        goal = {} if title.startswith("noise") else {"at_least": 2000}
        record(f"{title}: spectra per second and core", sizes[title] / result["seconds"], "{:,.0f}", **goal)


def noise(count):
    loglam = QMOST.loglam()
    shape = np.ones((BLOCK, len(loglam)), np.float32)
    rng = np.random.default_rng(0)
    for _ in range(0, count, BLOCK):
        exposure.expose(shape, loglam, np.full(BLOCK, 5.0), QMOST, GRID, rng)


if __name__ == "__main__":
    start(main)
