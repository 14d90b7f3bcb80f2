"""The scorecard: the paper's number, ours, the difference, with N and convention, and the baselines beside."""

import csv
import io
from collections.abc import Sequence

import pandas as pd

from resurvey.metrics.kinds import KINDS
from resurvey.metrics.networks import Network
from resurvey.metrics.paper import Paper
from resurvey.metrics.scores import Score

COLUMNS = ["quantity", "class", "paper", "ours", "difference", "n", "left_out", "majority_or_median", "pca_linear", "convention",
           "source", "note", "model", "head", "survey"]  # fmt: skip


def survey_words(meta: dict) -> str:
    """What the spectra are, so that a mock survey's numbers cannot be read as the sky's."""
    origin, release = meta.get("origin"), meta.get("release") or "unknown release"
    if origin == "mock":
        return f"MOCK SURVEY in the layout of {release}, not the sky"
    if origin == "real":
        return f"real, {release}"
    return "it does not say of which survey" if meta.get("file") else "as published by the authors"


def scorecard(
    paper: Paper, tables: list, networks: dict[str, list[Network]], baselines: Sequence[dict] = ()
) -> list[dict]:
    """Rows with COLUMNS: for every model all that could be measured, then what the paper prints and could not be.

    tables: of the paper's kind, one per model; networks: by model name; baselines: contents of the `baselines`
    command's files; beside a model stand those of its own dataset.
    Values are unrounded.
    """
    kind = KINDS[paper.kind]
    rows = []
    models = list(dict.fromkeys([t.model for t in tables] + list(networks)))
    by_model = {t.model: t for t in tables}
    for model in models:
        table = by_model.get(model)
        trained = networks.get(model, [])
        meta = (table.meta if table else None) or next((n.meta for n in trained if n.meta), {})
        own = paper.of(meta.get("dataset")).grouped(meta.get("groups"))
        scores = {**(kind.scores(table, own) if table else {}), **kind.network_scores(trained)}
        printed = own.printed(model, meta)
        base = {"model": model, "head": meta.get("head"), "survey": survey_words(meta)}
        same_test = next((given for given in baselines if _same_spectra(given, meta)), {})
        rows += [
            _row(key, score, printed.get(key), _beside(same_test, paper, key), base) for key, score in scores.items()
        ]
        rows += [_row(key, None, entry, (None, None), base) for key, entry in printed.items() if key not in scores]
    return rows


def _same_spectra(baselines: dict, meta: dict) -> bool:
    """Whether the baselines were scored on the test spectra of this model, and on its classes; not where no model is named."""
    return (
        bool(meta.get("model")) and not meta.get("groups") and baselines.get("dataset") in (None, meta.get("dataset"))
    )


def _beside(baselines: dict, paper: Paper, key: tuple[str, str]) -> tuple[float | None, float | None]:
    """The two baselines' values of a quantity."""
    quantity, label = paper.baseline(key[0]), key[1]
    return tuple(baselines.get(name, {}).get(quantity, {}).get(label) for name in ("trivial", "pca_linear"))


def _row(key: tuple[str, str], score: Score | None, entry: dict | None, beside: tuple, base: dict) -> dict:
    quantity, label = key
    printed = float(entry["printed"]) if entry else None
    return {
        "quantity": quantity,
        "class": label,
        "paper": entry["printed"] if entry else None,
        "ours": score.value if score else None,
        "difference": score.value - printed if score and entry and not score.partial else None,
        "n": score.n if score else 0,
        "left_out": score.left_out if score else 0,
        "majority_or_median": beside[0],
        "pca_linear": beside[1],
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


def to_text(rows: list[dict], left_out: list[dict], paper: Paper) -> str:
    """For the terminal: per model the measures by class, then the paper's numbers beside ours, then what was left out."""
    kind, blocks = KINDS[paper.kind], []
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        head = f", {mine[0]['head']} head" if mine[0]["head"] else ""
        blocks.append(f"{model}{head} — {mine[0]['survey']}")
        shown = [row for row in mine if row["paper"] is not None or kind.beside(row["quantity"])]
        texts = (_measured(mine, kind.measured(mine), kind.anchors), _compared(shown), _unmeasured(mine))
        blocks += [text for text in texts if text]
    for entry in left_out:
        n = "" if entry["n"] is None else f"{entry['n']} rows: "
        blocks.append(f"left out: {entry['file']}: {n}{entry['reason']}")
    return "\n\n".join(blocks[:1] + blocks[1:])


def _measured(rows: list[dict], shown: list[tuple[str, str, int]], anchors: tuple[str, ...]) -> str:
    """Measures (quantity, title, decimals) in columns; a line for each class that has one of `anchors`, whose first gives N."""
    values = {(row["quantity"], row["class"]): row for row in rows if row["ours"] is not None}
    labels = list(dict.fromkeys(c for q, c in values if q in anchors))
    if not labels:
        return ""
    table = pd.DataFrame(
        [[f"{values[q, c]['ours']:.{d}f}" if (q, c) in values else "–" for q, _, d in shown] for c in labels],
        index=labels, columns=[title for _, title, _ in shown])  # fmt: skip
    table.insert(0, "N", [values[anchors[0], c]["n"] if (anchors[0], c) in values else "–" for c in labels])
    return table.to_string()


def _unmeasured(rows: list[dict]) -> str:
    """One line on the paper's numbers that nothing here stands beside, by quantity."""
    absent = [row["quantity"] for row in rows if row["paper"] is not None and row["ours"] is None]
    if not absent:
        return ""
    quantities = ", ".join(f"{name} ({absent.count(name)})" for name in dict.fromkeys(absent))
    return f"not measured, {len(absent)} of the numbers that the paper prints: {quantities}"


def _compared(rows: list[dict]) -> str:
    """The paper's numbers beside ours where there is one of ours; nothing where there is none."""
    lines = [("quantity", "class", "paper", "ours", "difference", "majority/median", "PCA+linear", "N", "source")]
    for row in rows:
        important = row["paper"] is not None or row["majority_or_median"] is not None
        if not important or row["ours"] is None:
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
    if len(lines) == 1:
        return ""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)
