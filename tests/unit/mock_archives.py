"""A small mock archive of each survey, made once for all modules that read it."""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from resurvey.archive import mock_apogee, mock_desi, mock_fourmost, mock_sdss


@dataclass(frozen=True)
class Archive:
    """build: what writes it; options: its sizes; root: the folder that it takes, below --out; spectra: the FITS files that it has at least."""

    build: Callable
    options: dict
    root: str
    spectra: int


ARCHIVES = {
    "sdss_dr16": Archive(mock_sdss.build, {"per_class": 9, "extra": 40, "lite_plates": 2, "seed": 3, "lite": "all", "missing": 1}, "dr16", 150),
    "apogee_dr14": Archive(mock_apogee.build, {"stars": 70, "clusters": 4, "visits": 3, "apvisits": 2, "seed": 3, "missing": 1, "templates": None}, "dr14/apogee/spectro/redux/r8", 150),
    "desi_edr": Archive(mock_desi.build, {"per_class": 60, "extra": 9, "pixels": 6, "seed": 3}, "edr", 17),
    "fourmost_mock": Archive(mock_fourmost.build, {"per_class": 12, "step": 4.0, "fields": 3, "repeats": 0.1, "seed": 4, "templates": None}, "fourmost", 4),
}  # fmt: skip


def made(factory, release: str) -> Path:
    """The --out of a release's archive; `factory` is pytest's tmp_path_factory. Nothing in it is changed."""
    return _made(factory.getbasetemp(), release)


@functools.cache
def _made(base: Path, release: str) -> Path:
    archive = ARCHIVES[release]
    archive.build(base / f"archive_{release}", release, archive.options, threads=1)
    return base / f"archive_{release}"


def digests(root: Path) -> dict[str, str]:
    """{path below root: SHA-1} of all files."""
    return {
        str(path.relative_to(root)): hashlib.sha1(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
