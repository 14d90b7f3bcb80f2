"""Tables of astroNN with a median and a σ_MAD per label, as measured and as printed."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import booktabs
from resurvey.figures.inputs import Inputs
from resurvey.metrics.label_scores import all_scores
from resurvey.surveys.apogee_labels import BY_NAME


def rows(inputs: Inputs, prefix: str, what: str) -> pd.DataFrame:
    """One row per label: `label, symbol, unit, n, median, sigma_mad, paper_median, paper_sigma_mad`; the last two are text as
    printed. prefix: of the measures in label_scores. Raises ResurveyError when the table has no such pairs; `what` names them."""
    found = inputs.labels
    scores = all_scores(found, inputs.paper)
    printed = inputs.paper.printed(found.model, found.meta)
    result = []
    for label in found.labels:
        median, spread = (scores.get((f"{prefix}_{name}", label)) for name in ("median", "sigma_mad"))
        if median is None:
            continue
        known = BY_NAME.get(label)
        entries = {name: printed.get((f"{prefix}_{name}", label), {}) for name in ("median", "sigma_mad")}
        result.append({
            "label": label,
            "symbol": known.symbol if known else label,
            "unit": known.unit if known else "",
            "n": median.n,
            "median": median.value,
            "sigma_mad": spread.value,
            **{f"paper_{name}": entry.get("printed") for name, entry in entries.items()},
        })  # fmt: skip
    if not result:
        raise ResurveyError(f"{found.model}: the table has no {what}; this table cannot be made from it")
    return pd.DataFrame(result)


def number(value: float, unit: str) -> str:
    """A label's residual with the paper's number of decimals."""
    return "–" if pd.isna(value) else f"{value:.0f}" if unit == "K" else f"{value:.3f}"


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """The paper's columns; what the paper prints stands right of each."""
    known = data.fillna("")
    shown = pd.DataFrame(
        {
            "Label": data["symbol"],
            "unit": data["unit"],
            "N": data["n"],
            "median": [number(r.median, r.unit) for r in data.itertuples(index=False)],
            "paper": known["paper_median"].replace("", "–"),
            "σMAD": [number(r.sigma_mad, r.unit) for r in data.itertuples(index=False)],
            "paper's": known["paper_sigma_mad"].replace("", "–"),
        }
    )
    return booktabs.draw(shown, meta, [0.75, 0.45, 0.75, 0.8, 0.8, 0.8, 0.8], left_columns=2)
