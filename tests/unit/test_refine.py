"""Redshifts refined by templates: known answers on spectra that the templates themselves make."""

import numpy as np
import pyarrow as pa
import pytest
from resurvey import files
from resurvey.errors import ResurveyError
from resurvey.inference import refine
from resurvey.inference.predict import predict_shard
from resurvey.inference.refine import chi_square, library_of, vertex
from resurvey.simulate.templates import libraries as folders
from resurvey.simulate.templates.libraries import Libraries, Library

WAVE = 4000.0 + 2 * np.arange(2501)
REST = 10 ** (3.05 + 1e-4 * np.arange(9600))


def line(centre, width):
    return np.exp(-0.5 * ((REST - centre) / width) ** 2)


@pytest.fixture(scope="module")
def library() -> Libraries:
    """Galaxies with three lines of free strength, quasars with broad ones."""
    narrow = np.stack([(REST / 5000) ** -0.5, line(3728, 5), line(5007, 5), line(6563, 6)]).astype(np.float32)
    broad = np.stack([(REST / 3000) ** -1.0, line(1549, 20), line(1909, 25), line(2799, 30)]).astype(np.float32)
    unit = np.eye(1, 4, dtype=np.float32)
    galaxies, quasars = Library(3.05, narrow, unit), Library(3.05, broad, unit)
    return Libraries({}, galaxies, quasars, quasars, quasars, np.arange(1), {})


def seen(library: Library, z: float, weights, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(flux, ivar) (1, P) of a template at z with noise and a sloping addition."""
    spectrum = np.interp(WAVE, REST * (1 + z), np.asarray(weights) @ library.basis) + 2e-5 * (WAVE - 6500)
    flux = spectrum + noise * np.random.default_rng(seed).standard_normal(len(WAVE))
    return flux[None].astype(np.float32), np.full((1, len(WAVE)), noise**-2, np.float32)


def test_redshift_chi_square_and_peak_of_a_known_galaxy(library):
    flux, ivar = seen(library.galaxies, 0.3, [1, 1, 2, 3], 0.05)
    found = refine.refine(flux, ivar, WAVE, np.array([[0.52, 0.302, np.nan]]), "GALAXY", library)
    assert np.log1p(found.z[0]) == pytest.approx(np.log1p(0.3), abs=2e-5)
    assert found.peak[0] == 1 and found.pixels[0] == 2501 and found.parameters == 8
    assert found.chi2[0] == pytest.approx(2501 - 8, abs=4 * np.sqrt(2 * 2501))
    assert found.dchi2[0] > 1000


def test_an_improbable_peak_is_tried_but_not_chosen(library):
    flux, ivar = seen(library.galaxies, 0.3, [1, 1, 2, 3], 0.05)
    peaks = np.array([[0.52, 0.302]])
    for probability, z in (([[0.95, 0.05]], 0.52), ([[0.7, 0.3]], 0.3)):
        found = refine.refine(flux, ivar, WAVE, peaks, "GALAXY", library, np.array(probability))
        assert found.z[0] == pytest.approx(z, abs=0.008) and (found.dchi2[0] > 0) == (z == 0.3)


def test_quasar_with_noise_is_within_its_error(library):
    off = []
    for seed in range(5):
        flux, ivar = seen(library.quasars_high, 2.0, [1, 2, 1, 1], 0.1, seed)
        found = refine.refine(flux, ivar, WAVE, np.array([[2.03]]), "QSO", library)
        off.append(np.log1p(found.z[0]) - np.log(3.0))
        assert np.isnan(found.dchi2[0])  # there is no other peak
    assert np.abs(off).max() < 1e-3 and np.abs(np.mean(off)) < 3e-4


def test_pixels_without_ivar_do_not_count(library):
    flux, ivar = seen(library.galaxies, 0.3, [1, 1, 2, 3], 0.05)
    clean = refine.refine(flux, ivar, WAVE, np.array([[0.3]]), "GALAXY", library)
    ivar[0, ::10] = 0
    hurt = flux.copy()
    hurt[0, ::10] = 1e4
    found, same = (refine.refine(f, ivar, WAVE, np.array([[0.3]]), "GALAXY", library) for f in (hurt, flux))
    assert (found.z[0], found.chi2[0]) == (same.z[0], same.chi2[0])
    assert found.pixels[0] == 2501 - 251 and found.z[0] == pytest.approx(clean.z[0], abs=1e-4)


def test_nothing_to_fit_is_nan(library):
    flux, ivar = seen(library.galaxies, 0.3, [1, 1, 2, 3], 0.05)
    for weight, peaks in ((0 * ivar, [[0.3]]), (ivar, [[np.nan]])):
        found = refine.refine(flux, weight, WAVE, np.array(peaks), "GALAXY", library)
        assert np.isnan(found.z[0]) and np.isnan(found.chi2[0]) and found.peak[0] == -1


def test_chi_square_is_that_of_least_squares(library):
    flux, ivar = seen(library.galaxies, 0.3, [1, 1, 2, 3], 0.05)
    ivar *= np.linspace(0.5, 2, len(WAVE), dtype=np.float32)
    polynomial = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(WAVE)), 2).T
    x = np.array([np.log(1.29), np.log(1.3)])
    found = chi_square(flux[0], ivar[0], np.log10(WAVE), x, library.galaxies, polynomial)
    for value, z in zip(found, (0.29, 0.3), strict=True):
        design = np.vstack([[np.interp(WAVE, REST * (1 + z), row) for row in library.galaxies.basis], polynomial])
        weight = np.sqrt(ivar[0])
        residual = np.linalg.lstsq((design * weight).T, flux[0] * weight, rcond=None)[1][0]
        assert value == pytest.approx(residual, rel=1e-3)


def test_parabola_and_its_ends():
    x = np.arange(5.0)
    assert vertex(x, (x - 1.7) ** 2 + 4, 2) == pytest.approx((1.7, 4.0))
    assert vertex(x, x, 0) == (0.0, 0.0)


def test_quasars_change_their_eigenspectra_with_redshift():
    galaxies, low, high, pipeline = (Library(3.0, np.zeros((1, 2), np.float32), np.ones((1, 1))) for _ in range(4))
    kept = Libraries({}, galaxies, low, high, pipeline, np.arange(1), {})
    assert library_of("QSO", 1.0, kept) is low and library_of("QSO", 2.0, kept) is pipeline
    assert library_of("GALAXY", 2.0, kept) is galaxies


class Predictor:
    """A model of stars and galaxies that knows the peaks, and takes all for galaxies."""

    class model:
        name, grid, redshift = "toy", {"start": 4000.0, "step": 2.0, "pixels": 2501, "scale": "linear"}, {"GALAXY": []}
        origin, weights = "mock", staticmethod(dict)

    class engine:
        name = precision = "none"

    def schema(self):
        return pa.schema([("spectrum_id", pa.string()), ("prob_STAR", pa.float32()), ("prob_GALAXY", pa.float32())])

    def opened(self, ids, flux):
        return {}

    def columns(self, ids, flux):
        return {"prob_STAR": np.ma.zeros(len(ids), "f4"), "prob_GALAXY": np.ma.ones(len(ids), "f4")}

    def peaks(self, flux, label, count):
        return np.tile([0.302, 0.52], (len(flux), 1)), np.tile([0.7, 0.3], (len(flux), 1))


@pytest.fixture
def refiner(library, monkeypatch):
    monkeypatch.setattr(folders, "load", lambda folder: library)
    return refine.Refiner(Predictor(), "anywhere")


def probabilities(*galaxy: float) -> pa.Table:
    """Predictions of so probable galaxies, else stars."""
    return pa.table({"prob_STAR": [1 - p for p in galaxy], "prob_GALAXY": list(galaxy)})


def test_columns_of_rows_by_their_class(library, refiner):
    flux, ivar = seen(library.galaxies, 0.3, [1, 1, 2, 3], 0.05)
    rows = probabilities(0.1, 0.9, 0.9, np.nan)
    made = refiner(rows, np.repeat(flux, 4, 0), [ivar[0], ivar[0], None, ivar[0]])
    assert made.schema == pa.schema([*rows.schema, *refine.FIELDS])
    assert made["z_refined"].to_pylist() == [None, pytest.approx(0.3, abs=1e-4), None, None]
    assert made["chi2"][1].as_py() == pytest.approx(1.0, abs=0.15) and made["peak"].to_pylist() == [None, 0, None, None]


@pytest.mark.parametrize(
    ("label", "kind"),
    [("GALAXY_AGN", "GALAXY"), ("GALAXY", "GALAXY"), ("QSO_nan", "QSO"), ("STAR_A0", None), ("LRG", None)],
)
def test_templates_of_a_class(label, kind):
    assert refine.template_kind(label) == kind


def test_a_shard_is_refined_with_its_errors(library, refiner, tmp_path):
    flux, ivar = (np.repeat(part, 3, 0) for part in seen(library.galaxies, 0.3, [1, 1, 2, 3], 0.05))
    ivar[2] = 0
    spectrum = pa.list_(pa.float32(), 2501)
    table = pa.table({"spectrum_id": ["a", "b", "c"]})
    for name, values in (("flux", flux), ("ivar", ivar)):
        table = table.append_column(name, pa.FixedSizeListArray.from_arrays(values.ravel(), type=spectrum))
    meta = {"grid": Predictor.model.grid, "origin": "mock"}
    files.write_table(table, tmp_path / "shard.parquet", meta)
    out, blind = tmp_path / "out.parquet", tmp_path / "blind.parquet"
    assert predict_shard(tmp_path / "shard.parquet", Predictor(), {}, out, refiner, "abc") == 3
    made = files.read_table(out)
    assert made["z_refined"].to_pylist() == [pytest.approx(0.3, abs=1e-4)] * 2 + [None]
    assert files.read_meta(out)["templates"] == "abc"
    predict_shard(tmp_path / "shard.parquet", Predictor(), {}, out)
    assert files.read_table(out).column_names == ["spectrum_id", "prob_STAR", "prob_GALAXY"]
    files.write_table(table, blind, {**meta, "ivar_known": False})
    with pytest.raises(ResurveyError, match=r"blind\.parquet: its spectra have no errors"):
        predict_shard(blind, Predictor(), {}, out, refiner)


def test_without_templates_it_says_how_to_get_them(tmp_path):
    with pytest.raises(ResurveyError, match="resurvey templates"):
        refine.Refiner(Predictor(), str(tmp_path / "none"))


def test_a_model_without_redshifts_is_refused():
    class Labels:
        class model:
            name = "astronn"

    with pytest.raises(ResurveyError, match="astronn: has no redshift ensembles"):
        refine.Refiner(Labels(), "anywhere")
