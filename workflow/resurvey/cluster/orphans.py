"""Jobs that a dead run has left waiting in Slurm's queue: cancelled before the next run submits the same ones again.

Killed with SIGKILL, or with its login node, Snakemake cancels nothing. Those of its jobs that run are left to end, for claims
(resurvey/claims.py) keep their outputs whole; those that wait would begin hours later and make anew what was made meanwhile.

Each run on Slurm leaves a record of its master process in the working directory, under the name that all its jobs bear: jobs of
other programs, of other folders and of masters that live are never touched.
"""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from resurvey import files
from resurvey.claims import process_start, this_machine
from resurvey.cluster import queue

RECORDS = Path(".snakemake", "slurm_masters")


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def take_over(workdir: Path, run: str, say: Callable[[str], None] = _tell) -> None:
    """Cancel what dead runs of `workdir` have waiting in the queue, and record this process as the master of `run`.

    run: the name of all Slurm jobs of this run. `say` is told what was cancelled, what still runs, and what cannot be judged
    because its master ran on another machine. Raises ResurveyError where Slurm does not answer or the record cannot be written.
    """
    queued = queue.jobs()
    for path in sorted((workdir / RECORDS).glob("*.json")):
        jobs = [job for job in queued if job.name == path.stem]
        master = files.read_json(path)
        if master["machine"] != this_machine():
            if any(job.waiting for job in jobs):
                say(
                    f"jobs of a run that was started on {master['host']} (process {master['pid']}) wait in the queue; "
                    f"if that run is dead, cancel them: scancel --state=PENDING --name={path.stem}"
                )
        elif process_start(master["pid"]) != master["started"]:
            if jobs:
                _cancel_waiting(jobs, say)
            else:
                path.unlink(missing_ok=True)
    pid = os.getpid()
    record = {"machine": this_machine(), "host": socket.gethostname(), "pid": pid, "started": process_start(pid)}
    files.write_json(record, workdir / RECORDS / f"{run}.json")


def _cancel_waiting(jobs: list[queue.Job], say: Callable[[str], None]) -> None:
    """Cancel those that have not begun when Slurm gets to it; one that begins meanwhile is left to end."""
    waiting = [job.id for job in jobs if job.waiting]
    if waiting:
        queue.call("scancel", "--state=PENDING", *waiting)
        say(f"cancelled {len(waiting)} jobs that a dead run left waiting in the queue")
    if len(jobs) > len(waiting):
        ids = ", ".join(job.id for job in jobs if not job.waiting)
        say(f"jobs of a dead run still work ({ids}); what they make is waited for and taken as it is")
