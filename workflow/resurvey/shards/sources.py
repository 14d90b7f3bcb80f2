"""Where the spectra of a shard's targets come from: files of their own, rows of plate files, or released tables."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from resurvey.errors import ResurveyError
from resurvey.surveys import registry, sdss_fast
from resurvey.surveys.sdss_plate import Plate
from resurvey.surveys.spectrum import Spectrum

FAILED = "failed"  # the manifest's state of a file that is not there


class Downloads:
    """The manifest of a shard, by (plate, mjd, fiberid); fiberid -1 is the whole plate."""

    def __init__(self, manifest: pa.Table, raw: Path):
        self._raw = raw
        self._files: dict[tuple[int, int, int], list[dict]] = defaultdict(list)
        for row in manifest.select(["path", "state", "reason", "plate", "mjd", "fiberid", "route"]).to_pylist():
            self._files[row["plate"], row["mjd"], row["fiberid"]].append(row)

    def find(self, plate: int, mjd: int, fiberid: int, run2d: str) -> tuple[str, Path]:
        """(route, file) that holds a fibre. Raises ResurveyError with the reason why there is none.

        Where a plate was reduced more than once, the file below a folder named as the target's reduction is taken.
        """
        rows = self._files[plate, mjd, fiberid] + self._files[plate, mjd, -1]
        rows = [row for row in rows if run2d in Path(row["path"]).parts] or rows
        for row in rows:
            if row["state"] != FAILED:
                return row["route"], self._raw / row["path"]
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
        """The spectrum of a target (plate, mjd, fiberid, run2d). Raises ResurveyError with the reason when it has none."""
        keys = (target["plate"], target["mjd"], target["fiberid"])
        route, path = self._downloads.find(*keys, (target.get("run2d") or "").strip())
        try:
            spectrum = self._plate(path).spectrum(target["fiberid"]) if route == "plate" else self._single(path)
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
    def _single(path: Path) -> Spectrum:
        try:
            with open(path, "rb", buffering=0) as handle:
                data = handle.read()
        except OSError as error:
            raise ResurveyError(f"{path.name}: cannot be read ({error.strerror or error})") from error
        return sdss_fast.parse(data, path.name) or registry.read(path)

    def _plate(self, path: Path) -> Plate:
        if path in self._unusable:
            raise ResurveyError(self._unusable[path])
        if self._open is None or self._open[0] != path:
            self._stack.close()
            self._open = None
            try:
                hdus = self._stack.enter_context(registry.open_fits(path))
                self._open = (path, Plate(hdus, path.name))
            except ResurveyError as error:  # said once per fibre, found out once
                self._unusable[path] = str(error)
                raise
        return self._open[1]


def in_reading_order(targets: pa.Table) -> pa.Table:
    """Targets sorted by plate, mjd and fibre, so that each plate file is opened once."""
    return targets.sort_by([(key, "ascending") for key in ("plate", "mjd", "fiberid")])


def rows_of(targets: pa.Table, columns: tuple[str, ...]) -> Iterator[tuple[int, dict]]:
    """(row number, {column: value}) of a table, for the columns that it has."""
    yield from enumerate(targets.select([c for c in columns if c in targets.column_names]).to_pylist())
