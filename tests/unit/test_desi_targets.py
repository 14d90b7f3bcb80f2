"""DESI's selection: cuts, few whole files, one object on one side; the plan of its files, and their checksum files' names."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from astropy.io import fits
from resurvey import files
from resurvey.archive import plan, plan_healpix
from resurvey.archive.release import Release
from resurvey.errors import ResurveyError
from resurvey.settings import WORKFLOW, overlay, read_yaml
from resurvey.surveys import desi_catalogue, fits_blocks
from resurvey.surveys.desi_catalogue import SCHEMA
from resurvey.targets import desi

DATASET = {
    **read_yaml(WORKFLOW / "datasets" / "desi_edr.yaml"),
    "name": "desi_edr",
    "shards": 3,
    "per_class": 20,
    "spare": 0.0,
}
RELEASES = {
    name: {**read_yaml(WORKFLOW / "releases" / f"{name}.yaml"), "name": name} for name in ("desi_edr", "desi_dr1")
}


def row(number, kind="GALAXY", **changes):
    about = {
        "targetid": 39627000000000000 + number,
        "survey": "sv3",
        "program": "dark",
        "healpix": 10400,
        "ra": 100 + 0.01 * number,
        "dec": 5.0,
        "objtype": "TGT",
        "survey_class": kind,
        "survey_subclass": "",
        "survey_z": 0.3,
        "survey_z_err": 1e-4,
        "survey_zwarning": 0,
        "delta_chi2": 90.0,
        "specprimary": True,
    }
    return {**about, **changes}


def many(count=60, **changes):
    """As many stars, quasars and galaxies in one file."""
    kinds = ("STAR", "QSO", "GALAXY")
    return [row(number, kinds[number % 3], **changes) for number in range(count)]


def build(rows, seed=1, **changes):
    return desi.build(pa.Table.from_pylist(rows, schema=SCHEMA), overlay(DATASET, changes), seed)


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, True),
        ({"survey": "sv1"}, True),
        ({"survey": "sv2"}, False),
        ({"survey": "special"}, False),
        ({"survey_zwarning": 4}, False),
        ({"survey_zwarning": None}, False),
        ({"objtype": "SKY"}, False),
        ({"objtype": ""}, False),
        ({"targetid": -5}, False),
        ({"specprimary": False}, True),
        ({"program": "backup"}, True),
    ],
)
def test_cuts(changes, passes):
    table = pa.Table.from_pylist([row(1, **changes), row(2)], schema=SCHEMA)
    assert desi.passes(table, DATASET["selection"]).tolist() == [passes, True]
    if passes:
        stricter = {**DATASET["selection"], "primary": True, "programs": ["dark", "bright"]}
        expected = changes.get("specprimary", True) and changes.get("program") != "backup"
        assert desi.passes(table, stricter).tolist() == [expected, True]


def test_labels_splits_and_columns():
    result = build(many(120), per_class=40)
    table = result.table.to_pandas()
    assert len(table) == 120 and table["label"].value_counts().to_dict() == {"STAR": 40, "QSO": 40, "GALAXY": 40}
    assert table.groupby(["label", "split"]).size().unstack().loc["QSO", ["train", "valid", "test"]].tolist() == [
        28,
        6,
        6,
    ]
    assert (
        table.loc[table["label"] == "STAR", "z"].isna().all() and (table.loc[table["label"] == "QSO", "z"] == 0.3).all()
    )
    assert table["sn_median"].isna().all() and (table["in_file"] == 120).all()
    assert table["spectrum_id"].iloc[0] == f"sv3-dark-{table['targetid'].iloc[0]}" and table["spectrum_id"].is_unique


def test_the_order_of_the_catalogue_and_of_nothing_else_matters():
    rows = many(120) + [row(500 + n, "QSO", healpix=10401) for n in range(40)]
    first = build(rows).table
    mixed = np.random.default_rng(1).permutation(len(rows))
    assert build([rows[i] for i in mixed]).table.equals(first)
    assert not build(rows, seed=2).table.equals(first)


def test_few_whole_files_rich_in_the_rarest_class_are_taken():
    """QSOs are rare but in three of forty files: those are chosen, and the other classes are drawn from them as far as they go."""
    rows, number = [], 0
    for pixel in range(40):
        for kind, count in (("STAR", 30), ("GALAXY", 30), ("QSO", 30 if pixel < 3 else 1)):
            for _ in range(count):
                rows.append(row(number, kind, healpix=10400 + pixel))
                number += 1
    result = build(rows, per_class=60)
    used = pc.unique(result.table["healpix"]).to_pylist()
    assert 2 <= len(used) <= 6 and len(result.table) == 180
    chosen = {
        tuple(sorted(pc.unique(build(rows, seed=seed, per_class=60).table["healpix"]).to_pylist())) for seed in range(6)
    }
    assert len(chosen) > 1, "the seed chooses the files"
    everything = build(rows, per_class=None)
    assert len(everything.table) == len(rows)


def test_files_are_taken_with_probability_proportional_to_what_they_hold():
    """Two files with 1 and 9 quasars, one quasar asked for: the second is taken nine times in ten."""
    group = np.repeat([0, 1], [1, 9])
    taken = [desi.choose_files(group, np.zeros(10, int), ["a", "b"], 1, seed) for seed in range(400)]
    assert all(one.sum() == 1 for one in taken)
    assert np.mean([one[1] for one in taken]) == pytest.approx(0.9, abs=0.05)


def test_spare_draws_more():
    assert desi.wanted({"per_class": 7000, "spare": 1.0}) == 14000
    counts = build(many(300), per_class=20, spare=0.5).counts["classes"]
    assert {name: entry["drawn"] for name, entry in counts.items()} == {"STAR": 30, "QSO": 30, "GALAXY": 30}


def test_one_object_is_on_one_side():
    """The same TARGETID in another program, far off or not, and another TARGETID within 2", are one object."""
    rows = many(90)
    again = [{**one, "program": "bright", "dec": 8.0} for one in rows[:30]]
    near = [{**one, "targetid": one["targetid"] + 10_000_000, "dec": one["dec"] + 1.5 / 3600} for one in rows[30:60]]
    table = build(rows + again + near, per_class=50).table.to_pandas()
    assert len(table) > 130
    objects = table.groupby("object_id")["split"]
    assert (objects.nunique() == 1).all() and (objects.size() == 2).sum() >= 45
    chain = [
        row(1),
        row(1, program="bright", dec=8.0),
        row(2, program="bright", dec=8.0 + 1.5 / 3600, ra=100.01),
        *many(60)[3:],
    ]
    table = build(chain, per_class=None).table.to_pandas().set_index("targetid")
    one, two = (table.loc[[39627000000000000 + number], "object_id"].unique() for number in (1, 2))
    assert len(one) == 1 and one == two, "the same TARGETID, and its neighbour elsewhere"


def test_shards_hold_whole_files_and_stand_in_order():
    rows = [
        row(100 * pixel + n, kind, healpix=10400 + pixel)
        for pixel in range(7)
        for n, kind in enumerate(("STAR", "QSO", "GALAXY") * 8)
    ]
    table = build(rows, per_class=None).table.to_pandas()
    assert (table.groupby(["survey", "program", "healpix"])["shard"].nunique() == 1).all()
    assert table["shard"].is_monotonic_increasing and table["shard"].nunique() == 3


def test_what_is_left_out_by_force_has_its_reason():
    rows = [*many(60), row(1, "QSO", survey_z=0.9), row(700, ra=np.nan), row(701, ra=0.0, dec=0.0)]
    rejected = build(rows, per_class=None).rejected.to_pylist()
    assert sorted(entry["reason"].split(" ")[2] for entry in rejected) == ["gives", "gives", "lists"]
    with pytest.raises(ResurveyError, match=r"no spectrum of QSO after the cuts\. It has STAR \(20\), GALAXY \(20\)"):
        build([one for one in many(60) if one["survey_class"] != "QSO"])
    with pytest.raises(ResurveyError, match=r"selection.primary: this catalogue has no specprimary"):
        build(many(60, specprimary=None), selection={"primary": True})


def test_one_file_of_the_plan_for_each_pixel():
    rows = many(60) + [row(900 + n, "QSO", survey="sv1", program="bright", healpix=99) for n in range(30)]
    table = build(rows, per_class=None).table
    release = Release.from_settings({"release": RELEASES["desi_edr"]})
    planned = plan_healpix.make(table, release).to_pylist()
    base = "spectro/redux/fuji/healpix"
    assert {entry["path"]: entry["expected_bytes"] for entry in planned} == {
        f"{base}/sv3/dark/104/10400/coadd-sv3-dark-10400.fits": 60 * 450_000,
        f"{base}/sv1/bright/0/99/coadd-sv1-bright-99.fits": 30 * 450_000,
    }
    cost = plan.cost(plan_healpix.make(table, release), len(table))
    assert cost.files == {"coadd": 2} and cost.requests == 4
    wanted = plan.wanted(plan_healpix.make(table, release), table["shard"][0].as_py())
    assert len(wanted) >= 1 and wanted[0].route == "coadd"


def test_estimate_before_the_catalogue():
    release = Release.from_settings({"release": RELEASES["desi_edr"]})
    cost = plan_healpix.estimate({**DATASET, "per_class": 7000, "spare": 1.0}, release)
    assert cost.spectra == pytest.approx(14000 * 2044588 / 90241, rel=1e-3)
    assert sum(cost.bytes.values()) == pytest.approx(cost.spectra * 4.5e5, rel=1e-6)
    assert plan_healpix.estimate({**DATASET, "per_class": None}, release).spectra == 2044588


@pytest.mark.parametrize(
    ("release", "folder", "name"),
    [
        (
            "desi_edr",
            "spectro/redux/fuji/healpix/sv1/dark/104/10400",
            "redux_fuji_healpix_sv1_dark_104_10400.sha256sum",
        ),
        ("desi_edr", "spectro/redux/fuji/zcatalog", "redux_fuji_zcatalog.sha256sum"),
        ("desi_dr1", "spectro/redux/iron/zcatalog/v1", "redux_iron_zcatalog_v1.sha256sum"),
        ("desi_edr", "vac/edr/mws", None),
    ],
)
def test_names_of_checksum_files(release, folder, name):
    known = Release.from_settings({"release": RELEASES[release]})
    assert known.checksum_name(folder) == name and known.algorithm == "sha256"
    assert known.url(folder) == f"https://data.desi.lbl.gov/public/{release.removeprefix('desi_')}/{folder}"


def zall(count, **without):
    columns = {
        "TARGETID": ("K", np.arange(count) + 39627000000000000), "SURVEY": ("7A", np.resize(["sv1", "sv3"], count)),
        "PROGRAM": ("6A", np.resize(["dark", "bright"], count)), "HEALPIX": ("J", np.arange(count) % 90), "Z": ("D", np.linspace(0, 2, count)),
        "ZERR": ("D", np.full(count, 1e-4)), "ZWARN": ("K", np.resize([0, 4, 512], count)), "COEFF": ("10D", np.ones((count, 10))),
        "SPECTYPE": ("6A", np.resize(["STAR", "QSO", "GALAXY"], count)), "SUBTYPE": ("20A", np.resize(["M", ""], count)),
        "DELTACHI2": ("D", np.arange(count, dtype=float)), "TARGET_RA": ("D", np.linspace(0, 359, count)),
        "TARGET_DEC": ("D", np.linspace(-80, 80, count)), "OBJTYPE": ("3A", np.resize(["TGT", "SKY", ""], count)),
        "ZCAT_PRIMARY": ("L", np.resize([True, False], count)),
    }  # fmt: skip
    made = [fits.Column(name, form, array=values) for name, (form, values) in columns.items() if name not in without]
    return fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(made, name="ZCATALOG")])


def test_the_catalogue_is_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(fits_blocks, "BLOCK_BYTES", 20_000)
    zall(1001).writeto(tmp_path / "zall.fits")
    assert desi_catalogue.extract(tmp_path / "zall.fits", tmp_path / "out.parquet", {"origin": "real"}) == 1001
    table, want = files.read_table(tmp_path / "out.parquet"), fits.getdata(tmp_path / "zall.fits", 1)
    assert table.schema.remove_metadata() == SCHEMA
    for ours, theirs in (
        ("targetid", "TARGETID"),
        ("survey_z", "Z"),
        ("survey_zwarning", "ZWARN"),
        ("specprimary", "ZCAT_PRIMARY"),
    ):
        assert table[ours].to_pylist() == want[theirs].tolist()
    assert table["objtype"].to_pylist()[:3] == ["TGT", "SKY", ""] and table["survey"].to_pylist()[:2] == ["sv1", "sv3"]


def test_what_is_no_catalogue_of_desi_is_refused(tmp_path):
    zall(10, ZWARN=None, SURVEY=None).writeto(tmp_path / "zall.fits")
    with pytest.raises(ResurveyError, match=r"lacks the columns SURVEY, ZWARN; is it a redshift catalogue of DESI"):
        desi_catalogue.extract(tmp_path / "zall.fits", tmp_path / "out.parquet", {"origin": "real"})
    zall(10).writeto(tmp_path / "zall.fits", overwrite=True)
    with pytest.raises(ResurveyError, match="is a real catalogue"):
        desi_catalogue.extract(tmp_path / "zall.fits", tmp_path / "out.parquet", {"origin": "mock"})
