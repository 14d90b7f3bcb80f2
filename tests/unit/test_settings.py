"""Settings stop before any job, and the message says file, key and what to type instead."""

import json
import shutil

import pytest
import toy_templates
import yaml
from conftest import ROOT
from resurvey import settings
from resurvey.errors import ResurveyError
from resurvey.settings.refining import refined
from resurvey.simulate.templates import registry
from resurvey.surveys.apogee_labels import NAMES

CONFIG = ROOT / "config.yaml"


def load(**overrides):
    return settings.load(CONFIG, overrides)


@pytest.mark.parametrize("preset", ["smoke", "demo", "paper", "full"])
def test_presets_resolve(preset):
    resolved = load(preset=preset)
    assert resolved["run"] == preset
    assert resolved["archive"]["origin"] == ("mock" if preset in ("smoke", "demo") else "real")


@pytest.mark.parametrize("preset", ["smoke", "demo", "paper", "full"])
def test_presets_hold_only_keys_of_the_config(preset):
    config = yaml.safe_load(CONFIG.read_text())
    overlay = yaml.safe_load((ROOT / "workflow" / "presets" / f"{preset}.yaml").read_text())
    assert set(overlay) <= set(config)


@pytest.mark.parametrize("kind", ["releases", "datasets", "papers"])
def test_every_data_file_keeps_its_schema(kind):
    for name in settings.available(kind):
        path = ROOT / "workflow" / kind / f"{name}.yaml"
        data = settings.read_yaml(path)
        settings.validate(data, settings.schema_of(kind, data, str(path)), str(path))


def test_labels_of_apogee_are_those_of_the_schema():
    schema = json.loads((ROOT / "workflow" / "schemas" / "dataset_apogee.schema.json").read_text())
    assert tuple(schema["properties"]["labels"]["items"]["enum"]) == NAMES


def test_paper_preset_is_the_paper():
    resolved = load(preset="paper")
    dataset = resolved["datasets"]["sdss_dr16"]
    assert dataset["per_class"] * len(dataset["classes"]) == 260_000
    assert dataset["grid"] == {"start": 4000.0, "step": 1.0, "pixels": 5001}
    networks = resolved["models"]["gasnet2_sdss"]["networks"]
    assert len(networks) == 13
    assert [name for name, entry in networks.items() if entry["role"] == "classifier"] == ["ResNet_P"]
    assert networks["ResNet_7"]["training"]["epochs"] == 50


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"pressets": "demo"}, ["pressets", "did you mean preset"]),
        ({"preset": "dmo"}, ["preset", "did you mean demo"]),
        ({"engine": "onnx"}, ["engine", "did you mean openvino"]),
        ({"papers": ["gasnet"]}, ["gasnet", "did you mean gasnet2"]),
        ({"seed": "x"}, ["seed", "integer"]),
        ({"archive": "/data/sdss"}, ["archive", "file:///"]),
        ({"datasets": {"sdss": {}}}, ["datasets", "did you mean sdss_dr16"]),
        ({"datasets": {"sdss_dr16": {"grid": {"pixel": 5}}}}, ["datasets.sdss_dr16", "grid.pixel", "pixels"]),
        ({"datasets": {"sdss_dr16": {"split": {"train": 0.9}}}}, ["split", "must be 1"]),
        ({"datasets": {"apogee_dr14": {"labels": ["teff", "fe_hh"]}}}, ["labels.1", "did you mean fe_h?"]),
        ({"models": {"gasnet2_sdss": {"training": {"epoch": 4}}}}, ["training.epoch", "epochs"]),
        ({"models": {"gasnet2_sds": {}}}, ["gasnet2_sds", "gasnet2_sdss"]),
        ({"models": {"gasnet2_sdss": {"only": ["ResNet_P", "ResNet_13"]}}}, ["only", "ResNet_1"]),
        ({"models": {"gasnet2_sdss": {"architecture": {"padding": "valid"}}}}, ["1251 pixels", "padding"]),
        ({"download": {"conections": 3}}, ["download.conections", "connections"]),
        ({"apply": {"gasnet2_sdss": ["sdss_dr16_all"]}}, ["grid", "sdss_dr16_all"]),
        (
            {
                "apply": {"gasnet2_sdss": ["sdss_dr16_all"]},
                "datasets": {"sdss_dr16_all": {"grid": {"step": 4.0, "pixels": 1251}}},
            },
            ["flux_conserving", "set datasets.sdss_dr16_all.resample"],
        ),
        ({"download": {"connections": 0}}, ["download", "connections"]),
        ({"mock": {"sdss_dr16": {"per_clas": 3}}}, ["mock.sdss_dr16", "per_clas", "per_class"]),
        ({"mock": {"per_class": 3}}, ["mock.per_class", "sdss_dr16: {per_class"]),
        ({"apply": {"gasnet2_sdss": ["sdss_dr16_al"]}}, ["sdss_dr16_al", "did you mean sdss_dr16_all"]),
        ({"models": {"gasnet2_sdss": {"dataset": "sdss_dr61"}}}, ["sdss_dr61", "did you mean sdss_dr16"]),
        ({"models": {"gasnet2_sdss": {"architecture": {"kernel": 4}}}}, ["architecture.kernel", "4"]),
        ({"models": {"gasnet2_sdss": {"training": {"z_range": [5, 0]}}}}, ["z_range", "lowest"]),
        ({"datasets": {"sdss_dr16": {"release": "gasnet2_published"}}}, ["mock survey", "huggingface.co"]),
    ],
)
def test_mistakes_name_key_and_remedy(overrides, words):
    with pytest.raises(ResurveyError) as error:
        load(**{"preset": "demo", **overrides})
    for word in words:
        assert word in str(error.value)
    assert "Traceback" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"dataset": "sdss_dr16_published"}, "dataset"),
        ({"architecture": {"normalisation": "unit_norm"}}, "architecture.normalisation"),
        ({"architecture": {"channels": ["flux", "contrast"]}}, "architecture.channels"),
    ],
)
def test_models_that_share_a_network_see_the_same_spectra(change, key):
    with pytest.raises(ResurveyError, match=rf"shares ResNet_P.*set models\.gasnet2_sdss_zpdf\.{key}"):
        load(preset="paper", models={"gasnet2_sdss": change}, archive="file:///mirror")
    both = dict.fromkeys(("gasnet2_sdss", "gasnet2_sdss_zpdf"), change)
    assert load(preset="paper", models=both, archive="file:///mirror")["models"]


def test_an_archive_is_asked_only_for_releases_that_it_can_hold():
    """The authors' arrays lie on another server than the survey's files; a mirror may hold whatever it likes."""
    authors = {name: {"dataset": "sdss_dr16_published"} for name in ("gasnet2_sdss", "gasnet2_sdss_zpdf")}
    with pytest.raises(
        ResurveyError, match=r"data\.sdss\.org/sas does not hold.*set archive to https://huggingface\.co"
    ):
        load(preset="paper", papers=["gasnet2"], models=authors)
    for root in ("https://huggingface.co/datasets/Fucheng/GaSNet-II-SDSS-dataset/resolve", "file:///mirror"):
        assert load(preset="paper", papers=["gasnet2"], models=authors, archive=root)["archive"]["root"] == root


def test_a_mock_survey_may_be_served():
    archive = load(preset="demo", archive="mock+http://127.0.0.1:8000/")["archive"]
    assert archive == {"kind": "url", "name": "mock_127.0.0.1_8000", "root": "http://127.0.0.1:8000", "origin": "mock"}
    with pytest.raises(ResurveyError, match="archive"):
        load(preset="demo", archive="mock+mock")


def test_each_release_has_a_mock_survey_of_its_own_size():
    resolved = load(preset="demo", mock={"sdss_dr16": {"per_class": 40}})
    assert resolved["mock"]["sdss_dr16"]["per_class"] == 40
    assert resolved["mock"]["sdss_dr16"]["seed"] == resolved["seed"]
    assert set(resolved["mock"]) == set(resolved["releases"])


def test_shared_network_must_be_trained():
    with pytest.raises(ResurveyError, match="shares ResNet_10 with gasnet2_sdss, which does not train it"):
        load(
            preset="demo",
            models={
                "gasnet2_sdss": {"only": ["ResNet_P"]},
                "gasnet2_sdss_zpdf": {"shares": {"ResNet_10": "gasnet2_sdss"}},
            },
        )


def test_a_model_keeps_its_classifier():
    with pytest.raises(ResurveyError, match=r"models\.gasnet2_sdss\.only leaves out its classifier, ResNet_P"):
        load(preset="demo", models={"gasnet2_sdss": {"only": ["ResNet_10"]}})
    roles = {"ResNet_P": {"role": "point", "class": "GALAXY_AGN"}}
    with pytest.raises(ResurveyError, match="none of its networks is a classifier"):
        load(preset="paper", papers=["gasnet2"], models={"gasnet2_sdss": {"networks": roles}})


def test_config_wins_over_preset_and_null_does_not():
    resolved = load(preset="demo", archive="file:///mirror", papers=None)
    assert resolved["archive"] == {"kind": "url", "name": "mirror_mirror", "root": "file:///mirror", "origin": "real"}
    assert list(resolved["papers"]) == ["gasnet2", "astronn"]


@pytest.mark.parametrize("paper", ["gasnet2", "astronn"])
@pytest.mark.parametrize("preset", ["smoke", "demo", "paper", "full"])
def test_a_preset_may_be_run_for_one_of_its_papers(preset, paper):
    resolved = load(preset=preset, papers=[paper])
    assert list(resolved["papers"]) == [paper]
    assert {entry["paper"] for entry in resolved["models"].values()} == {paper}
    assert len(resolved["releases"]) == 1


@pytest.mark.parametrize(("preset", "origin"), [("demo_desi", "mock"), ("paper_desi", "real")])
def test_presets_of_desi_make_its_model_alone(preset, origin):
    resolved = load(preset=preset)
    assert list(resolved["models"]) == ["gasnet2_desi"] and list(resolved["releases"]) == ["desi_edr"]
    assert resolved["archive"]["origin"] == origin and resolved["run"] == preset
    overlay = yaml.safe_load((ROOT / "workflow" / "presets" / f"{preset}.yaml").read_text())
    assert set(overlay) <= set(yaml.safe_load(CONFIG.read_text()))


def test_desi_s_sample_is_the_paper_s():
    dataset = load(preset="paper_desi")["datasets"]["desi_edr"]
    assert [entry["label"] for entry in dataset["classes"]] == ["STAR", "QSO", "GALAXY"] and dataset[
        "per_class"
    ] == 7000
    assert dataset["selection"]["surveys"] == ["sv1", "sv3"] and dataset["selection"]["sn_min"] == 2.0
    assert dataset["grid"] == {"start": 4000.0, "step": 1.0, "pixels": 5001}


def test_a_preset_chooses_which_models_of_a_paper_are_made():
    assert set(load(preset="demo", papers=["gasnet2"])["models"]) == {"gasnet2_sdss", "gasnet2_sdss_zpdf"}
    resolved = load(preset="demo", only_models={"gasnet2": ["gasnet2_sdss"]})
    assert [name for name, entry in resolved["models"].items() if entry["paper"] == "gasnet2"] == ["gasnet2_sdss"]
    assert [name for name, entry in resolved["models"].items() if entry["paper"] == "astronn"], (
        "papers that are not named keep all"
    )
    for wrong, words in (
        ({"gasnet2": ["gasnet2_sds"]}, "only_models.gasnet2.*gasnet2_sds"),
        ({"gasnet": ["x"]}, "did you mean gasnet2"),
    ):
        with pytest.raises(ResurveyError, match=words):
            load(preset="demo", only_models=wrong)
    with pytest.raises(ResurveyError, match=r"shares ResNet_P.*name gasnet2_sdss in only_models\.gasnet2"):
        load(preset="demo", only_models={"gasnet2": ["gasnet2_sdss_zpdf"]})


def test_a_model_that_is_left_out_is_applied_to_nothing():
    fewer = {"preset": "demo", "papers": ["gasnet2"], "only_models": {"gasnet2": ["gasnet2_sdss"]}}
    with pytest.raises(ResurveyError, match=r"gasnet2_sdss_zpdf is left out by only_models; .* set apply\.gasnet2_sdss_zpdf to \[\]"):  # fmt: skip
        load(**fewer, apply={"gasnet2_sdss_zpdf": ["sdss_dr16_all"]})
    assert load(**fewer, apply={"gasnet2_sdss_zpdf": []})["apply"] == [("gasnet2_sdss", "sdss_dr16")]


def test_label_networks_alone_are_not_assessed():
    with pytest.raises(ResurveyError, match=r"assess: no model of this run gives classes; .* gasnet2"):
        load(preset="demo", papers=["astronn"], assess={"mine": {"spectra": "folder"}})


def test_null_in_an_override_lifts_a_cut():
    resolved = load(preset="demo", datasets={"sdss_dr16": {"selection": {"targettype": None}}})
    assert resolved["datasets"]["sdss_dr16"]["selection"]["targettype"] is None


def test_members_can_be_jobs_of_their_own():
    networks = load(preset="demo", models={"gasnet2_sdss_zpdf": {"joint": False}})["models"]["gasnet2_sdss_zpdf"][
        "networks"
    ]
    members = [name for name in networks if name.startswith("ResNet_7/")]
    assert members == [f"ResNet_7/member_{number:02d}" for number in range(3)]
    assert networks["ResNet_7/member_01"]["ensemble"] == "ResNet_7"


def test_a_network_may_train_longer_than_its_siblings():
    override = {"gasnet2_sdss_zpdf": {"networks": {"ResNet_7": {"training": {"epochs": 16}}}}}
    networks = load(preset="demo", models=override)["models"]["gasnet2_sdss_zpdf"]["networks"]
    assert networks["ResNet_7"]["training"]["epochs"] == 16
    assert networks["ResNet_8"]["training"]["epochs"] != 16


def test_numbers_that_the_command_line_made_strings():
    override = {"sdss_dr16": {"shards": "7", "grid": {"start": "4000.0"}, "selection": {"targettype": "null"}}}
    dataset = load(preset="demo", datasets=override)["datasets"]["sdss_dr16"]
    assert (dataset["shards"], dataset["grid"]["start"], dataset["selection"]["targettype"]) == (7, 4000.0, None)


def test_key_given_twice(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("preset: demo\npreset: paper\n")
    with pytest.raises(ResurveyError, match="given twice"):
        settings.load(file)


def test_scientific_notation_is_a_number(tmp_path):
    file = tmp_path / "numbers.yaml"
    file.write_text("a: 1e-3\nb: 1.5E7\nc: 2\nd: v5_13_0\n")
    assert settings.read_yaml(file) == {"a": 0.001, "b": 1.5e7, "c": 2, "d": "v5_13_0"}


@pytest.fixture
def templates(tmp_path, monkeypatch):
    folder = tmp_path / "templates"
    folder.mkdir()
    rows = toy_templates.rows(toy_templates.write(folder))
    monkeypatch.setattr(registry, "templates", lambda collections=None: rows)
    return folder


def refine(folder, model="gasnet2_sdss_zpdf", **more):
    given = {"inference": {"refine": {"templates": str(folder)}}, **more}
    return load(preset="demo", models={model: given})["models"]


def test_refinement_is_off_and_the_digest_of_its_templates_part_of_the_settings(templates, monkeypatch):
    assert not any("inference" in model for model in load(preset="demo", papers=["gasnet2"])["models"].values())
    models = refine(templates)
    first = models["gasnet2_sdss_zpdf"]["inference"]["refine"]
    assert first["templates"] == str(templates) and len(first["digest"]) == 12
    assert "inference" not in models["gasnet2_sdss"]
    other = templates / "galaxies.fits"
    other.write_bytes(other.read_bytes() + bytes(2880))
    rows = toy_templates.rows({row.role: templates / row.file for row in registry.templates()})
    monkeypatch.setattr(registry, "templates", lambda collections=None: rows)
    assert refine(templates)["gasnet2_sdss_zpdf"]["inference"]["refine"]["digest"] != first["digest"]
    lifted = load(preset="demo", models={"gasnet2_sdss_zpdf": {"inference": {"refine": None}}})["models"]
    assert lifted["gasnet2_sdss_zpdf"]["inference"] == {"refine": None}


@pytest.mark.parametrize(
    ("lost", "more", "words"),
    [
        (
            None,
            {"model": "gasnet2_sdss"},
            "gasnet2_sdss: inference.refine: needs a distribution of redshifts and head is huber",
        ),
        (".", {}, "is no folder; make it with `resurvey templates"),
        ("quasars_low.fits", {}, "lacks those for quasars_low; fetch them"),
        (None, {"only": ["ResNet_P"]}, "no network of the role redshift"),
    ],
)
def test_what_templates_cannot_refine_is_told_before_any_job(templates, lost, more, words):
    if lost == ".":
        shutil.rmtree(templates)
    elif lost:
        (templates / lost).unlink()
    with pytest.raises(ResurveyError, match=words):
        refine(templates, **more)


def test_a_class_without_templates_is_told_before_any_job(templates):
    networks = {
        "ResNet_1": {"role": "redshift", "class": "GALAXY_AGN"},
        "ResNet_2": {"role": "redshift", "class": "LRG"},
    }
    model = {"head": "bins", "networks": networks, "inference": {"refine": {"templates": str(templates)}}}
    with pytest.raises(ResurveyError, match=r"no templates for class LRG; .*begin with GALAXY, QSO"):
        refined("mine", model)
