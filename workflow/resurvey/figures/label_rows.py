"""Which rows and columns of a table of stellar labels a figure shows, and the errors when they are not there."""

import numpy as np
import pandas as pd

from resurvey.errors import ResurveyError
from resurvey.surveys.apogee_labels import NAMES


def require(table: pd.DataFrame, columns: list[str], what: str = "the predictions") -> None:
    """Raises ResurveyError naming the columns that are not there or hold nothing."""
    missing = [column for column in columns if column not in table or not table[column].notna().any()]
    if missing:
        raise ResurveyError(f"{what}: there is no {', '.join(missing)}; this figure cannot be drawn from it")


def labels(table: pd.DataFrame, suffixes: list[str], among: tuple[str, ...] = NAMES) -> list[str]:
    """The labels of `among`, in their order, of which each of {label}_{suffix} is there.

    Raises ResurveyError when there is none.
    """
    there = {name for name in table if table[name].notna().any()}
    found = [name for name in among if all(f"{name}_{suffix}" in there for suffix in suffixes)]
    if not found:
        wanted = ", ".join(f"{{label}}_{suffix}" for suffix in suffixes)
        raise ResurveyError(
            f"the predictions: no label has all of {wanted} (labels: {', '.join(among[:4])}, …); "
            "this figure cannot be drawn from them"
        )
    return found


def of_split(table: pd.DataFrame, *splits: str) -> pd.DataFrame:
    """The rows of some splits. Raises ResurveyError when there are none."""
    require(table, ["split"])
    rows = table[table["split"].isin(splits)]
    if rows.empty:
        there = ", ".join(map(str, table["split"].dropna().unique())) or "none"
        raise ResurveyError(f"the predictions: no row is of the split {' or '.join(splits)} (splits in it: {there})")
    return rows


def combined(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of combined spectra: one per star and field."""
    require(table, ["visit"])
    return table[table["visit"] == 0]


def finite(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The rows where all columns have a value."""
    return table[np.isfinite(table[columns].astype(float)).all(axis=1)]
