"""Baseline of transfer: a model on the real SDSS spectra beside the checkout, against the survey's own labels.

`python tests/benchmarks/real_spectra.py MODEL` prints Markdown tables. Read are the files of kind spectrum-* in
$RESURVEY_SHARED/real (default ../shared) that MANIFEST.csv calls sdss, without sky fibres and without spectra whose ZWARNING is
set (a file without the flag counts), and the 74 spectra of published/gasnet3, which have no flag either.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

SHARED = Path(os.environ.get("RESURVEY_SHARED", Path(__file__).parents[3] / "shared"))
CLASSES = ["STAR", "GALAXY", "QSO"]
WITHIN = (0.0015, 0.01, 0.015, 0.05)


def labelled() -> tuple[list[str], pd.DataFrame]:
    """(files to predict, `spectrum_id, true, z_true, set` of the spectra that count, each spectrum once)."""
    manifest = pd.read_csv(SHARED / "real/MANIFEST.csv", keep_default_na=False)
    kinds = manifest["kind"].str.startswith("spectrum-") & (manifest["kind"] != "spectrum-sky-fibre")
    rows = manifest[(manifest["survey"] == "sdss") & kinds & manifest["zwarning"].isin(["", "0", "0.0"])]
    files = [str(SHARED / "real" / path) for path in rows["path"]]
    own = pd.DataFrame({
        "spectrum_id": rows["object_id"],
        "true": rows["class"],
        "z_true": pd.to_numeric(rows["z"]),
        "set": "real/sdss",
    })  # fmt: skip
    from astropy.table import Table

    stacked = SHARED / "published/gasnet3/sdss_real_spectra.fits"
    table = Table.read(stacked, 1)
    ids = [f"{p:04d}-{m}-{f:04d}" for p, m, f in zip(table["PLATE"], table["MJD"], table["FIBERID"], strict=True)]
    others = pd.DataFrame({
        "spectrum_id": ids,
        "true": np.char.strip(np.asarray(table["CLASS"]).astype(str)),
        "z_true": np.asarray(table["Z"], float),
        "set": "published/gasnet3",
    })  # fmt: skip
    return [*files, str(stacked)], pd.concat([own, others]).drop_duplicates("spectrum_id")


def predicted(files: list[str], model: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What `resurvey predict` writes for the files: rows and rejected rows."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.parquet")
        command = [sys.executable, "-m", "resurvey.cli", "predict", *files, "--model", model, "--out", str(out)]
        code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        if code:  # what is wrong has been said in one line
            sys.exit(code)
        return pd.read_parquet(out), pd.read_parquet(out.with_name("out.rejected.parquet"))


def given_class(rows: pd.DataFrame) -> np.ndarray:
    """Redshift of the most probable subclass within the true class: the labels' subclasses are not always the networks'."""
    z = np.full(len(rows), np.nan)
    for name in ("GALAXY", "QSO"):
        labels = [c.removeprefix("z_std_") for c in rows.columns if c.startswith(f"z_std_{name}_")]
        if not labels:
            continue  # a model without redshifts of these classes
        best = rows[[f"prob_{label}" for label in labels]].to_numpy().argmax(1)
        values = rows[[f"z_{label}" for label in labels]].to_numpy()[np.arange(len(rows)), best]
        z = np.where(rows["true"] == name, values, z)
    return z


def class_table(rows: pd.DataFrame) -> str:
    """Confusion matrix, rows true, with the fraction of each class recognised."""
    lines = [f"| true \\ predicted | {' | '.join(CLASSES)} | N | recognised |", "|---" * 6 + "|"]
    for name in CLASSES:
        mine = rows.loc[rows["true"] == name, "ours"]
        counts = [int((mine == other).sum()) for other in CLASSES]
        lines.append(f"| {name} | {' | '.join(map(str, counts))} | {len(mine)} | {(mine == name).mean():.3f} |")
    right = (rows["true"] == rows["ours"]).mean()
    return "\n".join([*lines, f"| all | | | | {len(rows)} | {right:.3f} |"])


def redshift_table(rows: pd.DataFrame) -> str:
    """Median |Δ ln(1+z)| and fractions within WITHIN; a redshift that the chain does not give is within none."""
    lines = [f"| class | network | N | without z | median | {' | '.join(f'< {w:g}' for w in WITHIN)} |"]
    lines.append("|---" * (5 + len(WITHIN)) + "|")
    for name in ("GALAXY", "QSO"):
        mine = rows[rows["true"] == name]
        for words, z in (("of the true class", given_class(mine)), ("whole chain", mine["z"].to_numpy(float))):
            with np.errstate(invalid="ignore"):
                off = np.abs(np.log((1 + z) / (1 + mine["z_true"].to_numpy())))
            off = np.where(np.isfinite(off), off, np.inf)
            parts = " | ".join(f"{(off < w).mean():.3f}" for w in WITHIN)
            missing = int(np.isnan(z.astype(float)).sum())
            median = f"{np.median(off):.2g}" if np.isfinite(np.median(off)) else "–"
            lines.append(f"| {name} | {words} | {len(mine)} | {missing} | {median} | {parts} |")
    return "\n".join(lines)


def main(model: str) -> None:
    """Print the tables of real/sdss alone and with the released table of spectra."""
    files, truth = labelled()
    rows, rejected = predicted(files, model)
    rows = truth.merge(rows, on="spectrum_id", how="left", validate="one_to_one")
    lost = rows["class"].isna()
    print(f"{len(truth)} labelled spectra, {lost.sum()} without a prediction\n")
    for reason in rejected["reason"]:
        print(f"- not used: {reason}")
    rows = rows[~lost].assign(ours=rows["class"].str.split("_").str[0])
    for title, part in (("real/sdss", rows[rows["set"] == "real/sdss"]), ("with published/gasnet3", rows)):
        print(f"**{title}: {len(part)} spectra**\n\n{class_table(part)}\n\n{redshift_table(part)}\n")


if __name__ == "__main__":
    main(sys.argv[1])
