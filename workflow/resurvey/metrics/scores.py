"""All measures of one tidy table: {(quantity, class): Score}, each with its N and its convention in words."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from resurvey.metrics import classification as cl
from resurvey.metrics import redshift as rs
from resurvey.metrics.networks import Network
from resurvey.metrics.paper import RedshiftPaper
from resurvey.metrics.tables import PUBLISHED, Tidy


@dataclass(frozen=True)
class Score:
    """One number: its value, the number of spectra behind it, and how many had to be left out and why."""

    value: float
    n: int
    convention: str
    left_out: int = 0
    partial: bool = False  # of fewer classes than the paper's number of that name


KINDS = {
    "mc": ("z_pred", "mean of the members of the true class's ensemble"),
    "point": ("z_point", "single network of the true class"),
    "chain": ("z_chain", "network of the predicted class"),
    "refined": ("z_refined", "fit of templates for the predicted class"),
}
WHOLE = ("chain", "refined")  # of the predicted class: where it is wrong there may be no redshift, which is not good


def all_scores(tidy: Tidy, paper: RedshiftPaper) -> dict[tuple[str, str], Score]:
    """Every measure that the table has the columns for."""
    return {**class_scores(tidy, paper), **redshift_scores(tidy, paper)}


def without_scores(tidy: Tidy, paper: RedshiftPaper) -> list[dict]:
    """Rows of classes that the paper does not know, which enter no measure, as {file, n, reason}."""
    others = tidy.table.loc[~tidy.table["label"].isin(paper.labels), "label"]
    names = others.fillna("none").value_counts()
    shown = ", ".join(map(str, names.index[:5])) + (", …" if len(names) > 5 else "")
    reason = f"class is not one of the {len(paper.labels)} of {paper.name}: {shown}"
    return [{"file": tidy.model, "n": len(others), "reason": reason}] if len(others) else []


def class_scores(tidy: Tidy, paper: RedshiftPaper) -> dict[tuple[str, str], Score]:
    """Average and per-class accuracy, and those of star, galaxy and quasar; {} for a table without predicted classes."""
    table = tidy.table
    known = table["class_pred"].notna()
    if not known.any():
        return {}
    scores = {}
    inside = known & table["label"].isin(paper.labels) & table["class_pred"].isin(paper.labels)
    outside = int((~inside).sum())
    for suffix, matrix, labels, n_out, words in (
        ("", *_matrix(table[inside], paper.labels), outside, f"mean over the {len(paper.labels)} classes"),
        ("_3", *_coarse(table[known]), int((~known).sum()), "mean over star, galaxy and quasar, subclasses collapsed"),
    ):
        if not matrix.sum():
            continue
        present = int((matrix.sum(0) > 0).sum())
        words += "" if present == len(labels) else f" ({present} present)"
        total = int(matrix.sum())
        scores[f"average_accuracy{suffix}", "all"] = Score(cl.average_accuracy(matrix), total, words, n_out)
        for label, value, n in zip(labels, cl.class_accuracies(matrix), matrix.sum(0), strict=True):
            if n:
                scores[f"accuracy{suffix}", label] = Score(
                    float(value), int(n), "fraction of the true class recognised"
                )
    return scores


def _matrix(table: pd.DataFrame, labels: list[str]) -> tuple[np.ndarray, list[str]]:
    return cl.confusion(table["label"], table["class_pred"], labels), labels


def _coarse(table: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    true, predicted = (table[name].map(cl.superclass) for name in ("label", "class_pred"))
    groups = ["STAR", "GALAXY", "QSO"]
    inside = true.isin(groups) & predicted.isin(groups)
    return cl.confusion(true[inside], predicted[inside], groups), groups


def validation_mae(tidy: Tidy, paper: RedshiftPaper) -> dict[str, tuple[float, str]]:
    """Limit between robust and unstable per class, with its source: the model's own, for published predictions the paper's
    Table 4 as printed; {} when a model does not say."""
    own = tidy.meta.get("val_mae") or {}
    if tidy.model != PUBLISHED:
        return {label: (value, "the model's validation MAE") for label, value in own.items()}
    return {label: (value, "Table 4 as printed") for label, value in paper.val_mae.items()}


def robust_column(tidy: Tidy) -> str:
    """What the validation MAE is compared with: the paper's σ, for the head over bins the recalibrated error, since the width of
    its distributions cannot fall below that of a bin."""
    return "z_err" if tidy.meta.get("head") == "bins" and tidy.table["z_err"].notna().any() else "z_std"


def redshift_scores(tidy: Tidy, paper: RedshiftPaper) -> dict[tuple[str, str], Score]:
    """MAE, Δz, Good_Frac (also by S/N), NMAD, outliers, t, coverage, robust fraction per class, and means over classes."""
    scores = {}
    limits = validation_mae(tidy, paper)
    for label in paper.redshift_labels:
        rows = tidy.table[tidy.table["label"] == label]
        for kind, (column, words) in KINDS.items():
            if rows[column].notna().any():
                scores |= _one(rows, label, kind, column, words, paper)
        if rows["z_std"].notna().any():
            scores |= _uncertainty(rows, label, limits.get(label), robust_column(tidy))
    for kind in KINDS:
        for group in paper.good_fraction:
            members = [c for c in paper.redshift_labels if cl.superclass(c) == group and (f"{kind}_dz", c) in scores]
            wanted = [c for c in paper.redshift_labels if cl.superclass(c) == group]
            if members:
                values = [scores[f"{kind}_dz", c] for c in members]
                words = f"mean of the classes' Δz over {len(members)} of {len(wanted)} classes: {', '.join(members)}"
                n = sum(v.n for v in values)
                mean = float(np.mean([v.value for v in values]))
                scores[f"{kind}_mean_dz", group] = Score(mean, n, words, partial=len(members) < len(wanted))
    return scores


def _one(rows: pd.DataFrame, label: str, kind: str, column: str, words: str, paper: RedshiftPaper) -> dict:
    """Scores of one class and one kind of prediction. In the whole chain a missing redshift is not good; elsewhere it is left out."""
    good_true = np.isfinite(rows["z_true"])
    usable = good_true & np.isfinite(rows[column])
    left = int((~usable).sum())
    used = rows[usable]
    true, predicted = used["z_true"].to_numpy(float), used[column].to_numpy(float)
    limit = paper.threshold(label)
    n = len(used)
    scores = {
        (f"{kind}_mae", label): Score(rs.mean_absolute_error(true, predicted), n, f"mean |zp-zt|, {words}", left),
        (f"{kind}_dz", label): Score(rs.relative_error(true, predicted), n, f"mean |zp-zt|/(1+zt), {words}", left),
        (f"{kind}_nmad", label): Score(rs.nmad(true, predicted), n, f"1.4826 MAD of (zp-zt)/(1+zt), {words}", left),
        (f"{kind}_outliers", label): Score(rs.outlier_fraction(true, predicted), n, f"|zp-zt|/(1+zt) >= 0.01, {words}", left),
    }  # fmt: skip
    rule = f"fraction with |ln((1+zt)/(1+zp))| < {limit:g}, {words}"
    if kind in WHOLE:
        part = used["z_true"].size / max(int(good_true.sum()), 1)
        value = rs.good_fraction(true, predicted, limit) * part
        rule += "; no redshift counts as not good"
        scores[f"{kind}_gf", label] = Score(value, int(good_true.sum()), rule, int((~good_true).sum()))
        return scores
    scores[f"{kind}_gf", label] = Score(rs.good_fraction(true, predicted, limit), n, rule, left)
    for name, low, high in rs.sn_ranges(paper.snr_bins):
        here = ((used["sn_median"] >= low) & (used["sn_median"] < high)).to_numpy()
        if here.any():
            value = rs.good_fraction(true[here], predicted[here], limit)
            scores[f"{kind}_gf {name}", label] = Score(value, int(here.sum()), rule)
    return scores


def _uncertainty(rows: pd.DataFrame, label: str, limit: tuple[float, str] | None, robust: str) -> dict:
    """Scores of σ: median, robust fraction (of the column `robust`), t < 3 and coverage, also of the recalibrated error."""
    usable = np.isfinite(rows[["z_true", "z_pred", "z_std"]]).all(axis=1)
    left, used = int((~usable).sum()), rows[usable]
    true, predicted, std = (used[c].to_numpy(float) for c in ("z_true", "z_pred", "z_std"))
    n = len(used)
    scores = {
        ("t<3", label): Score(rs.coverage(true, predicted, std, 3), n, "fraction with |zt-zp|/z_std < 3", left),
        ("median_sigma", label): Score(float(np.median(std)), n, "median z_std", left),
    }
    if limit is not None:
        value, source = limit
        words = f"fraction with {robust} < {value:.4g} ({source})"
        scores["robust", label] = Score(rs.robust_fraction(used[robust].to_numpy(float), value), n, words, left)
    for column in ("z_std", "z_err"):
        sigma = used[column].to_numpy(float)
        here = np.isfinite(sigma)
        if here.any():
            for k in (1, 2, 3):
                value = rs.coverage(true[here], predicted[here], sigma[here], k)
                words = f"fraction with |zt-zp| < {k} {column}; a Gaussian gives {(0.6827, 0.9545, 0.9973)[k - 1]}"
                scores[f"coverage_{k} {column}", label] = Score(
                    value, int(here.sum()), words, int((~here).sum()) + left
                )
    return scores


def validation_scores(networks: list[Network]) -> dict[tuple[str, str], Score]:
    """Table 4 of some networks: best validation loss, accuracy or MAE. Point networks are told apart by their quantity."""
    scores = {}
    for network in networks:
        label = network.label or "classifier"
        point = "point_" if network.role == "point" else ""
        for key, value in network.best.items():
            words = {"val_loss": "minimal validation loss over the epochs", "val_acc": "maximal validation accuracy",
                     "val_mae": "minimal validation MAE in redshift"}[key]  # fmt: skip
            scores[f"{point}{key}", label] = Score(
                value, int(network.meta.get("n_valid") or 0), f"{words}, {network.name}"
            )
    return scores


MEASURED = [("mc_mae", "MAE", 5), ("mc_dz", "Δz", 5), ("mc_gf", "GF", 4), ("mc_nmad", "NMAD", 5), ("median_sigma", "med σ", 5),
            ("t<3", "t<3", 4), ("robust", "robust", 3)]  # fmt: skip
REFINED = [("refined_dz", "Δz ref.", 5), ("refined_gf", "GF ref.", 4)]
ANCHORS = ("mc_mae", "mc_gf", "t<3")


def measured(rows: list[dict]) -> list[tuple[str, str, int]]:
    """What of a model's rows stands in the terminal's table: (quantity, title, decimals)."""
    sn = list(
        dict.fromkeys(
            row["quantity"] for row in rows if row["ours"] is not None and row["quantity"].startswith("mc_gf ")
        )
    )
    refined = REFINED if any(row["quantity"] == REFINED[0][0] and row["ours"] is not None for row in rows) else []
    return MEASURED + refined + [(quantity, quantity.replace("mc_gf", "GF"), 3) for quantity in sn]
