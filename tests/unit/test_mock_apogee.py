"""The mock archive of APOGEE DR14: paths, HDUs, columns and quirks of the real one, the same bytes from a seed, the truth in it."""

import csv
import hashlib
import json

import numpy as np
import pytest
from astropy.io import fits
from mock_archives import ARCHIVES, made
from resurvey import cli, files
from resurvey.archive import mock_apogee, mock_apogee_columns
from resurvey.archive.mock_apogee import build
from resurvey.simulate.apogee_clusters import CLUSTERS, GLOBULARS
from resurvey.surveys.apogee_grid import FULL, LIGHT_SPEED
from resurvey.surveys.apogee_labels import ASPCAP_ELEMENTS, ELEMENTS, MISSING, NAMES

OPTIONS = mock_apogee.DEFAULTS | ARCHIVES["apogee_dr14"].options
ROOT = "dr14/apogee/spectro/redux/r8"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return made(tmp_path_factory, "apogee_dr14")


@pytest.fixture(scope="module")
def r8(archive):
    return archive / ROOT


@pytest.fixture(scope="module")
def truth(archive):
    return files.read_table(archive / "truth" / "apogee_dr14.parquet").to_pandas()


@pytest.fixture(scope="module")
def allstar(r8):
    return fits.getdata(r8 / "stars/l31c/l31c.2/allStar-l31c.2.fits", 1)


def test_all_files_follow_the_standard_and_say_mock(archive, r8):
    names = list(r8.rglob("*.fits"))
    assert len(names) > 150
    for name in names:
        with fits.open(name, memmap=False) as hdus:
            hdus.verify("exception")
            assert hdus[0].header["MOCK"] is True and "mock" in hdus[0].header["ORIGIN"]
    assert json.loads((r8 / "MOCK").read_text())["settings"] == OPTIONS
    assert (archive / "dr14/extras/MOCK").exists()
    assert files.read_meta(archive / "truth/apogee_dr14.parquet")["origin"] == "mock"


def test_columns_of_the_catalogues(r8, allstar):
    with fits.open(r8 / "stars/l31c/l31c.2/allStar-l31c.2.fits") as hdus:
        assert hdus[1].columns["X_H"].format == "26E" and hdus[1].columns["PARAM"].format == "9E"
        assert hdus[1].data["PARAM_COV"].shape[1:] == (9, 9)
        assert [name.strip() for name in hdus[3].data["ELEM_SYMBOL"][0]] == list(ASPCAP_ELEMENTS)
        assert [name.strip() for name in hdus[3].data["PARAM_SYMBOL"][0]] == mock_apogee_columns.PARAMETERS
    needed = "APOGEE_ID LOCATION_ID FIELD TELESCOPE FILE RA DEC SNR NVISITS STARFLAG ASPCAPFLAG VSCATTER VHELIO_AVG COMMISS PARAM PARAM_COV TEFF TEFF_ERR LOGG LOGG_ERR X_H X_H_ERR FE_H AL_FE"
    assert set(needed.split()) <= set(allstar.names)
    assert (allstar["X_H"][:, 20:] == MISSING).all()  # Cu … Nd were not calibrated
    visits = fits.getdata(r8 / "allVisit-l31c.2.fits", 1)
    assert len(visits) == allstar["NVISITS"].sum()
    assert np.allclose(visits["VREL"], visits["VHELIO"] - visits["BC"], atol=1e-3)
    cannon = fits.getdata(r8 / "stars/l31c/l31c.2/cannon/allStarCannon-l31c.2.fits", 1)
    assert 0.5 * len(allstar) < len(cannon) < len(allstar)
    assert {"TEFF", "LOGG", "M_H", "ALPHA_M", "FE_H", "AL_H", "TIII_H", "AL_H_RAWERR", "AL_H_ERR", "R_CHI_SQ"} <= set(
        cannon.names
    )


def test_labels_are_truth_with_the_errors_given(allstar, truth):
    assert allstar["APOGEE_ID"].tolist() == truth["apogee_id"].tolist()
    found = np.column_stack([allstar["PARAM"][:, :2], allstar["X_H"][:, :20]])
    error = np.column_stack([allstar["TEFF_ERR"], allstar["LOGG_ERR"], allstar["X_H_ERR"][:, :20]])
    known = found != MISSING
    assert ((error != MISSING) == known).all()
    pull = ((found - truth[list(NAMES)].to_numpy()) / error)[known]
    assert np.std(pull) == pytest.approx(1, abs=0.1)
    assert (allstar["PARAM"][(truth["kind"] == "dwarf").to_numpy(), 1] == MISSING).all()
    assert (allstar["X_H"][(truth["cluster"] == "M13").to_numpy(), 4] == MISSING).all()  # sodium at [Fe/H] = -1.5
    assert 0.005 < (~known[:, 2:]).mean() < 0.3


def test_star_files_have_their_rows(r8, allstar, truth):
    one = many = absent = 0
    for row, star in zip(allstar, truth.itertuples(), strict=True):
        folder = "apo1m/hip" if row["TELESCOPE"] == "apo1m" else f"apo25m/{row['LOCATION_ID']}"
        path = r8 / "stars" / folder / row["FILE"]
        if not path.exists():
            absent += 1
            continue
        n = int(row["NVISITS"])
        with fits.open(path, memmap=False) as hdus:
            shape = (FULL,) if n == 1 else (n + 2, FULL)
            assert hdus[1].data.shape == hdus[2].data.shape == hdus[3].data.shape == shape
            assert hdus[3].data.dtype.kind == "i" and hdus[1].data.dtype == ">f4"
            header = hdus[0].header
            assert header["OBJID"] == star.apogee_id and header["NVISITS"] == n
            assert (
                header["SNR"] == pytest.approx(star.asked_sn, rel=0.1)
                and f"SNRVIS{n}" in header
                and f"VHELIO{n}" in header
            )
            combined = np.atleast_2d(hdus[1].data)[min(1, len(np.atleast_2d(hdus[1].data)) - 1)]
            error = np.atleast_2d(hdus[2].data)[min(1, len(np.atleast_2d(hdus[1].data)) - 1)]
            good = (error < 1e9)[3585:6080]
            assert np.median((combined / error)[3585:6080][good]) == pytest.approx(row["SNR"], rel=1e-4)
        one, many = one + (n == 1), many + (n > 1)
    assert one and many and absent == OPTIONS["missing"]


def test_aspcap_spectra_are_normalised_and_fit(r8):
    paths = sorted((r8 / "stars/l31c/l31c.2").glob("*/aspcapStar-r8-l31c.2-2M*.fits"))
    assert len(paths) > 60
    for path in paths[:10]:
        with fits.open(path, memmap=False) as hdus:
            flux, error, fit = (hdus[i].data for i in (1, 2, 3))
            assert flux.shape == error.shape == fit.shape == (FULL,) and hdus[3].header["BITPIX"] == -32
            good = error < 0.05
            assert np.median(flux[good]) == pytest.approx(1, abs=0.1)
            assert np.median(np.abs(flux - fit)[good]) < 0.06
            assert (flux[3400:3500] == 0).all()


def test_visit_files_are_the_observed_visits(r8):
    paths = sorted(r8.glob("apo25m/*/*/apVisit-r8-*.fits"))
    assert len(paths) == OPTIONS["apvisits"]
    for path in paths:
        with fits.open(path, memmap=False) as hdus:
            header, flux, error, mask, wave = hdus[0].header, *(hdus[i].data for i in (1, 2, 3, 4))
        assert flux.shape == (3, 4096) and wave.dtype == ">f8" and mask.dtype == ">i2"
        assert (np.diff(wave, axis=1) < 0).all() and wave[0, 0] > wave[1, 0] > wave[2, 0]
        assert header["VHELIO"] == pytest.approx(header["VRAD"] + header["BC"], abs=1e-6)
        with fits.open(r8 / f"stars/apo25m/{header['LOCID']}/apStar-r8-{header['OBJID']}.fits", memmap=False) as star:
            number = star[0].header["NVISITS"]
            assert star[0].header[f"SFILE{number}"] == path.name
            row = np.atleast_2d(star[1].data)[-1].astype(float)
            grid = 10 ** (4.179 + 6e-6 * np.arange(FULL))
            data = np.atleast_2d(star[2].data)[-1] < 1e9
        rest = wave[1] / (1 + header["VRAD"] / LIGHT_SPEED)
        clean = (mask[1] == 0) & (error[1] < 1e9)
        again = np.interp(rest, grid[data], row[data])
        assert clean.mean() > 0.5 and np.abs(flux[1] / again - 1)[clean].max() < 1e-4


def test_checksum_lists_are_right_and_named_as_in_the_archive(r8):
    listed = {}
    for path in r8.rglob("*.sha1sum"):
        for line in path.read_text().splitlines():
            digest, name = line.split("  ")
            listed[path.parent / name.rpartition("/")[2]] = digest
    present = set(r8.rglob("*.fits"))
    assert set(listed) < present or set(listed) == present
    assert len(listed) > 0.9 * len(present)
    assert all(hashlib.sha1(path.read_bytes()).hexdigest() == digest for path, digest in listed.items())
    stars = r8 / "stars/apo25m/4106/r8_stars_apo25m_4106.sha1sum"
    assert "  apo25m/4106/apStar-r8-2M" in stars.read_text()  # with some of its path
    aspcap = r8 / "stars/l31c/l31c.2/4106/stars_l31c_l31c.2_4106.sha1sum"
    assert "  aspcapStar-r8-l31c.2-2M" in aspcap.read_text()
    assert (r8 / "stars/l31c/l31c.2/r8_stars_l31c_l31c.2.sha1sum").exists()


def test_small_tables(archive, truth):
    def rows(name):
        with open(archive / "dr14/extras" / f"{name}.csv") as handle:
            return list(csv.DictReader(handle))

    assert len(rows("continuum_pixels")) == 529
    windows = rows("windows")
    assert {row["element"] for row in windows} == set(ELEMENTS)
    assert all(0 <= int(row["pixel"]) < 7514 and float(row["weight"]) > 0 for row in windows)
    members = truth[truth["cluster"].notna()]
    assert {(row["apogee_id"], row["cluster"]) for row in rows("clusters")} == set(
        zip(members["apogee_id"], members["cluster"], strict=True)
    )
    assert {row["mh"] for row in rows("isochrones")} == {"0.25", "-0.25", "-0.75", "-1.75"}


def test_other_globular_clusters_have_fields_and_no_list_of_members():
    table = mock_apogee.mock_apogee_layout.make({**OPTIONS, "globulars": 3})
    for cluster in GLOBULARS:
        mine = table["cluster"] == cluster.name
        assert mine.sum() == 3 and (table["location_id"][mine] == cluster.location_id).all()
    assert {cluster for _, cluster in mock_apogee.members(table)} == {cluster.name for cluster in CLUSTERS}
    assert len(mock_apogee.members(table)) == 3 * OPTIONS["clusters"]


def test_quirks_of_a_larger_survey():
    table = mock_apogee.mock_apogee_layout.make({**OPTIONS, "stars": 1500})
    assert table["repeat"].sum() > 20
    ids, count = np.unique(table["apogee_id"], return_counts=True)
    twice = ids[count == 2]
    assert len(twice) == table["repeat"].sum() and count.max() == 2
    pairs = [set(table["location_id"][table["apogee_id"] == name]) for name in twice[:10]]
    assert all(len(pair) == 2 for pair in pairs)
    small = table["telescope"] == "apo1m"
    assert small.sum() > 3 and (table["location_id"][small] == 1).all() and (table["location_id"][~small] > 1).all()
    assert any(name.startswith("apStarC-") for name in table["file"])
    assert (table["starflag"][table["commissioning"]] & 2 == 2).all()
    assert 0.05 < (table["starflag"] != 0).mean() < 0.4 and 0.01 < (table["aspcapflag"] != 0).mean() < 0.2
    assert (table["vscatter"] > 1).sum() > 10
    assert table["nvisits"].mean() == pytest.approx(3, abs=0.3)


@pytest.mark.parametrize(
    ("given", "hint"),
    [({"stars": 3}, "at least 20"), ({"visits": 1.5}, "whole number"), ({"templates": "/none/here"}, "cannon_apokasc")],
)  # fmt: skip
def test_impossible_settings_are_refused(tmp_path, given, hint, capsys):
    words = ["mock-archive", "--release", "apogee_dr14", "--out", str(tmp_path / "x"), "--settings", json.dumps(given)]
    assert cli.main(words) == 2
    assert hint in capsys.readouterr().err
    assert not (tmp_path / "x" / "dr14").exists()


@pytest.mark.real
def test_built_on_templates(shared, tmp_path):
    build(
        tmp_path, "apogee_dr14", {**OPTIONS, "stars": 20, "clusters": 1, "templates": str(shared / "reference/apogee")}
    )
    lines = (tmp_path / "dr14/extras/windows.csv").read_text().splitlines()
    assert sum(line.startswith("Al,") for line in lines) == 51
