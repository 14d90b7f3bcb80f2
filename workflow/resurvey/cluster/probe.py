"""A tiny job on each partition: whether its nodes see the run's folder, its Python and its package.

Each is asked once: what was found in order is kept in `.snakemake/resurvey-doctor.json`.
"""

import re
import shlex
import sys
import time
import uuid
from pathlib import Path

from resurvey import files
from resurvey.cluster import queue
from resurvey.cluster.requests import Request
from resurvey.errors import ResurveyError

WAIT = 60.0  # seconds until a job that has not begun is given up
MEMORY_MB = 1000
NO_FOLDER, NO_PYTHON, NO_PACKAGE, NO_WRITING = 11, 12, 13, 14  # exit codes of the job


def run(
    wanted: dict[str, Request], workdir: Path, package: Path, latency: float, wait: float = WAIT
) -> list[tuple[str, str, str]]:
    """(severity, what, mend) of each partition in `wanted`; of each, one request that it takes.

    Waits at most `wait` seconds for the jobs and `latency` for their files, and leaves no job behind.
    """
    memory = Path(workdir, ".snakemake", "resurvey-doctor.json")
    known = files.read_json(memory)["seen"] if memory.exists() else []
    keys = {name: f"{name} {sys.executable} {package}" for name in wanted}
    todo = {name: request for name, request in wanted.items() if keys[name] not in known}
    found = [
        ("ok", f"{name}: nodes see this folder and this Python (asked before)", "")
        for name in wanted
        if name not in todo
    ]
    token = uuid.uuid4().hex
    folder = Path(workdir, ".snakemake", f"resurvey-doctor-{token[:8]}")
    folder.mkdir(parents=True)
    try:
        (folder / "token").write_text(token)
        begun = {}
        for name, request in todo.items():
            try:
                begun[name] = submit(name, request, folder, token, package)
            except ResurveyError as error:
                found.append(("warning", f"{name}: not probed: {error}", ""))
        ended = wait_for(begun, wait)
        for name, state in ended.items():
            result = judge(name, state, folder, token, latency, package)
            found.append(result)
            if result[0] == "ok":
                known.append(keys[name])
    finally:
        for path in folder.glob("*"):
            path.unlink(missing_ok=True)
        folder.rmdir()
    files.write_json({"seen": known}, memory)
    return found


def script(name: str, folder: Path, token: str, package: Path) -> str:
    """The job: each thing that a real job needs, in order, with an exit code of its own."""
    here, python = shlex.quote(str(folder)), shlex.quote(sys.executable)
    return "\n".join(
        [
            "#!/bin/sh",
            f"grep -qs {token} {here}/token || exit {NO_FOLDER}",
            f"test -x {python} || exit {NO_PYTHON}",
            f"export PYTHONPATH={shlex.quote(str(package))}",
            f"{python} -c 'import snakemake, resurvey' 2> {here}/{shlex.quote(name)}.err || exit {NO_PACKAGE}",
            f"echo {token} > {here}/{shlex.quote(name)}.back || exit {NO_WRITING}",
            "",
        ]
    )


def submit(name: str, request: Request, folder: Path, token: str, package: Path) -> str:
    """Submit the probe; its id. Raises ResurveyError where Slurm refuses it."""
    path = folder / f"{name}.sh"
    path.write_text(script(name, folder, token, package))
    options = [f"--partition={name}", "--time=2", "--ntasks=1", "--cpus-per-task=1", f"--mem={MEMORY_MB}"]
    if request.account:
        options.append(f"--account={request.account}")
    if request.gpus:
        options.append(f"--gpus={request.gpu_model + ':' if request.gpu_model else ''}1")
    line = queue.call(
        "sbatch",
        "--parsable",
        "--job-name=resurvey-doctor",
        "--chdir=/",
        "--output=/dev/null",
        f"--comment={folder.parents[1]}",
        *options,
        str(path),
    )
    return line.strip().splitlines()[-1].split(";")[0]


def wait_for(begun: dict[str, str], wait: float) -> dict[str, dict[str, str]]:
    """{name: what `scontrol show job` says} once all have ended or `wait` seconds are over; those left are cancelled."""
    ended: dict[str, dict[str, str]] = {}
    states: dict[str, dict[str, str]] = {name: {} for name in begun}
    end, pause = time.monotonic() + wait, 0.25
    try:
        while len(ended) < len(begun) and time.monotonic() < end:
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(2.0, pause * 1.5)
            for name in begun.keys() - ended.keys():
                states[name] = queue.pairs(queue.call("scontrol", "show", "job", "-o", begun[name]))
                if states[name].get("JobState") not in ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING"):
                    ended[name] = states[name]
    finally:
        for name in begun.keys() - ended.keys():
            queue.call("scancel", begun[name])
    return {name: ended.get(name, states[name]) for name in begun}


def judge(
    name: str, state: dict[str, str], folder: Path, token: str, latency: float, package: Path
) -> tuple[str, str, str]:
    """(severity, what, mend) of one probe."""
    workdir = folder.parents[1]
    what = state.get("JobState", "unknown")
    code = int(re.match(r"\d+", state.get("ExitCode", "0"))[0])
    node = state.get("NodeList", "")
    if what == "PENDING":
        return ("warning", f"{name}: not probed: it did not begin in time ({state.get('Reason', '')})", "")
    if what in ("RUNNING", "COMPLETING", "CONFIGURING"):
        return (
            "warning",
            f"{name}: the probe began on {node} but did not end in time; the file system may be slow there",
            f"Try `srun -p {name} ls {workdir}`",
        )
    if code == NO_FOLDER:
        return (
            "error",
            f"{name}: node {node} does not see {workdir}",
            "Move this project to a file system that all nodes share (home or scratch; `df -h .` names this one) and start there",
        )
    if code == NO_PYTHON:
        return (
            "error",
            f"{name}: node {node} does not see {sys.executable}",
            "Make the environment on a file system that all nodes share, e.g. in this folder: `make .venv/.ready`",
        )
    if code == NO_PACKAGE:
        told = _last_line(folder / f"{name}.err")
        return (
            "error",
            f"{name}: on node {node}, {sys.executable} cannot import snakemake and resurvey from {package}: {told}",
            "Make the environment with a Python that the nodes have too, on the shared file system",
        )
    if code == NO_WRITING:
        return (
            "error",
            f"{name}: node {node} cannot write in {workdir}",
            "Move this project to a file system on which jobs may write; `df -h .` and `quota` say more",
        )
    if what != "COMPLETED":
        return (
            "warning",
            f"{name}: the probe ended as {what} ({state.get('Reason', '')}, exit code {state.get('ExitCode', '')}) on {node}",
            f"Try `srun -p {name} true`",
        )
    begun = time.monotonic()
    while not _holds(folder / f"{name}.back", token):
        if time.monotonic() - begun > latency:
            return (
                "error",
                f"{name}: a file that node {node} wrote in {workdir} was not seen here after {latency:g} s",
                "Raise latency-wait in slurm/config.yaml where the file system is slow; else this folder is not shared with the nodes",
            )
        time.sleep(0.2)
    return ("ok", f"{name}: node {node} sees this folder and this Python", "")


def _holds(path: Path, token: str) -> bool:
    try:
        return token in path.read_text()
    except OSError:
        return False


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text().strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
