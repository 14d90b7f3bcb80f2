"""Rows and flags of the catalogue, the merge and its refusals, the FITS and the documentation."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import scoring_samples as samples
from astropy.io import fits
from astropy.table import Table
from conftest import ROOT
from resurvey import files
from resurvey.catalogues.assemble import assemble, catalogue_columns
from resurvey.catalogues.columns import FIXED, KEY
from resurvey.catalogues.document import document
from resurvey.catalogues.fits import write_fits
from resurvey.catalogues.flags import BAD, MEANING, Flag, names
from resurvey.catalogues.ordered import Run, in_order, key_of, limited, merged, overlapping
from resurvey.errors import ResurveyError

ENTRY = {"sigma": [1e-5, 1.0], "error": [2e-5, 2.0]}


def one(**changes):
    """A one-row catalogue of a perfect galaxy with `changes` in its spectrum, prediction (`pred`) or networks."""
    table, wanted = samples.spectra(1, pixels=False), changes.pop("label", "GALAXY_AGN")
    row = table.filter(pa.array([label == wanted for label in table["label"].to_pylist()]))
    row = row.set_column(row.column_names.index("survey_zwarning"), "survey_zwarning", pa.array([0], pa.int32()))
    row = row.set_column(row.column_names.index("sn_median"), "sn_median", pa.array([20.0], pa.float32()))
    row = row.set_column(row.column_names.index("split"), "split", pa.array(["test"]))
    predicted = samples.predictions(row, skip=changes.pop("skip", ())).to_pylist()[0]
    predicted |= {
        name: (1.0 if name == f"prob_{row['label'][0].as_py()}" else 0.0)
        for name in predicted
        if name.startswith("prob_")
    }
    predicted |= {name: 1e-4 for name in predicted if name.startswith("z_std_")} | changes.pop("pred", {})
    networks, origin = samples.networks(changes.pop("trained_on", "mock")), changes.pop("origin", "mock")
    head, entry = changes.pop("head", "huber"), changes.pop("entry", ENTRY)
    networks = [network if network["role"] == "classifier" else {**network, "head": head} for network in networks]
    for name, value in changes.items():
        row = row.set_column(row.column_names.index(name), name, pa.array([value], row[name].type))
    row = row.replace_schema_metadata(files.with_meta(row.schema, {"origin": origin, "grid": samples.GRID}).metadata)
    return assemble(pa.Table.from_pylist([predicted]), row, {"classes": {"GALAXY_AGN": entry}}, networks).to_pylist()[0]


def test_a_good_galaxy():
    row = one()
    assert row["flags"] == 0 and row["class"] == "GALAXY_AGN" and row["class_prob"] == 1
    assert row["z"] == row["z_GALAXY_AGN"] and row["z_std"] == pytest.approx(1e-4)
    assert row["z_err"] == pytest.approx(2e-4, rel=1e-3)


def test_a_star_has_no_redshift():
    row = one(label="STAR_G2")
    assert row["class"] == "STAR_G2" and row["flags"] == 0
    assert (row["z"], row["z_std"], row["z_err"], row["z_label"]) == (None, None, None, None)
    assert row["z_GALAXY_AGN"] is not None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"pred": {"z_std_GALAXY_AGN": 0.0016}}, Flag.UNSTABLE),
        ({"pred": {"prob_GALAXY_AGN": 0.45, "prob_QSO_nan": 0.3}}, Flag.LOW_PROB),
        ({"sn_median": 1.9}, Flag.LOW_SN),
        ({"n_good": 500}, Flag.MISSING_PIXELS),
        ({"n_good": 100}, Flag.MISSING_PIXELS | Flag.MOSTLY_MISSING),
        ({"coverage_min": 4020.0}, Flag.NO_COVERAGE),
        ({"coverage_max": 8900.0}, Flag.NO_COVERAGE),
        ({"pred": {"z_GALAXY_AGN": 5.1}}, Flag.Z_RANGE),
        ({"pred": {"z_GALAXY_AGN": float("nan")}}, Flag.BAD_OUTPUT),
        ({"pred": {"prob_QSO_nan": float("nan")}}, Flag.BAD_OUTPUT),
        ({"survey_zwarning": 4}, Flag.SURVEY_WARNING),
        ({"survey_class": "QSO"}, Flag.CLASS_DIFFERS),
        ({"split": "valid"}, Flag.SEEN_IN_TRAINING),
        ({"skip": ("GALAXY_AGN",)}, Flag.NO_NETWORK),
        ({"origin": "real"}, Flag.MOCK_TRAINED_REAL_INPUT),
        ({"origin": "real", "trained_on": "real"}, Flag(0)),
    ],
)
def test_each_flag(changes, expected):
    assert names(one(**changes)["flags"]) == names(int(expected))


FIT = {"z_refined": 0.1, "chi2": 1.1, "dchi2": 400.0, "peak": 0}


@pytest.mark.parametrize(
    ("fit", "std", "expected"),
    [
        ({}, 1e-4, Flag(0)),
        ({"dchi2": 8.9}, 1e-4, Flag.AMBIGUOUS),
        ({"dchi2": -300.0}, 1e-4, Flag.AMBIGUOUS),
        ({"dchi2": None}, 1e-4, Flag(0)),
        ({"chi2": 6.9}, 1e-4, Flag(0)),  # of S/N 20: 3 + (0.1 · 20)²
        ({"chi2": 7.1}, 1e-4, Flag.BAD_FIT),
        ({}, 0.0049, Flag(0)),  # z = 0.1: (1 + z) 0.0045 = 0.00495
        ({}, 0.0052, Flag.BROAD),
    ],
)
def test_flags_of_refined_redshifts(fit, std, expected):
    row = one(pred={**FIT, **fit, "z_std_GALAXY_AGN": std, "z_GALAXY_AGN": 0.1})
    assert row["z_refined"] == 0.1 and row["peak"] == 0
    assert names(row["flags"] & ~Flag.UNSTABLE) == names(int(expected))


def test_without_refinement_there_are_neither_its_columns_nor_its_flags():
    row = one(pred={"z_std_GALAXY_AGN": 0.1})
    assert row["flags"] == Flag.UNSTABLE and not set(FIT) & set(row)
    assert set(FIT) <= set(one(pred=FIT))


def test_a_survey_s_own_names_stand_in_its_catalogue_alone(tmp_path):
    spectra = samples.spectra(1, pixels=False)
    predictions, plain = samples.predictions(spectra), assemble(samples.predictions(spectra), spectra, None, [])
    own = {
        "targetid": pa.array([39627790000000000 + i for i in range(13)], pa.int64()),
        "survey": ["sv3"] * 13,
        "program": ["dark"] * 13,
        "healpix": pa.array(range(10400, 10413), pa.int32()),
    }
    for name, values in own.items():
        spectra = spectra.append_column(name, pa.array(values))
    made = assemble(predictions, spectra, None, [])
    assert set(made.column_names) - set(plain.column_names) == set(own)
    files.write_table(made, tmp_path / "c.parquet", {"origin": "mock"})
    write_fits(tmp_path / "c.parquet", tmp_path / "c.fits")
    table = Table.read(tmp_path / "c.fits")
    assert table["targetid"].dtype.kind == "i" and table["targetid"][12] == 39627790000000012
    assert table["survey"][0] == "sv3" and table["healpix"][1] == 10401
    assert assemble(predictions, spectra.drop_columns(["healpix"]), None, []).schema == plain.schema


def test_widths_of_bins_are_no_instability():
    """z_std of the bins head is wider than the validation MAE by the width of its bins; its calibrated error is not."""
    wide = {"z_std_GALAXY_AGN": 0.002}
    narrow = {**ENTRY, "error": [error / 100 for error in ENTRY["error"]]}
    assert one(pred=dict(wide), head="huber", entry=narrow)["flags"] == Flag.UNSTABLE
    assert one(pred=dict(wide), head="bins", entry=narrow)["flags"] == 0
    assert one(pred=dict(wide), head="bins")["flags"] == Flag.UNSTABLE


def test_unknown_values_set_no_bit():
    assert (
        one(survey_class=None, survey_zwarning=None, sn_median=None, coverage_min=None, coverage_max=None, split=None)[
            "flags"
        ]
        == 0
    )


def test_every_flag_has_a_meaning_and_its_own_bit():
    assert set(MEANING) == set(Flag)
    assert sum(map(int, Flag)) == 2 ** len(Flag) - 1
    assert Flag.MOCK_TRAINED_REAL_INPUT in BAD


def test_own_spectra_without_a_survey_get_nulls():
    predictions = samples.predictions(samples.spectra(1, pixels=False))
    mine = pa.table({"spectrum_id": predictions["spectrum_id"], "n_good": pa.array([626] * 13, pa.int32())})
    table = assemble(predictions, mine, None, samples.networks())
    assert table.schema.names == [c.name for c in catalogue_columns(predictions.column_names)]
    assert table["ra"].null_count == 13 and table["z_err"].null_count == 13


def test_prediction_without_a_spectrum_is_refused():
    table = samples.spectra(1, pixels=False)
    with pytest.raises(ResurveyError, match=table["spectrum_id"][0].as_py()):
        assemble(samples.predictions(table), table.slice(1), None, [])
    with pytest.raises(ResurveyError, match="more than once"):
        assemble(pa.concat_tables([samples.predictions(table)] * 2), table, None, [])


@pytest.fixture
def run(tmp_path):
    paths = samples.run_folder(tmp_path, shards=2, per_class=8)
    return paths | {
        "catalogue": tmp_path / "c.parquet",
        "fits": tmp_path / "c.fits",
        "rejected": tmp_path / "r.parquet",
    }


def test_merge_and_fits_round_trip(run):
    assert samples.merge_run(run) == 0
    table, meta = files.read_table(run["catalogue"]), files.read_meta(run["catalogue"])
    assert (
        len(table) == 2 * 13 * 8 and meta["origin"] == "mock" and meta["val_mae"]["GALAXY_nan"] == pytest.approx(0.0016)
    )
    keys = list(zip(table["plate"].to_pylist(), table["fiberid"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert table.schema.field("ra").metadata[b"unit"] == b"deg"
    assert table.schema.field("z_std_QSO_nan").metadata[b"ucd"] == b"stat.stdev;src.redshift"
    with fits.open(
        run["fits"], checksum=True
    ) as units:  # astropy warns where a checksum is wrong; warnings are errors below
        assert units[0].header["ORIGIN"] == "mock" and units[0].header["MODEL"] == "gasnet2_sdss"
        header = units[1].header
        assert header["TUNIT" + str(table.column_names.index("ra") + 1)] == "deg"
        assert all(f"TUCD{i + 1}" in header and f"TCOMM{i + 1}" in header for i in range(len(table.column_names)))
        assert units[0].verify_checksum() == 1 and units[0].verify_datasum() == 1
        assert units[1].verify_checksum() == 1 and units[1].verify_datasum() == 1
        units.verify("exception")
    read = Table.read(run["fits"], hdu=1)
    assert read.colnames == table.column_names and len(read) == len(table)
    assert str(read["ra"].unit) == "deg"
    star = np.array(table["z"].is_null())
    assert star.any() and np.isnan(np.ma.filled(read["z"], np.nan)[star]).all()
    np.testing.assert_array_equal(np.ma.filled(read["z"], np.nan)[~star], table["z"].to_numpy()[~star])
    np.testing.assert_array_equal(read["object_id"], table["object_id"])
    assert [text.strip() for text in read["class"]] == table["class"].to_pylist()
    assert np.asarray(read["specprimary"]).tolist() == table["specprimary"].to_pylist()


def test_integer_nulls_are_masked_in_the_fits(tmp_path):
    predictions = samples.predictions(samples.spectra(1, pixels=False))
    mine = pa.table({"spectrum_id": predictions["spectrum_id"], "n_good": pa.array([626] * 13, pa.int32())})
    files.write_table(assemble(predictions, mine, None, []), tmp_path / "a.parquet", {"origin": "real"})
    write_fits(tmp_path / "a.parquet", tmp_path / "a.fits")
    read = Table.read(tmp_path / "a.fits", hdu=1)
    assert read["plate"].mask.all() and not np.any(np.ma.getmaskarray(read["flags"]))


def test_missing_shard_is_named(run, capsys):
    (run["predictions"] / "0001.parquet").unlink()
    assert samples.merge_run(run) == 2
    assert "predictions/0001.parquet" in capsys.readouterr().err
    assert not run["catalogue"].exists() and not run["fits"].exists()


def test_shards_beyond_the_count_are_an_error(run, capsys):
    assert samples.merge_run(run, count=1) == 2
    assert "0001" in capsys.readouterr().err


def spread(paths, rows_of_shard):
    """Give each spectrum of a run folder a new shard: rows_of_shard[i] are the rows of shard i, as counted over all shards."""
    for folder in ("shards", "predictions"):
        names = sorted(path for path in paths[folder].iterdir() if "rejected" not in path.name)
        table, meta = pa.concat_tables([files.read_table(path) for path in names]), files.read_meta(names[0])
        for number, rows in enumerate(rows_of_shard):
            files.write_table(table.take(pa.array(rows, pa.int64())), paths[folder] / f"{number:04d}.parquet", meta)
    table, meta = files.read_table(paths["targets"]), files.read_meta(paths["targets"])
    parts = [table.take(pa.array(rows, pa.int64())) for rows in rows_of_shard]
    names = [[f"{number:04d}"] * len(rows) for number, rows in enumerate(rows_of_shard)]
    column = pa.array([name for part in names for name in part])
    at = table.schema.get_field_index("shard")
    files.write_table(pa.concat_tables(parts).set_column(at, "shard", column), paths["targets"], meta)


def test_the_order_of_the_catalogue_is_that_of_its_keys_whatever_the_shards(run, monkeypatch):
    assert samples.merge_run(run) == 0
    plain, whole = files.read_table(run["catalogue"]), run["fits"].read_bytes()
    monkeypatch.setattr("resurvey.catalogues.ordered.FAN_IN", 3)
    monkeypatch.setattr("resurvey.catalogues.ordered.PIECE", 5)
    monkeypatch.setattr("resurvey.catalogues.merge.ROWS_PER_GROUP", 50)
    spread(run, np.array_split(np.random.default_rng(1).permutation(208), 11))
    assert samples.merge_run(run, count=11) == 0
    assert files.read_table(run["catalogue"]).equals(plain) and run["fits"].read_bytes() == whole
    assert not list(run["catalogue"].parent.glob(".*"))
    groups = files.open_parquet(run["catalogue"]).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [50, 50, 50, 50, 8]


def test_a_spectrum_in_two_shards_is_named(run, capsys):
    spread(run, [np.arange(104), np.arange(100, 208)])
    twice = files.read_table(run["shards"] / "0001.parquet")["spectrum_id"][0]
    assert samples.merge_run(run) == 2
    assert f"spectrum_id {twice} stands in shard 0000 and in shard 0001" in capsys.readouterr().err
    assert not run["catalogue"].exists() and not run["fits"].exists() and not list(run["targets"].parent.glob(".*"))


def test_a_shard_in_the_place_of_another_is_named(run, capsys):
    for folder in ("shards", "predictions"):
        (run[folder] / "0001.parquet").write_bytes((run[folder] / "0000.parquet").read_bytes())
    assert samples.merge_run(run) == 2
    assert "shard 0001: spectrum_id 1300-55000-0001 is a target, but stands neither in" in capsys.readouterr().err


def test_an_empty_shard_is_legal(run):
    spread(run, [np.arange(104), [], np.arange(104, 208)])
    assert samples.merge_run(run, count=3) == 0
    assert len(files.read_table(run["catalogue"])) == 208


def test_a_duplicate_key_within_a_shard_is_an_error(run, capsys):
    path = run["predictions"] / "0000.parquet"
    table, meta = files.read_table(path), files.read_meta(path)
    files.write_table(pa.concat_tables([table.slice(1), table.slice(1, 1)]), path, meta)
    assert samples.merge_run(run) == 2
    assert "more than once" in capsys.readouterr().err


def without_first(paths, *folders):
    """Take the first spectrum out of shard 0000 of some folders; returns its id."""
    for folder in folders:
        path = paths[folder] / "0000.parquet"
        table, meta = files.read_table(path), files.read_meta(path)
        files.write_table(table.slice(1), path, meta)
    return table["spectrum_id"][0].as_py()


def reject(paths, spectrum_id):
    rejected = pa.table({"spectrum_id": [spectrum_id], "reason": ["all pixels masked"], "stage": ["shard"]})
    files.write_table(rejected, paths["shards"] / "0000.rejected.parquet", {"origin": "mock"})
    return rejected.to_pylist()


def test_a_lost_spectrum_is_an_error_a_rejected_one_is_listed(run, capsys):
    lost = without_first(run, "shards", "predictions")
    assert samples.merge_run(run) == 2
    error = capsys.readouterr().err
    assert f"shard 0000: spectrum_id {lost} is a target, but stands neither in" in error
    assert "104 targets, 103 spectra, 103 predictions, 0 rejected" in error
    rejected = reject(run, lost)
    assert samples.merge_run(run) == 0
    assert files.read_table(run["rejected"]).to_pylist() == rejected


def test_a_spectrum_without_prediction_a_prediction_without_spectrum_and_both_verdicts_are_named(run, capsys):
    first = files.read_table(run["shards"] / "0000.parquet")["spectrum_id"][0].as_py()
    reject(run, first)
    assert samples.merge_run(run) == 2
    assert f"spectrum_id {first} is both in" in capsys.readouterr().err
    (run["shards"] / "0000.rejected.parquet").unlink()
    without_first(run, "predictions")
    assert samples.merge_run(run) == 2
    assert f"spectrum_id {first} stands in {run['shards']}/0000.parquet but not in" in capsys.readouterr().err
    without_first(run, "shards")
    files.write_table(samples.predictions(samples.spectra(8, 0, False)), run["predictions"] / "0000.parquet",
                      files.read_meta(run["predictions"] / "0001.parquet"))  # fmt: skip
    assert samples.merge_run(run) == 2
    assert f"spectrum_id {first} stands in {run['predictions']}/0000.parquet but not in" in capsys.readouterr().err


def test_a_spectrum_that_no_target_asked_for_is_named(run, capsys):
    table, meta = files.read_table(run["targets"]), files.read_meta(run["targets"])
    files.write_table(table.slice(1), run["targets"], meta)
    assert samples.merge_run(run) == 2
    assert "spectrum_id 0300-55000-0001 stands in" in (error := capsys.readouterr().err) and "but is no target" in error


def test_predictions_of_other_networks_or_templates_are_refused(run, capsys):
    path = run["predictions"] / "0001.parquet"
    meta = files.read_meta(path)
    for changed, words in (({"weights": {"ResNet_P": "other"}}, "predicted by other networks"), ({"templates": "other"}, "refined by other templates")):  # fmt: skip
        files.write_table(files.read_table(path), path, {**meta, **changed})
        assert samples.merge_run(run) == 2
        assert f"0001.parquet: was {words} than" in capsys.readouterr().err


def test_mixed_origin_is_refused(run, capsys):
    path = run["predictions"] / "0001.parquet"
    files.write_table(files.read_table(path), path, {**files.read_meta(path), "origin": "real"})
    assert samples.merge_run(run) == 2
    assert "mixed" in capsys.readouterr().err


@pytest.mark.parametrize("interleaved", [False, True])
def test_memory_does_not_grow_with_the_shards(tmp_path, interleaved):
    """Peaks of the merge, then of evaluation, with 6 and with 24 shards of the same size, pieces and groups as small as they."""
    arrow, process = [], []
    for shards in (6, 24):
        paths = samples.run_folder(tmp_path / str(shards), shards=shards, per_class=150, pixels=False)
        paths |= {name: tmp_path / str(shards) / name for name in ("catalogue", "fits", "rejected")}
        if interleaved:
            spread(paths, [np.arange(start, shards * 1950, shards) for start in range(shards)])
        files.write_table(files.read_table(paths["targets"]), paths["targets"], {"origin": "mock"}, row_group_size=2000)
        code = f"""if True:
            import pyarrow, resource, sys
            sys.path.insert(0, {str(ROOT / "tests" / "unit")!r})
            import scoring_samples
            from resurvey import cli
            from resurvey.catalogues import merge, ordered
            merge.ROWS_PER_GROUP = 2000
            ordered.FAN_IN, ordered.PIECE = 4, 500
            paths = { ({k: str(v) for k, v in paths.items()})!r}
            assert scoring_samples.merge_run(paths, {shards}) == 0
            assert cli.main(["evaluate", "--catalogue", paths["catalogue"], "--out", paths["catalogue"] + ".tidy"]) == 0
            print(pyarrow.default_memory_pool().max_memory(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for peaks, text in zip((arrow, process), done.stdout.split()[-2:], strict=True):
            peaks.append(int(text) / 1e6)
    assert arrow[1] < 1.25 * arrow[0], f"Arrow's peak {arrow[0]:.1f} MB with 6 shards, {arrow[1]:.1f} MB with 24"
    assert process[1] < process[0] + 60, f"peak {process[0]:.0f} MB with 6 shards, {process[1]:.0f} MB with 24"


def keyed(keys):
    """A table of the key's columns from (plate, spectrum_id), null where None."""
    plate, ids = zip(*keys, strict=True)
    kinds = {"plate": pa.int32(), "mjd": pa.int32(), "fiberid": pa.int32(), "spectrum_id": pa.string()}
    none = [None] * len(keys)
    return pa.table({"plate": plate, "mjd": none, "fiberid": none, "spectrum_id": ids}, schema=pa.schema(kinds.items()))


def runs_of(tables, pieces, opened=None):
    """Sorted tables as runs that are read `pieces` rows at a time; `opened` counts those that are being read."""

    def read(table):
        if opened is not None:
            opened.append(opened[-1] + 1)
        for start in range(0, len(table), pieces):
            yield table.slice(start, pieces)
        if opened is not None:
            opened.append(opened[-1] - 1)

    return [Run(key_of(t, 0, KEY), key_of(t, -1, KEY), lambda t=t: read(t)) for t in (in_order(t, KEY) for t in tables)]


def test_sorted_streams_become_one(tmp_path, monkeypatch):
    rng = np.random.default_rng(3)
    keys = [(None if plate < 20 else int(plate), f"s{i:03d}") for i, plate in enumerate(rng.integers(0, 12000, 400))]
    expected = in_order(keyed(keys), KEY).select(["plate", "spectrum_id"]).to_pylist()
    assert [row["plate"] for row in expected] == sorted((k[0] for k in keys), key=lambda p: -1 if p is None else p)
    monkeypatch.setattr("resurvey.catalogues.ordered.FAN_IN", 4)
    groups = [keyed([keys[i] for i in part]) for part in np.array_split(rng.permutation(400), 23)]
    for runs in (runs_of(groups, 7), limited(runs_of(groups, 7), tmp_path, KEY)):
        found = pa.concat_tables(merged(runs, KEY)).select(["plate", "spectrum_id"]).to_pylist()
        assert found == expected
    assert overlapping(runs_of(groups, 7)) > 4 >= overlapping(runs)
    assert list(tmp_path.iterdir()) == []


def test_runs_that_follow_one_another_are_open_one_at_a_time(tmp_path):
    opened = [0]
    runs = runs_of([keyed([(plate, "a"), (plate, "b"), (plate + 1, "a")]) for plate in range(0, 60, 2)], 2, opened)
    assert overlapping(runs) == 1 and [run.first for run in limited(runs, tmp_path, KEY)] == [run.first for run in runs]
    assert len(pa.concat_tables(merged(runs[::-1], KEY))) == 90
    assert max(opened) == 1


def test_documentation_is_up_to_date():
    assert (ROOT / "docs" / "catalogue.md").read_text() == document(), (
        "python -m resurvey.catalogues.document > docs/catalogue.md"
    )


def test_columns_are_declared_once():
    declared = [column.name for column in FIXED]
    assert len(set(declared)) == len(declared)
    assert all(column.description and column.ucd for column in FIXED)
