"""The master catalogue: the needed columns of specObj and spAll layouts, in bounded memory."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from archive_server import RELEASE, fits_bytes, publish, serving
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from resurvey import cli, files
from resurvey.archive import catalogue, query
from resurvey.archive.release import Release
from resurvey.errors import ResurveyError
from resurvey.surveys import fits_blocks, sdss_catalogue
from resurvey.surveys.sdss_catalogue import SCHEMA

META = {"origin": "real", "release": "sdss_test", "code_version": "0"}


def specobj(n: int, mock: bool = False, without: tuple[str, ...] = ()) -> fits.HDUList:
    """A table laid out as specObj: blank-padded strings, arrays between the scalars, a scaled and a bit column."""
    rng = np.random.default_rng(n)
    sub = np.resize(["", "AGN", "BROADLINE", "K0V (10780)", "F9"], n)
    columns = [
        fits.Column("SURVEY", "6A", array=np.full(n, "sdss")),
        fits.Column("PLATEQUALITY", "8A", array=np.full(n, "good    ")),
        fits.Column("TARGETTYPE", "8A", array=np.resize(["SCIENCE ", "SKY", "STANDARD"], n)),
        fits.Column("FLAGS", "11X", array=rng.integers(0, 2, (n, 11)).astype(bool)),
        fits.Column("SPECPRIMARY", "B", array=np.resize([1, 0], n)),
        fits.Column("RUN2D", "7A", array=np.resize(["26     ", "v5_13_0"], n)),
        fits.Column("PLUG_RA", "D", array=rng.uniform(0, 360, n)),
        fits.Column("PLUG_DEC", "D", array=rng.uniform(-90, 90, n)),
        fits.Column("RA", "D", array=np.zeros(n)),
        fits.Column("PLATE", "J", array=266 + np.arange(n) // 640),
        fits.Column("MJD", "J", array=51600 + np.arange(n) // 640),
        fits.Column("FIBERID", "J", array=1 + np.arange(n) % 640),
        fits.Column("CLASS", "6A", array=np.resize(["STAR", "GALAXY", "QSO"], n)),
        fits.Column("SUBCLASS", "21A", array=sub),
        fits.Column("THETA", "10E", array=rng.normal(size=(n, 10))),
        fits.Column("Z", "E", array=rng.uniform(0, 5, n)),
        fits.Column("Z_ERR", "E", array=rng.uniform(0, 1e-3, n)),
        fits.Column("ZWARNING", "J", array=np.resize([0, 0, 0, 4, 1], n)),
        fits.Column("SN_MEDIAN_ALL", "E", array=rng.uniform(0, 30, n)),
        fits.Column("VDISP", "E", array=rng.uniform(0, 800, n)),
    ]
    primary = fits.PrimaryHDU()
    if mock:
        primary.header["MOCK"] = True
    table = fits.BinTableHDU.from_columns([column for column in columns if column.name not in without])
    return fits.HDUList([primary, fits.ImageHDU(np.zeros((3, 4))), table])


def test_specobj_columns_equal_astropy_s(tmp_path, monkeypatch):
    monkeypatch.setattr(fits_blocks, "BLOCK_BYTES", 50_000)  # many blocks
    source = tmp_path / "specObj.fits"
    specobj(3001).writeto(source)
    assert sdss_catalogue.extract(source, tmp_path / "out.parquet", META) == 3001
    table = files.read_table(tmp_path / "out.parquet")
    assert table.schema.remove_metadata() == SCHEMA and files.read_meta(tmp_path / "out.parquet")["rows"] == 3001
    want = fits.getdata(source, 2)
    for ours, theirs in (
        ("plate", "PLATE"),
        ("ra", "PLUG_RA"),
        ("dec", "PLUG_DEC"),
        ("survey_z", "Z"),
        ("vdisp", "VDISP"),
    ):
        assert np.array_equal(table[ours].to_numpy(), want[theirs])
    assert table["run2d"].to_pylist()[:2] == ["26", "v5_13_0"]
    assert table["survey_subclass"].to_pylist()[:5] == ["", "AGN", "BROADLINE", "K0V", "F9"]
    assert table["platequality"].to_pylist()[0] == "good"
    assert table["specprimary"].to_pylist()[:2] == [True, False]
    kinds = table["targettype"].to_pylist()[:15]
    assert kinds[0:3] == ["SCIENCE", "SKY", "STANDARD"] and kinds[9] == "SKY", "ZWARNING bit 0 is a sky fibre"
    assert table["vdisp_err"].null_count == 3001, "a column that the file lacks"


@pytest.mark.real
def test_a_real_spall(shared, tmp_path):
    source = shared / "real" / "catalogues" / "spAll-plate3655.fits"
    assert sdss_catalogue.extract(source, tmp_path / "out.parquet", META) == 82
    table = files.read_table(tmp_path / "out.parquet")
    want = fits.getdata(source, 1)
    assert set(table["run2d"].to_pylist()) == {"v5_13_0"} and set(table["survey_class"].to_pylist()) == {"QSO"}
    assert np.array_equal(table["ra"].to_numpy(), want["PLUG_RA"])
    assert np.array_equal(table["sn_median"].to_numpy(), want["SN_MEDIAN_ALL"])
    assert set(table["survey_subclass"].to_pylist()) == set(want["SUBCLASS"])
    assert set(table["targettype"].to_pylist()) == {"SCIENCE"}


def test_spall_names_the_kind_of_target():
    names = {"SKY": "SKY", "SPECTROPHOTO_STD": "STANDARD", "QSO": "SCIENCE", "NA": "SCIENCE", "science": "SCIENCE"}
    assert {name: sdss_catalogue.target_type(name) for name in names} == names


@pytest.mark.parametrize("layout", ["scaled", "logical"])
def test_scaled_and_logical_columns(tmp_path, layout):
    hdus = specobj(50, without=("SPECPRIMARY", "ZWARNING"))
    extra = [fits.Column("SPECPRIMARY", "L", array=np.resize([True, False], 50))]
    extra += [fits.Column("ZWARNING", "J", bzero=2**31, array=np.resize(np.array([0, 1], np.uint32), 50))]
    table = fits.BinTableHDU.from_columns(hdus[2].columns + fits.ColDefs(extra))
    fits.HDUList([hdus[0], table]).writeto(tmp_path / "in.fits")
    sdss_catalogue.extract(tmp_path / "in.fits", tmp_path / "out.parquet", META)
    found = files.read_table(tmp_path / "out.parquet")
    if layout == "logical":
        assert found["specprimary"].to_pylist()[:2] == [True, False]
    else:
        assert found["survey_zwarning"].to_pylist()[:2] == [0, 1]


def test_what_is_not_a_catalogue_is_refused(tmp_path):
    path = tmp_path / "x.fits"

    def refused(reason, meta=META):
        with pytest.raises(ResurveyError, match=reason):
            sdss_catalogue.extract(path, tmp_path / "out.parquet", meta)
        assert not (tmp_path / "out.parquet").exists()

    path.write_bytes(fits_bytes(rows=10))
    refused("no table with the column PLATE")
    specobj(10, without=("RUN2D", "Z")).writeto(path, overwrite=True)
    refused("lacks the columns RUN2D, Z")
    path.write_bytes(b"<html>403</html>" * 400)
    refused("not a readable FITS catalogue")
    specobj(4000).writeto(path, overwrite=True)
    path.write_bytes(path.read_bytes()[:-28800])
    refused("cut off")
    specobj(10, mock=True).writeto(path, overwrite=True)
    refused("is a mock catalogue")
    specobj(10).writeto(path, overwrite=True)
    refused("is a real catalogue", {**META, "origin": "mock"})


MEASURE = """
import re, sys
from resurvey.surveys import sdss_catalogue
import pyarrow
sdss_catalogue.extract(sys.argv[1], sys.argv[2], {"origin": "real"})
# VmHWM: ru_maxrss would count the process that started this one
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_catalogue(tmp_path):
    """Peak memory of the extraction from 0.1 and 1 GB; wide rows as in specObj (1.2 kB)."""
    header = fits.BinTableHDU.from_columns(
        [*specobj(1)[2].columns, fits.Column("WIDE", "1000B", array=np.zeros((1, 1000)))]
    ).header
    peaks = []
    for rows in (80_000, 800_000):
        header["NAXIS2"] = rows
        path = tmp_path / f"{rows}.fits"
        size = header["NAXIS1"] * rows
        with open(path, "wb") as handle:  # zeros: a sparse file, decoded like any other
            handle.write(fits.PrimaryHDU().header.tostring().encode() + header.tostring().encode())
            handle.truncate(handle.tell() + -(-size // 2880) * 2880)
        out = subprocess.run(
            [sys.executable, "-c", MEASURE, path, tmp_path / "out.parquet"], capture_output=True, text=True, check=True
        )
        peaks.append(int(out.stdout))
    assert peaks[1] < 500 and peaks[1] < peaks[0] + 60, f"peaks of {peaks} MB"


def test_the_command_fetches_and_extracts(tmp_path):
    path = "sdss/spectro/redux/specObj-dr16.fits"
    source = tmp_path / "source.fits"
    specobj(700).writeto(source)
    publish(tmp_path / "archive", {path: source.read_bytes()})
    release = {**RELEASE, "catalogue": path, "catalogue_bytes": 7000}
    with serving(tmp_path / "archive") as (server, root):
        server.script[f"dr16/{path}"] = [{"cut": 20_000}]
        settings = json.dumps({"release": release, "root": root, "origin": "real"})
        out = tmp_path / "raw" / "catalogue.parquet"
        arguments = ["fetch-catalogue", "--settings", settings, "--raw", str(tmp_path / "raw"), "--out", str(out)]
        assert cli.main(arguments) == 0
        meta = files.read_meta(out)
        assert (meta["rows"], meta["origin"], meta["release"]) == (700, "real", "sdss_test")
        assert meta["files"][0]["state"] == "verified"
        server.script[f"dr16/{path}"] = [{"status": 404}]
        (tmp_path / "raw" / path).unlink()
        with pytest.raises(ResurveyError, match=r"HTTP 404.*check archive in config.yaml"):
            catalogue.fetch(json.loads(settings), tmp_path / "raw", out)


def test_published_arrays_say_where_each_spectrum_stands(tmp_path):
    sides = {}
    for side, n in (("train", 70), ("valid", 15), ("test", 15)):
        columns = [
            column
            for column in specobj(n)[2].columns
            if column.name in ("PLATE", "MJD", "FIBERID", "CLASS", "SUBCLASS", "Z")
        ]
        table = fits.BinTableHDU.from_columns([fits.Column("int_flux", "36E", array=np.ones((n, 36))), *columns])
        file = tmp_path / f"{side}.fits"
        table.writeto(file)
        sides[f"{side}.fits"] = file.read_bytes()
    publish(tmp_path / "archive", sides, listed=False)
    release = {
        **RELEASE,
        "arrays": {name: f"{name}.fits" for name in ("train", "valid", "test")},
        "catalogue_bytes": 100,
        "checksum": None,
    }
    settings = {"release": release, "root": (tmp_path / "archive").as_uri(), "origin": "real"}
    assert catalogue.fetch(settings, tmp_path / "raw", tmp_path / "out.parquet") == 100
    table = files.read_table(tmp_path / "out.parquet")
    assert table.schema.field("row").type == pa.int64()
    assert table["file"].to_pylist()[70:72] == ["valid.fits"] * 2 and table["row"].to_pylist()[69:72] == [69, 0, 1]
    assert table["split"].to_pylist()[-1] == "test" and table["ra"].null_count == 100


def recorded() -> Table:
    """A table of the shape in which SkyServer's CSV arrives: lower-case subclasses masked where they are empty."""
    return Table(
        {
            "plate": [266, 266],
            "mjd": [51630, 51630],
            "fiberid": [7, 8],
            "run2d": ["26", "26"],
            "ra": [146.7, 146.6],
            "dec": [-1.1, -1.0],
            "survey_class": ["GALAXY", "STAR"],
            "survey_subclass": MaskedColumn(["", "K0V (10780)"], mask=[True, False]),
            "survey_z": [0.02, 1e-4],
            "survey_z_err": [1e-5, 1e-5],
            "survey_zwarning": [0, 1],
            "sn_median": [20.1, 9.0],
            "vdisp": [120.0, 0.0],
            "vdisp_err": [5.0, 0.0],
            "specprimary": [1, 0],
            "targettype": ["SCIENCE", "SCIENCE"],
        }
    )


def asked() -> dict:
    classes = [
        {"label": "GALAXY_nan", "class": "GALAXY", "subclass": ""},
        {"label": "STAR_K0V", "class": "STAR", "subclass": "K0V"},
    ]
    cuts = {
        "specprimary": True,
        "zwarning": 0,
        "platequality": None,
        "targettype": "!SKY",
        "plates": [266],
        "sn_min": 2,
    }
    return {"name": "tiny", "selection": cuts, "classes": classes}


def test_a_query_gives_the_same_columns(tmp_path):
    statements = []
    known = Release.from_settings({"release": RELEASE})

    def ask(sql, release):
        statements.append((sql, release))
        return recorded()

    assert query.query_catalogue(known, {"tiny": asked()}, tmp_path / "out.parquet", META, ask) == 2
    table = files.read_table(tmp_path / "out.parquet").sort_by("fiberid")
    assert table.schema.remove_metadata() == SCHEMA
    assert table["survey_subclass"].to_pylist() == ["", "K0V"] and table["targettype"].to_pylist() == ["SCIENCE", "SKY"]
    assert table["platequality"].null_count == 2 and table["specprimary"].to_pylist() == [True, False]
    sql, release = statements[0]
    assert release == 16 and len(statements) == 2
    where = sql.partition(" WHERE ")[2]
    assert where == (
        "class = 'GALAXY' AND subClass = '' AND sciencePrimary = 1 AND zWarning = 0 AND snMedian >= 2 AND plate IN (266)"
        " AND targetType <> 'SKY'"
    )
    assert "subClass LIKE 'K0V%'" in statements[1][0] and "zErr AS survey_z_err" in sql


def test_what_a_query_cannot_do_is_said(tmp_path):
    known = Release.from_settings({"release": RELEASE})
    with pytest.raises(ResurveyError, match="returned no row"):
        query.query_catalogue(known, {"tiny": asked()}, tmp_path / "x", META, lambda sql, release: None)
    with pytest.raises(ResurveyError, match="500,000 rows"):
        query.query_catalogue(known, {"tiny": asked()}, tmp_path / "x", META, lambda sql, release: range(500_000))
    with pytest.raises(ResurveyError, match="platequality cannot be queried"):
        query.statements({**asked(), "selection": {"platequality": "good"}})
    quoted = {**asked(), "classes": [{"label": "x", "class": "O'N", "subclass": ""}]}
    assert "class = 'O''N'" in query.statements(quoted)[0]


def test_a_missing_network_is_one_clear_error(monkeypatch, tmp_path):
    import requests
    from astroquery.sdss import SDSS

    def refuse(*args, **kwargs):
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(SDSS, "query_sql", refuse)
    settings = {"release": RELEASE, "catalogue_source": "astroquery", "datasets": {"tiny": asked()}}
    with pytest.raises(ResurveyError, match="SkyServer does not answer: no route"):
        catalogue.fetch(settings, tmp_path, tmp_path / "out.parquet")
