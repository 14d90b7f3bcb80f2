"""A catalogue → the tidy table: the true class's network for the paper's scores, the predicted class's for the whole chain."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from resurvey import files
from resurvey.catalogues.columns import classes_of
from resurvey.errors import ResurveyError
from resurvey.inference.calibration import calibrated
from resurvey.metrics.evaluate import Plan
from resurvey.metrics.layouts import COLUMNS, INTEGERS
from resurvey.metrics.tables import Tidy, make_label

TEXT = ("spectrum_id", "label", "class_pred")
SOURCES = ("spectrum_id", *INTEGERS, "label", "z_label", "split", "survey_class", "survey_subclass", "survey_z", "z", "z_refined", "class",
           "class_prob", "sn_median", "vdisp")  # fmt: skip


def tidy_from_catalogue(frame: pd.DataFrame, meta: dict, path: Path | str, split: bool | None = None) -> Tidy:
    """Rows of the test split (all rows where there is no split) with a true class.

    split: whether the catalogue has one, where `frame` is a part of it; None: as the frame says.
    The truth is `label` and `z_label`; where the table has no labels (own spectra), the survey's class, subclass and z.
    """
    if "class" not in frame or not {"label", "survey_class"} & set(frame.columns):
        raise ResurveyError(f"{path}: raw network outputs without the truth; give the catalogue or the tidy table made of it "
                            "(results/{run}/{dataset}/catalogues/, results/{run}/{paper}/tables/)")  # fmt: skip
    left_out = []

    def keep(frame: pd.DataFrame, good: np.ndarray, reason: str) -> pd.DataFrame:
        if not good.all():
            left_out.append({"file": str(path), "n": int((~good).sum()), "reason": reason})
        return frame[good]

    if split is None:
        split = "split" in frame and frame["split"].notna().any()
    if split:
        frame = keep(frame, (frame["split"] == "test").to_numpy(), "not in the test split")
    label = frame["label"].astype(object) if "label" in frame else pd.Series(None, frame.index, object)
    z_true = frame["z_label"].astype(float) if "z_label" in frame else pd.Series(np.nan, frame.index)
    if "survey_class" in frame:
        unknown = label.isna() & frame["survey_class"].fillna("").astype(str).str.strip().ne("")
        if unknown.any():
            survey = make_label(frame["survey_class"], frame["survey_subclass"])
            label = label.where(~unknown, survey)
            stars = frame["survey_class"].astype(str).str.strip().eq("STAR")
            z_true = z_true.where(~unknown, frame["survey_z"].astype(float).where(~stars))
    frame = frame.assign(label=label, z_true=z_true)
    frame = keep(frame, frame["label"].notna().to_numpy(), "no true class")
    if meta.get("groups"):
        group = {member: name for name, members in meta["groups"].items() for member in members}
        frame = frame.assign(label=frame["label"].map(group).astype(object))
        frame = keep(frame, frame["label"].notna().to_numpy(), "of a class that the model leaves out")
    labels, redshift, point = classes_of(frame.columns)

    def of_true_class(prefix: str, classes: list[str]) -> np.ndarray:
        values = np.full(len(frame), np.nan)
        for name in classes:
            here = (frame["label"] == name).to_numpy()
            values[here] = frame[f"{prefix}{name}"].to_numpy(float)[here]
        return values

    std = of_true_class("z_std_", redshift)
    err = np.full(len(frame), np.nan)
    for name in redshift:
        here = (frame["label"] == name).to_numpy()
        err[here] = calibrated(std[here], name, meta.get("calibration"))
    table = frame.assign(
        z_pred=of_true_class("z_", redshift),
        z_std=std,
        z_err=err,
        z_point=of_true_class("z_point_", point),
        z_chain=frame["z"].astype(float),
        z_refined=frame["z_refined"].astype(float) if "z_refined" in frame else np.nan,
        class_pred=frame["class"].astype(object).where(frame["class"].notna(), None),
        prob=frame["class_prob"].astype(float),
    )
    missing = {name: np.nan for name in COLUMNS if name not in table}
    return Tidy(table.assign(**missing)[COLUMNS].reset_index(drop=True), {**meta, "labels": labels}, left_out)


def evaluation(catalogue: str | os.PathLike, meta: dict) -> Plan:
    """How a catalogue of classes and redshifts becomes a tidy table: the rows of its test split, all where it has none."""
    schema = files.open_parquet(catalogue).schema_arrow
    names = schema.names
    columns = [n for n in names if n in SOURCES or n.startswith(("prob_", "z_std_", "z_point_"))]
    columns += [f"z_{label}" for label in classes_of(names)[1]]
    split = "split" in names and any(t["split"].null_count < len(t) for t in files.row_groups(catalogue, ["split"]))
    tidy_schema = pa.schema([(name, _kind(name, schema)) for name in COLUMNS])

    def convert(table: pa.Table) -> tuple[pa.Table, dict[str, int]]:
        tidy = tidy_from_catalogue(table.to_pandas(), meta, catalogue, split)
        left = {entry["reason"]: entry["n"] for entry in tidy.left_out}
        return pa.Table.from_pandas(tidy.table, tidy_schema, preserve_index=False), left

    return Plan(columns, tidy_schema, convert, {"labels": classes_of(names)[0]})


def _kind(name: str, catalogue: pa.Schema) -> pa.DataType:
    if name in TEXT:
        return pa.string()
    return catalogue.field(name).type if name in (*INTEGERS, "sn_median", "vdisp") else pa.float64()
