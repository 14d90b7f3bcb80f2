"""Shards read back: selection, order, damaged files, mixed grids and origins."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from resurvey.errors import ResurveyError
from resurvey.shards import reading
from resurvey.shards.writer import open_shard


def write(folder, name, rows, pixels=16, origin="mock", start=4000.0, seed=0):
    """A shard of `rows` [(id, split, label)]; returns path and fluxes."""
    rng = np.random.default_rng(seed)
    flux = rng.normal(size=(len(rows), pixels)).astype(np.float32)
    table = pa.table(
        {
            "spectrum_id": pa.array([r[0] for r in rows], pa.string()),
            "split": pa.array([r[1] for r in rows], pa.string()),
            "label": pa.array([r[2] for r in rows], pa.string()),
            "shard": pa.array(["0"] * len(rows), pa.string()),
        }
    )
    meta = {"origin": origin, "grid": {"start": start, "step": 1.0, "pixels": pixels}}
    with open_shard(table, pixels, meta, folder / f"{name}.parquet", folder / f"{name}.rejected.parquet") as writer:
        for number in range(len(rows)):
            slot = writer.slot()
            slot[0][:], slot[1][:] = flux[number], 1.0
            writer.accept(number, pixels, 4000.0, 4015.0)
    return folder / f"{name}.parquet", flux


def rows(count, offset=0):
    splits, labels = ("train", "valid", None), ("A", "B", None, "C")
    return [(f"{i + offset:05d}", splits[i % 3], labels[i % 4]) for i in range(count)]


def test_round_trip_over_row_groups(tmp_path):
    path, flux = write(tmp_path, "0000", rows(600))
    batches = list(reading.iterate(path, batch_rows=100))
    assert pq.ParquetFile(path).num_row_groups == 3
    assert all(len(b.flux) <= 100 for b in batches)
    assert np.concatenate([b.flux for b in batches]).tobytes() == flux.tobytes()
    ids = [name for b in batches for name in b.table["spectrum_id"].to_pylist()]
    assert ids == [r[0] for r in rows(600)]
    only = next(reading.iterate(path, columns=["spectrum_id", "flux"]))
    assert only.ivar is None and only.table.column_names == ["spectrum_id"]


def test_batches_are_views_of_arrows_memory(tmp_path):
    path, _ = write(tmp_path, "0000", rows(300))
    batch = next(reading.iterate(path))
    assert not batch.flux.flags.owndata and not batch.flux.flags.writeable


@pytest.mark.parametrize("split", [None, "train", "test"])
@pytest.mark.parametrize("labels", [None, ["A"], ["A", "C"], []])
def test_load_selects_rows_in_order(tmp_path, split, labels):
    first, second = rows(300), rows(290, 300)
    a, flux_a = write(tmp_path, "0000", first, seed=1)
    b, flux_b = write(tmp_path, "0001", second, seed=2)
    flux, table = reading.load([a, b], split, labels)
    chosen = [(split is None or r[1] == split) and (labels is None or r[2] in labels) for r in first + second]
    assert flux.tobytes() == np.concatenate([flux_a, flux_b])[chosen].tobytes()
    assert flux.shape[1] == 16 and flux.dtype == np.float32
    assert table["spectrum_id"].to_pylist() == [r[0] for r, c in zip(first + second, chosen, strict=True) if c]
    assert "ivar" not in table.column_names and "flux" not in table.column_names


def test_empty_shards_load(tmp_path):
    path, _ = write(tmp_path, "0000", [])
    flux, table = reading.load([path])
    assert flux.shape == (0, 16) and table.num_rows == 0
    assert list(reading.iterate(path)) == []


def test_mixed_grids_and_origins_are_refused_by_name(tmp_path):
    a, _ = write(tmp_path, "0000", rows(3))
    b, _ = write(tmp_path, "0001", rows(3), start=3900.0)
    c, _ = write(tmp_path, "0002", rows(3), origin="real")
    with pytest.raises(ResurveyError, match=r"0000\.parquet.*0001\.parquet"):
        reading.load([a, b])
    with pytest.raises(ResurveyError, match=r"0002\.parquet"):
        reading.load([a, c])


def test_truncated_and_foreign_files_are_named(tmp_path):
    a, _ = write(tmp_path, "0000", rows(300))
    data = a.read_bytes()
    cut, foreign, hole = tmp_path / "cut.parquet", tmp_path / "foreign.parquet", tmp_path / "hole.parquet"
    cut.write_bytes(data[: len(data) // 2])
    pq.write_table(pa.table({"a": [1]}), foreign)
    hole.write_bytes(data[:100] + b"\xff" * 2000 + data[2100:])
    with pytest.raises(ResurveyError, match=r"cut\.parquet"):
        reading.load([a, cut])
    with pytest.raises(ResurveyError, match=r"foreign\.parquet.*not a shard"):
        reading.load([foreign])
    with pytest.raises(ResurveyError, match=r"hole\.parquet.*damaged"):
        list(reading.iterate(hole))
    with pytest.raises(ResurveyError, match="lacks the columns zz"):
        next(reading.iterate(a, columns=["zz"]))


def test_a_failed_job_leaves_no_shard(tmp_path):
    with (
        pytest.raises(RuntimeError, match="stop"),
        open_shard(
            pa.table({"spectrum_id": ["a"]}), 4, {"origin": "mock"}, tmp_path / "s.parquet", tmp_path / "r.parquet"
        ),
    ):
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_a_lost_row_is_an_error(tmp_path):
    with (
        pytest.raises(RuntimeError, match="1 targets"),
        open_shard(
            pa.table({"spectrum_id": ["a"]}), 4, {"origin": "mock"}, tmp_path / "s.parquet", tmp_path / "r.parquet"
        ),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
