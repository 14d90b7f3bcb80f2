"""Any file a user may give → spectra, or one clear reason. The readers stand in one table, tried in order."""

import gzip
import io
import os
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resurvey.errors import ResurveyError
from resurvey.surveys import (
    apogee_star,
    apogee_visit,
    desi_coadd,
    foreign,
    fourmost,
    sdss_fast,
    sdss_plate,
    sdss_spec,
    sdss_spspec,
    spectra_table,
    text,
)
from resurvey.surveys.spectrum import Rejected, Spectrum

FITS_READERS = (sdss_spec, sdss_spspec, apogee_star, apogee_visit, desi_coadd, fourmost, sdss_plate, spectra_table)
SKY = "is a sky fibre; class and redshift mean nothing there"
FAST_LIMIT = 16 << 20  # larger files are opened, not read whole

_MAGIC = (
    (b"\xff\xd8\xff", "is a JPEG image"),
    (b"\x89PNG", "is a PNG image"),
    (b"PK\x03\x04", "is a zip archive (or .npz)"),
    (b"PAR1", "is a Parquet file"),
    (b"\x89HDF", "is an HDF5 file"),
    (b"\x93NUMPY", "is a numpy file"),
    (b"BZh", "is compressed with bzip2; decompress it"),
    (b"\xfd7zXZ", "is compressed with xz; decompress it"),
    (b"%PDF", "is a PDF document"),
)


def _content(path: Path) -> bytes | None:
    """The bytes of a file, gzip undone; None for a FITS file that is too large to be read whole. Raises ResurveyError."""
    name = str(path)
    try:
        with open(path, "rb", buffering=0) as handle:
            size = os.fstat(handle.fileno()).st_size
            if size > FAST_LIMIT and handle.read(9) == b"SIMPLE  =":
                return None
            handle.seek(0)
            data = handle.read()
    except IsADirectoryError as error:
        raise ResurveyError(f"{name}: is a folder; name the files in it, e.g. {name}/*.fits") from error
    except OSError as error:
        raise ResurveyError(f"{name}: cannot be read ({error.strerror or error})") from error
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ResurveyError(f"{name}: is a damaged or truncated gzip file ({error}); fetch it again") from error
    if not data:
        raise ResurveyError(f"{name}: is empty; fetch it again")
    start = data[:512].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise ResurveyError(f"{name}: is a web page, probably a server's error message, not a spectrum; fetch it again")
    for magic, what in _MAGIC:
        if data.startswith(magic):
            raise ResurveyError(f"{name}: {what}, not a spectrum that can be read here (FITS or text)")
    if b"\0" in data[:512] and not data.startswith(b"SIMPLE"):
        raise ResurveyError(f"{name}: is neither FITS nor plain text (its first bytes are {data[:8]!r})")
    return data


@contextmanager
def open_fits(path: Path, data: bytes | None = None) -> Iterator[object]:
    """astropy's HDU list of a file or of its bytes, after a check that every HDU is there in full. Raises ResurveyError."""
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        warnings.simplefilter("ignore", UserWarning)
        size = path.stat().st_size if data is None else len(data)
        try:
            memmap = (
                None if data is None else False
            )  # None: mapped, but images of unsigned integers, which cannot be, are read
            hdus = fits.open(path if data is None else io.BytesIO(data), memmap=memmap, lazy_load_hdus=False)
            spans = [(hdu.fileinfo()["datLoc"], _length(hdu)) for hdu in hdus]
        except Exception as error:  # astropy raises many kinds on damaged files; all mean the same to the user
            raise ResurveyError(f"{path}: is a damaged FITS file ({error}); fetch it again") from error
        with hdus:
            for number, (start, length) in enumerate(spans):
                if start + length > size:
                    raise ResurveyError(
                        f"{path}: is truncated: HDU {number} ends at byte {start + length}, the file at {size}; fetch it again"
                    )
            if _more_follows(path, data, sum(spans[-1])):
                raise ResurveyError(f"{path}: is truncated within the header of HDU {len(spans)}; fetch it again")
            yield hdus


def _length(hdu) -> int:
    """Bytes of an HDU's data in its file; astropy's size of a compressed image is that of the image."""
    from astropy.io import fits

    return hdu.fileinfo()["datSpan"] if isinstance(hdu, fits.CompImageHDU) else hdu.size


def _more_follows(path: Path, data: bytes | None, end: int) -> bool:
    """Whether another HDU begins after `end`, which astropy leaves out in silence where its header is cut."""
    start = -(-end // sdss_fast.BLOCK) * sdss_fast.BLOCK
    if data is not None:
        return data[start : start + 8] == b"XTENSION"
    with open(path, "rb") as handle:
        handle.seek(start)
        return handle.read(8) == b"XTENSION"


def _reader(hdus, path: Path):
    for reader in () if foreign.of_other_survey(hdus) else FITS_READERS:
        if reader.matches(hdus):
            return reader
    raise ResurveyError(f"{path}: {foreign.describe(hdus)}")


def identify(path: str | os.PathLike) -> str:
    """Name of the format of a file. Raises ResurveyError saying what it is when it cannot be read."""
    path = Path(path)
    data = _content(path)
    if data is not None and not data.startswith(b"SIMPLE"):
        return text.NAME
    with open_fits(path, data) as hdus:
        return _reader(hdus, path).NAME


def read_all(path: str | os.PathLike, velocity: float | None = None) -> Iterator[Spectrum | Rejected]:
    """Every spectrum of a file; sky fibres, and files that cannot be read, as Rejected with the reason. Never raises for data.

    velocity: Doppler shift [km/s] of a visit that is yet to be brought to rest (apVisit), in place of its header's.
    """
    path = Path(path)
    try:
        for spectrum in _spectra(path, velocity):
            if isinstance(spectrum, Spectrum) and spectrum.sky:
                yield Rejected(spectrum.spectrum_id, f"{path.name}: {SKY}")
            else:
                yield spectrum
    except ResurveyError as error:
        yield Rejected(path.name, str(error))


def read(path: str | os.PathLike, velocity: float | None = None) -> Spectrum:
    """The one spectrum of a file. Raises ResurveyError with the reason when there is none, or more than one."""
    spectra = _spectra(Path(path), velocity)
    spectrum = next(spectra)
    if next(spectra, None) is not None:
        raise ResurveyError(f"{path}: holds more than one spectrum; use read_all()")
    if isinstance(spectrum, Rejected):
        raise ResurveyError(spectrum.reason)
    if spectrum.sky:
        raise ResurveyError(f"{path}: {SKY}")
    return spectrum


def _spectra(path: Path, velocity: float | None) -> Iterator[Spectrum | Rejected]:
    data = _content(path)
    if data is not None:
        spectrum = sdss_fast.parse(data, path.name)
        if spectrum is not None:
            _refuse_velocity(velocity, path, sdss_spec.NAME)
            yield spectrum
            return
        if not data.startswith(b"SIMPLE"):
            _refuse_velocity(velocity, path, text.NAME)
            yield from text.read(data, path.name)
            return
    with open_fits(path, data) as hdus:
        reader = _reader(hdus, path)
        options = {}
        if velocity is not None:
            if not getattr(reader, "TAKES_VELOCITY", False):
                _refuse_velocity(velocity, path, reader.NAME)
            options = {"velocity": velocity}
        try:
            yield from reader.read(hdus, path.name, **options)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise ResurveyError(f"{path}: is a damaged {reader.NAME} file ({error}); fetch it again") from error


def _refuse_velocity(velocity: float | None, path: Path, kind: str) -> None:
    if velocity is not None:
        raise ResurveyError(f"{path}: is a file of the kind {kind}, which takes no velocity; leave it out")
