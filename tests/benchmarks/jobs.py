"""Seconds and peak memory of a command, children included."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

# A process inherits the peak of the one that started it, so a small one stands between the benchmark and its job.
LAUNCHER = """
import json, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
with open(sys.argv[1], "w") as handle:
    json.dump([code, peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)], handle)
"""


@dataclass(frozen=True)
class Job:
    """What a command took: wall-clock seconds, highest resident memory of any of its processes [MiB]."""

    seconds: float
    peak: float


def run_job(command: list[str], scratch: Path, env: dict[str, str] | None = None) -> Job:
    """Run a command in the project's root on one thread. Raises RuntimeError with its last lines when it fails."""
    log, result = scratch / "job.log", scratch / "job.json"
    env = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", **(env or {})}
    started = time.perf_counter()
    with open(log, "w") as handle:
        subprocess.run(
            [sys.executable, "-S", "-c", LAUNCHER, str(result), *map(str, command)],
            cwd=ROOT,
            env=env,
            stdout=handle,
            stderr=subprocess.STDOUT,
            check=True,
        )
    seconds = time.perf_counter() - started
    code, peak = json.loads(result.read_text())
    if code:
        raise RuntimeError(f"{' '.join(map(str, command))[:300]}: exit code {code}\n{log.read_text()[-2000:]}")
    return Job(seconds, peak)


def resurvey(*arguments: object) -> list[str]:
    """The command line of a `resurvey` command with this interpreter."""
    return [sys.executable, "-m", "resurvey", *map(str, arguments)]
