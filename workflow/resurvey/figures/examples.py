"""Picks one example spectrum per class from the shards, for Figs 1 and 2."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from resurvey import files, provenance
from resurvey.errors import ResurveyError

RANK = 0.8  # an example has a better S/N than this share of its class: typical, and its lines can be seen
KEYS = ["spectrum_id", "label", "z", "sn_median", "n_good"]


def pick(shards: Iterable[str | os.PathLike], out: str | os.PathLike) -> list[str]:
    """Write `label, spectrum_id, z, sn_median, flux, ivar` of one spectrum per class; returns the classes.

    Deterministic: of the spectra with at least 97% of the pixels, the one next to the 80% quantile of S/N, ties by id.
    """
    shards = [Path(path) for path in shards]
    metas = [(str(path), files.read_meta(path)) for path in shards]
    origin = provenance.common_origin(metas)
    meta = metas[0][1]
    parts = [
        files.read_table(path, KEYS).append_column(
            "shard", pa.repeat(pa.scalar(i), files.open_parquet(path).metadata.num_rows)
        )
        for i, path in enumerate(shards)
    ]
    table = pa.concat_tables(parts).to_pandas()
    table = table[table["label"].notna() & np.isfinite(table["sn_median"])]
    if table.empty:
        raise ResurveyError(f"{shards[0].parent}: no spectrum has a class; examples are taken from labelled spectra")
    chosen = []
    for _, rows in table.groupby("label", sort=True):
        whole = rows[rows["n_good"] >= 0.97 * meta["grid"]["pixels"]]
        rows = whole if len(whole) else rows
        away = (rows["sn_median"] - rows["sn_median"].quantile(RANK)).abs()
        chosen.append(rows.assign(away=away).sort_values(["away", "spectrum_id"]).iloc[0])
    found = []
    for number in sorted({row["shard"] for row in chosen}):
        wanted = pa.array([row["spectrum_id"] for row in chosen if row["shard"] == number])
        for batch in files.open_parquet(shards[number]).iter_batches(256, columns=[*KEYS[:4], "flux", "ivar"]):
            here = batch.filter(pc.is_in(batch["spectrum_id"], wanted))
            if len(here):
                found.append(pa.Table.from_batches([here]))
    result = pa.concat_tables(found).sort_by("label")
    keep = {key: meta.get(key) for key in ("release", "dataset", "grid", "flux_unit")}
    files.write_table(result.replace_schema_metadata(None), out, {"origin": origin, **keep})
    return result["label"].to_pylist()
