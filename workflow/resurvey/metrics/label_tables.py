"""Any file of predicted labels → the tidy table that scores and figures read (columns and mapping: metrics/label_layouts.py)."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from resurvey.errors import ResurveyError
from resurvey.metrics import label_layouts as layouts
from resurvey.metrics.frames import SUFFIXES, expanded, read_frame
from resurvey.surveys.apogee_labels import NAMES


@dataclass
class LabelTable:
    """A tidy table of one model's predicted labels.

    table: columns of label_layouts.columns(labels), one row per spectrum, NaN or None where unknown, never -9999; units of the
    labels. labels: those that are predicted. meta: what the file says of itself, and `file`, its name. left_out: {file, n, reason}.
    """

    table: pd.DataFrame
    labels: list[str]
    meta: dict = field(default_factory=dict)
    left_out: list[dict] = field(default_factory=list)

    @property
    def model(self) -> str:
        """The model's name; for a file that names none the file's."""
        return self.meta.get("model") or self.meta["file"]

    @property
    def mock(self) -> bool:
        """Whether the spectra are simulated."""
        return self.meta.get("origin") == "mock"


def read_label_table(path: str | os.PathLike) -> LabelTable:
    """Read one file of predicted labels, ours or foreign. Raises ResurveyError naming the columns found and those needed."""
    path = Path(path)
    frame, meta = read_frame(path, layouts.ARRAYS)
    table, labels = tidied(frame, meta.get("labels"), path)
    return LabelTable(table, labels, {"file": path.name, **meta}, list(meta.get("left_out") or []))


def tidied(frame: pd.DataFrame, labels: list[str] | None, path: str | os.PathLike) -> tuple[pd.DataFrame, list[str]]:
    """(tidy table, its labels) of a table in any of the known layouts; `labels` are those to look for, None: APOGEE's."""
    names = set(map(str, frame.columns))
    found = {label: {part: layouts.sources(label, part, names) for part in layouts.PARTS} for label in labels or NAMES}
    found = {label: parts for label, parts in found.items() if parts["pred"]}
    if not found:
        raise ResurveyError(
            f"{path}: not a table of predicted labels. It has {', '.join(map(str, frame.columns[:30]))}. Needed for at least "
            "one label: {label}_pred, e.g. teff_pred; or a catalogue's {label} and {label}_total"
        )
    columns = {}
    for name, options in layouts.COMMON.items():
        source = next((option for option in options if option in names), None)
        columns[name] = _text(frame[source]) if source and name in layouts.TEXT else frame.get(source)
    for label, parts in found.items():
        for part, sources in parts.items():
            columns[f"{label}_{part}"] = _numbers(frame[sources[0]], path) if sources else np.nan
    table = pd.DataFrame(columns, index=frame.index)
    for name in set(layouts.COMMON) - set(layouts.TEXT):
        table[name] = _numbers(table[name], path)
    for name in layouts.TEXT:
        table[name] = table[name].astype(object).where(table[name].notna(), None)
    if "visit" not in names:
        table["visit"] = 0.0  # catalogues without visits are of combined spectra
    return table.reset_index(drop=True), list(found)


def _text(column: pd.Series) -> pd.Series:
    text = (
        column.astype(object)
        .where(column.notna(), None)
        .map(lambda value: str(value).strip() if value is not None else None)
    )
    return text.where(text != "", None)


def _numbers(column: pd.Series, path) -> pd.Series:
    """Numbers as float64, with NaN for what is missing: null, infinite, -9999."""
    try:
        values = pd.to_numeric(column).astype(float)
    except (ValueError, TypeError) as error:
        raise ResurveyError(f"{path}: column {column.name} is not numeric ({error})") from error
    return values.where(np.isfinite(values) & (values > layouts.MISSING + 1))


def read_all(paths: list) -> tuple[list[LabelTable], dict]:
    """Read files and folders of files: one table per model, and {} (no histories are known beside our own).

    In a folder, files that are no predictions are passed over and listed in `left_out`; a file named by itself must be readable.
    Raises ResurveyError when two files hold predictions of one model for one spectrum.
    """
    tables: dict[str, list[tuple[Path, LabelTable]]] = {}
    skipped = []
    for path, named in expanded(paths):
        try:
            found = read_label_table(path)
        except ResurveyError as error:
            if named:
                raise
            reason = str(error).removeprefix(f"{path}: ").split(". ")[0]
            skipped.append({"file": str(path), "n": None, "reason": reason})
            continue
        tables.setdefault(found.model, []).append((path, found))
    result = [_merged(parts) for parts in tables.values()]
    if not result:
        raise ResurveyError(
            f"no predictions of labels in {', '.join(map(str, paths))}; give {', '.join(SUFFIXES)} files"
        )
    result[0].left_out += skipped
    return result, {}


def _merged(parts: list[tuple[Path, LabelTable]]) -> LabelTable:
    """The tables of one model's files under each other."""
    first = parts[0][1]
    if len(parts) == 1:
        return first
    for path, part in parts[1:]:
        if part.labels != first.labels:
            raise ResurveyError(f"{path}: has other labels than {parts[0][0]}; score one of them at a time")
    table = pd.concat([part.table for _, part in parts], ignore_index=True)
    twice = table["spectrum_id"].notna() & table["spectrum_id"].duplicated()
    if twice.any():
        raise ResurveyError(
            f"{parts[1][0]}: spectrum_id {table.loc[twice, 'spectrum_id'].iloc[0]} stands in another file of {first.model} too; "
            "they are different predictions: give one of the files at a time"
        )
    return LabelTable(table, first.labels, first.meta, [entry for _, part in parts for entry in part.left_out])


def with_truth(found: LabelTable, path: str | os.PathLike) -> LabelTable:
    """The table with its truth taken from another: a survey's catalogue.parquet, targets.parquet, or what went into a mock survey.

    Rows are matched by apogee_id, and location_id where both have it. {label}_true and {label}_true_err become the other table's
    {label} and {label}_err (NaN where it has not the star); what the table does not know of split, cluster, starflag, aspcapflag,
    vscatter and S/N (of combined spectra) is filled in. `truth` in its metadata names the file. Raises ResurveyError when no star is in both.
    """
    path = Path(path)
    frame, _ = read_frame(path)
    names = {
        name: next((option for option in options if option in frame), None) for name, options in layouts.COMMON.items()
    }
    labels = [label for label in found.labels if label in frame]
    if not names["apogee_id"] or not labels:
        raise ResurveyError(
            f"{path}: no truth is in it: needed are apogee_id and labels such as teff; it has {', '.join(map(str, frame.columns[:30]))}"
        )
    if names["visit"]:
        frame = frame[frame[names["visit"]] == 0]
    keys = [
        "apogee_id",
        *(["location_id"] if names["location_id"] and found.table["location_id"].notna().all() else []),
    ]
    other = pd.DataFrame({key: frame[names[key]] for key in keys})
    other["apogee_id"] = _text(other["apogee_id"])
    for label in labels:
        other[f"{label}_true"] = _numbers(frame[label], path)
        other[f"{label}_true_err"] = _numbers(frame[f"{label}_err"], path) if f"{label}_err" in frame else np.nan
    filled = [name for name in ("split", "cluster", "starflag", "aspcapflag", "vscatter", "sn_median") if names[name]]
    for name in filled:
        other[name] = frame[names[name]].to_numpy()
    matched = found.table[keys].merge(other.drop_duplicates(keys), "left", keys, indicator=True)
    here = (matched["_merge"] == "both").to_numpy()
    if not here.any():
        raise ResurveyError(
            f"{path}: has none of the stars of these predictions, e.g. {found.table['apogee_id'].iloc[0]}"
        )
    table = found.table.copy()
    for label in found.labels:
        for part in ("true", "true_err"):
            name = f"{label}_{part}"
            table[name] = matched[name].to_numpy() if name in matched else np.nan
    combined = (table["visit"] == 0).to_numpy()
    for name in filled:
        may = table[name].isna() & (combined if name in ("sn_median", "split") else True)
        table[name] = table[name].where(~may, pd.Series(matched[name].to_numpy(), table.index))
        if name in layouts.TEXT:
            table[name] = table[name].astype(object).where(table[name].notna(), None)
    left = [
        *found.left_out,
        {"file": str(path), "n": int((~here).sum()), "reason": "spectra whose star is not in it have no truth"},
    ]
    return LabelTable(
        table, found.labels, {**found.meta, "truth": path.name}, left if not here.all() else found.left_out
    )
