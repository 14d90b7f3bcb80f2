"""Fig. 20: which spectra stand beside each other, and what is measured of their likeness, on spectra whose answer is known."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scoring_samples as samples
from resurvey import cli, files
from resurvey.errors import ResurveyError
from resurvey.figures import fig20_alike as alike
from resurvey.figures import pairs
from resurvey.figures.inputs import Inputs
from resurvey.figures.make import make
from resurvey.metrics.layouts import COLUMNS
from resurvey.metrics.paper import load_paper
from resurvey.metrics.tables import Tidy

PAPER = load_paper("gasnet2", "fourmost")
GRID = {"start": 4000.0, "step": 4.0, "pixels": 1251}
WAVE = GRID["start"] + GRID["step"] * np.arange(GRID["pixels"])
CLASSES = ("GALAXY_ClusB", "GALAXY_RedGAL")


def galaxy(z: float, width: float, noise: float, rng) -> np.ndarray:
    """A rising continuum that moves with redshift, and [O II] of an equivalent width [Å, rest frame]."""
    rest = WAVE / (1 + z)
    line = width * np.exp(-0.5 * ((rest - alike.OII) / 4) ** 2) / (4 * np.sqrt(2 * np.pi))
    return 3.0 * (1 + (rest - 3000) / 3000) * (1 + line) + rng.normal(0, noise, len(WAVE))


def panel(widths: tuple[float, float], noise: float = 0.5, count: int = 25, tilt: float = 0.0) -> Inputs:
    """Spectra of both classes around z = 0.5; tilt: of the second class's continuum."""
    rng, rows = np.random.default_rng(3), []
    for number, (label, width) in enumerate(zip(CLASSES, widths, strict=True)):
        for i, z in enumerate(rng.uniform(0.49, 0.51, count)):
            flux = galaxy(z, width, noise, rng) * (1 + number * tilt * (WAVE - 6000) / 3000) * rng.uniform(0.5, 2)
            scale = np.median(flux) / np.median(galaxy(z, width, 0, rng))
            rows.append({"at": 0.5, "label": label, "spectrum_id": f"{number}-{i}", "z": z, "flux": flux, "ivar": np.full(len(WAVE), (scale * noise) ** -2)})  # fmt: skip
    return Inputs(PAPER, pairs=pd.DataFrame(rows), meta={"grid": GRID, "origin": "mock"})


def chi2(data: pd.DataFrame) -> list[float]:
    return data[data["what"] == "chi2"]["value"].tolist()


def test_equal_classes_are_as_alike_as_each_is_with_itself():
    assert chi2(alike.data(panel((0, 0)))) == pytest.approx([1, 1, 1], abs=0.03)


def test_classes_of_another_slope_are_told_apart():
    one, other, both = chi2(alike.data(panel((0, 0), noise=0.3, tilt=0.3)))
    assert both > 1.3 and one == pytest.approx(1, abs=0.03) and other < 1.2


def test_a_line_is_measured_in_the_mean():
    data = alike.data(panel((10.0, 0.0)))
    widths = data[data["what"] == "oii"].set_index("label")["value"]
    assert widths["GALAXY_ClusB"] == pytest.approx(10, rel=0.1) and abs(widths["GALAXY_RedGAL"]) < 1
    mean = data[(data["what"] == "mean") & (data["label"] == "GALAXY_ClusB")]
    assert (mean["n"] == 25).all() and mean["value"].median() == pytest.approx(1, abs=0.2)
    assert mean.loc[(mean["x"] - 6000).abs() < 50, "value"].median() == pytest.approx(1, abs=0.03)


def test_a_line_outside_the_spectrum_has_no_width():
    assert np.isnan(alike.equivalent_width(WAVE, np.ones(len(WAVE))))
    assert alike.equivalent_width(WAVE / 1.5, np.ones(len(WAVE))) == 0


def test_a_spectrum_without_light_gives_way_to_the_next():
    inputs = panel((0, 0), count=2)
    inputs.pairs["z"] = [0.5, 0.6, 0.5, 0.6]  # the others are further off than what counts as near
    inputs.pairs["flux"] = [-flux if name == "1-0" else flux for name, flux in zip(inputs.pairs["spectrum_id"], inputs.pairs["flux"], strict=True)]  # fmt: skip
    data = alike.data(inputs)
    single = data[data["what"] == "single"].groupby("label")["spectrum_id"].first()
    assert single.to_dict() == {CLASSES[0]: "0-0", CLASSES[1]: "1-1"}
    inputs.pairs["flux"] = [-np.abs(flux) for flux in inputs.pairs["flux"]]
    with pytest.raises(ResurveyError, match=r"none of the 2 spectra of GALAXY_ClusB near z = 0\.5 has light"):
        alike.data(inputs)


def test_who_is_called_the_other_by_redshift():
    label = np.repeat(CLASSES, 10)
    called = np.where(np.arange(20) % 10 < 3, CLASSES[::-1][0], label)  # three of ten ClusB are called RedGAL
    table = pd.DataFrame({"label": label, "class_pred": called, "z_true": np.where(np.arange(20) == 19, 0.85, 0.35)}).reindex(columns=COLUMNS)  # fmt: skip
    inputs = panel((0, 0), count=3)
    inputs.tidy = Tidy(table, {"model": "m", "origin": "mock"})
    data = alike.data(inputs)
    rows = data[data["what"] == "called"].set_index("label")
    assert rows.loc["GALAXY_ClusB as GALAXY_RedGAL", ["x", "value", "n"]].tolist() == pytest.approx([0.35, 0.3, 10])
    assert rows.loc["GALAXY_RedGAL as GALAXY_ClusB", ["x", "value", "n"]].tolist() == pytest.approx([0.35, 0.0, 9]), (
        "one at z = 0.85 is too few"
    )
    assert len(alike.draw(data, {"origin": "mock", "paper": PAPER}).axes) == 2


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    paths = samples.run_folder(tmp_path_factory.mktemp("shards"), shards=2, per_class=40)
    return paths["shards"]


def test_the_nearest_in_redshift_are_picked(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "NEAREST", 7)
    assert pairs.pick(shards, 2, ("GALAXY_AGN", "GALAXY_nan"), (0.1, 0.3), tmp_path / "p.parquet") == 4 * 7
    picked = files.read_table(tmp_path / "p.parquet").to_pandas()
    everything = pa.concat_tables([files.read_table(shards / f"000{i}.parquet") for i in (0, 1)]).to_pandas()
    for (label, at), rows in picked.groupby(["label", "at"]):
        own = everything[everything["label"] == label]
        away = np.abs(np.log1p(own["z"]) - np.log1p(at))
        assert set(rows["spectrum_id"]) == set(own.loc[away.nsmallest(7).index, "spectrum_id"])
        first = rows.iloc[0]
        assert np.array_equal(first["flux"], everything.set_index("spectrum_id").loc[first["spectrum_id"], "flux"])
    assert files.read_meta(tmp_path / "p.parquet")["grid"]["pixels"] == len(picked["flux"].iloc[0])


def test_a_class_that_is_not_there_is_named(shards, tmp_path, capsys):
    words = ["pairs", "--shards", str(shards), "--count", "2", "--classes", "GALAXY_nan", "GALAXY_RedGAL", "--redshifts", "0.3"]  # fmt: skip
    assert cli.main([*words, "--out", str(tmp_path / "p.parquet")]) == 2
    assert "no spectrum of GALAXY_RedGAL has a redshift" in capsys.readouterr().err
    assert not (tmp_path / "p.parquet").exists()


def test_predictions_add_a_panel_and_are_not_needed(shards, tmp_path):
    pairs.pick(shards, 2, ("GALAXY_AGN", "GALAXY_nan"), (0.3,), tmp_path / "p.parquet")
    make("fig20_alike", [str(tmp_path / "p.parquet")], [str(tmp_path / "f.csv")], "gasnet2")
    assert set(pd.read_csv(tmp_path / "f.csv")["what"]) == {"single", "mean", "oii", "chi2"}
