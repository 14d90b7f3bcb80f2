"""A catalogue of labels → the tidy table: the rows that measures and figures speak of."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from resurvey import files
from resurvey.catalogues.labels import labels_of
from resurvey.metrics import label_layouts as layouts
from resurvey.metrics.evaluate import Plan
from resurvey.targets.ranks import keyed_hash

SPLITS = ("test", "test_visits", "train_visits", "valid")
OTHERS = (
    50000  # combined spectra of no such split that are kept at random: they fill the abundance planes of Figs 17 and 18
)
FROM = {"true": "survey_{}", "true_err": "survey_{}_err", "pred": "{}", "model": "{}_model", "predictive": "{}_predictive",
        "total": "{}_total"}  # fmt: skip
NO_ROW = "individual visits of stars in no split and in no cluster"
NOT_DRAWN = f"other combined spectra beyond the {OTHERS} that are drawn at random"


def evaluation(catalogue: str | os.PathLike, meta: dict) -> Plan:
    """How a catalogue of labels becomes a tidy table: all rows of SPLITS, all members of clusters, and at most about OTHERS other
    combined spectra, which of them by a hash of the star. What is not among them is counted."""
    schema = files.open_parquet(catalogue).schema_arrow
    labels = labels_of(schema.names)
    common = [name for name in layouts.COMMON if name in schema.names]
    fields = [schema.field(name).remove_metadata() for name in common]
    fields += [pa.field(f"{label}_{part}", pa.float32()) for label in labels for part in FROM]
    sources = [form.format(label) for label in labels for form in FROM.values()]
    others = sum(int((_wanted(t)[1]).sum()) for t in files.row_groups(catalogue, ["split", "cluster", "visit"]))
    share = min(1.0, OTHERS / max(others, 1))
    tidy_schema = pa.schema(fields)

    def convert(table: pa.Table) -> tuple[pa.Table, dict[str, int]]:
        always, other = _wanted(table)
        stars = pc.fill_null(table["object_id"], 0).to_numpy()
        drawn = other & (keyed_hash(stars, 0, "evaluate") < np.uint64(min(int(share * 2**64), 2**64 - 1)))
        keep = always | drawn
        left = {NO_ROW: int((~always & ~other).sum()), NOT_DRAWN: int((other & ~drawn).sum())}
        rows = table.filter(pa.array(keep))
        tidy = pa.Table.from_arrays([rows[name] for name in common + sources], schema=tidy_schema)
        return tidy, {reason: n for reason, n in left.items() if n}

    return Plan(list(dict.fromkeys([*common, "object_id", *sources])), tidy_schema, convert, {"labels": labels})


def _wanted(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """(rows that are always kept, other combined spectra), (n,) bool each."""
    always = pc.or_(pc.is_in(table["split"], value_set=pa.array(SPLITS)), table["cluster"].is_valid()).to_numpy()
    return always, ~always & pc.fill_null(pc.equal(table["visit"], 0), False).to_numpy()
