"""What a Slurm job costs beside its command, plain, as job arrays and as groups: two stages of some tiny shards.

    python tests/slurm/cluster.py start
    python tests/slurm/overhead.py [--shards 24] [--modes plain array group] [--scratch DIR]

Runs after full_release.py, in its copy and on its archive. Each mode fetches and makes the same shards in a run of its own. Core seconds
are told by each Python process (tests/benchmarks/observe.py): those of Snakemake within the jobs and those of the commands.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from full_release import command

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from observe import environment, processes

OPTIONS = {
    "plain": [],
    "array": ["--slurm-array-jobs", "fetch, shard", "--slurm-array-limit", "100"],
    "group": [
        "--groups",
        "fetch=part",
        "shard=part",
        "--group-components",
        "part=8",
        "--set-resources",
        "fetch:runtime=20",
        "shard:runtime=20",
    ],  # a group asks for its jobs' runtimes in all: 56 h as they are
}


def measure(mode: str, shards: int, scratch: Path) -> str:
    """A row of the table: submissions, seconds, core seconds of Snakemake in the jobs and of the commands, per shard."""
    copy, told = scratch / "main", scratch / f"told_{mode}_{time.time_ns()}"
    run = f"overhead_{mode}_{time.time_ns()}"
    base = [f"run={run}" if word.startswith("run=") else word for word in command(scratch / "archive", 2000)]
    at = base.index("--config")
    prepared = [f"results/{run}/sdss_dr16_all/plan.parquet"]
    wanted = [f"results/{run}/sdss_dr16_all/shards/{number:04d}.parquet" for number in range(shards)]
    subprocess.run([*base[:at], *prepared, "--quiet", "all", *base[at:]], cwd=copy, env=environment(told), check=True)
    for path in told.glob("*.json"):
        path.unlink()
    more = ["--profile", "slurm", "--resources", f"downloads={shards}", *OPTIONS[mode]]
    started = time.perf_counter()
    done = subprocess.run(
        [*base[:at], *wanted, *more, *base[at:]], cwd=copy, env=environment(told), capture_output=True, text=True
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    found = processes(told)
    inner = sum(p.cpu for p in found if p.command == "snakemake")
    commands = sum(p.cpu for p in found if p.command not in ("snakemake", None))
    master = max((p for p in found if p.command == "snakemake"), key=lambda p: p.wall).cpu
    submitted = len(re.findall(r"has been submitted|submitted with SLURM", done.stderr))
    ids = len(set(re.findall(r"SLURM jobid (\d+)", done.stderr)))
    return (f"| {mode} | {2 * shards} | {submitted} ({ids} ids) | {seconds:.0f} | {(inner - master) / (2 * shards):.1f} | "
            f"{commands / (2 * shards):.1f} | {os.getloadavg()[0]:.1f} |")  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shards", type=int, default=24)
    parser.add_argument("--modes", nargs="+", choices=OPTIONS, default=list(OPTIONS))
    parser.add_argument("--scratch", type=Path, default=Path("/tmp/resurvey-full-release"))
    args = parser.parse_args()
    print(
        "| mode | jobs | submissions | s | core s of Snakemake a job | core s of its command | load |\n|---|---|---|---|---|---|---|"
    )
    for mode in args.modes:
        print(measure(mode, args.shards, args.scratch), flush=True)


if __name__ == "__main__":
    main()
