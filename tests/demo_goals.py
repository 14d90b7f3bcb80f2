"""Whether the demo's networks have learned: `python tests/demo_goals.py results/demo` reads its scorecard, prints goals and results.

Exit code 1 when a goal is missed. The baselines stand beside: the majority class or median redshift, and PCA with a linear model.
"""

import sys
from pathlib import Path

import pandas as pd

CLASSIFIER, REDSHIFTS = "gasnet2_sdss", "gasnet2_sdss_zpdf"
GOALS = [  # model, quantity, class, at least
    (CLASSIFIER, "average_accuracy", "all", 0.80),
    (CLASSIFIER, "average_accuracy_3", "all", 0.985),
    (REDSHIFTS, "mc_gf", "GALAXY_nan", 0.75),
    (REDSHIFTS, "mc_gf", "GALAXY_AGN", 0.90),
    (REDSHIFTS, "mc_gf", "GALAXY_STARBURST", 0.90),
    (REDSHIFTS, "mc_gf", "GALAXY_STARFORMING", 0.90),
    (REDSHIFTS, "mc_gf", "QSO_BROADLINE", 0.90),
    (REDSHIFTS, "mc_gf", "QSO_nan", 0.85),
]
TOO_EASY = 0.99  # a mock survey on which 13 classes are told apart this well teaches nothing


def main(folder: Path) -> int:
    card = pd.read_csv(folder / "gasnet2" / "scorecard.csv").set_index(["model", "quantity", "class"]).sort_index()
    missed = 0
    print(f"{'quantity':<20} {'class':<20} {'goal':>6} {'ours':>7} {'majority':>9} {'PCA+lin':>8} {'N':>6}")
    for model, quantity, label, goal in GOALS:
        row = card.loc[(model, quantity, label)]
        reached = row["ours"] >= goal
        missed += not reached
        print(
            f"{quantity:<20} {label:<20} {goal:>6.3f} {row['ours']:>7.4f} {row['majority_or_median']:>9.3f} "
            f"{row['pca_linear']:>8.3f} {row['n']:>6.0f}{'' if reached else '   MISSED'}"
        )
    if card.loc[(CLASSIFIER, "average_accuracy", "all"), "ours"] >= TOO_EASY:
        print(f"the mock survey is too easy: 13-class accuracy is at least {TOO_EASY}")
        missed += 1
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
