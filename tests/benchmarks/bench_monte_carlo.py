"""Monte Carlo inference of astroNN's network: all passes at once against a plain torch loop, its accuracy, and a step of training.

    python tests/benchmarks/bench_monte_carlo.py [--stars 32] [--passes 100] [--rounds 5] [--steps 200]

The network has the published widths and the mock survey's windows, and is trained first, for `--steps` steps on simulated stars: bf16
is only a result with its change of the answers on weights that have learned. One thread. ASTRONN_SOURCE: folder of astroNN's source (commit 3346072 of its
repository, in an environment with Keras 3), whose own prediction is then timed beside ours.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from record import record
from resurvey.inference import masks
from resurvey.inference import monte_carlo as mc
from resurvey.inference.labels import BOUND, statistics
from resurvey.networks.bcnn import LabelNetwork
from resurvey.networks.build import build
from resurvey.settings import overlay, read_yaml
from resurvey.simulate import apogee_population, apogee_spectra, apogee_windows
from resurvey.surveys.apogee_grid import DR13
from resurvey.surveys.apogee_labels import NAMES
from resurvey.training import labels
from resurvey.training.label_samples import LabelSplit
from resurvey.training.loop import Samples, Trainer
from resurvey.training.samples import Sample
from resurvey.training.windows import runs
from timing import compare, show
from torch.nn import functional

CPU = torch.device("cpu")
SN = 150.0
VARIANCE = "variance_of_mean"


def stars(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(flux (count, 7514) float32, labels (count, 22)) of simulated giants with S/N 150 per pixel."""
    rng = np.random.default_rng(seed)
    drawn = apogee_population.draw(2 * count + 50, 0, rng)["labels"]
    drawn = drawn[(drawn[:, 0] > 4000) & (drawn[:, 0] < 5500)][:count]
    flux = DR13.cut(apogee_spectra.normalised(drawn))
    return (flux + rng.normal(0, 1 / SN, flux.shape)).astype(np.float32), drawn


def published() -> dict:
    """The spec of astronn_censored, with the windows of the mock survey: those of some elements are smaller than the real ones
    (3,492,562 parameters for 3,499,122)."""
    paper = read_yaml("workflow/papers/astronn.yaml")
    entry = overlay(paper["defaults"], paper["models"]["astronn_censored"])
    pixels: dict[str, list[int]] = {}
    for element, pixel, _ in apogee_windows.windows():
        pixels.setdefault(f"{element.lower()}_h", []).append(pixel)
    whole = {**entry["architecture"], "pixels": 7514, "labels": list(NAMES), "head": {"kind": "censored"}}
    windows = {label: runs(pixels[label]) for label in NAMES if label not in whole["full_spectrum_labels"]}
    return {**whole, "windows": windows}


def trained(spec: dict, steps: int) -> tuple[LabelNetwork, Trainer, Samples]:
    """The network after about so many steps, its trainer, and what it was trained on."""
    flux, label = stars(1024, 1)
    split = LabelSplit(flux, label, np.full(label.shape, np.nan), np.full(len(flux), SN))
    network = build(spec, 1)
    labels.prepare(network, Sample(split, split, {}, {}))
    entry = read_yaml("workflow/papers/astronn.yaml")["defaults"]["training"]
    hyper = labels.LabelHyper(**{**entry, "epochs": max(1, steps // 16), "lr": 0.002, "schedule": "cosine"})
    data = labels.samples(split, None, network)
    trainer = Trainer(network, hyper, 1, "float32", CPU, quiet=True)
    trainer.run(data, Samples(data.flux[:64], data.target[:64]))
    return network.eval(), trainer, data


@torch.inference_mode()
def naive(network: LabelNetwork, flux: torch.Tensor, passes: int) -> torch.Tensor:
    """A plain loop over passes, all spectra as one batch, torch's own dropout."""
    return torch.stack([network(flux) for _ in range(passes)], 1)


def speed(network: LabelNetwork, flux: torch.Tensor, passes: int, rounds: int) -> None:
    """Engines against the loop, and both without dropout."""
    seeds = masks.seeds(1, [str(i) for i in range(len(flux))])
    engines = {f"compiled {p}": mc.CompiledEngine(network, p) for p in ("f32", "bf16")}
    methods = {"torch loop": lambda: naive(network, flux, passes)}
    methods |= {name: (lambda e=engine: e.passes(flux, seeds, passes)) for name, engine in engines.items()}
    methods["torch, counted masks"] = lambda: mc.TorchEngine(network).passes(flux, seeds, passes)
    methods["without dropout"] = lambda: mc.without_masks(network, flux)
    found = compare(methods, rounds)
    show(f"{passes} passes, {len(flux)} stars, one thread", found, len(flux), "ms")
    default = "bf16" if mc.cpu_has_bf16() else "f32"
    for precision in ("f32", "bf16"):
        goal = {"at_least": 2.0} if precision == default else {}
        ratio = 1 / found[f"compiled {precision}"]["ratio"]
        record(f"{passes} passes: compiled {precision} over a torch loop", ratio, "{:.1f} ×", **goal)
    each = 1e3 / len(flux)
    record(f"{passes} passes per star ({default})", found[f"compiled {default}"]["seconds"] * each, "{:.2f} ms")
    record("without dropout per star", found["without dropout"]["seconds"] * each, "{:.2f} ms")


def accuracy(network: LabelNetwork, flux: torch.Tensor, label: np.ndarray, passes: int) -> None:
    """What the precisions change, and that the passes are distributed as torch's own dropout."""
    seeds = masks.seeds(1, [str(i) for i in range(len(flux))])
    reference = statistics(mc.TorchEngine(network).passes(flux, seeds, passes), VARIANCE)
    mean, std = network.label_mean.numpy(), network.label_std.numpy()
    scatter = np.sqrt(np.mean((reference[""] * std + mean - label) ** 2, 0)) / std
    print(
        f"\nrms of the networks' errors on new stars, in spreads of the labels: {scatter.min():.2f} to {scatter.max():.2f}\n"
    )
    for precision in ("f32", "bf16"):
        found = statistics(mc.CompiledEngine(network, precision).passes(flux, seeds, passes), VARIANCE)
        off = np.abs(found[""] - reference[""]) / reference["_total"]
        record(
            f"compiled {precision} changes a label by at most",
            off.max(),
            "{:.2g} of its uncertainty",
            at_most=BOUND,
            check=True,
        )
        change = np.abs(found["_total"] / reference["_total"] - 1).max()
        record(f"compiled {precision} changes an uncertainty by at most", change, "{:.2g}", at_most=0.05, check=True)
    mine = mc.CompiledEngine(network).passes(flux, seeds, passes).double()[..., 0]
    torch.manual_seed(0)
    theirs = naive(network, flux, passes).double()[..., 0]
    z = (mine.mean(1) - theirs.mean(1)) / torch.sqrt((mine.var(1) + theirs.var(1)) / passes)
    record(
        "means of the two, rms in standard errors (1 expected)",
        z.square().mean().sqrt(),
        "{:.2f}",
        at_most=1.3,
        check=True,
    )
    record("spread of the passes over that of the loop", (mine.std(1) / theirs.std(1)).mean(), "{:.3f}")


def training(trainer: Trainer, data: Samples, rounds: int) -> None:
    """A step with narrow convolutions as matrix products, and with torch's."""
    rows = torch.arange(64)

    def plain() -> None:
        convolutions = (trainer.network.full.conv1, trainer.network.full.conv2)
        for layer in convolutions:
            layer.forward = lambda x, layer=layer: functional.conv1d(x, layer.weight, layer.bias)
        trainer.step(data, rows)
        for layer in convolutions:
            del layer.forward

    trainer.network.train()
    found = compare({"torch's convolutions": plain, "narrow convolutions": lambda: trainer.step(data, rows)}, rounds)
    show("a step of training, 64 stars, one thread", found, 1, "ms")
    trainer.network.eval()
    seconds = found["narrow convolutions"]["seconds"]
    record("a step of training", seconds * 1e3, "{:.0f} ms")
    record("the paper's training, 60 epochs of 469 steps, on one core", seconds * 60 * 469 / 60, "{:.0f} min")


def peer(flux: torch.Tensor, label: np.ndarray, network: LabelNetwork, passes: int, rounds: int) -> None:
    """astroNN's own network and prediction, untrained as its speed does not depend on the weights."""
    source = os.environ.get("ASTRONN_SOURCE")
    if not source:
        print("\nastroNN itself: not measured; set ASTRONN_SOURCE to the folder of its source and install keras")
        return
    os.environ.setdefault("KERAS_BACKEND", "torch")
    sys.path.insert(0, str(Path(source, "src") if Path(source, "src").is_dir() else source))
    try:
        from astroNN.models import ApogeeBCNNCensored
    except ImportError as error:
        print(f"\nastroNN itself: not measured; {source} cannot be imported ({error})")
        return
    theirs = ApogeeBCNNCensored()
    theirs.max_epochs, theirs.mc_num, theirs.autosave, theirs.verbose = 1, passes, False, 0
    many = np.tile(flux.numpy(), (-(-256 // len(flux)), 1))
    theirs.fit(many, np.tile(label, (-(-256 // len(label)), 1)).astype(np.float32))
    seeds = masks.seeds(1, [str(i) for i in range(len(flux))])
    engine = mc.CompiledEngine(network, "bf16" if mc.cpu_has_bf16() else "f32")
    methods = {"astroNN": lambda: theirs.predict(flux.numpy()), "compiled": lambda: engine.passes(flux, seeds, passes)}
    found = compare(methods, rounds)
    show(f"astroNN, {passes} passes", found, len(flux), "ms")
    record(
        f"{passes} passes: compiled over astroNN's predict", 1 / found["compiled"]["ratio"], "{:.1f} ×", at_least=2.0
    )


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("stars", 32), ("passes", 100), ("rounds", 5), ("steps", 200)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    network, trainer, data = trained(published(), args.steps)
    print(f"trained in {time.perf_counter() - started:.0f} s")
    flux, label = stars(args.stars, 99)
    flux = torch.from_numpy(flux)
    accuracy(network, flux, label, args.passes)
    speed(network, flux, args.passes, args.rounds)
    training(trainer, data, args.rounds)
    peer(flux, label, network, args.passes, args.rounds)


if __name__ == "__main__":
    main()
