"""What Slurm says of its jobs, partitions, nodes and accounts: its own commands, read as text.

Text and not `--json`: releases before 23.02 have that for some commands only, and its fields differ between releases. The
`key=value` lines of `scontrol -o` and chosen fields of `squeue -o` are the same from 20.02 on. Every call has a time limit:
Slurm's commands wait a minute and longer for a controller that is down.
"""

import datetime
import getpass
import re
import shutil
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


JOB_FIELDS = ["%i", "%j", "%T", "%r", "%u", "%P", "%Z", "%k", "%N", "%V", "%S", "%M"]


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
        raise ResurveyError(
            f"{' '.join(command[:3])}: {(done.stderr + done.stdout).strip() or f'exit code {done.returncode}'}"
        )
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


@dataclass(frozen=True)
class Partition:
    """A partition's own limits; None: it sets none."""

    name: str
    default: bool
    state: str  # UP, DOWN, DRAIN, INACTIVE
    minutes: int | None
    cpus_per_node: int | None
    memory_per_node: int | None  # MB


@dataclass(frozen=True)
class Node:
    """What a node can give to jobs."""

    name: str
    state: str  # IDLE, MIXED, ALLOCATED, DOWN, IDLE+DRAIN, …
    partitions: tuple[str, ...]
    cpus: int
    memory: int  # MB
    gpus: dict[str, int]  # by type; "" for those without one

    @property
    def usable(self) -> bool:
        """Whether it takes jobs, now or when those that run on it have ended."""
        return not re.search(r"DOWN|DRAIN|FAIL|INVAL|NOT_RESPONDING|FUTURE|UNKNOWN", self.state.upper())


def alive() -> None:
    """Raises ResurveyError where Slurm's tools are missing or its controller is down; asks for at most TIMEOUT seconds."""
    for tool in ("sinfo", "sbatch", "squeue", "scancel"):
        if not shutil.which(tool):
            call(tool)
    try:
        answer = call("scontrol", "ping")
    except ResurveyError as error:
        answer = str(error)
    if not re.search(r"\bUP\b", answer):
        raise ResurveyError(
            f"Slurm's controller does not answer ({' '.join(answer.split())}); ask the cluster's administrators, "
            "and see `scontrol ping`"
        )


def config() -> dict[str, str]:
    """Slurm's configuration, `scontrol show config`. Raises ResurveyError as `call` does."""
    return parse_config(call("scontrol", "show", "config"))


def parse_config(text: str) -> dict[str, str]:
    return {key: value.strip() for key, value in re.findall(r"^(\S+)\s+= ?(.*)$", text, flags=re.M)}


def partitions() -> list[Partition]:
    """All partitions that the user may see. Raises ResurveyError as `call` does."""
    return parse_partitions(call("scontrol", "show", "partition", "-o"))


def parse_partitions(text: str) -> list[Partition]:
    """Partitions of `scontrol show partition -o`."""
    found = []
    for entry in map(pairs, filter(None, text.splitlines())):
        limit = seconds(entry.get("MaxTime", ""))
        found.append(
            Partition(
                name=entry["PartitionName"],
                default=entry.get("Default") == "YES",
                state=entry.get("State", "UP"),
                minutes=None if limit is None else limit // 60,
                cpus_per_node=whole(entry.get("MaxCPUsPerNode")),
                memory_per_node=whole(entry.get("MaxMemPerNode")) or None,  # some releases write 0 for no limit
            )
        )
    return found


def nodes() -> list[Node]:
    """All nodes. Raises ResurveyError as `call` does."""
    return parse_nodes(call("scontrol", "show", "node", "-o"))


def parse_nodes(text: str) -> list[Node]:
    """Nodes of `scontrol show node -o`; cores and memory that a node keeps for its system are taken off."""
    found = []
    for entry in map(pairs, filter(lambda line: "NodeName=" in line, text.splitlines())):
        found.append(
            Node(
                name=entry["NodeName"],
                state=entry.get("State", "UNKNOWN"),
                partitions=tuple(filter(None, entry.get("Partitions", "").split(","))),
                cpus=whole(entry.get("CPUEfctv")) or whole(entry.get("CPUTot")) or 0,
                memory=(whole(entry.get("RealMemory")) or 0) - (whole(entry.get("MemSpecLimit")) or 0),
                gpus=gpus(entry.get("Gres", "")),
            )
        )
    return found


def gpus(gres: str) -> dict[str, int]:
    """{type: number} of a node's Gres, `gpu:a100:4(S:0-1),gpu:2,tmpdisk:100`; the type is "" where it has none."""
    found: dict[str, int] = {}
    for part in re.sub(r"\([^)]*\)", "", gres).split(","):
        name, *rest = part.split(":")
        if name == "gpu":
            count = int(rest.pop()) if rest and rest[-1].isdigit() else 1
            kind = rest[0] if rest else ""
            found[kind] = found.get(kind, 0) + count
    return found


@dataclass(frozen=True)
class Account:
    """An account in which the user may run jobs."""

    name: str
    partition: str  # "": all
    most_jobs: int | None  # submitted at once


def accounts(user: str | None = None) -> list[Account]:
    """The user's accounts, where Slurm keeps them (AccountingStorageType slurmdbd). Raises ResurveyError as `call` does."""
    who = user or getpass.getuser()
    return parse_accounts(
        call("sacctmgr", "-nP", "show", "associations", f"user={who}", "format=account,partition,maxsubmitjobs")
    )


def parse_accounts(text: str) -> list[Account]:
    rows = [line.split("|") for line in text.splitlines() if line.count("|") >= 2]
    return [Account(row[0], row[1], whole(row[2])) for row in rows]


def test_submission(options: list[str]) -> tuple[bool, str]:
    """(whether Slurm would take the job, its words), `sbatch --test-only`: nothing is submitted.

    Raises ResurveyError where it does not answer within TIMEOUT.
    """
    try:
        done = subprocess.run(
            ["sbatch", "--test-only", *options, "--wrap", "true"],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise ResurveyError(f"sbatch --test-only: Slurm's controller did not answer in {TIMEOUT:g} s") from None
    words = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return done.returncode == 0, " ".join(words)


def pairs(line: str) -> dict[str, str]:
    """The `key=value` pairs of one line of `scontrol -o`; values may hold blanks."""
    return {
        key: value.strip() for key, value in re.findall(r"([A-Za-z][\w/:]*)=(.*?)(?=\s+[A-Za-z][\w/:]*=|\s*$)", line)
    }


def whole(text: str | None) -> int | None:
    """A whole number; None for UNLIMITED, N/A, an empty field and the like."""
    return int(text) if text and text.isdigit() else None


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
