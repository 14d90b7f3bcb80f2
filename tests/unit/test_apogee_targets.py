"""APOGEE's selection: who learns, who is tested, and that no star is on two sides."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resurvey.archive import plan, plan_stars
from resurvey.archive.release import Release
from resurvey.errors import ResurveyError
from resurvey.settings import WORKFLOW, overlay, read_yaml
from resurvey.surveys.apogee_catalogue import SCHEMA
from resurvey.targets import apogee

DATASET = {**read_yaml(WORKFLOW / "datasets" / "apogee_dr14.yaml"), "name": "apogee_dr14", "shards": 4}
GOOD = {"starflag": 0, "aspcapflag": 0, "vscatter": 0.1, "teff": 4800.0, "logg": 2.5, "fe_h": -0.1, "nvisits": 2}


def star(name: str, sn: float, **changes) -> dict:
    about = {
        "apogee_id": name,
        "location_id": 4102,
        "field": "x",
        "telescope": "apo25m",
        "file": f"apStar-r8-{name}.fits",
    }
    return {**about, "ra": 1.0, "dec": 2.0, "sn_median": sn, **GOOD, **changes}


def catalogue(stars: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(stars, schema=SCHEMA)


def build(rows: list[dict], seed: int = 1, **changes) -> pa.Table:
    return apogee.build(catalogue(rows), overlay(DATASET, changes), seed).table


def many(n: int = 40, sn: float = 250.0) -> list[dict]:
    return [star(f"2M{number:08d}", sn) for number in range(n)]


def sides(table: pa.Table) -> dict[str, set[str]]:
    combined = table.filter(pc.equal(table["visit"], 0))
    return {row["apogee_id"]: row["split"] for row in combined.to_pylist()}


@pytest.mark.parametrize(
    ("changes", "side"),
    [
        ({}, "learns"),
        ({"sn_median": 200.0}, None),  # neither above nor below the border
        ({"sn_median": 150.0}, "test"),
        ({"sn_median": 100.0}, None),
        ({"teff": 3999.0}, None),
        ({"teff": 4000.0}, "learns"),
        ({"teff": 5500.5}, None),
        ({"teff": None}, None),
        ({"starflag": 4}, None),
        ({"aspcapflag": 1}, None),
        ({"vscatter": 1.0}, None),
        ({"location_id": 1}, "forced out"),
        ({"fe_h": None}, "learns"),  # -9999 passes the authors' cut and is masked in the loss
        ({"logg": None}, "learns"),
    ],
)
def test_cuts_of_section_3(changes, side):
    one = {**star("2Mone", 250.0), **changes}
    found = apogee.build(catalogue([*many(), one]), DATASET, 1)
    where = sides(found.table).get("2Mone")
    assert (where in ("train", "valid")) if side == "learns" else where == (side if side == "test" else None)
    assert ("2Mone" in str(found.rejected["spectrum_id"].to_pylist())) == (side == "forced out")


def test_no_star_is_on_two_sides_whatever_its_fields():
    twice = [star("2Mtwice", 300.0), star("2Mtwice", 150.0, location_id=4103)]
    table = build([*many(), *twice])
    assert {row["split"] for row in table.to_pylist() if row["apogee_id"] == "2Mtwice"} <= {
        "train",
        "valid",
        "train_visits",
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.permutations(range(30)))
def test_the_order_of_the_catalogue_does_not_matter(seed, order):
    stars = [star(f"2M{n:05d}", 120.0 + 8 * n, location_id=4000 + n % 3) for n in range(30)]
    assert build(stars, seed).equals(build([stars[i] for i in order], seed))


def test_one_star_in_ten_validates_and_visits_follow_their_star():
    table = build(many(100))
    counts = {row["values"]: row["counts"] for row in pc.value_counts(table["split"]).to_pylist()}
    assert counts == {"train": 90, "valid": 10, "train_visits": 200}
    assert set(table["spectrum_id"].to_pylist()[:3]) == {
        "4102-2M00000000",
        "4102-2M00000000-v01",
        "4102-2M00000000-v02",
    }
    assert pc.count_distinct(table["spectrum_id"]).as_py() == 300


def test_visits_have_the_sn_that_allvisit_gives():
    stars = many(20)
    stars[3]["visit_sn"] = [30.0, 60.0]
    rows = [row for row in build(stars).to_pylist() if row["apogee_id"] == stars[3]["apogee_id"]]
    assert [row["sn_median"] for row in rows] == [250.0, 30.0, 60.0]
    assert [row["sn_median"] for row in build(many(20)).to_pylist()][1] is None


def test_the_one_visit_of_a_star_is_not_shown_twice():
    stars = many(20)
    stars[3]["nvisits"] = 1
    rows = [row for row in build(stars).to_pylist() if row["apogee_id"] == stars[3]["apogee_id"]]
    assert [row["visit"] for row in rows] == [0]


def test_members_of_clusters_are_kept_whatever_the_cuts_say():
    member = star("2Mmember", 80.0, starflag=512, cluster="M13")
    rows = [row for row in build([*many(), member]).to_pylist() if row["apogee_id"] == "2Mmember"]
    assert [row["split"] for row in rows] == [None] * 3 and rows[0]["cluster"] == "M13"
    assert "2Mmember" not in sides(build([*many(), member], selection={"cluster_members": False}))


def test_all_stars_for_a_catalogue_of_everything():
    rest = [star("2Mcool", 90.0, teff=3500.0)]
    every = {
        "teff": None,
        "starflag": None,
        "aspcapflag": None,
        "vscatter_max": None,
        "sn_train": None,
        "sn_test": None,
    }
    table = build([*many(5), *rest], selection={**every, "others": True}, split=None)
    assert set(sides(table).values()) == {None} and len(sides(table)) == 6


def test_fewer_stars_are_a_part_of_more_and_the_test_shrinks_along():
    stars = many(100) + [star(f"2Mtest{n:03d}", 150.0) for n in range(50)]
    few, more = (sides(build(stars, stars=n)) for n in (20, 60))
    learns = [{name for name, side in found.items() if side != "test"} for found in (few, more)]
    assert learns[0] < learns[1] and [len(found) for found in learns] == [20, 60]
    assert [sum(side == "test" for side in found.values()) for found in (few, more)] == [10, 30]


def test_a_star_stands_in_one_shard_and_all_shards_are_used():
    table = build(many(41))
    shard = {}
    for row in table.to_pylist():
        assert shard.setdefault(row["apogee_id"], row["shard"]) == row["shard"]
    assert sorted(set(shard.values())) == ["0000", "0001", "0002", "0003"]


def test_a_double_row_is_named_and_too_few_stars_say_what_to_relax():
    result = apogee.build(catalogue([*many(), many(1)[0]]), DATASET, 1)
    assert result.rejected["spectrum_id"].to_pylist() == ["4102-2M00000000"]
    with pytest.raises(ResurveyError, match="relax datasets/apogee_dr14"):
        build([star("2Mhot", 250.0, teff=9000.0)])


@pytest.mark.parametrize(
    ("product", "path"),
    [
        ("apstar", "stars/apo25m/4102/apStar-r8-2M00000000.fits"),
        ("aspcapstar", "stars/l31c/l31c.2/4102/aspcapStar-r8-l31c.2-2M00000000.fits"),
    ],
)
def test_the_plan_names_each_file_once(product, path):
    release = Release.from_settings(
        {"release": {**read_yaml(WORKFLOW / "releases" / "apogee_dr14.yaml"), "name": "apogee_dr14"}}
    )
    table = plan_stars.make(build(many(7), product=product).select(plan.STARS), release)
    assert len(table) == 7 and path in table["path"].to_pylist()
    assert set(table["route"].to_pylist()) == {product} and plan.cost(table, 21).files == {product: 7}
    assert release.checksum_name("stars/apo25m/4102") == "r8_stars_apo25m_4102.sha1sum"
    assert release.checksum_name("stars/l31c/l31c.2/4102") == "stars_l31c_l31c.2_4102.sha1sum"


def test_stated_digests_are_those_of_real_tables_only():
    settings = {"release": {**read_yaml(WORKFLOW / "releases" / "apogee_dr14.yaml"), "name": "apogee_dr14"}}
    path = "allVisit-l31c.2.fits"
    assert Release.from_settings(settings).stated_digest(path).startswith("abcecbcd")
    assert Release.from_settings({**settings, "origin": "mock"}).stated_digest(path) is None
