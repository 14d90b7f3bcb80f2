"""Goals of the benchmarks that only print: their tables and lines → rows of the final table."""

import re

from machine import flags, has_bf16_units
from record import row
from resurvey.inference.predict import BOUNDS

HEADS = {"huber": "paper's head", "bins": "bins head"}


def _first(pattern: str, text: str) -> re.Match:
    found = re.search(pattern, text)
    if found is None:
        raise LookupError(f"the benchmark did not print what matches {pattern!r}")
    return found


def inference(text: str) -> list[dict]:
    """Engines against the plain torch loop, their accuracy on learned weights, two processes against one.

    The goal is of the precision that the project takes on this CPU, and higher where that has matrix units for it.
    """
    used = "bf16" if flags() & {"amx_bf16", "avx512_bf16"} else "f32"
    rows = []
    for head, name in HEADS.items():
        part = _first(rf"(?s)## {head}:.*?(?=\n## |\Z)", text)[0]
        count = _first(r"### (\d+) networks", part)[1]
        for precision in ("bf16", "f32"):
            ratio = float(_first(rf"\| openvino {precision} \| [^|]* \([^|]*\) \| ([\d.]+) \|", part)[1])
            goal = {"at_least": 6.0 if has_bf16_units() else 1.8} if precision == used else {}
            what = f"{name}, {count} networks: OpenVINO {precision} over the torch loop"
            rows.append(row(what, 1 / max(ratio, 0.005), "{:.1f} ×", **goal))
        cells = _first(r"\| openvino bf16 \|([^\n]*%[^\n]*)\|", part)[1].split("|")
        prob, changed, dz, _, sigma = (float(cell.strip().rstrip("%")) for cell in cells)
        rows += [
            row(f"{name}: bf16 changes a probability by at most", prob, "{:.2g}", at_most=BOUNDS["prob_max"], check=True),
            row(f"{name}: bf16 changes the class of", changed, "{:.2f} % of the spectra"),
            row(f"{name}: bf16 changes z/(1+z) by (median)", dz, "{:.1g}"),
            row(f"{name}: bf16 changes z by (median)", sigma, "{:.2g} σ", at_most=BOUNDS["dz_over_std_median"], check=True),
        ]  # fmt: skip
    two = float(_first(r"two processes: ([\d.]+) times one", text)[1])
    rows.append(row("spectra per second of two processes over one", two, "{:.2f} ×", at_least=1.8))
    return rows


def training(text: str) -> list[dict]:
    """Fetching a batch against a step; what bf16 and one-row 2-D convolutions gain for the paper's network."""
    fetch = _first(r"fetching a batch .*?: (\d+) µs, ([\d.]+)% of", text)
    last = text[text.rindex("### step of") :]
    rows = []
    for precision in ("float32", "bf16"):
        step = _first(rf"\| one-row 2-D {precision} \| ([\d.]+) [^|]*\| ([\d.]+) \|", last)
        rows.append(row(f"the paper's network, {precision}, per spectrum", float(step[1]), "{:.1f} ms"))
        gain = 1 / max(float(step[2]), 0.005)
        rows.append(row(f"one-row 2-D {precision} over 1-D float32", gain, "{:.1f} ×"))
    rows.append(row("fetching a batch, of the fastest step", float(fetch[2]), "{:.2f} %", at_most=1.0))
    return rows
