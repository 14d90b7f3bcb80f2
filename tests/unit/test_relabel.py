"""Classes of a model's own: groups, parts of classes, labels exchanged on purpose; what training, tables and scores make of them."""

import json
import threading

import numpy as np
import pandas as pd
import pytest
import toy_spectra as toy
from resurvey import files, settings
from resurvey.errors import ResurveyError
from resurvey.metrics.chain import tidy_from_catalogue
from resurvey.metrics.paper import load_paper
from resurvey.training import classes
from resurvey.training.job import fit
from resurvey.training.relabel import groups_of, relabelled

THREE = {name: [name] for name in "ABC"}


def spectra(per_class: int = 200, labels: str = "ABC") -> pd.DataFrame:
    """Spectra of some classes: 70 % train, 15 % valid, 15 % test."""
    number = np.arange(per_class * len(labels))
    part = (number % per_class) / per_class
    split = np.where(part < 0.7, "train", np.where(part < 0.85, "valid", "test"))
    label = np.repeat(list(labels), per_class)
    return pd.DataFrame(
        {"spectrum_id": [f"s{i:05d}" for i in number], "object_id": number + 7, "label": label, "split": split}
    )


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_exactly_the_fraction_of_training_labels_is_exchanged(share):
    table = spectra()
    found = relabelled(table, THREE, share, None, seed=1)
    changed = found != table["label"].to_numpy()
    train = (table["split"] == "train").to_numpy()
    assert not changed[~train].any()
    for label in "ABC":
        own = train & (table["label"] == label).to_numpy()
        assert changed[own].sum() == round(share * 140)
        assert set(found[own & changed]) == set("ABC") - {label}, "both others get some"


def test_more_contamination_holds_less_and_rows_in_any_order_give_the_same():
    table = spectra()
    five, ten = (relabelled(table, THREE, share, None, seed=1) for share in (0.05, 0.1))
    label = table["label"].to_numpy()
    assert ((five == label) | (five == ten)).all()
    assert (relabelled(table, THREE, 0.0, None, seed=1) == label).all()
    mixed = table.sample(frac=1, random_state=3)
    again = pd.Series(relabelled(mixed, THREE, 0.1, None, seed=1), mixed.index).loc[table.index]
    assert (again.to_numpy() == ten).all()
    assert (relabelled(table, THREE, 0.1, None, seed=2) != ten).any()


def test_groups_take_equally_many_of_all_splits_and_leave_the_others_out():
    table = spectra(400, "ABCD")
    groups = {"one": ["A", "B"], "other": ["C"]}
    found = pd.Series(relabelled(table, groups, 0.0, 300, seed=1))
    assert found.value_counts().to_dict() == {"one": 300, "other": 300}
    assert found[table["label"] == "D"].isna().all()
    kept = table[found == "one"]
    assert set(kept["label"]) == {"A", "B"}
    assert 0.6 < (kept["split"] == "train").mean() < 0.8
    with pytest.raises(ResurveyError, match="500 of other are asked for, the shards hold 400"):
        relabelled(table, groups, 0.0, 500, seed=1)


def test_without_classes_each_stands_for_itself():
    assert groups_of({"contamination": 0.1}, ["A", "B"]) == {"A": ["A"], "B": ["B"]}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Shards of stars, galaxies and quasars."""
    return toy.write_shards(tmp_path_factory.mktemp("shards"), per_class=100)


def own(network: str, **more) -> dict:
    """The settings of a training whose model's entry has `more`."""
    wanted = toy.settings(epochs=2)
    return {**wanted, "entry": {**wanted["entry"], **more}}


def test_a_classifier_learns_groups(shards, tmp_path):
    groups = {"STAR": ["STAR_A0"], "AFAR": ["GALAXY_nan", "QSO_nan"]}
    wanted = own("ResNet_P", classes=groups, per_class=60)
    sample = classes.read(shards, wanted, "ResNet_P", quiet=True)
    assert np.bincount(sample.train.number).tolist() == pytest.approx([36, 36], abs=10)
    assert len(sample.train.number) + len(sample.valid.number) <= 120
    fit(sample, wanted, "ResNet_P", tmp_path, threading.Event(), quiet=True)
    about = json.loads((tmp_path / "model.json").read_text())
    assert about["classes"] == ["STAR", "AFAR"] and about["groups"] == groups and about["contamination"] == 0
    assert about["architecture"]["outputs"] == 2


def test_a_redshift_network_learns_from_the_contaminants_too(shards):
    groups = {name: [name] for name in ("GALAXY_nan", "QSO_nan")}
    clean, mixed = (
        classes.read(shards, own("ResNet_7", classes=groups, contamination=share), "ResNet_7", quiet=True)
        for share in (0.0, 0.2)
    )
    assert clean.train.z.max() < 0.6 < mixed.train.z.max(), "quasars among the galaxies"
    assert (clean.valid.z == mixed.valid.z).all()
    assert len(mixed.train.z) == len(clean.train.z) == 60


def test_a_model_without_these_settings_reads_what_it_did(shards):
    sample = classes.read(shards, toy.settings(epochs=2), "ResNet_P", quiet=True)
    assert "groups" not in sample.about
    assert np.bincount(sample.train.number).tolist() == [60, 60, 60]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": {"A": ["GALAXY_AGM"], "B": ["QSO_nan"]}}, "did you mean GALAXY_AGN"),
        ({"classes": {"A": ["QSO_nan"], "B": ["QSO_nan"]}}, "QSO_nan is in another class too"),
        ({"contamination": 0.7}, "contamination"),
    ],
)
def test_mistakes_are_named(change, words):
    only = {"gasnet2": ["gasnet2_sdss_coarse"]}
    with pytest.raises(ResurveyError, match=words):
        settings.load(
            overrides={"preset": "demo_appendices", "only_models": only, "models": {"gasnet2_sdss_coarse": change}}
        )


def test_a_group_of_several_classes_has_no_redshift_network():
    networks = {"networks": {"ResNet_11": {"role": "redshift", "class": "QSO"}}}
    with pytest.raises(ResurveyError, match="ResNet_11 is for class 'QSO'"):
        settings.load(overrides={"preset": "demo_appendices", "models": {"gasnet2_sdss_coarse": networks}})


def test_tables_speak_of_the_model_s_classes():
    frame = pd.DataFrame({
        "spectrum_id": list("abcd"), "label": ["STAR_A0", "QSO_nan", "QSO_BROADLINE", "GALAXY_AGN"], "z_label": [np.nan, 1, 2, 0.1],
        "split": "test", "class": ["STAR", "QSO", "STAR", "QSO"], "class_prob": 0.9, "z": np.nan, "sn_median": 5.0, "vdisp": 0.0,
        "prob_STAR": 0.5, "prob_QSO": 0.5, "plate": 1, "mjd": 1, "fiberid": 1,
    })  # fmt: skip
    groups = {"STAR": ["STAR_A0"], "QSO": ["QSO_nan", "QSO_BROADLINE"]}
    tidy = tidy_from_catalogue(frame, {"groups": groups}, "catalogue")
    assert tidy.table["label"].tolist() == ["STAR", "QSO", "QSO"]
    assert tidy.left_out == [{"file": "catalogue", "n": 1, "reason": "of a class that the model leaves out"}]


def test_printed_numbers_stand_beside_the_model_that_they_are_of():
    paper = load_paper("gasnet2")
    ordinary = paper.printed("gasnet2_sdss", {})
    assert ordinary["average_accuracy", "all"]["printed"] == "0.924"
    assert {key[0] for key in paper.printed("gasnet2_sdss_coarse", {"groups": {"a": []}})} == {
        "average_accuracy",
        "accuracy",
    }
    assert paper.printed("gasnet2_sdss_coarse", {"groups": {"a": []}})["average_accuracy", "all"]["printed"] == "0.99"
    assert paper.printed("gasnet2_sdss_contaminated_05", {"groups": {"a": []}}) == {}
    assert paper.grouped({"STAR": ["STAR_A0"], "QSO": ["QSO_nan"]}).labels == ["STAR", "QSO"]


def test_shards_give_the_spectra_asked_for(shards):
    from resurvey.shards.reading import load

    ids = files.read_table(shards[1], ["spectrum_id"])["spectrum_id"].to_pylist()[3:6]
    flux, table = load(shards, ids=ids)
    assert table["spectrum_id"].to_pylist() == ids and len(flux) == 3
