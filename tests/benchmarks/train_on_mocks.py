"""Train the networks of docs/mocks-to-real.md: star, galaxy or quasar and two redshifts, on mock spectra from public templates alone.

`python tests/benchmarks/train_on_mocks.py TEMPLATES OUT NETWORK…` with NETWORK of ResNet_P, ResNet_GALAXY, ResNet_QSO (default all).
No real spectrum is read. Each network draws its own mock spectra, exposes them on the survey's own pixels and brings them to the grid
in the way that real ones go. OUT is a model that `resurvey predict` takes.
"""

import argparse
import sys
import threading
import time
from pathlib import Path

import numpy as np

CLASSES = ["STAR", "GALAXY", "QSO"]
GRID = {"start": 4000.0, "step": 2.0, "pixels": 2501}
NATIVE = 10 ** np.arange(3.5960, 3.9580, 1e-4)  # pixels of SDSS and BOSS beyond both ends of the grid, Å
NETWORKS = {
    "ResNet_P": {"role": "classifier"},
    "ResNet_GALAXY": {"role": "redshift", "class": "GALAXY"},
    "ResNet_QSO": {"role": "redshift", "class": "QSO"},
}
MIX = {"ResNet_P": "border", "ResNet_GALAXY": "hard", "ResNet_QSO": "hard"}  # of templates.recipe.MIXES
SEED = 5
# What is left out of the training spectra, to see what it is good for: faults, and the Milky Way's dust with the calibration's errors.
# `white`: noise of one σ at all wavelengths in place of the spectrograph's, its sky, cosmic rays and bad columns.
WITHOUT = ("nothing", "faults", "colour", "white")
VALID = 0.05  # of the spectra, drawn apart, choose the best epoch


def entry(epochs: int, channels: list[str], head: str, width: int) -> dict:
    """A model's entry as in a paper's file; width: channels of the first block."""
    return {
        "networks": NETWORKS,
        "members": 1,
        "head": head,
        "bins": {"GALAXY": 0.001, "QSO": 0.004, "soft": 1.0, "readout": 3},
        "architecture": {
            "kind": "resnet",
            "widths": [width * 2**i for i in range(6)],
            "kernel": 5,
            "stride": 3,
            "pool": 5,
            "padding": "same",
            "dropout": 0.1,
            "dense": 256,
            "init_std": 0.05,  # the paper's 0.001 and 0.01 need its number of steps (docs/gasnet2.md)
            "bn_eps": 0.001,
            "bn_momentum": 0.1,
            "normalisation": "unit_rms",
            "channels": channels,
        },
        "training": {
            "epochs": epochs,
            "batch": 128,
            "optimizer": "adamw",
            "lr": 0.002,
            "schedule": "cosine",
            "halve_every": 5,
            "adam_eps": 1e-7,
            "weight_decay": 0.01,
            "precision": "auto",
            "z_range": [0.0, 6.5],
            "z_scale": 10.0,
            "huber_delta": 0.1,
        },
    }


def faults(without: str):
    """effects.Effects of one of WITHOUT."""
    from dataclasses import replace

    from resurvey.simulate.effects import NONE, Effects

    usual = Effects()
    return {
        "nothing": usual,
        "faults": NONE,
        "colour": replace(
            usual, calibration_cubic=0, calibration_wave=0, calibration_step=0, calibration_blue=0, noise_tilt=0
        ),
        "white": replace(usual, sky_residual=0, cosmic_electrons=0, bad_columns=0),
    }[without]


def whitened(seen, device, effects, seed) -> np.ndarray:
    """Flux (n, N) of an exposure with the calibration's errors and noise of its median σ at all wavelengths."""
    from resurvey.simulate import effects as faulty

    rng = np.random.default_rng(seed)
    sigma = 1 / np.sqrt(np.median(seen.ivar, axis=1, keepdims=True))
    flux = seen.model * faulty.calibration(effects, device, seen.wave, len(seen.model), rng)
    return flux + sigma * rng.standard_normal(flux.shape, np.float32)


def mocks(folder: str, name: str, count: int, seed, mix="plain", without="nothing") -> tuple[np.ndarray, dict]:
    """(flux (count, pixels) float32 on GRID, truth) of a class: half seen by SDSS's spectrographs, half by BOSS's."""
    from dataclasses import replace

    from resurvey.shards.grid import Grid
    from resurvey.shards.resample import Resampler
    from resurvey.simulate.spectrographs import SPECTROGRAPHS
    from resurvey.simulate.templates import libraries, mock, pipeline, recipe
    from resurvey.surveys.spectrum import Spectrum, pixel_edges

    resampler, edges = Resampler(Grid.from_settings(GRID), "flux_conserving"), pixel_edges(NATIVE)
    flux, ivar = np.empty((count, GRID["pixels"]), np.float32), np.empty(GRID["pixels"], np.float32)
    truth, row, masks = {"z": [], "sn": [], "number": []}, 0, np.zeros(len(NATIVE), np.int32)
    effects, library = faults(without), libraries.load(folder)
    for device_name, number in (("SDSS", count // 2), ("BOSS", count - count // 2)):
        device = SPECTROGRAPHS[device_name]
        for part, (objects, some) in enumerate(recipe.MIXES[mix][name].counts(number)):
            seeds = [*seed, CLASSES.index(name), device_name == "BOSS", part]
            if without in ("colour", "faults"):
                objects = replace(objects, foreground=recipe.Foreground(limit=0.0))
            for table, seen in mock.blocks(objects, library, device, NATIVE, some, seeds, effects):
                if without == "white":
                    seen.flux[:] = whitened(seen, device, effects, [*seeds, row])
                for one in range(len(seen.flux)):
                    spectrum = Spectrum("mock", NATIVE, edges, seen.flux[one], seen.ivar[one], masks, "mock")
                    resampler.into(spectrum, flux[row], ivar)
                    row += 1
                truth["z"].append(table["z"])
                truth["sn"].append(seen.sn)
                classes = pipeline.fitted_class(name, table, seen, library)
                truth["number"].append([CLASSES.index(one) for one in classes])
    return flux, {key: np.concatenate(values) for key, values in truth.items()}


def split(folder: str, names: list[str], count: int, seed, mix="plain", without="nothing"):
    """A training.samples.Split of `count` spectra of each class; of several, the class is that of templates.pipeline."""
    from resurvey.training.samples import Split

    size = count * len(names)
    flux, z, sn = np.empty((size, GRID["pixels"]), np.float32), np.full(size, np.nan), np.empty(size, np.float32)
    number = np.repeat([CLASSES.index(name) for name in names], count)
    for place, name in enumerate(names):
        rows = slice(place * count, (place + 1) * count)
        flux[rows], truth = mocks(folder, name, count, seed, mix, without)
        sn[rows] = truth["sn"]
        if len(names) > 1:
            number[rows] = truth["number"]
        if name != "STAR":
            z[rows] = truth["z"]
    return Split(flux, number, z, sn)


def classes_of(network: str) -> list[str]:
    """The classes whose spectra a network learns from."""
    return [NETWORKS[network]["class"]] if "class" in NETWORKS[network] else CLASSES


def train(network: str, out: Path, spectra: tuple, entry: dict, seed: int) -> None:
    """Fit a network to (training, validation) splits and write OUT/NETWORK."""
    from resurvey.shards.grid import Grid
    from resurvey.training.job import fit
    from resurvey.training.samples import Sample

    about = {
        "origin": "mock",
        "release": "templates",
        "resample": "flux_conserving",
        "masks": {"and_mask": False, "ivar": True},
    }
    settings = {
        "model": out.name,
        "paper": None,
        "dataset": "sdss_template_mock",
        "classes": [{"label": name} for name in CLASSES],
        "seed": seed,
        "entry": entry,
    }
    fit(Sample(*spectra, Grid.from_settings(GRID).meta(), about), settings, network, out / network, threading.Event())


def main(argv: list[str]) -> None:
    """Draw, train, write OUT/NETWORK."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("templates", help="folder of public templates (resurvey templates)")
    parser.add_argument("out", type=Path)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument(
        "--spectra", type=int, default=120000, help="training spectra of a network, all classes together"
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--channels", nargs="+", default=["asinh", "contrast"])
    parser.add_argument("--head", default="bins", choices=["bins", "huber"])
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--without", default="nothing", choices=WITHOUT, help="what the training spectra lack")
    parser.add_argument(
        "--mix", help="of templates.recipe.MIXES; without it border for the classifier, hard for redshifts"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="of mock spectra and weights")
    args = parser.parse_args(argv)
    import torch

    torch.set_num_threads(1)
    for network in args.networks:
        started, names = time.time(), classes_of(network)
        count, mix = args.spectra // len(names), args.mix or MIX[network]
        fitted = split(args.templates, names, count, [args.seed, 0], mix, args.without)
        checked = split(args.templates, names, max(int(VALID * count), 50), [args.seed, 1], mix)
        seconds = time.time() - started
        print(f"{network}: {len(fitted.flux)} mock spectra in {seconds:.0f} s", file=sys.stderr, flush=True)
        about = entry(args.epochs, args.channels, args.head, args.width)
        train(network, args.out, (fitted, checked), about, args.seed)
        print(f"{network}: {time.time() - started:.0f} s in all", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
