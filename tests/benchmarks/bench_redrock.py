"""redrock and our networks on the same mock spectra: seconds per spectrum and core, classes, redshifts.

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python tests/benchmarks/bench_redrock.py [--per-class 4] [--run demo]

Needs redrock (`pip install -e .[bench]`), its templates (RR_TEMPLATE_DIR) and a finished run (`make demo`). redrock gets the
spectra as the survey's files have them: native log-λ pixels, AND mask applied, a Gaussian resolution matrix of constant
width. Our networks get the shards' rows of the same spectra. Both choose among all their classes; a redshift is that of
the chosen class, 0 for a star. One thread each, in turns: a block of one spectrum per class to either.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jobs import ROOT
from record import Unavailable, record, start
from redrock_templates import find_templates

SIGMA = 0.9  # pixels of 1e-4 in log10 λ: the middle of SDSS's 0.7 to 1.4
THRESHOLDS = {"GALAXY": 0.0015, "QSO": 0.015}  # of a good redshift (paper, Eq. 10)
CROP = (3600.0, 9900.0)  # Å: what the templates cover at all their redshifts (GALAXY ends at 10,000 Å, z from −0.005)


def resolution(pixels: int):
    """Gaussian resolution matrix (pixels, pixels) of SIGMA, in the diagonal form that redrock takes."""
    import scipy.sparse

    offsets = np.arange(-5, 6)
    weights = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    return scipy.sparse.dia_matrix((np.repeat(weights[:, None] / weights.sum(), pixels, 1), offsets), (pixels, pixels))


def chosen(run: Path, raw: Path, per_class: int) -> tuple[pa.Table, np.ndarray, list]:
    """(all test rows, flux (rows, pixels), [(row, Spectrum)] of `per_class` of each class, class by class in turn)."""
    from resurvey.errors import ResurveyError
    from resurvey.files import read_table
    from resurvey.shards.reading import load
    from resurvey.shards.sources import ArchiveSpectra, Downloads

    paths = sorted(path for path in (run / "shards").glob("*.parquet") if path.stem.isdigit())
    if not paths:
        raise Unavailable(f"{run}: holds no shards; run `make demo` first")
    flux, table = load(paths, "test")
    shard = read_table(run / "targets.parquet", ["spectrum_id", "shard"])
    shard = dict(zip(shard["spectrum_id"].to_pylist(), shard["shard"].to_pylist(), strict=True))
    by_class = {}
    order = np.random.default_rng(1).permutation(len(table))
    rows = table.select(["spectrum_id", "plate", "mjd", "fiberid", "run2d", "label"]).take(pa.array(order)).to_pylist()
    for number, row in zip(order, rows, strict=True):
        of_class = by_class.setdefault(row["label"], [])
        if len(of_class) < per_class:
            manifest = read_table(run / "downloads" / f"{shard[row['spectrum_id']]}.parquet")
            with ArchiveSpectra(Downloads(manifest, raw)) as spectra:
                try:
                    of_class.append((int(number), spectra.read(row)))
                except ResurveyError as error:
                    raise Unavailable(f"{row['spectrum_id']}: {error}; are the raw files still in {raw}?") from error
    blocks = zip(*(by_class[label] for label in sorted(by_class)), strict=True)
    return table, flux, [list(block) for block in blocks]


class Redrock:
    """redrock with its templates on the grids of the two spectrographs."""

    def __init__(self, folder: Path, spectra: list) -> None:
        from redrock.templates import load_dist_templates

        self.grids = {}
        for spectrum in spectra:
            known = self.grids.get(self._band(spectrum))
            index = self._index(spectrum)
            low, high = (index[0], index[-1]) if known is None else (min(known[0], index[0]), max(known[-1], index[-1]))
            self.grids[self._band(spectrum)] = np.arange(low, high + 1)
        waves = {band: 10 ** (index * 1e-4) for band, index in self.grids.items()}
        self.matrices = {band: resolution(len(index)) for band, index in self.grids.items()}
        begun = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            self.templates = load_dist_templates(waves, templates=str(folder), mp_procs=1)
        self.preparation = time.perf_counter() - begun

    @staticmethod
    def _band(spectrum) -> str:
        return "sdss" if spectrum.plate < 3510 else "boss"

    @staticmethod
    def _index(spectrum) -> np.ndarray:
        inside = (spectrum.wavelength > CROP[0]) & (spectrum.wavelength < CROP[1])
        return np.rint(np.log10(spectrum.wavelength[inside]) * 1e4).astype(int)

    def target(self, spectrum):
        """A spectrum on the grid of its spectrograph: its own pixels, inverse variance 0 where it has none."""
        from redrock.targets import Spectrum, Target

        band, index = self._band(spectrum), self._index(spectrum)
        at = index - self.grids[band][0]
        inside = (spectrum.wavelength > CROP[0]) & (spectrum.wavelength < CROP[1])
        flux, ivar = np.zeros(len(self.grids[band])), np.zeros(len(self.grids[band]))
        flux[at] = spectrum.flux[inside]
        ivar[at] = np.where(spectrum.mask[inside] == 0, spectrum.ivar[inside], 0)
        wave, matrix = 10 ** (self.grids[band] * 1e-4), self.matrices[band]
        number = (spectrum.plate * 100000 + spectrum.mjd) * 10000 + spectrum.fiberid
        return Target(number, [Spectrum(wave, flux, ivar, matrix, matrix.tocsr(), band=band)])

    def __call__(self, spectra: list) -> list[tuple[str, float]]:
        """(class, z) of each spectrum."""
        from redrock.targets import DistTargetsCopy
        from redrock.zfind import zfind

        targets = [self.target(spectrum) for spectrum in spectra]
        with contextlib.redirect_stdout(io.StringIO()):
            _, fits = zfind(DistTargetsCopy(targets), self.templates, mp_procs=1)
        best = {int(row["targetid"]): row for row in fits if row["znum"] == 0}
        found = [best[target.id] for target in targets]
        return [(str(row["spectype"]), 0.0 if row["spectype"] == "STAR" else float(row["z"])) for row in found]


class Ours:
    """Our networks of a model on one thread."""

    def __init__(self, models: Path, model: str) -> None:
        import torch
        from resurvey.inference.models import find_homes, load_model
        from resurvey.inference.predict import Predictor

        torch.set_num_threads(1)
        homes = find_homes(models, model)
        if not any("ResNet_P" in name for name in homes):
            raise Unavailable(f"{models / model}: the run's networks are not all trained; run `make demo` first")
        self.predictor = Predictor(load_model(models, model, homes), "auto", 0.0, 1)
        self.labels = self.predictor.model.labels

    def __call__(self, flux: np.ndarray) -> list[tuple[str, float]]:
        """(class of three, z) of each row of flux."""
        found = []
        for at in range(0, len(flux), 256):
            part = self.predictor.predict(flux[at : at + 256])
            best = np.stack([np.ma.getdata(part[f"prob_{label}"]) for label in self.labels], 1).argmax(1)
            for row, number in enumerate(best):
                label = self.labels[number]
                found.append((label.split("_")[0], float(part[f"z_{label}"][row]) if f"z_{label}" in part else 0.0))
        return found


def score(labels: list[str], z_true: np.ndarray, answers: list[tuple[str, float]]) -> dict[str, dict[str, float]]:
    """Per coarse class: N, accuracy of the class, and for galaxies and quasars Δz, GF and median |Δz|/(1+z)."""
    from resurvey.metrics import redshift

    coarse = np.array([label.split("_")[0] for label in labels])
    found, z = np.array([answer[0] for answer in answers]), np.array([answer[1] for answer in answers])
    result = {"all": {"N": len(labels), "accuracy": float((found == coarse).mean())}}
    for name in ("STAR", "GALAXY", "QSO"):
        here = coarse == name
        entry = {"N": int(here.sum()), "accuracy": float((found[here] == name).mean())}
        if name in THRESHOLDS:
            truth, given = z_true[here], z[here]
            entry["Δz"] = redshift.relative_error(truth, given)
            entry["GF"] = redshift.good_fraction(truth, given, THRESHOLDS[name])
            entry["median Δz/(1+z)"] = float(np.median(np.abs(given - truth) / (1 + truth)))
        result[name] = entry
    return result


def show_scores(columns: dict[str, dict[str, dict[str, float]]]) -> None:
    """The scores side by side: redrock's, ours on the same spectra, ours on the whole test split."""
    for name, entry in next(iter(columns.values())).items():
        for quantity in entry:
            if quantity != "N":
                form = "{:.3f}" if quantity in ("accuracy", "GF") else "{:.2g}"
                beside = ", ".join(
                    f"{who} {form.format(c[name][quantity])} (N = {c[name]['N']})" for who, c in columns.items()
                )
                value = next(iter(columns.values()))[name][quantity]
                record(f"{'all classes' if name == 'all' else name}: {quantity}", value, beside)


def main() -> None:
    """Time both in turns on the same spectra, then set their answers side by side."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", default="demo", help="a finished run below results/")
    parser.add_argument("--dataset", default="sdss_dr16")
    parser.add_argument("--model", default="gasnet2_sdss_zpdf")
    parser.add_argument("--per-class", type=int, default=4, help="test spectra of each class that redrock gets")
    args = parser.parse_args()
    try:
        import redrock
    except ImportError as error:
        raise Unavailable("redrock is not installed: pip install -e '.[bench]'") from error
    run = ROOT / "results" / args.run
    table, flux, blocks = chosen(
        run / args.dataset, ROOT / "resources" / f"mock_{args.run}" / "sdss_dr16", args.per_class
    )
    labels = table["label"].to_pylist()
    z_true = np.nan_to_num(pc.cast(table["z"], pa.float64()).to_numpy(zero_copy_only=False))
    ours = Ours(run / "models", args.model)
    with tempfile.TemporaryDirectory() as scratch:
        folder, name = find_templates(Path(scratch))
        peer = Redrock(folder, [spectrum for block in blocks for _, spectrum in block])
    print(f"redrock {redrock.__version__}, templates: {name}; rebinned once in {peer.preparation:.1f} s")
    peer([blocks[0][0][1]])  # compiles
    ours(flux[:64])
    answers, seconds = [], {"redrock": [], "ours": []}
    repeat = np.resize(np.arange(len(flux)), 512)  # milliseconds each: enough of them to be timed
    for block in blocks:
        begun = time.perf_counter()
        answers += peer([spectrum for _, spectrum in block])
        seconds["redrock"].append((time.perf_counter() - begun) / len(block))
        begun = time.perf_counter()
        ours(flux[repeat])
        seconds["ours"].append((time.perf_counter() - begun) / len(repeat))
    rows = [number for block in blocks for number, _ in block]
    everything = ours(flux)
    columns = {
        "redrock": score([labels[i] for i in rows], z_true[rows], answers),
        "ours, same spectra": score([labels[i] for i in rows], z_true[rows], [everything[i] for i in rows]),
        "ours, whole test split": score(labels, z_true, everything),
    }
    engine = ours.predictor.engine
    print(f"ours: {args.model} of results/{args.run}, {engine.name} {engine.precision}; all of it the mock survey\n")
    record("redrock, per spectrum and core", statistics.median(seconds["redrock"]), "{:.2f} s")
    count = sum(trained.network.spec["members"] for trained in ours.predictor.model.all())
    record(
        f"ours ({count} networks of {flux.shape[1]} pixels), per spectrum and core",
        1e3 * statistics.median(seconds["ours"]),
        "{:.2f} ms",
    )
    ratios = [a / b for a, b in zip(seconds["redrock"], seconds["ours"], strict=True)]
    record("redrock's time over ours", statistics.median(ratios), "{:.0f} ×")
    show_scores(columns)


if __name__ == "__main__":
    start(main)
