"""Spectrographs as objects: their noise agrees with their ivar, S/N is what is asked for, and their constants those of real ones."""

from dataclasses import replace

import numpy as np
import pytest
from resurvey.simulate import effects, exposure, extinction
from resurvey.simulate.rebin import log_pixels, rebin
from resurvey.simulate.spectrographs import DESI, QMOST, SPECTROGRAPHS

GRIDS = {"SDSS": (3900, 9100, 2.0), "BOSS": (3700, 10200, 2.0), "DESI": (3650, 9800, 2.0), "4MOST": (3750, 9450, 1.0)}


def grid(name):
    low, high, step = GRIDS[name]
    return np.arange(low, high, step)


def sloped(device, count, slope=0.0):
    loglam = device.loglam()
    return loglam, np.repeat(((10**loglam / 6000) ** slope)[None].astype(np.float32), count, 0)


@pytest.mark.parametrize("name", list(SPECTROGRAPHS))
@pytest.mark.parametrize("sn", [1.0, 8.0, 120.0])
def test_chi_square_of_residuals_is_one(name, sn):
    device = SPECTROGRAPHS[name]
    loglam, shape = sloped(device, 48, -1.0)
    seen = exposure.expose(shape, loglam, np.full(48, sn), device, grid(name), np.random.default_rng(1), effects.NONE)
    assert (seen.ivar > 0).all()
    chi = (seen.flux - seen.model) * np.sqrt(seen.ivar)
    assert np.mean(chi**2) == pytest.approx(1, abs=0.02)  # 130,000 pixels: three σ are 0.012
    by_pixel = np.mean(chi**2, axis=0)
    assert np.median(by_pixel) == pytest.approx(1, abs=0.05)  # also where arms overlap and on sky lines


@pytest.mark.parametrize("name", list(SPECTROGRAPHS))
@pytest.mark.parametrize("sn", [2.0, 10.0, 70.0])
def test_median_signal_to_noise_is_what_was_asked_for(name, sn):
    device = SPECTROGRAPHS[name]
    loglam, shape = sloped(device, 32, 0.5)
    seen = exposure.expose(shape, loglam, np.full(32, sn), device, grid(name), np.random.default_rng(2), effects.NONE)
    assert np.median(seen.sn) == pytest.approx(sn, rel=0.06)


def test_faults_break_chi_square_only_where_they_say():
    loglam, shape = sloped(QMOST, 64)
    wave = QMOST.joined_grid(2.0)
    found = replace(effects.NONE, cosmic_found=1.0, cosmic_electrons=8000.0, bad_columns=1.0, bad_found=1.0)
    seen = exposure.expose(shape, loglam, np.full(64, 5.0), QMOST, wave, np.random.default_rng(3), found)
    chi = (seen.flux - seen.model) * np.sqrt(seen.ivar)
    assert np.mean(chi[seen.ivar > 0] ** 2) == pytest.approx(1, abs=0.02)
    assert set(np.unique(seen.quality)) >= {effects.GOOD, effects.COSMIC, effects.BAD_COLUMN}
    assert (seen.quality[seen.ivar == 0] > 0).all()
    hits = (seen.quality & effects.COSMIC > 0).sum() / 64
    expected = QMOST.cosmic_rays * QMOST.exposure / 60 * QMOST.detector_pixels
    assert hits == pytest.approx(expected, rel=0.15)
    missed = replace(effects.NONE, cosmic_electrons=8000.0, cosmic_missed=12.0)  # none is found
    seen = exposure.expose(shape, loglam, np.full(64, 5.0), QMOST, wave, np.random.default_rng(3), missed)
    chi = (seen.flux - seen.model) * np.sqrt(seen.ivar)
    assert (seen.quality == 0).all() and (seen.ivar > 0).all()
    spikes = (chi > 6).sum() / 64
    assert spikes == pytest.approx(expected * np.exp(-6 / 12), rel=0.2)
    assert chi.max() < 150


@pytest.mark.parametrize("name", list(SPECTROGRAPHS))
def test_equal_seeds_give_equal_spectra_and_others_do_not(name):
    device = SPECTROGRAPHS[name]
    loglam, shape = sloped(device, 4)
    one, same, other = (
        exposure.expose(shape, loglam, np.full(4, 5.0), device, grid(name), np.random.default_rng(seed))
        for seed in (7, 7, 8)
    )
    assert all(
        np.array_equal(getattr(one, part), getattr(same, part)) for part in ("flux", "ivar", "quality", "model", "sn")
    )
    assert not np.array_equal(one.flux, other.flux)


def test_noise_does_not_depend_on_the_pixels_width():
    """Over the same Å, spectra on 1 Å and on 4 Å pixels hold the same photons."""
    deep = {}
    for step in (1.0, 4.0):
        wave = QMOST.joined_grid(step)
        pixels = QMOST.pixels(wave)
        ivar = pixels.ivar(np.full((1, len(wave)), 3.0, np.float32))[0]
        inside = (wave > 6000) & (wave < 6280)
        deep[step] = ivar[inside].sum() / inside.sum() / step
    assert deep[1.0] == pytest.approx(deep[4.0], rel=0.02)


def test_longer_exposures_collect_more():
    wave = QMOST.joined_grid(2.0)
    faint, bright = (np.full((1, len(wave)), f, np.float32) for f in (0.1, 1e4))
    long = QMOST.exposed(4800.0)
    gain = lambda flux: np.median(long.pixels(wave).ivar(flux) / QMOST.pixels(wave).ivar(flux))  # noqa: E731
    assert gain(bright) == pytest.approx(4, rel=0.01)  # photon noise of the source: S/N² ∝ t
    assert 4 < gain(faint) < 8  # read-out noise counts less in a longer exposure
    assert np.allclose(long.throughput(wave), QMOST.throughput(wave))


def test_three_arms_and_their_overlaps():
    for device, count in ((DESI, 3), (QMOST, 3)):
        assert len(device.arms) == count
        whole = device.pixels(grid(device.name))
        for first, second in zip(device.arms, device.arms[1:], strict=False):
            both = (whole.wave > second.first + 5) & (whole.wave < first.last - 5)
            assert both.any()
            assert ((whole.electrons > 0).sum(0)[both] == 2).all()
    arm = DESI.arms[0]
    assert len(arm.grid()) == 2751 and len(DESI.arms[1].grid()) == 2326 and len(DESI.arms[2].grid()) == 2881


def test_4most_is_the_instrument_of_its_tables():
    """Throughput 13 % at 6150 Å of airmass 1.2 (less the factor 1/√2), resolving power 4,000 to 7,700, noise of a dark sky."""
    assert QMOST.throughput(np.array([6150.0]))[0] == pytest.approx(0.1391 / np.sqrt(2), rel=0.02)
    loglam = np.log10([4200.0, 5870.0, 8200.0])
    power = 2.99792458e5 / (QMOST.curve("wdisp", loglam) * 69.03 * 2.3548)
    assert power == pytest.approx([4659, 6080, 6610], rel=0.03)
    wave = np.arange(6000.0, 6100.0, 1.0)
    sigma = 1 / np.sqrt(np.median(QMOST.pixels(wave).ivar(np.zeros((1, len(wave)), np.float32))))
    electrons = 1e-17 * 6050 / 1.98644586e-8 * 120715.7 * 1200 * 0.1365 / np.sqrt(2)
    by_hand = np.sqrt(2.55 * electrons + 6 * 2.265**2 / 0.32) / electrons  # sky 2.55, per Å
    assert sigma == pytest.approx(by_hand, rel=0.03)


@pytest.mark.real
def test_noise_of_desi_is_that_of_public_spectra(shared):
    """The blank fibre's σ of each arm, between sky lines, against two coadds of 1,009 and 1,444 s."""
    from astropy.io import fits

    with fits.open(shared / "real/desi/coadd-sv3-dark-26065.fits") as hdus:
        seconds = hdus["FIBERMAP"].data["COADD_EXPTIME"]
        for arm in DESI.arms:
            name = arm.name.upper()
            wave, ivar = hdus[f"{name}_WAVELENGTH"].data, hdus[f"{name}_IVAR"].data
            assert np.allclose(wave, arm.grid(), atol=0.01)
            for row in np.flatnonzero(seconds > 0):
                good = ivar[row] > 0
                device = DESI.exposed(float(seconds[row]))
                ours = device.pixels(wave, arm.name).ivar(np.zeros((1, len(wave)), np.float32))[0]
                ratio = np.median(np.sqrt(ivar[row][good] / ours[good]))
                assert ratio == pytest.approx(1, abs=0.3), (arm.name, row)


@pytest.mark.real
def test_sky_of_sdss_is_that_of_real_sky_fibres(shared):
    """17 sky fibres of long exposures: their noise has the course of ours with wavelength (they are deeper by one factor), and their
    bright lines stand out of the continuum as ours do, in brightness and in noise."""
    from astropy.io import fits

    device = SPECTROGRAPHS["SDSS"]
    ratios, bright, noisy = [], [], []
    for path in sorted((shared / "real/sdss/sky").glob("*.fits")):
        with fits.open(path) as hdus:
            data = hdus[1].data
            wave, ivar, sky = 10 ** data["loglam"].astype(float), data["ivar"], data["sky"]
        pixels = device.pixels(wave)
        ours = pixels.ivar(np.zeros((1, len(wave)), np.float32))[0]
        good, lines = ivar > 0, pixels.sky > 4 * pixels.level
        near = [
            (np.abs(wave - centre) < 80) & good for centre in (4300, 4700, 5100, 6100, 6500, 7000, 7600, 8100, 8700)
        ]
        ratios.append([np.median(np.sqrt(ours[part] / ivar[part])) for part in near])
        red = (wave > 7700) & (wave < 9000)
        bright.append([values[red].mean() / np.median(values[red]) for values in (sky, pixels.sky)])
        noisy.append(
            [
                np.sqrt(np.median(values[red & good & ~lines]) / np.median(values[red & good & lines]))
                for values in (ivar, ours)
            ]
        )
    assert len(ratios) == 17
    course = np.median(ratios, axis=0)
    assert np.std(np.log(course)) < 0.2
    for pair in (bright, noisy):
        real, simulated = np.median(pair, axis=0)
        assert simulated == pytest.approx(real, rel=0.3)


def test_rebinning_keeps_the_flux():
    start, count = 3.6, 2000
    nodes = 10 ** (start + 1e-4 * np.arange(count))
    wave = np.arange(4100.0, 6000.0, 3.0)
    pixels = log_pixels(start, count, wave)
    straight = (2 + 0.001 * nodes)[None]
    assert rebin(straight, pixels)[0] == pytest.approx(2 + 0.001 * wave, rel=1e-5)
    bump = np.exp(-0.5 * ((nodes - 5000) / 4) ** 2)[None]
    assert (rebin(bump, pixels)[0] * 3.0).sum() == pytest.approx(4 * np.sqrt(2 * np.pi), rel=1e-3)


def test_milky_way_extinction():
    """A(V) at V is A(V); blue is dimmed more; the ratio A(B)/A(V) is 1 + 1/R_V."""
    curve = extinction.milky_way(np.array([4400.0, 5500.0, 9000.0]))
    assert curve[1] == pytest.approx(1, abs=0.03)  # V is a band of finite width
    assert curve[0] == pytest.approx(1.32, abs=0.03)
    assert curve[2] < 0.5
    flux = np.ones((2, 3), np.float32)
    extinction.redden(flux, curve, np.array([0.0, 1.0]))
    assert np.array_equal(flux[0], np.ones(3, np.float32))
    assert flux[1] == pytest.approx(10 ** (-0.4 * curve), rel=1e-5)
