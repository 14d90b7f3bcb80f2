"""Is every target predicted or rejected, exactly once? What is missing or too many is named."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from resurvey import files
from resurvey.catalogues.ordered import Key, in_order, key_of
from resurvey.errors import ResurveyError
from resurvey.targets.by_shard import by_shard

REJECTED = pa.schema([("spectrum_id", pa.string()), ("reason", pa.string()), ("stage", pa.string())])
AGAIN = "delete the shard and its predictions and run again"


@dataclass(frozen=True)
class Shard:
    """What a shard gives to the catalogue: `rows` between two keys (None when empty), and its table of rejected spectra."""

    name: str
    shard: Path
    predictions: Path
    rows: int
    first: Key | None
    last: Key | None
    rejected: pa.Table


def account(
    predictions: str | os.PathLike, shards: str | os.PathLike, targets: str | os.PathLike, count: int, key: pa.Schema
) -> Iterator[Shard]:
    """Each of `count` numbered shards, once its spectra are found to be those of the targets; one shard is in memory.

    key: the columns by which the catalogue is in order; one that a shard lacks is null.

    Raises ResurveyError naming the spectrum that stands twice in a file, that is neither predicted nor rejected, that is both,
    or that no target asked for, and when the targets name shards beyond `count`.
    """
    names = [f"{number:04d}" for number in range(count)]
    for name, selected in zip(names, by_shard(targets, ["spectrum_id"], names), strict=True):
        wanted = selected["spectrum_id"].combine_chunks()
        yield _shard(name, Path(shards, f"{name}.parquet"), Path(predictions, f"{name}.parquet"), wanted, targets, key)


def _shard(name: str, shard: Path, predictions: Path, wanted: pa.Array, targets, key: pa.Schema) -> Shard:
    file = files.open_parquet(shard)
    spectra = file.read([column for column in key.names if column in file.schema_arrow.names], use_threads=False)
    rejected = _rejected(shard.with_suffix(".rejected.parquet"))
    read, refused = _ids(spectra, shard), _ids(rejected, shard.with_suffix(".rejected.parquet"))
    wanted = _distinct(wanted, f"shard {name} of {targets}")
    predicted = _ids(files.read_table(predictions, ["spectrum_id"]), predictions)
    how_many = f"{len(wanted)} targets, {len(read)} spectra, {len(predicted)} predictions, {len(refused)} rejected"
    for some, others, what in (
        (read, predicted, f"stands in {shard} but not in {predictions}"),
        (predicted, read, f"stands in {predictions} but not in {shard}"),
        (
            wanted,
            pa.concat_arrays([read, refused]),
            f"is a target, but stands neither in {shard} nor among its rejected ones",
        ),
        (pa.concat_arrays([read, refused]), wanted, f"stands in {shard} or among its rejected ones, but is no target"),
    ):
        lost = some.filter(pc.invert(pc.is_in(some, value_set=others)))
        if len(lost):
            more = f" ({len(lost)} such spectra)" if len(lost) > 1 else ""
            raise ResurveyError(f"shard {name}: spectrum_id {lost[0]} {what}{more}; {how_many}; {AGAIN}")
    both = read.filter(pc.is_in(read, value_set=refused))
    if len(both):
        raise ResurveyError(
            f"shard {name}: spectrum_id {both[0]} is both in {shard} and among its rejected ones; {AGAIN}"
        )
    first = last = None
    if len(spectra):
        for column in (column for column in key if column.name not in spectra.column_names):
            spectra = spectra.append_column(column, pa.nulls(len(spectra), column.type))
        ordered = in_order(spectra, key.names)
        first, last = key_of(ordered, 0, key.names), key_of(ordered, -1, key.names)
    return Shard(name, shard, predictions, len(spectra), first, last, rejected)


def _ids(table: pa.Table, path: Path) -> pa.Array:
    return _distinct(table["spectrum_id"].combine_chunks(), str(path))


def _distinct(ids: pa.Array, where: str) -> pa.Array:
    if pc.count_distinct(ids).as_py() != len(ids):
        counts = pc.value_counts(ids).to_pylist()
        twice = next(entry["values"] for entry in counts if entry["counts"] > 1)
        raise ResurveyError(f"spectrum_id {twice} stands more than once in {where}; {AGAIN}")
    return ids


def _rejected(path: Path) -> pa.Table:
    """What a shard could not use, with the reason; no file, nothing rejected."""
    if not path.exists():
        return REJECTED.empty_table()
    table = files.read_table(path)
    columns = [
        table[n].cast(pa.string()) if n in table.column_names else pa.nulls(len(table), pa.string())
        for n in REJECTED.names
    ]
    return pa.Table.from_arrays(columns, schema=REJECTED)
