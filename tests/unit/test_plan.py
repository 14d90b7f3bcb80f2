"""The planner: the cheaper route for each plate, and honest numbers before anything is fetched."""

import json
import os

import numpy as np
import pyarrow as pa
import pytest
from archive_server import RELEASE, fits_bytes, publish, release
from resurvey import cli, files
from resurvey.archive import manifest, plan
from resurvey.archive.release import Release
from resurvey.errors import ResurveyError
from resurvey.settings import WORKFLOW, read_yaml

WEB = "https://data.sdss.org/sas"


def targets(groups: list[tuple[int, int, str, int]]) -> pa.Table:
    """(plate, mjd, run2d, number of fibres) → the columns that the planner reads; one shard per group."""
    rows = [
        {"shard": f"{number:04d}", "plate": plate, "mjd": mjd, "fiberid": fibre, "run2d": run2d}
        for number, (plate, mjd, run2d, count) in enumerate(groups)
        for fibre in range(1, count + 1)
    ]
    return pa.Table.from_pylist(rows)


def test_paths_of_the_releases():
    for name, version in (("dr16", "v5_13_0"), ("dr17", "v5_13_2")):
        settings = {"release": {**read_yaml(WORKFLOW / "releases" / f"sdss_{name}.yaml"), "name": f"sdss_{name}"}}
        known = Release.from_settings(settings)
        base = f"{WEB}/{name}"
        assert known.url(known.path("lite", "26", 266, 51630, 7)) == (
            f"{base}/sdss/spectro/redux/26/spectra/lite/0266/spec-0266-51630-0007.fits"
        )
        assert known.path("lite", "104 ", 2640, 54806, 640).startswith("sdss/spectro/redux/104/spectra/lite/2640/")
        assert (
            known.path("plate", version, 11001, 58300)
            == f"eboss/spectro/redux/{version}/11001/spPlate-11001-58300.fits"
        )
        zbest = f"eboss/spectro/redux/{version}/3655/{version}/spZbest-3655-55240.fits"
        assert known.path("zbest", version, 3655, 55240) == zbest
        lite = known.path("lite", version, 3586, 55181, 1).rpartition("/")[0]
        assert known.checksum_name(lite) == f"{version}_spectra_lite_3586.sha1sum"
        assert known.checksum_name("sdss/spectro/redux") == f"{name}_sdss_spectro_redux.sha1sum"
        total = {"dr16": 5_789_200, "dr17": 5_801_200}[name]
        assert sum(entry["spectra"] for entry in known.settings["reduction"]) == total


@pytest.mark.parametrize(("run2d", "most"), [("26", 284), ("v5_13_0", 549)])
def test_break_even_is_at_the_published_sizes(run2d, most):
    assert plan.cheaper(most, release(WEB), run2d) == "lite"
    assert plan.cheaper(most + 1, release(WEB), run2d) == "plate"


def test_each_plate_takes_its_own_route():
    table = plan.make(
        targets([(266, 51602, "26", 300), (266, 51630, "26", 3), (3655, 55240, "v5_13_0", 300)]), release(WEB)
    )
    assert table.schema == plan.SCHEMA
    rows = table.to_pylist()
    assert [row["route"] for row in rows] == ["plate"] + ["lite"] * 303
    assert (
        rows[0]["fiberid"] == -1
        and rows[0]["fibres"] == list(range(1, 301))
        and rows[0]["expected_bytes"] == 57_000_000
    )
    assert rows[0]["path"].endswith("26/0266/spPlate-0266-51602.fits")
    assert [row["shard"] for row in rows[:5]] == ["0000", "0001", "0001", "0001", "0002"]
    assert len({row["path"] for row in rows}) == 304
    cost = plan.cost(table, 603)
    assert (cost.spectra, cost.plates, cost.files) == (603, 3, {"lite": 303, "plate": 1})
    assert sum(cost.bytes.values()) == 303 * 200_000 + 57_000_000 and cost.requests == 304 + 3


def test_the_order_of_targets_changes_nothing():
    table = targets([(300, 52000, "26", 40), (266, 51602, "26", 30)])
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    assert plan.make(shuffled, release(WEB)).equals(plan.make(table, release(WEB)))


def test_an_empty_shard_is_legal():
    table = plan.make(targets([(266, 51602, "26", 3)]), release(WEB))
    assert plan.wanted(table, "0005") == []
    assert manifest.table([]).schema == manifest.SCHEMA
    assert len(plan.wanted(table, "0000")) == 3
    nothing = targets([(266, 51602, "26", 3)]).slice(0, 0)
    assert plan.make(nothing, release(WEB)).equals(plan.SCHEMA.empty_table())


def real(name: str):
    return Release.from_settings({"release": {**read_yaml(WORKFLOW / "releases" / f"{name}.yaml"), "name": name}})


def test_the_paper_s_sample_costs_what_was_worked_out_by_hand():
    cost = plan.estimate(read_yaml(WORKFLOW / "datasets" / "sdss_dr16.yaml"), real("sdss_dr16"))
    assert cost.spectra == 260_000 and set(cost.files) == {"lite"}
    assert sum(cost.bytes.values()) == pytest.approx(52e9, rel=0.01)
    fast, slow = cost.hours(real("sdss_dr16").etiquette)
    assert 3 < fast < 5 and 17 < slow < 19


def test_the_whole_release_comes_as_plates_and_says_whom_to_ask(tmp_path):
    release16 = real("sdss_dr16")
    cost = plan.estimate(read_yaml(WORKFLOW / "datasets" / "sdss_dr16_all.yaml"), release16)
    assert cost.files == {"plate": 2880 + 3946} and cost.spectra == 5_789_200
    assert 0.5e12 < sum(cost.bytes.values()) < 1.2e12
    text = plan.describe(cost, release16, tmp_path / "not" / "there", "sdss_dr16_all", estimated=True)
    assert "6,826 files" in text and "catalogue is not here yet" in text


def test_more_than_a_terabyte_needs_the_help_desk(tmp_path):
    cost = plan.Cost(1, 1, {"lite": 0, "plate": 1}, {"lite": 0, "plate": 2 * 10**12}, 1)
    assert "helpdesk" in plan.describe(cost, release(WEB), tmp_path, "x")
    assert "TOO LITTLE" in plan.describe(
        plan.Cost(1, 1, {"lite": 1, "plate": 0}, {"lite": 10**16, "plate": 0}, 1), release(WEB), tmp_path, "x"
    )


def test_a_release_without_counts_cannot_be_estimated():
    with pytest.raises(ResurveyError, match="lacks spectra"):
        broken = {
            **RELEASE,
            "reduction": [{"run2d": ["*"], "top": "x", "fibres": 1, "lite_bytes": 1, "plate_bytes": 1}],
        }
        plan.estimate({"classes": None, "per_class": None}, Release.from_settings({"release": broken}))


def test_plan_and_fetch_commands(tmp_path, capsys):
    """A sparse plate as spec-lite, a dense one as spPlate, and one that the archive has only as spPlate."""
    table = targets([(266, 51602, "26", 3), (300, 52000, "26", 290), (301, 52001, "26", 2)])
    known = release(WEB)
    contents = {known.path("lite", "26", 266, 51602, fibre): fits_bytes(fibre, mock=True) for fibre in (1, 2, 3)}
    contents |= {
        known.path("plate", "26", plate, mjd): fits_bytes(plate, mock=True)
        for plate, mjd in ((300, 52000), (301, 52001))
    }
    publish(tmp_path / "mirror", contents)
    settings = json.dumps({"release": RELEASE, "root": (tmp_path / "mirror").as_uri(), "origin": "mock"})
    files.write_table(
        table, tmp_path / "targets.parquet", {"origin": "mock", "release": "sdss_test", "dataset": "tiny"}
    )
    common = ["--settings", settings, "--raw", str(tmp_path / "raw")]
    planned = str(tmp_path / "plan.parquet")
    assert cli.main(["plan", "--targets", str(tmp_path / "targets.parquet"), *common, "--out", planned]) == 0
    printed = capsys.readouterr().out
    assert "tiny: 295 spectra of 3 plates" in printed and "5 files" in printed
    states = []
    for shard in ("0000", "0001", "0002", "0003"):
        out = tmp_path / f"{shard}.parquet"
        assert cli.main(["fetch", "--plan", planned, "--shard", shard, *common, "--out", str(out)]) == 0
        got = files.read_table(out)
        assert got.schema.remove_metadata() == manifest.SCHEMA and files.read_meta(out)["origin"] == "mock"
        states.append([(row["route"], row["state"], row["fallback"]) for row in got.to_pylist()])
    assert states[0] == [("lite", "verified", False)] * 3
    assert states[1] == [("plate", "verified", False)]
    assert states[2] == [("lite", "failed", False)] * 2 + [("plate", "verified", True)]
    assert states[3] == []
    assert "not had" not in capsys.readouterr().err, "all spectra are there, by whichever route"


def test_released_arrays_are_planned_and_fetched_by_shard(tmp_path, capsys):
    release = {**RELEASE, "arrays": {"train": "train.fits", "test": "test.fits"}, "catalogue_bytes": 2000}
    publish(tmp_path / "mirror", {"train.fits": fits_bytes(1), "test.fits": fits_bytes(2)}, listed=False)
    table = pa.table({"shard": ["0000", "0000", "0001"], "file": ["train.fits", "train.fits", "test.fits"]})
    settings = json.dumps({"release": release, "root": (tmp_path / "mirror").as_uri(), "origin": "real"})
    files.write_table(table, tmp_path / "targets.parquet", {"origin": "real", "dataset": "released"})
    common = ["--settings", settings, "--raw", str(tmp_path / "raw")]
    planned, out = str(tmp_path / "plan.parquet"), str(tmp_path / "out.parquet")
    assert cli.main(["plan", "--targets", str(tmp_path / "targets.parquet"), *common, "--out", planned]) == 0
    assert "released arrays" in capsys.readouterr().out
    assert cli.main(["fetch", "--plan", planned, "--shard", "0001", *common, "--out", out]) == 0
    rows = files.read_table(out).to_pylist()
    assert [(row["path"], row["state"], row["route"]) for row in rows] == [("test.fits", "unverified", "array")]
    cost = plan.estimate({}, Release.from_settings({"release": release}))
    assert cost.files == {"array": 2} and "arrays" in plan.describe(cost, real("gasnet2_published"), tmp_path, "x")


def test_half_the_arguments_are_a_mistake(capsys):
    assert cli.main(["plan", "--targets", "x"]) == 2
    assert "give all of" in capsys.readouterr().err


def test_a_real_plan_is_not_fetched_from_the_mock_archive(tmp_path, capsys):
    files.write_table(plan.SCHEMA.empty_table(), tmp_path / "plan.parquet", {"origin": "real"})
    settings = json.dumps({"release": RELEASE, "root": tmp_path.as_uri(), "origin": "mock"})
    arguments = ["--plan", str(tmp_path / "plan.parquet"), "--shard", "0000", "--settings", settings]
    assert cli.main(["fetch", *arguments, "--raw", str(tmp_path / "raw"), "--out", str(tmp_path / "out")]) == 2
    assert "real and mock inputs are mixed" in capsys.readouterr().err


def test_bare_plan_asks_nothing_of_the_network(tmp_path, monkeypatch, capsys):
    (tmp_path / "config.yaml").write_text(
        (WORKFLOW.parent / "config.yaml").read_text().replace("preset: demo", "preset: paper")
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("httpx.Client.send", lambda *args, **kwargs: pytest.fail("a request was sent"))
    assert cli.main(["plan"]) == 0
    printed = capsys.readouterr().out
    assert "sdss_dr16: about 260,000 spectra" in printed and "nothing was asked of the network" in printed
    assert os.listdir(tmp_path) == ["config.yaml"]
