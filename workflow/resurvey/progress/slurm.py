"""What Slurm says of the jobs that a workflow submitted."""

from collections.abc import Callable, Iterable
from pathlib import Path

from resurvey.cluster import queue
from resurvey.errors import ResurveyError

ENDED_BADLY = ("FAILED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "CANCELLED", "BOOT_FAIL", "DEADLINE", "PREEMPTED")
REASONS = {  # what Slurm's reason begins with: what it means
    "Resources": "no free node that is large enough yet",
    "Priority": "others come first",
    "Dependency": "other jobs come first",
    "BeginTime": "its time has not come; a job that was put back waits a minute or two",
    "QOS": "a limit of the quality of service: it starts when jobs of the account end, or never if it asks for more than the limit",
    "Assoc": "a limit of the account: it starts when jobs of the account end, or never if it asks for more than the limit",
    "PartitionConfig": "NEVER starts: no node of the partition has what it asks for; lower it in slurm/config.yaml",
    "PartitionNodeLimit": "NEVER starts: it asks for more nodes than the partition allows",
    "PartitionTimeLimit": "NEVER starts: it asks for more time than the partition allows; lower runtime in slurm/config.yaml",
    "BadConstraints": "NEVER starts: no node has what it asks for; change it in slurm/config.yaml",
    "AccountNotAllowed": "NEVER starts: the account may not use the partition",
    "JobHeld": "held; `scontrol release JOB` lets it go",
    "launch_failed": "held after its start failed; `scontrol release JOB` lets it try again",
    "ReqNodeNotAvail": "the nodes it needs are down or reserved",
    "PartitionDown": "the partition is down",
    "Reservation": "its reservation has not begun",
}


class Jobs:
    """The user's jobs in Slurm that were submitted in `root`; `trouble` says why there are none where Slurm did not answer.

    wanted: False asks nothing.
    """

    def __init__(self, ask: Callable[[], list[queue.Job]], wanted: bool, root: Path) -> None:
        self.trouble, found = "", []
        try:
            found = ask() if wanted else []
        except ResurveyError as error:
            self.trouble = str(error)
        folders = {folder for folder in {job.workdir for job in found} if Path(folder).resolve() == root}
        # The newest last: a job that was tried again is the one that counts.
        here = sorted((job for job in found if job.workdir in folders), key=lambda job: _number(job.id))
        self._jobs = {job.id: job for job in here}
        # Members of an array that all wait are one line, 12_[1-4].
        self._arrays = {job.id.partition("_")[0]: job for job in here if "_[" in job.id}
        self._comments = {job.comment: job for job in here}

    def get(self, job_id: str) -> queue.Job | None:
        return self._jobs.get(job_id) or self._arrays.get(job_id.partition("_")[0])

    def commented(self, comment: str) -> queue.Job | None:
        """The job that the executor marked with `comment`; members of an array share that of its first."""
        return self._comments.get(comment)


def _number(job_id: str) -> int:
    return int(job_id.partition("_")[0])


def ask() -> list[queue.Job]:
    """The user's jobs, those that ended minutes ago too."""
    return queue.jobs(finished=True)


def explain(reason: str) -> str:
    """Slurm's reason, and what it means."""
    name = reason.strip("()")
    meaning = next((text for start, text in REASONS.items() if name.startswith(start)), "")
    return f"{name}: {meaning}" if meaning else name or "no reason given"


def ended(ids: Iterable[str]) -> dict[str, str]:
    """{id: how it ended} from the accounting, for jobs that the queue has forgotten; {} on a cluster without one."""
    ids = list(ids)[:200]
    if not ids:
        return {}
    try:
        text = queue.call("sacct", "-X", "-n", "-P", "-o", "JobID,State", "-j", ",".join(ids), timeout=5.0)
    except ResurveyError:  # no accounting: nothing is known
        return {}
    rows = (line.split("|") for line in text.splitlines() if line.count("|") == 1)
    return {name: state.split()[0] for name, state in rows if state}
