"""Readers on files made here: formats, refusals, agreement of the fast path with astropy."""

import dataclasses
import gzip

import numpy as np
import pytest
import spec_files
from astropy.io import fits
from resurvey.errors import ResurveyError
from resurvey.surveys import registry, sdss_fast, sdss_spec
from resurvey.surveys.spectrum import Rejected
from resurvey.surveys.text import air_to_vacuum

IDS = (3655, 55240, 30)
INDEX = 35500


def same(a, b):
    """Whether two spectra are equal to the last bit."""
    for field in dataclasses.fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype and x.tobytes() == y.tobytes(), field.name
        else:
            assert type(x) is type(y) and x == y, field.name


def slow(path):
    with registry.open_fits(path) as hdus:
        (spectrum,) = sdss_spec.read(hdus, path.name)
    return spectrum


@pytest.fixture
def arrays():
    return spec_files.spectrum_arrays(np.random.default_rng(5), INDEX, 400)


@pytest.fixture
def lite(tmp_path, arrays):
    return spec_files.write_lite(tmp_path / "spec-3655-55240-0030.fits", IDS, INDEX, arrays, SUBCLASS="K0V (10780)")


def test_lite_by_both_paths(lite, arrays):
    fast = sdss_fast.parse(lite.read_bytes(), lite.name)
    same(fast, slow(lite))
    flux, ivar, mask = (a[15:-10] for a in arrays)
    assert np.array_equal(fast.flux, flux) and np.array_equal(fast.ivar, ivar) and np.array_equal(fast.mask, mask)
    np.testing.assert_allclose(fast.wavelength, 10 ** ((INDEX + 15 + np.arange(375)) * 1e-4), rtol=1e-14)
    assert (fast.plate, fast.mjd, fast.fiberid, fast.run2d, fast.origin) == (*IDS, "v5_13_0", "mock")
    assert (fast.survey_class, fast.survey_subclass, fast.survey_zwarning) == ("GALAXY", "K0V", 0)
    assert fast.survey_z == pytest.approx(0.1, abs=1e-7)
    assert (fast.ra, fast.dec, fast.sn_median) == (150.25, -1.5, 12.5)


def test_upper_case_columns_without_hdu_names(tmp_path, arrays):
    path = spec_files.write_lite(tmp_path / "a.fits", IDS, INDEX, arrays, upper=True, mock=False)
    with fits.open(path) as hdus:
        for hdu in hdus[1:]:
            del hdu.header["EXTNAME"]
        hdus.writeto(tmp_path / "b.fits")
    spectrum = registry.read(tmp_path / "b.fits")
    same(spectrum, slow(tmp_path / "b.fits"))
    assert spectrum.spectrum_id == "3655-55240-0030" and spectrum.origin == "real"


def deviations():
    """Layouts that the fast path must leave to astropy, each a change of the HDUs."""

    def scaled(hdus):
        column = fits.Column("flux", "E", bscale=0.5, bzero=3.0, array=hdus[1].data["flux"])
        others = [c for c in hdus[1].columns if c.name != "flux"]
        hdus[1] = fits.BinTableHDU.from_columns([column, *others])

    def double(hdus):
        column = fits.Column("flux", "D", array=hdus[1].data["flux"].astype(float))
        hdus[1] = fits.BinTableHDU.from_columns([column, *(c for c in hdus[1].columns if c.name != "flux")])

    def odd_grid(hdus):
        hdus[1].data["loglam"] = 3.55 + 0.00013 * np.arange(len(hdus[1].data))

    def image_between(hdus):
        hdus.insert(1, fits.ImageHDU(np.zeros((3, 3))))

    def no_mask(hdus):
        hdus[1] = fits.BinTableHDU.from_columns([c for c in hdus[1].columns if "mask" not in c.name])

    def no_row(hdus):
        del hdus[2:]

    return [scaled, double, odd_grid, image_between, no_mask, no_row]


@pytest.mark.parametrize("deviate", deviations(), ids=lambda f: f.__name__)
def test_deviating_files_fall_back_to_astropy(lite, tmp_path, deviate):
    path = tmp_path / "spec-3655-55240-0030-odd.fits"
    with fits.open(lite) as hdus:
        deviate(hdus)
        hdus.writeto(path)
    assert sdss_fast.parse(path.read_bytes(), path.name) is None
    spectrum = registry.read(path)
    assert spectrum.spectrum_id == "3655-55240-0030"
    assert spectrum.flux.shape == spectrum.wavelength.shape == (375,)
    np.testing.assert_allclose(spectrum.flux, sdss_fast.parse(lite.read_bytes(), "a").flux, rtol=1e-6)


def test_nan_in_loglam_is_refused(lite, tmp_path):
    with fits.open(lite) as hdus:
        hdus[1].data["loglam"][7] = np.nan
        hdus.writeto(tmp_path / "nan.fits")
    assert sdss_fast.parse((tmp_path / "nan.fits").read_bytes(), "nan") is None
    with pytest.raises(ResurveyError, match="not positive numbers"):
        registry.read(tmp_path / "nan.fits")


@pytest.mark.parametrize("values", [{"ZWARNING": 1}, {"ZWARNING": 5}, {"OBJTYPE": "SKY"}, {"SOURCETYPE": "SKY"}])
def test_sky_fibres_are_refused(tmp_path, arrays, values):
    path = spec_files.write_lite(tmp_path / "sky.fits", IDS, INDEX, arrays, **values)
    with pytest.raises(ResurveyError, match="sky fibre"):
        registry.read(path)
    (item,) = registry.read_all(path)
    assert isinstance(item, Rejected) and item.spectrum_id == "3655-55240-0030" and "sky" in item.reason


def test_plate_gives_all_fibres_and_names_sky(tmp_path, arrays):
    path = spec_files.write_plate(tmp_path / "spPlate-3655-55240.fits", 3655, 55240, INDEX, [arrays] * 4, sky=(3,))
    assert registry.identify(path) == "SDSS spPlate"
    items = list(registry.read_all(path))
    assert [isinstance(item, Rejected) for item in items] == [False, False, True, False]
    assert items[1].spectrum_id == "3655-55240-0002" and items[1].ra == pytest.approx(150 + 1 / 3)
    assert np.array_equal(items[0].flux, arrays[0]) and np.array_equal(items[0].mask, arrays[2])
    with pytest.raises(ResurveyError, match="more than one"):
        registry.read(path)


def spspec(path, code=2, objtype="GALAXY", mask=0):
    rng = np.random.default_rng(0)
    rows = np.array([rng.normal(10, 1, 300), np.zeros(300), np.full(300, 0.5), np.zeros(300)], np.float32)
    rows[2, 4], rows[3, 9] = 0.0, mask
    hdu = fits.PrimaryHDU(rows)
    hdu.header.update({"COEFF0": 3.58, "COEFF1": 1e-4, "SPEC_CLN": code, "PLATEID": 601, "MJD": 52316, "FIBERID": 7})
    hdu.header.update({"Z": 0.04, "Z_WARNIN": 512, "RAOBJ": 190.6, "DECOBJ": 64.5, "OBJTYPE": objtype})
    hdu.writeto(path)
    return path, rows


def test_spspec(tmp_path):
    path, rows = spspec(tmp_path / "spSpec-52316-0601-007.fit", mask=float(1 << 30))
    s = registry.read(path)
    assert (s.spectrum_id, s.survey_class, s.survey_z, s.survey_zwarning) == ("0601-52316-0007", "GALAXY", 0.04, 512)
    assert np.array_equal(s.flux, rows[0])
    assert s.ivar[4] == 0 and s.ivar[5] == 4.0
    assert (s.mask == 0).all(), "bit 30 marks emission lines, not bad pixels"
    assert s.wavelength[0] == pytest.approx(10**3.58)
    path, _ = spspec(tmp_path / "spSpec-b.fit", mask=float(1 << 24))
    assert registry.read(path).mask[9] == 1 << 24


@pytest.mark.parametrize(("code", "objtype"), [(5, "GALAXY"), (2, "SKY")])
def test_spspec_sky(tmp_path, code, objtype):
    path, _ = spspec(tmp_path / "spSpec.fit", code, objtype)
    with pytest.raises(ResurveyError, match="sky fibre"):
        registry.read(path)


TEXTS = {
    "blanks": "4000 1.5\n4001 2.5\n4002 3.5\n",
    "commas": "4000,1.5\n4001,2.5\n4002,3.5\n",
    "comment": "# made by hand\n4000\t1.5\n4001\t2.5\n4002\t3.5\n",
    "header": "Wavelength,Flux,BestFit,SkyFlux\n4000,1.5,9,9\n4001,2.5,9,9\n4002,3.5,9,9\n",
    "units": "# wavelength[A] flux(1e-17)\n4000 1.5\n4001 2.5\n4002 3.5\n",
    "order": "flux wavelength\n1.5 4000\n2.5 4001\n3.5 4002\n",
    "windows": "\ufeff4000 1.5\r\n4001 2.5\r\n4002 3.5\r\n",
    "title": "my star\n4000 1.5\n4001 2.5\n4002 3.5\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_text(tmp_path, text):
    (tmp_path / "star.txt").write_text(text, newline="")
    s = registry.read(tmp_path / "star.txt")
    assert s.wavelength.tolist() == [4000, 4001, 4002] and s.flux.tolist() == [1.5, 2.5, 3.5]
    assert not s.ivar_known and s.spectrum_id == "star.txt" and s.sn_median is None


def test_text_errors_and_air(tmp_path):
    path = tmp_path / "spec-0266-51602-0084.txt"
    path.write_text("4000 1 0.5\n4001 2 0\n4002 3 nan\n4003 nan 1\n")
    s = registry.read(path)
    assert s.ivar.tolist() == [4.0, 0.0, 0.0, 1.0] and s.ivar_known
    assert s.spectrum_id == "0266-51602-0084" and s.plate == 266
    path.write_text("wavelength,flux,ivar\n4000,1,4\n4001,2,5\n")
    assert registry.read(path).ivar.tolist() == [4.0, 5.0]
    path.write_text("# wavelengths in air\n5000 1\n6562.801 2\n")
    assert registry.read(path).wavelength[1] == pytest.approx(6564.614, abs=2e-3)  # H alpha
    path.write_text("3.6 1\n3.7 2\n")
    assert registry.read(path).wavelength[1] == pytest.approx(10**3.7)


def test_air_to_vacuum_of_known_lines():
    """[O III] 5006.843, Hβ 4861.325 Å in air; vacuum values of SDSS's line table (5008.240, 4862.683)."""
    np.testing.assert_allclose(air_to_vacuum(np.array([5006.843, 4861.325])), [5008.240, 4862.683], atol=2e-3)


BROKEN = {
    "empty": (b"", "empty"),
    "web page": (b"<!DOCTYPE html><html>403 Forbidden</html>", "web page"),
    "gzip": (gzip.compress(b"4000 1\n4001 2\n" * 99)[:-12], "gzip"),
    "binary": (bytes(range(256)) * 9, "neither FITS nor plain text"),
    "descending": (b"4002 1\n4001 2\n4000 3\n", "descend"),
    "duplicate": (b"4000 1\n4001 2\n4001 3\n", "repeat or go back"),
    "ragged": (b"4000 1\n4001 2 3\n", "line 2 has 3 columns"),
    "words": (b"4000 1\nnot a number\n", "line 2 is not a row of numbers"),
    "nanometres": (b"400 1\n401 2\n", "must be in "),
    "prose": (b"This is\na letter\nto you\nand\nnot a\nspectrum\nat all\n", "text but not a spectrum"),
    "many columns": (b"4000 1 2 3\n4001 2 3 4\n", "4 columns without names"),
    "catalogue": (b"ra,dec,z\n1,2,3\n2,3,4\n", "must be in|positive"),
    "fits stub": (b"SIMPLE  =                    T" + b" " * 50, "FITS"),
    "picture": (b"\xff\xd8\xff\xe0" + b"x" * 99, "JPEG"),
    "numpy": (b"PK\x03\x04" + b"x" * 99, "zip"),
}


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_files_say_why(tmp_path, content, reason):
    path = tmp_path / "given.dat"
    path.write_bytes(content)
    with pytest.raises(ResurveyError, match=reason) as caught:
        registry.read(path)
    assert "given.dat" in str(caught.value)
    (item,) = registry.read_all(path)
    assert item == Rejected("given.dat", str(caught.value))


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ResurveyError, match="cannot be read"):
        registry.read(tmp_path / "absent.fits")
    with pytest.raises(ResurveyError, match="folder"):
        registry.read(tmp_path)


@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.6, 0.9, 0.94])
def test_truncation_at_any_point_is_noticed(lite, tmp_path, fraction):
    data = lite.read_bytes()
    path = tmp_path / "cut.fits"
    path.write_bytes(data[: int(len(data) * fraction)])
    with pytest.raises(ResurveyError, match=r"cut\.fits"):
        registry.read(path)


def test_gzipped_fits_is_read(lite, tmp_path):
    (tmp_path / "a.fits.gz").write_bytes(gzip.compress(lite.read_bytes()))
    assert registry.read(tmp_path / "a.fits.gz").spectrum_id == "3655-55240-0030"


def test_other_surveys_are_named(tmp_path):
    wide = fits.Column("FLUX", "20E", array=np.ones((1, 20), np.float32))
    lamost = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([wide], name="COADD")])
    lamost[0].header["TELESCOP"] = "LAMOST"
    desi = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((2, 30)), name="B_FLUX")])
    apstar = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((3, 8575), np.float32))])
    ids = [fits.Column(key, "J", array=[1, 2]) for key in ("PLATE", "MJD", "FIBERID")]
    catalogue = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(ids)])
    image = fits.HDUList([fits.PrimaryHDU(np.ones((20, 20)))])
    cases = ((lamost, "LAMOST"), (desi, "DESI"), (apstar, "APOGEE"), (catalogue, "catalogue"), (image, "image"))
    for number, (hdus, reason) in enumerate(cases):
        hdus.writeto(tmp_path / f"{number}.fits")
        with pytest.raises(ResurveyError, match=reason):
            registry.read(tmp_path / f"{number}.fits")


def test_table_of_spectra(tmp_path):
    flux = np.arange(20, dtype=np.float32).reshape(2, 10)
    columns = [fits.Column("flux", "10E", array=flux), fits.Column("CLASS", "6A", array=["QSO", "STAR"])]
    columns += [fits.Column(key, "J", array=[4, 5]) for key in ("PLATE", "MJD", "FIBERID")]
    grid = fits.ImageHDU(3.6 + 1e-4 * np.arange(10), name="LOGLAM")
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="SPECTRA"), grid]).writeto(
        tmp_path / "t.fits"
    )
    first, second = registry.read_all(tmp_path / "t.fits")
    assert (first.survey_class, second.spectrum_id) == ("QSO", "0005-5-0005")
    assert np.array_equal(second.flux, flux[1]) and second.wavelength[9] == pytest.approx(10**3.6009)


@pytest.mark.parametrize("unit", [1e-17, 1e-19, 1e-23])
@pytest.mark.parametrize("names", ["wavelength,flux,error", "wavelength,flux,ivar"])
def test_text_in_erg_keeps_its_errors(tmp_path, unit, names):
    """Errors of 1e-20 erg/s/cm²/Å are an inverse variance of 1e40, beyond float32."""
    wavelength = np.arange(4000.0, 4100.0)
    flux, error = np.linspace(1, 3, 100), np.full(100, 0.01)
    last = error * unit if "error" in names else (error * unit) ** -2
    np.savetxt(
        tmp_path / "erg.csv", np.column_stack([wavelength, flux * unit, last]), delimiter=",", header=names, comments=""
    )
    spectrum = registry.read(tmp_path / "erg.csv")
    np.testing.assert_allclose(spectrum.flux, flux * unit / 1e-17, rtol=1e-5)
    np.testing.assert_allclose(spectrum.flux * np.sqrt(spectrum.ivar), flux / error, rtol=1e-5)
