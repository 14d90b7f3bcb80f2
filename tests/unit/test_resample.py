"""Resampling: kernels against plain numpy, known answers, and properties of flux and variance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resurvey.errors import ResurveyError
from resurvey.shards.grid import Grid
from resurvey.shards.resample import Resampler
from resurvey.surveys import loggrid
from resurvey.surveys.spectrum import Spectrum, checked_wavelength, pixel_edges

FIBRE, PIXEL = 1 << 4, 1 << 23


def make(wavelength, flux, ivar, mask=None, fibre_bits=0xFFFF):
    wavelength = np.asarray(wavelength, np.float64)
    mask = np.zeros(wavelength.size, np.int32) if mask is None else np.asarray(mask, np.int32)
    flux, ivar = np.asarray(flux, np.float32), np.asarray(ivar, np.float32)
    return Spectrum("s", wavelength, pixel_edges(wavelength), flux, ivar, mask, "test", fibre_bits=fibre_bits)


def reference_use(s, and_mask=True, ivar=True):
    """0 missing, 1 flux only, 2 good: the rules of docs/spectra-formats.md, spelled out."""
    measured = np.isfinite(s.flux) & np.isfinite(s.ivar) & (s.ivar > 0)
    use = np.where(measured, 2, 0 if ivar else 1)
    use[~np.isfinite(s.flux)] = 0
    if and_mask:
        use[(s.mask != 0) & (use == 2)] = 1
        use[(s.mask & ~s.fibre_bits) != 0] = 0
    inside = np.flatnonzero(measured)
    outside = np.ones(use.size, bool)
    if inside.size:
        outside[inside[0] : inside[-1] + 1] = False
    use[outside] = 0
    return use


def reference_linear(s, grid, use):
    """np.interp through the usable pixels, 0 outside; variance by the weights where both neighbours are good and adjacent."""
    at = np.flatnonzero(use)
    x = grid.wavelength
    flux = np.interp(x, s.wavelength[at], s.flux[at].astype(float), left=0, right=0)
    ivar = np.zeros_like(flux)
    for p, value in enumerate(x):
        j = np.searchsorted(s.wavelength, value, side="right") - 1
        if j < 0 or value > s.wavelength[at[-1]]:
            continue
        if s.wavelength[j] == value:
            ivar[p] = s.ivar[j] if use[j] == 2 else 0
        elif use[j] == 2 and use[j + 1] == 2:
            t = (value - s.wavelength[j]) / (s.wavelength[j + 1] - s.wavelength[j])
            ivar[p] = 1 / ((1 - t) ** 2 / float(s.ivar[j]) + t**2 / float(s.ivar[j + 1]))
    return flux, ivar


def reference_conserving(s, grid, use):
    """Overlap matrix, weighted mean, variance; gaps filled by np.interp between filled output pixels."""
    low = grid.wavelength - 0.5 * grid.step
    overlap = np.minimum(s.edges[1:], low[:, None] + grid.step) - np.maximum(s.edges[:-1], low[:, None])
    w = np.clip(overlap, 0, None) * (use > 0)
    total = w.sum(axis=1)
    filled = total > 1e-9 * grid.step
    flux, ivar = np.zeros(grid.pixels), np.zeros(grid.pixels)
    if not filled.any():
        return flux, ivar
    values = np.where(use > 0, s.flux, 0).astype(float)
    flux[filled] = (w @ values)[filled] / total[filled]
    variance = np.divide(1.0, s.ivar.astype(float), out=np.zeros(s.ivar.size), where=use == 2)
    sound = filled & ((w * (use != 2)).sum(axis=1) == 0)
    ivar[sound] = total[sound] ** 2 / (w**2 @ variance)[sound]
    where = np.flatnonzero(filled)
    between = np.arange(where[0], where[-1] + 1)
    flux[between] = np.interp(between, where, flux[where])
    return flux, ivar


@st.composite
def spectra(draw):
    """Irregular wavelengths with missing, masked and non-finite pixels, some of them in runs and at the ends."""
    n = draw(st.integers(3, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    wavelength = draw(st.sampled_from([90.0, 99.5, 103.25, 150.0])) + np.cumsum(rng.uniform(0.2, 3.0, n))
    ivar = rng.uniform(0.1, 10, n)
    flux = rng.normal(0, 5, n)
    for values, filler in ((ivar, 0.0), (ivar, -1.0), (ivar, np.nan), (flux, np.nan), (flux, np.inf)):
        values[rng.random(n) < draw(st.sampled_from([0.0, 0.1, 0.5]))] = filler
    mask = np.where(rng.random(n) < 0.2, PIXEL, 0) | np.where(rng.random(n) < 0.1, FIBRE, 0)
    return make(wavelength, flux, ivar, mask)


@pytest.mark.parametrize("method", ["linear", "flux_conserving"])
@given(
    s=spectra(),
    step=st.sampled_from([0.3, 1.0, 4.0, 11.0]),
    and_mask=st.booleans(),
    ivar=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_kernels_agree_with_numpy(method, s, step, and_mask, ivar):
    grid = Grid(100.0, step, 40)
    masks = {"and_mask": and_mask, "ivar": ivar}
    use = reference_use(s, **masks)
    resampler = Resampler(grid, method, masks)
    at = np.flatnonzero(use)
    end = grid.start + grid.step * (grid.pixels - 1)
    if at.size == 0 or s.wavelength[at[-1]] < grid.start or s.wavelength[at[0]] > end:
        with pytest.raises(ResurveyError, match=r"no usable pixel|nothing of the grid"):
            resampler(s)
        return
    flux, inverse, coverage = resampler(s)
    expected_flux, expected_ivar = (reference_linear if method == "linear" else reference_conserving)(s, grid, use)
    np.testing.assert_allclose(flux, expected_flux, rtol=2e-5, atol=1e-4)
    np.testing.assert_allclose(inverse, expected_ivar, rtol=2e-4, atol=1e-6)
    assert np.isfinite(flux).all() and np.isfinite(inverse).all() and (inverse >= 0).all()
    assert coverage.n_good == (inverse > 0).sum()
    assert (coverage.minimum, coverage.maximum) == (s.wavelength[at[0]], s.wavelength[at[-1]])


def test_linear_is_np_interp_where_all_pixels_are_good():
    rng = np.random.default_rng(0)
    wavelength, edges = loggrid.slices(35500, 4600)
    flux = rng.normal(10, 1, 4600).astype(np.float32)
    s = Spectrum("s", wavelength, edges, flux, np.ones(4600, np.float32), np.zeros(4600, np.int32), "test")
    grid = Grid(4000.0, 1.0, 5001)
    ours, _, coverage = Resampler(grid, "linear")(s)
    np.testing.assert_allclose(ours, np.interp(grid.wavelength, wavelength, flux), rtol=3e-7)
    assert coverage.n_good == 5001


def test_flux_is_conserved_and_constants_stay_constant():
    """∫f dλ over whole output pixels is unchanged; a constant stays that constant under any masking."""
    rng = np.random.default_rng(1)
    wavelength = np.cumsum(rng.uniform(0.5, 1.5, 800)) + 4000
    flux = rng.normal(5, 2, 800)
    s = make(wavelength, flux, np.ones(800))
    grid = Grid(4050.0, 5.0, 100)
    out, _, _ = Resampler(grid, "flux_conserving")(s)
    low, high = 4047.5, 4047.5 + 500.0
    overlap = np.clip(np.minimum(s.edges[1:], high) - np.maximum(s.edges[:-1], low), 0, None)
    assert out.astype(float).sum() * 5.0 == pytest.approx((overlap * s.flux).sum(), rel=1e-5)

    constant = make(wavelength, np.full(800, 7.0), np.ones(800), np.where(rng.random(800) < 0.3, PIXEL, 0))
    for method in ("linear", "flux_conserving"):
        out, _, _ = Resampler(grid, method)(constant)
        np.testing.assert_allclose(out, 7.0, rtol=1e-6)


@pytest.mark.parametrize("method", ["linear", "flux_conserving"])
def test_propagated_variance_is_the_scatter_of_noise(method):
    """Pure noise of known σ, resampled 3000 times: the scatter in each output pixel is 1/√ivar."""
    rng = np.random.default_rng(2)
    wavelength, edges = loggrid.slices(36500, 120)
    sigma = rng.uniform(0.5, 2, 120)
    resampler = Resampler(Grid(wavelength[5], 2.7, 35), method)
    rows = []
    for _ in range(3000):
        flux = rng.normal(0, sigma).astype(np.float32)
        s = Spectrum("s", wavelength, edges, flux, (sigma**-2.0).astype(np.float32), np.zeros(120, np.int32), "test")
        rows.append(resampler(s))
    scatter = np.std([row[0] for row in rows], axis=0)
    np.testing.assert_allclose(scatter * np.sqrt(rows[0][1]), 1.0, atol=0.06)


def test_masked_pixels_are_bridged_and_marked():
    wavelength = np.arange(100.0, 120.0)
    flux, ivar, mask = wavelength.copy(), np.ones(20), np.zeros(20)
    flux[8:11] = 1e6  # a cosmic ray, masked
    mask[8:11] = PIXEL
    flux[3], ivar[3] = -1e6, 0
    for method in ("linear", "flux_conserving"):
        out, inverse, coverage = Resampler(Grid(101.0, 1.0, 18), method)(make(wavelength, flux, ivar, mask))
        np.testing.assert_allclose(out, np.arange(101.0, 119.0), rtol=1e-6)
        assert set(np.flatnonzero(inverse == 0)) == {2, 7, 8, 9}
        assert coverage.n_good == 14
        raw, _, _ = Resampler(Grid(101.0, 1.0, 18), method, {"and_mask": False})(make(wavelength, flux, ivar, mask))
        assert raw[8] == 1e6


def test_whole_fibre_warnings_keep_the_flux():
    """Bits 0-15 of SDSS's mask hold for the fibre: half a spectrum must not be replaced by a straight line."""
    wavelength = np.arange(100.0, 120.0)
    flux = np.sin(wavelength)
    mask = np.where(wavelength < 110, FIBRE, 0)
    out, inverse, coverage = Resampler(Grid(100.0, 1.0, 20))(make(wavelength, flux, np.ones(20), mask))
    np.testing.assert_allclose(out, flux, rtol=1e-6)
    assert coverage.n_good == 10 and (inverse[:10] == 0).all()
    assert coverage.minimum == 100.0


def test_beyond_the_coverage_all_is_zero():
    wavelength = np.arange(105.0, 110.0)
    for method in ("linear", "flux_conserving"):
        out, inverse, _ = Resampler(Grid(100.0, 1.0, 20), method)(make(wavelength, np.full(5, 3.0), np.ones(5)))
        assert (out[:5] == 0).all() and (out[10:] == 0).all() and (out[5:10] == 3).all()
        assert (inverse[:5] == 0).all() and (inverse[10:] == 0).all()


@pytest.mark.parametrize(
    "wavelength", [[3.0, 2.0, 1.0], [1.0, 2.0, 2.0], [1.0, 3.0, 2.0], [1.0, np.nan, 2.0], [-1.0, 2.0, 3.0], [5.0]]
)
def test_unusable_wavelengths_are_refused(wavelength):
    with pytest.raises(ResurveyError, match="my file"):
        checked_wavelength(np.array(wavelength), "my file")


def test_unusable_settings_are_refused():
    with pytest.raises(ResurveyError, match="flux_conserving"):
        Resampler(Grid(4000, 1, 10), "cubic")
    for bad in (
        {"start": 4000, "step": 0, "pixels": 5},
        {"start": 4000, "step": 1},
        {"pixels": 9, "scale": "undocumented"},
    ):
        with pytest.raises(ResurveyError, match="grid"):
            Grid.from_settings(bad)


def test_log_grid_edges_meet_and_hold_the_centres():
    assert loggrid.EDGES.size == loggrid.WAVELENGTH.size + 1
    assert (loggrid.EDGES[:-1] < loggrid.WAVELENGTH).all() and (loggrid.EDGES[1:] > loggrid.WAVELENGTH).all()
    assert loggrid.index_of(3.5794, 1e-4) == 35794
    assert loggrid.index_of(np.float32(3.5794), 1e-4) == 35794
    assert loggrid.index_of(3.57945, 1e-4) is None
    assert loggrid.index_of(3.5794, 2e-4) is None


def test_a_spectrum_without_flux_is_refused():
    wavelength = np.arange(4000.0, 4100.0)
    dark = make(wavelength, np.zeros(100), np.ones(100))
    with pytest.raises(ResurveyError, match="flux is 0 at every pixel"):
        Resampler(Grid(4000.0, 1.0, 100))(dark)
