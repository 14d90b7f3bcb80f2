"""The rows of a dataset's shards without their spectra: the sample as it was read, with what only the spectra's files tell."""

import os

import pyarrow as pa

from resurvey import files
from resurvey.shards.reading import SPECTRA

COLUMNS = ("spectrum_id", "object_id", "label", "z", "split", "sn_median")


def sample(folder: str | os.PathLike, count: int, out: str | os.PathLike) -> int:
    """Write COLUMNS of all rows of `count` shards of `folder`, and `shard`, to `out`; returns the rows.

    Raises ResurveyError when a shard is missing or damaged.
    """
    parts, metas = [], []
    for path in files.numbered(folder, count):
        names = [
            name for name in files.open_parquet(path).schema_arrow.names if name in COLUMNS and name not in SPECTRA
        ]
        table = files.read_table(path, names)
        parts.append(table.append_column("shard", pa.array([path.stem] * len(table), pa.string())))
        metas.append(files.read_meta(path))
    whole = pa.concat_tables(parts)
    keep = {key: metas[0].get(key) for key in ("origin", "release", "dataset", "code_version")}
    files.write_table(whole.replace_schema_metadata(None), out, keep)
    return len(whole)
