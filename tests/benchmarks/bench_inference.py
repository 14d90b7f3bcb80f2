"""Inference of the classifier and six ensembles: engines against a plain torch loop, their accuracy, two processes.

    python tests/benchmarks/bench_inference.py [--pixels 5001] [--members 10] [--spectra 128] [--rounds 5] [--steps 150]

Networks are trained first, for `--steps` steps each on simulated spectra: bf16 is only a result with its change of the
answers on weights that have learned. All in one thread but the last table.
"""

import argparse
import multiprocessing
import time

import numpy as np
import torch
from learned import LABELS, REDSHIFT, architecture, sample, trained
from resurvey.inference.engines import OpenVinoEngine
from resurvey.inference.models import Model, Trained
from resurvey.inference.predict import Predictor
from resurvey.inference.predict import compare as difference
from resurvey.networks.build import Network
from timing import compare, show

GRID = {"start": 4000.0, "step": 1.0, "pixels": 5001}


def make_model(args, head: str) -> Model:
    """The classifier, and an ensemble per class with a redshift."""
    shape = architecture(args.pixels, args.width)
    about = {"classes": LABELS, "grid": GRID, "origin": "mock"}
    model = Model("bench", Trained("ResNet_P", about, trained(shape, None, 1, head, args.steps, args.pixels)))
    for label in REDSHIFT:
        network = repeated(trained(shape, label, min(args.members, 2), head, args.steps, args.pixels), args.members)
        model.redshift[label] = [Trained(f"ResNet_{label}", about, network)]
    return model


def repeated(network: Network, members: int) -> Network:
    """An ensemble of `members` from the few that were trained, their weights changed by 0.1%.

    Without that change a graph compiler finds the copies equal and computes one of them.
    """
    whole = Network({**network.spec, "members": members})
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for number, member in enumerate(whole.members):
            member.load_state_dict(network.members[number % len(network.members)].state_dict())
            for weights in member.parameters():
                weights.mul_(1 + 1e-3 * torch.randn(weights.shape, generator=random))
    return whole.eval()


def accuracy(model: Model, flux: np.ndarray, number: np.ndarray) -> None:
    """How far each engine's answers are from torch's float32 on spectra that the networks have not seen."""
    predictor = Predictor(model, "torch", 0.0, 1)
    reference = predictor.predict(flux)
    found = np.stack([reference[f"prob_{label}"] for label in LABELS], 1).argmax(1)
    print(f"\naccuracy of the 13 classes in float32: {(found == number).mean():.3f}\n")
    print("| engine | max Δprob | classes changed | median Δz/(1+z) | max | median Δz/σ |\n|---|---|---|---|---|---|")
    for precision in ("f32", "bf16"):
        predictor.engine = OpenVinoEngine(predictor.networks, 1, precision)
        d = difference(predictor.predict(flux), reference)
        changes = f"{d['prob_max']:.2g} | {d['class_changed']:.2%} | {d['dz_median']:.2g} | {d['dz_max']:.2g}"
        print(f"| openvino {precision} | {changes} | {d['dz_over_std_median']:.2g} |", flush=True)


def speed(model: Model, flux: np.ndarray, rounds: int) -> None:
    """Engines against the plain loop, float32, 64 spectra a batch."""
    predictors = {}
    for name in ("torch loop f32", "openvino f32", "openvino bf16"):
        predictors[name] = Predictor(model, "torch", 0.0, 1)
        if name.startswith("openvino"):
            predictors[name].engine = OpenVinoEngine(predictors[name].networks, 1, name.split()[1])
    methods = {name: (lambda p=p: p.predict(flux)) for name, p in predictors.items()}
    count = sum(trained.network.spec["members"] for trained in model.all())
    show(f"{count} networks, {len(flux)} spectra, one thread", compare(methods, rounds), len(flux), "ms")


def _work(model: Model, flux: np.ndarray, ready, go, queue) -> None:
    torch.set_num_threads(1)
    predictor = Predictor(model, "openvino", 0.0, 1)
    predictor.predict(flux[:64])
    ready.release()
    go.wait()
    start = time.perf_counter()
    predictor.predict(flux)
    queue.put(time.perf_counter() - start)


def scaling(model: Model, flux: np.ndarray, rounds: int) -> None:
    """Spectra per second of two one-thread processes side by side over those of one."""
    context = multiprocessing.get_context("spawn")
    ratios = []
    for _ in range(rounds):
        rates = []
        for workers in (1, 2):
            ready, go, queue = context.Semaphore(0), context.Event(), context.Queue()
            jobs = [context.Process(target=_work, args=(model, flux, ready, go, queue)) for _ in range(workers)]
            for job in jobs:
                job.start()
            for _ in jobs:
                ready.acquire()
            go.set()
            rates.append(workers * len(flux) / max(queue.get() for _ in jobs))
            for job in jobs:
                job.join()
        ratios.append(rates[1] / rates[0])
        print(f"one process {rates[0]:.1f}, two {rates[1]:.1f} spectra per second: {ratios[-1]:.2f}")
    print(f"\ntwo processes: {np.median(ratios):.2f} times one (median of {rounds})")


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (
        ("pixels", 5001),
        ("members", 10),
        ("spectra", 128),
        ("rounds", 5),
        ("steps", 150),
        ("width", 16),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    torch.set_num_threads(1)
    flux, number, _ = sample(args.pixels, max(1, args.spectra // 13 + 1), seed=99)
    flux, number = flux[: args.spectra], number[: args.spectra]
    for head in ("huber", "bins"):
        print(f"\n## {head}: classifier and {len(REDSHIFT)} ensembles of {args.members}, {args.pixels} pixels")
        model = make_model(args, head)
        accuracy(model, flux, number)
        speed(model, flux, args.rounds)
    scaling(model, flux, args.rounds)


if __name__ == "__main__":
    main()
