"""All measures of one table of predicted labels: {(quantity, label): Score}, each with its N and its convention in words."""

import numpy as np
import pandas as pd

from resurvey.catalogues.label_flags import LabelFlag
from resurvey.metrics import label_clusters as lc
from resurvey.metrics import label_curves
from resurvey.metrics import residuals as rs
from resurvey.metrics.label_tables import LabelTable
from resurvey.metrics.networks import Network
from resurvey.metrics.paper import LabelPaper
from resurvey.metrics.scores import Score

ALL = "all"
AGAINST_SURVEY = {  # split: which spectra its residuals are of
    "test": "combined spectra of the test stars (Tables 1, 4)",
    "valid": "combined spectra of the validation stars",
    "train_visits": "individual visits of the training stars (Table 3 as the authors made it)",
    "test_visits": "individual visits of the test stars (Table 3 as the text says)",
}
PAPERS_SPLITS = {
    "test": "Tables 1 and 4",
    "train_visits": "Table 3 as the authors made it",
    "test_visits": "Tables 2 and 3, and Fig. 11",
}
OUTSIDE = LabelFlag.OUTSIDE_TRAINING | LabelFlag.DWARF
ANCHORS = ("test_sigma_mad", "self_sigma_mad")
MEASURED = [("test_median", "test median", 3), ("test_sigma_mad", "test σMAD", 3), ("test_coverage_1", "<1σ", 3),
            ("test_coverage_2", "<2σ", 3), ("test_coverage_1 with_error", "<1σ⊕err", 3), ("self_median", "visits median", 3), ("self_sigma_mad", "visits σMAD", 3),
            ("mae_sn50", "MAE S/N 50", 3)]  # fmt: skip


def all_scores(found: LabelTable, paper: LabelPaper) -> dict[tuple[str, str], Score]:
    """Every measure that the table has the rows and columns for."""
    return {
        **_against_survey(found),
        **_against_itself(found, paper),
        **_growth(found),
        **_clusters(found, paper),
        **_seconds(found),
    }


def without_scores(found: LabelTable, paper: LabelPaper) -> list[dict]:
    """What keeps measures from being taken, as {file, n, reason}: labels that the paper does not know, which no printed number stands
    beside; no rows of any split, or not of those that some tables are of; no members of clusters."""
    others = [label for label in found.labels if label not in paper.labels]
    reasons = []
    if others:
        reasons.append(f"labels that are not among the {len(paper.labels)} of {paper.name}: {', '.join(others)}")
    if not found.table["split"].isin(AGAINST_SURVEY).any():
        reasons.append(
            f"no row is of a split, and residuals are taken by split; add a column split ({', '.join(AGAINST_SURVEY)}), "
            "test for combined spectra that no network learned from"
        )
    else:
        absent = [split for split in PAPERS_SPLITS if not (found.table["split"] == split).any()]
        reasons += [f"no row is of the split {split}: {PAPERS_SPLITS[split]} cannot be measured" for split in absent]
    if not found.table["cluster"].isin(paper.clusters).any():
        clusters = ", ".join(paper.clusters)
        reasons.append(
            f"no row is of a cluster: Figs 12, 13 and 16 cannot be measured; add a column cluster ({clusters})"
        )
    return [{"file": found.model, "n": len(found.table), "reason": reason} for reason in reasons]


def measured(rows: list[dict]) -> list[tuple[str, str, int]]:
    """What of a model's rows stands in the terminal's table: (quantity, title, decimals)."""
    return MEASURED


def _truth(found: LabelTable) -> str:
    """What the network's labels are compared with."""
    return found.meta.get("truth") or "survey"


def _residual_scores(
    name: str, label: str, rows: pd.DataFrame, reference: str, words: str
) -> dict[tuple[str, str], Score]:
    off = rs.residual(rows[f"{label}_pred"].to_numpy(float), rows[reference].to_numpy(float))
    n, left = len(off), len(rows) - len(off)
    if not n:
        return {}
    return {
        (f"{name}_median", label): Score(rs.median(off), n, f"median of {words}", left),
        (f"{name}_sigma_mad", label): Score(rs.mad_std(off), n, f"1.4826… MAD about the median of {words}", left),
    }


def _against_survey(found: LabelTable) -> dict[tuple[str, str], Score]:
    """Tables 1, 3 and 4: residuals against the survey's labels; beside them uncertainties and their coverage."""
    scores, truth = {}, _truth(found)
    for split, spectra in AGAINST_SURVEY.items():
        rows = found.table[found.table["split"] == split]
        for label in found.labels:
            words = f"network − {truth}, {spectra}"
            scores |= _residual_scores(split, label, rows, f"{label}_true", words)
            total = rows[f"{label}_total"].to_numpy(float)
            known = np.isfinite(rows[f"{label}_pred"] - rows[f"{label}_true"]).to_numpy() & np.isfinite(total)
            if known.any():
                n, left = _counts(known)
                scores[f"{split}_total", label] = Score(
                    rs.median(total[known]), n, f"median total uncertainty, {spectra}", left
                )
            scores |= _coverage(
                split, label, rows, total, f"|network − {truth}| < {{}} total uncertainty, {spectra}", ""
            )
            # e^s leaves out the errors of the labels that were learned (Eq. 7), so residuals against labels have them besides
            both = np.hypot(total, rows[f"{label}_true_err"].to_numpy(float))
            words = f"|network − {truth}| < {{}} of total uncertainty and {truth}'s error in quadrature, {spectra}"
            scores |= _coverage(split, label, rows, both, words, " with_error")
    return scores


def _counts(used: np.ndarray) -> tuple[int, int]:
    """Rows that a score is of, and rows that it leaves out."""
    return int(used.sum()), int((~used).sum())


def _coverage(
    split: str, label: str, rows: pd.DataFrame, sigma: np.ndarray, words: str, name: str
) -> dict[tuple[str, str], Score]:
    """Fractions of the rows within 1 and 2 `sigma` (n,) of their label; {} where no row has all three."""
    predicted, true = (rows[f"{label}_{part}"].to_numpy(float) for part in ("pred", "true"))
    known = np.isfinite(predicted - true) & np.isfinite(sigma)
    if not known.any():
        return {}
    n, left = _counts(known)
    scores = {}
    for k, gauss in ((1, 0.6827), (2, 0.9545)):
        convention = f"fraction with {words.format(k)}; a Gaussian gives {gauss}"
        value = rs.coverage(predicted, true, sigma, k)
        scores[f"{split}_coverage_{k}{name}", label] = Score(value, n, convention, left)
    return scores


def _against_itself(found: LabelTable, paper: LabelPaper) -> dict[tuple[str, str], Score]:
    """Table 2 and Fig. 11: individual visits of the test stars against the same network on their combined spectra."""
    rows = label_curves.self_pairs(found.table)
    if rows.empty:
        return {}
    scores = {}
    low, high = paper.mae_at_sn
    words = "network on individual visits − network on the combined spectrum of the same test star"
    for label in found.labels:
        scores |= _residual_scores("self", label, rows, f"{label}_combined", words)
        value, n = label_curves.mae_at(rows, label, low, high)
        if n:
            scores["mae_sn50", label] = Score(value, n, f"median |{words}| at {low:g} ≤ S/N < {high:g}")
    return scores


def _growth(found: LabelTable) -> dict[tuple[str, str], Score]:
    """How much larger the total uncertainty is outside the training range, where the table has flags."""
    rows = found.table[(found.table["visit"] == 0) & found.table["flags"].notna()]
    outside = (rows["flags"].to_numpy(float).astype(int) & int(OUTSIDE)) != 0
    scores = {}
    for label in found.labels:
        total = rows[f"{label}_total"].to_numpy(float)
        out, inside = total[outside & np.isfinite(total)], total[~outside & np.isfinite(total)]
        if len(out) and len(inside):
            words = "median total uncertainty of combined spectra flagged OUTSIDE_TRAINING or DWARF, over that of the others"
            scores["total_ratio_outside", label] = Score(rs.median(out) / rs.median(inside), len(out), words)
    return scores


def _clusters(found: LabelTable, paper: LabelPaper) -> dict[tuple[str, str], Score]:
    """Figs 12, 13, 16 and §4.3: means and spreads of the members of star clusters."""
    scores = {}
    for cluster in paper.clusters:
        stars = lc.members(found.table, cluster)
        if stars.empty:
            continue
        for row in lc.spreads(stars, found.labels).itertuples():
            if not row.n:
                continue
            label = row.label if row.scale == "x_h" else row.label.removesuffix("_h") + "_fe"
            who = "" if row.source == "network" else "survey_"
            stands = f"members of {cluster} with STARFLAG 0, {row.source if row.source == 'network' else _truth(found)}"
            left = len(stars) - row.n
            scores[f"{who}mean {cluster}", label] = Score(row.mean, row.n, f"mean, {stands}", left)
            scores[f"{who}spread {cluster}", label] = Score(row.spread, row.n, f"1.4826… MAD, {stands}", left)
            over = Score(row.spread_over_sqrt_n, row.n, f"1.4826… MAD / √N, {stands}", left)
            scores[f"{who}spread_over_sqrt_n {cluster}", label] = over
    spread, uncertainty, n = lc.homogeneity(found.table, paper.open_clusters, found.labels)
    if n:
        present = [name for name in paper.open_clusters if len(lc.members(found.table, name))]
        partial = len(present) < len(paper.open_clusters)
        of = f"over all [X/H] of {' and '.join(present)}"
        scores["open_cluster_spread", ALL] = Score(
            spread, n, f"mean of the spreads (1.4826… MAD) {of}", partial=partial
        )
        words = f"mean of the members' median total uncertainties {of}"
        scores["open_cluster_uncertainty", ALL] = Score(uncertainty, n, words, partial=partial)
    stars = lc.members(found.table, paper.mg_al)
    if {"mg_h", "al_h"} <= set(found.labels):
        value = rs.correlation(stars["mg_h_pred"], stars["al_h_pred"])
        if np.isfinite(value):
            words = f"Pearson's coefficient of [Al/H] with [Mg/H], members of {paper.mg_al}"
            scores[f"mg_al_correlation {paper.mg_al}", ALL] = Score(value, len(stars), words)
    return scores


def _seconds(found: LabelTable) -> dict[tuple[str, str], Score]:
    """§7.1: what a prediction costs, as the predictions say."""
    passes = found.meta.get("passes")
    n = len(found.table)
    words = {
        "with_dropout": f"seconds per spectrum with {passes} Monte Carlo passes, where it was predicted",
        "without_dropout": "seconds per spectrum without dropout, where it was predicted",
    }
    seconds = found.meta.get("seconds_per_star") or {}
    return {(f"seconds_{way}", ALL): Score(seconds[way], n, text) for way, text in words.items() if way in seconds}


def network_scores(networks: list[Network]) -> dict[tuple[str, str], Score]:
    """What the networks say of themselves: size, training set, loss and error (in units of the labels' spread) of the last epoch."""
    scores = {}
    for network in networks:
        meta, n = network.meta, int(network.meta.get("n_valid") or 0)
        for key, words in (("parameters", "trainable parameters"), ("n_train", "training spectra")):
            if meta.get(key):
                scores[key, ALL] = Score(meta[key], int(meta.get("n_train") or 0), f"{words}, {network.name}")
        for key in ("val_loss", "val_mae"):
            if key in network.history:
                value = float(network.history[key].iloc[-1])
                scores[key, ALL] = Score(
                    value, n, f"{key} of the last epoch, labels in units of their spread, {network.name}"
                )
    return scores
