"""Seconds, core seconds and peak memory of a command, children included."""

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
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as handle:
    json.dump([code, used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10), used.ru_utime + used.ru_stime], handle)
"""


@dataclass(frozen=True)
class Job:
    """What a command took: wall-clock seconds, highest resident memory of any of its processes [MiB], core seconds."""

    seconds: float
    peak: float
    cpu: float


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
    code, peak, cpu = json.loads(result.read_text())
    if code:
        raise RuntimeError(f"{' '.join(map(str, command))[:300]}: exit code {code}\n{log.read_text()[-2000:]}")
    return Job(seconds, peak, cpu)


def resurvey(*arguments: object) -> list[str]:
    """The command line of a `resurvey` command with this interpreter."""
    return [sys.executable, "-m", "resurvey", *map(str, arguments)]
