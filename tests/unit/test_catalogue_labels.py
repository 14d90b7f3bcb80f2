"""Catalogues of labels: rows, flags, the merge, the FITS."""

import warnings

import label_scoring as samples
import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table
from resurvey import files
from resurvey.catalogues.kinds import KINDS, kind_of
from resurvey.catalogues.label_flags import BAD, MEANING
from resurvey.catalogues.label_flags import LabelFlag as Flag
from resurvey.catalogues.labels import assemble, catalogue_columns, labels_of
from resurvey.errors import ResurveyError


def one(pred=None, network=None, origin="mock", **changes):
    """The catalogue row of a good test star with `changes` in its spectrum, prediction or network."""
    row = samples.spectra(12).slice(4 * 3, 1)
    predictions = samples.predictions(row)
    base = dict(zip(samples.LABELS, samples.CENTRE, strict=True)) | changes
    for name, value in base.items():
        row = row.set_column(row.column_names.index(name), name, pa.array([value], row[name].type))
    predicted = predictions.to_pylist()[0]
    predicted |= {name: float(value) for name, value in zip(samples.LABELS, samples.CENTRE, strict=True)} | (pred or {})
    row = row.replace_schema_metadata(files.with_meta(row.schema, {"origin": origin, "grid": samples.GRID}).metadata)
    return assemble(
        pa.Table.from_pylist([predicted], predictions.schema), row, None, [network or samples.network()]
    ).to_pylist()[0]


def test_a_good_star():
    row = one()
    assert row["flags"] == 0 and row["split"] == "test" and row["visit"] == 0
    assert row["mg_h"] == pytest.approx(-0.1) and row["survey_mg_h"] == pytest.approx(-0.1)
    assert row["survey_mg_h_err"] == pytest.approx(0.03)
    assert row["teff_total"] == pytest.approx(np.hypot(row["teff_model"], row["teff_predictive"]), rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"pred": {"al_h": 1.5}}, Flag.OUTSIDE_TRAINING),
        ({"pred": {"teff": 3600.0}}, Flag.OUTSIDE_TRAINING),
        ({"pred": {"logg": 4.4}}, Flag.OUTSIDE_TRAINING | Flag.DWARF),
        ({"logg": 4.5}, Flag.DWARF),
        ({"logg": None}, Flag.DWARF),
        ({"logg": None, "teff": None}, Flag(0)),
        ({"pred": {"p_h_total": 0.31}}, Flag.UNCERTAIN),
        ({"sn_median": 29.0}, Flag.LOW_SN),
        ({"sn_median": None}, Flag(0)),
        ({"n_good": 53}, Flag.MISSING_PIXELS),
        ({"n_good": 29}, Flag.MISSING_PIXELS | Flag.MOSTLY_MISSING),
        ({"pred": {"v_h_model": float("nan")}}, Flag.BAD_OUTPUT),
        ({"starflag": 512}, Flag.SURVEY_WARNING),
        ({"split": "train_visits"}, Flag.SEEN_IN_TRAINING),
        ({"split": "test_visits"}, Flag(0)),
        ({"origin": "real"}, Flag.MOCK_TRAINED_REAL_INPUT),
        ({"origin": "real", "network": samples.network("real")}, Flag(0)),
    ],
)
def test_each_flag(changes, expected):
    assert Flag(one(**changes)["flags"]) == expected


def test_ranges_that_a_network_does_not_tell_flag_nothing():
    bare = samples.network(trained_on=None, normalisation=None)
    assert one(pred={"teff": 9000.0, "p_h_total": 5.0}, network=bare)["flags"] == 0


def test_every_flag_has_a_meaning_and_its_own_bit():
    assert set(MEANING) == set(Flag) and sum(map(int, Flag)) == 2 ** len(Flag) - 1
    assert Flag.OUTSIDE_TRAINING in BAD and not BAD & (Flag.SEEN_IN_TRAINING | Flag.UNCERTAIN)


def test_missing_labels_of_the_survey_are_null():
    table = samples.spectra(12)
    predicted = samples.predictions(table)
    rows = assemble(predicted, table, None, [samples.network()])
    missing = table["na_h"].is_null()
    assert missing.combine_chunks().true_count == 6
    assert rows["survey_na_h"].is_null().equals(missing) and rows["na_h"].null_count == 0


def test_own_spectra_without_a_survey_get_nulls():
    predicted = samples.predictions(samples.spectra(6))
    mine = pa.table({"spectrum_id": predicted["spectrum_id"], "n_good": pa.array([60] * len(predicted), pa.int32())})
    rows = assemble(predicted, mine, None, [samples.network()])
    assert rows.column_names == [column.name for column in catalogue_columns(predicted.column_names)]
    assert rows["survey_teff"].null_count == len(rows) and set(rows["flags"].to_pylist()) <= {0, 1}


def test_labels_are_those_with_all_three_uncertainties():
    names = ["spectrum_id", "teff", "teff_model", "teff_predictive", "teff_total", "logg", "logg_total"]
    assert labels_of(names) == ["teff"]


def test_what_is_no_prediction_of_labels_is_refused():
    table = samples.spectra(6)
    with pytest.raises(ResurveyError, match="hold no labels"):
        assemble(table.select(["spectrum_id", "teff"]), table, None, [samples.network()])
    with pytest.raises(ResurveyError, match="calibration"):
        assemble(samples.predictions(table), table, {"classes": {}}, [samples.network()])
    with pytest.raises(ResurveyError, match="2 networks"):
        assemble(samples.predictions(table), table, None, [samples.network()] * 2)


def test_roles_decide_the_kind():
    assert kind_of([{"role": "labels"}]) is KINDS["labels"]
    assert kind_of([{"role": "classifier"}, {"role": "redshift"}]) is KINDS["redshift"]
    for wrong in ([{"role": "labels"}, {"role": "point"}], [{"role": "sorter"}], []):
        with pytest.raises(ResurveyError, match="no catalogue is made"):
            kind_of(wrong)


def test_columns_are_declared_once_and_described():
    columns = catalogue_columns(samples.predictions(samples.spectra(6)).column_names)
    names = [column.name for column in columns]
    assert len(set(names)) == len(names) and all(column.description and column.ucd for column in columns)
    assert all((column.description + column.null).isascii() for column in columns)  # they stand in FITS headers


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    paths = samples.run_folder(tmp_path_factory.mktemp("labels"), shards=2, stars=24)
    assert samples.merge_run(paths) == 0
    return paths


def test_merge(run):
    table, meta = files.read_table(run["catalogue"]), files.read_meta(run["catalogue"])
    assert len(table) == sum(len(samples.spectra(24, n)) for n in (0, 1))
    keys = list(zip(*(table[name].to_pylist() for name in ("location_id", "apogee_id", "visit")), strict=True))
    assert keys == sorted(keys) and table["visit"].to_pylist()[:3] == [0, 1, 2]
    assert meta["n_valid"] == {"bcnn_censored": 20} and meta["labels"] == samples.LABELS and meta["passes"] == 100
    assert meta["seconds_per_star"] == pytest.approx({"with_dropout": 0.03, "without_dropout": 0.001})
    assert meta["order"] == ["location_id", "apogee_id", "visit", "spectrum_id"]
    assert table.schema.field("teff_total").metadata[b"unit"] == b"K"
    assert b"[dex]" in table.schema.field("mg_h").metadata[b"description"]
    assert not [name for name in table.column_names if (np.asarray(table[name].drop_null()) == -9999).any()]


def test_fits(run):
    table = files.read_table(run["catalogue"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # astropy warns of wrong checksums and of units that it does not know
        with fits.open(run["fits"], checksum=True) as units:
            assert all(unit.verify_checksum() == 1 and unit.verify_datasum() == 1 for unit in units)
            units.verify("exception")
            assert units[0].header["ORIGIN"] == "mock" and units[0].header["PASSES"] == "100"
        read = Table.read(run["fits"], hdu=1)
    assert read.colnames == table.column_names and str(read["teff"].unit) == "K"
    np.testing.assert_array_equal(read["spectrum_id"], table["spectrum_id"].to_pylist())
    expected = table["survey_na_h"].to_numpy()
    np.testing.assert_array_equal(np.ma.filled(read["survey_na_h"].astype(float), np.nan), expected.astype(float))
    assert np.isnan(expected).any()


def test_visits_of_one_star_in_two_shards_come_together(run, tmp_path):
    paths = samples.run_folder(tmp_path, shards=2, stars=24)
    for folder in ("shards", "predictions"):
        tables = [files.read_table(paths[folder] / f"{n:04d}.parquet") for n in (0, 1)]
        meta, both = files.read_meta(paths[folder] / "0000.parquet"), pa.concat_tables(tables)
        for n in (0, 1):
            files.write_table(both.take(pa.array(range(n, len(both), 2))), paths[folder] / f"{n:04d}.parquet", meta)
    targets = files.read_table(paths["targets"])
    shard = pa.array([f"{n % 2:04d}" for n in range(len(targets))])
    order = pa.array([*range(0, len(targets), 2), *range(1, len(targets), 2)])
    targets = targets.set_column(targets.column_names.index("shard"), "shard", shard).take(order)
    files.write_table(targets, paths["targets"], samples.ABOUT)
    assert samples.merge_run(paths) == 0
    assert files.read_table(paths["catalogue"]).equals(files.read_table(run["catalogue"]))
