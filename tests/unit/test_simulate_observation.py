"""Noise, masks and S/N of simulated observations, and that a seed determines them."""

import numpy as np
import pytest
from resurvey.simulate import observation, population
from resurvey.simulate.instruments import BOSS, INSTRUMENTS, SDSS
from resurvey.simulate.observation import BRIGHTSKY, FULLREJECT, NODATA, NOPLUG, simulate

ARRAYS = ("flux", "ivar", "and_mask", "or_mask", "wdisp", "sky", "model", "sn_median")


def mixed(count=12, instrument="BOSS", seed=0):
    rng = np.random.default_rng(seed)
    tables = [
        population.draw_class(rng, k, s, count)
        for k, s in (("STAR", "K3"), ("GALAXY", "STARFORMING"), ("QSO", "BROADLINE"))
    ]
    table = population.join(tables)
    table["instrument"][:] = instrument
    return table


@pytest.fixture(scope="module", params=["SDSS", "BOSS"])
def sky(request):
    table = population.draw_blank(np.random.default_rng(0), "SKY", request.param, 60)
    return simulate(table, request.param, 5)


def test_noise_of_blank_fibres_is_what_ivar_says(sky):
    good = (sky.ivar > 0) & (sky.or_mask == 0)
    chi = (sky.flux * np.sqrt(sky.ivar))[good]
    assert np.median(chi**2) / 0.4549 == pytest.approx(1, abs=0.03)
    assert abs(np.median(chi)) < 0.02
    assert np.mean(np.abs(chi) > 5) < 1e-3  # cosmic rays that the pipeline missed


def test_residuals_of_faint_spectra_follow_ivar():
    table = mixed()
    table["sn"][:] = 3
    spectra = simulate(table, "BOSS", 1)
    good = (spectra.ivar > 0) & (spectra.or_mask == 0)
    chi = ((spectra.flux - spectra.model) * np.sqrt(spectra.ivar))[good]
    assert np.median(chi**2) / 0.4549 == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("sn", [2.0, 8.0, 40.0])
def test_median_signal_to_noise_is_what_was_asked_for(sn):
    table = mixed()
    table["sn"][:] = sn
    spectra = simulate(table, "BOSS", 2)
    assert np.median(spectra.sn_median) == pytest.approx(sn, rel=0.05)


def test_real_noise_levels_and_sky_lines(sky):
    instrument = SDSS if sky.flux.shape[1] < 4200 else BOSS
    wave = 10**sky.loglam
    sigma = 1 / np.sqrt(np.where(sky.ivar > 0, sky.ivar, np.nan))
    blue, red = (np.nanmedian(sigma[:, np.abs(wave - w) < 60]) for w in (4500, 6600))
    assert red == pytest.approx(0.68 if instrument is SDSS else 0.44, rel=0.25)  # medians of public spectra
    assert blue == pytest.approx(1.5 if instrument is SDSS else 0.72, rel=0.25)
    spike = np.nanmedian(sigma[:, np.abs(wave - 5578.9) < 2])
    assert spike > 2.5 * np.nanmedian(sigma[:, np.abs(wave - 5540) < 15])
    assert ((sky.and_mask[:, np.argmin(np.abs(wave - 5578.9))] >> BRIGHTSKY) & 1).all()


def test_masks_and_missing_pixels(sky):
    rejected = (sky.and_mask >> FULLREJECT) & 1 == 1
    assert rejected.any()
    assert (sky.ivar[rejected] == 0).all()
    assert ((sky.or_mask & sky.and_mask) == sky.and_mask).all()
    ends = (sky.and_mask >> NODATA) & 1 == 1
    assert ends[:, -1].any()
    assert not ends[:, 20:-30].any()
    assert (sky.flux[ends] == 0).all() and (sky.ivar[ends] == 0).all()
    assert 0.01 < (sky.and_mask != 0).mean() < 0.08
    assert all(np.isfinite(getattr(sky, name)).all() for name in ARRAYS)


def test_unplugged_fibres_hold_zeros():
    spectra = simulate(population.draw_blank(np.random.default_rng(0), "NONE", "SDSS", 2), "SDSS", 1)
    assert not spectra.flux.any() and not spectra.ivar.any()
    assert (spectra.and_mask & (1 << NOPLUG)).all()


def test_grids_are_the_survey_s():
    for instrument, low, high, count in ((SDSS, 3800, 9200, 3845), (BOSS, 3560, 10390, 4650)):
        loglam = instrument.loglam()
        assert len(loglam) == count
        assert 10 ** loglam[0] == pytest.approx(low, rel=0.01)
        assert 10 ** loglam[-1] == pytest.approx(high, rel=0.01)
        assert np.allclose(np.diff(loglam), 1e-4)
        assert np.allclose(loglam * 1e4, np.round(loglam * 1e4), atol=1e-6)
    assert {name: i.fibres for name, i in INSTRUMENTS.items()} == {"SDSS": 640, "BOSS": 1000}


def test_a_seed_determines_every_bit():
    table = mixed(4)
    one, two, other = (simulate(table, "BOSS", seed, offset=3, pixels=4600) for seed in ([1, 2], [1, 2], [1, 3]))
    for name in ARRAYS:
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    assert (one.flux != other.flux).mean() > 0.9
    assert one.flux.dtype == one.ivar.dtype == one.model.dtype == np.float32
    assert one.and_mask.dtype == np.int32


def test_population_is_determined_by_its_generator():
    first, second = (population.draw_class(np.random.default_rng(3), "GALAXY", "", 50) for _ in range(2))
    assert all(np.array_equal(first[name], second[name], equal_nan=first[name].dtype.kind == "f") for name in first)


def test_calibration_errors_are_of_the_stated_size():
    wave = 10 ** BOSS.loglam()
    error = observation._calibration(wave, 300, np.random.default_rng(0)) - 1
    middle = (wave > 4500) & (wave < 9000)
    assert 0.01 < error[:, middle].std() < 0.06
