"""What a job's log says last: the one line that tells why it failed."""

import os
import re

TAIL = 32_768  # bytes
USER = re.compile(r"^resurvey [a-z-]+: \S")  # a ResurveyError, as the command line prints it
SLURM = re.compile(r"^(slurmstepd|srun|sbatch): error: ")
EXCEPTION = re.compile(
    r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Stopped|Exit|Killed)\b|^MemoryError$|^\w+\.Stopped\b"
)
OTHER = re.compile(r"\b(Killed|Segmentation fault|Bus error|Out of memory|No space left|command not found|Aborted)\b")  # fmt: skip


def tail(path: str | os.PathLike) -> list[str]:
    """The last lines of a log, progress bars as they stood last; [] where there is none."""
    try:
        with open(path, "rb") as handle:
            handle.seek(max(0, os.fstat(handle.fileno()).st_size - TAIL))
            text = handle.read().decode(errors="replace")
    except OSError:
        return []
    lines = (line.rstrip().rpartition("\r")[2] for line in text.split("\n"))
    return [line for line in lines if line.strip()]


def error_line(path: str | os.PathLike) -> str | None:
    """The line that says why the job failed: a ResurveyError's, a scheduler's kill, the last exception's; None for none."""
    lines = tail(path)
    for pattern in (USER, SLURM, EXCEPTION, OTHER):
        found = [line for line in lines if pattern.search(line)]
        if found:
            return found[-1].strip()
    return None


def last_line(path: str | os.PathLike) -> str | None:
    """`error_line`, or the last line of all; None where the log is empty or missing."""
    return error_line(path) or next((line.strip() for line in reversed(tail(path))), None)
