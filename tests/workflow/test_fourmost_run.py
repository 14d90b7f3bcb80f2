"""The workflow on 4MOST, end to end in small: its mock archive, shards, networks of two heads, catalogue, figures, scorecard, own files."""

import pyarrow.parquet as pq
import pytest
from smoke_run import drawn, finished, predicted, printed, rows

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.xdist_group("workflow")]

PRESET = "smoke_4most"
RUN = f"results/{PRESET}"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished(tmp_path_factory, PRESET)


def test_every_figure_and_the_paper_s_numbers(run):
    names = drawn(run, PRESET)
    assert {f"fourmost_{name}" for name in ("table2", "fig05_stars", "fig06_extragalactic", "fig07_redshifts", "fig19_confusion", "fig20_alike", "fig21_redshifts")} <= names  # fmt: skip
    assert all(name.startswith("fourmost_") for name in names), "those of SDSS belong to its models"
    numbers = printed(run, PRESET)
    assert numbers["average_accuracy", "all"] == "0.934" and numbers["accuracy", "GALAXY_RedGAL"] == "0.66"
    assert numbers["mc_mean_dz", "GALAXY"] == "0.0055" and numbers["mc_dz", "QSO_COSMO_AGN"] == "0.003"


def test_table_2_stands_beside_ours(run):
    table = {row["class"]: row for row in rows(run, f"{RUN}/gasnet2/figures/fourmost_table2.csv")}
    assert len(table) == 10 and all(int(row["n"]) == 50 for row in table.values())
    assert (table["STAR_GalDiskLR"]["paper_sn_mean"], table["GALAXY_ClusB"]["paper_z_mean"]) == ("140.4", "0.52")
    assert all(abs(float(row["sn_mean"]) / float(row["paper_sn_mean"]) - 1) < 0.35 for row in table.values())


def test_confused_classes_are_compared_at_both_redshifts(run):
    found = rows(run, f"{RUN}/gasnet2/figures/fourmost_fig20_alike.csv")
    pairs = {(row["at"], row["label"]) for row in found if row["what"] == "chi2"}
    assert len(pairs) == 6 and ("0.9", "GALAXY_ClusB GALAXY_RedGAL") in pairs


def test_every_spectrum_is_catalogued(run):
    catalogue = pq.read_table(run / RUN / "fourmost/catalogues/gasnet2_4most.parquet")
    rejected = pq.read_table(run / RUN / "fourmost/catalogues/gasnet2_4most.rejected.parquet")
    assert len(catalogue) == 500 and len(rejected) == 0
    assert set(catalogue["survey_subclass"].to_pylist()) >= {"ClusB", "RedGAL", "Dyn"}


def test_its_networks_read_fields(run, tmp_path):
    field = min((run / f"resources/mock_{PRESET}").rglob("*_LJ1.fits"))
    count, reasons = predicted(field, run / RUN / "models/gasnet2_4most", tmp_path / "mine.parquet")
    assert count > 100
    assert len(reasons) == 6 and all("sky fibre" in reason for reason in reasons)
