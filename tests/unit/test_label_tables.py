"""Files of predicted labels, ours and foreign, as the tidy table; truth from elsewhere; the evaluation of a catalogue."""

import label_scoring as samples
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.io import fits
from resurvey import cli, files
from resurvey.errors import ResurveyError
from resurvey.metrics import label_chain, label_layouts
from resurvey.metrics.label_tables import read_all, read_label_table, with_truth


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    paths = samples.run_folder(tmp_path_factory.mktemp("tables"), shards=2, stars=60)
    assert samples.merge_run(paths) == 0 and samples.evaluate(paths) == 0
    return paths


def test_tidy_rows_are_those_of_the_splits_the_clusters_and_others(run):
    found, catalogue = read_label_table(run["tidy"]), files.read_table(run["catalogue"]).to_pandas()
    assert found.model == samples.MODEL and found.mock and found.labels == samples.LABELS
    assert list(found.table.columns) == label_layouts.columns(found.labels)
    kept = catalogue[
        catalogue["split"].notna() | catalogue["cluster"].notna()
    ]  # combined training spectra are drawn as others
    assert sorted(found.table["spectrum_id"]) == sorted(kept["spectrum_id"])
    one = found.table.set_index("spectrum_id").loc["4240-2M00000004+00-v01"]
    row = catalogue.set_index("spectrum_id").loc["4240-2M00000004+00-v01"]
    assert (one["split"], one["visit"]) == ("test_visits", 1)
    for ours, theirs in (
        ("mg_h_pred", "mg_h"),
        ("mg_h_true", "survey_mg_h"),
        ("mg_h_total", "mg_h_total"),
        ("mg_h_true_err", "survey_mg_h_err"),
    ):
        assert one[ours] == row[theirs]


def test_the_catalogue_and_its_fits_are_read_as_the_tidy_table(run):
    tidy = read_label_table(run["tidy"]).table.set_index("spectrum_id")
    for name in ("catalogue", "fits"):
        path = run[name]
        if name == "catalogue":
            path = run["tidy"].with_name("copy.parquet")
            path.write_bytes(run[name].read_bytes())
        else:
            path = run["tidy"].with_name("copy.fits")
            path.write_bytes(run[name].read_bytes())
        other = read_label_table(path)
        assert other.labels == samples.LABELS and other.model == samples.MODEL
        pd.testing.assert_frame_equal(other.table.set_index("spectrum_id").loc[tidy.index], tidy, check_dtype=False)


def test_others_are_drawn_at_random_but_always_the_same(run, monkeypatch, tmp_path):
    monkeypatch.setattr(label_chain, "OTHERS", 20)
    outs = []
    for name in ("a.parquet", "b.parquet"):
        assert cli.main(["evaluate", "--catalogue", str(run["catalogue"]), "--out", str(tmp_path / name)]) == 0
        outs.append(read_label_table(tmp_path / name))
    others = outs[0].table["split"] == "train"  # 60 combined training spectra
    assert 8 <= others.sum() <= 32
    assert outs[0].table.equals(outs[1].table)
    (entry,) = outs[0].left_out
    assert entry["n"] == 60 - others.sum() and "drawn at random" in entry["reason"]
    assert (outs[0].table["split"] == "test_visits").sum() == 2 * 2 * 20


def test_the_published_catalogue_of_dr14(tmp_path):
    values = np.tile(np.r_[4600.0, 2.3, np.full(20, -0.1)], (3, 1)).astype(">f4")
    values[1, 5] = -9999
    columns = [
        fits.Column("APOGEE_ID", "18A", array=["2M1", "2M2", "2M3"]),
        fits.Column("LOCATION_ID", "J", array=[4240, 4240, 4241]),
        fits.Column("astroNN", "22E", array=values),
        fits.Column("astroNN_error", "22E", array=np.full((3, 22), 0.02, ">f4")),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "nn.fits")
    found = read_label_table(tmp_path / "nn.fits")
    assert found.model == "nn.fits" and found.labels == samples.LABELS
    assert found.table["teff_pred"].tolist() == [4600, 4600, 4600]
    assert np.isnan(found.table.loc[1, "o_h_pred"]) and found.table["o_h_pred"].notna().sum() == 2
    assert found.table["al_h_total"].tolist() == pytest.approx([0.02] * 3) and found.table["al_h_model"].isna().all()
    assert found.table["visit"].eq(0).all() and found.table["apogee_id"].tolist() == ["2M1", "2M2", "2M3"]


def test_the_value_added_catalogue_of_dr17(tmp_path):
    columns = [fits.Column("APOGEE_ID", "18A", array=["2M1", "2M2"])]
    for name, values in (
        ("TEFF", [4500, 4600]),
        ("TEFF_ERR", [20, 30]),
        ("MG_H", [0.1, -9999]),
        ("MG_H_ERR", [0.02, -9999]),
    ):
        columns.append(fits.Column(name, "E", array=values))
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "vac.fits")
    found = read_label_table(tmp_path / "vac.fits")
    assert found.labels == ["teff", "mg_h"]
    assert found.table["teff_total"].tolist() == [20, 30] and found.table["mg_h_pred"].notna().tolist() == [True, False]


def test_a_csv_with_tidy_names_and_minus_9999(tmp_path):
    (tmp_path / "p.csv").write_text(
        "apogee_id,split,teff_pred,teff_true\na,test,4500,-9999\nb,test,4600,4590\nc,test,,4500\n"
    )
    found = read_label_table(tmp_path / "p.csv")
    assert found.table["teff_true"].isna().tolist() == [True, False, False]
    assert found.table["teff_pred"].isna().tolist() == [False, False, True]


def test_what_is_no_table_of_predictions_is_refused(run, tmp_path):
    with pytest.raises(ResurveyError, match="not a table of predicted labels"):
        read_label_table(run["targets"])  # the survey's own labels are not predictions
    (tmp_path / "t.csv").write_text("teff_pred\nhot\n")
    with pytest.raises(ResurveyError, match="teff_pred is not numeric"):
        read_label_table(tmp_path / "t.csv")
    with pytest.raises(ResurveyError, match="does not exist"):
        read_label_table(tmp_path / "no.csv")


def test_files_of_one_model_are_put_together_and_repeated_spectra_named(run, tmp_path):
    table, meta = files.read_table(run["tidy"]), files.read_meta(run["tidy"])
    files.write_table(table.slice(0, 50), tmp_path / "one.parquet", meta)
    files.write_table(table.slice(50), tmp_path / "two.parquet", meta)
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    (found,), histories = read_all([tmp_path])
    assert len(found.table) == len(table) and histories == {}
    assert any(entry["file"].endswith("notes.csv") for entry in found.left_out)
    files.write_table(table.slice(49), tmp_path / "two.parquet", meta)
    with pytest.raises(ResurveyError, match="stands in another file"):
        read_all([tmp_path])


def test_truth_from_another_table(run, tmp_path):
    found = read_label_table(run["tidy"])
    stars = files.read_table(run["targets"]).to_pandas().query("visit == 0").drop_duplicates("apogee_id")
    truth = pd.DataFrame({"apogee_id": stars["apogee_id"], "teff": 4321.0, "mg_h": -9999.0, "location_id": 4240}).iloc[
        :-1
    ]
    files.write_table(pa.Table.from_pandas(truth, preserve_index=False), tmp_path / "truth.parquet", {"origin": "mock"})
    new = with_truth(found, tmp_path / "truth.parquet")
    lost = (new.table["apogee_id"] == stars["apogee_id"].iloc[-1]).to_numpy()
    assert (
        lost.sum() == 3
        and (new.table.loc[~lost, "teff_true"] == 4321).all()
        and new.table.loc[lost, "teff_true"].isna().all()
    )
    assert new.table["mg_h_true"].isna().all() and new.table["al_h_true"].isna().all()
    assert found.table["teff_true"].ne(4321).all() and new.left_out[-1]["n"] == 3
    files.write_table(pa.table({"apogee_id": ["x"], "teff": [1.0]}), tmp_path / "other.parquet", {})
    with pytest.raises(ResurveyError, match="none of the stars"):
        with_truth(found, tmp_path / "other.parquet")
    files.write_table(pa.table({"star": ["x"], "teff": [1.0]}), tmp_path / "bad.parquet", {})
    with pytest.raises(ResurveyError, match="needed are apogee_id"):
        with_truth(found, tmp_path / "bad.parquet")


def test_a_published_catalogue_gets_splits_and_clusters_with_its_truth(run, tmp_path):
    found = read_label_table(run["tidy"])
    bare = found.table.query("visit == 0")[["apogee_id", "location_id", "teff_pred", "teff_total"]]
    bare.to_csv(tmp_path / "bare.csv", index=False)
    new = with_truth(read_label_table(tmp_path / "bare.csv"), run["targets"]).table
    expected = found.table.query("visit == 0").reset_index(drop=True)
    for name in ("split", "cluster", "starflag", "sn_median", "teff_true"):
        pd.testing.assert_series_equal(new[name], expected[name], check_dtype=False)
