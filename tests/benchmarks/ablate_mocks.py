"""What each ingredient of docs/mocks-to-real.md is good for: networks trained on equally many spectra, with one ingredient less.

    python tests/benchmarks/ablate_mocks.py TEMPLATES OUT [--spectra FILE… --labels CSV] [--networks …] [--rows …]

Prints one Markdown row per training: score on mock spectra drawn apart with all faults, and on real spectra where some are given
(labels: spectrum_id, class, z). Redshifts: the network of the true class. Trained networks are kept in OUT/ROW and not trained again.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import train_on_mocks as training

ROWS = {  # what is changed: of the network's entry, and of its training spectra
    "full": ({}, {}),
    "paper's Huber head": ({"head": "huber"}, {}),
    "flux alone": ({"channels": ["flux"]}, {}),
    "plain mix": ({}, {"mix": "plain"}),
    "no faults, no reddening": ({}, {"without": "faults"}),
    "no calibration errors, no reddening": ({}, {"without": "colour"}),
    "white noise": ({}, {"without": "white"}),
}
CHOSEN_ON = "table1"  # mix of the mock spectra that score
LIMITS = {"GALAXY": (0.0015, 0.01), "QSO": (0.015, 0.05)}


def draw(templates: str, network: str, count: int, seed: int, **how):
    """A Split of `count` spectra for a network: 0 to train, 1 to choose the epoch, 2 to score."""
    names = training.classes_of(network)
    return training.split(
        templates, names, count // len(names), [training.SEED, seed], **{"mix": training.MIX[network], **how}
    )


def name_of(row: str) -> str:
    """A folder's name of a row."""
    return row.replace("'", "").replace(",", "").replace(" ", "_")


def score(network, flux: np.ndarray, label: np.ndarray, z: np.ndarray) -> str:
    """Cells of a row: accuracy and the fraction recognised of each class, or fractions within the limits and the median."""
    import torch
    from resurvey.networks.heads import make_head

    network.eval()
    with torch.inference_mode():
        outputs = torch.cat([network(part) for part in torch.from_numpy(flux).split(256)])
    if network.spec["head"]["kind"] == "softmax":
        found = torch.softmax(outputs.double(), 2).mean(1).argmax(1).numpy()
        each = ", ".join(f"{(found[label == k] == k).mean():.3f}" for k in range(len(training.CLASSES)))
        return f"{(found == label).mean():.3f} ({each})"
    d = np.abs(np.log1p(make_head(network.spec["head"]).read(outputs)["z"].numpy()) - np.log1p(z))
    good, far = LIMITS[training.CLASSES[label[0]]]
    return f"{(d < good).mean():.3f}, {(d < far).mean():.3f}, {np.median(d):.1e}"


def real(files: list[str], labels: str, about: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(flux (n, pixels), class number, z) of labelled spectra, prepared as a network's."""
    import pandas as pd
    from resurvey.inference.own import expand
    from resurvey.inference.prepare import preparer
    from resurvey.surveys.registry import read_all
    from resurvey.surveys.spectrum import Spectrum

    truth = pd.read_csv(labels, dtype={"spectrum_id": str}).set_index("spectrum_id")
    found = {}
    for path in expand(files):
        for one in read_all(path):
            if isinstance(one, Spectrum) and one.spectrum_id in truth.index:
                found.setdefault(one.spectrum_id, one)
    ready = zip(found, preparer(about)(list(found.values())), strict=True)
    flux = {name: seen.flux for name, seen in ready if not isinstance(seen, str)}
    rows = truth.loc[list(flux)]
    number = np.array([training.CLASSES.index(name) for name in rows["class"]])
    return np.stack(list(flux.values())), number, rows["z"].to_numpy(float)


def main(argv: list[str]) -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("templates")
    parser.add_argument("out", type=Path)
    parser.add_argument("--spectra", nargs="+", help="real spectra")
    parser.add_argument("--labels", help="CSV of spectrum_id, class, z")
    parser.add_argument("--networks", nargs="+", default=["ResNet_GALAXY", "ResNet_P"])
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--count", type=int, default=30000, help="training spectra of a network")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--tests", type=int, default=3000, help="mock spectra that score")
    args = parser.parse_args(argv)
    import torch
    from resurvey.inference.models import load_network

    torch.set_num_threads(1)
    theirs = None
    for network in args.networks:
        names = training.classes_of(network)
        apart, made = draw(args.templates, network, args.tests, 2, mix=CHOSEN_ON), {}
        for row in args.rows:
            about, mocks = ROWS[row]
            if network == "ResNet_P" and "head" in about:
                continue
            folder = args.out / name_of(row)
            if not (folder / network / "model.json").exists():
                key = tuple(mocks.items())
                if key not in made:
                    fitted = draw(args.templates, network, args.count, 0, **mocks)
                    made = {key: (fitted, draw(args.templates, network, args.tests, 1))}
                entry = training.entry(args.epochs, **{"channels": ["asinh", "contrast"], "head": "bins", **about},
                                       width=args.width)  # fmt: skip
                training.train(network, folder, made[key], entry, training.SEED)
            trained = load_network(folder / network, network)
            cells = [score(trained.network, apart.flux, apart.number, apart.z)]
            if args.spectra:
                theirs = theirs or real(args.spectra, args.labels, trained.about)
                mine = np.isin(theirs[1], [training.CLASSES.index(name) for name in names])
                cells.append(score(trained.network, *(part[mine] for part in theirs)))
            print(f"| {network} | {row} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
