"""The workflow on GaSNet-II's appendices, end to end in small: nine models of two surveys in one run."""

import pytest
from smoke_run import drawn, finished, rows

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.xdist_group("workflow")]

PRESET = "smoke_appendices"
FIGURES = f"results/{PRESET}/gasnet2/figures"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished(tmp_path_factory, PRESET)


def test_every_appendix_is_drawn(run):
    assert {"figA1_contamination", "figA2_contamination", "figA3_contaminated_redshifts", "figB1_coarse", "figC1_accuracy_snr", "figD1_gradients", "figE1_velocity_dispersion"} <= drawn(run, PRESET)  # fmt: skip


@pytest.mark.parametrize("figure", ["figA1_contamination", "figA2_contamination"])
def test_three_shares_of_exchanged_labels_and_three_classes(run, figure):
    cells = rows(run, f"{FIGURES}/{figure}.csv")
    assert {row["contamination"] for row in cells} == {"0.0", "0.05", "0.1"}
    assert len(cells) == 3 * 3 * 3 and len({sum(int(row["n"]) for row in cells if row["model"] == model) for model in {row["model"] for row in cells}}) == 1  # fmt: skip


def test_coarse_classes_of_both_surveys(run):
    cells = rows(run, f"{FIGURES}/figB1_coarse.csv")
    assert {row["model"] for row in cells} == {"gasnet2_sdss_coarse", "gasnet2_4most_coarse"}
    assert {row["true"] for row in cells} == {"STAR", "GALAXY", "QSO"}


def test_each_model_has_the_number_of_its_own_sample(run):
    card = rows(run, f"results/{PRESET}/gasnet2/scorecard.csv")
    paper = {row["model"]: row["paper"] for row in card if (row["quantity"], row["class"]) == ("average_accuracy", "all")}  # fmt: skip
    assert paper["gasnet2_sdss"] == "0.924"
    assert paper["gasnet2_sdss_coarse"] == paper["gasnet2_4most_coarse"] == "0.99"
    assert paper["gasnet2_sdss_contaminated_05"] == "", "the paper prints no number of it that ours is the like of"
