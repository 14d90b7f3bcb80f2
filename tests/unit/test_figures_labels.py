"""Figures of label networks: their numbers against values worked out by hand, their looks, and what is said when something lacks."""

import subprocess
import sys

import label_samples as samples
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from resurvey import cli, files
from resurvey.errors import ResurveyError
from resurvey.figures import network_layers, sensitivity
from resurvey.figures.inputs import Inputs
from resurvey.figures.make import make, read_inputs
from resurvey.figures.registry import FIGURES, find, paper_of, rooms
from resurvey.metrics.label_tables import LabelTable, tidied
from resurvey.metrics.paper import load_paper
from resurvey.provenance import code_digest
from resurvey.surveys.apogee_grid import DR13

PAPER = load_paper("astronn")
DRAWINGS = list(dict.fromkeys(entry.get("figure", name) for name, entry in PAPER.figures.items()))
OWN = [name for name in DRAWINGS if "_table" not in name]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A file of every kind."""
    return samples.write(tmp_path_factory.mktemp("labels"), 900)


def paths_of(name, sources):
    """What a figure is drawn from; of several models' tables both."""
    found = []
    for kind in FIGURES[name].kinds:
        found += [sources["label_table"], sources["uncensored"]] if kind == "label_tables" else [sources[kind]]
    return [str(path) for path in found]


def table_of(rows, **columns):
    """A label table as the reader gives it, from rows of our own columns."""
    frame = pd.DataFrame(rows).assign(**columns)
    table, labels = tidied(frame, None, "made-up")
    return LabelTable(table, labels, {"origin": "mock", "model": "m"})


def inputs_of(*tables, **more):
    return Inputs(PAPER, label_tables=list(tables), meta={"origin": "mock"}, **more)


def words_of(fig):
    FigureCanvasAgg(fig).draw()
    return [text.get_text() for text in fig.findobj(Text) if text.get_visible() and text.get_text().strip()]


@pytest.mark.parametrize("name", OWN)
def test_every_figure_and_its_numbers(name, sources, tmp_path):
    make(name, paths_of(name, sources), [str(tmp_path / f"f.{kind}") for kind in ("png", "pdf", "csv")])
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"
    numbers = pd.read_csv(tmp_path / "f.csv")
    assert len(numbers) > 5 and not (numbers.select_dtypes("number") < -9000).any().any()
    assert paper_of(name) == "astronn" and code_digest(*rooms(name))


@pytest.mark.parametrize("name", OWN)
def test_words_stay_on_the_paper_and_name_the_mock_survey(name, sources):
    inputs = read_inputs(name, paths_of(name, sources), PAPER)
    module = find(name)
    fig = module.draw(module.data(inputs), {**inputs.meta, "paper": PAPER})
    said = words_of(fig)
    footer = next(words for words in said if "MOCK SURVEY" in words)
    assert "head" not in footer
    texts = [*fig.texts, *(text for legend in fig.legends for text in legend.get_texts())]
    for axis in fig.axes:
        texts += [*axis.texts, axis.title, axis._left_title, axis._right_title, axis.xaxis.label, axis.yaxis.label]
        texts += axis.get_legend().get_texts() if axis.get_legend() else []
    for text in (text for text in texts if text.get_text().strip()):
        box = text.get_window_extent(fig.canvas.get_renderer())
        assert box.x0 >= -1 and box.x1 <= fig.bbox.x1 + 1, text.get_text()
        assert box.y0 >= -1 and box.y1 <= fig.bbox.y1 + 1, text.get_text()


def test_drawing_imports_no_torch(sources, tmp_path):
    lines = [f"make({name!r}, {paths_of(name, sources)!r}, [{str(tmp_path / name)!r} + '.csv'])" for name in OWN]
    code = "\n".join(
        ["import sys", "from resurvey.figures.make import make", *lines, "sys.exit('torch' in sys.modules)"]
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_figure_has_a_caption():
    from conftest import ROOT

    for name in DRAWINGS:
        assert name in FIGURES and (ROOT / "workflow" / "report" / f"{name}.rst").read_text().strip()
    assert set(DRAWINGS) == {name for name in FIGURES if name.startswith("astronn_")}


def test_snr_by_hand():
    targets = pd.DataFrame(
        {"split": ["train", "valid", "test", "test_visits", None], "sn_median": [250.0, 999.0, 150.0, 7.0, 300.0]}
    )
    visits = [{"split": "test_visits", "sn_median": sn, "visit": 1, "teff_pred": 1.0} for sn in (55.0, 57.0, np.nan)]
    counts = find("astronn_fig03_snr").data(inputs_of(table_of(visits), targets=targets))
    filled = counts[counts["n"] > 0].set_index(["label", "low"])["n"].to_dict()
    assert filled == {("training set", 250.0): 1, ("training set", 390.0): 1, ("test set, combined spectra", 150.0): 1,
                      ("test set, individual visits", 50.0): 2}  # fmt: skip


def test_stars_without_log_g_are_counted_and_have_no_place():
    targets = pd.DataFrame({"spectrum_id": list("cab"), "split": ["train", "valid", "test"], "teff": [4500.0, 4600.0, 4700.0],
                            "logg": [2.0, np.nan, 2.2], "fe_h": [0.1, 0.0, -0.1]})  # fmt: skip
    module = find("astronn_fig04_training")
    rows = module.data(inputs_of(targets=targets))
    assert rows["spectrum_id"].tolist() == ["a", "c"]
    said = "\n".join(words_of(module.draw(rows, {"origin": "mock", "paper": PAPER})))
    assert "N = 1\nno log g or [Fe/H]: 1" in said


def test_normalisations_are_compared_pixel_by_pixel():
    star = samples.star().to_pandas()
    inputs = inputs_of(star=star, star_meta={"grid": DR13.meta()})
    rows = find("astronn_fig05_continuum").data(inputs)
    assert rows["chip"].value_counts().to_dict() == {"blue": 3028, "green": 2495, "red": 1991}
    good = np.asarray(star["ivar"][0]) > 0
    assert rows["residual"].isna().tolist() == (~good).tolist()
    difference = np.asarray(star["flux"][0], float) - np.asarray(star["flux"][1], float)
    np.testing.assert_allclose(rows["residual"][good], difference[good])
    assert rows["wavelength"].iloc[[0, -1]].round(2).tolist() == [15152.21, 16943.53]


def test_without_the_pipelines_spectrum_the_figure_says_so():
    module = find("astronn_fig05_continuum")
    rows = module.data(inputs_of(star=samples.star().to_pandas().head(1), star_meta={"grid": DR13.meta()}))
    assert rows["residual"].isna().all()
    assert sum("not in this run" in words for words in words_of(module.draw(rows, {"origin": "mock"}))) == 3
    only_theirs = samples.star().to_pandas().tail(1)
    with pytest.raises(ResurveyError, match="no spectrum in our own normalisation"):
        module.data(inputs_of(star=only_theirs, star_meta={"grid": DR13.meta()}))


@pytest.mark.parametrize(("kind", "parameters"), [("apogee_bcnn_censored", 3499122), ("apogee_bcnn", 1961986)])
def test_layers_have_the_published_number_of_parameters(kind, parameters, tmp_path):
    spec = files.read_json(samples.network(tmp_path, kind) / "model.json")["architecture"]
    table = network_layers.layers(spec)
    assert table["parameters"].sum() == parameters
    assert table["inputs"].iloc[0] == 7514 and table.iloc[2]["outputs"] == 7512


def test_layers_of_one_element_by_hand(tmp_path):
    spec = files.read_json(samples.network(tmp_path) / "model.json")["architecture"]
    rows = network_layers.layers(spec)
    rows = rows[rows["part"] == "al_h"]
    assert rows["inputs"].tolist() == [51, 32, 21] and rows["outputs"].tolist() == [32, 16, 2]
    assert rows["parameters"].tolist() == [52 * 32, 33 * 16, 22 * 2]
    assert rows["dropout"].tolist() == [True, True, False]
    with pytest.raises(ResurveyError, match="resnet"):
        network_layers.layers({"kind": "resnet"})


def kiel_rows(logg_true=2.0):
    row = {"teff_pred": 4500.0, "logg_pred": 2.0, "fe_h_pred": 0.0, "logg_total": 0.05, "logg_true": logg_true}
    return [{**row, "split": "test", "spectrum_id": "a"}, {**row, "split": "valid", "spectrum_id": "b"},
            {**row, "split": "test", "spectrum_id": "c", "teff_pred": -9999.0}]  # fmt: skip


def test_kiel_shows_the_test_set_and_the_isochrones_above_its_cuts(tmp_path):
    lines = pd.DataFrame({"mh": [0.25] * 3, "teff": [6300.0, 5000.0, 4000.0], "logg": [4.0, 3.0, 0.4]})
    lines.to_csv(tmp_path / "isochrones.csv", index=False)
    files.write_json({"tables": {"isochrones": {"path": "isochrones.csv"}}}, tmp_path / "extras.json")
    rows = find("astronn_fig07_kiel").data(inputs_of(table_of(kiel_rows()), extras=tmp_path / "extras.json"))
    assert rows.groupby("kind").size().to_dict() == {"isochrone": 1, "star": 1}
    assert rows.loc[rows["kind"] == "isochrone", ["teff", "logg", "fe_h"]].iloc[0].tolist() == [5000.0, 3.0, 0.25]


def test_isochrones_of_a_mock_archive_are_not_called_parsecs(tmp_path):
    module, inputs = find("astronn_fig07_kiel"), inputs_of(table_of(kiel_rows()), extras=samples.extras(tmp_path))
    titles = {
        origin: module.draw(module.data(inputs), {"origin": origin}).axes[0].get_legend().get_title().get_text()
        for origin in ("real", "mock")
    }
    assert titles["real"].startswith("PARSEC") and "PARSEC" not in titles["mock"] and "mock" in titles["mock"]


def test_without_isochrones_the_figure_says_why(tmp_path):
    module = find("astronn_fig07_kiel")
    rows = module.data(inputs_of(table_of(kiel_rows()), extras=samples.extras(tmp_path, isochrones=False)))
    assert any("the mock survey has none" in words for words in words_of(module.draw(rows, {"origin": "mock"})))
    rows = module.data(inputs_of(table_of(kiel_rows())))
    assert "extras.json" in rows.loc[rows["kind"] == "note", "spectrum_id"].iloc[0]


def test_offsets_by_hand():
    row = {
        "visit": 0,
        "sn_median": 104.0,
        "teff_true": 4500.0,
        "starflag": 0,
        "aspcapflag": 0,
        "vscatter": 0.1,
        "cannon_teff": 4510.0,
    }
    rows = [{**row, "teff_pred": value} for value in (4480.0, 4490.0, 4530.0)]
    rows += [{**row, "teff_pred": 9000.0, **bad} for bad in ({"starflag": 4}, {"aspcapflag": 1}, {"vscatter": 2.0}, {"visit": 1},
                                                             {"teff_true": 5600.0}, {"teff_true": -9999.0})]  # fmt: skip
    curves = find("astronn_fig08_offsets").data(inputs_of(table_of(rows)))
    found = curves[(curves["low"] == 100) & (curves["label"] == "teff")].set_index("pair")
    assert found["n"].tolist() == [3, 3, 3]
    assert found.loc["network − ASPCAP", ["mae", "offset"]].tolist() == [20.0, -10.0]
    assert found.loc["network − Cannon", ["mae", "offset"]].tolist() == [20.0, -20.0]
    assert found.loc["ASPCAP − Cannon", ["mae", "offset"]].tolist() == [10.0, -10.0]
    assert curves["n"].sum() == 9


def test_residuals_by_hand_and_no_missing_value_enters():
    rows = [{"split": "test", "visit": 0, "mg_h_true": 0.02, "mg_h_pred": 0.02 + d, "mg_h_total": t, "mg_h_model": t / 2, "teff_pred": 4010.0}
            for d, t in ((0.01, 0.1), (-0.03, 0.2), (0.05, 0.4))]  # fmt: skip
    rows += [
        {**rows[0], "mg_h_true": -9999.0},
        {**rows[0], "mg_h_pred": np.nan},
        {**rows[0], "split": "valid", "mg_h_pred": 3.0},
    ]
    for name, low in (("astronn_fig09_residuals", 0.0), ("astronn_fig10_teff", 4000.0)):
        curves = find(name).data(inputs_of(table_of(rows)))
        curves = curves[curves["label"] == "mg_h"]
        filled = curves[curves["n"] > 0]
        assert filled["n"].tolist() == [3] and filled["low"].iloc[0] == pytest.approx(low, abs=1e-9)
        assert filled[["mae", "offset", "total", "model"]].iloc[0].tolist() == pytest.approx([0.03, 0.01, 0.2, 0.1])


def visit_rows():
    whole = {"apogee_id": "s", "location_id": 1, "split": "test", "visit": 0, "sn_median": 150.0, "al_h_pred": 0.1, "al_h_total": 0.02, "al_h_model": 0.01}  # fmt: skip
    visits = [{**whole, "split": "test_visits", "visit": v, "sn_median": sn, "al_h_pred": 0.1 + d}
              for v, (sn, d) in enumerate(((51.0, 0.02), (59.9, -0.04), (60.0, 0.3)), 1)]  # fmt: skip
    stranger = {**visits[0], "apogee_id": "other", "al_h_pred": 5.0}
    return [whole, *visits, stranger]


def test_visits_against_their_own_combined_spectrum_by_hand():
    module = find("astronn_fig11_visits")
    curves = module.data(inputs_of(table_of(visit_rows())))
    assert curves["mae_50"].unique().tolist() == pytest.approx([0.03]) and curves["n_50"].unique().tolist() == [2]
    assert curves.set_index("low")["n"][[50.0, 60.0]].tolist() == [2, 1] and curves["n"].sum() == 3
    said = words_of(module.draw(curves, {"origin": "mock", "paper": PAPER}))
    assert "[Al/H]  0.030" in said and "fewer than 3 spectra in each bin" in said


def cluster_rows(cluster="M67"):
    row = {"cluster": cluster, "visit": 0, "starflag": 0, "location_id": 1, "sn_median": 150.0, "fe_h_total": 0.03}
    rows = [{**row, "apogee_id": str(k), "fe_h_pred": v, "fe_h_true": t} for k, (v, t) in enumerate(((0.0, 0.1), (0.1, -9999.0), (0.3, 0.2)))]  # fmt: skip
    return [*rows, {**row, "apogee_id": "9", "fe_h_pred": 5.0, "fe_h_true": 5.0, "starflag": 8}]


def test_cluster_spreads_by_hand():
    module = find("astronn_fig12_open_clusters")
    rows = module.data(inputs_of(table_of(cluster_rows())))
    found = rows[rows["cluster"] == "M67"].set_index("source")
    assert found["stars"].tolist() == [3, 3] and found["n"].to_dict() == {"network": 3, "survey": 2}
    assert found.loc["network", "spread"] == pytest.approx(1.482602218505602 * 0.1)
    assert found.loc["survey", "mean"] == pytest.approx(0.15) and found.loc["network", "total"] == pytest.approx(0.03)
    assert rows.loc[rows["cluster"] == "NGC 6819", "stars"].tolist() == [0]
    said = words_of(module.draw(rows, {"origin": "mock", "paper": PAPER}))
    assert "no member of NGC 6819 is in this table" in said and "M67, 3 stars" in said


def test_sensitivities_by_pixel(tmp_path):
    table = pd.DataFrame({"group": ["all", "metal_poor", "metal_poor"], "label": ["mg_h", "mg_h", "logg"], "pixel": [3028, 3028, 0],
                          "mean": [1.0, -2.0, 9.0], "mean_abs": [1.0, 2.0, 9.0], "stars": [9, 4, 4]})  # fmt: skip
    pd.DataFrame({"element": ["Mg"], "pixel": [3028]}).to_csv(tmp_path / "windows.csv", index=False)
    files.write_json({"tables": {"windows": {"path": "windows.csv"}}}, tmp_path / "extras.json")
    inputs = inputs_of(sensitivity=table, sensitivity_meta={"grid": DR13.meta()}, extras=tmp_path / "extras.json")
    rows = sensitivity.data(inputs, "mg_h")
    assert rows[["group", "stars", "chip", "mean", "window"]].to_numpy().tolist() == [
        ["metal_poor", 4, "green", -2.0, True]
    ]
    assert rows["wavelength"].iloc[0] == pytest.approx(10 ** (4.179 + 6e-6 * 3585))
    with pytest.raises(ResurveyError, match="none of al_h"):
        sensitivity.data(inputs, "al_h")


def test_hydrogen_lines_lie_where_they_are_observed():
    lines = sensitivity.brackett()
    assert lines["Br 11"] == pytest.approx(16811.1, abs=0.2) and lines["Br 13"] == pytest.approx(16113.7, abs=0.2)


def m13_rows(al):
    return [{**row, "mg_h_pred": -1.3, "mg_h_total": 0.02, "mg_h_true": -1.2, "al_h_pred": al, "al_h_total": 0.1, "al_h_true": t}
            for row, t in zip(cluster_rows("M13"), (-1.0, -9999.0, -0.5, -0.6), strict=True)]  # fmt: skip


def test_al_and_mg_of_two_networks():
    targets = pd.DataFrame(
        {"split": ["train", "test"], "apogee_id": ["t", "u"], "mg_h": [0.0, 1.0], "al_h": [0.1, 1.0]}
    )
    second = table_of(m13_rows(-1.1))
    second.meta["model"] = "other"
    module = find("astronn_fig16_al_mg")
    rows = module.data(inputs_of(table_of(m13_rows(-0.9)), second, targets=targets))
    assert rows.groupby(["kind", "name"]).size().to_dict() == {("model", "m"): 3, ("model", "other"): 3, ("survey", "ASPCAP"): 2, ("training", "training set"): 1}  # fmt: skip
    assert rows.loc[rows["kind"] == "model", "al_h_err"].tolist() == [0.1] * 6
    alone = module.data(inputs_of(table_of(cluster_rows("M67"), mg_h_pred=0.0, mg_h_total=0.1, al_h_pred=0.0, al_h_total=0.1), targets=targets))  # fmt: skip
    assert "no member of M13 is in these tables" in words_of(module.draw(alone, {"origin": "mock", "paper": PAPER}))


def test_planes_hold_only_stars_whose_log_g_is_certain():
    row = {
        "visit": 0,
        "logg_pred": 2.0,
        "logg_total": 0.1,
        "fe_h_pred": -0.5,
        "fe_h_true": -0.4,
        "mg_h_pred": -0.3,
        "mg_h_true": -0.3,
    }
    rows = [row, row, {**row, "logg_total": 0.2}, {**row, "visit": 2}, {**row, "mg_h_true": -9999.0}]
    counts = find("astronn_fig17_alpha").data(inputs_of(table_of(rows)))
    assert counts[["source", "n", "stars"]].to_numpy().tolist() == [["network", 3, 3], ["ASPCAP", 2, 2]]
    assert counts["x_fe"].tolist() == pytest.approx([0.2, 0.1], abs=0.0126)
    assert counts["fe_h"].tolist() == pytest.approx([-0.5, -0.4], abs=0.021)
    module = find("astronn_fig17_alpha")
    counts = module.data(inputs_of(table_of([{**r, "logg_total": 0.3} for r in rows])))
    assert counts["n"].sum() == 0
    assert "no log g is certain\nto 0.2 dex" in words_of(module.draw(counts, {"origin": "mock"}))


def written(tmp_path, sources, drop=(), keep=None):
    """The label table without some columns; keep: the labels that are left."""
    table = files.read_table(sources["label_table"])
    names = [n for n in table.column_names if n not in drop]
    if keep:
        names = [n for n in names if n.rsplit("_", 1)[0].removesuffix("_true") in keep or not n.endswith(("_pred", "_true", "_err", "_model", "_predictive", "_total"))]  # fmt: skip
    path = tmp_path / "some.parquet"
    files.write_table(table.select(names), path, files.read_meta(sources["label_table"]))
    return path


FROM_TABLE = [name for name in OWN if "label_table" in FIGURES[name].kinds or "label_tables" in FIGURES[name].kinds]


@pytest.mark.parametrize("name", FROM_TABLE)
def test_a_table_of_some_labels_is_enough(name, sources, tmp_path):
    path = written(tmp_path, sources, keep=("teff", "logg", "fe_h", "mg_h", "al_h", "cannon"))
    if name == "astronn_fig18_others":
        with pytest.raises(ResurveyError, match="no label has all of"):
            make(name, [str(path)], [str(tmp_path / "f.csv")])
        return
    paths = [str(path) if p == str(sources["label_table"]) else p for p in paths_of(name, sources)]
    make(name, paths, [str(tmp_path / "f.csv"), str(tmp_path / "f.png")])
    found = pd.read_csv(tmp_path / "f.csv")
    if "label" in found and name != "astronn_fig03_snr":
        assert set(found["label"].dropna()) <= {"teff", "logg", "fe_h", "mg_h", "al_h"}


@pytest.mark.parametrize(
    ("name", "drop"),
    [
        ("astronn_fig07_kiel", "logg_total"),
        ("astronn_fig08_offsets", "teff_true"),
        ("astronn_fig09_residuals", "split"),
        ("astronn_fig10_teff", "teff_pred"),
        ("astronn_fig11_visits", "sn_median"),
        ("astronn_fig16_al_mg", "al_h_total"),
        ("astronn_fig17_alpha", "fe_h_true"),
    ],
)
def test_an_absent_column_is_named(name, drop, sources, tmp_path):
    path = written(tmp_path, sources, drop=(drop,))
    paths = [str(path) if p == str(sources["label_table"]) else p for p in paths_of(name, sources)]
    with pytest.raises(ResurveyError, match=drop) as error:
        make(name, paths, [str(tmp_path / "f.csv")])
    assert "\n" not in str(error.value) and not (tmp_path / "f.csv").exists()


def test_inputs_are_told_by_their_content_in_any_order(sources, tmp_path, capsys):
    for number, paths in enumerate(([sources["extras"], sources["label_table"]], [sources["label_table"]])):
        make("astronn_fig07_kiel", [str(p) for p in paths], [str(tmp_path / f"{number}.csv")])
    kinds = [set(pd.read_csv(tmp_path / f"{number}.csv")["kind"]) for number in range(2)]
    assert kinds == [{"star", "isochrone"}, {"star", "note"}]
    out = ["--out", str(tmp_path / "f.csv")]
    assert cli.main(["figure", "astronn_fig03_snr", "--predictions", str(sources["label_targets"]), *out]) == 2
    assert "needs also: a table of predicted labels of one model" in capsys.readouterr().err
    both = [str(sources["label_table"]), str(sources["star"])]
    assert cli.main(["figure", "astronn_fig07_kiel", "--predictions", *both, *out]) == 2
    assert "is not drawn from such a file" in capsys.readouterr().err


def test_real_and_mock_inputs_do_not_mix(sources, tmp_path):
    extras = tmp_path / "extras.json"
    files.write_json({**files.read_json(sources["extras"]), "origin": "real"}, extras)
    with pytest.raises(ResurveyError, match="real and mock"):
        make("astronn_fig07_kiel", [str(sources["label_table"]), str(extras)], [str(tmp_path / "f.csv")])


@pytest.fixture
def two_datasets(tmp_path):
    """Targets and shards of two datasets: `a` has all stars, `b` lacks star s2; the S/N of s0 … s9 is 200 … 290."""
    kind = pa.list_(pa.float32(), 3)
    for dataset, method in (("a", "chebyshev"), ("b", "aspcap")):
        names = [f"s{k}" for k in range(10) if dataset == "a" or k != 2]
        rows = pd.DataFrame({"spectrum_id": [f"1-{n}" for n in names], "apogee_id": names, "visit": 0, "split": "train",
                             "sn_median": [200.0 + 10 * int(n[1:]) for n in names], "shard": [f"{int(n[1:]) % 2:04d}" for n in names]})  # fmt: skip
        meta = {"origin": "mock", "dataset": dataset, "grid": DR13.meta(), "normalisation": {"method": method}}
        files.write_table(pa.Table.from_pandas(rows, preserve_index=False), tmp_path / f"{dataset}.parquet", meta)
        for shard, part in rows.groupby("shard"):
            part = part[part["apogee_id"] != "s7"]  # selected, but no spectrum could be read
            values = np.repeat(part["sn_median"].to_numpy(np.float32), 3)
            flux = pa.FixedSizeListArray.from_arrays(values, type=kind)
            table = pa.table({"spectrum_id": part["spectrum_id"].tolist(), "sn_median": pa.array(part["sn_median"], pa.float32()), "flux": flux, "ivar": flux})  # fmt: skip
            files.write_table(table, tmp_path / dataset / f"{shard}.parquet", meta)
    return ["--targets", str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"), "--shards", str(tmp_path / "a"), str(tmp_path / "b"), "--count", "2", "2"]  # fmt: skip


@pytest.mark.parametrize(("wish", "star"), [(None, "s8"), ("s3", "s3"), ("s2", "s8"), ("s7", "s8")])
def test_an_example_star_has_a_spectrum_in_each_dataset(wish, star, two_datasets, tmp_path):
    given = ["--star", wish] if wish else []
    assert cli.main(["example-star", *two_datasets, *given, "--out", str(tmp_path / "star.parquet")]) == 0
    rows = files.read_table(tmp_path / "star.parquet").to_pandas()
    assert rows["spectrum_id"].tolist() == [f"1-{star}"] * 2
    assert rows["method"].tolist() == ["chebyshev", "aspcap"] and rows["dataset"].tolist() == ["a", "b"]
    assert files.read_meta(tmp_path / "star.parquet")["grid"] == DR13.meta()
