"""Columns of predictions and of spectra beside each other, row by row."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from resurvey.errors import ResurveyError


def aligned(predictions: pa.Table, spectra: pa.Table, known: Sequence[str]) -> pa.Table:
    """The rows of `spectra` in the order of `predictions`, with those of the columns `known` that it has.

    Raises ResurveyError when a prediction has no spectrum or an id stands more than once.
    """
    known = [name for name in known if name in spectra.column_names]
    keys, wanted = spectra["spectrum_id"].combine_chunks(), predictions["spectrum_id"].combine_chunks()
    for name, ids in (("targets", keys), ("predictions", wanted)):
        if pc.count_distinct(ids).as_py() != len(ids):
            counts = pc.value_counts(ids).to_pylist()
            twice = next(entry["values"] for entry in counts if entry["counts"] > 1)
            raise ResurveyError(f"spectrum_id {twice} stands more than once in the {name}; make them again")
    place = pc.index_in(wanted, keys)
    if place.null_count:
        lost = wanted.filter(pc.is_null(place))
        raise ResurveyError(
            f"{len(lost)} predictions have no spectrum, the first is {lost[0]}; make the predictions again"
        )
    return spectra.select(known).take(place)


def floats(column: pa.ChunkedArray) -> np.ndarray:
    """Float64 values of a column, null as NaN."""
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def nullable(values: np.ndarray) -> pa.Array:
    """Values with null for what is not finite."""
    return pa.array(values, mask=~np.isfinite(values))
