"""A model on labelled spectra of any survey: confusion of star, galaxy and quasar, redshifts by class and S/N, the worst cases.

Tables of one model and its labels, `rows`: what `resurvey predict` writes, with `true` (STAR, GALAXY or QSO), `z_true`, `set` and `ours`
(the star, galaxy or quasar that the predicted class is).
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from resurvey.errors import ResurveyError
from resurvey.metrics.classification import superclass
from resurvey.metrics.redshift import bias

CLASSES = ["STAR", "GALAXY", "QSO"]
GOOD = {"GALAXY": 0.0015, "QSO": 0.015}  # |Δ ln(1+z)| below which a redshift is good (Zhong et al. 2024, Eq. 10) …
FAR = {"GALAXY": 0.01, "QSO": 0.05}  # … and above which it is an outlier
SN_EDGES = (0.0, 5.0, 10.0, np.inf)
NETWORK, TRUE_CLASS, REFINED = "network, whole chain", "network, true class", "refined, whole chain"


def read_labels(path: str | Path) -> pd.DataFrame:
    """`spectrum_id, true, z_true, set` out of a CSV with the columns spectrum_id, class, z and, where it has one, set.

    Raises ResurveyError naming columns that are missing, classes that are not known, galaxies or quasars without z, and ids given twice.
    """
    try:
        table = pd.read_csv(path, dtype={"spectrum_id": str, "class": str, "set": str}, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise ResurveyError(f"--labels {path}: cannot be read as CSV ({error})") from error
    missing = [name for name in ("spectrum_id", "class", "z") if name not in table]
    if missing:
        raise ResurveyError(f"--labels {path}: lacks the columns {', '.join(missing)}; it needs spectrum_id, class, z")
    wrong = table.loc[~table["class"].isin(CLASSES), "class"]
    if len(wrong):
        raise ResurveyError(f"--labels {path}: class {wrong.iloc[0]!r} is not possible; it is {', '.join(CLASSES)}")
    twice = table.loc[table["spectrum_id"].duplicated(), "spectrum_id"]
    if len(twice):
        raise ResurveyError(f"--labels {path}: {twice.iloc[0]} is given twice; leave one line of it")
    z = pd.to_numeric(table["z"], errors="coerce")
    lost = table.loc[z.isna() & (table["class"] != "STAR"), "spectrum_id"]
    if len(lost):
        raise ResurveyError(
            f"--labels {path}: {lost.iloc[0]} is no star and has no z; give it one or leave the line out"
        )
    group = table.get("set", "all")
    return pd.DataFrame({"spectrum_id": table["spectrum_id"], "true": table["class"], "z_true": z, "set": group})


def own_labels(rows: pd.DataFrame) -> pd.DataFrame:
    """The same out of what the files themselves say, without those whose survey is not sure (ZWARNING). Raises ResurveyError where
    they say nothing."""
    sound = rows["survey_class"].isin(CLASSES) & ~(rows["survey_zwarning"].fillna(0) > 0)
    sound &= rows["survey_z"].notna() | (rows["survey_class"] == "STAR")
    if not sound.any():
        raise ResurveyError("these files hold no class and redshift of their own; give them with --labels")
    table = rows.loc[sound, ["spectrum_id", "survey_class", "survey_z"]]
    return table.rename(columns={"survey_class": "true", "survey_z": "z_true"}).assign(set="all")


def labelled(labels: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """`rows` of the labels that have a prediction, in the labels' order. Raises ResurveyError where none has, or classes are of
    other kinds than CLASSES."""
    rows = labels.merge(predictions, on="spectrum_id", how="inner", validate="one_to_one")
    if rows.empty:
        asked, found = labels["spectrum_id"].iloc[0], list(predictions["spectrum_id"].head(3))
        raise ResurveyError(
            f"no label is of one of the spectra: the first label is of {asked!r}, the spectra are {', '.join(found) or 'none'} …"
        )
    ours = [superclass(label) for label in rows["class"]]
    strange = sorted(set(ours) - set(CLASSES))
    if strange:
        raise ResurveyError(
            f"the model's classes {', '.join(strange)} are none of {', '.join(CLASSES)}; it cannot be assessed"
        )
    return rows.assign(ours=ours)


def sets(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """All rows, and those of each set where there are several."""
    names = list(dict.fromkeys(rows["set"]))
    parts = {name: rows[rows["set"] == name] for name in names} if len(names) > 1 else {}
    return {**parts, "all": rows}


def off(rows: pd.DataFrame, z: np.ndarray) -> np.ndarray:
    """|Δ ln(1+z)| (n,), infinite where there is no z."""
    found = bias(rows["z_true"].to_numpy(float), np.asarray(z, float))
    return np.where(np.isfinite(found), found, np.inf)


def of_true_class(rows: pd.DataFrame) -> np.ndarray:
    """z (n,) of the most probable subclass within the true class: the labels' subclasses are not always the networks'."""
    z = np.full(len(rows), np.nan)
    for name in GOOD:
        labels = [c.removeprefix("z_std_") for c in rows if c == f"z_std_{name}" or c.startswith(f"z_std_{name}_")]
        if labels:
            best = rows[[f"prob_{label}" for label in labels]].to_numpy(float).argmax(1)
            values = rows[[f"z_{label}" for label in labels]].to_numpy(float)[np.arange(len(rows)), best]
            z = np.where(rows["true"] == name, values, z)
    return z


def refined(rows: pd.DataFrame) -> bool:
    """Whether templates were fitted to any of them."""
    return "z_refined" in rows and bool(rows["z_refined"].notna().any())


def methods(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Redshifts to be scored: of the network of the true class, of the predicted class, and refined where there are such."""
    found = {TRUE_CLASS: of_true_class(rows), NETWORK: rows["z"].to_numpy(float)}
    if refined(rows):
        found[REFINED] = rows["z_refined"].to_numpy(float)
    return found


def best_z(rows: pd.DataFrame) -> np.ndarray:
    """z (n,) of the whole chain: refined where it could be."""
    z = rows["z"].to_numpy(float)
    return np.where(rows["z_refined"].notna(), rows["z_refined"], z) if "z_refined" in rows else z


def class_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`set, true, STAR, GALAXY, QSO` (counts of predictions), `n, recognised`; `true` = all sums up each set."""
    lines = []
    for group, part in sets(rows).items():
        for name in [*CLASSES, "all"]:
            mine = part if name == "all" else part[part["true"] == name]
            counts = {other: int((mine["ours"] == other).sum()) for other in CLASSES}
            share = float((mine["ours"] == mine["true"]).mean()) if len(mine) else np.nan
            lines.append({"set": group, "true": name, **counts, "n": len(mine), "recognised": share})
    return pd.DataFrame(lines)


def redshift_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`set, class, redshift` (how it was made), `n, without_z, median` (of |Δ ln(1+z)|, infinite where half have no z), `good` and
    `outliers`: fractions below GOOD and above FAR; a redshift that the chain does not give is an outlier."""
    lines = []
    for group, part in sets(rows).items():
        for name in GOOD:
            mine = part[part["true"] == name]
            for how, z in methods(mine).items() if len(mine) else ():
                d = off(mine, z)
                lines.append({
                    "set": group, "class": name, "redshift": how, "n": len(mine), "without_z": int(np.isnan(z).sum()),
                    "median": float(np.median(d)), "good": float((d < GOOD[name]).mean()), "outliers": float((d > FAR[name]).mean()),
                })  # fmt: skip
    return pd.DataFrame(lines)


def sn_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`class, sn` (range of the median S/N per pixel), `n, recognised, good, outliers` of the whole chain, refined where it was. Every row
    stands in one line; good and outliers are NaN for stars."""
    lines, sn = [], rows["sn_median"].astype(float)
    ranges = [(f"{low:g}-{high:g}" if np.isfinite(high) else f"> {low:g}", (sn >= low) & (sn < high))
              for low, high in pairwise(SN_EDGES)]  # fmt: skip
    ranges = [("< 0", sn < 0), *ranges, ("unknown", sn.isna())]
    for name in CLASSES:
        for words, inside in ranges:
            mine = rows[inside & (rows["true"] == name)]
            if mine.empty:
                continue
            d = off(mine, best_z(mine)) if name in GOOD else np.full(len(mine), np.nan)
            good, far = (
                (float((d < GOOD[name]).mean()), float((d > FAR[name]).mean())) if name in GOOD else (np.nan, np.nan)
            )
            share = float((mine["ours"] == mine["true"]).mean())
            lines.append(
                {"class": name, "sn": words, "n": len(mine), "recognised": share, "good": good, "outliers": far}
            )
    return pd.DataFrame(lines)


def worst(rows: pd.DataFrame) -> pd.DataFrame:
    """Wrong classes and outliers of the whole chain, the furthest off first; adds `z_ours` and `off`."""
    z = best_z(rows)
    d = np.where(rows["true"] == "STAR", 0.0, off(rows, z))
    bad = (rows["ours"] != rows["true"]) | (d > rows["true"].map(FAR).fillna(np.inf))
    return rows.assign(z_ours=z, off=d)[bad].sort_values(["off", "class_prob"], ascending=False, kind="stable")


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown: fractions with three decimals, small numbers with two digits, nothing for NaN."""

    def cell(value) -> str:
        if not isinstance(value, float):
            return str(value)
        if np.isnan(value):
            return ""
        return f"{value:.3f}" if value == 0 or abs(value) >= 0.01 else f"{value:.2g}"

    head = [f"| {' | '.join(map(str, table.columns))} |", "|" + "---|" * len(table.columns)]
    return "\n".join([*head, *(f"| {' | '.join(map(cell, row))} |" for row in table.itertuples(index=False))])
