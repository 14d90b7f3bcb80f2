"""The paper's continuum normalisation: against numpy's Chebyshev.fit, on made spectra with known continua, and what is refused."""

import json

import apogee_files as af
import numpy as np
import pytest
from numpy.polynomial import Chebyshev
from resurvey.errors import ResurveyError
from resurvey.surveys.apogee_continuum import Normaliser, fit, read_pixels
from resurvey.surveys.apogee_grid import DR12, DR13, FULL, WAVELENGTH


def one_by_one(flux, error, weight, degree=2, chips=DR13, pixels=af.PIXELS):
    """What the paper's code does, spectrum by spectrum, detector by detector."""
    flux, error = chips.cut(flux), chips.cut(error)
    is_continuum = np.isin(chips.index, pixels)
    for row in range(len(flux)):
        for part in chips.slices:
            at = np.flatnonzero(is_continuum[part])
            sigma = error[row, part][at]
            w = 1 / (sigma**2 + 1e-8) if weight == "ivar2" else 1 / sigma
            level = Chebyshev.fit(at, flux[row, part][at], degree, w=w)(np.arange(part.stop - part.start))
            flux[row, part] /= level
            error[row, part] /= level
    return flux, error


def noisy(count, seed=1, sn=60.0):
    rng = np.random.default_rng(seed)
    tilt = rng.uniform(-0.5, 0.5, count)
    flux = np.stack([af.curve(WAVELENGTH, t) for t in tilt]) * af.lines(WAVELENGTH) * rng.uniform(0.1, 10, (count, 1))
    error = flux / sn * rng.uniform(0.3, 3, flux.shape)
    flux = flux + rng.normal(size=flux.shape) * error
    return flux.astype(np.float32), error.astype(np.float32)


@pytest.mark.parametrize("weight", ["ivar2", "ivar"])
@pytest.mark.parametrize("degree", [0, 2, 4])
def test_batch_equals_numpys_fit_of_each_spectrum(weight, degree):
    flux, error = noisy(40)
    struck = np.random.default_rng(5).random(error.shape) < 0.02
    flux[struck], error[struck] = 0, af.NO_MEASUREMENT
    normaliser = Normaliser(DR13, pixels=af.PIXELS, degree=degree, weight=weight)
    found_flux, found_error, reasons = normaliser.divide(DR13.cut(flux), DR13.cut(error))
    expected_flux, expected_error = one_by_one(flux.astype(float), error.astype(float), weight, degree)
    np.testing.assert_allclose(found_flux, expected_flux, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found_error, expected_error, rtol=1e-6)
    assert reasons == [None] * 40


def test_weights_of_the_paper_are_the_square_of_the_inverse_variance():
    """A step of 10 % between pixels of error 1 and of error 2: ivar2 weighs them 16 to 1, ivar 4 to 1."""
    error = np.tile([1.0, 2.0], 50)[None]
    flux = np.where(error == 1, 100.0, 110.0)
    level = {weight: fit(flux, error, np.ones((100, 1)), weight)[0, 0] for weight in ("ivar2", "ivar")}
    assert level["ivar2"] == pytest.approx(100 + 10 / 17, abs=1e-6)
    assert level["ivar"] == pytest.approx(100 + 10 / 5, abs=1e-6)


def test_few_pixels_with_all_the_weight_lose_no_digits():
    """Four neighbours weigh 10¹² times the others: normal equations lose half of the digits, so numpy's own routine takes over."""
    rng = np.random.default_rng(2)
    at = np.arange(0, 1000, 10)
    flux = 100 + 0.01 * at + rng.normal(size=at.size)
    error = np.where(np.isin(np.arange(at.size), [40, 41, 42, 43]), 1.0, 1000.0)
    expected = Chebyshev.fit(at, flux, 2, w=1 / (error**2 + 1e-8))
    basis = np.polynomial.chebyshev.chebvander(2 * at / 990 - 1, 2)
    found = fit(flux[None], error[None], basis, "ivar2")[0]
    np.testing.assert_allclose(basis @ found, expected(at), rtol=1e-9)


def test_a_known_continuum_is_divided_out():
    """Lines on a smooth curve: what is left is the lines, within what a parabola in the pixel number leaves of the curve."""
    flux, error, mask = (image[None] for image in af.rows(1))
    clean = af.PIXELS[af.lines(WAVELENGTH[af.PIXELS]) > 0.9999]
    done = Normaliser(DR13, pixels=clean)(flux, error, mask)
    np.testing.assert_allclose(done.flux[0], af.lines(DR13.wavelength()), atol=1e-4)
    np.testing.assert_allclose(done.ivar[0], (100.0 / af.lines(DR13.wavelength())) ** 2, rtol=1e-3)


def test_the_scale_of_a_spectrum_does_not_matter():
    flux, error = noisy(3)
    normaliser, mask = Normaliser(DR13, pixels=af.PIXELS), np.zeros(flux.shape, np.int16)
    one, other = normaliser(flux, error, mask), normaliser(flux * 1000, error * 1000, mask)
    np.testing.assert_allclose(one.flux, other.flux, atol=1e-5)
    np.testing.assert_allclose(one.ivar, other.ivar, rtol=1e-4)


def test_masked_negative_and_missing_pixels():
    """Negative flux is 0 and keeps its weight; masked, infinite and not measured pixels are 1 without weight."""
    flux, error, mask = (image[None].copy() for image in af.rows(1))
    at = DR13.index[[100, 200, 300, 400, 500, 600]]
    flux[0, at[0]] = -50
    mask[0, at[1]] = 1 << 12
    mask[0, at[2]] = 1 << 13
    flux[0, at[3]], flux[0, at[4]] = np.nan, np.inf
    error[0, at[5]] = af.NO_MEASUREMENT
    clean = np.setdiff1d(af.PIXELS, at)
    done = Normaliser(DR13, pixels=clean)(flux, error, mask)
    values = done.flux[0, [100, 200, 300, 400, 500, 600]]
    assert values[0] == 0 and values[1] == values[3] == values[4] == values[5] == 1 and values[2] != 1
    assert (done.ivar[0, [100, 200, 300, 400, 500, 600]] > 0).tolist() == [True, False, True, False, False, False]
    only = Normaliser(DR13, pixels=clean, mask_bits=(13,))(flux, error, mask)
    assert (only.ivar[0, [200, 300]] > 0).tolist() == [True, False]


def test_a_detector_without_continuum_is_a_reason():
    flux, error = noisy(4)
    error[1, slice(*DR13.runs[1])] = af.NO_MEASUREMENT
    flux[2, slice(*DR13.runs[2])] *= -1
    done = Normaliser(DR13, pixels=af.PIXELS)(flux, error, np.zeros(flux.shape, np.int16))
    count = np.sum((af.PIXELS >= 3585) & (af.PIXELS < 6080))
    assert done.reasons[0] is None and done.reasons[3] is None
    assert f"0 of {count} continuum pixels were measured in the green detector" in done.reasons[1]
    assert "nowhere positive in the red" in done.reasons[2]
    alone = Normaliser(DR13, pixels=af.PIXELS)(flux[[0, 3]], error[[0, 3]], np.zeros((2, FULL), np.int16))
    np.testing.assert_array_equal(done.flux[[0, 3]], alone.flux)  # a bad neighbour in the batch changes nothing


def test_aspcaps_own_normalisation_is_taken_as_it_is():
    flux = np.random.default_rng(1).uniform(-0.1, 1.1, (2, FULL)).astype(np.float32)
    error = np.full(flux.shape, 0.01, np.float32)
    error[1] = af.NO_MEASUREMENT
    normaliser = Normaliser(DR13, method="aspcap")
    done = normaliser(flux, error, np.zeros(flux.shape, np.int32))
    assert np.array_equal(done.flux[0], DR13.cut(flux[0])) and done.reasons[0] is None
    np.testing.assert_allclose(done.ivar[0], 1e4, rtol=1e-5)
    assert "none of its pixels" in done.reasons[1]


def test_the_grid_of_dr12():
    flux, error = noisy(5)
    pixels = af.PIXELS[np.isin(af.PIXELS, DR12.index)]
    done = Normaliser(DR12, pixels=pixels)(flux, error, np.zeros(flux.shape, np.int16))
    expected, _ = one_by_one(flux.astype(float), error.astype(float), "ivar2", chips=DR12, pixels=pixels)
    assert done.flux.shape == (5, 7214)
    np.testing.assert_allclose(done.flux, np.maximum(expected, 0), rtol=1e-5, atol=1e-6)


def test_an_empty_batch():
    done = Normaliser(DR13, pixels=af.PIXELS)(np.empty((0, FULL)), np.empty((0, FULL)), np.empty((0, FULL), int))
    assert done.flux.shape == (0, 7514) and done.reasons == []


@pytest.mark.parametrize("method", ["chebyshev", "aspcap"])
def test_metadata_are_enough_to_do_the_same_again(method):
    pixels = af.PIXELS if method == "chebyshev" else np.empty(0, int)
    one = Normaliser(DR13, method=method, pixels=pixels, weight="ivar", degree=3, mask_bits=(0, 12))
    other = Normaliser.from_meta(*json.loads(json.dumps([DR13.meta(), one.meta()])))
    flux, error = noisy(2)
    mask = np.where(np.arange(FULL) % 7 == 0, 1 << 12, 0) * np.ones((2, 1), int)
    np.testing.assert_array_equal(one(flux, error, mask).flux, other(flux, error, mask).flux)
    assert other.meta() == one.meta()


def test_settings_and_the_list_of_continuum_pixels(tmp_path):
    path = af.continuum_csv(tmp_path / "pixels.csv")
    assert np.array_equal(read_pixels(path), af.PIXELS)
    dataset = {"grid": {"chips": "dr13"}, "continuum": {"method": "chebyshev", "degree": 1}, "mask_bits": [3]}
    normaliser = Normaliser.from_settings(dataset, {"continuum_pixels": path})
    assert (normaliser.degree, normaliser.weight, normaliser.mask_bits) == (1, "ivar2", (3,))
    with pytest.raises(ResurveyError, match=r"extras\.continuum_pixels"):
        Normaliser.from_settings(dataset, {})
    with pytest.raises(ResurveyError, match="chebyshev or aspcap"):
        Normaliser.from_settings({**dataset, "continuum": {"method": "spline"}}, {})
    with pytest.raises(ResurveyError, match="ivar2 or ivar"):
        Normaliser(DR13, pixels=af.PIXELS, weight="flat")
    with pytest.raises(ResurveyError, match="red detector"):
        Normaliser(DR13, pixels=af.PIXELS[af.PIXELS < 6000])
    for text, said in (
        ("index\n3\n", "no column pixel"),
        ("pixel\n9000\n", "0 to 8574"),
        ("pixel\n3.5\n", "whole"),
        ("pixel\n", "some"),
    ):
        path.write_text(text)
        with pytest.raises(ResurveyError, match=said):
            read_pixels(path)
    with pytest.raises(ResurveyError, match="cannot be read"):
        read_pixels(tmp_path / "absent.csv")
