"""Table 4: every network with its parameters, training spectra, best validation loss, and accuracy or MAE."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import booktabs
from resurvey.figures.inputs import Inputs


def data(inputs: Inputs) -> pd.DataFrame:
    """One row per network; `paper_loss` and `paper_value` as printed."""
    printed = {(e["of"], e["class"]): e["printed"] for e in inputs.paper.expected}
    rows = []
    for network in sorted(inputs.networks, key=lambda n: (n.role != "classifier", n.role == "point", _number(n.name))):
        best, label = network.best, network.label or "classifier"
        key = "val_acc" if network.role == "classifier" else "val_mae"
        ensemble = network.role != "point"
        same_loss = ensemble and network.meta.get("head") != "bins"  # a cross-entropy over bins is another quantity
        rows.append(
            {
                "network": network.name,
                "class": label,
                "role": network.role,
                "parameters": network.meta.get("parameters"),
                "n_train": network.meta.get("n_train"),
                "val_loss": best["val_loss"],
                key: best.get(key),
                "paper_loss": printed.get(("val_loss", label)) if same_loss else None,
                "paper_value": printed.get((key, label)) if ensemble else None,
            }
        )
    return pd.DataFrame(rows)


def _number(name: str) -> tuple[int, str]:
    digits = "".join(c for c in name if c.isdigit())
    return (int(digits) if digits else -1, name)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """The paper's columns; in brackets what the paper prints."""

    def known(value, form: str) -> str:
        return "–" if value is None or pd.isna(value) else f"{value:{form}}"

    def value(row: dict) -> str:
        if row["role"] == "classifier":
            return f"{100 * row['val_acc']:.1f}%" + (
                f"  ({100 * float(row['paper_value']):.1f}%)" if row["paper_value"] else ""
            )
        return f"{row['val_mae']:.4f}" + (f"  ({row['paper_value']})" if row["paper_value"] else "")

    def loss(row: dict) -> str:
        paper = f"  ({1e3 * float(row['paper_loss']):.3g})" if row["paper_loss"] else ""
        value = 1e3 * row["val_loss"]
        return (f"{value:,.0f}" if value >= 1000 else f"{value:.3g}") + paper

    records = data.astype(object).where(data.notna(), None).to_dict("records")
    shown = pd.DataFrame(
        {
            "Name": [r["network"] for r in records],
            "class": [r["class"] for r in records],
            "parameters": [known(r["parameters"], ",.0f") for r in records],
            "Num": [known(r["n_train"], ",.0f") for r in records],
            "loss [$10^{-3}$] (paper)": [loss(r) for r in records],
            "acc / MAE (paper)": [value(r) for r in records],
        }
    )
    return booktabs.draw(shown, meta, [1.1, 1.6, 0.85, 0.65, 1.5, 1.4], left_columns=2)
