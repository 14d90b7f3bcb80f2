"""APOGEE stars → a shard of continuum-normalised spectra: each star's file is read once, for its combined spectrum and its visits."""

from collections.abc import Iterator
from itertools import groupby

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.shards.job import Job, MixedOrigin
from resurvey.shards.sources import FAILED, Rotten, checked_bytes, rows_of
from resurvey.shards.writer import ShardWriter, open_shard
from resurvey.surveys import registry
from resurvey.surveys.apogee_continuum import Normaliser
from resurvey.surveys.apogee_grid import FULL
from resurvey.surveys.apogee_star import APSTAR, ASPCAPSTAR, Star, star
from resurvey.surveys.spectrum import CONTINUUM_UNIT

PRODUCTS = {"apstar": APSTAR, "aspcapstar": ASPCAPSTAR}  # by their names in a dataset
METHODS = {"apstar": "chebyshev", "aspcapstar": "aspcap"}  # how each is normalised
REQUIRED = ("spectrum_id", "apogee_id", "location_id", "file", "visit", "sn_median")
COLUMNS = (*REQUIRED, "field", "telescope")  # those that a release may lay out its files by
BATCH = 64  # spectra that are normalised together


def build_apogee(job: Job) -> dict[str, int]:
    """Read, normalise and write the rows of a job; returns {expected, read, rejected}.

    Dataset's keys: product, grid {chips, pixels}, continuum, mask_bits; extras: {continuum_pixels: path}. The S/N of rows that have
    none (visits) is taken from the file's header. Raises ResurveyError for settings that do not fit together.
    """
    product = job.dataset.get("product", "apstar")
    normaliser = Normaliser.from_settings(job.dataset, job.settings.get("extras") or {})
    pixels = normaliser.chips.pixels
    _require_settings(job.dataset, product, normaliser)
    missing = [name for name in REQUIRED if name not in job.rows.column_names]
    if missing:
        raise ResurveyError(f"targets: lack the columns {', '.join(missing)}, which spectra of APOGEE need")
    rows = job.rows.sort_by([(key, "ascending") for key in ("file", "location_id", "visit")])
    meta = {
        **job.meta,
        "flux_unit": CONTINUUM_UNIT,
        "grid": normaliser.chips.meta(),
        "product": product,
        "normalisation": normaliser.meta(),
        "ivar_known": True,
    }
    files = StarFiles(job, product)
    with open_shard(rows, pixels, meta, job.out, job.rejected) as writer:
        batch = Batch(normaliser, writer)
        for _, group in groupby(rows_of(rows, COLUMNS), key=lambda row: files.path(row[1])):
            for number, target, found in files.spectra(list(group), writer):
                batch.add(number, target, found)
        batch.flush()
    return writer.counts()


def _require_settings(dataset: dict, product: str, normaliser: Normaliser) -> None:
    if product not in PRODUCTS:
        raise ResurveyError(f"product: {product!r} is not known; give {' or '.join(PRODUCTS)}")
    if normaliser.method != METHODS[product]:
        raise ResurveyError(
            f"continuum.method: {normaliser.method!r} does not fit the product {product!r}; give {METHODS[product]}"
        )
    wanted = dataset["grid"].get("pixels", normaliser.chips.pixels)
    if wanted != normaliser.chips.pixels:
        raise ResurveyError(
            f"grid.pixels: {wanted}, but the detectors {normaliser.chips.name} have {normaliser.chips.pixels}"
        )


class StarFiles:
    """The files of a manifest, by the paths that the release's template gives to targets."""

    def __init__(self, job: Job, product: str):
        self._job, self._product = job, PRODUCTS[product]
        templates = job.settings["release"].get("paths", {})
        if product not in templates:
            raise ResurveyError(f"paths.{product}: is missing in the release, which must say where these files lie")
        self._template = templates[product]
        columns = ["path", "state", "reason", "digest", "algorithm"]
        self._rows = {row["path"]: row for row in job.manifest.select(columns).to_pylist()}

    def path(self, target: dict) -> str:
        """Where the target's file lies below the folder of raw files, as it was planned."""
        try:
            return self._template.format(**target)
        except KeyError as error:
            raise ResurveyError(
                f"targets: lack the column {error}, by which the release {self._template!r} is laid out"
            ) from None

    def find(self, target: dict) -> dict:
        """The manifest's row of a target's file. Raises ResurveyError with the reason why there is none."""
        path = self.path(target)
        row = self._rows.get(path)
        if row is None:
            raise ResurveyError(f"was not fetched: {path} does not stand in the manifest of downloads")
        if row["state"] == FAILED:
            raise ResurveyError(f"was not fetched: {path}: {row['reason']}")
        return row

    def spectra(self, group: list[tuple[int, dict]], writer: ShardWriter) -> Iterator[tuple[int, dict, Star]]:
        """(row number, target, star) of the targets of one file whose row is there; the others are rejected with the reason."""
        try:
            found = self._star(group[0][1])
        except (MixedOrigin, Rotten):
            raise
        except ResurveyError as error:
            for _, target in group:
                writer.reject(target["spectrum_id"], str(error))
            return
        for number, target in group:
            try:
                _require_same(found, target)
                found.require(target["visit"])
            except ResurveyError as error:
                reason = str(error).removeprefix(f"{found.name}: ")  # the row says of which file; reasons are counted
                writer.reject(target["spectrum_id"], reason)
            else:
                yield number, target, found

    def _star(self, target: dict) -> Star:
        row = self.find(target)
        path = self._job.raw / row["path"]
        data = checked_bytes(path, row)
        try:
            with registry.open_fits(path, data) as hdus:
                found = star(hdus, path.name)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise ResurveyError(f"{path.name}: is damaged ({error})") from error
        if found.product != self._product:
            raise ResurveyError(f"{path.name}: is of the kind {found.product}, not {self._product}")
        self._job.require_origin(target["spectrum_id"], found.about["origin"])
        return found


def _require_same(found: Star, target: dict) -> None:
    """Raises ResurveyError where a file's header names another star or field than the target."""
    for key in ("apogee_id", "location_id"):
        said = found.about["names"][key]
        if said is not None and said != target[key]:
            raise ResurveyError(f"{found.name}: is of {key} {said}, the catalogue speaks of {target[key]}")


class Batch:
    """Gathers raw spectra, normalises them together and hands them to the writer."""

    def __init__(self, normaliser: Normaliser, writer: ShardWriter):
        self._normaliser, self._writer = normaliser, writer
        self._flux, self._error = (np.empty((BATCH, FULL), np.float32) for _ in range(2))
        self._mask = np.empty((BATCH, FULL), np.int32)
        self._wavelength = normaliser.chips.wavelength()
        self._targets: list[tuple[int, str, dict[str, object]]] = []

    def add(self, number: int, target: dict, found: Star) -> None:
        """Take the target's spectrum out of its star's file."""
        at, row = len(self._targets), target["visit"]
        self._flux[at], self._error[at], self._mask[at] = found.flux[row], found.error[row], found.mask[row]
        known = {} if target["sn_median"] is not None else {"sn_median": found.sn[row]}
        self._targets.append((number, target["spectrum_id"], known))
        if len(self._targets) == BATCH:
            self.flush()

    def flush(self) -> None:
        """Normalise and write what was gathered."""
        count = len(self._targets)
        done = self._normaliser(self._flux[:count], self._error[:count], self._mask[:count])
        good = done.ivar > 0
        for row, (number, spectrum_id, known) in enumerate(self._targets):
            pixels = np.flatnonzero(good[row])
            reason = done.reasons[row] or (None if pixels.size else "all its pixels are masked or were not measured")
            if reason:
                self._writer.reject(spectrum_id, reason)
                continue
            flux, ivar = self._writer.slot()
            flux[:], ivar[:] = done.flux[row], done.ivar[row]
            low, high = self._wavelength[pixels[[0, -1]]].tolist()
            self._writer.accept(number, pixels.size, low, high, **known)
        self._targets.clear()
