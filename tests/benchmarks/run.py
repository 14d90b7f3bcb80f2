"""All benchmarks one after the other, or some by name; a table of goals and results at the end.

    python tests/benchmarks/run.py [NAME …] [--list] [--quick] [--markdown] [--saved]

Each runs in a process of its own on one thread. Ratios are medians over rounds in which the alternatives took turns. What is
found goes to results/bench.json too. The exit code is 1 where a result was wrong or a benchmark broke; a slow machine is no fault,
and a benchmark whose peer or data are not there says what to set or run and lets the others go on.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import readout
from machine import describe
from record import TARGET, UNAVAILABLE

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SAVED = ROOT / "results" / "bench.json"


@dataclass(frozen=True)
class Benchmark:
    """A script, what it is about, its arguments at smoke size, and how to read what it prints where it does not record."""

    script: str
    title: str
    quick: str
    readout: Callable[[str], list[dict]] | None = None


BENCHMARKS = {
    "reading": Benchmark("bench_reading.py", "Reading and resampling spec-lite files", "--files 20 --rounds 3"),
    "transport": Benchmark("transport.py", "HTTP clients for many small files", "--files 40 --rounds 2"),
    "training": Benchmark("bench_training.py", "Steps of a training on the CPU", "--rounds 1", readout.training),
    "inference": Benchmark(
        "bench_inference.py",
        "The classifier and six ensembles of ten",
        "--pixels 626 --members 2 --spectra 32 --rounds 2 --steps 20 --width 2",
        readout.inference,
    ),
    "continuum": Benchmark(
        "bench_continuum.py", "Continuum normalisation of APOGEE spectra", "--spectra 64 --rounds 2"
    ),
    "monte_carlo": Benchmark(
        "bench_monte_carlo.py",
        "A hundred passes of astroNN's network with dropout",
        "--stars 4 --passes 20 --rounds 1 --steps 16",
    ),
    "simulate": Benchmark("bench_simulate.py", "Mock spectra", "--spectra 256 --rounds 2"),
    "refine": Benchmark("bench_refine.py", "Redshifts refined by templates", "--spectra 4 --rounds 1"),
    "redrock": Benchmark(
        "bench_redrock.py", "redrock and our networks on the same mock spectra", "--run smoke --per-class 1"
    ),
    "redrock-4most": Benchmark(
        "bench_redrock_fourmost.py", "redrock and our networks on mock spectra of 4MOST", "--per-class 1"
    ),
    "graph": Benchmark("bench_graph.py", "What Snakemake's graph costs", "--shards 20 200 --rounds 1"),
    "merge": Benchmark("bench_merge.py", "Catalogues of up to 10⁷ rows", "--rows 4000 20000 --per-shard 1000"),
    "memory": Benchmark(
        "bench_memory.py", "Peak memory of the jobs", "--rows 30 --merge-rows 2000 --per-shard 500 --pixels 1251"
    ),
}


def run(name: str, quick: bool) -> dict:
    """Run one benchmark, its output passed on as it comes; returns its entry for results/bench.json."""
    benchmark = BENCHMARKS[name]
    threads = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    entry = {"title": benchmark.title, "quick": quick, "machine": describe(), "rows": [], "state": "done", "reason": ""}
    started, lines = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as folder:
        recorded = Path(folder, "rows.jsonl")
        recorded.touch()
        process = subprocess.Popen(
            [sys.executable, "-u", str(HERE / benchmark.script), *(benchmark.quick.split() if quick else [])],
            cwd=ROOT,
            env={**os.environ, **threads, TARGET: str(recorded)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
        code = process.wait()
        entry["rows"] = [json.loads(line) for line in recorded.read_text().splitlines()]
    entry["seconds"] = round(time.perf_counter() - started, 1)
    if code == UNAVAILABLE:
        return {**entry, "state": "missing", "reason": lines[-1].strip() if lines else "no reason given"}
    if code:
        return {**entry, "state": "broken", "reason": f"exit code {code}: {lines[-1].strip() if lines else ''}"}
    if benchmark.readout:
        try:
            entry["rows"] += benchmark.readout("".join(lines))
        except (LookupError, ValueError) as error:
            return {**entry, "state": "broken", "reason": str(error)}
    return entry


def markdown(entries: dict[str, dict]) -> str:
    """The measured part of docs/performance.md: a table per benchmark, with the machine and the command."""
    parts = []
    for name in BENCHMARKS:
        if name not in entries:
            continue
        entry = entries[name]
        where = entry["machine"]
        size = ", smoke size: no result" if entry["quick"] else ""
        command = f"python tests/benchmarks/run.py {name}{' --quick' if entry['quick'] else ''}"
        parts.append(f"### {entry['title']}{size}\n")
        parts.append(
            f"`{command}`: {entry['seconds']:.0f} s on {where['cores']} cores, {where['cpu']} ({where['capability']}; bf16 matrix "
            f"units: {'yes' if where['bf16_units'] else 'no'}), load {where['load']:.1f} before it began.\n"
        )
        if entry["state"] != "done":
            parts.append(f"Not measured: {entry['reason']}.\n")
            continue
        parts.append("| quantity | goal | measured |\n|---|---|---|")
        parts += [f"| {r['quantity']} | {r['goal'] or '–'} | {r['shown']}{mark(r)} |" for r in entry["rows"]]
        parts.append("")
    return "\n".join(parts)


def mark(found: dict) -> str:
    """What stands behind a result that misses its goal."""
    return "" if found["reached"] is not False else " (WRONG)" if found["check"] else " (missed)"


def summary(entries: dict[str, dict]) -> bool:
    """Print all goals beside the results; True when nothing is wrong."""
    print("\n## Goals and results\n\n| benchmark | quantity | goal | measured |\n|---|---|---|---|")
    right = True
    for name, entry in entries.items():
        if entry["state"] != "done":
            print(f"| {name} | {entry['state']}: {entry['reason']} | | |")
            right &= entry["state"] == "missing"
        for found in entry["rows"]:
            if found["goal"] or not any(other["goal"] for other in entry["rows"]):
                print(f"| {name} | {found['quantity']} | {found['goal'] or '–'} | {found['shown']}{mark(found)} |")
            right &= not (found["check"] and found["reached"] is False)
    return right


def saved() -> dict[str, dict]:
    """What earlier runs left in results/bench.json."""
    return json.loads(SAVED.read_text()) if SAVED.exists() else {}


def main() -> int:
    """Run what was asked for; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], epilog="what is found goes to results/bench.json"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--quick", action="store_true", help="smoke size: whether they run, not what they measure")
    parser.add_argument(
        "--markdown", action="store_true", help="at the end print the measured part of docs/performance.md"
    )
    parser.add_argument("--saved", action="store_true", help="run nothing, take what results/bench.json holds")
    args = parser.parse_args()
    unknown = sorted(set(args.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    if args.list:
        for name, benchmark in BENCHMARKS.items():
            print(f"{name:<10} {benchmark.title} ({benchmark.script})")
        return 0
    names = args.names or list(BENCHMARKS)
    if args.saved:
        entries = {name: entry for name, entry in saved().items() if name in names}
    else:
        entries = {}
        for number, name in enumerate(names, 1):
            print(f"\n# [{number}/{len(names)}] {name}: {BENCHMARKS[name].title}", flush=True)
            entries[name] = run(name, args.quick)
            SAVED.parent.mkdir(exist_ok=True)
            SAVED.write_text(json.dumps({**saved(), name: entries[name]}, indent=2, ensure_ascii=False) + "\n")
    right = summary(entries)
    if args.markdown:
        print("\n" + markdown(entries))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
