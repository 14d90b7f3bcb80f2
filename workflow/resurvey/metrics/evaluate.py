"""A catalogue's Parquet → the tidy table on disk, streamed: the catalogue may have more rows than fit into memory."""

import os
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resurvey import files


@dataclass(frozen=True)
class Plan:
    """How a kind of catalogue becomes a tidy table: the columns to read, the schema to write, rows → (tidy rows, {reason: number of
    rows that are not among them}), and what the metadata say beside the catalogue's."""

    columns: list[str]
    schema: pa.Schema
    convert: Callable[[pa.Table], tuple[pa.Table, dict[str, int]]]
    about: dict


def write_tidy(catalogue: str | os.PathLike, out: str | os.PathLike) -> int:
    """Write the tidy table of a catalogue (Parquet, as the merge writes it); returns its rows.

    Its metadata are the catalogue's, with `labels` and `left_out`: {file, n, reason} of the rows that are not in it.
    Raises ResurveyError when the file is no catalogue.
    """
    from resurvey.metrics.kinds import kind_of_table  # which know of this module

    meta = files.read_meta(catalogue)
    plan = kind_of_table(files.open_parquet(catalogue).schema_arrow.names).evaluation(catalogue, meta)
    left_out: Counter[str] = Counter()
    with files.atomic(out) as part, tempfile.TemporaryDirectory(dir=part.parent, prefix=".evaluate.") as scratch:
        rows = Path(scratch, "rows.parquet")  # the metadata stand before the rows and are known after them
        with pq.ParquetWriter(rows, plan.schema) as writer:
            for table in files.row_groups(catalogue, plan.columns):
                tidy, left = plan.convert(table)
                left_out.update(left)
                writer.write_table(tidy)
        reasons = [{"file": str(catalogue), "n": n, "reason": reason} for reason, n in left_out.items()]
        with pq.ParquetWriter(
            part, files.with_meta(plan.schema, {**meta, **plan.about, "left_out": reasons})
        ) as writer:
            for table in files.row_groups(rows):
                writer.write_table(table)
    return files.open_parquet(out).metadata.num_rows
