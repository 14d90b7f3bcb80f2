"""How long Snakemake takes to find out what is to be done, and in how much memory: `snakemake -n` by number of shards.

python tests/benchmarks/bench_graph.py [--shards 20 200 2000] [--rounds 3]
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from jobs import Job, run_job
from record import record, start

GOAL_SHARDS, GOAL_SECONDS = 2000, 30.0


def dry_run(shards: int, scratch: Path) -> Job:
    """`snakemake -n` of the smoke preset with so many shards, of a run that has made nothing yet."""
    settings = json.dumps({"sdss_dr16": {"shards": shards}})
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "all", "--cores", "1"]
    command += ["--config", "preset=smoke", "run=bench_graph", f"datasets={settings}"]
    return run_job(command, scratch)


def main() -> None:
    """Print a table over the numbers of shards."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shards", type=int, nargs="+", default=[20, 200, 2000])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    found: dict[int, list[Job]] = {shards: [] for shards in args.shards}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.rounds):
            turn = number % len(args.shards)
            for shards in args.shards[turn:] + args.shards[:turn]:
                found[shards].append(dry_run(shards, Path(folder)))
    print(f"\n### snakemake -n, {args.rounds} rounds\n\n| shards | s (min-max) | peak MiB |\n|---|---|---|")
    for shards, jobs in found.items():
        seconds = [job.seconds for job in jobs]
        print(
            f"| {shards} | {statistics.median(seconds):.1f} ({min(seconds):.1f}-{max(seconds):.1f}) "
            f"| {max(job.peak for job in jobs):.0f} |"
        )
    print()
    for shards, jobs in found.items():
        seconds = statistics.median(job.seconds for job in jobs)
        goal = {"at_most": GOAL_SECONDS} if shards == GOAL_SHARDS else {}
        record(f"`snakemake -n`, {shards} shards", seconds, "{:.1f} s", **goal)
        record(f"peak memory of it, {shards} shards", max(job.peak for job in jobs), "{:.0f} MiB")


if __name__ == "__main__":
    start(main)
