"""What Slurm says of its jobs, partitions, nodes and accounts: its own commands, read as text.

Text and not `--json`: releases before 23.02 have that for some commands only, and its fields differ between releases. The
`key=value` lines of `scontrol -o` and chosen fields of `squeue -o` are the same from 20.02 on. Every call has a time limit:
Slurm's commands wait a minute and longer for a controller that is down.
"""

import datetime
import getpass
import re
import subprocess
from dataclasses import dataclass

from resurvey.errors import ResurveyError

SEPARATOR = "\x1f"  # names and comments may hold any printable character
TIMEOUT = 15.0  # seconds; a busy controller answers in a few


@dataclass(frozen=True)
class Job:
    """One job of the queue; a pending array is one job whose id ends in its members, `12_[1-4]`."""

    id: str
    name: str
    state: str  # PENDING, RUNNING, COMPLETED, FAILED, TIMEOUT, …
    reason: str  # why it is pending or how it ended; "" for none
    user: str
    partition: str
    workdir: str
    comment: str
    nodes: str  # "" while pending
    submitted: datetime.datetime | None
    started: datetime.datetime | None  # of a pending job: the expected start, where Slurm has one
    elapsed: int  # seconds

    @property
    def waiting(self) -> bool:
        return self.state == "PENDING"

    @property
    def finished(self) -> bool:
        """Whether it is listed only because it ended less than MinJobAge ago."""
        return self.state not in (
            "PENDING",
            "RUNNING",
            "SUSPENDED",
            "COMPLETING",
            "CONFIGURING",
            "REQUEUED",
            "RESIZING",
        )


JOB_FIELDS = "%i %j %T %r %u %P %Z %k %N %V %S %M".split()


def call(*command: str, timeout: float = TIMEOUT) -> str:
    """The standard output of one of Slurm's commands.

    Raises ResurveyError where the command is missing, does not answer within `timeout` seconds, or fails; the message holds
    what it wrote to stderr.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise ResurveyError(
            f"{command[0]}: there is no such command on this machine; log in to the cluster's login node, "
            "or load its Slurm module (module load slurm), or run without --profile slurm"
        ) from None
    except subprocess.TimeoutExpired:
        raise ResurveyError(
            f"{' '.join(command[:3])}: Slurm's controller did not answer in {timeout:g} s; see `scontrol ping`, "
            "and ask the cluster's administrators where it is down"
        ) from None
    if done.returncode:
        raise ResurveyError(f"{' '.join(command[:3])}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout


def jobs(user: str | None = None, finished: bool = False) -> list[Job]:
    """The jobs of `user` (None: who runs this) that wait or run; with `finished` also those that ended within MinJobAge.

    Raises ResurveyError as `call` does.
    """
    states = ["--states=all"] if finished else []
    text = call(
        "squeue", "--noheader", f"--user={user or getpass.getuser()}", *states, f"--format={SEPARATOR.join(JOB_FIELDS)}"
    )
    return parse_jobs(text)


def parse_jobs(text: str) -> list[Job]:
    """Jobs of `squeue --noheader --format=…` with JOB_FIELDS. Raises ResurveyError for a line of other fields."""
    found = []
    for line in filter(None, text.splitlines()):
        fields = [field.strip() for field in line.split(SEPARATOR)]
        if len(fields) != len(JOB_FIELDS):
            raise ResurveyError(f"squeue: cannot be read, {len(JOB_FIELDS)} fields were asked for: {line!r}")
        fields = ["" if field in ("(null)", "None", "N/A") else field for field in fields]
        found.append(Job(*fields[:9], when(fields[9]), when(fields[10]), seconds(fields[11]) or 0))
    return found


def stdout_path(job_id: str) -> str | None:
    """Where a job writes its output; None for a job that Slurm has forgotten. Raises ResurveyError as `call` does."""
    try:
        text = call("scontrol", "show", "job", "-o", job_id)
    except ResurveyError as error:
        if "Invalid job id" in str(error):
            return None
        raise
    found = re.search(r" StdOut=(\S+)", text)
    return found[1] if found else None


def when(text: str) -> datetime.datetime | None:
    """Slurm's local time `2026-11-20T23:18:56`; None where it has none (N/A, Unknown)."""
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        return None


def seconds(text: str) -> int | None:
    """Seconds of `[days-][hours:]minutes:seconds`; None for UNLIMITED, NOT_SET and the like. Raises nothing."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if not found:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest
