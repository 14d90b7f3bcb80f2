"""Selection, object identity, splits and shards: exact counts, and nothing that depends on the order of rows."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resurvey import cli, files
from resurvey.errors import ResurveyError
from resurvey.settings import WORKFLOW, read_yaml
from resurvey.surveys.sdss_catalogue import SCHEMA
from resurvey.targets import ranks, shards
from resurvey.targets.build import build, short_classes
from resurvey.targets.objects import object_ids
from resurvey.targets.split import SPLITS, quotas, split
from resurvey.targets.statistics import table1

KINDS = [("STAR", "F9"), ("GALAXY", ""), ("QSO", "BROADLINE")]
FRACTIONS = {"train": 0.7, "valid": 0.15, "test": 0.15}


def dataset(**changes) -> dict:
    cuts = {"specprimary": None, "zwarning": None, "platequality": None, "targettype": "SCIENCE"}
    classes = [{"label": f"{a}_{b or 'nan'}", "class": a, "subclass": b} for a, b in KINDS]
    base = {
        "name": "tiny",
        "source": "archive",
        "selection": cuts,
        "classes": classes,
        "per_class": 100,
        "split": FRACTIONS,
        "same_object_arcsec": 2.0,
        "shards": 7,
    }
    return {**base, **changes}


def catalogue(n: int, seed: int = 0, repeats: float = 0.1, **columns) -> pa.Table:
    """n spectra on plates of 50, a share of which lie 1″ from another spectrum, maybe of another class."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    again = np.flatnonzero(rng.random(n) < repeats)
    source = rng.integers(0, n, len(again))
    ra[again], dec[again] = ra[source], np.clip(dec[source] + 1 / 3600, -90, 90)
    kind = rng.integers(0, len(KINDS), n)
    data = {
        "plate": 266 + np.arange(n) // 50,
        "mjd": 51600 + np.arange(n) // 50,
        "fiberid": 1 + np.arange(n) % 50,
        "run2d": ["26"] * n,
        "ra": ra,
        "dec": dec,
        "survey_class": [KINDS[k][0] for k in kind],
        "survey_subclass": [KINDS[k][1] for k in kind],
        "survey_z": rng.uniform(0, 1, n),
        "survey_zwarning": np.zeros(n, int),
        "sn_median": rng.uniform(0, 30, n),
        "specprimary": np.ones(n, bool),
        "targettype": ["SCIENCE"] * n,
        **columns,
    }
    return pa.table({f.name: pa.array(data[f.name], f.type) if f.name in data else pa.nulls(n, f.type) for f in SCHEMA})


def rows(table: pa.Table) -> list[dict]:
    return sorted(table.to_pylist(), key=lambda row: row["spectrum_id"])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(30, 400), st.floats(0, 0.9), st.integers(0, 100))
def test_whatever_the_catalogue(order_seed, n, repeats, seed):
    table = catalogue(n, seed, repeats)
    spec = dataset(per_class=20)
    result = build(table, spec, seed)
    frame = result.table.to_pandas()
    assert frame["spectrum_id"].is_unique
    assert frame.groupby("object_id")["split"].nunique().max() == 1, "an object on two sides"
    assert frame.groupby(["plate", "mjd"])["shard"].nunique().max() == 1, "a plate in two shards"
    for entry in result.counts["classes"].values():
        assert entry["drawn"] == min(20, entry["available"])
        kept = [entry[name] for name in SPLITS]
        assert all(have <= most for have, most in zip(kept, quotas(entry["drawn"], FRACTIONS), strict=True))
    lost = sum(entry["drawn"] for entry in result.counts["classes"].values()) - len(frame)
    assert lost == len(result.rejected)
    shuffled = build(table.take(np.random.default_rng(order_seed).permutation(n)), spec, seed)
    assert rows(shuffled.table) == rows(result.table)
    assert rows(shuffled.rejected) == rows(result.rejected)


def test_exact_counts_of_the_paper_with_repeats_as_in_the_survey():
    spec = dataset(per_class=2000)
    result = build(catalogue(9000, repeats=0.1), spec, 1)
    assert len(result.rejected) == 0
    for entry in result.counts["classes"].values():
        assert (entry["drawn"], *(entry[name] for name in SPLITS)) == (2000, 1400, 300, 300)
    assert result.counts["objects"] < result.counts["spectra"]


def test_the_split_of_the_paper():
    assert quotas(20_000, FRACTIONS).tolist() == [14_000, 3_000, 3_000]
    assert quotas(10, FRACTIONS).tolist() == [7, 2, 1] or quotas(10, FRACTIONS).tolist() == [7, 1, 2]
    assert quotas(0, FRACTIONS).tolist() == [0, 0, 0]


@given(st.integers(0, 10_000), st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_quotas_sum_to_the_count_and_miss_by_less_than_one(count, a, b):
    fractions = dict(zip(SPLITS, np.array([a, b, 0.3]) / (a + b + 0.3), strict=True))
    found = quotas(count, fractions)
    assert found.sum() == count
    assert all(abs(found[i] - count * fractions[name]) < 1 + 1e-6 for i, name in enumerate(SPLITS))


def test_repeats_go_to_all_sides_in_proportion():
    objects = np.repeat(np.arange(3000), 2)
    side = split(objects, np.zeros(6000, int), FRACTIONS, 5)
    assert np.bincount(side).tolist() == [4200, 900, 900]


def test_an_object_that_fits_nowhere_is_left_out_and_said():
    objects = np.r_[np.zeros(8, int), np.arange(1, 3)]
    side = split(objects, np.zeros(10, int), FRACTIONS, 0)
    assert (side[:8] == -1).all() and (side[8:] >= 0).all()
    table = catalogue(60, repeats=0)
    ra = table["ra"].to_numpy().copy()
    dec = table["dec"].to_numpy().copy()
    star = np.flatnonzero(np.array(table["survey_class"].to_pylist()) == "STAR")
    ra[star], dec[star] = 10.0, 20.0
    table = table.set_column(4, "ra", pa.array(ra)).set_column(5, "dec", pa.array(dec))
    result = build(table, dataset(), 0)
    assert len(result.rejected) == len(star)
    assert set(result.rejected["reason"].to_pylist()) == {
        "its object's spectra fit into no split without exceeding the count of a class"
    }


def test_another_seed_is_another_draw_and_the_same_seed_the_same():
    table = catalogue(3000)
    draws = [set(build(table, dataset(), seed).table["spectrum_id"].to_pylist()) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_more_spectra_in_the_catalogue_change_the_draw_only_where_they_are_drawn():
    larger = catalogue(3000, repeats=0)
    old = set(build(larger.slice(0, 2000), dataset(), 1).table["spectrum_id"].to_pylist())
    new = set(build(larger, dataset(), 1).table["spectrum_id"].to_pylist())
    first = set(build(larger.slice(0, 2000), dataset(per_class=None), 1).table["spectrum_id"].to_pylist())
    assert new & first <= old


def test_objects_are_friends_of_friends_on_the_sphere():
    step = 1.5 / 3600
    ra = np.array([0.0, 360 - step, 360 - 2 * step, 100, 100 + step / np.cos(np.radians(60)), 30, 210, 5])
    dec = np.array([0, 0, 0, 60, 60, 90 - step / 3, 90 - step / 3, -30])
    keys = np.arange(len(ra)) + 7
    assert object_ids(ra, dec, keys, 2.0).tolist() == [7, 7, 7, 10, 10, 12, 12, 14]
    assert len(set(object_ids(ra, dec, keys, 1.4).tolist())) == 7, "across the pole it is 1″, elsewhere 1.5″"
    assert object_ids(np.empty(0), np.empty(0), np.empty(0, int), 2.0).size == 0


@given(st.integers(0, 2**31))
def test_hashes_are_uniform_and_keyed(seed):
    keys = np.arange(20_000)
    chance = ranks.keyed_hash(keys, seed, "draw") / 2.0**64
    assert abs(chance.mean() - 0.5) < 0.015 and abs(chance.std() - 12**-0.5) < 0.01
    assert abs(np.corrcoef(chance, ranks.keyed_hash(keys, seed, "side"))[0, 1]) < 0.05
    assert abs(np.corrcoef(chance, ranks.keyed_hash(keys, seed + 1, "draw"))[0, 1]) < 0.05
    assert abs(np.corrcoef(chance[1:], chance[:-1])[0, 1]) < 0.05


def test_hashes_never_change():
    assert ranks.keyed_hash(np.array([0, 1, 2665163000001]), 2311, "draw").tolist() == [
        10948655013213198075,
        3284336570178035340,
        15759318030242839813,
    ]


def test_rows_that_cannot_be_used_are_listed():
    table = catalogue(200, repeats=0)
    ra = table["ra"].to_numpy().copy()
    ra[3] = np.nan
    table = table.set_column(4, "ra", pa.array(ra))
    older = table.slice(10, 2).set_column(3, "run2d", pa.array(["103", "103"]))
    result = build(pa.concat_tables([older, table]), dataset(per_class=None), 0)
    reasons = {row["spectrum_id"]: row["reason"] for row in result.rejected.to_pylist()}
    assert set(reasons) == {"0266-51600-0004", "0266-51600-0011", "0266-51600-0012"}
    assert "no position" in reasons["0266-51600-0004"] and "more than once" in reasons["0266-51600-0011"]
    assert set(result.table["run2d"].to_pylist()) == {"26"}, "the later reduction is kept, wherever it stands"
    assert sum(result.counts["rejected"].values()) == 3


def test_cuts_are_settings():
    n = 300
    table = catalogue(
        n,
        targettype=["SKY", "SCIENCE", "STANDARD"] * (n // 3),
        survey_zwarning=[0, 0, 0, 0, 4, 4] * (n // 6),
        specprimary=[True] * (n // 2) + [False] * (n // 2),
    )

    def count(**cuts):
        selection = {**dict.fromkeys(dataset()["selection"]), **cuts}
        return len(build(table, dataset(selection=selection, per_class=None), 0).table)

    everything = count()
    assert everything > 290
    assert abs(count(targettype="SCIENCE") - n / 3) < 5
    assert abs(count(targettype="!SKY") - 2 * n / 3) < 8
    assert abs(count(zwarning=0) - 2 * n / 3) < 8
    assert abs(count(specprimary=True) - n / 2) < 8
    assert count(plates=[266, 267]) > 85 and count(sn_min=25) < 100
    with pytest.raises(ResurveyError, match="platequality: this catalogue has no platequality"):
        count(platequality="good")


def test_a_class_with_too_few_is_used_whole_and_said_and_none_is_an_error():
    table = catalogue(150)
    result = build(table, dataset(), 0)
    short = short_classes(result.counts, 100)
    assert len(short) == 3 and "100 were asked for" in short[0]
    classes = [*dataset()["classes"], {"label": "STAR_O", "class": "STAR", "subclass": "O"}]
    with pytest.raises(ResurveyError, match=r"no spectrum of STAR_O .*It has .*STAR/F9"):
        build(table, dataset(classes=classes), 0)
    with pytest.raises(ResurveyError, match="no spectrum passes"):
        build(table, dataset(classes=None, split=None, selection={"plates": [1]}), 0)


def test_without_classes_everything_is_selected_and_nothing_split():
    table = catalogue(500)
    result = build(table, dataset(classes=None, per_class=None, split=None), 0)
    assert len(result.table) + len(result.rejected) == 500
    assert result.table["label"].null_count == result.table["split"].null_count == len(result.table)
    assert result.counts["classes"] is None


def test_stars_have_no_redshift_label():
    table = build(catalogue(500), dataset(), 0).table
    star = np.array(table["survey_class"].to_pylist()) == "STAR"
    assert np.array_equal(star, table["z"].is_null().to_numpy())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=60), st.integers(1, 40))
def test_shards_hold_whole_plates_in_order_and_balance(sizes, count):
    plate = np.repeat(np.arange(len(sizes)) + 300, sizes)
    number = shards.assign(plate, np.full(len(plate), 55000), count)
    assert (np.diff(number) >= 0).all() and number.min() >= 0 and number.max() < count
    assert all(len(set(number[plate == p])) == 1 for p in set(plate.tolist()))
    assert np.bincount(number).max() <= len(plate) / count + max(sizes)


def published() -> tuple[pa.Table, dict]:
    base = catalogue(300, repeats=0)
    for name in ("ra", "dec", "run2d", "targettype", "specprimary"):
        base = base.set_column(base.schema.get_field_index(name), name, pa.nulls(300, SCHEMA.field(name).type))
    side = np.repeat(["train", "valid", "test"], [200, 50, 50])
    where = {"file": [f"{name}.fits" for name in side], "row": np.r_[0:200, 0:50, 0:50], "split": side.tolist()}
    for name, values in where.items():
        base = base.append_column(name, pa.array(values))
    spec = dataset(source="published", per_class=None, selection=dict.fromkeys(dataset()["selection"]), shards=4)
    return base, spec


def test_the_authors_split_is_taken_as_it_is():
    base, spec = published()
    twice = base.slice(0, 1).set_column(18, "row", pa.array([50])).set_column(17, "file", pa.array(["test.fits"]))
    twice = twice.set_column(19, "split", pa.array(["test"]))
    result = build(pa.concat_tables([base, twice]), spec, 0)
    frame = result.table.to_pandas()
    assert (frame["file"] == frame["split"] + ".fits").all() and len(frame) == 300
    assert frame.set_index("spectrum_id").loc["0266-51600-0001", "split"] == "test", "the test split's row is kept"
    assert result.rejected.num_rows == 1
    assert frame["shard"].is_monotonic_increasing and set(frame["shard"]) == {"0000", "0001", "0002", "0003"}
    assert all(np.diff(part["row"]).min() >= 1 for _, part in frame.groupby(["shard", "file"]))


def test_table1_has_the_paper_s_rows_and_columns():
    table = build(catalogue(900), dataset(), 0).table
    frame = table1(table, dataset()["classes"])
    assert frame["label"].tolist() == ["STAR_F9", "GALAXY_nan", "QSO_BROADLINE"]
    assert frame["index"].tolist() == [0, 1, 2] and frame["n"].tolist() == [100, 100, 100]
    assert frame.loc[0, ["z_mean", "z_min", "z_max"]].isna().all()
    galaxies = table.filter(pa.compute.equal(table["label"], "GALAXY_nan"))
    assert frame.loc[1, "z_mean"] == pytest.approx(np.mean(galaxies["z"].to_numpy()))
    assert frame.loc[1, "snr_mean"] == pytest.approx(np.mean(galaxies["sn_median"].to_numpy()), rel=1e-5)


def test_the_command_writes_the_contract(tmp_path, capsys):
    meta = {"origin": "mock", "release": "sdss_dr16", "code_version": "0"}
    files.write_table(catalogue(900), tmp_path / "catalogue.parquet", meta)
    spec = json.dumps({"survey": "sdss", "dataset": dataset(per_class=400), "seed": 3})
    out, rejected = tmp_path / "targets.parquet", tmp_path / "targets.rejected.parquet"
    arguments = ["--catalogue", str(tmp_path / "catalogue.parquet"), "--settings", spec]
    assert cli.main(["targets", *arguments, "--out", str(out), "--rejected", str(rejected)]) == 0
    table, found = files.read_table(out), files.read_meta(out)
    extra = ["spectrum_id", "object_id", "label", "z", "split", "shard"]
    assert table.column_names == [*SCHEMA.names, *extra]
    assert (table.schema.field("object_id").type, table.schema.field("z").type) == (pa.int64(), pa.float64())
    assert found["origin"] == "mock" and found["release"] == "sdss_dr16" and found["seed"] == 3
    assert found["catalogue_sha256"] == files.sha256(tmp_path / "catalogue.parquet")
    assert found["counts"]["classes"]["STAR_F9"]["train"] > 0 and len(found["short"]) == 3
    assert files.read_table(rejected).column_names == ["spectrum_id", "reason", "stage"]
    assert "spectra of" in capsys.readouterr().err


def test_the_published_dataset_is_complete():
    release = read_yaml(WORKFLOW / "releases" / "gasnet2_published.yaml")
    spec = read_yaml(WORKFLOW / "datasets" / "sdss_dr16_published.yaml")
    assert list(release["arrays"]) == list(SPLITS)
    assert spec["classes"] == read_yaml(WORKFLOW / "datasets" / "sdss_dr16.yaml")["classes"]
