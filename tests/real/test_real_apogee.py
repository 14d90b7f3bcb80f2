"""Real APOGEE files and spectra (RESURVEY_SHARED): read or refused with a reason; the normalisation against published products."""

import csv

import numpy as np
import pytest
from astropy.io import fits
from numpy.polynomial import Chebyshev
from resurvey.surveys import apogee_mask, registry
from resurvey.surveys.apogee_continuum import Normaliser
from resurvey.surveys.apogee_grid import DR12, DR13, FULL, LIGHT_SPEED, WAVELENGTH
from resurvey.surveys.spectrum import Spectrum

EDGE = 60  # pixels of a detector's ends that a star's shift moves out of sight


@pytest.fixture(scope="module")
def reference(shared):
    folder = shared / "reference" / "apogee"
    if not folder.is_dir():
        pytest.skip(f"no reference spectra: {folder} does not exist")
    return folder


@pytest.fixture(scope="module")
def pixels(reference):
    """The survey's pixels as astroNN lists them: column → values."""
    with open(reference / "apogee_dr14_pixels.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {key: np.array([float(row[key]) for row in rows]) for key in rows[0] if key != "chip"}


@pytest.fixture(scope="module")
def normaliser(pixels):
    return Normaliser(DR13, pixels=pixels["pix8575"][pixels["continuum_dr13_dr14"] == 1].astype(int))


@pytest.fixture(scope="module")
def mean_spectrum(reference):
    """Mean of 30,067 normalised real training spectra, by the paper's own code."""
    return np.loadtxt(reference / "mean_training_spectrum_astroNN_0617_run001.csv", delimiter=",", skiprows=1)[:, 1]


def on_full_grid(chips, values, missing):
    full = np.full((len(values), FULL), missing, np.float64)
    full[:, chips.index] = values
    return full


def visits(shared):
    paths = sorted((shared / "real" / "apogee").iterdir())
    assert len(paths) >= 2
    return paths


def test_the_grids_are_the_published_ones(pixels, reference):
    assert np.array_equal(pixels["pix8575"], DR13.index)
    np.testing.assert_allclose(pixels["wavelength_vac_A"], DR13.wavelength(), rtol=1e-9)
    dr12 = np.loadtxt(reference / "apogee_7214_pixels.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(dr12[:, 1], DR12.wavelength(), rtol=1e-9)


def test_continuum_pixels_per_detector(normaliser, pixels):
    """241, 108 and 180 of them for DR13 and DR14, 192, 138 and 202 for DR16 and DR17."""
    later = pixels["pix8575"][pixels["continuum_dr16_dr17"] == 1]
    for found, expected in ((normaliser.pixels, [241, 108, 180]), (later, [192, 138, 202])):
        assert [int(np.sum((found >= a) & (found < b))) for a, b in DR13.runs] == expected


def test_every_real_file_is_read_or_refused(shared):
    for path in visits(shared):
        (item,) = registry.read_all(path)
        with fits.open(path) as hdus:
            header, sigma = hdus[0].header, hdus[2].data
        assert isinstance(item, Spectrum) and registry.identify(path) == "APOGEE visit (apVisit)"
        assert (item.origin, item.names["apogee_id"]) == ("real", header["OBJID"])
        assert (item.plate, item.mjd, item.fiberid) == (int(header["PLATE"]), header["MJD5"], header["FIBERID"])
        assert item.sn_median == header["SNR"] and item.names["location_id"] == header["LOCID"]
        good = (item.ivar > 0) & ~apogee_mask.bad(item.mask)
        assert good[DR13.index].mean() > 0.9
        found = np.median(item.flux[good] * np.sqrt(item.ivar[good]))
        assert found == pytest.approx(header["SNR"], rel=0.2), "resampled to fewer pixels, S/N stays about the same"
        assert np.median(sigma) * 0.5 < np.median(item.ivar[good] ** -0.5) < np.median(sigma) * 2


def test_real_visits_are_at_rest(shared, normaliser, mean_spectrum):
    """The normalised visit resembles the mean training spectrum best where it was shifted: within 5 km/s of the header's velocity."""
    for path in visits(shared):
        with fits.open(path) as hdus:
            velocity = hdus[0].header["VRAD"]
        offsets = np.arange(-60, 61, 4.0)
        likeness = []
        for offset in offsets:
            spectrum = registry.read(path, velocity=velocity + offset)
            error = np.where(spectrum.ivar > 0, np.maximum(spectrum.ivar, 1e-30) ** -0.5, 1e10)
            done = normaliser(spectrum.flux[None], error[None], spectrum.mask[None])
            use = done.ivar[0] > 0
            likeness.append(np.corrcoef(done.flux[0][use], mean_spectrum[use])[0, 1])
        best = int(np.argmax(likeness))
        print(path.name, offsets[best], np.round(likeness[best], 3))
        assert abs(offsets[best]) <= 5 and likeness[best] > 0.3


def test_resampling_agrees_with_the_native_pixels(shared):
    """At the native pixels, the resampled spectrum, interpolated back, is the file's own within its noise."""
    for path in visits(shared):
        spectrum = registry.read(path)
        with fits.open(path) as hdus:
            flux, error, mask, wave = (hdus[number].data.astype(float) for number in (1, 2, 3, 4))
            rest = wave / (1 + hdus[0].header["VRAD"] / LIGHT_SPEED)
        good = ~apogee_mask.bad(mask.astype(int)) & (error < 1e3)
        grid_good = (spectrum.ivar > 0) & ~apogee_mask.bad(spectrum.mask)
        for chip in range(3):
            inside = good[chip] & (np.interp(rest[chip], WAVELENGTH, grid_good.astype(float)) == 1)
            back = np.interp(rest[chip], WAVELENGTH, spectrum.flux)
            pull = ((back - flux[chip]) / error[chip])[inside]
            assert inside.mean() > 0.8 and abs(np.median(pull)) < 0.05 and np.median(np.abs(pull)) < 0.7


def normalised_reference(reference):
    """(flux, error) of the real normalised spectra on the 7214 pixels: a combined one and three visits."""
    with fits.open(reference / "real_apogee_spectrum_2M13012770+5754582.fits") as hdus:
        combined = [hdus[name].data.astype(float)[None] for name in ("SPECTRUM", "SPEC_ERR")]
    with fits.open(reference / "real_apogee_visits_2M06133561+2433362.fits") as hdus:
        single = [hdus[name].data.astype(float) for name in ("SPECTRA", "SPEC_ERRS")]
    return [np.concatenate(pair) for pair in zip(combined, single, strict=True)]


@pytest.mark.parametrize("weight", ["ivar2", "ivar"])
def test_real_spectra_in_a_batch_equal_numpys_fit(reference, weight):
    """Real fluxes and errors (dr12 grid, the published list of continuum pixels there), to 1e-6."""
    flux, error = normalised_reference(reference)
    listed = np.loadtxt(reference / "apogee_7214_pixels.csv", delimiter=",", skiprows=1)[:, 2] == 1
    tool = Normaliser(DR12, pixels=DR12.index[listed], weight=weight)
    found, _, reasons = tool.divide(flux, error)
    assert reasons == [None] * len(flux)
    for row in range(len(flux)):
        for part in DR12.slices:
            at = np.flatnonzero(listed[part])
            sigma = error[row, part][at]
            use = apogee_mask.measured(flux[row, part][at], sigma)
            w = 1 / (sigma**2 + 1e-8) if weight == "ivar2" else 1 / sigma
            level = Chebyshev.fit(at[use], flux[row, part][at][use], 2, w=w[use])(np.arange(part.stop - part.start))
            np.testing.assert_allclose(found[row, part], flux[row, part] / level, rtol=1e-6, atol=1e-7)


def test_a_continuum_put_under_real_spectra_is_found(reference):
    """A parabola of the pixel number multiplied onto real normalised spectra: the normalised result does not feel it."""
    flux, error = normalised_reference(reference)
    listed = np.loadtxt(reference / "apogee_7214_pixels.csv", delimiter=",", skiprows=1)[:, 2] == 1
    tool = Normaliser(DR12, pixels=DR12.index[listed], weight="ivar")
    plain, _, _ = tool.divide(flux, error)
    for part in DR12.slices:
        x = np.linspace(-1, 1, part.stop - part.start)
        level = 250 * (1 + 0.02 * x - 0.01 * x**2)
        flux[:, part] *= level
        error[:, part] *= level
    curved, _, _ = tool.divide(flux, error)
    measured = np.isfinite(plain) & np.isfinite(curved)
    assert measured.mean() > 0.9
    assert np.abs(curved - plain)[measured].max() < 2e-3


def test_the_mean_training_spectrum_is_nearly_normalised(normaliser, mean_spectrum):
    """Each training spectrum was divided by its continuum at these pixels; so the fit to their mean is 1 within 2 %."""
    flux = on_full_grid(DR13, mean_spectrum[None], 0.0)
    error = on_full_grid(DR13, np.full((1, 7514), 0.01), 1e10)
    again, _, reasons = normaliser.divide(DR13.cut(flux), DR13.cut(error))
    assert reasons == [None]
    level = mean_spectrum / again[0]
    assert np.abs(level - 1).max() < 0.02 and np.abs(np.median(level) - 1) < 0.005
