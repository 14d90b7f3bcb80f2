"""What Snakemake's own logs (.snakemake/log) say: when workflows ran, whether they ended, and which of their jobs failed.

A failed job stands there in up to two ways. `Error in rule …` with its log is left out under `--quiet rules`; the line
`Command '… 2> LOG' returned non-zero exit status N` is there for every job that ran on the same machine.
"""

import datetime
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

KEEP = 20  # the newest workflows that are looked at
BLOCK, COMMAND = b"\nError in rule ", b"\nCommand '"
ENDED = re.compile(rb".*[ >](\S+\.log)\b.*?' (?:returned non-zero exit status (\d+)|died with <Signals\.(\w+))")
BELOW = re.compile(rb".*\n(?:    .*\n)*")
BROKE = re.compile(rb"\nWorkflowError[^\n]*:\n((?:(?!  File ).*\n){1,30})(?:  File .*\n?)*\Z")  # and nothing after it
HOST = re.compile(rb"^  Host: (\S+)$", re.M)
STATUS = re.compile(r"SLURM status is: '(\w+)'")


@dataclass
class Failure:
    """The failures of one job, by its log: how often, when last, and what the scheduler said."""

    log: str
    when: float | None  # seconds since the epoch, where the log says it
    attempts: int = 1
    why: str = ""  # Slurm's status, or how the process ended
    slurm_log: str | None = None


@dataclass
class Workflow:
    """One start of Snakemake that planned jobs."""

    path: Path
    started: float
    written: float  # when its log last changed
    ended: bool
    host: str | None  # of the master; None where the log leaves it out (--quiet host)
    slurm: bool  # whether it submitted to Slurm
    broke: (
        str | None
    )  # what ended it before its jobs were done with, as an error in its rules; None too for a killed one
    failures: dict[str, Failure] = field(default_factory=dict)


def workflows(root: str | os.PathLike) -> list[Workflow]:
    """The newest workflows that ran in `root`, oldest first. Logs without jobs (dry runs, reports, unlocking) are left out."""
    found: list[Workflow] = []
    for path in sorted(Path(root, ".snakemake", "log").glob("*.snakemake.log"), reverse=True):
        workflow = _read(path)
        if workflow:
            found.append(workflow)
        if len(found) == KEEP:
            break
    return found[::-1]


def _read(path: Path) -> Workflow | None:
    try:
        text, written = path.read_bytes(), path.stat().st_mtime
    except OSError:  # cleared away meanwhile
        return None
    if b"\nJob stats:\n" not in text[:100_000]:
        return None
    ended = b"\nComplete log(s): " in text[-5000:]
    host = HOST.search(text[:5000])
    broke = None if ended else BROKE.search(text[-5000:])
    workflow = Workflow(
        path,
        started=_started(path.name) or written,
        written=written,
        ended=ended,
        host=host and host[1].decode(),
        slurm=b"\nSLURM run ID" in text,
        broke=broke and " ".join(broke[1].decode(errors="replace").split()),
    )
    blocks: dict[str, list[Failure]] = {}
    for place in _places(text, BLOCK):
        failure = _block(text, place + 1)
        blocks.setdefault(failure.log, []).append(failure)
    commands: dict[str, list[Failure]] = {}
    for place in _places(text, COMMAND):
        match = ENDED.match(text[place + 1 : text.find(b"\n", place + 1)])
        if match:
            failure = Failure(match[1].decode(), None, why=_exit(match[2], match[3]))
            commands.setdefault(failure.log, []).append(failure)
    for log in {**blocks, **commands}:
        told, ran = blocks.get(log, []), commands.get(log, [])
        last = (told or ran)[-1]
        last.attempts = max(len(told), len(ran))
        last.why = last.why or next((failure.why for failure in reversed(ran) if failure.why), "")
        workflow.failures[log] = last
    return workflow


def _places(text: bytes, word: bytes) -> Iterator[int]:
    """Where `word` stands; a search for the bare word, because logs of large runs have a hundred megabytes."""
    place = text.find(word)
    while place >= 0:
        yield place
        place = text.find(word, place + 1)


def _block(text: bytes, start: int) -> Failure:
    """The block that begins at `start`: the line before it is the time, the lines below it are indented."""
    before = text[text.rfind(b"\n", 0, start - 1) + 1 : start - 1]
    rule, *lines = BELOW.match(text, start)[0].decode(errors="replace").splitlines()
    entries = dict(line.strip().split(": ", 1) for line in lines if ": " in line and line[4:5].strip())
    logs = entries.get("log", rule).partition(" (check log file")[0].split(", ")
    message = entries.get("message", "")
    status = STATUS.search(message)
    why = (
        ""
        if status and status[1] == "FAILED"
        else f"Slurm: {status[1]}"
        if status
        else message
        if message.startswith("SLURM sbatch failed")
        else ""
    )
    return Failure(logs[0], _asctime(before), why=why, slurm_log=logs[1] if len(logs) > 1 else None)


def _exit(status: bytes | None, signal: bytes | None) -> str:
    """How a process ended, where that says more than its log: by a signal (the shell's 128 + number)."""
    if signal:
        return f"killed by {signal.decode()}"
    if status and int(status) == 137:
        return "killed (SIGKILL; the machine may have been out of memory)"
    return f"killed by signal {int(status) - 128}" if status and int(status) > 128 else ""


def _asctime(line: bytes) -> float | None:
    try:
        return datetime.datetime.strptime(line.decode(), "[%a %b %d %H:%M:%S %Y]").timestamp()
    except ValueError:
        return None


def _started(name: str) -> float | None:
    try:
        return datetime.datetime.strptime(name.removesuffix(".snakemake.log"), "%Y-%m-%dT%H%M%S.%f").timestamp()
    except ValueError:
        return None


def held_open(root: str | os.PathLike) -> bool:
    """Whether a process of this machine writes a log of `root`: its workflow runs here. Linux only; False elsewhere."""
    folder = str(Path(root, ".snakemake", "log").resolve()) + os.sep
    for process in Path("/proc").glob("[0-9]*/fd"):
        try:
            with os.scandir(process) as links:
                for link in links:
                    writes = link.stat(follow_symlinks=False).st_mode & 0o200  # someone who reads it is no master
                    if writes and os.readlink(link.path).startswith(folder):
                        return True
        except OSError:  # ended meanwhile, or another user's
            continue
    return False
