"""What each job of a run is doing: made, running, queued, failed, interrupted, or waiting for its turn."""

import datetime
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from resurvey.claims import STALE
from resurvey.cluster import queue
from resurvey.progress import estimate, joblog, markers, slurm, snakelog, training
from resurvey.progress.outputs import Listing
from resurvey.progress.plan import Job, Stage, stages


@dataclass
class Active:
    """An unfinished job that something is known of. state: running, queued, failed, interrupted."""

    job: Job
    state: str
    where: str = ""  # the machine or Slurm's job
    reason: str = ""  # why it is queued, or why it failed
    attempts: int = 0
    when: float | None = None  # of the last failure
    logs: tuple[str, ...] = ()


@dataclass
class StageProgress:
    """One stage: how many jobs it has, how many outputs are there, and what is known of the others."""

    stage: Stage
    done: int
    active: list[Active] = field(default_factory=list)
    left: tuple[float, str] | None = None  # seconds, and what they are estimated from
    trainings: list[training.Training] = field(default_factory=list)

    @property
    def total(self) -> int:
        return len(self.stage.jobs)

    def count(self, state: str) -> int:
        return sum(active.state == state for active in self.active)

    @property
    def waiting(self) -> int:
        """Jobs of which nothing is known but that they are still to do."""
        return self.total - self.done - len(self.active)


@dataclass
class Progress:
    """The whole of a run at one moment."""

    run: str
    now: float
    stages: list[StageProgress]
    workflow: snakelog.Workflow | None  # the newest
    alive: bool  # whether its process is on this machine
    trouble: str  # why Slurm could not be asked

    def active(self, state: str) -> list[Active]:
        return [active for stage in self.stages for active in stage.active if active.state == state]


class _Look:
    """Everything that one look at a run needs, read once."""

    def __init__(self, root: Path, now: float, ask: Callable[[], list[queue.Job]]) -> None:
        self.root, self.now, self.files = root, now, Listing(root)
        self.workflows = snakelog.workflows(root)
        self.alive = snakelog.held_open(root)
        self.markers = markers.started(root)
        ids = [marker.job_id for marker in self.markers.values() if marker.job_id]
        wanted = bool(ids) or (bool(self.workflows) and self.workflows[-1].slurm)
        self.slurm = slurm.Jobs(ask, wanted, root)
        # A job that neither the queue knows nor the master waits for: the accounting may know how it ended.
        lost = [] if self.alive else [job_id for job_id in ids if not self.slurm.get(job_id)]
        self.ended = slurm.ended(lost) if lost and not self.slurm.trouble else {}
        self.began = self.workflows[-1].started if self.workflows else 0.0
        self.failures: dict[str, snakelog.Failure] = {}
        # While a workflow runs, what failed in earlier ones is to be tried again.
        for workflow in self.workflows[-1:] if self.alive else self.workflows:
            self.failures |= workflow.failures

    def active(self, job: Job) -> Active | None:
        """What is known of a job whose outputs are not all there; None for nothing."""
        claim = self._claim(job)
        marked = next((output for output in job.outputs if output in self.markers), None)
        if claim is not None:
            return Active(job, "running", where=claim)
        if marked is not None:
            job_id, when = self.markers[marked]
            found = self._submitted(job, job_id)
            if found:
                return found
            where = f"Slurm job {job_id}" if job_id else ""
            if self.alive and when >= self.began:
                return Active(job, "running", where=where)
            if not self.alive:
                return self._failed(job) or Active(job, "interrupted", where=where)
        return self._failed(job)

    def _submitted(self, job: Job, job_id: str | None) -> Active | None:
        """What Slurm says; by the comment where there is no id, for a job that runs has replaced its marker by one without."""
        found = self.slurm.get(job_id) if job_id else self.slurm.commented(job.comment)
        state = found.state if found else self.ended.get(job_id, "")
        if found and found.waiting:
            return Active(job, "queued", where=f"Slurm job {found.id}", reason=found.reason)
        if found and not found.finished:
            return Active(job, "running", where=f"Slurm job {found.id} on {found.nodes}")
        if state in slurm.ENDED_BADLY and not self.alive:
            return self._failure(job, snakelog.Failure(job.log, None, why=f"Slurm: {state}"))
        return None

    def _claim(self, job: Job) -> str | None:
        """Who holds a live claim on the job's outputs: `process 12 on host (Slurm job 4)`."""
        for output in job.outputs:
            folder, _, name = output.rpartition("/")
            path = f"{folder}/.{name}.claim"
            touched = self.files.mtime(path)
            if touched is not None and self.now - touched < STALE:
                try:
                    held = json.loads(Path(self.root, path).read_text())
                    return f"process {held['pid']} on {held['host']}" + (
                        f", Slurm job {held['job']}" if held["job"] else ""
                    )
                except (OSError, ValueError, KeyError, TypeError):  # being written, or released meanwhile
                    return "claimed"
        return None

    def _failed(self, job: Job) -> Active | None:
        failure = self.failures.get(job.log)
        return self._silent(job) if failure is None else self._failure(job, failure)

    def _failure(self, job: Job, failure: snakelog.Failure) -> Active:
        both = (job.log, failure.slurm_log and failure.slurm_log.removeprefix(f"{self.root}{os.sep}"))
        logs = [path for path in both if path and Path(self.root, path).is_file()]
        said = next((said for log in logs if (said := joblog.error_line(self.root / log))), None)
        if said is None and not failure.why and logs:
            said = joblog.last_line(self.root / logs[-1])
        reason = "; ".join(filter(None, [failure.why, said])) or "nothing was said"
        when = failure.when or self.files.mtime(job.log)
        return Active(job, "failed", "", reason, failure.attempts, when, tuple(logs))

    def _silent(self, job: Job) -> Active | None:
        """A failure that Snakemake's log does not hold (--quiet under Slurm): the job's log is of this workflow and ends in an error."""
        written = self.files.mtime(job.log)
        if written is None or written < self.began:
            return None
        said = joblog.error_line(self.root / job.log)
        return Active(job, "failed", "", said, 1, written, (job.log,)) if said else None


def look(
    settings: dict,
    root: str | os.PathLike = ".",
    now: float | None = None,
    ask: Callable[[], list[queue.Job]] = slurm.ask,
) -> Progress:
    """How far the run of `settings` in the working directory `root` is. Reads files, and asks Slurm if jobs were submitted to it.

    now: seconds since the epoch; ask: gives the user's jobs in Slurm. A Slurm that does not answer is named in `trouble`.
    """
    seen = _Look(Path(root).resolve(), time.time() if now is None else now, ask)
    found = [_stage(stage, settings, seen) for stage in stages(settings)]
    newest = seen.workflows[-1] if seen.workflows else None
    return Progress(settings["run"], seen.now, found, newest, seen.alive, seen.slurm.trouble)


def _stage(stage: Stage, settings: dict, seen: _Look) -> StageProgress:
    made = [all(map(seen.files.has, job.outputs)) for job in stage.jobs]
    found = StageProgress(stage, sum(made))
    if found.done == found.total:
        return found
    found.active = [
        active
        for job, done in zip(stage.jobs, made, strict=True)
        if not done and (active := seen.active(job)) is not None
    ]
    running, left = found.count("running"), found.total - found.done - found.count("failed")
    if stage.name == "training":
        found.trainings = [
            training.read(settings, *job.wildcards, job.outputs[0], seen.root, done)
            for job, done in zip(stage.jobs, made, strict=True)
        ]
        found.left = training.seconds_left(found.trainings, running)
    else:
        times = (seen.files.mtime(job.outputs[0]) for job, done in zip(stage.jobs, made, strict=True) if done)
        since = [time for time in times if time is not None and time >= seen.began]
        found.left = estimate.seconds_left(since, left, running, seen.now)
    return found


def as_time(seconds: float) -> str:
    """Local time, to the second."""
    return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
