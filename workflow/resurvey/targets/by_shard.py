"""targets.parquet read shard by shard: its rows stand in the shards' order, so one shard and one row group are in memory."""

import os
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from resurvey import files
from resurvey.errors import ResurveyError


def by_shard(targets: str | os.PathLike, columns: Sequence[str], shards: Sequence[str]) -> Iterator[pa.Table]:
    """The rows of each of `shards`, given in ascending order, with `columns`; no rows for a shard that has none.

    Raises ResurveyError when a column is missing, when the rows of a shard do not stand together, or when the targets name a shard
    that is not among `shards`.
    """
    schema = files.open_parquet(targets).schema_arrow
    if missing := sorted({*columns, "shard"} - set(schema.names)):
        raise ResurveyError(f"{targets}: lacks the columns {', '.join(missing)}; make the targets again")
    nothing = schema.empty_table().select(columns)
    stretches = _stretches(targets, list(columns))
    shard, rows = next(stretches, (None, nothing))
    for name in shards:
        parts = []
        while shard == name:
            parts.append(rows)
            shard, rows = next(stretches, (None, nothing))
        yield pa.concat_tables(parts) if parts else nothing
        if shard is not None and shard <= name:
            raise ResurveyError(
                f"{targets}: rows of shard {shard} stand behind those of shard {name}; make the targets again"
            )
    if shard is not None:
        raise ResurveyError(
            f"{targets}: names shard {shard}, but {shards[-1]} was to be the last (--count {len(shards)})"
        )


def _stretches(targets: str | os.PathLike, columns: list[str]) -> Iterator[tuple[str, pa.Table]]:
    """(shard, rows) of rows of one shard that stand together in a row group of the file."""
    for table in files.row_groups(targets, list(dict.fromkeys([*columns, "shard"]))):
        ends = pc.run_end_encode(table["shard"].combine_chunks()).run_ends.to_pylist()
        for start, end in zip([0, *ends], ends, strict=False):
            yield str(table["shard"][start].as_py()), table.slice(start, end - start).select(columns)
