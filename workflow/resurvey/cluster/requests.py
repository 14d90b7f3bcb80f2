"""What a run would ask Slurm for: one request for all jobs that ask for the same.

The jobs are taken from Snakemake's graph and not from the profile's text: only the graph has what profile, rules, command line
and the number of the try make together. `workflow.dag`, `needrun_jobs()`, `job.resources`, `job.threads`, `job.attempt` and
`job.restart_times` are what executor plugins are given. The options of sbatch are built by the Slurm plugin's own functions.
"""

import re
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

OPTIONS_OF = "resurvey-doctor"  # the name under which requests are tried


@dataclass(frozen=True)
class Request:
    """What one job asks for, and the rules whose jobs ask for it. None: not said, or not known before the input is there."""

    rules: tuple[str, ...]
    jobs: int
    attempt: int
    partition: str | None
    account: str | None
    cpus: int | None
    memory: int | None  # MB, on its node
    gpus: int
    gpu_model: str | None
    minutes: int | None
    one_node: bool  # False for jobs over several nodes: their limits are left to Slurm
    options: tuple[str, ...]  # of sbatch; () where they cannot be built

    @property
    def title(self) -> str:
        again = f", try {self.attempt}" if self.attempt > 1 else ""
        return f"{several(self.rules)} ({self.jobs} job{'s' if self.jobs > 1 else ''}{again})"

    def with_options(self, more: list[str]) -> "Request":
        """The same with more options of sbatch, where they are known at all."""
        return replace(self, options=(*self.options, *more) if self.options else ())

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict) -> "Request":
        return cls(**{**data, "rules": tuple(data["rules"]), "options": tuple(data["options"])})


def several(rules: Iterable[str], most: int = 4) -> str:
    """The first rules by name and how many more."""
    rules = list(rules)
    return ", ".join(rules[:most]) + (f" and {len(rules) - most} more" if len(rules) > most else "")


def comment(job) -> str:
    """The comment under which the plugin submits a job: its rule and wildcards."""
    wildcards = "_".join(job.wildcards).replace("/", "_") if job.wildcards else ""
    return f"rule_{job.name}" + (f"_wildcards_{wildcards}" if wildcards else "")


def collect(jobs: Iterable, settings=None, workdir: str | None = None) -> list[Request]:
    """The requests of Snakemake jobs, none of them local, at their first try and, where that asks for more, at their last.

    `settings`: the Slurm executor's, None in a dry run.
    """
    known: dict[tuple, tuple] = {}  # what a set of resources comes to: thousands of jobs have few different ones

    def wants_of(job) -> tuple:
        key = (job.threads, *sorted((name, str(value)) for name, value in job.resources.items()))
        if key not in known:
            known[key] = _wants(job, settings, workdir)
        job.attempt = job.attempt  # forgets what was evaluated: it may depend on inputs that are not there yet
        return known[key]

    found: dict[tuple, Counter] = {}  # how many jobs of each rule ask for the same
    speakers = {}
    for job in jobs:
        wants = (1, *wants_of(job))
        found.setdefault(wants, Counter())[job.rule.name] += 1
        speakers.setdefault((wants, job.rule.name), job)  # stands for its fellows at the last try
    for (first, rule), job in speakers.items():
        if job.restart_times > 0:
            last = _at(job, job.restart_times + 1, settings, workdir)
            if last != first[1:]:
                found.setdefault((job.restart_times + 1, *last), Counter())[rule] += found[first][rule]
    return [Request(tuple(rules), rules.total(), *wants) for wants, rules in found.items()]


def _at(job, attempt: int, settings, workdir: str | None) -> tuple:
    """What `job` would ask for at a later try; the job is left as it was."""
    before = job.attempt
    job.attempt = attempt
    try:
        return _wants(job, settings, workdir)
    finally:
        job.attempt = before


def _wants(job, settings, workdir: str | None) -> tuple:
    """The fields of Request after `attempt`."""
    resources = job.resources
    tasks = _number(resources.get("tasks")) or 1
    each = _number(resources.get("cpus_per_task")) or job.threads
    cpus = max(1, each) * tasks
    memory = _number(resources.get("mem_mb"))
    if per_cpu := _number(resources.get("mem_mb_per_cpu")):
        memory = per_cpu * cpus
    model, gpus = _gpus(resources)
    account = re.split(r"[,\s]+", str(resources.get("slurm_account") or "").strip())[0] or None
    one_node = (_number(resources.get("nodes")) or 1) == 1 and tasks == 1 and not resources.get("mpi")
    partition = str(resources.get("slurm_partition") or "") or None
    minutes = _number(resources.get("runtime"))
    options = _options(job, settings, account, partition, workdir)
    return partition, account, cpus, memory, gpus, model, minutes, one_node, options


def _gpus(resources) -> tuple[str | None, int]:
    """(type, number) of GPUs of `gpu`, `gpu_model` or `gres`."""
    found = re.fullmatch(r"gpu(?::([A-Za-z][\w.]*))?(?::(\d+))?", str(resources.get("gres") or ""))
    if found:
        return found[1], int(found[2] or 1)
    model = resources.get("gpu_model") or None
    return model, _number(resources.get("gpu")) or (1 if model else 0)


def _number(value: object) -> int | None:
    """A resource as a number; None where it is absent or not known before the job's input is there."""
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _options(job, settings, account: str | None, partition: str | None, workdir: str | None) -> tuple[str, ...]:
    """The options with which the plugin would call sbatch; () where a resource is not known yet or the plugin is another one."""
    try:
        from snakemake_executor_plugin_slurm.submit_string import get_submit_command
        from snakemake_executor_plugin_slurm.utils import set_gres_string
    except ImportError:
        return ()
    params = {
        "run_uuid": OPTIONS_OF,
        "slurm_logfile": "/dev/null",
        "comment_str": OPTIONS_OF,
        "account": f" -A {shlex.quote(account)}" if account else "",
        "partition": f" -p {shlex.quote(partition)}" if partition else "",
        "workdir": workdir,
    }
    command = get_submit_command(job, params, settings) + set_gres_string(job)
    return () if "TBD" in command else tuple(shlex.split(command)[1:])
