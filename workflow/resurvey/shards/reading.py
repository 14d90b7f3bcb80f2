"""Shards → numpy arrays, for training, inference and figures: without torch, in bounded memory."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from resurvey.errors import ResurveyError
from resurvey.files import META_KEY, open_parquet, read_meta, reading
from resurvey.provenance import common_origin
from resurvey.shards.schema import ROWS_PER_GROUP

SPECTRA = ("flux", "ivar")
PathLike = str | os.PathLike


@dataclass(frozen=True)
class Batch:
    """Rows of a shard: flux, ivar (n, pixels) float32 views (None when not asked for) and the other columns."""

    flux: np.ndarray | None
    ivar: np.ndarray | None
    table: pa.Table


def metadata(paths: Sequence[PathLike]) -> dict:
    """What all shards agree on: origin, grid, pixels, dataset, release, and the sums of expected, read and rejected.

    Raises ResurveyError naming two files whose grids or origins differ, a damaged file, or a file that is not a shard.
    """
    metas = [(str(path), read_meta(path)) for path in paths]
    for name, meta in metas:
        if "grid" not in meta:
            raise ResurveyError(
                f"{name}: is not a shard (no grid in its metadata); shards are made by `resurvey shard`"
            )
    origin = common_origin(metas)
    first_name, first = metas[0]
    for name, meta in metas[1:]:
        if meta["grid"] != first["grid"]:
            raise ResurveyError(
                f"shards are on different grids: {first_name} {_short(first['grid'])}, {name} {_short(meta['grid'])}; "
                "make them again with one dataset"
            )
    read = sum(open_parquet(path).metadata.num_rows for path in paths)
    expected = sum(meta["expected"] for _, meta in metas)
    return {**first, "origin": origin, "expected": expected, "read": read, "rejected": expected - read}


def _short(grid: dict) -> str:
    return f"{grid.get('start')} + {grid.get('step')}·i, {grid.get('pixels')} pixels"


def as_array(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A fixed-size list column as (n, size) array; a view of Arrow's memory where the column is in one piece."""
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column.flatten().to_numpy(zero_copy_only=True).reshape(len(column), column.type.list_size)


def iterate(path: PathLike, batch_rows: int = ROWS_PER_GROUP, columns: Sequence[str] | None = None) -> Iterator[Batch]:
    """The rows of a shard in order, at most `batch_rows` at a time; `columns` limits what is read (default: all).

    Raises ResurveyError naming a file that is damaged.
    """
    file = open_parquet(path)
    wanted = list(columns) if columns is not None else file.schema_arrow.names
    missing = sorted(set(wanted) - set(file.schema_arrow.names))
    if missing:
        raise ResurveyError(
            f"{path}: lacks the columns {', '.join(missing)}; it has {', '.join(file.schema_arrow.names)}"
        )
    for group in range(file.num_row_groups):
        table = _group(file, group, wanted, path)
        for start in range(0, table.num_rows, batch_rows):
            yield _batch(table.slice(start, batch_rows))


def _group(file: pq.ParquetFile, group: int, columns: list[str], path: PathLike) -> pa.Table:
    with reading(path):
        return file.read_row_group(group, columns, use_threads=False)


def _batch(table: pa.Table) -> Batch:
    arrays = {name: as_array(table[name]) if name in table.column_names else None for name in SPECTRA}
    rest = [name for name in table.column_names if name not in SPECTRA]
    return Batch(arrays["flux"], arrays["ivar"], table.select(rest))


def load(
    paths: Sequence[PathLike],
    split: str | None = None,
    labels: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
) -> tuple[np.ndarray, pa.Table]:
    """(flux (n, pixels) float32, table of the other columns but ivar) of the rows of a split, of some labels, of some spectrum_id.

    The array is allocated once at its final size; beside it one row group is held. Rows stand in the order of the files.
    Raises ResurveyError when files are damaged, or of different grids or origins.
    """
    paths = [Path(path) for path in paths]
    meta = metadata(paths)
    masks = [_selected(path, split, labels, ids) for path in paths]
    total = sum(int(mask.sum()) for mask in masks)
    flux = np.empty((total, meta["grid"]["pixels"]), np.float32)
    tables, at = [], 0
    for path, mask in zip(paths, masks, strict=True):
        file = open_parquet(path)
        rest = [name for name in file.schema_arrow.names if name not in SPECTRA]
        if columns is not None:
            rest = [name for name in rest if name in columns]
        start = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            chosen = mask[start : start + rows]
            start += rows
            count = int(chosen.sum())
            if count == 0:
                continue
            table = _group(file, group, [*rest, "flux"], path)
            np.compress(chosen, as_array(table["flux"]), axis=0, out=flux[at : at + count])
            tables.append(table.select(rest).filter(pa.array(chosen)))
            at += count
        if not tables:
            empty = file.schema_arrow.empty_table().select(rest)
    table = pa.concat_tables(tables) if tables else empty
    return flux, table.replace_schema_metadata({META_KEY: _json(meta)})


def _json(meta: dict) -> bytes:
    import json

    return json.dumps(meta).encode()


def _selected(path: Path, split: str | None, labels: Sequence[str] | None, ids: Sequence[str] | None) -> np.ndarray:
    """Boolean (rows,): which rows of a shard are in the split and have one of the labels and of the ids."""
    file = open_parquet(path)
    mask = pa.array(np.ones(file.metadata.num_rows, bool))
    needed = [name for name, value in (("split", split), ("label", labels), ("spectrum_id", ids)) if value is not None]
    with reading(path):
        table = file.read(needed) if needed else None
    if split is not None:
        mask = pc.and_(mask, pc.fill_null(pc.equal(table["split"], split), False))
    for name, wanted in (("label", labels), ("spectrum_id", ids)):
        if wanted is not None:
            mask = pc.and_(mask, pc.is_in(table[name], value_set=pa.array(list(wanted), pa.string())))
    mask = mask.combine_chunks() if isinstance(mask, pa.ChunkedArray) else mask
    return mask.to_numpy(zero_copy_only=False)
