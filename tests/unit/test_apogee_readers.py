"""Reading APOGEE files: the grid, the mask, apStar, aspcapStar, apVisit, and what is said of files that cannot be read."""

import apogee_files as af
import numpy as np
import pytest
from astropy.io import fits
from resurvey.errors import ResurveyError
from resurvey.surveys import apogee_grid, apogee_labels, apogee_mask, registry
from resurvey.surveys.apogee_grid import DR12, DR13, WAVELENGTH
from resurvey.surveys.spectrum import Rejected


def test_grid_is_the_surveys():
    """log10 λ = 4.179 + 6e-6·i; first and last wavelengths of the chips as astroNN gives them."""
    ends = [WAVELENGTH[[start, stop - 1]] for start, stop in DR13.runs]
    np.testing.assert_allclose(ends, [[15152.21, 15799.31], [15867.55, 16423.81], [16484.05, 16943.53]], atol=6e-3)
    np.testing.assert_allclose(WAVELENGTH[[0, -1]], [15100.80, 16999.81], atol=6e-3)
    assert (DR13.pixels, DR12.pixels) == (7514, 7214)
    assert [part.stop - part.start for part in DR13.slices] == [3028, 2495, 1991]


def test_gaps_are_cut_out():
    values = np.arange(8575.0)
    assert np.array_equal(DR13.cut(values), DR13.index)
    assert np.array_equal(DR12.cut(values[None])[0, DR12.slices[1]], np.arange(3648, 6048))
    with pytest.raises(ValueError, match="7514"):
        DR13.cut(np.zeros(7514))


def test_grid_is_found_again_from_its_metadata():
    for chips in (DR13, DR12):
        assert apogee_grid.from_meta(chips.meta()) is chips
        assert np.array_equal(apogee_grid.wavelength(chips.meta()), chips.wavelength())
    with pytest.raises(ResurveyError, match="not a grid of APOGEE"):
        apogee_grid.from_meta({**DR13.meta(), "pixels": 7000})
    with pytest.raises(ResurveyError, match="dr13"):
        apogee_grid.chips("dr14")


def test_labels_follow_the_pipelines_order():
    assert len(apogee_labels.LABELS) == 22 and apogee_labels.NAMES[:3] == ("teff", "logg", "c_h")
    iron = apogee_labels.BY_NAME["fe_h"]
    assert (iron.source, iron.error, iron.symbol, iron.window) == (("X_H", 17), ("X_H_ERR", 17), "[Fe/H]", "Fe")
    assert [label.unit for label in apogee_labels.LABELS] == ["K"] + ["dex"] * 21


def test_mask_bits():
    mask = np.array([0, 1, 1 << 7, 1 << 8, 1 << 12, 1 << 13, (1 << 13) | (1 << 3)], np.int16)
    assert apogee_mask.bad(mask).tolist() == [False, True, True, False, True, False, True]
    assert apogee_mask.bad(mask, (8, 13)).tolist() == [False, False, False, True, False, True, True]
    assert apogee_mask.names((1 << 12) | 1) == ["BADPIX", "SIG_SKYLINE"]
    with pytest.raises(ResurveyError, match="0 to 14"):
        apogee_mask.value((15,))


@pytest.fixture
def star(tmp_path):
    flux, error, mask = af.rows(3)
    flux[3, 1000], mask[3, 1001] = np.nan, 1 << 12
    return af.write_apstar(tmp_path / "apStar-r8-2M00000001+0000001.fits", flux, error, mask), flux, error, mask


def test_apstar_gives_the_second_row_and_the_visits(star):
    """Row 0 (weighted pixel by pixel) is not used; S/N is the header's."""
    path, flux, error, mask = star
    spectra = list(registry.read_all(path))
    assert [s.spectrum_id for s in spectra] == ["4105-2M00000001+0000001" + end for end in ("", "-v01", "-v02", "-v03")]
    assert [s.visit for s in spectra] == [0, 1, 2, 3] and [s.sn_median for s in spectra] == [250, 51, 52, 53]
    for spectrum, row in zip(spectra, range(1, 5), strict=True):
        good = np.isfinite(flux[row])
        assert np.array_equal(spectrum.flux[good], flux[row][good]) and np.array_equal(spectrum.mask, mask[row])
        measured = good & (error[row] < 1e9)
        np.testing.assert_allclose(spectrum.ivar[measured], error[row][measured].astype(float) ** -2.0, rtol=1e-6)
        assert not spectrum.ivar[~measured].any()
    first = spectra[0]
    assert (first.origin, first.survey, first.ra, first.dec) == ("mock", "apogee", 10.0, -5.5)
    assert first.names == {
        "apogee_id": "2M00000001+0000001",
        "location_id": 4105,
        "field": "M67",
        "telescope": "apo25m",
    }
    assert np.array_equal(first.wavelength, WAVELENGTH) and registry.identify(path).startswith("APOGEE star")


@pytest.mark.parametrize("shape", [1, 2])
def test_apstar_of_one_visit(tmp_path, shape):
    flux, error, mask = (image if shape == 1 else image[None] for image in af.rows(1))
    spectrum = registry.read(af.write_apstar(tmp_path / "a.fits", flux, error, mask, NVISITS=1))
    assert spectrum.visit == 0 and spectrum.sn_median == 250 and np.array_equal(spectrum.flux, flux.reshape(-1))


def test_visits_without_flux_are_dropped_with_a_reason(tmp_path):
    flux, error, mask = af.rows(3)
    flux[3] = 0
    items = list(registry.read_all(af.write_apstar(tmp_path / "a.fits", flux, error, mask)))
    assert [isinstance(item, Rejected) for item in items] == [False, False, True, False]
    assert items[2].spectrum_id.endswith("-v02") and "visit 2 is 0 at every pixel" in items[2].reason


def test_names_of_dr17(tmp_path):
    """No location number: the field's name; asStar is the southern telescope's."""
    flux, error, mask = af.rows(1)
    cards = {"LOCID": None, "FIELD": "180+00", "TELESCOP": "lco25m", "MOCK": None}
    spectrum = registry.read(af.write_apstar(tmp_path / "asStar-dr17-2M0.fits", flux, error, mask, **cards))
    assert spectrum.spectrum_id == "180+00-2M00000001+0000001" and spectrum.origin == "real"


def test_aspcapstar_is_known_from_its_model(tmp_path):
    flux, error, _ = af.rows(1)
    error[500] = af.NO_MEASUREMENT
    spectrum = registry.read(af.write_aspcapstar(tmp_path / "a.fits", flux, error))
    assert (spectrum.format, spectrum.flux_unit, spectrum.sn_median) == ("apogee-aspcapstar", "continuum", 250)
    assert spectrum.ivar[500] == 0 and not spectrum.mask.any() and np.array_equal(spectrum.flux, flux)


@pytest.mark.parametrize("velocity", [-250.0, 0.0, 40.0])
def test_apvisit_is_brought_to_rest(tmp_path, velocity):
    """Lines lie at their wavelengths at rest whatever the star's velocity; values are those of the spectrum there."""
    path = af.write_apvisit(tmp_path / "apVisit-r8-5095-55844-128.fits", af.visit_images(velocity), VRAD=velocity)
    spectrum = registry.read(path)
    assert (spectrum.spectrum_id, spectrum.sn_median) == ("5095-55844-128", 80.0)
    good = spectrum.ivar > 0
    truth = af.lines(WAVELENGTH) * af.curve(WAVELENGTH)
    np.testing.assert_allclose(spectrum.flux[good], truth[good], rtol=3e-4)
    assert good[DR13.index].mean() > 0.98  # the ends that a shift moves out of sight
    assert not good[3420:3450].any()


def test_velocity_of_the_user_takes_the_place_of_the_headers(tmp_path):
    path = af.write_apvisit(tmp_path / "v.fits", af.visit_images(120.0), VRAD=-20.0)
    right, wrong = registry.read(path, velocity=120.0), registry.read(path)
    truth, good = af.lines(WAVELENGTH) * af.curve(WAVELENGTH), right.ivar > 0
    np.testing.assert_allclose(right.flux[good], truth[good], rtol=3e-4)
    assert np.abs(wrong.flux / truth - 1)[wrong.ivar > 0].max() > 0.2


def test_errors_of_a_visit_describe_its_noise(tmp_path):
    rng = np.random.default_rng(3)
    path = af.write_apvisit(tmp_path / "v.fits", af.visit_images(15.0, sn=50, rng=rng), VRAD=15.0)
    spectrum = registry.read(path)
    good = spectrum.ivar > 0
    truth = af.lines(WAVELENGTH) * af.curve(WAVELENGTH)
    pull = (spectrum.flux - truth)[good] * np.sqrt(spectrum.ivar[good])
    assert pull.std() == pytest.approx(1, abs=0.03) and abs(pull.mean()) < 0.05


def test_bad_pixels_of_a_visit_do_not_ring(tmp_path):
    images = af.visit_images(0.0)
    flux, error, mask, wavelength = images
    flux[1, 2000], mask[1, 2000] = 1e5, 1 << 1
    error[1, 3000] = af.NO_MEASUREMENT
    spectrum = registry.read(af.write_apvisit(tmp_path / "v.fits", images, VRAD=0.0))
    struck = np.flatnonzero(apogee_mask.bad(spectrum.mask))
    assert 1 <= struck.size <= 2 and np.abs(WAVELENGTH[struck] - wavelength[1, 2000]).max() < 0.3
    near = np.abs(WAVELENGTH - wavelength[1, 2000]) < 3
    np.testing.assert_allclose(spectrum.flux[near], (af.lines(WAVELENGTH) * af.curve(WAVELENGTH))[near], rtol=1e-2)
    lost = np.flatnonzero((spectrum.ivar == 0) & (np.abs(WAVELENGTH - wavelength[1, 3000]) < 3))
    assert 1 <= lost.size <= 2


def damaged(tmp_path):
    """(file, what must be said of it)"""
    flux, error, mask = af.rows(2)
    images = af.visit_images(0.0)
    short = fits.HDUList([fits.PrimaryHDU(header=af.star_header(2)), fits.ImageHDU(flux), fits.ImageHDU(error)])
    short.writeto(tmp_path / "short.fits")
    yield tmp_path / "short.fits", r"without HDU 3 \(mask\)"
    yield af.write_apstar(tmp_path / "narrow.fits", flux[:, :7514], error, mask), r"\(4, 7514\), not"
    yield af.write_apstar(tmp_path / "rows.fits", flux, error[1:], mask), r"error.*\(3, 8575\), not \(4, 8575\)"
    yield af.write_apstar(tmp_path / "count.fits", flux, error, mask, NVISITS=5), "4 rows and NVISITS = 5"
    yield af.write_apvisit(tmp_path / "few.fits", images[:3], VRAD=0.0), r"without HDU 4 \(wavelength\)"
    yield af.write_apvisit(tmp_path / "rest.fits", images), "no radial velocity"
    yield af.write_apvisit(tmp_path / "fast.fits", images, VRAD=1e5), "cannot be that of a star"
    yield (
        af.write_apvisit(tmp_path / "cut.fits", [i[:, :4000] for i in images], VRAD=0.0),
        r"\(3, 4000\), not \(3, 4096\)",
    )
    swapped = [*images[:3], np.where(np.arange(4096) == 7, 0, images[3])]
    yield af.write_apvisit(tmp_path / "waves.fits", swapped, VRAD=0.0), "do not run one way"
    yield af.write_apvisit(tmp_path / "sky.fits", images, VRAD=0.0, OBJTYPE="SKY"), "sky fibre"
    (tmp_path / "error.fits").write_text("<html>404</html>")
    yield tmp_path / "error.fits", "web page"
    whole = af.write_apstar(tmp_path / "whole.fits", flux, error, mask).read_bytes()
    (tmp_path / "torn.fits").write_bytes(whole[: len(whole) // 2])
    yield tmp_path / "torn.fits", "truncated"


def test_files_that_cannot_be_read_give_one_reason(tmp_path):
    for path, said in damaged(tmp_path):
        items = list(registry.read_all(path))
        assert len(items) == 1 and isinstance(items[0], Rejected), path
        with pytest.raises(ResurveyError, match=said):
            registry.read(path)


def test_a_velocity_is_refused_where_it_means_nothing(star):
    with pytest.raises(ResurveyError, match="takes no velocity"):
        registry.read(star[0], velocity=10.0)
