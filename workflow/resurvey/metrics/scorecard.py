"""The scorecard: the paper's number, ours, the difference, with N and convention, and the baselines beside."""

import csv
import io

import pandas as pd

from resurvey.metrics.networks import Network
from resurvey.metrics.paper import Paper
from resurvey.metrics.scores import Score, all_scores
from resurvey.metrics.tables import PUBLISHED, Tidy

COLUMNS = ["quantity", "class", "paper", "ours", "difference", "n", "left_out", "majority_or_median", "pca_linear", "convention",
           "source", "note", "model", "head", "survey"]  # fmt: skip
MEASURED = [("mc_mae", "MAE", 5), ("mc_dz", "Δz", 5), ("mc_gf", "GF", 4), ("mc_nmad", "NMAD", 5), ("median_sigma", "med σ", 5),
            ("t<3", "t<3", 4), ("robust", "robust", 3)]  # fmt: skip


def validation_scores(networks: list[Network]) -> dict[tuple[str, str], Score]:
    """Table 4 of some networks: best validation loss, accuracy or MAE. Point networks are told apart by their quantity."""
    scores = {}
    for network in networks:
        label = network.label or "classifier"
        point = "point_" if network.role == "point" else ""
        for key, value in network.best.items():
            words = {"val_loss": "minimal validation loss over the epochs", "val_acc": "maximal validation accuracy",
                     "val_mae": "minimal validation MAE in redshift"}[key]  # fmt: skip
            scores[f"{point}{key}", label] = Score(
                value, int(network.meta.get("n_valid") or 0), f"{words}, {network.name}"
            )
    return scores


def survey_words(meta: dict) -> str:
    """What the spectra are, so that a mock survey's numbers cannot be read as the sky's."""
    origin, release = meta.get("origin"), meta.get("release") or "unknown release"
    if origin == "mock":
        return f"MOCK SURVEY in the layout of {release}, not the sky"
    return f"real, {release}" if origin == "real" else "as published by the authors"


def scorecard(
    paper: Paper, tables: list[Tidy], networks: dict[str, list[Network]], baselines: dict | None
) -> list[dict]:
    """Rows with COLUMNS: for every model all that could be measured, then what the paper prints and could not be.

    networks: by model name; baselines: content of the `baselines` command's file. Values are unrounded.
    """
    rows = []
    models = list(dict.fromkeys([t.model for t in tables] + list(networks)))
    by_model = {t.model: t for t in tables}
    for model in models:
        tidy = by_model.get(model)
        trained = networks.get(model, [])
        meta = (tidy.meta if tidy else None) or next((n.meta for n in trained if n.meta), {})
        scores = {**(all_scores(tidy, paper) if tidy else {}), **validation_scores(trained)}
        expected = {(e["of"], e["class"]): e for e in paper.expected}
        base = {"model": model, "head": meta.get("head"), "survey": survey_words(meta)}
        same_test = baselines if baselines and model != PUBLISHED else {}
        if meta.get("head") == "bins":  # its loss is a cross-entropy over bins, the paper's is not
            expected = {key: e for key, e in expected.items() if key[0] != "val_loss" or key[1] == "classifier"}
        rows += [_row(key, score, expected.get(key), same_test, base) for key, score in scores.items()]
        rows += [_row(key, None, entry, {}, base) for key, entry in expected.items() if key not in scores]
    return rows


def _row(key: tuple[str, str], score: Score | None, entry: dict | None, baselines: dict, base: dict) -> dict:
    quantity, label = key
    plain = quantity.removeprefix("mc_").removeprefix("point_")  # baselines know the true class, the chain does not
    printed = float(entry["printed"]) if entry else None
    compared = quantity if quantity.startswith(("average", "accuracy")) else plain
    return {
        "quantity": quantity,
        "class": label,
        "paper": entry["printed"] if entry else None,
        "ours": score.value if score else None,
        "difference": score.value - printed if score and entry and not score.partial else None,
        "n": score.n if score else 0,
        "left_out": score.left_out if score else 0,
        "majority_or_median": baselines.get("trivial", {}).get(compared, {}).get(label),
        "pca_linear": baselines.get("pca_linear", {}).get(compared, {}).get(label),
        "convention": score.convention if score else None,
        "source": entry["source"] if entry else None,
        "note": _note(score, entry),
        **base,
    }


def _note(score: Score | None, entry: dict | None) -> str | None:
    if score is None:
        return "not measured: this model or table has no such prediction"
    if score.partial:
        return "not compared: some of the paper's classes are not in this table"
    return entry.get("note") if entry else None


def to_csv(rows: list[dict]) -> str:
    """The scorecard as CSV, full precision."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def to_text(rows: list[dict], left_out: list[dict]) -> str:
    """For the terminal: per model the measures by class, then the paper's numbers beside ours, then what was left out."""
    blocks = []
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        head = f", {mine[0]['head']} head" if mine[0]["head"] else ""
        blocks.append(f"{model}{head} — {mine[0]['survey']}")
        blocks += [text for text in (_measured(mine), _compared(mine)) if text]
    for entry in left_out:
        n = "" if entry["n"] is None else f"{entry['n']} rows: "
        blocks.append(f"left out: {entry['file']}: {n}{entry['reason']}")
    return "\n\n".join(blocks[:1] + blocks[1:])


def _measured(rows: list[dict]) -> str:
    values = {(row["quantity"], row["class"]): row for row in rows if row["ours"] is not None}
    labels = list(dict.fromkeys(c for q, c in values if q in ("mc_mae", "mc_gf", "t<3")))
    if not labels:
        return ""
    sn = list(dict.fromkeys(q for q, _ in values if q.startswith("mc_gf ")))
    shown = MEASURED + [(q, q.replace("mc_gf", "GF"), 3) for q in sn]
    table = pd.DataFrame(
        [[f"{values[q, c]['ours']:.{d}f}" if (q, c) in values else "–" for q, _, d in shown] for c in labels],
        index=labels, columns=[title for _, title, _ in shown])  # fmt: skip
    table.insert(0, "N", [values["mc_mae", c]["n"] if ("mc_mae", c) in values else "–" for c in labels])
    return table.to_string()


def _compared(rows: list[dict]) -> str:
    lines = [("quantity", "class", "paper", "ours", "difference", "majority/median", "PCA+linear", "N", "source")]
    for row in rows:
        important = row["paper"] is not None or row["majority_or_median"] is not None
        if not important:
            continue
        digits = len(str(row["paper"]).partition(".")[2]) + 1 if row["paper"] else 4
        ours, diff, trivial, linear = (
            "–" if row[k] is None else f"{row[k]:{s}.{digits}f}"
            for k, s in (("ours", ""), ("difference", "+"), ("majority_or_median", ""), ("pca_linear", ""))
        )
        lines.append(
            (
                row["quantity"],
                row["class"],
                row["paper"] or "–",
                ours,
                diff,
                trivial,
                linear,
                str(row["n"]),
                row["source"] or "",
            )
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)
