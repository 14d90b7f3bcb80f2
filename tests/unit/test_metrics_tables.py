"""Any predictions file becomes the tidy table; what does not is refused with what is missing."""

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from resurvey.errors import ResurveyError
from resurvey.metrics.tables import read_all, read_tidy


def published(path, n=5, shift=0.0, label="label", extra=None, first=1):
    """A file in the authors' layout: columns of shape (n, 1), padded text, both CLASS and class."""
    z = np.linspace(0.1, 0.5, n).astype("f4")
    table = Table({label: z[:, None], "SNR": np.full(n, 7, "f4"), "CLASS": ["GALAXY   "] * n, "SUBCLASS": ["AGN  "] * n,
                   "PLATE": np.full((n, 1), 1234), "MJD": np.full((n, 1), 55000), "FIBERID": np.arange(first, first + n)[:, None],
                   "pred_bar": z + np.float32(shift), "pred_std": np.full(n, 0.001, "f4"), "class": ["GALAXY"] * n,
                   "subclass": ["AGN"] * n})  # fmt: skip
    for name, values in (extra or {}).items():
        table[name] = values
    table.write(path)
    return path


def test_the_authors_layout(tmp_path):
    tidy = read_tidy(published(tmp_path / "a.fits"))
    assert tidy.table["label"].unique().tolist() == ["GALAXY_AGN"]
    assert tidy.table["spectrum_id"].iloc[1] == "1234-55000-0002"
    assert tidy.table["z_true"].iloc[-1] == pytest.approx(0.5)
    assert tidy.table["z_point"].isna().all()
    assert tidy.model == "published" and not tidy.mock


def test_joined_layout_with_suffixes(tmp_path):
    n = 3
    Table({"CLASS_1": ["QSO"] * n, "SUBCLASS_1": ["nan"] * n, "VDISP": [0.0, 10.0, 20.0], "pred_bar": [1.0, 2.0, 3.0],
           "pred_std": [0.1] * n, "SNR": [3.0] * n, "PLATE_1": [1] * n, "MJD_1": [2] * n, "FIBERID_1": [1, 2, 3],
           "Z": [1.0, 2.0, 3.1]}).write(tmp_path / "v.fits")  # fmt: skip
    table = read_tidy(tmp_path / "v.fits").table
    assert table["label"].unique().tolist() == ["QSO_nan"] and table["vdisp"].tolist() == [0, 10, 20]


def test_csv_and_parquet_with_the_same_names(tmp_path):
    frame = pd.DataFrame({"CLASS": ["GALAXY"], "SUBCLASS": [""], "Z": [0.2], "pred_bar": [0.21], "SNR": [4.0]})
    frame.to_csv(tmp_path / "p.csv", index=False)
    frame.to_parquet(tmp_path / "p.parquet")
    for name in ("p.csv", "p.parquet"):
        table = read_tidy(tmp_path / name).table
        assert table["label"].tolist() == ["GALAXY_nan"] and table["z_pred"].tolist() == [0.21]


def test_unknown_layout_says_what_is_needed(tmp_path):
    pd.DataFrame({"redshift": [1.0], "guess": [1.1]}).to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(ResurveyError, match=r"x.csv.*redshift, guess.*pred_bar"):
        read_tidy(tmp_path / "x.csv")


@pytest.mark.parametrize("name", ["t.fits", "t.parquet"])
def test_a_damaged_file_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"<html>403</html>" * 300)
    with pytest.raises(ResurveyError, match=name):
        read_tidy(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ResurveyError, match=r"nowhere\.fits"):
        read_all([tmp_path / "nowhere.fits"])


def test_the_same_spectra_in_two_files_count_once(tmp_path):
    published(tmp_path / "a.fits", first=1)
    published(tmp_path / "b.fits", extra={"VDISP": np.arange(5.0)})
    published(tmp_path / "c.fits", first=100)
    (tables, _) = read_all([tmp_path])
    assert len(tables) == 1 and len(tables[0].table) == 10
    assert tables[0].table["vdisp"].tolist()[:5] == [0, 1, 2, 3, 4]
    assert [entry["n"] for entry in tables[0].left_out] == [5]


def test_different_predictions_of_the_same_spectra_are_refused(tmp_path):
    published(tmp_path / "a.fits")
    published(tmp_path / "b.fits", shift=0.1)
    with pytest.raises(ResurveyError, match=r"b.fits.*z_pred.*5 spectra"):
        read_all([tmp_path])


def test_folder_passes_over_what_is_no_prediction(tmp_path):
    published(tmp_path / "a.fits")
    pd.DataFrame({"epoch": [0], "loss": [1.0], "mae": [1.0], "val_loss": [0.5], "val_mae": [0.4]}).to_csv(
        tmp_path / "GALAXY_AGN-MC.csv"
    )
    pd.DataFrame({"path": ["x"]}).to_csv(tmp_path / "MANIFEST.csv", index=False)
    tables, histories = read_all([tmp_path])
    assert list(histories) == ["GALAXY_AGN"]
    assert [entry["file"].endswith("MANIFEST.csv") for entry in tables[0].left_out] == [True]


def test_empty_and_truncated_files_are_told_in_one_line(tmp_path, capfd):
    whole = published(tmp_path / "a.fits", n=200)
    Table.read(whole)[:0].write(tmp_path / "none.fits")
    with pytest.raises(ResurveyError, match=r"none\.fits: its table has no rows"):
        read_tidy(tmp_path / "none.fits")
    (tmp_path / "cut.fits").write_bytes(whole.read_bytes()[:9000])
    with pytest.raises(ResurveyError, match=r"cut\.fits: is not a readable FITS file"):
        read_tidy(tmp_path / "cut.fits")
    assert capfd.readouterr().err == ""
