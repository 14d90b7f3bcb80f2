"""The workflow on DESI, end to end in small: its mock archive, shards, networks, catalogue, figures, scorecard, and files by hand."""

import pyarrow.parquet as pq
import pytest
from smoke_run import drawn, finished, predicted, printed, rows

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.xdist_group("workflow")]

PRESET = "smoke_desi"
RUN = f"results/{PRESET}"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished(tmp_path_factory, PRESET)


def test_every_figure_and_the_paper_s_numbers(run):
    names = drawn(run, PRESET)
    assert {f"desi_{name}" for name in ("table3", "fig08_spectra", "fig09_redshifts", "fig22_confusion", "fig23_redshifts")} <= names  # fmt: skip
    assert all(name.startswith("desi_") for name in names), "those of SDSS belong to its models"
    numbers = {("average_accuracy", "all"): "0.96", ("mc_dz", "GALAXY"): "0.028", ("mc_dz", "QSO"): "0.048"}
    assert printed(run, PRESET) == numbers


def test_a_listed_file_that_does_not_exist_is_a_reason(run):
    rejected = pq.read_table(run / RUN / "desi_edr/catalogues/gasnet2_desi.rejected.parquet")["reason"].to_pylist()
    assert any(reason.startswith("was not fetched: spectro/redux/fuji/healpix/") for reason in rejected)
    assert any("S/N is not above 2" in reason for reason in rejected)
    catalogue = pq.read_table(run / RUN / "desi_edr/catalogues/gasnet2_desi.parquet")
    targets = pq.read_metadata(run / RUN / "desi_edr/targets.parquet").num_rows
    assert len(catalogue) + len(rejected) == targets
    assert catalogue["sn_median"].null_count == 0 and catalogue["spectrum_id"].to_pylist() == sorted(
        catalogue["spectrum_id"].to_pylist()
    )


def test_its_networks_read_coadds(run, tmp_path):
    coadd = next((run / f"resources/mock_{PRESET}").rglob("coadd-sv3-*.fits"))
    count, reasons = predicted(coadd, run / RUN / "models/gasnet2_desi", tmp_path / "mine.parquet")
    assert count > 20
    assert sum("sky fibre" in reason for reason in reasons) == 6
    assert sum("negative TARGETID" in reason for reason in reasons) == 2


def test_table_3_is_of_the_spectra_that_were_read(run):
    table = {row["class"]: row for row in rows(run, f"{RUN}/gasnet2/figures/desi_table3.csv")}
    read = sum(pq.read_metadata(path).num_rows for path in (run / RUN / "desi_edr/shards").glob("000?.parquet"))
    assert sum(int(row["n"]) for row in table.values()) == read
    assert all(float(row["sn_mean"]) > 2 for row in table.values())
    assert table["QSO"]["paper_sn_mean"] == "6.54"
