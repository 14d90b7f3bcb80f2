"""A model whose redshifts templates refine, in the workflow: what is made again, and what its products have more than the others'."""

import csv
import json

import numpy as np
import pytest
from astropy.io import fits
from resurvey import files
from resurvey.catalogues.columns import REFINED
from resurvey.catalogues.flags import Flag
from resurvey.inference.refine import template_kind
from smoke_run import RUN, copy, finished, jobs, snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.real, pytest.mark.xdist_group("workflow")]
MODEL, OTHER = "gasnet2_sdss_zpdf", "gasnet2_sdss"
NAMES = [column.name for column in REFINED]


def asking(folder) -> str:
    given = {MODEL: {"inference": {"refine": {"templates": str(folder)}}}}
    return f"preset=smoke models={json.dumps(given, separators=(',', ':'))}"


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return finished(tmp_path_factory)


def test_templates_that_are_not_there_are_told_before_any_job(smoke, tmp_path):
    said = snakemake(smoke, "-n", config=asking(tmp_path / "none"))
    assert said.returncode != 0
    assert f"model {MODEL}: inference.refine: templates: {tmp_path / 'none'} is no folder" in said.stdout + said.stderr


def test_refined_redshifts_reach_catalogue_and_scorecard(smoke, shared, tmp_path):
    config, run = asking(shared / "reference"), copy(smoke, tmp_path / "refined")
    found = jobs(snakemake(run, "-n", config=config))
    assert found["infer"] == 2 and found["catalogue"] == 1 and not {"train_network", "shard"} & set(found)
    result = snakemake(run, "catalogues", "scorecards", config=config)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    folder = run / RUN / "sdss_dr16/catalogues"
    assert files.read_table(folder / f"{OTHER}.parquet").equals(
        files.read_table(smoke / RUN / f"sdss_dr16/catalogues/{OTHER}.parquet")
    )
    assert not set(NAMES) & set(files.read_table(folder / f"{OTHER}.parquet").column_names)

    table = files.read_table(folder / f"{MODEL}.parquet").to_pandas()
    fitted = table["class"].map(template_kind).notna() & table["z"].notna()
    assert 0 < fitted.sum() < len(table) and table.loc[fitted, "z_refined"].notna().all()
    assert table.loc[~fitted, NAMES].isna().all(axis=None)
    ambiguous = (table["flags"] & int(Flag.AMBIGUOUS)) != 0
    assert (ambiguous == (table["dchi2"] < 9)).all() and ambiguous.any()
    with fits.open(folder / f"{MODEL}.fits") as hdus:
        assert hdus[0].header["TEMPLATE"] == files.read_meta(folder / f"{MODEL}.parquet")["templates"]
        np.testing.assert_array_equal(hdus[1].data["z_refined"], table["z_refined"])

    with open(run / RUN / "gasnet2/scorecard.csv", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["quantity"].startswith("refined_")]
    assert {row["model"] for row in rows} == {MODEL} and any(row["ours"] for row in rows)
    again = snakemake(run, "catalogues", "scorecards", config=config)
    assert "Nothing to be done" in again.stdout + again.stderr
