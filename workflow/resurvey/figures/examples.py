"""Picks one example spectrum per class, for Figs 1 and 2: candidates by the targets, then only their shards are read."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from resurvey import files, provenance
from resurvey.errors import ResurveyError

RANK = 0.8  # an example has a better S/N than this share of its class: typical, and its lines can be seen
CANDIDATES = 8  # per class: one of them has no gaps
WHOLE = 0.97
COLUMNS = ["label", "spectrum_id", "z", "sn_median", "n_good", "flux", "ivar"]


def pick(targets: str | os.PathLike, shards: str | os.PathLike, count: int, out: str | os.PathLike) -> list[str]:
    """Write COLUMNS of one spectrum per class to `out`; returns the classes.

    targets: the selection with labels; shards: folder of `count` shards. Deterministic: of the candidates next to the 80%
    quantile of their class's S/N the nearest that has at least 97% of the pixels, ties by id. Raises ResurveyError when
    nothing has a class.
    """
    selection = files.read_table(targets, ["spectrum_id", "label", "sn_median", "shard"]).to_pandas()
    if selection["sn_median"].isna().all():
        selection = _measured(selection, shards, count)
    wanted = _candidates(selection)
    if wanted.empty:
        raise ResurveyError(f"{targets}: no spectrum has a class; examples are taken from labelled spectra")
    metas, parts = [(str(targets), files.read_meta(targets))], []
    for name in sorted(wanted["shard"].unique()):
        if not name.isdigit() or int(name) >= count:
            raise ResurveyError(f"{targets}: names shard {name}, but --count is {count}")
        path = Path(shards, f"{name}.parquet")
        metas.append((str(path), files.read_meta(path)))
        ids = pa.array(wanted.loc[wanted["shard"] == name, "spectrum_id"])
        with files.reading(path):
            for batch in files.open_parquet(path).iter_batches(256, columns=COLUMNS):
                here = batch.filter(pc.is_in(batch["spectrum_id"], ids))
                if len(here):
                    parts.append(pa.Table.from_batches([here]))
    origin, meta = provenance.common_origin(metas), metas[-1][1]
    if not parts:
        raise ResurveyError(f"{shards}: none of the candidates of {targets} has a spectrum; make the shards again")
    found = pa.concat_tables(parts)
    rows = found.select(["spectrum_id", "n_good"]).to_pandas().assign(row=np.arange(len(found)))
    ranked = wanted.merge(rows, on="spectrum_id").assign(gaps=lambda t: t["n_good"] < WHOLE * meta["grid"]["pixels"])
    best = ranked.sort_values(["label", "gaps", "away", "spectrum_id"]).groupby("label", sort=True)["row"].first()
    result = found.take(pa.array(best)).select(COLUMNS)
    keep = {key: meta.get(key) for key in ("release", "dataset", "grid", "flux_unit")}
    files.write_table(result.replace_schema_metadata(None), out, {"origin": origin, **keep})
    return result["label"].to_pylist()


def _measured(selection: pd.DataFrame, shards: str | os.PathLike, count: int) -> pd.DataFrame:
    """The selection with the S/N that its shards give, where the survey's catalogue has none; what was not read is left out."""
    parts = [files.read_table(path, ["spectrum_id", "sn_median"]).to_pandas() for path in files.numbered(shards, count)]
    return selection.drop(columns="sn_median").merge(pd.concat(parts), on="spectrum_id")


def _candidates(table: pd.DataFrame) -> pd.DataFrame:
    table = table[table["label"].notna() & np.isfinite(table["sn_median"])]
    typical = table.groupby("label")["sn_median"].transform("quantile", RANK)
    table = table.assign(away=(table["sn_median"] - typical).abs()).sort_values(["away", "spectrum_id"])
    return table.groupby("label").head(CANDIDATES)
