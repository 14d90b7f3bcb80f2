"""What each Python process of a run cost, wherever it runs: it tells itself when its interpreter ends."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

TARGET = "RESURVEY_OBSERVED"
SITE = f"""
import atexit, json, os, resource, sys, time
def _told(started=time.time()):
    used = resource.getrusage(resource.RUSAGE_SELF)
    row = {{"argv": sys.orig_argv[1:], "cpu": used.ru_utime + used.ru_stime, "wall": time.time() - started}}
    with open(os.path.join(os.environ["{TARGET}"], f"{{os.uname().nodename}}-{{os.getpid()}}-{{time.time_ns()}}.json"), "w") as handle:
        json.dump(row, handle)
atexit.register(_told)
"""


@dataclass(frozen=True)
class Process:
    """Arguments of an interpreter, its own core seconds (of its Python children, they tell), its seconds on the clock."""

    argv: list[str]
    cpu: float
    wall: float

    @property
    def command(self) -> str | None:
        """`shard` of `python -m resurvey shard …`; `snakemake`; None for other programs."""
        if self.argv[:2] == ["-m", "resurvey"] and len(self.argv) > 2:
            return self.argv[2]
        return "snakemake" if any("snakemake" in word for word in self.argv[:2]) else None


def environment(folder: Path) -> dict[str, str]:
    """The environment of a run whose processes tell into `folder`, with this interpreter's programs first."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(SITE)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(folder), TARGET: str(folder), "OMP_NUM_THREADS": "1"}


def processes(folder: Path) -> list[Process]:
    """What was told into `folder`."""
    return [Process(**json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]
