"""Whether the demo's networks have learned: `python tests/demo_goals.py results/demo` prints goals and results, paper by paper.

Exit code 1 when a goal is missed. The baselines stand beside: the majority class, median redshift or median label, and PCA with a
linear model. What star clusters are said to be is compared with what was put into the mock survey.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from resurvey.metrics.label_scores import all_scores
from resurvey.metrics.label_tables import read_label_table, with_truth
from resurvey.metrics.paper import load_paper

CLASSIFIER, REDSHIFTS, LABELS = "gasnet2_sdss", "gasnet2_sdss_zpdf", "astronn_censored"
AT_LEAST = [  # paper, model, quantity, class, goal
    ("gasnet2", CLASSIFIER, "average_accuracy", "all", 0.80),
    ("gasnet2", CLASSIFIER, "average_accuracy_3", "all", 0.985),
    ("gasnet2", REDSHIFTS, "mc_gf", "GALAXY_nan", 0.75),
    ("gasnet2", REDSHIFTS, "mc_gf", "GALAXY_AGN", 0.90),
    ("gasnet2", REDSHIFTS, "mc_gf", "GALAXY_STARBURST", 0.90),
    ("gasnet2", REDSHIFTS, "mc_gf", "GALAXY_STARFORMING", 0.90),
    ("gasnet2", REDSHIFTS, "mc_gf", "QSO_BROADLINE", 0.90),
    ("gasnet2", REDSHIFTS, "mc_gf", "QSO_nan", 0.85),
    ("astronn", LABELS, "test_coverage_1 with_error", "teff", 0.55),  # a Gaussian: 0.683
    ("astronn", LABELS, "test_coverage_1 with_error", "fe_h", 0.55),
]
AT_MOST = [
    ("astronn", LABELS, "test_sigma_mad", "teff", 60.0),  # K; PCA with a linear model: 64
    ("astronn", LABELS, "test_sigma_mad", "logg", 0.20),
    ("astronn", LABELS, "test_sigma_mad", "fe_h", 0.075),
    ("astronn", LABELS, "test_sigma_mad", "mg_h", 0.10),
    ("astronn", LABELS, "test_sigma_mad", "al_h", 0.13),
]
TOO_EASY = 0.99  # a mock survey on which 13 classes are told apart this well teaches nothing
OPEN, GLOBULAR = ("M67", "NGC 6819"), "M13"


def line(name: str, goal: str, ours: float, reached: bool, rest: str = "") -> int:
    """Print one result; 1 if its goal is missed."""
    print(f"{name:<52} {goal:>8} {ours:>8.4f} {rest}{'' if reached else '   MISSED'}")
    return 0 if reached else 1


def scores(folder: Path) -> int:
    """The goals that stand in the scorecards; returns how many are missed."""
    papers = {goal[0] for goal in AT_LEAST + AT_MOST}
    cards = {paper: pd.read_csv(folder / paper / "scorecard.csv") for paper in papers}
    cards = {paper: card.set_index(["model", "quantity", "class"]).sort_index() for paper, card in cards.items()}
    print(f"{'':<52} {'goal':>8} {'ours':>8} {'trivial':>9} {'PCA+lin':>9} {'N':>6}")
    missed = 0
    for goals, sign, better in ((AT_LEAST, "≥", np.greater_equal), (AT_MOST, "≤", np.less_equal)):
        for paper, model, quantity, label, goal in goals:
            rows = cards[paper].loc[[(model, quantity, label)]]
            row = rows.iloc[0]
            rest = f"{row['majority_or_median']:>9.3f} {row['pca_linear']:>9.3f} {row['n']:>6.0f}"
            missed += line(
                f"{quantity} {label}", f"{sign} {goal:g}", row["ours"], bool(better(row["ours"], goal)), rest
            )
    if cards["gasnet2"].loc[(CLASSIFIER, "average_accuracy", "all"), "ours"] >= TOO_EASY:
        print(f"the mock survey is too easy: 13-class accuracy is at least {TOO_EASY}")
        missed += 1
    return missed


def spread(values: pd.Series) -> float:
    """1.4826 times the median absolute deviation from the median."""
    values = values[np.isfinite(values)].to_numpy(float)
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def put_in(folder: Path) -> Path:
    """The labels that made the mock spectra."""
    return folder.parents[1] / f"resources/mock_{folder.name}/origin/truth/apogee_dr14.parquet"


def against_truth(folder: Path) -> int:
    """How often a label lies within its total uncertainty of what was put in; returns how many goals are missed."""
    found = with_truth(read_label_table(folder / "astronn" / "tables" / f"{LABELS}.parquet"), put_in(folder))
    known = {key: score.value for key, score in all_scores(found, load_paper("astronn")).items()}
    missed = 0
    for label in ("teff", "fe_h"):
        within = known["test_coverage_1", label]
        missed += line(f"{label} within 1σ of what was put in", "≥ 0.6", within, within >= 0.6)
    middle = float(np.median([value for (name, _), value in known.items() if name == "test_coverage_1"]))
    return missed + line("labels within 1σ of what was put in, median", "≥ 0.6", middle, middle >= 0.6)


def clusters(folder: Path) -> int:
    """Spreads and errors in star clusters against the truth of the mock survey; returns how many goals are missed."""
    truth = pd.read_parquet(put_in(folder)).drop_duplicates("apogee_id").set_index("apogee_id")
    table = pd.read_parquet(folder / "astronn" / "tables" / f"{LABELS}.parquet")
    table = table[
        (table["visit"] == 0) & table["cluster"].notna() & (table["starflag"] == 0)
    ]  # as the paper chooses, §4.3
    elements = [name.removesuffix("_pred") for name in table.columns if name.endswith("_h_pred")]
    members = dict(list(table.groupby("cluster")))
    known = {name: truth.loc[rows["apogee_id"]] for name, rows in members.items()}
    differences = [
        spread(members[name][f"{element}_pred"]) - spread(known[name][element]) for name in OPEN for element in elements
    ]
    missed = line(
        "open clusters: |spread − truth|, median", "≤ 0.03", (d := float(np.median(np.abs(differences)))), d <= 0.03
    )
    al = np.corrcoef(members[GLOBULAR]["al_h_pred"], known[GLOBULAR]["al_h"])[0, 1]
    missed += line("M13: correlation of [Al/H] with the truth", "≥ 0.8", al, al >= 0.8)
    ratio = spread(members[GLOBULAR]["al_h_pred"]) / np.median([spread(members[name]["al_h_pred"]) for name in OPEN])
    missed += line("[Al/H] spread of M13 over open clusters'", "≥ 3", ratio, ratio >= 3)
    for element, goal in (("al_h", 0.75), ("o_h", 0.4)):
        width = members[GLOBULAR][f"{element}_pred"].std() / known[GLOBULAR][element].std()
        name = f"standard deviation of {element} in M13 over the truth's"
        missed += line(name, f"≥ {goal:g}", width, width >= goal)
    rich = np.median([members[name]["fe_h_total"].median() for name in OPEN])
    grown = members[GLOBULAR]["fe_h_total"].median() / rich
    return missed + line("σ([Fe/H]) of metal-poor M13 / open clusters'", "≥ 2", grown, grown >= 2)


if __name__ == "__main__":
    run = Path(sys.argv[1]).absolute()
    sys.exit(1 if scores(run) + against_truth(run) + clusters(run) else 0)
