"""Picks spectra of two classes at the same redshifts from the shards, for Fig. 20: what the classes differ in when redshift does not tell."""

import os
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from resurvey import files, provenance
from resurvey.errors import ResurveyError
from resurvey.shards import reading

NEAREST = 60  # of each class and redshift
COLUMNS = ["label", "spectrum_id", "z", "sn_median", "flux", "ivar"]


def pick(shards: str | os.PathLike, count: int, classes: Sequence[str], redshifts: Sequence[float], out: str | os.PathLike) -> int:  # fmt: skip
    """Write the NEAREST spectra of each class to each redshift to `out`, COLUMNS and `at`, the redshift; returns how many.

    shards: folder of `count` shards. Nearest in ln(1+z), ties by id; all splits, for nothing is predicted. Raises ResurveyError where
    a class has no spectrum.
    """
    paths = files.numbered(shards, count)
    metas = [(str(path), files.read_meta(path)) for path in paths]
    origin, meta = provenance.common_origin(metas), metas[0][1]
    tables = [files.read_table(path, ["label", "spectrum_id", "z"]) for path in paths]
    listed = pa.concat_tables(tables).to_pandas().dropna()
    wanted = []
    for label in classes:
        own = listed[listed["label"] == label]
        if own.empty:
            raise ResurveyError(
                f"{shards}: no spectrum of {label} has a redshift; classes that have: {', '.join(sorted(listed['label'].unique()))}"
            )
        for at in redshifts:
            away = np.abs(np.log1p(own["z"]) - np.log1p(at))
            near = own.assign(away=away).sort_values(["away", "spectrum_id"]).head(NEAREST)
            wanted += [(float(at), name) for name in near["spectrum_id"]]
    rows = _rows(paths, sorted({name for _, name in wanted}))
    place = {name: number for number, name in enumerate(rows["spectrum_id"].to_pylist())}
    table = rows.take(pa.array([place[name] for _, name in wanted]))
    table = table.add_column(0, "at", pa.array([at for at, _ in wanted]))
    keep = {key: meta.get(key) for key in ("release", "dataset", "grid", "flux_unit")}
    files.write_table(table, out, {"origin": origin, **keep})
    return len(table)


def _rows(paths: Sequence[os.PathLike], names: list[str]) -> pa.Table:
    """COLUMNS of some spectra; a row group of one shard is in memory at a time."""
    parts = []
    for path in paths:
        for batch in reading.iterate(path, columns=COLUMNS):
            mask = pc.is_in(batch.table["spectrum_id"], pa.array(names)).to_numpy()
            if mask.any():
                part = batch.table.filter(pa.array(mask)).select(COLUMNS[:-2])
                for name in reading.SPECTRA:
                    pixels = getattr(batch, name)[mask]
                    kind = pa.list_(pa.float32(), pixels.shape[1])
                    part = part.append_column(name, pa.FixedSizeListArray.from_arrays(pixels.ravel(), type=kind))
                parts.append(part.replace_schema_metadata(None))
    return pa.concat_tables(parts)
