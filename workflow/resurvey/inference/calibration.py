"""Redshift errors with a known coverage, learned from the validation split.

The ensemble's σ is the spread of initialisations and no error: it is only used to rank spectra. Per class, spectra are put into
bins of σ; in each, the 68.27% quantile of |Δz|/σ (with the (n+1) of split-conformal prediction) turns σ into the error that
covers the truth that often. The errors of the bins are made monotone in σ and interpolated in logarithms.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from resurvey import __version__, files, provenance
from resurvey.errors import ResurveyError
from resurvey.targets.by_shard import by_shard

ONE_SIGMA = math.erf(1 / math.sqrt(2))
PER_BIN = 60  # validation spectra per bin of σ: their quantile is then known to about 10%
MOST_BINS = 20
FEWEST = 20  # fewer spectra calibrate nothing  # fmt: skip
MOST = (
    1 << 15
)  # spectra of a class that are kept at least, where there are so many: 20 quantiles of 1600 each, good to 1%
SMALLEST = 1e-9


def quantile_high(values: np.ndarray, level: float) -> float:
    """The ⌈(n+1)·level⌉-th smallest value: covers a new one with probability ≥ level (its largest if n is too small)."""
    ordered = np.sort(values)
    return float(ordered[min(math.ceil((len(ordered) + 1) * level), len(ordered)) - 1])


def monotone(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted non-decreasing least-squares fit (pool adjacent violators)."""
    blocks: list[list[float]] = []
    for value, weight in zip(values, weights, strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (v, w, n), (v0, w0, n0) = blocks.pop(), blocks.pop()
            blocks.append([(v * w + v0 * w0) / (w + w0), w + w0, n + n0])
    return np.concatenate([np.full(int(n), v) for v, _, n in blocks])


def fit(z_true: np.ndarray, z: np.ndarray, z_std: np.ndarray) -> dict | None:
    """The map of one class from (n,) true and predicted redshifts and σ; None when there are too few.

    `sigma` and `error` are its knots; `scale` and `floor` describe it in two numbers, error ≈ √((scale·σ)² + floor²).
    """
    usable = np.isfinite(z_true) & np.isfinite(z) & np.isfinite(z_std)
    off, sigma = np.abs(z - z_true)[usable], np.maximum(z_std[usable], SMALLEST)
    if len(off) < FEWEST:
        return None
    groups = np.array_split(np.argsort(sigma, kind="stable"), min(MOST_BINS, max(1, len(off) // PER_BIN)))
    knots = np.array([np.median(sigma[group]) for group in groups])
    errors = np.array([quantile_high(off[group] / sigma[group], ONE_SIGMA) for group in groups]) * knots
    errors = np.exp(monotone(np.log(np.maximum(errors, SMALLEST)), np.array([len(group) for group in groups], float)))
    floor = float(errors[0])
    scale = quantile_high(np.sqrt(np.maximum(off**2 - floor**2, 0)) / sigma, ONE_SIGMA)
    entry = {"n": len(off), "sigma": knots.tolist(), "error": errors.tolist(), "scale": scale, "floor": floor}
    error = errors_of(entry, z_std[usable])
    return {**entry, "coverage": {"z_std": coverage(off, sigma), "z_err": coverage(off, error)}}


def errors_of(entry: dict, z_std: np.ndarray) -> np.ndarray:
    """1σ errors (n,) of σ (n,) by the map of a class. Below the first knot the error stays, above the last it grows with σ."""
    sigma, error = np.log(entry["sigma"]), np.log(entry["error"])
    x = np.log(np.maximum(np.asarray(z_std, float), SMALLEST))
    distinct = np.concatenate([[True], np.diff(sigma) > 0])
    inside = np.interp(x, sigma[distinct], error[distinct])
    return np.exp(np.where(x > sigma[-1], error[-1] + x - sigma[-1], inside))


def calibrated(z_std: np.ndarray, label: str, calibration: dict | None) -> np.ndarray:
    """1σ errors (n,) from σ of class `label` by the content of calibration.json; NaN where it has no map."""
    entry = (calibration or {}).get("classes", {}).get(label)
    if entry is None:
        return np.full(np.shape(z_std), np.nan)
    return errors_of(entry, z_std)


def coverage(off: np.ndarray, error: np.ndarray, times: Sequence[int] = (1, 2, 3)) -> list[float]:
    """Fractions of |Δz| (n,) within 1, 2 and 3 errors (n,); a Gaussian's are 0.683, 0.954, 0.997."""
    return [float(np.mean(off <= k * error)) for k in times]


class Thinned:
    """At least `most` of the rows that it was given, or all: each, then each second, fourth, … in the order in which they came."""

    def __init__(self, most: int = MOST) -> None:
        self._kept, self._count = np.empty((2 * most, 3)), 0
        self._every, self._given = 1, 0

    @property
    def rows(self) -> np.ndarray:
        """(n, 3): what was kept, n below twice `most`."""
        return self._kept[: self._count]

    def add(self, rows: np.ndarray) -> None:
        """Take more rows (n, 3)."""
        number = -self._given % self._every
        while number < len(rows):
            self._kept[self._count] = rows[number]
            self._count += 1
            number += self._every
            if self._count == len(self._kept):
                self._count //= 2
                self._kept[: self._count] = self._kept[::2].copy()
                self._every *= 2
        self._given += len(rows)


def calibrate(predictions: Sequence[Path], targets: Path, out: Path, model: str) -> dict:
    """Fit every class with a redshift on the spectra of that label in the validation split, write and return the JSON.

    predictions: numbered as the targets name their shards; one of them is in memory, and of each class fewer than twice MOST
    spectra. Raises ResurveyError when predictions are of different networks or of another model, or real and mock are mixed.
    """
    about = _agreed(predictions, targets, model)
    kept: dict[str, Thinned] = {}
    names = [path.stem for path in predictions]
    for path, rows in zip(predictions, by_shard(targets, ["spectrum_id", "label", "z", "split"], names), strict=True):
        for label, values in _validation(path, rows.filter(pc.equal(rows["split"], "valid"))):
            kept.setdefault(label, Thinned()).add(values)
    fits = {label: fit(*sample.rows.T) for label, sample in kept.items()}
    result = {
        "model": model,
        "origin": about["origin"],
        "split": "valid",
        "target_coverage": ONE_SIGMA,
        "networks": about.get("networks"),
        "weights": about.get("weights"),
        "engine": about.get("engine"),
        "classes": {label: entry for label, entry in fits.items() if entry},
        "too_few": [label for label, entry in fits.items() if entry is None],
        "code_version": __version__,
    }
    files.write_json(result, out)
    return result


def _agreed(predictions: Sequence[Path], targets: Path, model: str) -> dict:
    """The metadata of the first predictions, found to hold for all, and the origin of all."""
    first = files.read_meta(predictions[0])
    origin = provenance.common_origin([(str(predictions[0]), first), (str(targets), files.read_meta(targets))])
    for path in predictions:
        meta = files.read_meta(path)
        if meta.get("model") != model:
            raise ResurveyError(f"{path}: holds predictions of model {meta.get('model')}, not of {model}")
        if meta.get("weights") != first.get("weights"):
            raise ResurveyError(
                f"{path}: was predicted by other networks than {predictions[0]}; delete it and run again"
            )
        provenance.common_origin([(str(predictions[0]), first), (str(path), meta)])
    return {**first, "origin": origin}


def _validation(path: Path, targets: pa.Table) -> Iterator[tuple[str, np.ndarray]]:
    """Per class with a redshift in the predictions of a shard: its spectra among `targets` as rows of z_true, z, z_std."""
    names = files.open_parquet(path).schema_arrow.names
    labels = [name.removeprefix("z_std_") for name in names if name.startswith("z_std_")]
    table = files.read_table(path, ["spectrum_id", *(f"{kind}_{label}" for label in labels for kind in ("z", "z_std"))])
    place = pc.index_in(targets["spectrum_id"], value_set=table["spectrum_id"].combine_chunks())
    targets, table = targets.filter(pc.is_valid(place)), table.take(place.drop_null())
    for label in labels:
        own = pc.fill_null(pc.equal(targets["label"], label), False)
        columns = (targets["z"], table[f"z_{label}"], table[f"z_std_{label}"])
        yield label, np.column_stack([column.filter(own).to_numpy().astype(float) for column in columns])
