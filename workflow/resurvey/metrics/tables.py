"""Any predictions file → the tidy table that scores and figures read (columns and mapping: metrics/layouts.py)."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from resurvey.errors import ResurveyError
from resurvey.metrics.frames import SUFFIXES, expanded, read_frame
from resurvey.metrics.layouts import COLUMNS, HISTORY, INTEGERS, NUMBERS, TIDY

PUBLISHED = "published"


@dataclass
class Tidy:
    """A tidy table of one model's predictions: `table` with layouts.COLUMNS (NaN or None where unknown), `meta`, and what
    was left out as {file, n, reason}."""

    table: pd.DataFrame
    meta: dict = field(default_factory=dict)
    left_out: list[dict] = field(default_factory=list)

    @property
    def model(self) -> str:
        """The model's name; `published` for files that name none."""
        return self.meta.get("model") or PUBLISHED

    @property
    def mock(self) -> bool:
        """Whether the spectra are simulated."""
        return self.meta.get("origin") == "mock"


def read_tidy(path: str | os.PathLike) -> Tidy:
    """Read one predictions file. Raises ResurveyError naming the columns found and those needed."""
    path = Path(path)
    frame, meta = read_frame(path)
    if any(name.startswith("prob_") for name in frame.columns):
        from resurvey.metrics.chain import tidy_from_catalogue

        return tidy_from_catalogue(frame, meta, path)
    return Tidy(*_mapped(frame, meta, path))


def read_all(paths: list) -> tuple[list[Tidy], dict[str, pd.DataFrame]]:
    """Read files and folders of files: one Tidy per model, and training histories (Keras CSV) by class.

    In a folder, files that are no predictions are passed over and listed in `left_out`; a file named by itself must be
    readable. Rows that stand in several files are merged when they agree. Raises ResurveyError when they do not.
    """
    tables: dict[str, list[tuple[str, Tidy]]] = {}
    histories, skipped = {}, []
    for path, named in expanded(paths):
        history = _history(path)
        if history is not None:
            histories[_history_class(path)] = history
            continue
        try:
            tidy = read_tidy(path)
        except ResurveyError as error:
            if named:
                raise
            skipped.append(
                {"file": str(path), "n": None, "reason": str(error).removeprefix(f"{path}: ").split(". ")[0]}
            )
            continue
        tables.setdefault(tidy.model, []).append((str(path), tidy))
    result = [_merged(parts) for parts in tables.values()]
    if not result and not histories:
        raise ResurveyError(f"no predictions in {', '.join(map(str, paths))}; give {', '.join(SUFFIXES)} files")
    if result:
        result[0].left_out += skipped
    return result, histories


def _mapped(frame: pd.DataFrame, meta: dict, path: Path) -> tuple[pd.DataFrame, dict]:
    """Columns by the mapping of layouts.py, labels and ids made where the file has only their parts."""
    tidy_label = "label" in frame and not pd.api.types.is_numeric_dtype(frame["label"])
    found = {}
    for name, options in TIDY.items():
        usable = [c for c in options if c in frame and not (name == "z_true" and c == "label" and tidy_label)]
        if usable:
            found[name] = frame[usable[0]]
    if tidy_label:
        found["label"] = frame["label"]
    elif "class" in found:
        subclass = found["subclass"] if "subclass" in found else pd.Series("", index=frame.index)
        found["label"] = make_label(found["class"], subclass)
    has_redshift = {"z_true", "z_pred"} <= found.keys() or {"z_true", "z_point"} <= found.keys()
    if "label" not in found or not (has_redshift or "class_pred" in found):
        needed = "; ".join(f"{name}: one of {', '.join(TIDY[name])}" for name in ("class", "z_true", "z_pred"))
        raise ResurveyError(f"{path}: not a table of predictions. It has {', '.join(map(str, frame.columns[:30]))}. "
                            f"Needed: label, or {needed}; or label and class_pred")  # fmt: skip
    table = pd.DataFrame({name: found.get(name) for name in COLUMNS}, index=frame.index)
    for name in (*NUMBERS, *INTEGERS):
        try:
            table[name] = pd.to_numeric(table[name]).astype(float)
        except (ValueError, TypeError) as error:
            raise ResurveyError(f"{path}: column for {name} is not numeric ({error})") from error
    if "spectrum_id" not in found and table[list(INTEGERS)].notna().all(axis=None):
        table["spectrum_id"] = spectrum_ids(table)
    for name in ("spectrum_id", "label", "class_pred"):
        table[name] = table[name].astype(object).where(table[name].notna(), None)
    return table.reset_index(drop=True), meta


def make_label(classes: pd.Series, subclasses: pd.Series) -> pd.Series:
    """`{CLASS}_{SUBCLASS}`, `nan` for an empty subclass; a template's name in parentheses is no part of it."""
    sub = (
        subclasses.astype(object)
        .where(subclasses.notna(), "")
        .astype(str)
        .str.replace(r"\(.*\)", "", regex=True)
        .str.strip()
    )
    sub = sub.replace({"": "nan", "None": "nan"})
    return classes.astype(str).str.strip() + "_" + sub


def spectrum_ids(table: pd.DataFrame) -> list[str]:
    """`{plate:04d}-{mjd}-{fiberid:04d}` of each row."""
    rows = table[list(INTEGERS)].astype(int).itertuples(index=False)
    return [f"{plate:04d}-{mjd}-{fiber:04d}" for plate, mjd, fiber in rows]


def _merged(parts: list[tuple[str, Tidy]]) -> Tidy:
    """The tables of one model's files under each other; rows of later files that repeat earlier ones fill their gaps."""
    first = parts[0][1]
    if len(parts) == 1:
        return first
    table, left_out = first.table, list(first.left_out)
    keys = ["label", "spectrum_id"]
    for name, tidy in parts[1:]:
        left_out += tidy.left_out
        known = pd.MultiIndex.from_frame(table[keys])
        index = pd.MultiIndex.from_frame(tidy.table[keys])
        repeated = index.isin(known) & tidy.table["spectrum_id"].notna().to_numpy()
        if repeated.any():
            table = _filled(table, tidy.table[repeated], name)
            left_out.append(
                {"file": name, "n": int(repeated.sum()), "reason": "spectra already read from another file"}
            )
        table = pd.concat([table, tidy.table[~repeated]], ignore_index=True)
    return Tidy(table, first.meta, left_out)


def _filled(table: pd.DataFrame, again: pd.DataFrame, name: str) -> pd.DataFrame:
    """`table` with the gaps filled from `again`; the predictions of both must agree."""
    again = again.drop_duplicates(["label", "spectrum_id"]).set_index(["label", "spectrum_id"])
    both = again.reindex(pd.MultiIndex.from_frame(table[["label", "spectrum_id"]]))
    for column in ("z_true", "z_pred", "z_std", "z_point"):
        old, new = table[column].to_numpy(), both[column].to_numpy(float)
        differ = np.isfinite(old) & np.isfinite(new) & (np.abs(old - new) > 1e-5)
        if differ.any():
            raise ResurveyError(f"{name}: gives other {column} for {int(differ.sum())} spectra of an earlier file; "
                                "they are different predictions: give one of the files at a time")  # fmt: skip
    filled = table.copy()
    for column in NUMBERS:
        filled[column] = table[column].where(
            table[column].notna(), pd.Series(both[column].to_numpy(), index=table.index)
        )
    return filled


def _history(path: Path) -> pd.DataFrame | None:
    """A training history in Keras' CSV (epoch, loss, …, val_loss, …), or None."""
    if not path.name.endswith(".csv") or not path.exists():
        return None
    try:
        names = pd.read_csv(path, nrows=0).columns
        return pd.read_csv(path) if set(HISTORY) <= set(names) else None
    except (ValueError, OSError):
        return None


def _history_class(path: Path) -> str:
    """The class in the file's name: `GALAXY_AGN-MC….csv` → GALAXY_AGN; `classify_model….csv` → classifier."""
    name = path.name.split("-MC")[0].split(".csv")[0]
    return "classifier" if name.startswith("classify") else name
