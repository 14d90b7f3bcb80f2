"""One pair of hands at a time on an output: a claim file beside it says who is making it.

Killed with SIGKILL, Snakemake leaves its cluster jobs running, and its next start submits them again. So every command that
writes claims its outputs first: `.NAME.claim` beside the first one, created with O_EXCL, which network file systems do
atomically and flock does not need. Its holder touches it every HEARTBEAT seconds. Who finds a claim waits, and then

- takes the outputs as its own if they were made meanwhile by the very same command, and nothing that the command reads, its code
  included, has changed since that began;
- does the work itself if they were not: the other failed, died, or was another command.

A claim is dead when its process is gone (same machine, told by pid and start time: at once) or when nothing has touched it for STALE
seconds by the waiting process's own clock, so no clocks of two machines are compared. Who held a claim that another has taken over
(it was suspended, or cut off from the file system, for longer than STALE) finds out before it puts any file in place
(`fence`, called by files.atomic), writes nothing, and waits in its turn. A killed process's temporary files are removed by who takes over.

What remains:
- Between the look of `fence` and the rename lie microseconds. A hand that is suspended just there for longer than STALE puts one whole
  file in the place of another's; both are made by the same rules, neither is a mixture.
- Two hands that take over one dead claim at the same instant: the one who moved away the other's new claim puts it back, and if a
  third came between, the first is fenced. Nobody writes unfenced.
- A job whose Snakemake still watches it and that fails (a time limit) has its outputs removed by that Snakemake, also those that another
  hand has made a moment before; the next run makes them again. Snakemake also removes outputs before it submits a job again: what the
  old job finishes before the new one starts is kept or made again, but never mixed.
- Both jobs of one output write the same log file.
- Only the first output is claimed. Two different commands that share a later one are not kept apart; each file stays whole.
"""

import contextlib
import hashlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from resurvey.errors import ResurveyError

HEARTBEAT = 10.0  # seconds between touches of a claim
STALE = 60.0  # seconds without a touch after which a claim is dead
POLL = 1.0  # seconds between looks at another's claim
HELD = "RESURVEY_CLAIM"  # environment: "token path" of the claim under which this process and its children work
PACKAGE = Path(__file__).parent


class Lost(Exception):
    """Another process holds our claim: this one must write nothing more. No ResurveyError: nobody may take it for a bad input."""


@dataclass(frozen=True)
class Claim:
    """What a claim file says of its holder."""

    token: str
    machine: str  # host, its boot and process namespace: where the pid means something
    host: str
    pid: int
    started: str  # of the process, by its kernel: tells it from a later one of the same pid
    job: str | None  # Slurm's number
    command: str  # digest of the command line and the folder in which it was typed
    began: int  # [ns] by the file system

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" + (f" (Slurm job {self.job})" if self.job else "")


@contextlib.contextmanager
def hold(
    outputs: Sequence[Path], argv: Sequence[str], say: Callable[[str], None], folder: Path | None = None
) -> Iterator[bool]:
    """Claim `outputs` for the command line `argv`; yields whether there is anything to do.

    False: another process made them while this one waited. `say` is told, once, whom is waited for and what came of it.
    folder: one that belongs to this command alone. Raises ResurveyError when nothing can be written there, Lost (from within)
    when another process took the claim over.
    """
    path = outputs[0].with_name(f".{outputs[0].name}.claim")
    if os.environ.get(HELD, "").partition(" ")[2] == str(path.absolute()) or os.environ.get("RANK", "0") != "0":
        yield True  # a process of the holder's own, or another rank of its distributed training
        return
    command = hashlib.sha256(json.dumps([os.getcwd(), *argv]).encode()).hexdigest()
    made = _make_folder(path.parent)
    mine = None
    try:
        mine = _wait_for(path, outputs, command, argv, say, folder)
        if mine is None:
            yield False
            return
        with _beating(path, mine), _environment(f"{mine.token} {path.absolute()}"):
            yield True
    finally:
        if mine is not None and getattr(_read(path)[0], "token", None) == mine.token:
            path.unlink(missing_ok=True)
        for folder in made:  # nothing was put into it
            with contextlib.suppress(OSError):
                folder.rmdir()


def fence() -> None:
    """Raise Lost if this process works under a claim that is no longer its own; call before putting a file in place."""
    token, _, path = os.environ.get(HELD, "").partition(" ")
    if not token:
        return
    found, _ = _read(Path(path))
    if found is None:  # perhaps just moved by one who will see that it is alive, and put it back
        time.sleep(POLL)
        found, _ = _read(Path(path))
    if found is None or found.token != token:
        raise Lost(f"{path} is {f'now held by {found}' if found else 'gone'}")


def _wait_for(
    path: Path, outputs: Sequence[Path], command: str, argv: Sequence[str], say: Callable, folder: Path | None
) -> Claim | None:
    """Our claim, as soon as nobody else holds one; None if the holder waited for has done our work."""
    waited_for = seen = None
    while True:
        mine = _create(path, command)
        if mine is not None:
            if waited_for is None:
                return mine
            if waited_for.command == command and _made_since(waited_for.began, outputs, argv, folder):
                path.unlink()
                say(f"{outputs[0]}: was made by {waited_for} with the same command; taken as it is")
                return None
            say(f"{outputs[0]}: {waited_for} has let go of it; it is made here now")
            return mine
        found, touched = _read(path)
        if touched is None:  # released a moment ago
            time.sleep(POLL / 20)
            continue
        if found is not None and found != waited_for:
            waited_for = found
            if not _gone(found):
                say(f"{outputs[0]}: is being made by {found}; waiting for it")
        if (found, touched) != seen:
            seen, since = (found, touched), time.monotonic()
        if (found is not None and _gone(found)) or time.monotonic() - since > STALE:
            if _take_away(path, found):
                _sweep(outputs, folder)
                say(f"{outputs[0]}: {found or 'who was making it'} died at it; it is made again")
            waited_for = seen = None
            continue
        time.sleep(POLL)


def _create(path: Path, command: str) -> Claim | None:
    """Our claim, or None if another was there first."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return None
    except FileNotFoundError:  # another hand made the folder, left it empty and removed it
        _make_folder(path.parent)
        return None
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        mine = Claim(
            token=uuid.uuid4().hex,
            machine=this_machine(),
            host=socket.gethostname(),
            pid=os.getpid(),
            started=process_start(os.getpid()) or "",
            job=os.environ.get("SLURM_JOB_ID"),
            command=command,
            began=os.fstat(handle).st_mtime_ns,
        )
        with open(handle, "w") as file:
            json.dump(asdict(mine), file)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _unwritable(path, error) from error
    return mine


def _unwritable(path: Path, error: OSError) -> ResurveyError:
    return ResurveyError(f"{path}: cannot be written ({error.strerror or error}); nothing was left behind")


def _read(path: Path) -> tuple[Claim | None, int | None]:
    """(what the claim says, when it was touched [ns]); (None, None) if there is none, (None, time) if it says nothing yet."""
    try:
        with open(path) as file:  # opened, not only looked up: network file systems then ask their server
            touched = os.fstat(file.fileno()).st_mtime_ns
            return Claim(**json.load(file)), touched
    except PermissionError as error:
        raise ResurveyError(f"{path}: another user's, who is at work on it; choose another --out") from error
    except OSError:
        return None, None
    except (ValueError, TypeError):
        return None, touched


def _gone(claim: Claim) -> bool:
    """True if the claim's process ran on this machine and does not any more."""
    return claim.machine == this_machine() and process_start(claim.pid) != claim.started


def this_machine() -> str:
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    return " ".join(parts)


def process_start(pid: int) -> str | None:
    """When a process of this machine started, in its kernel's ticks; None if there is none, or it only waits to be reaped.

    Without /proc: "" for any process that is there.
    """
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if after_name[0] in "ZX" else after_name[19]
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return ""
    return ""


def _take_away(path: Path, judged: Claim | None) -> bool:
    """Remove a dead claim; False if another was quicker. A claim that is not the one that was judged is put back."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        if _read(path)[0] != judged:
            return False
        os.rename(path, aside)
    except OSError:
        return False
    text = aside.read_text()
    dead = _read(aside)[0] == judged
    aside.unlink()
    if not dead:
        with contextlib.suppress(OSError), open(path, "x") as file:
            file.write(text)
    return dead


def _sweep(outputs: Sequence[Path], folder: Path | None) -> None:
    """Remove temporary files that a killed process left (files.atomic names them)."""
    patterns = [(output.parent, f".{output.name}.????????.tmp*") for output in outputs]
    for parent, pattern in [*patterns, *([(folder, ".*.????????.tmp*")] if folder else [])]:
        for part in parent.glob(pattern):
            part.unlink(missing_ok=True)


def _made_since(began: int, outputs: Sequence[Path], argv: Sequence[str], folder: Path | None = None) -> bool:
    """Are all outputs newer than `began` [ns], and all that the command names or is made of older?"""
    if not all(output.exists() and output.stat().st_mtime_ns >= began for output in outputs):
        return False
    own = {path.absolute() for path in (*outputs, outputs[0].parent, folder or outputs[0])}
    named = [Path(word) for word in argv if "\n" not in word and len(word) < 1000]
    inputs = [path for path in named if path.exists() and path.absolute() not in own]
    return all(changed <= began for path in [*inputs, PACKAGE] for changed in _changes(path, own))


def _changes(path: Path, own: set[Path], depth: int = 4) -> Iterator[int]:
    """Times of change [ns] of a file, or of the visible files of a folder (models lie four deep) but our own outputs."""
    if not path.is_dir():
        yield path.stat().st_mtime_ns
        return
    for entry in os.scandir(path):
        if entry.name.startswith((".", "__pycache__")) or Path(entry.path).absolute() in own:
            continue
        if not entry.is_dir():
            yield entry.stat().st_mtime_ns
        elif depth > 1:
            yield from _changes(Path(entry.path), own, depth - 1)


@contextlib.contextmanager
def _beating(path: Path, mine: Claim) -> Iterator[None]:
    """Touch the claim from a thread as long as it is ours. Signals go to the main thread and do not meet this one."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT):
            with contextlib.suppress(OSError):  # whether the claim still stands is for `fence` to say
                if getattr(_read(path)[0], "token", None) == mine.token:
                    os.utime(path)

    thread = threading.Thread(target=beat, name="claim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def _environment(value: str) -> Iterator[None]:
    """Children, forked or started anew, work under the same claim."""
    before = os.environ.get(HELD)
    os.environ[HELD] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[HELD]
        else:
            os.environ[HELD] = before


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and its parents; returns those that were not there, innermost first."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResurveyError(
            f"{folder}: nothing can be written in it ({error.strerror or error}); choose another folder"
        ) from error
    return missing
