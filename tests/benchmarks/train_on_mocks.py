"""Train the networks of docs/mocks-to-real.md: star, galaxy or quasar and two redshifts, on mock spectra from public templates alone.

`python tests/benchmarks/train_on_mocks.py TEMPLATES OUT NETWORK…` with NETWORK of ResNet_P, ResNet_GALAXY, ResNet_QSO (default all).
No real spectrum is read. Each network draws its own mock spectra, exposes them on the survey's own pixels and brings them to the grid
in the way that real ones go. OUT is a model that `resurvey predict` takes.
"""

import argparse
import sys
import threading
import time
from dataclasses import replace
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
SEED = 5
# Mixes of galaxies: a share of them, and the z over which it is spread; the others are uniform in ln(1+z) to 1.1. Of the second,
# nearer to the survey's, the reason is Table 1 of Zhong et al. 2024, whose means are 0.11 to 0.46.
GALAXIES = {"recipe": (0.10, (0.0005, 0.03)), "nearby": (0.45, (0.0005, 0.25))}
VALID = 0.05  # of the spectra, drawn apart, choose the best epoch


def entry(epochs: int, channels: list[str], head: str, width: int) -> dict:
    """A model's entry as in a paper's file; width: channels of the first block."""
    return {
        "networks": NETWORKS,
        "members": 1,
        "head": head,
        "bins": {"GALAXY": 0.0015, "QSO": 0.006, "soft": 1.0, "readout": 3},
        "architecture": {
            "kind": "resnet",
            "widths": [width * 2**i for i in range(6)],
            "kernel": 5,
            "stride": 3,
            "pool": 5,
            "padding": "same",
            "dropout": 0.3,
            "dense": 256,
            "init_std": 0.001,
            "bn_eps": 0.001,
            "bn_momentum": 0.01,
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


def mocks(folder: str, name: str, count: int, seed, effects=None, galaxies="recipe") -> tuple[np.ndarray, dict]:
    """(flux (count, pixels) float32 on GRID, truth) of a class: half seen by SDSS's spectrographs, half by BOSS's."""
    from resurvey.shards.grid import Grid
    from resurvey.shards.resample import Resampler
    from resurvey.simulate.spectrographs import SPECTROGRAPHS
    from resurvey.simulate.templates import libraries, mock, recipe
    from resurvey.surveys.spectrum import Spectrum, pixel_edges

    resampler, edges = Resampler(Grid.from_settings(GRID), "flux_conserving"), pixel_edges(NATIVE)
    recipes = dict(recipe.SDSS_LIKE)
    (low, low_z), usual = GALAXIES[galaxies], recipes["GALAXY"]
    recipes["GALAXY"] = replace(usual, objects=replace(usual.objects, low=low, low_z=low_z))
    flux, ivar = np.empty((count, GRID["pixels"]), np.float32), np.empty(GRID["pixels"], np.float32)
    truth, row = {"z": [], "sn": []}, 0
    for device, number in (("SDSS", count // 2), ("BOSS", count - count // 2)):
        seeds = [*seed, CLASSES.index(name), len(device), device == "BOSS"]
        made = mock.blocks(recipes[name], libraries.load(folder), SPECTROGRAPHS[device], NATIVE, number, seeds, effects)
        for table, seen in made:
            for one in range(len(seen.flux)):
                spectrum = Spectrum(
                    "mock", NATIVE, edges, seen.flux[one], seen.ivar[one], np.zeros(len(NATIVE), np.int32), "mock"
                )
                resampler.into(spectrum, flux[row], ivar)
                row += 1
            truth["z"].append(table["z"])
            truth["sn"].append(seen.sn)
    return flux, {key: np.concatenate(values) for key, values in truth.items()}


def split(folder: str, names: list[str], count: int, seed, effects=None, galaxies="recipe"):
    """A training.samples.Split of `count` spectra of each class."""
    from resurvey.training.samples import Split

    parts = [mocks(folder, name, count, seed, effects, galaxies) for name in names]
    number = np.repeat([CLASSES.index(name) for name in names], count)
    z = np.concatenate([truth["z"] for _, truth in parts])
    z[number == 0] = np.nan
    return Split(np.concatenate([flux for flux, _ in parts]), number, z, np.concatenate([t["sn"] for _, t in parts]))


def main(argv: list[str]) -> None:
    """Draw, train, write OUT/NETWORK."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("templates", help="folder of public templates (resurvey templates)")
    parser.add_argument("out", type=Path)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument(
        "--spectra", type=int, default=40000, help="training spectra of a network, all classes together"
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--channels", nargs="+", default=["asinh", "contrast"])
    parser.add_argument("--head", default="bins", choices=["bins", "huber"])
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--clean", action="store_true", help="noise alone, no calibration errors and other faults")
    parser.add_argument("--galaxies", default="recipe", choices=list(GALAXIES), help="mix of their redshifts")
    args = parser.parse_args(argv)
    import torch
    from resurvey.shards.grid import Grid
    from resurvey.simulate import effects
    from resurvey.training.job import fit
    from resurvey.training.samples import Sample

    torch.set_num_threads(1)
    faults = effects.NONE if args.clean else None
    for network in args.networks:
        started = time.time()
        names = [NETWORKS[network]["class"]] if "class" in NETWORKS[network] else CLASSES
        count = args.spectra // len(names)
        train = split(args.templates, names, count, [SEED, 0], faults, args.galaxies)
        valid = split(
            args.templates, names, max(int(VALID * count), 50), [SEED, 1], None, args.galaxies
        )  # with all faults
        print(
            f"{network}: {len(train.flux)} mock spectra in {time.time() - started:.0f} s", file=sys.stderr, flush=True
        )
        about = {
            "origin": "mock",
            "release": "templates",
            "resample": "flux_conserving",
            "masks": {"and_mask": False, "ivar": True},
        }
        settings = {
            "model": args.out.name,
            "paper": None,
            "dataset": "sdss_template_mock",
            "classes": [{"label": name} for name in CLASSES],
            "seed": SEED,
            "entry": entry(args.epochs, args.channels, args.head, args.width),
        }
        sample = Sample(train, valid, Grid.from_settings(GRID).meta(), about)
        fit(sample, settings, network, args.out / network, threading.Event())
        print(f"{network}: {time.time() - started:.0f} s in all", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
