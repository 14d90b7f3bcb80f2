"""Table 3 of astroNN: what smaller training sets cost, on visits of the training stars (as the authors made it) and of the test stars
(as the text says)."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import booktabs
from resurvey.figures.astronn_residuals import number
from resurvey.figures.inputs import Inputs
from resurvey.metrics.label_scores import all_scores
from resurvey.surveys.apogee_labels import BY_NAME

SETS = {"train_visits": "training stars' visits", "test_visits": "test stars' visits"}
LABELS = ("teff", "logg", "fe_h")


def data(inputs: Inputs) -> pd.DataFrame:
    """One row per model, set of visits and label: `model, n_train, set, label, n, median, sigma_mad, paper_median, paper_sigma_mad`.

    n_train: spectra of training and validation. Models that the paper's Table 3 does not list are left out; the first is its whole
    training set. Raises ResurveyError when no model is left.
    """
    rows = []
    for found in inputs.label_tables:
        printed = inputs.paper.printed(found.model, found.meta)
        if ("train_visits_median", LABELS[0]) not in printed:
            continue
        scores = all_scores(found, inputs.paper)
        for name in SETS:
            for label in LABELS:
                median = scores.get((f"{name}_median", label))
                if median is None:
                    continue
                quantities = ("median", "sigma_mad")
                rows.append({
                    "model": found.model,
                    "n_train": _sample(found.meta),
                    "set": name,
                    "label": label,
                    "n": median.n,
                    **{q: scores[f"{name}_{q}", label].value for q in quantities},
                    **{f"paper_{q}": printed.get((f"{name}_{q}", label), {}).get("printed") for q in quantities},
                })  # fmt: skip
    if not rows:
        given = ", ".join(found.model for found in inputs.label_tables)
        raise ResurveyError(
            f"no model of Table 3 with individual visits is among {given}; give the tables of the paper's models"
        )
    return pd.DataFrame(rows)


def _sample(meta: dict) -> int | None:
    """Spectra of training and validation together, as the paper counts; None where the table does not say."""
    counts = [sum((meta.get(key) or {}).values()) for key in ("n_train", "n_valid")]
    return sum(counts) or None


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A line per model and set: median / σMAD of each label, as measured and in brackets as printed."""
    lines = []
    for (model, name), rows in data.groupby(["model", "set"], sort=False):
        stars = rows["n_train"].iloc[0]
        line = {
            "network": model,
            "trained on": "–" if pd.isna(stars) else f"{stars:.0f}",
            "tested on": SETS[name],
            "N": rows["n"].max(),
        }
        for label in LABELS:
            here = rows[rows["label"] == label]
            unit, symbol = BY_NAME[label].unit, BY_NAME[label].symbol
            if here.empty:
                line[f"{symbol} [{unit}]"] = "–"
                continue
            row = here.iloc[0]
            paper = f"  ({row['paper_median']} / {row['paper_sigma_mad']})" if row["paper_median"] else ""
            line[f"{symbol} [{unit}]"] = f"{number(row['median'], unit)} / {number(row['sigma_mad'], unit)}{paper}"
        lines.append(line)
    return booktabs.draw(
        pd.DataFrame(lines), {**meta, "model": None}, [1.25, 0.7, 1.45, 0.6, 1.35, 2.0, 2.0], left_columns=1
    )
