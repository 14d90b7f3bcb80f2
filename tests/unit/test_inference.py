"""Engines, models from their folders, and predictions of shards."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
import toy_spectra as toy
from resurvey import files
from resurvey.errors import ResurveyError
from resurvey.files import read_settings
from resurvey.inference import engines
from resurvey.inference.engines import OpenVinoEngine, TorchEngine, make_engine, run_batches, seen_by
from resurvey.inference.models import find_homes, load_model, load_network
from resurvey.inference.predict import Predictor, compare, predict_shard
from resurvey.networks.build import build
from resurvey.training.job import fit
from resurvey.training.samples import read_sample

FIT = {"ResNet_P": None, "ResNet_7": "GALAXY_nan", "ResNet_11": "QSO_nan", "ResNet_7_point": "GALAXY_nan"}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A folder with shards and the toy's four networks, briefly trained."""
    folder = tmp_path_factory.mktemp("run")
    torch.set_num_threads(1)
    paths = toy.write_shards(folder / "shards", 200)
    for network, label in FIT.items():
        sample = read_sample(paths, toy.LABELS, label)
        fit(sample, toy.settings(epochs=5), network, folder / "models/toy" / network, threading.Event(), quiet=True)
    return folder


@pytest.fixture(scope="module")
def model(run):
    return load_model(run / "models", "toy", find_homes(run / "models", "toy"))


@pytest.fixture(scope="module")
def flux() -> np.ndarray:
    return np.concatenate([toy.spectra(label, 30, seed=99)[0] for label in toy.LABELS])


def test_model_is_put_together(model):
    assert model.classifier.name == "ResNet_P" and set(model.redshift) == {"GALAXY_nan", "QSO_nan"}
    assert set(model.point) == {"GALAXY_nan"} and model.labels == toy.LABELS
    assert len(model.all()) == 4 and not any(trained.network.training for trained in model.all())


def test_columns_and_their_meaning(model, flux):
    predictor = Predictor(model, "torch", 0.0, 1)
    columns = predictor.predict(flux)
    assert list(columns) == predictor.schema().names[1:]
    probability = np.stack([columns[f"prob_{label}"] for label in toy.LABELS], 1)
    np.testing.assert_allclose(probability.sum(1), 1, atol=1e-5)
    assert (probability.argmax(1) == np.repeat([0, 1, 2], 30)).mean() > 0.8
    network = model.redshift["GALAXY_nan"][0].network
    with torch.inference_mode():
        outputs = network(torch.from_numpy(flux[30:60]))
    from resurvey.networks.heads import make_head

    read = make_head(network.spec["head"]).read(outputs)
    np.testing.assert_allclose(columns["z_GALAXY_nan"][30:60], read["z"], rtol=1e-5)
    np.testing.assert_allclose(columns["z_std_GALAXY_nan"][30:60], read["z_std"], rtol=1e-4)


def test_skipped_networks_give_null_and_nothing_else_changes(model, flux):
    whole, some = Predictor(model, "torch", 0.0, 1).predict(flux), Predictor(model, "torch", 0.5, 1).predict(flux)
    skipped = whole["prob_GALAXY_nan"] < 0.5
    assert 0 < skipped.sum() < len(flux)
    for name in ("z_GALAXY_nan", "z_std_GALAXY_nan", "z_point_GALAXY_nan"):
        assert (np.ma.getmaskarray(some[name]) == skipped).all() and not np.ma.getmaskarray(whole[name]).any()
        np.testing.assert_allclose(some[name][~skipped], whole[name][~skipped], rtol=1e-5)
    np.testing.assert_array_equal(some["prob_QSO_nan"], whole["prob_QSO_nan"])


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_openvino_agrees_with_torch(model, flux, precision):
    pytest.importorskip("openvino")
    predictor = Predictor(model, "torch", 0.0, 1)
    reference = predictor.predict(flux)
    predictor.engine = OpenVinoEngine(predictor.networks, 1, precision)
    found = compare(predictor.predict(flux), reference)
    bound = {"f32": (1e-4, 1e-4), "bf16": (0.05, 2e-3)}[precision]
    assert found["prob_max"] < bound[0] and found["dz_median"] < bound[1]
    assert found["class_changed"] <= (0 if precision == "f32" else 0.03)


def test_wrong_graph_is_refused(model, monkeypatch):
    pytest.importorskip("openvino")
    network = model.classifier.network
    monkeypatch.setattr(type(network), "core", lambda self, x: torch.ones(len(x), 1, 3))
    with pytest.raises(ResurveyError, match=r"off by .* set engine: torch"):
        OpenVinoEngine({"ResNet_P": network}, 1, "f32")


def test_building_a_graph_leaves_the_reference_in_eval_mode(model, flux):
    pytest.importorskip("openvino")
    before = Predictor(model, "torch", 0.0, 1).predict(flux)
    OpenVinoEngine({trained.name: trained.network for trained in model.all()}, 1)
    after = Predictor(model, "torch", 0.0, 1).predict(flux)
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name])


def test_engine_names():
    with pytest.raises(ResurveyError, match="engine: keras does not exist"):
        make_engine("keras", {}, 1)
    if not torch.cuda.is_available():
        with pytest.raises(ResurveyError, match="no CUDA device; set engine: auto"):
            make_engine("cuda", {}, 1)


def test_auto_without_openvino_is_torch(monkeypatch):
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None)
    if not torch.cuda.is_available():
        assert isinstance(make_engine("auto", {}, 1), TorchEngine)
    with pytest.raises(ResurveyError, match="openvino is not installed"):
        make_engine("openvino", {}, 1)


def test_batches_halve_until_they_fit():
    class Small:
        """Holds at most five spectra."""

        def __init__(self) -> None:
            self.sizes = []

        def outputs(self, network, inputs):
            if len(inputs) > 5:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            self.sizes.append(len(inputs))
            return inputs[:, 0, 0, :1, None]

    inputs = torch.arange(23.0).reshape(23, 1, 1, 1)
    engine = Small()
    assert torch.equal(run_batches(engine, "n", inputs, 16)[:, 0, 0], torch.arange(23.0))
    assert max(engine.sizes) == 4


def test_networks_that_normalise_differently_are_not_mixed():
    spec = {**toy.ARCHITECTURE, "pixels": 251, "outputs": 1, "members": 1, "head": {"kind": "softmax"}}
    with pytest.raises(ResurveyError, match="normalise spectra in different ways"):
        seen_by([build(spec), build({**spec, "normalisation": "unit_norm"})])


def test_shard_is_streamed_to_predictions(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr("resurvey.inference.predict.ROWS", 32)
    homes = find_homes(run / "models", "toy")
    predictor = Predictor(model, "auto", 0.0, 1)
    shard = run / "shards/0001.parquet"
    assert predict_shard(shard, predictor, homes, tmp_path / "p.parquet") == 300
    table, meta = files.read_table(tmp_path / "p.parquet"), files.read_meta(tmp_path / "p.parquet")
    assert table["spectrum_id"].to_pylist() == files.read_table(shard, ["spectrum_id"])["spectrum_id"].to_pylist()
    assert meta["origin"] == "mock" and meta["weights"] == model.weights() and meta["networks"] == homes
    assert meta["engine"] == predictor.engine.name and (
        meta["engine"] == "torch" or meta["engine_difference"]["spectra"] == 16
    )
    predict_shard(shard, Predictor(model, "torch", 0.99, 1), homes, tmp_path / "s.parquet")
    assert files.read_table(tmp_path / "s.parquet")["z_QSO_nan"].null_count > 0


def test_shard_without_rows_gives_predictions_without_rows(run, model, tmp_path):
    shard = run / "shards/0000.parquet"
    files.write_table(files.read_table(shard).slice(0, 0), tmp_path / "e.parquet", files.read_meta(shard))
    predictor = Predictor(model, "torch", 0.0, 1)
    assert predict_shard(tmp_path / "e.parquet", predictor, {}, tmp_path / "p.parquet") == 0
    assert files.read_table(tmp_path / "p.parquet").schema.names == predictor.schema().names


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"grid": {**toy.GRID, "step": 1.0}}, "its grid .* is not that of the networks of toy"),
        ({"origin": "mock"}, None),
    ],
)
def test_shards_of_another_grid_are_refused(run, model, tmp_path, change, match):
    shard = run / "shards/0000.parquet"
    files.write_table(files.read_table(shard), tmp_path / "0.parquet", {**files.read_meta(shard), **change})
    if match is None:
        assert predict_shard(tmp_path / "0.parquet", Predictor(model, "torch", 0, 1), {}, tmp_path / "p.parquet")
        return
    with pytest.raises(ResurveyError, match=match):
        predict_shard(tmp_path / "0.parquet", Predictor(model, "torch", 0, 1), {}, tmp_path / "p.parquet")
    assert not (tmp_path / "p.parquet").exists()


def test_mock_shards_do_not_meet_networks_of_real_spectra(run, model, tmp_path):
    model.classifier.about["origin"] = "real"
    try:
        with pytest.raises(ResurveyError, match="is a mock survey, the networks of toy were trained on real"):
            predict_shard(run / "shards/0000.parquet", Predictor(model, "torch", 0, 1), {}, tmp_path / "p.parquet")
    finally:
        model.classifier.about["origin"] = "mock"


def broken_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def swapped_digest(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    about = files.read_json(folder / "model.json")
    files.write_json({**about, "weights_sha256": files.sha256(path)}, folder / "model.json")


def other_architecture(folder: Path) -> None:
    about = files.read_json(folder / "model.json")
    about["architecture"]["dense"] = 64
    files.write_json(about, folder / "model.json")


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (broken_weights, r"model\.safetensors: its digest .* is not the .* of model\.json"),
        (swapped_digest, r"model\.safetensors: does not fit"),
        (other_architecture, r"model\.safetensors: does not fit the architecture"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"model\.safetensors: is missing"),
        (lambda folder: (folder / "model.json").write_text("{"), r"model\.json: is not JSON"),
        (lambda folder: (folder / "model.json").write_text("{}"), r"model\.json: lacks architecture"),
    ],
)
def test_damaged_models_are_named(run, tmp_path, damage, match):
    folder = tmp_path / "ResNet_P"
    shutil.copytree(run / "models/toy/ResNet_P", folder)
    load_network(folder, "ResNet_P")
    damage(folder)
    with pytest.raises(ResurveyError, match=match):
        load_network(folder, "ResNet_P")


def test_networks_may_live_in_another_models_folder(run, tmp_path):
    shutil.copytree(run / "models/toy/ResNet_11", tmp_path / "second/ResNet_11")
    shutil.copytree(run / "models/toy/ResNet_P", tmp_path / "first/ResNet_P")
    with pytest.raises(ResurveyError, match="0 classifiers among its networks"):
        load_model(tmp_path, "second", find_homes(tmp_path, "second"))
    files.write_json({"networks": {"ResNet_P": "first", "ResNet_11": "second"}}, tmp_path / "second/calibration.json")
    assert load_model(tmp_path, "second", find_homes(tmp_path, "second")).classifier.name == "ResNet_P"


def test_members_trained_apart_are_one_ensemble(run, tmp_path, flux):
    for member in range(2):
        shutil.copytree(run / "models/toy/ResNet_7_point", tmp_path / f"m/ResNet_7/member_{member:02d}")
        about = files.read_json(tmp_path / f"m/ResNet_7/member_{member:02d}/model.json")
        files.write_json({**about, "role": "redshift"}, tmp_path / f"m/ResNet_7/member_{member:02d}/model.json")
    shutil.copytree(run / "models/toy/ResNet_P", tmp_path / "m/ResNet_P")
    model = load_model(tmp_path, "m", find_homes(tmp_path, "m"))
    assert [trained.name for trained in model.redshift["GALAXY_nan"]] == ["ResNet_7/member_00", "ResNet_7/member_01"]
    columns = Predictor(model, "torch", 0.0, 1).predict(flux)
    alone = Predictor(load_model(run / "models", "toy", find_homes(run / "models", "toy")), "torch", 0, 1).predict(flux)
    np.testing.assert_allclose(columns["z_GALAXY_nan"], alone["z_point_GALAXY_nan"], rtol=1e-5)


def test_compare_counts_what_matters():
    reference = {"prob_A": [0.9, 0.2], "prob_B": [0.1, 0.8], "z_B": [3.0, 1.0], "z_std_B": [0.1, 0.4]}
    mine = {"prob_A": [0.4, 0.2], "prob_B": [0.6, 0.8], "z_B": [0.0, 1.2], "z_std_B": [0.1, 0.4]}
    found = compare(*({name: np.ma.array(values) for name, values in table.items()} for table in (mine, reference)))
    assert found["class_changed"] == 0.5 and found["prob_max"] == pytest.approx(0.5)
    assert found["dz_max"] == pytest.approx(0.1)  # of the second spectrum alone: the first is no B
    assert found["dz_over_std_median"] == pytest.approx(0.5)


def test_an_engine_that_rounds_too_much_gives_way(model, flux, monkeypatch):
    pytest.importorskip("openvino")
    predictor = Predictor(model, "torch", 0.0, 1)
    predictor.engine = OpenVinoEngine(predictor.networks, 1, "bf16")
    assert predictor.settle(flux) and predictor.engine.precision == "bf16"
    monkeypatch.setattr("resurvey.inference.predict.BOUNDS", {"prob_max": 0.0})
    found = predictor.settle(flux)
    assert predictor.engine.precision == "f32" and found["prob_max"] < 1e-4


def test_arguments(tmp_path):
    assert read_settings('{"a": 1}') == {"a": 1}
    (tmp_path / "s.json").write_text('{"a": 2}')
    assert read_settings(str(tmp_path / "s.json")) == {"a": 2}
    with pytest.raises(ResurveyError, match="--settings: is not JSON"):
        read_settings("{a}")
    files.write_table(pa.table({"x": [1]}), tmp_path / "0000.parquet", {})
    with pytest.raises(ResurveyError, match=r"0001\.parquet: is missing; 2 shards were announced"):
        files.numbered(tmp_path, 2)
