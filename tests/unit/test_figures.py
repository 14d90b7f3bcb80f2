"""Every figure is drawn from small tables, alone, without torch; what it lacks is said."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scoring_samples as samples
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from resurvey import cli, files
from resurvey.errors import ResurveyError
from resurvey.figures import style
from resurvey.figures.fig14_bias_snr import bias_axis, name_line
from resurvey.figures.make import make, read_inputs
from resurvey.figures.registry import FIGURES, find, rooms
from resurvey.figures.residual import binned
from resurvey.metrics.paper import load_paper
from resurvey.provenance import code_digest

PAPER = load_paper("gasnet2").figures
DRAWINGS = {name: FIGURES[name] for name in dict.fromkeys(entry.get("figure", key) for key, entry in PAPER.items())}


def gradients(examples, path):
    """Gradients for the example spectra, peaked at some pixels, as the `gradients` command writes them; one class has no ensemble."""
    table = files.read_table(examples)
    rng, n, pixels = np.random.default_rng(4), len(table), samples.GRID["pixels"]
    slopes = {
        name: rng.gamma(0.3, 0.1, (n, pixels)).astype(np.float32) for name in ("flux", "p_gradient", "z_gradient")
    }
    slopes["z_gradient"][table["label"].to_pylist().index("GALAXY_nan")] = np.nan
    table = table.drop_columns(["flux", "ivar", "n_good"])
    for name, values in {"prob": np.full(n, 0.9), "z_pred": np.full(n, 0.3), **slopes}.items():
        table = table.append_column(name, pa.array(list(values)))
    files.write_table(table, path, {**files.read_meta(examples), "model": "gasnet2_sdss"})
    return path


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """What each kind of figure is drawn from."""
    folder = tmp_path_factory.mktemp("drawn")
    paths = samples.run_folder(folder, shards=2, per_class=40)
    paths |= {"catalogue": folder / "c.parquet", "fits": folder / "c.fits", "rejected": folder / "r.parquet"}
    assert samples.merge_run(paths) == 0
    table, examples = folder / "tidy.parquet", folder / "examples.parquet"
    assert cli.main(["evaluate", "--catalogue", str(paths["catalogue"]), "--out", str(table)]) == 0
    given = [
        "--shards",
        str(paths["shards"]),
        "--count",
        "2",
        "--targets",
        str(paths["targets"]),
        "--out",
        str(examples),
    ]
    assert cli.main(["examples", *given]) == 0
    pairs = folder / "pairs.parquet"
    wanted = ["--classes", "GALAXY_AGN", "GALAXY_nan", "--redshifts", "0.1", "0.3", "--out", str(pairs)]
    assert cli.main(["pairs", *given[:4], *wanted]) == 0
    return {
        "table": table,
        "tables": table,
        "gradients": gradients(examples, folder / "gradients.parquet"),
        "targets": paths["targets"],
        "examples": examples,
        "pairs": pairs,
        "histories": paths["models"] / "gasnet2_sdss",
    }


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_figure_and_its_numbers(name, sources, tmp_path):
    outputs = [str(tmp_path / f"{name}.{kind}") for kind in ("png", "csv")]
    make(name, [str(sources[FIGURES[name].needs])], outputs, "gasnet2")
    assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    numbers = pd.read_csv(tmp_path / f"{name}.csv", keep_default_na=False)
    assert len(numbers) > 5
    assert code_digest(*rooms(name))


def test_equal_inputs_give_equal_files(sources, tmp_path):
    for out in ("a.pdf", "b.pdf"):
        make("fig12_confusion", [str(sources["table"])], [str(tmp_path / out)], "gasnet2")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes()[:5] == b"%PDF-"


def test_drawing_imports_no_torch(sources, tmp_path):
    lines = [
        f"make({name!r}, [{str(sources[entry.needs])!r}], [{str(tmp_path / name)!r} + '.csv'], 'gasnet2')"
        for name, entry in DRAWINGS.items()
    ]
    code = "\n".join(
        ["import sys", "from resurvey.figures.make import make", *lines, "sys.exit('torch' in sys.modules)"]
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_mock_figure_says_so(sources, tmp_path):
    module = find("fig03_redshifts")
    assert module
    make("fig03_redshifts", [str(sources["targets"])], [str(tmp_path / "f.svg")], "gasnet2")
    assert "mock" in (tmp_path / "f.svg").read_text()


def test_confusion_numbers_read_along_columns(sources, tmp_path):
    make("fig12_confusion", [str(sources["table"])], [str(tmp_path / "c.csv")], "gasnet2")
    numbers = pd.read_csv(tmp_path / "c.csv")
    np.testing.assert_allclose(numbers.groupby("true")["fraction"].sum(), 1)
    assert numbers["n"].sum() == 2 * 13 * 6


def test_absent_columns_are_named(sources, tmp_path):
    table = files.read_table(sources["table"])
    path = tmp_path / "bare.parquet"
    files.write_table(table.drop_columns(["z_point", "class_pred", "z_std"]), path, {"origin": "mock"})
    for name, column in (
        ("fig13_point_redshifts", "z_point"),
        ("fig12_confusion", "class_pred"),
        ("fig17_sigma_snr", "z_std"),
    ):
        with pytest.raises(ResurveyError, match=column):
            make(name, [str(path)], [str(tmp_path / "x.csv")], "gasnet2")
    assert not (tmp_path / "x.csv").exists()


def test_one_class_is_enough(sources, tmp_path):
    table = files.read_table(sources["table"]).to_pandas()
    table.loc[table["label"] != "GALAXY_STARFORMING", ["z_point", "z_pred", "z_std"]] = np.nan
    table.to_parquet(tmp_path / "one.parquet")
    for name in ("fig13_point_redshifts", "fig15_mc_redshifts", "fig18_robust"):
        make(name, [str(tmp_path / "one.parquet")], [str(tmp_path / "f.csv"), str(tmp_path / "f.png")], "gasnet2")
        assert pd.read_csv(tmp_path / "f.csv")["label"].unique().tolist() == ["GALAXY_STARFORMING"]


def test_bias_falls_back_to_the_ensemble_and_says_so(sources, tmp_path):
    table = files.read_table(sources["table"]).to_pandas()
    table.loc[table["label"] != "QSO_nan", "z_point"] = np.nan
    table.to_parquet(tmp_path / "t.parquet")
    make("fig14_bias_snr", [str(tmp_path / "t.parquet")], [str(tmp_path / "f.csv")], "gasnet2")
    kinds = pd.read_csv(tmp_path / "f.csv").groupby("label")["estimate"].unique().map(list).to_dict()
    assert kinds["QSO_nan"] == ["z_point"] and kinds["GALAXY_AGN"] == ["z_pred"] and len(kinds) == 6


def test_wrong_names_and_kinds(sources, tmp_path, capsys):
    given = ["--predictions", str(sources["table"]), "--out"]
    assert cli.main(["figure", "fig12_confusoin", *given, str(tmp_path / "a.png")]) == 2
    assert "did you mean fig12_confusion?" in capsys.readouterr().err
    assert cli.main(["figure", "fig12_confusion", *given, str(tmp_path / "a.jpeg")]) == 2
    assert ".pdf, .png" in capsys.readouterr().err
    assert (
        cli.main(
            [
                "figure",
                "fig03_redshifts",
                "--predictions",
                str(sources["histories"] / "calibration.json"),
                "--out",
                str(tmp_path / "a.png"),
            ]
        )
        == 2
    )
    assert (
        cli.main(["figure", "fig11_training", "--predictions", str(sources["table"]), "--out", str(tmp_path / "a.png")])
        == 2
    )
    assert "training history" in capsys.readouterr().err


def test_examples_are_one_per_class_in_range(sources):
    table = files.read_table(sources["examples"]).to_pandas()
    assert sorted(table["label"]) == sorted(load_paper("gasnet2").labels)
    assert len(table["flux"].iloc[0]) == samples.GRID["pixels"]
    assert files.read_meta(sources["examples"])["origin"] == "mock"


def test_binned_residuals_by_hand():
    rows = pd.DataFrame({"z_true": [0.0, 0.05, 1.0], "z_pred": [0.1, 0.05, 0.8], "z_std": [0.2, 0.4, 0.3]})
    bins = binned(rows, "z_pred", "z_std")
    assert bins["residual"].tolist() == pytest.approx([0.05, -0.2]) and bins["bar"].tolist() == pytest.approx(
        [0.3, 0.3]
    )
    assert bins["n"].tolist() == [2, 1]
    assert binned(rows, "z_pred", None)["bar"].tolist() == pytest.approx([0.05, 0.2])


def test_every_figure_of_the_paper_exists_and_has_a_caption():
    from conftest import ROOT

    for drawing in DRAWINGS:
        assert (ROOT / "workflow" / "report" / f"{drawing}.rst").read_text().strip()
    assert set(DRAWINGS) == {name for name in FIGURES if not name.startswith("astronn_")}


def drawn(name, sources):
    """The matplotlib figure of `name`, laid out, and its renderer."""
    inputs = read_inputs(name, [str(sources[FIGURES[name].needs])], load_paper("gasnet2"))
    module = find(name)
    fig = module.draw(module.data(inputs), {**inputs.meta, "paper": inputs.paper})
    FigureCanvasAgg(fig).draw()
    return fig, fig.canvas.get_renderer()


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_words_leave_the_paper(name, sources):
    fig, renderer = drawn(name, sources)
    legends = [*fig.legends, *(axis.get_legend() for axis in fig.axes if axis.get_legend())]
    texts = [*fig.texts, *(text for legend in legends for text in legend.get_texts())]
    for axis in fig.axes:
        texts += [*axis.texts, axis.title, axis.xaxis.label, axis.yaxis.label]
    texts = [text for text in texts if text.get_visible() and text.get_text().strip()]
    assert texts
    for text in texts:
        box = text.get_window_extent(renderer)
        assert box.x0 >= -1 and box.x1 <= fig.bbox.x1 + 1, (text.get_text(), box, fig.bbox)


def test_a_long_footer_is_broken_within_the_figure():
    fig = style.figure(3.6, 2.0)
    style.footer(
        fig, {"model": "gasnet2_sdss", "head": "huber", "origin": "mock", "release": "sdss_dr16"}, style.PANEL_ORDER[:5]
    )
    FigureCanvasAgg(fig).draw()
    (text,) = [text for text in fig.findobj(Text) if "MOCK" in text.get_text()]
    assert text.get_window_extent(fig.canvas.get_renderer()).x0 >= 0
    assert "Huber head" in text.get_text()


@pytest.mark.parametrize(
    ("value", "shown"), [(0.12077, "0.121"), (0.00145, "0.001"), (0.0002, "0.0002"), (0.0, "0.000")]
)
def test_small_errors_are_not_printed_as_zero(value, shown):
    assert style.short(value) == shown


@pytest.mark.parametrize("mae", [0.0013, 0.02])
def test_names_of_two_lines_stand_apart(mae):
    fig = style.figure(2.3, 2.2)
    axis = fig.subplots()
    bias_axis(axis, pd.Series([1e-4, 1e-3]), 0.0015, mae)
    name_line(axis, f"MAE = {mae:g}", mae, above=mae > 0.0015, right=False)
    FigureCanvasAgg(fig).draw()
    places = axis.transData.transform([(0, 0.0015), (0, mae)])[:, 1]
    for text in axis.texts:
        box = text.get_window_extent(fig.canvas.get_renderer())
        assert not any(box.y0 < place < box.y1 for place in places), (text.get_text(), box, places)
        assert box.y1 <= axis.bbox.y1
