"""Users' own APOGEE files as the networks' input: the same numbers as in a shard, or a reason."""

import apogee_files as af
import numpy as np
import pytest
from resurvey.surveys import registry
from resurvey.surveys.apogee_continuum import Normaliser
from resurvey.surveys.apogee_grid import DR13
from resurvey.surveys.apogee_input import normalise
from resurvey.surveys.apogee_star import star

NORMALISER = Normaliser(DR13, pixels=af.PIXELS)


@pytest.fixture
def apstar(tmp_path):
    flux, error, mask = af.rows(2, np.random.default_rng(1))
    mask[1, 2000] |= 1 << 12
    return af.write_apstar(tmp_path / "apStar.fits", flux, error, mask)


def test_own_files_give_what_a_shard_holds(apstar):
    spectra = list(registry.read_all(apstar))
    own = normalise(spectra, NORMALISER)
    with registry.open_fits(apstar) as hdus:
        raw = star(hdus, "a")
    shard = NORMALISER(raw.flux, raw.error, raw.mask)
    assert own.reasons == [None] * 3
    np.testing.assert_allclose(own.flux, shard.flux, rtol=2e-6)
    np.testing.assert_allclose(own.ivar, shard.ivar, rtol=1e-5)
    assert own.ivar[0, np.searchsorted(DR13.index, 2000)] == 0


def test_a_visit_as_observed_agrees_with_the_star_at_rest(tmp_path):
    (visit,) = registry.read_all(af.write_apvisit(tmp_path / "v.fits", af.visit_images(-70.0), VRAD=-70.0))
    flux, error, mask = af.rows(1)
    both = normalise([visit, *registry.read_all(af.write_apstar(tmp_path / "a.fits", flux, error, mask))], NORMALISER)
    good = (both.ivar > 0).all(axis=0)
    assert good.mean() > 0.98
    np.testing.assert_allclose(both.flux[0, good], both.flux[1, good], atol=2e-3)


def test_spectra_of_another_kind_have_a_reason(tmp_path, apstar):
    pipeline = registry.read(af.write_aspcapstar(tmp_path / "p.fits", *(image / 200 for image in af.rows(1)[:2])))
    raw = next(iter(registry.read_all(apstar)))
    text = tmp_path / "star.csv"
    wavelength = np.linspace(15100, 17000, 300)
    np.savetxt(text, np.column_stack([wavelength, np.ones(300)]), delimiter=",", header="wavelength,flux", comments="")
    optical = registry.read(text)
    paper = normalise([pipeline, raw, optical], NORMALISER)
    assert "apStar file" in paper.reasons[0] and paper.reasons[1] is None and "not an APOGEE" in paper.reasons[2]
    aspcap = normalise([pipeline, raw], Normaliser(DR13, method="aspcap"))
    assert aspcap.reasons[0] is None and "aspcapStar file" in aspcap.reasons[1]
    np.testing.assert_allclose(aspcap.flux[0], DR13.cut(pipeline.flux))
