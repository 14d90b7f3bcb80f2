"""GaSNet-II's appendices: numbers behind the figures by hand, and the paper's own file where it lies at hand."""

import numpy as np
import pandas as pd
import pytest
import scoring_samples as samples
from resurvey import settings
from resurvey.errors import ResurveyError
from resurvey.figures import (
    confusion_panels,
    fig10_networks,
    figA1_contamination,
    figA3_contaminated_redshifts,
    figB1_coarse,
)
from resurvey.figures import figC1_accuracy_snr as c1
from resurvey.figures import figE1_velocity_dispersion as e1
from resurvey.figures.inputs import Inputs
from resurvey.figures.make import make, read_inputs
from resurvey.figures.resnet_layers import layers
from resurvey.metrics.layouts import COLUMNS
from resurvey.metrics.networks import Network
from resurvey.metrics.paper import load_paper
from resurvey.metrics.tables import Tidy

PAPER = load_paper("gasnet2")


def tidy(model: str = "m", meta: dict | None = None, **columns) -> Tidy:
    """A tidy table with some columns."""
    table = pd.DataFrame(columns).reindex(columns=COLUMNS)
    return Tidy(table, {"model": model, "origin": "mock", "release": "toy", **(meta or {})})


def test_accuracy_in_bins_of_sn():
    labels = ["STAR_A0"] * 10 + ["GALAXY_AGN"] * 10 + ["QSO_nan"] * 2 + ["STAR_A0"]
    given = ["STAR_A0"] * 10 + ["GALAXY_AGN"] * 5 + ["QSO_nan"] * 5 + ["STAR_A0"] * 2 + ["STAR_A0"]
    table = tidy(label=labels, class_pred=given, sn_median=[1.0] * 22 + [60.0])
    found = c1.data(Inputs(PAPER, tidy=table))
    assert len(found) == 1, "S/N of 60 is beyond the last bin"
    row = found.iloc[0]
    assert (row["sn_low"], row["n"], row["classes"]) == (0, 22, 2), "two quasars are too few"
    assert row["average"] == pytest.approx(0.75) and row["all"] == pytest.approx(15 / 22)
    assert len(c1.EDGES) == 15 and c1.EDGES[-1] == 50


def test_velocity_dispersions_of_failed_fits_are_left_out():
    table = tidy(label=["GALAXY_AGN"] * 5 + ["QSO_nan"], vdisp=[0, 0.1, 449.9, 450, 850, 100], z_std=0.1,
                 class_pred=["GALAXY_AGN", "GALAXY_AGN", "GALAXY_nan", "GALAXY_AGN", "GALAXY_AGN", "QSO_nan"])  # fmt: skip
    found = e1.data(Inputs(PAPER, tidy=table))
    assert found["vdisp"].tolist() == [0.1, 449.9] and found["right"].tolist() == [1, 0]
    with pytest.raises(ResurveyError, match="no galaxy has a velocity dispersion"):
        e1.data(Inputs(PAPER, tidy=tidy(label=["GALAXY_AGN"], vdisp=[0.0], z_std=[0.1])))


def test_every_class_is_named_in_one_of_the_panels():
    label = np.repeat(["GALAXY_AGN", "GALAXY_nan"], 20)
    table = tidy(
        label=label, vdisp=np.full(40, 120.0), z_std=np.where(label == "GALAXY_AGN", 0.01, np.nan), class_pred=label
    )
    fig = e1.draw(e1.data(Inputs(PAPER, tidy=table)), {"origin": "mock", "paper": PAPER})
    named = [[text.get_text().split(" ")[0] for text in axis.get_legend().get_texts()] for axis in fig.axes]
    assert named == [["GALAXY_AGN"], ["GALAXY_nan"]]


def test_bins_with_few_spectra_have_no_value():
    rows = pd.DataFrame({"vdisp": [10] * 5 + [60] * 4, "z_std": [1, 2, 3, 4, 50, 1, 1, 1, 1]})
    found = e1.binned(rows, "z_std", "median")
    assert found[["vdisp", "value", "n"]].to_numpy().tolist() == [[25, 3, 5]]


def test_the_paper_s_velocity_dispersions(shared, tmp_path):
    path = shared / "published/gasnet2/velocity_dispersion_test_results_4classes.fits"
    make("figE1_velocity_dispersion", [str(path)], [str(tmp_path / name) for name in ("e1.png", "e1.csv")])
    numbers = pd.read_csv(tmp_path / "e1.csv", keep_default_na=False, na_values=[""])
    assert numbers["label"].value_counts().to_dict() == {
        "GALAXY_AGN": 2934,
        "GALAXY_STARFORMING": 2774,
        "GALAXY_nan": 2737,
    }
    assert numbers["right"].isna().all(), "the file has no predicted classes"
    inputs = read_inputs("figE1_velocity_dispersion", [str(path)], PAPER)
    fig = e1.draw(e1.data(inputs), {**inputs.meta, "paper": PAPER})
    assert [axis.get_ylabel() for axis in fig.axes] == [r"$\sigma_z$"]
    medians = numbers.groupby("label")["z_std"].median()
    assert medians["GALAXY_nan"] > medians["GALAXY_AGN"] > medians["GALAXY_STARFORMING"]


@pytest.mark.parametrize(
    ("pixels", "padding", "channels"), [(5001, "valid", ["flux"]), (626, "same", ["flux", "contrast"])]
)
def test_layers_are_those_of_the_network(pixels, padding, channels):
    from resurvey.networks.build import build
    from resurvey.networks.resnet import count_parameters, lengths

    entry = settings.read_yaml(settings.WORKFLOW / "papers/gasnet2.yaml")["defaults"]["architecture"]
    spec = {
        **entry,
        "padding": padding,
        "pixels": pixels,
        "channels": channels,
        "outputs": 13,
        "members": 1,
        "head": {"kind": "softmax"},
    }
    table = layers(spec)
    assert table["parameters"].sum() == count_parameters(build(spec))
    assert table.loc[table["part"] == "block", "pixels"].tolist() == lengths(spec)
    if pixels == 5001:
        assert table["parameters"].sum() == 4_163_325, "docs/gasnet2.md, as Keras counts"
    with pytest.raises(ResurveyError, match="apogee_bcnn"):
        layers({"kind": "apogee_bcnn"})


def test_members_trained_apart_are_one_network():
    spec = {**samples.networks()[0]["architecture"], "members": 1}
    networks = [
        Network(f"R/member_{i}", "redshift", "QSO_nan", {"architecture": spec, "head": "huber"}, pd.DataFrame())
        for i in range(3)
    ]
    networks.append(Network("P", "classifier", None, {"architecture": spec}, pd.DataFrame()))
    networks.append(Network("R_point", "point", "QSO_nan", {"architecture": spec}, pd.DataFrame()))
    found = fig10_networks.data(Inputs(PAPER, networks=networks)).groupby("network", sort=False)["members"].first()
    assert found.to_dict() == {"P": 1, "R": 3}


def contaminated() -> list[Tidy]:
    """Three models, the worst first."""
    rng = np.random.default_rng(1)
    tables = []
    for share in (0.1, 0.05, 0.0):
        label = np.repeat(["GALAXY_AGN", "GALAXY_STARBURST"], 50)
        given = np.where(rng.random(100) < 2 * share, label[::-1], label)
        z = rng.uniform(0, 0.5, 100)
        meta = {"labels": ["GALAXY_AGN", "GALAXY_STARBURST"], "contamination": share}
        tables.append(
            tidy(f"m{share}", meta, label=label, class_pred=given, z_true=z, z_pred=z + share * 0.01, z_std=0.001)
        )
    return tables


def test_contaminated_models_stand_in_order():
    inputs = Inputs(PAPER, tables=contaminated(), meta={"origin": "mock"})
    found = figA1_contamination.data(inputs)
    assert found["contamination"].drop_duplicates().tolist() == [0, 0.05, 0.1]
    assert found[found["contamination"] == 0].query("predicted == true")["fraction"].tolist() == [1, 1]
    fig = figA1_contamination.draw(found, {"origin": "mock", "paper": PAPER})
    assert [axis.get_title().splitlines()[0] for axis in fig.axes] == [
        f"{x}% contamination, N = 100" for x in (0, 5, 10)
    ]
    rows = figA3_contaminated_redshifts.data(inputs)
    assert rows["contamination"].drop_duplicates().tolist() == [0, 0.05, 0.1] and len(rows) == 300
    fig = figA3_contaminated_redshifts.draw(rows, {"origin": "mock", "paper": PAPER})
    assert len(fig.axes) == 12, "three rows, two classes, two axes each"


def test_each_survey_has_its_own_panel():
    tables = [tidy(name, {"labels": ["STAR", "QSO"], "release": name}, label=["STAR", "QSO"], class_pred=["STAR", "STAR"]) for name in "ab"]  # fmt: skip
    found = figB1_coarse.data(Inputs(PAPER, tables=tables))
    fig = figB1_coarse.draw(found, {"origin": "mock", "paper": PAPER})
    assert [axis.get_title().splitlines() for axis in fig.axes] == [
        [f"{name}, N = 2", "average accuracy 50.0%"] for name in "ab"
    ]
    with pytest.raises(ResurveyError, match="c: no spectrum has a predicted class"):
        confusion_panels.matrices([tidy("c", label=["STAR"], class_pred=[None])])
