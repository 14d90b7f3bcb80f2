"""Recalibrated errors cover what they say; the raw spread does not."""

import numpy as np
import pyarrow as pa
import pytest
from resurvey import files
from resurvey.errors import ResurveyError
from resurvey.inference.calibration import (
    Thinned,
    calibrate,
    calibrated,
    coverage,
    errors_of,
    fit,
    monotone,
    quantile_high,
)


def draw(count: int, seed: int, shape: str = "too_small"):
    """Truth, prediction, σ: redshifts whose σ is 0.4 of the error, or too large and in no simple proportion to it."""
    rng = np.random.default_rng(seed)
    error = rng.lognormal(-6, 0.8, count)
    z_true = rng.uniform(0, 1, count)
    z = z_true + error * rng.standard_normal(count)
    sigma = 0.4 * error if shape == "too_small" else 3 * np.sqrt(error * 1e-3) + 1e-4
    return z_true, z, sigma


@pytest.mark.parametrize("shape", ["too_small", "too_large"])
def test_new_spectra_are_covered_as_promised_and_raw_sigma_fails(shape):
    entry = fit(*draw(3000, 1, shape))
    z_true, z, sigma = draw(20000, 2, shape)
    off = np.abs(z - z_true)
    ours, raw = coverage(off, errors_of(entry, sigma)), coverage(off, sigma)
    np.testing.assert_allclose(ours, [0.683, 0.954, 0.997], atol=0.02)
    assert abs(raw[0] - 0.683) > 0.2


def test_every_range_of_sigma_is_covered():
    entry = fit(*draw(3000, 1, "too_large"))
    z_true, z, sigma = draw(40000, 2, "too_large")
    for low, high in ((0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)):
        here = (sigma >= np.quantile(sigma, low)) & (sigma <= np.quantile(sigma, high))
        assert coverage(np.abs(z - z_true)[here], errors_of(entry, sigma[here]))[0] == pytest.approx(0.683, abs=0.05)


def test_the_summary_in_two_numbers_covers_the_calibration_spectra():
    z_true, z, sigma = draw(3000, 1)
    entry = fit(z_true, z, sigma)
    error = np.hypot(entry["scale"] * sigma, entry["floor"])
    assert coverage(np.abs(z - z_true), error)[0] == pytest.approx(0.683, abs=0.03)


def test_errors_grow_with_sigma_and_reach_beyond_the_knots():
    entry = fit(*draw(2000, 3, "too_large"))
    sigma = np.geomspace(entry["sigma"][0] / 100, entry["sigma"][-1] * 100, 500)
    error = errors_of(entry, sigma)
    assert (np.diff(error) >= -1e-15).all() and error[0] == pytest.approx(entry["error"][0])
    assert error[-1] / entry["error"][-1] == pytest.approx(100)


def test_quantile_is_split_conformals():
    assert quantile_high(np.arange(1, 100.0), 0.5) == 50
    assert quantile_high(np.arange(1, 4.0), 0.9) == 3  # too few: the largest


def test_monotone_pools_violators():
    np.testing.assert_allclose(monotone(np.array([1, 3, 2, 4.0]), np.ones(4)), [1, 2.5, 2.5, 4])
    np.testing.assert_allclose(monotone(np.array([3, 2, 1.0]), np.array([1, 1, 2.0])), [1.75] * 3)


def test_few_or_useless_spectra_calibrate_nothing():
    assert fit(*draw(10, 1)) is None
    z_true, z, sigma = draw(40, 1)
    assert fit(z_true, np.full(40, np.nan), sigma) is None
    entry = fit(z_true, z, np.zeros(40))
    assert np.isfinite(errors_of(entry, np.array([0.0, 1e-3]))).all()


def test_nan_and_absent_classes_give_nan():
    calibration = {"classes": {"A": fit(*draw(200, 1))}}
    assert np.isnan(calibrated(np.array([np.nan, 0.1]), "A", calibration)).tolist() == [True, False]
    assert (
        np.isnan(calibrated(np.array([0.1]), "B", calibration)).all()
        and np.isnan(calibrated(np.array([0.1]), "A", None)).all()
    )


@pytest.fixture
def predictions(tmp_path):
    """Predictions of two shards and targets: the validation split has known errors, the other splits are absurd."""
    paths, targets = [], []
    for shard in range(2):
        z_true, z, sigma = draw(400, shard)
        split = np.array(["valid", "test"])[np.arange(400) % 2]
        z = np.where(split == "valid", z, z + 9)
        ids = [f"{shard}-{i}" for i in range(400)]
        label = np.array(["GALAXY_nan", "STAR_A0"])[np.arange(400) // 200]
        columns = {"spectrum_id": ids, "prob_GALAXY_nan": np.ones(400), "z_GALAXY_nan": z, "z_std_GALAXY_nan": sigma}
        paths.append(tmp_path / f"{shard:04d}.parquet")
        meta = {
            "origin": "mock",
            "model": "m",
            "weights": {"ResNet_7": "abc"},
            "networks": {"ResNet_7": "m"},
            "engine": "torch",
        }
        files.write_table(pa.table(columns), paths[-1], meta)
        name = [f"{shard:04d}"] * 400
        targets.append(pa.table({"spectrum_id": ids, "label": label, "z": z_true, "split": split, "shard": name}))
    files.write_table(pa.concat_tables(targets), tmp_path / "targets.parquet", {"origin": "mock"})
    return paths, tmp_path / "targets.parquet", tmp_path / "calibration.json"


def test_only_the_class_of_the_validation_split_is_used(predictions):
    result = calibrate(*predictions, "m")
    entry = result["classes"]["GALAXY_nan"]
    assert entry["n"] == 200 and max(entry["error"]) < 1
    assert entry["coverage"]["z_err"][0] == pytest.approx(0.683, abs=0.05)
    assert entry["coverage"]["z_std"][0] < 0.5
    assert result["networks"] == {"ResNet_7": "m"} and files.read_json(predictions[2]) == result


def test_predictions_of_different_weights_are_refused(predictions):
    paths, targets, out = predictions
    meta = {**files.read_meta(paths[1]), "weights": {"ResNet_7": "other"}}
    files.write_table(files.read_table(paths[1]), paths[1], meta)
    with pytest.raises(ResurveyError, match=r"0001\.parquet: was predicted by other networks"):
        calibrate(paths, targets, out, "m")
    with pytest.raises(ResurveyError, match=r"0000\.parquet: holds predictions of model m, not of other"):
        calibrate(paths, targets, out, "other")
    assert not out.exists()


def test_of_many_spectra_evenly_spaced_ones_are_kept():
    sample, given = Thinned(most=8), np.arange(300.0)[:, None] * np.ones(3)
    for start, stop in ((0, 5), (5, 5), (5, 90), (90, 91), (91, 300)):
        sample.add(given[start:stop])
        steps = np.unique(np.diff(sample.rows[:, 0]))
        assert sample.rows[0, 0] == 0 and len(steps) <= 1 and min(stop, 8) <= len(sample.rows) < 16
    assert sample.rows[-1, 0] > 300 - 2 * steps[0]


def test_predictions_that_stand_in_another_order_are_matched_by_spectrum(predictions):
    expected = calibrate(*predictions, "m")
    path = predictions[0][1]
    table, meta = files.read_table(path), files.read_meta(path)
    files.write_table(table.take(pa.array(np.arange(len(table))[::-1])), path, meta)
    assert calibrate(*predictions, "m") == expected


def test_targets_whose_shards_do_not_stand_together_are_refused(predictions):
    paths, targets, out = predictions
    table, meta = files.read_table(targets), files.read_meta(targets)
    files.write_table(table.take(pa.array(np.arange(len(table))[::-1])), targets, meta)
    with pytest.raises(ResurveyError, match="rows of shard 0000 stand behind those of shard 0001"):
        calibrate(paths, targets, out, "m")
