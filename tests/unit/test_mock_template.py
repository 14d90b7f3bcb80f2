"""The mock survey from templates: its archive, reader, catalogue, plan and shards."""

import hashlib

import numpy as np
import pytest
import toy_templates
from astropy.io import fits
from resurvey import cli, files
from resurvey.archive import catalogue, manifest, mock_template, plan, plan_fields
from resurvey.archive.release import Release
from resurvey.archive.transfer import Transfer
from resurvey.errors import ResurveyError
from resurvey.settings import resolving
from resurvey.shards.build import build_shard
from resurvey.shards.reading import as_array
from resurvey.simulate.exposure import Exposure
from resurvey.simulate.templates import libraries, pipeline
from resurvey.stages import worker
from resurvey.surveys import registry as readers

RELEASE = "sdss_template_mock"


def digests(root):
    return {
        str(p.relative_to(root)): hashlib.sha1(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.suffix != ""
    }


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """A folder of toy templates that is taken for the registry's."""
    with toy_templates.registered(tmp_path_factory.mktemp("toys")) as folder:
        yield folder


@pytest.fixture(scope="module")
def options(toys):
    return {"per_class": 30, "templates": str(toys), "seed": 3}


@pytest.fixture(scope="module")
def archive(options, tmp_path_factory):
    """Several small files instead of one."""
    root = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        mock_template.build(root, RELEASE, options)
    return root


def small(patch):
    usual = mock_template.mock_room.release

    def release(*given):
        found = usual(*given)
        found.settings["fibres"] = 24
        return found

    patch.setattr(mock_template.mock_room, "release", release)


@pytest.fixture(scope="module")
def made(archive, tmp_path_factory):
    """Targets and shards of the archive, by the stages' own functions."""
    out = tmp_path_factory.mktemp("stages")
    entry = resolving.whole_release(RELEASE, {}, "test")
    given = {"release": entry, "root": str(archive), "origin": "mock", "etiquette": entry["etiquette"]}
    raw, release = out / "raw", Release.from_settings(given)
    catalogue.fetch(given, raw, out / "catalogue.parquet")
    dataset = {**resolving.whole_dataset(RELEASE, {}, "test"), "per_class": 25, "shards": 2}
    chosen = worker("targets", "template")(files.read_table(out / "catalogue.parquet"), dataset, 5)
    files.write_table(chosen.table, out / "targets.parquet", {"origin": "mock", "release": RELEASE, "dataset": RELEASE})
    todo = worker("plan", "template")(plan.read_targets(out / "targets.parquet"), release)
    shards = []
    for shard in ("0000", "0001"):
        with Transfer(release, raw) as transfer:
            rows = transfer.fetch(plan.wanted(todo, shard), shard)
        downloads = out / f"downloads_{shard}.parquet"
        files.write_table(manifest.table(rows), downloads, {"origin": "mock"})
        settings = {"dataset": dataset, "release": entry, "origin": "mock"}
        counts = build_shard(out / "targets.parquet", shard, downloads, raw, settings, out / f"{shard}.parquet", out / f"{shard}.rejected.parquet")  # fmt: skip
        assert counts["rejected"] == 0 and counts["expected"] == counts["read"]
        shards.append(files.read_table(out / f"{shard}.parquet"))
    return {"targets": chosen.table, "shards": shards, "plan": todo}


def test_same_archive_again_on_two_processes_and_not_with_another_seed(archive, options, tmp_path, monkeypatch):
    small(monkeypatch)
    mock_template.build(tmp_path, RELEASE, options, threads=2)
    assert digests(tmp_path) == digests(archive)
    mock_template.build(tmp_path, RELEASE, {**options, "seed": 4})
    assert digests(tmp_path).keys() == digests(archive).keys() and digests(tmp_path) != digests(archive)


def test_truth_and_files_hold_every_object_once(archive):
    truth = files.read_table(archive / "truth" / f"{RELEASE}.parquet").to_pandas()
    assert truth["spectrum_id"].is_unique and truth["object"].is_unique
    assert truth["label"].value_counts().to_dict() == {"STAR": 30, "GALAXY": 30, "QSO": 30}
    assert truth["spectrograph"].value_counts().to_dict().keys() == {"SDSS", "BOSS"}
    assert abs((truth["spectrograph"] == "SDSS").sum() - 45) <= 24
    seen = [one for path in sorted((archive / "template/spectra").rglob("*.fits")) for one in readers.read_all(path)]
    assert {one.spectrum_id for one in seen} == set(truth["spectrum_id"]) and {one.origin for one in seen} == {"mock"}
    z = truth.set_index("spectrum_id").loc[[one.spectrum_id for one in seen], "z"]
    assert np.array([one.survey_z for one in seen]) == pytest.approx(z.to_numpy(), abs=1e-12)


def test_what_is_selected_is_what_the_files_hold(archive, made):
    targets = made["targets"].to_pandas()
    assert targets["label"].value_counts().to_dict() == {"STAR": 25, "GALAXY": 25, "QSO": 25}
    assert targets.loc[targets["label"] == "STAR", "z"].isna().all() and targets["object_id"].is_unique
    assert set(made["plan"]["route"].to_pylist()) == {plan_fields.ROUTE}
    path = sorted((archive / "template/spectra").rglob("*.fits"))[0]
    with fits.open(path) as hdus:
        rows, wave = hdus["SPECTRA"].data, 10 ** hdus["LOGLAM"].data
        found = {(int(row["PLATE"]), int(row["FIBERID"])): (row["FLUX"], row["IVAR"]) for row in rows}
    compared = 0
    for table in made["shards"]:
        for number, row in enumerate(table.select(["plate", "fiberid"]).to_pylist()):
            if (row["plate"], row["fiberid"]) in found:
                flux, ivar = found[row["plate"], row["fiberid"]]
                inside = (wave > 4000) & (wave < 9000) & (ivar > 0)
                ours, weight = (as_array(table[name])[number] for name in ("flux", "ivar"))
                mean = np.average(flux[inside], weights=np.gradient(wave)[inside])  # resampling conserves flux
                assert ours[weight > 0].mean() == pytest.approx(mean, rel=0.03, abs=0.03)
                compared += 1
    assert compared > 10


@pytest.mark.parametrize("wrong, told", [({"template": "x"}, "did you mean templates"), ({"per_class": 0}, "at least 1"), ({"faults": "no"}, "true or false"), ({"mix": "hart"}, "did you mean hard"), ({"labels": "mine"}, "recipe or fitted")])  # fmt: skip
def test_impossible_settings_are_refused(wrong, told, options, tmp_path):
    with pytest.raises(ResurveyError, match=told):
        mock_template.build(tmp_path, RELEASE, {**options, **wrong})


@pytest.mark.parametrize("given", ["{}", '{"templates": "/nowhere/at/all"}'])
def test_without_templates_the_command_that_fetches_them_is_named(given, tmp_path, capsys):
    assert cli.main(["mock-archive", "--release", RELEASE, "--out", str(tmp_path / "new"), "--settings", given]) == 2
    assert "resurvey templates --out" in capsys.readouterr().err
    assert not (tmp_path / "new" / "template").exists()


def test_a_pipeline_says_galaxy_where_the_host_outshines_the_nucleus(toys):
    """Spectra made of one kind's templates get that kind's class, whatever recipe they are of; those without a mixture keep theirs."""
    library, wave = libraries.load(str(toys)), 10**mock_template.LOGLAM
    rest = (np.log10(wave / 1.5) - library.galaxies.start) / 1e-4
    galaxy = np.interp(rest, np.arange(library.galaxies.basis.shape[1]), library.galaxies.basis[0])
    quasar = np.interp((np.log10(wave / 1.5) - library.quasars_low.start) / 1e-4, np.arange(library.quasars_low.basis.shape[1]), library.quasars_low.basis[0])  # fmt: skip
    model = np.float32([galaxy, quasar, galaxy])
    seen = Exposure(wave, model, np.full_like(model, 400), np.zeros(model.shape, int), model, np.full(3, 20.0))
    table = {"z": np.full(3, 0.5), "host_share": np.array([0.9, 0.3, 0.0])}
    assert pipeline.fitted_class("QSO", table, seen, library).tolist() == ["GALAXY", "QSO", "QSO"]
    assert pipeline.fitted_class("STAR", table, seen, library).tolist() == ["STAR"] * 3


def test_fitted_labels_reach_catalogue_and_truth(options, tmp_path):
    mock_template.build(tmp_path, RELEASE, {**options, "mix": "border", "labels": "fitted"})
    truth = files.read_table(tmp_path / "truth" / f"{RELEASE}.parquet").to_pandas()
    assert truth["recipe"].value_counts().to_dict() == {"STAR": 30, "GALAXY": 30, "QSO": 30}
    assert (truth["label"] != truth["recipe"]).any() and (truth.loc[truth["recipe"] == "STAR", "label"] == "STAR").all()
    seen = [one for path in (tmp_path / "template/spectra").rglob("*.fits") for one in readers.read_all(path)]
    given = truth.set_index("spectrum_id")["label"]
    assert all(one.survey_class == given[one.spectrum_id] for one in seen)
