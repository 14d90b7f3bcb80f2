"""Picks one star whose spectrum is in several datasets, to show what their normalisations differ in (Fig. 5 of astroNN)."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from resurvey import files, provenance
from resurvey.errors import ResurveyError

RANK = 0.8  # a star has a better S/N than this share of the training set: typical, and its lines can be seen
CANDIDATES = 30
COLUMNS = ["spectrum_id", "sn_median", "flux", "ivar"]


def pick(targets: Sequence[str | os.PathLike], shards: Sequence[str | os.PathLike], counts: Sequence[int], star: str | None, out: str | os.PathLike) -> str:  # fmt: skip
    """Write the combined spectrum of one star in each dataset to `out`: `dataset, method` (of normalisation) and COLUMNS, a row per
    dataset; returns the star's apogee_id.

    targets, shards, counts: of each dataset, the first the one whose training set the star is of. star: its apogee_id; where it
    is None or has no spectrum, the star of the training set whose S/N is nearest to the 80% quantile and that has a spectrum in
    every dataset (ties by name). Raises ResurveyError when no star has.
    """
    metas = [(str(path), files.read_meta(path)) for path in targets]
    selections = [_combined(path) for path in targets]
    order = _candidates(selections, star)
    found: dict[str, list[pa.Table]] = {name: [] for name in order}
    for selection, folder, count in zip(selections, shards, counts, strict=True):
        wanted = selection[selection["apogee_id"].isin(order)]
        for shard, part in wanted.groupby("shard", sort=True):
            if not shard.isdigit() or int(shard) >= count:
                raise ResurveyError(f"{folder}: its targets name shard {shard}, but --count is {count}")
            path = Path(folder, f"{shard}.parquet")
            meta = files.read_meta(path)
            metas.append((str(path), meta))
            for name, row in _rows(path, part, meta):
                found[name].append(row)
    name = next((name for name in order if len(found[name]) == len(selections)), None)
    if name is None:
        raise ResurveyError(
            f"{', '.join(map(str, shards))}: none of {len(order)} stars of the training set has a spectrum in each; make the shards again"
        )
    origin, meta = provenance.common_origin(metas), metas[len(targets)][1]
    about = {key: meta.get(key) for key in ("release", "grid")}
    files.write_table(pa.concat_tables(found[name]), out, {"origin": origin, **about})
    return name


def _combined(path: str | os.PathLike) -> pd.DataFrame:
    table = files.read_table(path, ["spectrum_id", "apogee_id", "visit", "split", "sn_median", "shard"]).to_pandas()
    return table[table["visit"] == 0]


def _candidates(selections: list[pd.DataFrame], star: str | None) -> list[str]:
    """Names of stars that are in every selection, the one that was asked for first."""
    first = selections[0]
    everywhere = set(first["apogee_id"]).intersection(*(table["apogee_id"] for table in selections[1:]))
    training = first[first["split"].isin(["train", "valid"]) & first["apogee_id"].isin(everywhere)].copy()
    if training.empty:
        raise ResurveyError("no star of the training set is in all of these datasets; there is no example to show")
    training["away"] = (training["sn_median"] - training["sn_median"].quantile(RANK)).abs()
    names = training.sort_values(["away", "apogee_id"])["apogee_id"].drop_duplicates().head(CANDIDATES).tolist()
    return list(dict.fromkeys([star, *names])) if star in everywhere else names


def _rows(path: Path, part: pd.DataFrame, meta: dict) -> list[tuple[str, pa.Table]]:
    """(star, its row) of those of a shard."""
    ids = dict(zip(part["spectrum_id"], part["apogee_id"], strict=True))
    found = []
    with files.reading(path):
        for batch in files.open_parquet(path).iter_batches(256, columns=COLUMNS):
            here = pa.Table.from_batches([batch]).filter(pc.is_in(batch["spectrum_id"], pa.array(list(ids))))
            for number in range(len(here)):
                row = here.slice(number, 1).replace_schema_metadata(None)
                row = row.add_column(0, "method", pa.array([meta["normalisation"]["method"]]))
                row = row.add_column(0, "dataset", pa.array([meta.get("dataset")], pa.string()))
                found.append((ids[row["spectrum_id"][0].as_py()], row))
    return found
