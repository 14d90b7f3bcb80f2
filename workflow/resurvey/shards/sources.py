"""Where the spectra of a shard's targets come from: files of their own, rows of plate files, or released tables."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from resurvey.errors import ResurveyError
from resurvey.surveys import registry, sdss_fast
from resurvey.surveys.sdss_plate import Plate
from resurvey.surveys.spectrum import Spectrum

COLUMNS = ["path", "state", "reason", "plate", "mjd", "fiberid", "route", "digest", "algorithm"]
FAILED = "failed"  # the manifest's state of a file that is not there


class Rotten(ResurveyError):
    """A raw file is not, or no longer, the one that the manifest speaks of: never a matter of a single row."""

    def __init__(self, path: Path, why: str):
        super().__init__(f"{path}: {why}")
        self.path, self.why = path, why


class Downloads:
    """The manifest of a shard, by (plate, mjd, fiberid); fiberid -1 is the whole plate."""

    def __init__(self, manifest: pa.Table, raw: Path):
        self._raw = raw
        self._files: dict[tuple[int, int, int], list[dict]] = defaultdict(list)
        for row in manifest.select(COLUMNS).to_pylist():
            self._files[row["plate"], row["mjd"], row["fiberid"]].append(row)

    def find(self, plate: int, mjd: int, fiberid: int, run2d: str) -> tuple[dict, Path]:
        """(row of the manifest, file) that holds a fibre. Raises ResurveyError with the reason why there is none.

        Where a plate was reduced more than once, the file below a folder named as the target's reduction is taken.
        """
        rows = self._files[plate, mjd, fiberid] + self._files[plate, mjd, -1]
        rows = [row for row in rows if run2d in Path(row["path"]).parts] or rows
        for row in rows:
            if row["state"] != FAILED:
                return row, self._raw / row["path"]
        if rows:
            raise ResurveyError(f"was not fetched: {rows[0]['path']}: {rows[0]['reason']}")
        raise ResurveyError("was not fetched: no file of it stands in the manifest of downloads")


class ArchiveSpectra:
    """Reads single fibres; one plate file is kept open until another is asked for, so targets should come plate by plate."""

    def __init__(self, downloads: Downloads):
        self._downloads = downloads
        self._stack = ExitStack()
        self._open: tuple[Path, Plate] | None = None
        self._unusable: dict[Path, str] = {}

    def __enter__(self) -> "ArchiveSpectra":
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    def read(self, target: dict) -> Spectrum:
        """The spectrum of a target (plate, mjd, fiberid, run2d). Raises ResurveyError with the reason when it has none,
        Rotten when its file is not the one that was fetched."""
        keys = (target["plate"], target["mjd"], target["fiberid"])
        row, path = self._downloads.find(*keys, (target.get("run2d") or "").strip())
        try:
            if row["route"] == "plate":
                spectrum = self._plate(path, row).spectrum(target["fiberid"])
            else:
                spectrum = self._single(path, row)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise ResurveyError(f"{path.name}: is damaged ({error})") from error
        found = (spectrum.plate, spectrum.mjd, spectrum.fiberid)
        if found != keys:
            raise ResurveyError(f"{path.name}: holds plate-mjd-fibre {found}, not {keys}")
        run2d = (target.get("run2d") or "").strip()
        if run2d and spectrum.run2d and spectrum.run2d != run2d:
            raise ResurveyError(f"{path.name}: is of the reduction {spectrum.run2d}, the catalogue speaks of {run2d}")
        if spectrum.sky:
            raise ResurveyError(f"{path.name}: is a sky fibre; class and redshift mean nothing there")
        return spectrum

    @staticmethod
    def _single(path: Path, row: dict) -> Spectrum:
        return sdss_fast.parse(checked_bytes(path, row), path.name) or registry.read(path)

    def _plate(self, path: Path, row: dict) -> Plate:
        if path in self._unusable:
            raise ResurveyError(self._unusable[path])
        if self._open is None or self._open[0] != path:
            self._stack.close()
            self._open = None
            check_digest(path, row)
            try:
                hdus = self._stack.enter_context(registry.open_fits(path))
                self._open = (path, Plate(hdus, path.name))
            except ResurveyError as error:  # said once per fibre, found out once
                self._unusable[path] = str(error)
                raise
        return self._open[1]


def check_digest(path: Path, row: dict) -> None:
    """Read a raw file through, for files that are too large to be held. Raises as checked_bytes()."""
    with _opened(path) as handle:
        _require(path, hashlib.file_digest(handle, row["algorithm"]).hexdigest(), row)


def checked_bytes(path: Path, row: dict) -> bytes:
    """A raw file whole. Raises Rotten when it is gone or its digest is not that of its row of the manifest, ResurveyError when it
    cannot be read."""
    with _opened(path) as handle:
        data = handle.read()
    _require(path, hashlib.new(row["algorithm"], data).hexdigest(), row)
    return data


def _opened(path: Path) -> BinaryIO:
    """A raw file, to be read once from its begin. Raises Rotten when it is gone, ResurveyError when it cannot be read."""
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        raise Rotten(path, "is gone since it was fetched") from None
    except OSError as error:
        raise ResurveyError(f"{path.name}: cannot be read ({error.strerror or error})") from error


def _require(path: Path, found: str, row: dict) -> None:
    if found != row["digest"]:
        raise Rotten(
            path, f"its {row['algorithm']} digest {found} is not the {row['digest']} with which it was fetched"
        )


def in_reading_order(targets: pa.Table) -> pa.Table:
    """Targets sorted by plate, mjd and fibre, so that each plate file is opened once."""
    return targets.sort_by([(key, "ascending") for key in ("plate", "mjd", "fiberid")])


def rows_of(targets: pa.Table, columns: tuple[str, ...]) -> Iterator[tuple[int, dict]]:
    """(row number, {column: value}) of a table, for the columns that it has."""
    yield from enumerate(targets.select([c for c in columns if c in targets.column_names]).to_pylist())
