"""FITS structure and sums, against astropy's own writing of them."""

import numpy as np
import pytest
from archive_server import fits_bytes
from astropy.io import fits
from resurvey.archive import checksums, structure


@pytest.fixture
def many(tmp_path):
    """A file with image, compressed-table-like heap, empty table, long strings; with sums."""
    path = tmp_path / "many.fits"
    rng = np.random.default_rng(0)
    heap = fits.Column("v", "PE()", array=np.array([rng.normal(size=n).astype("f4") for n in (3, 0, 5)], dtype=object))
    primary = fits.PrimaryHDU(rng.integers(0, 9, (3, 5)).astype("i2"))
    primary.header["COMMENT"] = "END of nothing"
    primary.header["QUOTED"] = ("it's / not a comment", "a comment")
    tables = [fits.BinTableHDU.from_columns([heap]), fits.BinTableHDU.from_columns([fits.Column("x", "J")])]
    fits.HDUList([primary, fits.ImageHDU(rng.normal(size=(2, 700))), *tables]).writeto(path, checksum=True)
    return path


def test_all_sums_of_astropy_agree(many):
    assert structure.check(many) == 2 * 4
    with fits.open(many) as hdus:
        starts = [(info["hdrLoc"], info["datLoc"]) for info in (hdu.fileinfo() for hdu in hdus)]
    assert [(hdu.start, hdu.data) for hdu in structure.walk(many)] == starts
    assert list(structure.walk(many))[-1].end == many.stat().st_size


def test_any_flipped_bit_is_found(many):
    good = many.read_bytes()
    rng = np.random.default_rng(1)
    for place in rng.integers(0, len(good), 60):
        many.write_bytes(good[:place] + bytes([good[place] ^ (1 << rng.integers(8))]) + good[place + 1 :])
        with pytest.raises((ValueError, KeyError)):
            assert structure.check(many) == 8, "a sum vanished"
            raise AssertionError(f"the flipped bit in byte {place} was not found")


def test_datasum_alone_is_enough(many):
    good = many.read_bytes()
    many.write_bytes(good.replace(b"CHECKSUM=", b"CHECKNOT="))
    assert structure.check(many) == 4
    content = bytearray(many.read_bytes())
    content[2880 + 3] ^= 1  # in the primary's image
    many.write_bytes(content)
    with pytest.raises(ValueError, match="DATASUM of HDU 0"):
        structure.check(many)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-1], "whole FITS blocks"),
        (lambda content: content[:-2880], "inside an HDU"),
        (lambda content: content + b"\0" * 2880, "inside a header|no HDU begins|it ends inside"),
        (lambda content: b"<html>" + content[6:], "does not begin with SIMPLE"),
        (lambda content: b"", "whole FITS blocks"),
    ],
)
def test_broken_structure_is_named(tmp_path, damage, reason):
    path = tmp_path / "broken.fits"
    path.write_bytes(damage(fits_bytes(rows=3000)))
    with pytest.raises(ValueError, match=reason):
        structure.check(path)


def test_mock_is_said_by_one_card(tmp_path):
    for mock in (True, False):
        path = tmp_path / f"{mock}.fits"
        path.write_bytes(fits_bytes(rows=5, mock=mock))
        assert structure.is_mock(path) is mock


def test_checksum_lines_as_the_archives_write_them():
    one, two = "a" * 40, "B" * 40
    text = f"{one}  spec-0266-51630-0001.fits\n{two} *apo25m/4102/apStar.fits\r\nnot a line\n{'c' * 39}  short.fits\n"
    assert checksums.parse(text, "sha1") == {"spec-0266-51630-0001.fits": one, "apStar.fits": two.lower()}
    assert checksums.parse("<html>Not Found</html>", "sha1") == {}
    assert checksums.parse(f"{one}  x.fits", "sha256") == {}


@pytest.mark.real
def test_every_real_file_is_whole(shared):
    files = sorted((shared / "real" / "sdss").rglob("*.fits"))
    assert len(files) > 130
    for path in files:
        structure.check(path)
        assert not structure.is_mock(path)
