"""A catalogue's Parquet → the tidy table on disk, streamed: the catalogue may have more rows than fit into memory."""

import os
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resurvey import files
from resurvey.catalogues.columns import classes_of
from resurvey.metrics.chain import tidy_from_catalogue
from resurvey.metrics.layouts import COLUMNS, INTEGERS

TEXT = ("spectrum_id", "label", "class_pred")
SOURCES = ("spectrum_id", *INTEGERS, "label", "z_label", "split", "survey_class", "survey_subclass", "survey_z", "z", "class",
           "class_prob", "sn_median", "vdisp")  # fmt: skip


def write_tidy(catalogue: str | os.PathLike, out: str | os.PathLike) -> int:
    """Write the tidy table of a catalogue (Parquet, as the merge writes it); returns its rows.

    Its metadata are the catalogue's, with `labels` and `left_out`: {file, n, reason} of the rows that are not in it.
    Raises ResurveyError when the file is no catalogue.
    """
    file, meta = files.open_parquet(catalogue), files.read_meta(catalogue)
    names = file.schema_arrow.names
    columns = [n for n in names if n in SOURCES or n.startswith(("prob_", "z_std_", "z_point_"))]
    columns += [f"z_{label}" for label in classes_of(names)[1]]
    split = "split" in names and any(t["split"].null_count < len(t) for t in files.row_groups(catalogue, ["split"]))
    schema = pa.schema([(name, _kind(name, file.schema_arrow)) for name in COLUMNS])
    left_out: Counter[str] = Counter()
    with files.atomic(out) as part, tempfile.TemporaryDirectory(dir=part.parent, prefix=".evaluate.") as scratch:
        rows = Path(scratch, "rows.parquet")  # the metadata stand before the rows and are known after them
        with pq.ParquetWriter(rows, schema) as writer:
            for frame in files.row_groups(catalogue, columns):
                tidy = tidy_from_catalogue(frame.to_pandas(), meta, catalogue, split)
                left_out.update({entry["reason"]: entry["n"] for entry in tidy.left_out})
                writer.write_table(pa.Table.from_pandas(tidy.table, schema, preserve_index=False))
        reasons = [{"file": str(catalogue), "n": n, "reason": reason} for reason, n in left_out.items()]
        about = {**meta, "labels": classes_of(names)[0], "left_out": reasons}
        with pq.ParquetWriter(part, files.with_meta(schema, about)) as writer:
            for table in files.row_groups(rows):
                writer.write_table(table)
    return files.open_parquet(out).metadata.num_rows


def _kind(name: str, catalogue: pa.Schema) -> pa.DataType:
    if name in TEXT:
        return pa.string()
    return catalogue.field(name).type if name in (*INTEGERS, "sn_median", "vdisp") else pa.float64()
