"""Monte Carlo inference: masks, the fused passes against a naive loop, uncertainties that cover, shards, sensitivities."""

import json
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
import toy_labels as toy
from resurvey import files
from resurvey.cli import main
from resurvey.errors import ResurveyError
from resurvey.inference import masks
from resurvey.inference import monte_carlo as mc
from resurvey.inference.families import LABELS, load
from resurvey.inference.labels import LabelPredictor, inverse_precision, statistics
from resurvey.inference.sensitivity import gradients, sample
from resurvey.networks.bcnn import with_masks, without_dropout
from resurvey.networks.build import build
from resurvey.training import labels
from resurvey.training.job import fit

SETTINGS = {"engine": "openvino_f32", "inference": toy.INFERENCE, "seed": 3}
UNUSUAL = {
    **toy.ARCHITECTURE,
    "filters": [3, 5],
    "kernel": 5,
    "pool": 3,
    "dropout": 0.3,
}  # no multiples of four anywhere


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A folder with shards, windows and a trained network."""
    torch.set_num_threads(1)
    home = tmp_path_factory.mktemp("run")
    toy.write_shards(home / "shards", 2000, error=0.1)
    settings = toy.settings(toy.write_windows(home), epochs=20, schedule="cosine", lr=0.005)
    found = labels.read(sorted((home / "shards").glob("0*.parquet")), settings, "bcnn", quiet=True)
    fit(found, settings, "bcnn", home / "models/toy/bcnn", threading.Event(), quiet=True)
    return home


@pytest.fixture(scope="module")
def model(run):
    family, model = load(run / "models", "toy", {"bcnn": "toy"})
    assert family is LABELS
    return model


def network(architecture: dict = toy.ARCHITECTURE, seed: int = 5):
    """Untrained, with biases that are not zero and standardisation that is not trivial."""
    made = build(toy.spec(architecture), seed).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1, generator=generator)
    made.standardise(torch.full((toy.PIXELS,), 0.97), torch.from_numpy(toy.MEAN), torch.from_numpy(toy.SPREAD))
    return made


def flux(count: int, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(toy.spectra(count, seed)[0])


# masks


def test_masks_are_splitmix64():
    """Its published first outputs for the seed 0 (Vigna's splitmix64.c), which also is number n of the key 0."""
    known = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    out = np.empty(3, np.uint64)
    masks.numbers(np.uint64(0), 0, out)
    assert out.tolist() == known
    kept = masks.keep(np.array(0, np.uint64), 4, 3, 0x8000)
    lanes = [[known[column] >> 16 * row & 0xFFFF for column in range(3)] for row in range(4)]
    assert kept.tolist() == (np.array(lanes) >= 0x8000).tolist()


@pytest.mark.parametrize(("rows", "columns"), [(8, 40), (5, 53), (4, 1), (37, 1), (1, 7)])
def test_masks_are_the_same_in_numpy_torch_and_compiled_loops(rows, columns):
    key = masks.keys(masks.seeds(1, ["a", "b"]), 2, 3)[..., 1]
    reference = masks.keep(key, rows, columns, 19661)
    assert reference.shape == (2, 3, rows, columns)
    found = masks.keep_torch(torch.from_numpy(key.view(np.int64)), rows, columns, 19661)
    assert (found.numpy() == reference).all()
    if columns == 1:
        out = np.empty((3, rows), np.float32)
        masks.fill(np.ascontiguousarray(key[0]), 19661, out)
        assert (out == reference[0, ..., 0]).all()


def test_masks_are_random():
    """Drop rate, no correlation between neighbours in the layer, passes, layers and spectra. 3·10⁶ draws: σ of a rate is 2.6e-4."""
    key = masks.keys(masks.seeds(1, [str(i) for i in range(4)]), 0, 100)
    kept = masks.keep(key[..., 0], 8, 940, masks.threshold(0.3)).astype(np.float32)
    assert 1 - kept.mean() == pytest.approx(0.3, abs=0.002)
    assert np.abs(1 - kept.mean((0, 1)) - 0.3).max() < 0.15  # 400 draws each
    assert masks.threshold(0.3) / 65536 == pytest.approx(0.3, abs=8e-6)
    centred = kept - kept.mean()
    other = masks.keep(key[..., 1], 8, 940, masks.threshold(0.3)).astype(np.float32) - kept.mean()
    for a, b in (
        (centred[..., :-1], centred[..., 1:]),
        (centred[..., :-1, :], centred[..., 1:, :]),
        (centred[:, :-1], centred[:, 1:]),
        (centred[:-1], centred[1:]),
        (centred, other),
    ):
        assert abs((a * b).mean() / 0.21) < 0.004


# passes


def naive(one, spectra: torch.Tensor, seeds: np.ndarray, count: int) -> torch.Tensor:
    """A loop over passes of the network itself, given the reference's masks by layer."""
    spec, limit = one.spec, masks.threshold(one.spec["dropout"])
    first, second = spec["filters"]
    pool, columns = spec["pool"], -(-spec["pixels"] // spec["pool"])
    done = []
    for key in np.swapaxes(masks.keys(seeds, 0, count), 0, 1):  # (spectra, layers) of a pass
        by_layer = {"full.drop1": masks.keep(key[:, 0], first * pool, columns, limit)}
        by_layer["full.drop1"] = (
            by_layer["full.drop1"].reshape(-1, first, pool, columns).swapaxes(2, 3).reshape(-1, first, pool * columns)
        )[..., : spec["pixels"]]
        by_layer["full.drop2"] = masks.keep(key[:, 1], second, spec["pixels"] // pool, limit).reshape(len(key), -1)
        by_layer["full.drop3"] = masks.keep(key[:, 2], spec["dense"][0], 1, limit)[..., 0]
        if hasattr(one, "mini"):
            for layer, part in ((3, "drop1"), (4, "drop2")):
                sizes = [(mini.dense1 if part == "drop1" else mini.dense2).out_features for mini in one.mini.values()]
                kept = np.split(masks.keep(key[:, layer], sum(sizes), 1, limit)[..., 0], np.cumsum(sizes)[:-1], 1)
                by_layer |= {f"mini.{label}.{part}": k for label, k in zip(one.elements, kept, strict=True)}
        with torch.inference_mode(), with_masks(one, {name: torch.from_numpy(k) for name, k in by_layer.items()}):
            done.append(one(spectra))
    return torch.stack(done, 1)


@pytest.mark.parametrize(
    "architecture", [toy.ARCHITECTURE, toy.UNCENSORED, UNUSUAL], ids=["censored", "full", "unusual"]
)
@pytest.mark.parametrize("engine", [mc.CompiledEngine, mc.TorchEngine])
def test_given_the_same_masks_all_passes_at_once_are_those_of_a_loop(architecture, engine):
    one, seeds = network(architecture), masks.seeds(1, ["a", "b", "c"])
    reference = naive(one, flux(3), seeds, 7)
    found = engine(one).passes(flux(3), seeds, 7)
    assert found.shape == (3, 7, 6, 2)
    assert reference.std(1).min() > 1e-3, "dropout does nothing: the test shows nothing"
    torch.testing.assert_close(found, reference, rtol=0, atol=2e-5)


def test_more_passes_than_fit_are_taken_in_parts(monkeypatch):
    one, seeds = network(), masks.seeds(1, ["a", "b"])
    whole = mc.CompiledEngine(one).passes(flux(2), seeds, 11)
    monkeypatch.setattr(mc, "PASSES", 4)
    torch.testing.assert_close(mc.CompiledEngine(one).passes(flux(2), seeds, 11), whole, rtol=0, atol=1e-6)
    small = mc.TorchEngine(one)
    small.batch = 3
    torch.testing.assert_close(small.passes(flux(2), seeds, 11), whole, rtol=0, atol=2e-5)


def test_a_device_whose_memory_runs_out_takes_fewer_passes(monkeypatch):
    one, seeds = network(), masks.seeds(1, ["a", "b"])
    small = mc.TorchEngine(one)
    real, sizes = small._some, []

    def some(spectra, owner, key):
        if len(owner) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(owner))
        return real(spectra, owner, key)

    monkeypatch.setattr(small, "_some", some)
    assert small.passes(flux(2), seeds, 4).shape == (2, 4, 6, 2) and max(sizes) <= 3


def test_a_spectrum_gives_the_same_bits_in_any_batch_and_with_any_number_of_threads():
    one = network()
    names = [f"s{i}" for i in range(40)]
    spectra, seeds = flux(40), masks.seeds(1, names)
    whole = mc.CompiledEngine(one).passes(spectra, seeds, 9)
    order = np.random.default_rng(0).permutation(40)
    mixed = mc.CompiledEngine(one, threads=3).passes(spectra[order], seeds[order], 9)
    assert torch.equal(mixed, whole[order])
    assert torch.equal(mc.CompiledEngine(one).passes(spectra[7:8], seeds[7:8], 9), whole[7:8])
    assert not torch.equal(mc.CompiledEngine(one).passes(spectra[7:8], masks.seeds(2, names[7:8]), 9), whole[7:8])


def test_the_distribution_is_that_of_torchs_dropout(model):
    """Mean and standard deviation over 3000 passes with counted masks and with torch's own, of two spectra and all labels."""
    one, few = model.trained.network, flux(2, 9)
    mine = mc.CompiledEngine(one).passes(few, masks.seeds(1, ["a", "b"]), 3000)
    torch.manual_seed(0)
    with torch.inference_mode():
        theirs = one(few.repeat_interleave(3000, 0)).unflatten(0, (2, 3000))
    for part in (0, 1):
        a, b = mine[..., part].double(), theirs[..., part].double()
        error = torch.sqrt((a.var(1) + b.var(1)) / 3000)
        assert ((a.mean(1) - b.mean(1)).abs() / error).max() < 4.5  # 24 comparisons
        assert (a.std(1) / b.std(1) - 1).abs().max() < 0.08


def test_bf16_changes_little(model):
    one, few, seeds = model.trained.network, flux(20, 9), masks.seeds(1, [str(i) for i in range(20)])
    engines = (mc.CompiledEngine(one), mc.CompiledEngine(one, "bf16"), mc.TorchEngine(one, precision="bf16"))
    exact, *rounded = (statistics(engine.passes(few, seeds, 20), "variance_of_mean") for engine in engines)
    for found in rounded:
        off = np.abs(exact[""] - found[""]) / exact["_total"]
        assert 0 < off.max() < 0.1


# statistics


def test_statistics_by_hand():
    """Two passes, values 1 and 3, log-variances 0 and ln 4."""
    passes = torch.tensor([[[[1.0, 0.0]], [[3.0, float(np.log(4))]]]])
    found = statistics(passes, "mean_of_variances")
    assert [found[end].item() for end in ("", "_model", "_predictive", "_total")] == pytest.approx(
        [2, 1, np.sqrt(2.5), np.sqrt(3.5)]
    )
    assert statistics(passes, "variance_of_mean")["_predictive"].item() == pytest.approx(np.sqrt(2))
    assert statistics(passes, "variance_of_mean", 0.5)["_predictive"].item() == pytest.approx(np.sqrt(2.5))


def test_inverse_precision_is_the_authors(model):
    """30067 stars, l2 5e-9, dropout 0.3: what stands in the model parameters of the authors' run 0617."""
    assert inverse_precision(30067, 5e-9, 0.3) == pytest.approx(4.772539682539683e-05, rel=1e-12)
    with_it = LabelPredictor(model, {**SETTINGS, "inference": {**toy.INFERENCE, "inv_tau": True}}, 1)
    without = LabelPredictor(model, SETTINGS, 1)
    assert (with_it.added, without.added) == (inverse_precision(1200, 5e-9, 0.1), 0)


def test_columns_are_in_the_labels_units(model):
    predictor = LabelPredictor(model, SETTINGS, 1)
    few = toy.spectra(5, 9)[0]
    names = [str(i) for i in range(5)]
    columns = predictor.columns(names, few)
    assert list(columns) == predictor.schema().names[1:]
    assert list(columns)[:4] == ["teff", "teff_model", "teff_predictive", "teff_total"]
    passes = predictor.engine.passes(torch.from_numpy(few), masks.seeds(3, names), 20)
    one = model.trained.network
    expected = passes[:, :, 0, 0].mean(1) * one.label_std[0] + one.label_mean[0]
    np.testing.assert_allclose(columns["teff"], expected, rtol=1e-6)
    np.testing.assert_allclose(
        columns["teff_model"], passes[:, :, 0, 0].std(1, correction=0) * one.label_std[0], rtol=1e-4
    )
    np.testing.assert_allclose(
        columns["mg_h_total"], np.hypot(columns["mg_h_model"], columns["mg_h_predictive"]), rtol=1e-5
    )


def test_labels_are_recovered_and_uncertainties_cover(model):
    """Truth of new stars against the total uncertainty, which holds the noise of spectra and of weights."""
    spectra, true = toy.spectra(800, 99)
    predictor = LabelPredictor(model, {**SETTINGS, "inference": {**toy.INFERENCE, "passes": 50}}, 1)
    columns = predictor.columns([str(i) for i in range(800)], spectra)
    still = predictor.still(spectra)
    for number, label in enumerate(toy.LABELS):
        off = np.abs(columns[label] - true[:, number])
        assert np.sqrt(np.mean(off**2)) < 0.3 * toy.SPREAD[number], label
        inside = np.mean(off < columns[f"{label}_total"])
        assert 0.6 < inside <= 1, (label, inside)
        assert np.mean(off < 3 * columns[f"{label}_total"]) > 0.98, label
        assert np.sqrt(np.mean((still[label] - true[:, number]) ** 2)) < 0.3 * toy.SPREAD[number]
    # far from the training set the uncertainty grows
    noise = np.random.default_rng(0).normal(0, 0.3, (50, toy.PIXELS))
    strange = predictor.columns([str(i) for i in range(50)], 1 + noise)
    ratios = [
        np.median(strange[f"{label}_total"].data) / np.median(columns[f"{label}_total"].data) for label in toy.LABELS
    ]
    assert np.median(ratios) > 1.5 and min(ratios) > 1, ratios


def test_without_dropout_it_is_the_network(model):
    few = toy.spectra(70, 9)[0]
    still = LabelPredictor(model, SETTINGS, 1).still(few)
    one = model.trained.network
    with torch.inference_mode(), without_dropout(one):
        value = one(torch.from_numpy(few))[:, 3, 0] * one.label_std[3] + one.label_mean[3]
    np.testing.assert_allclose(still["al_h"], value, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"inference": None}, "have no inference"),
        ({"inference": {**toy.INFERENCE, "variance": "mean"}}, "variance: mean does not exist"),
        ({"engine": "keras"}, "engine: keras does not exist"),
    ],
)
def test_wrong_settings_are_named(model, change, match):
    with pytest.raises(ResurveyError, match=match):
        LabelPredictor(model, {**SETTINGS, **change}, 1)


def test_engine_that_rounds_too_much_gives_way(model, monkeypatch):
    class Coarse(mc.CompiledEngine):
        def passes(self, *args):
            return super().passes(*args) + (1.0 if self.precision == "bf16" else 0.0)

    monkeypatch.setitem(mc.ENGINES, "openvino", lambda one, threads: Coarse(one, "bf16", threads))
    predictor = LabelPredictor(model, {**SETTINGS, "engine": "openvino"}, 1)
    assert predictor.engine.precision == "f32" and predictor.difference["mean_over_total_max"] < 1e-3
    monkeypatch.setitem(mc.ENGINES, "openvino", lambda one, threads: type("Wrong", (Coarse,), {
        "passes": lambda self, *args: mc.CompiledEngine.passes(self, *args) + 1.0})(one, "f32", threads))  # fmt: skip
    with pytest.raises(ResurveyError, match=r"off by .* set engine: torch"):
        LabelPredictor(model, {**SETTINGS, "engine": "openvino"}, 1)


# commands


def infer(run: Path, shard: Path, out: Path, **changes) -> pa.Table:
    settings = json.dumps({**SETTINGS, "networks": {"bcnn": "toy"}, "classes": None, **changes})
    assert main(["infer", "--shard", str(shard), "--models", str(run / "models"), "--model", "toy", "--settings", settings,
                 "--out", str(out)]) == 0  # fmt: skip
    return files.read_table(out)


def test_a_shards_predictions(run, tmp_path):
    table = infer(run, run / "shards/0000.parquet", tmp_path / "p.parquet")
    assert table.column_names[:3] == ["spectrum_id", "teff", "teff_model"] and len(table) == 1000
    assert table.schema.field("mg_h_predictive").type == pa.float32()
    meta = files.read_meta(tmp_path / "p.parquet")
    assert (meta["model"], meta["origin"], meta["trained_on"]) == ("toy", "mock", "mock")
    assert (meta["engine"], meta["precision"], meta["passes"], meta["variance"]) == (
        "compiled",
        "f32",
        20,
        "variance_of_mean",
    )
    assert meta["weights"] == {"bcnn": files.read_json(run / "models/toy/bcnn/model.json")["weights_sha256"]}
    assert min(meta["seconds_per_star"].values()) > 0
    assert set(meta["seconds_per_star"]) == {"with_dropout", "without_dropout"}
    again = infer(run, run / "shards/0000.parquet", tmp_path / "q.parquet")
    assert again.equals(table)
    other = infer(run, run / "shards/0000.parquet", tmp_path / "q.parquet", seed=4)
    assert not other["teff"].equals(table["teff"])
    truth = files.read_table(run / "shards/truth.parquet")["teff"].to_numpy()[0::2]
    assert np.corrcoef(table["teff"].to_numpy(), truth)[0, 1] > 0.95


def test_models_that_are_none_are_refused(run, tmp_path):
    with pytest.raises(ResurveyError, match=r"do not make a model \(none\)"):
        load(run / "models", "toy", {})
    folder = tmp_path / "toy/other"
    folder.mkdir(parents=True)
    for name in ("model.json", "model.safetensors"):
        (folder / name).write_bytes((run / "models/toy/bcnn" / name).read_bytes())
    (tmp_path / "toy/bcnn").symlink_to(run / "models/toy/bcnn")
    with pytest.raises(ResurveyError, match="a label model has one network, this one bcnn, other"):
        load(tmp_path, "toy", {"bcnn": "toy", "other": "toy"})
    about = files.read_json(folder / "model.json")
    files.write_json({**about, "role": "classifier"}, folder / "model.json")
    with pytest.raises(ResurveyError, match="bcnn: labels, other: classifier"):
        load(tmp_path, "toy", {"bcnn": "toy", "other": "toy"})


# sensitivities


def test_gradients_are_differences(model):
    one, few = model.trained.network, flux(3, 9)
    slope, value = gradients(one, few)
    assert slope.shape == (6, 3, 160) and value.shape == (3, 6)
    step = torch.zeros(160)
    step[24] = 3e-4  # small enough to stay between the kinks of the network
    with torch.inference_mode(), without_dropout(one):
        up, down = (one(few + sign * step)[..., 0] * one.label_std for sign in (1, -1))
    found = ((up - down) / 6e-4).T
    torch.testing.assert_close(slope[:, :, 24], found, rtol=0.05, atol=0.05 * float(found.abs().max()))


def test_each_element_is_found_where_its_lines_are(run, model, tmp_path):
    out = tmp_path / "sensitivity.parquet"
    shards = [str(path) for path in sorted((run / "shards").glob("0*.parquet"))]
    command = ["sensitivity", "--shard", *shards, "--models", str(run / "models"), "--model", "toy", "--stars", "300"]
    assert main([*command, "--poor", "-0.4", "--rich", "0.2", "--out", str(out)]) == 0
    table = files.read_table(out).to_pandas()
    assert list(table) == ["group", "label", "pixel", "mean", "mean_abs", "stars"]
    assert set(table["group"]) == {"all", "metal_poor", "metal_rich"}
    assert table.groupby("group")["stars"].first()["all"] == 300
    every = table[table["group"] == "all"]
    assert len(every) == 6 * 160 and (every["mean_abs"] >= every["mean"].abs() - 1e-6).all()
    for label, runs in {**toy.WINDOWS, **toy.BROAD}.items():
        own = every[every["label"] == label].set_index("pixel")["mean_abs"]
        inside = np.concatenate([np.arange(a, b) for a, b in runs])
        assert own.loc[inside].mean() > 3 * own.drop(inside).mean(), label
    slopes = every[(every["label"] == "mg_h")].set_index("pixel")["mean"]
    assert slopes.loc[20:31].mean() < 0  # deeper lines, more of the element
    assert files.read_meta(out)["weights"] == model.weights()


def test_the_sample_does_not_depend_on_the_shards(tmp_path):
    two, five = (toy.write_shards(tmp_path / str(count), 100, shards=count) for count in (2, 5))
    found = [{row.tobytes() for row in sample(paths, 20, 1)} for paths in (two, five)]
    assert found[0] == found[1] and len(found[0]) == 20
    assert len(sample(two, 1000, 1)) == 100
