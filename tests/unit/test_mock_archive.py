"""The mock archive: real paths and structure, right digests, the same values by either route, the same bytes from a seed."""

import hashlib
import json

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from mock_archives import ARCHIVES, made
from resurvey import cli, files
from resurvey.archive import mock_columns, mock_fits, mock_sdss, mock_spectra
from resurvey.archive.mock_sdss import build
from resurvey.errors import ResurveyError
from resurvey.simulate.distributions import LABELS

OPTIONS = ARCHIVES["sdss_dr16"].options


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return made(tmp_path_factory, "sdss_dr16")


@pytest.fixture(scope="module")
def truth(archive):
    return files.read_table(archive / "truth" / "sdss_dr16.parquet").to_pandas()


@pytest.fixture(scope="module")
def catalogue(archive):
    return fits.getdata(archive / "dr16/sdss/spectro/redux/specObj-dr16.fits")


def test_every_class_has_its_objects(truth):
    counts = truth[truth["object"].ge(0) & ~truth["repeat"]]["label"].value_counts()
    assert {label: counts[label] for label in LABELS} == dict.fromkeys(LABELS, OPTIONS["per_class"])
    assert truth["spectrum_id"].is_unique
    others = truth[truth["object"].ge(0) & ~truth["label"].isin(LABELS)]
    assert OPTIONS["extra"] * 0.8 < len(others) < OPTIONS["extra"] * 1.3


def test_paths_are_the_survey_s(archive):
    paths = {str(p.relative_to(archive / "dr16")) for p in (archive / "dr16").rglob("*") if p.is_file()}
    for path in (
        "sdss/spectro/redux/specObj-dr16.fits",
        "sdss/spectro/redux/plates-dr16.fits",
        "eboss/spectro/redux/v5_13_0/spAll-v5_13_0.fits",
    ):
        assert path in paths
    assert any(p.startswith("sdss/spectro/redux/26/spectra/lite/0266/spec-0266-") for p in paths)
    assert any(p.startswith("eboss/spectro/redux/v5_13_0/3650/spPlate-3650-") for p in paths)
    assert any("/v5_13_0/spZbest-" in p for p in paths)
    assert "eboss/spectro/redux/v5_13_0/spectra/lite/3650/v5_13_0_spectra_lite_3650.sha1sum" in paths
    assert not [p for p in paths if ".tmp" in p]


def test_checksum_lists_are_right_and_leave_some_files_out(archive):
    listed = {}
    for path in archive.rglob("*.sha1sum"):
        for line in path.read_text().splitlines():
            digest, name = line.split("  ")
            listed[path.parent / name] = digest
    present = set(archive.rglob("*.fits"))
    assert set(listed) < present
    assert all(hashlib.sha1(path.read_bytes()).hexdigest() == digest for path, digest in listed.items())
    assert {path.name for path in present - set(listed)} == {
        path.name for path in present if mock_spectra.unlisted(path.name)
    }


def test_both_routes_hold_the_same_numbers(archive):
    compared = 0
    for path in archive.rglob("spPlate-*.fits"):
        plate = fits.open(path, memmap=False)
        fibres = plate[5].data["FIBERID"].tolist()
        loglam = (plate[0].header["COEFF0"] + plate[0].header["COEFF1"] * np.arange(plate[0].header["NAXIS1"])).astype(
            "f4"
        )
        redux = path.parents[1]
        _, number, night = path.stem.split("-")
        for lite in (redux / "spectra" / "lite" / number).glob(f"spec-{number}-{night}-*.fits"):
            row = fibres.index(int(lite.stem.split("-")[3]))
            coadd = fits.getdata(lite, 1)
            first = int(np.argmin(np.abs(loglam - coadd["loglam"][0])))
            inside = slice(first, first + len(coadd))
            assert np.array_equal(coadd["loglam"], loglam[inside])
            for hdu, name in enumerate(("flux", "ivar", "and_mask", "or_mask", "wdisp")):
                assert np.array_equal(plate[hdu].data[row, inside], coadd[name])
            assert np.array_equal(plate[6].data[row, inside], coadd["sky"])
            outside = np.ones(len(loglam), bool)
            outside[inside] = False
            assert not plate[1].data[row, outside].any()
            compared += 1
    assert compared > 100


def test_best_redshifts_lie_in_the_run1d_folder(archive, catalogue):
    path = next((archive / "dr16/eboss").rglob("spZbest-*.fits"))
    with fits.open(path) as hdus:
        best, model = hdus[1].data, hdus[2].data
        assert model.shape[0] == len(best)
        mine = {(r["PLATE"], r["MJD"], r["FIBERID"]): r["Z"] for r in catalogue}
        assert all(mine[row["PLATE"], row["MJD"], row["FIBERID"]] == row["Z"] for row in best)


def test_catalogue_agrees_with_the_truth(catalogue, truth):
    assert len(catalogue) == len(truth)
    assert catalogue["PLATE"].tolist() == truth["plate"].tolist()
    assert catalogue["FIBERID"].tolist() == truth["fiberid"].tolist()
    objects = (truth["object"] >= 0).to_numpy()
    assert [name.strip() for name in catalogue["CLASS"][objects]] == truth["class"][objects].tolist()
    good = objects & (truth["survey_zwarning"] == 0).to_numpy() & (truth["sn_median"] > 2).to_numpy()
    error = np.abs(catalogue["Z"][good] - truth["z"][good]) / catalogue["Z_ERR"][good]
    assert np.median(error) == pytest.approx(0.67, abs=0.25)
    assert np.allclose(catalogue["SN_MEDIAN_ALL"], truth["sn_median"], atol=1e-5)
    assert set(catalogue["RUN2D"]) == {"26", "v5_13_0"}


def test_strings_are_padded_with_blanks(archive):
    raw = (archive / "dr16/sdss/spectro/redux/specObj-dr16.fits").read_bytes()
    start = raw.index(b"END" + b" " * 77, 2880)
    rows = np.frombuffer(raw, mock_columns.row_type(mock_columns.catalogue()), 20, -(-(start + 80) // 2880) * 2880)
    assert set(rows["TARGETTYPE"]) <= {b"SCIENCE ", b"SKY     ", b"NA      "}
    assert {len(value) for value in rows["SUBCLASS"]} == {21}  # numpy would have cut off zeros


def test_repeats_share_a_position_and_others_do_not(catalogue, truth):
    objects = (truth["object"] >= 0).to_numpy()
    place = SkyCoord(catalogue["PLUG_RA"][objects], catalogue["PLUG_DEC"][objects], unit="deg")
    number = truth["object"][objects].to_numpy()
    first, second, *_ = place.search_around_sky(place, 2 / 3600 * place.ra.unit)
    pairs = {(a, b) for a, b in zip(first, second, strict=True) if a < b}
    assert len(pairs) >= 1
    assert all(number[a] == number[b] for a, b in pairs)
    assert len(number) - len(np.unique(number)) == len(pairs)
    visits = truth[objects].groupby("object")[["plate", "mjd"]].nunique()
    assert ((visits["plate"] > 1) | (visits["mjd"] > 1)).sum() == len(pairs)


def test_quirks_are_there(archive, catalogue, truth):
    sky = catalogue["SOURCETYPE"] == "SKY"
    assert sky.any() and (catalogue["ZWARNING"][sky] & 1).all()
    assert set(catalogue["CLASS"][sky]) <= {"STAR", "GALAXY", "QSO"}
    assert "K0V (10780)" in set(catalogue["SUBCLASS"]) and "" in set(catalogue["SUBCLASS"])
    run26 = next((archive / "dr16/sdss").rglob("spec-*.fits"))
    boss = next((archive / "dr16/eboss").rglob("spec-*.fits"))
    assert "RUN2D" not in fits.getheader(run26)
    assert fits.getheader(boss)["RUN2D"] == "v5_13_0"
    lengths = {fits.getheader(path, 1)["NAXIS2"] for path in archive.rglob("spec-*.fits")}
    assert len(lengths) > 20
    written = {path.name for path in archive.rglob("spec-*.fits")}
    rows = [
        f"spec-{p:04d}-{m}-{f:04d}.fits" for p, m, f in zip(truth["plate"], truth["mjd"], truth["fiberid"], strict=True)
    ]
    assert len(set(rows) - written) == OPTIONS["missing"]


def test_full_plates_hold_all_fibres_with_sky_and_unplugged_ones(tmp_path):
    build(tmp_path, "sdss_dr16", {"per_class": 52, "extra": 0, "lite_plates": 0}, threads=1)
    plates = list(tmp_path.rglob("spPlate-*.fits"))
    assert plates
    with fits.open(plates[0]) as hdus:
        plug = hdus["PLUGMAP"].data if "PLUGMAP" in hdus else hdus[5].data
        assert plug["FIBERID"].tolist() == list(range(1, len(plug) + 1))
        assert len(plug) in (640, 1000)
        assert (plug["OBJTYPE"] == "SKY").sum() in (32, 80)
        unplugged = np.flatnonzero(plug["TARGETTYPE"] == "NA")
        assert len(unplugged) and not hdus[0].data[unplugged].any()


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"per_class": 0}, "per_class"),
        ({"lite": "some"}, "sparse or all"),
        ({"seed": 1.5}, "whole number"),
    ],
)
def test_impossible_settings_are_refused(tmp_path, settings, hint, capsys):
    assert cli.main(["mock-archive", "--out", str(tmp_path / "x"), "--settings", json.dumps(settings)]) == 2
    assert hint in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_unknown_release_is_refused(tmp_path):
    with pytest.raises(ResurveyError, match="there is no release"):
        build(tmp_path, "sdss_dr15", OPTIONS)


def test_cards_follow_the_standard():
    for entry in (
        ("MJD", 51602, "night"),
        ("MOCK", True),
        ("RA", 145.25),
        ("NAME", "it's"),
        ("COEFF1", 1e-4),
        ("TZERO1", 1 << 63),
    ):
        text = mock_fits.card(*entry)
        assert len(text) == 80
        parsed = fits.Card.fromstring(text)
        parsed.verify("exception")
        assert parsed.value == entry[1]


def test_defaults_cover_the_settings_of_the_presets():
    assert {"per_class", "extra", "lite_plates", "seed"} <= set(mock_sdss.DEFAULTS)
