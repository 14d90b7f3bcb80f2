"""A model on real spectra with labels: classes, redshifts, refined redshifts, worst cases drawn, labels that look wrong.

    python tests/benchmarks/real_spectra.py MODEL [--templates FOLDER] [--out FOLDER] [--spectra FILE… [--labels CSV]]

Prints Markdown tables; with --out also writes rows.parquet, worst.png, and labels.png where labels look wrong. Without --spectra: the
files of kind spectrum-* in $RESURVEY_SHARED/real (default ../shared) that MANIFEST.csv calls sdss, without sky fibres and without
spectra whose ZWARNING is set (a file without the flag counts), and the 74 spectra of published/gasnet3, which have no flag
either. Labels are the survey's own, or a CSV's (spectrum_id, class, z). None is dropped, whatever it looks like.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

SHARED = Path(os.environ.get("RESURVEY_SHARED", Path(__file__).parents[3] / "shared"))
CLASSES = ["STAR", "GALAXY", "QSO"]
WITHIN = {"GALAXY": (0.0015, 0.01), "QSO": (0.015, 0.05)}  # |Δ ln(1+z)|: good, no outlier
SN_EDGES = (0, 5, 10, np.inf)
PANELS = 12  # of a figure of spectra
SUSPECT = 50.0  # by this χ² must another redshift fit better for a label to be listed
LINES = {"Lyα": 1215.67, "C IV": 1549.06, "C III]": 1908.73, "Mg II": 2799.1, "[O II]": 3728.5, "K": 3934.8, "H": 3969.6, "Hβ": 4862.7,
         "[O III]": 5008.2, "Mg b": 5176.6, "Na D": 5895.6, "Hα": 6564.6}  # fmt: skip


def protocol() -> tuple[list[str], pd.DataFrame]:
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


def given(rows: pd.DataFrame, labels: str | None) -> pd.DataFrame:
    """Truth of somebody's files: of a CSV, or what the files say themselves, without those that carry a warning."""
    if labels:
        table = pd.read_csv(labels, dtype={"spectrum_id": str}).rename(columns={"class": "true", "z": "z_true"})
    else:
        sound = rows["survey_class"].isin(CLASSES) & ~(rows["survey_zwarning"].fillna(0) > 0)
        table = rows.loc[sound].rename(columns={"survey_class": "true", "survey_z": "z_true"})
    return table[["spectrum_id", "true", "z_true"]].assign(set="given")


def predicted(files: list[str], model: str, templates: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What `resurvey predict` writes for the files: rows and rejected rows."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.parquet")
        command = [sys.executable, "-m", "resurvey.cli", "predict", *files, "--model", model, "--out", str(out)]
        command += ["--refine", templates] if templates else []
        code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        if code:  # what is wrong has been said in one line
            sys.exit(code)
        return pd.read_parquet(out), pd.read_parquet(out.with_name("out.rejected.parquet"))


def off(z: np.ndarray, true: np.ndarray) -> np.ndarray:
    """|Δ ln(1+z)|, infinite where there is no z."""
    z = np.asarray(z, float)
    with np.errstate(invalid="ignore"):
        found = np.abs(np.log((1 + z) / (1 + np.asarray(true, float))))
    return np.where(np.isfinite(found), found, np.inf)


def given_class(rows: pd.DataFrame) -> np.ndarray:
    """Redshift of the most probable subclass within the true class: the labels' subclasses are not always the networks'."""
    z = np.full(len(rows), np.nan)
    for name in ("GALAXY", "QSO"):
        labels = [
            c.removeprefix("z_std_") for c in rows.columns if c == f"z_std_{name}" or c.startswith(f"z_std_{name}_")
        ]
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


def methods(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Redshifts to be scored: by the network of the true class, of the whole chain, and refined where there are such."""
    found = {"network, true class": given_class(rows), "network, whole chain": rows["z"].to_numpy(float)}
    if "z_refined" in rows:
        found["refined, whole chain"] = rows["z_refined"].to_numpy(float)
    return found


def redshift_table(rows: pd.DataFrame) -> str:
    """Median |Δ ln(1+z)| and fractions within the limits of the class; a redshift that the chain does not give is within none."""
    lines = ["| class | redshift | N | without z | median | good | no outlier |", "|---" * 7 + "|"]
    for name, (good, far) in WITHIN.items():
        mine = rows[rows["true"] == name]
        for words, z in methods(mine).items():
            d = off(z, mine["z_true"])
            median = f"{np.median(d):.2g}" if len(d) and np.isfinite(np.median(d)) else "–"
            limits = " | ".join(f"{(d < limit).mean():.3f} (< {limit:g})" for limit in (good, far))
            lines.append(f"| {name} | {words} | {len(mine)} | {int(np.isnan(z).sum())} | {median} | {limits} |")
    return "\n".join(lines)


def by_sn(rows: pd.DataFrame) -> str:
    """Class accuracy and the whole chain's redshifts by class and median S/N per pixel."""
    best = "refined, whole chain" if "z_refined" in rows else "network, whole chain"
    lines = [f"| class | S/N | N | recognised | good ({best}) | outliers |", "|---" * 6 + "|"]
    sn = rows["sn_median"].astype(float)
    for name in CLASSES:
        bins = [(f"{low:g}-{high:g}" if np.isfinite(high) else f"> {low:g}", (sn >= low) & (sn < high))
                for low, high in pairwise(SN_EDGES)]  # fmt: skip
        for words, inside in [*bins, ("unknown", sn.isna())]:
            mine = rows[inside & (rows["true"] == name)]
            if not len(mine):
                continue
            cells = [f"{(mine['ours'] == name).mean():.3f}", "–", "–"]
            if name in WITHIN:
                d = off(methods(mine)[best], mine["z_true"])
                good, far = WITHIN[name]
                cells[1:] = [f"{(d < good).mean():.3f}", str(int((d > far).sum()))]
            lines.append(f"| {name} | {words} | {len(mine)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spectra_of(files: list[str], wanted: set[str]) -> dict:
    """{spectrum_id: Spectrum} of some spectra."""
    from resurvey.inference.own import expand
    from resurvey.surveys.registry import read_all
    from resurvey.surveys.spectrum import Spectrum

    found = {}
    for path in expand(files):
        for one in read_all(path):
            if isinstance(one, Spectrum) and one.spectrum_id in wanted:
                found.setdefault(one.spectrum_id, one)
    return found


def at_label(rows: pd.DataFrame, spectra: dict, templates: str) -> pd.DataFrame:
    """χ² of the templates of the label's class at its z and of our class at ours, over the same pixels of the spectrum itself."""
    from resurvey.inference.refine import SEARCHES, refine
    from resurvey.simulate.templates import libraries

    library, found = libraries.load(templates), []
    for _, row in rows.iterrows():
        one = spectra.get(row["spectrum_id"])
        z = row["z_refined"] if np.isfinite(row["z_refined"]) else row["z"]
        if one is None or not one.ivar_known or row["true"] not in SEARCHES or row["ours"] not in SEARCHES:
            continue
        inside = (one.wavelength > 4000) & (one.wavelength < 9000)
        flux, ivar, wave = one.flux[None, inside], one.ivar[None, inside], one.wavelength[inside]
        theirs = refine(flux, ivar, wave, np.array([[row["z_true"]]]), row["true"], library).chi2[0]
        ours = refine(flux, ivar, wave, np.array([[z]]), row["ours"], library).chi2[0]
        found.append({**row, "better": theirs - ours, "pixels": int(inside.sum())})
    table = pd.DataFrame(found, columns=[*rows.columns, "better", "pixels"])
    return table.sort_values("better", ascending=False)


def draw(rows: pd.DataFrame, spectra: dict, out: Path) -> None:
    """Spectra, smoothed, with the lines where the label (red, below) and we (blue, above) expect them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = rows[rows["spectrum_id"].isin(spectra)].head(PANELS)
    figure, axes = plt.subplots(max(len(rows), 1), 1, figsize=(10, 2.3 * max(len(rows), 1)), squeeze=False)
    for axis, (_, row) in zip(axes[:, 0], rows.iterrows(), strict=False):
        one = spectra[row["spectrum_id"]]
        flux = np.where(one.ivar > 0, one.flux, np.nan)
        smooth = pd.Series(flux).rolling(7, center=True, min_periods=1).mean().to_numpy()
        axis.plot(one.wavelength, flux, color="0.8", lw=0.4)
        axis.plot(one.wavelength, smooth, color="k", lw=0.6)
        low, high = np.nanpercentile(smooth, (0.5, 99.7))
        axis.set(ylim=(low - 0.25 * (high - low), high + 0.3 * (high - low)), xlim=(3750, 9300))
        ours = row["z_refined"] if "z_refined" in row and np.isfinite(row["z_refined"]) else row["z"]
        for z, colour, place, where in ((row["z_true"], "tab:red", 0.02, "bottom"), (ours, "tab:blue", 0.98, "top")):
            for name, rest in LINES.items():
                at = rest * (1 + (z if np.isfinite(z) else 0))
                if 3800 < at < 9250:
                    axis.axvline(at, color=colour, lw=0.5, ls=":")
                    axis.text(at, place, name, color=colour, fontsize=6, va=where, transform=axis.get_xaxis_transform())
        sn = f", S/N {row['sn_median']:.1f}" if np.isfinite(row["sn_median"]) else ""
        axis.set_title(f"{row['spectrum_id']}: label {row['true']} z = {row['z_true']:.4f} (red), ours {row['class']} "
                       f"(p = {row['class_prob']:.2f}) z = {ours:.4f} (blue){sn}", fontsize=8)  # fmt: skip
    axes[-1, 0].set_xlabel("vacuum wavelength [Å]")
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    plt.close(figure)


def worst(rows: pd.DataFrame) -> pd.DataFrame:
    """Wrong classes and redshifts outside the class's good limit in the whole chain, the furthest off first."""
    z = rows["z_refined"].fillna(rows["z"]) if "z_refined" in rows else rows["z"]
    d = np.where(rows["true"] == "STAR", 0.0, off(z, rows["z_true"]))
    limit = rows["true"].map({name: far for name, (_, far) in WITHIN.items()}).fillna(np.inf)
    bad = (rows["ours"] != rows["true"]) | (d > limit)
    return rows.assign(off=d)[bad].sort_values(["off", "class_prob"], ascending=False)


def main(argv: list[str]) -> None:
    """Print the tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="results/{run}/models/{model}")
    parser.add_argument("--spectra", nargs="+", help="files, folders or globs; without them the project's fixed set")
    parser.add_argument("--labels", help="CSV of spectrum_id, class (STAR, GALAXY, QSO), z; without it the files' own")
    parser.add_argument("--templates", help="folder of public templates: redshifts are refined")
    parser.add_argument("--out", type=Path, help="folder for rows.parquet and the figures")
    args = parser.parse_args(argv)
    files, truth = (args.spectra, None) if args.spectra else protocol()
    rows, rejected = predicted(files, args.model, args.templates)
    truth = given(rows, args.labels) if truth is None else truth
    rows = truth.merge(rows, on="spectrum_id", how="left", validate="one_to_one")
    lost = rows["class"].isna()
    print(f"{len(truth)} labelled spectra, {lost.sum()} without a prediction\n")
    for reason in rejected["reason"]:
        print(f"- not used: {reason}")
    rows = rows[~lost].assign(ours=rows["class"].str.split("_").str[0])
    first = rows[rows["set"] == "real/sdss"]
    parts = [("real/sdss", first)] if 0 < len(first) < len(rows) else []
    for title, part in [*parts, ("all", rows)]:
        print(f"**{title}: {len(part)} spectra**\n\n{class_table(part)}\n\n{redshift_table(part)}\n")
    print(by_sn(rows), end="\n\n")
    bad = worst(rows)
    print(f"Wrong class or redshift outlier: {len(bad)}\n")
    for _, row in bad.iterrows():
        refined = f", refined {row['z_refined']:.4f}" if "z_refined" in row else ""
        print(f"- {row['spectrum_id']}: {row['true']} {row['z_true']:.4f}, ours {row['class']} ({row['class_prob']:.2f}) "
              f"{row['z']:.4f}{refined}, S/N {row['sn_median']:.1f}")  # fmt: skip
    spectra = spectra_of(files, set(bad["spectrum_id"])) if args.templates or args.out else {}
    if args.templates:
        suspects = at_label(bad, spectra, args.templates)
        suspects = suspects[suspects["better"] > SUSPECT]
        print(
            f"\nLabels that look wrong (templates fit better by χ² > {SUSPECT:g} at our class and z): {len(suspects)}\n"
        )
        for _, row in suspects.iterrows():
            print(f"- {row['spectrum_id']}: {row['true']} {row['z_true']:.4f}, by {row['better']:.0f} at {row['ours']} "
                  f"{row['z_refined']:.4f} ({row['pixels']} pixels)")  # fmt: skip
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(args.out / "rows.parquet")
        draw(bad, spectra, args.out / "worst.png")
        if args.templates and len(suspects):
            draw(suspects, spectra, args.out / "labels.png")


if __name__ == "__main__":
    main(sys.argv[1:])
