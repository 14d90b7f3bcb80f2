"""Table 1: the classes of the sample with mean redshift, its range and mean S/N, and the paper's values beside."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import booktabs
from resurvey.figures.inputs import Inputs


def data(inputs: Inputs) -> pd.DataFrame:
    """One row per class: counts per split, mean redshift, range, mean S/N; `paper_*` as printed."""
    rows = []
    for number, label in enumerate(inputs.paper.labels):
        part = inputs.targets[inputs.targets["label"] == label]
        printed = inputs.paper.table1.get(label, {})
        split = part["split"].value_counts() if "split" in part else {}
        has_z = part["z"].notna().any() and not label.startswith("STAR")
        rows.append(
            {
                "class": label,
                "number": number,
                "n": len(part),
                **{name: int(split.get(name, 0)) for name in ("train", "valid", "test")},
                "z_mean": part["z"].mean() if has_z else None,
                "z_min": part["z"].min() if has_z else None,
                "z_max": part["z"].max() if has_z else None,
                "sn_mean": part["sn_median"].mean() if len(part) else None,
                "paper_z_mean": printed.get("z"),
                "paper_z_min": (printed.get("range") or [None])[0],
                "paper_z_max": (printed.get("range") or [None])[-1],
                "paper_sn_mean": printed.get("sn"),
            }
        )
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """The paper's columns; in brackets what the paper prints."""

    def pair(ours, paper, form: str) -> str:
        return "–" if pd.isna(ours) else f"{ours:{form}}" + ("" if pd.isna(paper) else f"  ({paper:{form}})")

    shown = pd.DataFrame(
        {
            "class_subclass": data["class"],
            "label": data["number"],
            "train / valid / test": [f"{r.train} / {r.valid} / {r.test}" for r in data.itertuples()],
            "mean z (paper)": [pair(r.z_mean, r.paper_z_mean, ".2f") for r in data.itertuples()],
            "[z min, z max]": [
                "–" if pd.isna(r.z_min) else f"[{r.z_min:z.2f}, {r.z_max:z.2f}]" for r in data.itertuples()
            ],
            "mean S/N (paper)": [pair(r.sn_mean, r.paper_sn_mean, ".1f") for r in data.itertuples()],
        }
    )
    return booktabs.draw(shown, meta, [1.6, 0.45, 1.6, 1.15, 1.1, 1.25])
