"""How long Snakemake takes to find out what is to be done, and in how much memory: `snakemake -n` by number of shards.

    python tests/benchmarks/bench_graph.py [--shards 100 1000 2000 9999] [--rounds 3]

The graph is that of a full release (preset full) from nothing: both models of the paper, its sample in its own shards, and the whole
release in so many. Each shard is three jobs: fetch, shard, infer. A last line has the 120 members of the twelve
ensembles trained as jobs of their own, 133 trainings instead of 25.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jobs import Job, run_job
from record import record, start

GOAL_SHARDS, GOAL_SECONDS = 2000, 30.0
WHOLE = "sdss_dr16_all"


@dataclass(frozen=True)
class Graph:
    """A size of the graph: shards of the release, and whether the members of an ensemble are trained jointly."""

    shards: int
    joint: bool = True

    @property
    def name(self) -> str:
        """As tables say it."""
        return f"{self.shards} shards" + ("" if self.joint else ", members trained apart")


def dry_run(graph: Graph, scratch: Path) -> tuple[int, Job]:
    """(jobs, cost) of `snakemake -n` of a run that has made nothing yet."""
    config = {"datasets": {WHOLE: {"shards": graph.shards}}}
    if not graph.joint:
        config["models"] = {name: {"joint": False} for name in ("gasnet2_sdss", "gasnet2_sdss_zpdf")}
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--cores", "1"]
    command += [
        "--config",
        "preset=full",
        "run=bench_graph",
        *(f"{key}={json.dumps(value)}" for key, value in config.items()),
    ]
    job = run_job(command, scratch)
    return int(re.search(r"^total +(\d+)$", (scratch / "job.log").read_text(), re.M)[1]), job


def main() -> None:
    """Print a table over the sizes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shards", type=int, nargs="+", default=[100, 1000, GOAL_SHARDS, 9999])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    graphs = [*map(Graph, args.shards), Graph(args.shards[0], joint=False)]
    found: dict[Graph, list[tuple[int, Job]]] = {graph: [] for graph in graphs}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.rounds):
            turn = number % len(graphs)
            for graph in graphs[turn:] + graphs[:turn]:
                found[graph].append(dry_run(graph, Path(folder)))
    print(
        f"\n### snakemake -n, {args.rounds} rounds\n\n| graph | jobs | s (min-max) | core s | peak MiB |\n|---|---|---|---|---|"
    )
    for graph, runs in found.items():
        seconds = [job.seconds for _, job in runs]
        span = f"{statistics.median(seconds):.1f} ({min(seconds):.1f}-{max(seconds):.1f})"
        print(
            f"| {graph.name} | {runs[0][0]} | {span} | {min(job.cpu for _, job in runs):.1f} | {max(job.peak for _, job in runs):.0f} |"
        )
    print()
    for graph, runs in found.items():
        goal = {"at_most": GOAL_SECONDS} if graph == Graph(GOAL_SHARDS) else {}
        record(
            f"`snakemake -n`, {graph.name}, {runs[0][0]} jobs",
            statistics.median(job.seconds for _, job in runs),
            "{:.1f} s",
            **goal,
        )
        record(f"peak memory of it, {graph.name}", max(job.peak for _, job in runs), "{:.0f} MiB")


if __name__ == "__main__":
    start(main)
