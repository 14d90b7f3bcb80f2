"""What would keep a run from being done on Slurm, and what to type instead: found before anything is submitted.

Slurm takes requests that no node can ever satisfy and leaves them pending for ever; Snakemake then waits for ever. Each check
is a function that returns findings; `slurm` runs them in order and stops where what follows could not be asked.
"""

import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from resurvey.cluster import probe, queue
from resurvey.cluster.requests import Request, several
from resurvey.errors import ResurveyError
from resurvey.settings import nearest

PROFILE = "slurm/config.yaml"
TESTS_TAKE = 60.0  # seconds for all of `sbatch --test-only`; what is left after them is not asked


@dataclass(frozen=True)
class Finding:
    """One line of the doctor: `ok`, `warning` (the run can begin) or `error` (it would fail or wait for ever)."""

    severity: str
    about: str
    what: str
    mend: str = ""

    @property
    def text(self) -> str:
        return f"{self.about}: {self.what}" + (f". {self.mend}" if self.mend else "")


@dataclass(frozen=True)
class Case:
    """What is to be examined."""

    requests: list[Request]
    comments: set[str]  # of the jobs that are still to be done
    workdir: Path
    package: Path  # the folder that holds the package
    status_command: str | None = None  # squeue or sacct; None: the plugin's default
    first_poll: int = 40  # seconds until the plugin first asks for the states of its jobs
    at_once: int | None = None  # jobs in the queue at once
    latency: int = 60  # seconds that Snakemake waits for files
    probe: bool = True


def slurm(case: Case) -> list[Finding]:
    """All checks of Slurm."""
    try:
        queue.alive()
        config, partitions, nodes, jobs = queue.config(), queue.partitions(), queue.nodes(), queue.jobs()
    except ResurveyError as error:
        return [Finding("error", "Slurm", str(error))]
    found = [Finding("ok", "Slurm", f"{config.get('ClusterName', '?')}, version {config.get('SLURM_VERSION', '?')}")]
    found += status(case, config)
    found += accounts(case, config)
    found += earlier_jobs(case, jobs)
    asked = [request for request in case.requests if request.attempt == 1]
    found += places(case.requests, partitions)
    impossible: set[str] = set()  # rules whose first try is so already
    for request in sorted(case.requests, key=lambda request: request.attempt):
        partition = partition_of(request.partition, partitions)
        if partition is None or impossible & set(request.rules):  # told already, or one of several: left to Slurm
            continue
        problems = limits(request, partition, partitions, nodes)
        found += problems
        if any(problem.severity == "error" for problem in problems):
            impossible |= set(request.rules)
    if not any(finding.severity == "error" and finding.about == "partition" for finding in found):
        found += tested([request for request in asked if not impossible & set(request.rules)])
    if case.probe and not any(finding.severity == "error" for finding in found):
        found += probed(case, partitions)
    return merged(found)


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Each finding once, in its order."""
    return list(dict.fromkeys(findings))


def status(case: Case, config: dict[str, str]) -> list[Finding]:
    """Whether the command that is to tell the plugin how its jobs fare can tell it.

    As the plugin chooses (2.8): sacct where none is named and there is one, and also in squeue's place where Slurm forgets ended
    jobs sooner than three polls take.
    """
    accounting = "slurmdbd" in config.get("AccountingStorageType", "")
    kept = queue.whole(config.get("MinJobAge", "").split(" ")[0])
    forgets = kept is not None and kept < 3 * case.first_poll
    has_sacct = shutil.which("sacct") is not None
    wanted = case.status_command or ("sacct" if has_sacct else "squeue")
    used = "sacct" if has_sacct and (wanted == "sacct" or forgets) else "squeue"
    soon = f"`slurm-init-seconds-before-status-checks: {max(1, (kept or 0) // 3)}`"
    if used == "sacct" and not accounting:
        why = "" if wanted == "sacct" else f" in squeue's place, for jobs are kept {kept} s only (MinJobAge)"
        mend = f"Set `slurm-status-command: squeue`{f' and {soon}' if forgets else ''} in {PROFILE}"
        what = f"sacct would be asked{why}, but this Slurm keeps no accounts (no slurmdbd): the run would wait for ever"
        return [Finding("error", "status command", what, mend)]
    if used == "squeue" and forgets:
        what = f"squeue forgets a job {kept} s after its end (MinJobAge), and is first asked after {case.first_poll} s"
        return [Finding("warning", "status command", what, f"Set {soon} in {PROFILE}")]
    return [Finding("ok", "status command", used)]


def accounts(case: Case, config: dict[str, str]) -> list[Finding]:
    """Whether the user may charge the accounts that are named, and submit so many jobs at once."""
    named = sorted({request.account for request in case.requests if request.account})
    if "slurmdbd" not in config.get("AccountingStorageType", ""):
        if not named:
            return [Finding("ok", "account", "this Slurm keeps none")]
        return [
            Finding(
                "warning",
                "account",
                f"slurm_account: {', '.join(named)} has no effect, for this Slurm keeps no accounts",
                f"Take it out of {PROFILE}",
            )
        ]
    try:
        mine = queue.accounts()
    except ResurveyError as error:
        return [Finding("warning", "account", f"not checked: {error}")]
    names = sorted({account.name for account in mine})
    found = []
    if not names and "associations" in config.get("AccountingStorageEnforce", ""):
        found.append(
            Finding("error", "account", "you have none on this cluster, so it takes no jobs of yours", "Ask for one")
        )
    for name in named:
        if names and name.lower() not in names:
            found.append(
                Finding(
                    "error",
                    "account",
                    f"slurm_account: {name} is none of yours ({', '.join(names)})",
                    f"In {PROFILE}: {nearest(name, names)}",
                )
            )
    used = [account for account in mine if account.name in named or not named]
    most = min((account.most_jobs for account in used if account.most_jobs), default=None)
    if most and case.at_once and case.at_once > most:
        found.append(
            Finding(
                "warning",
                "account",
                f"jobs: {case.at_once} are more than the {most} that your account may have submitted at once; "
                "Slurm refuses those above it",
                f"Set `jobs: {most}` in {PROFILE}",
            )
        )
    return found or [Finding("ok", "account", ", ".join(named or names or ["none needed"]))]


def earlier_jobs(case: Case, jobs: list[queue.Job]) -> list[Finding]:
    """Whether jobs of a run that was killed still do what this run would do again beside them."""
    here = os.path.realpath(case.workdir)
    twice = [
        job
        for job in jobs
        if not job.finished and job.comment in case.comments and job.workdir and os.path.realpath(job.workdir) == here
    ]
    if not twice:
        return []
    ids = list(dict.fromkeys(job.id.split("_")[0] for job in twice))
    named = ", ".join(sorted({job.comment.split("_wildcards_")[0].removeprefix("rule_") for job in twice}))
    what = f"{len(twice)} jobs of an earlier run in this folder are still in the queue ({named})"
    if others := masters(case.workdir):
        return [
            Finding("warning", "earlier jobs", f"{what}; they may be those of process {others[0]}, which runs here")
        ]
    return [
        Finding(
            "warning",
            "earlier jobs",
            f"{what}: the new jobs wait for them and take what they make",
            f"To let the new ones do it at once: `scancel {' '.join(ids)}`",
        )
    ]


def masters(workdir: Path) -> list[int]:
    """Processes of this machine that run Snakemake in `workdir`, other than this one, its parents, and Slurm's job steps."""
    mine, pid = set(), os.getpid()
    while pid > 1:
        mine.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            break
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = process.joinpath("cmdline").read_text(errors="replace").split("\0")
            folder = os.path.realpath(os.readlink(process / "cwd"))
        except OSError:  # ended meanwhile, or another user's
            continue
        is_snakemake = any(Path(word).name == "snakemake" for word in words[:3])
        is_step = "slurm-jobstep" in words or "--mode" in words
        if is_snakemake and not is_step and int(process.name) not in mine and folder == os.path.realpath(workdir):
            found.append(int(process.name))
    return sorted(found)


def locks(workdir: Path) -> list[Finding]:
    """Whether a run that was killed has left its lock behind."""
    if not any(Path(workdir, ".snakemake", "locks").glob("*.lock")):
        return []
    if alive := masters(workdir):
        return [
            Finding("warning", "lock", f"a run is going on in this folder (process {alive[0]})", "Let it end first")
        ]
    return [
        Finding(
            "error",
            "lock",
            "a run in this folder was killed and has left its lock, or it runs on another machine",
            "If none runs: the same snakemake command with --unlock, once; then without it and with --rerun-incomplete",
        )
    ]


def places(requests: list[Request], partitions: list[queue.Partition]) -> list[Finding]:
    """Whether the partitions that are named exist and take jobs, and whether there is a default where none is named."""
    names = [partition.name for partition in partitions]
    running = [partition.name for partition in partitions if partition.state == "UP"]
    asked: dict[str | None, list[Request]] = {}
    for request in requests:
        for name in request.partition.split(",") if request.partition else [None]:
            asked.setdefault(name, []).append(request)
    found = []
    for name, group in asked.items():
        rules = list(dict.fromkeys(rule for request in group for rule in request.rules))
        partition = partition_of(name, partitions)
        if partition is None and name is None:
            what = "this cluster has no default partition, and the profile names none"
            mend = f"Set slurm_partition under default-resources in {PROFILE} to one of {', '.join(names)}"
            found.append(Finding("error", "partition", what, mend))
        elif partition is None:
            what = f"there is no partition {name!r}, which {several(rules)} ask for; {nearest(name, names)}"
            mend = f"Set slurm_partition in {PROFILE}, under default-resources or set-resources: {rules[0]}"
            found.append(Finding("error", "partition", what, mend))
        elif partition.state != "UP":
            what = f"{partition.name} is {partition.state} and starts no jobs ({several(rules)})"
            mend = f"Ask the administrators, or set slurm_partition in {PROFILE} to another ({', '.join(running) or 'none is UP'})"
            found.append(Finding("error", "partition", what, mend))
    return found or [Finding("ok", "partition", ", ".join(sorted({name or "the default" for name in asked})))]


def partition_of(name: str | None, partitions: list[queue.Partition]) -> queue.Partition | None:
    """The partition of that name; of None the cluster's default. None where there is none."""
    return next((entry for entry in partitions if (entry.default if name is None else entry.name == name)), None)


def limits(
    request: Request, partition: queue.Partition, partitions: list[queue.Partition], nodes: list[queue.Node]
) -> list[Finding]:
    """Whether the request's partition has a node that could ever satisfy it, within its walltime.

    A later try that asks for too much is a warning: the first may do.
    """
    mend_in = f"in {PROFILE}, set-resources: {request.rules[0]}"
    severity = "error" if request.attempt == 1 else "warning"
    found = []
    if request.minutes and partition.minutes is not None and request.minutes > partition.minutes:
        found.append(
            Finding(
                severity,
                "walltime",
                f"{request.title}: asks for {request.minutes} min, but {partition.name} allows {partition.minutes} min: "
                "it would stay pending for ever",
                f"Set runtime: {partition.minutes} {mend_in}"
                + (" (`min(…, " + f"{partition.minutes})` where it grows with the try)" if request.attempt > 1 else "")
                + _longer(request, partitions),
            )
        )
    if request.one_node:
        found += _nodes(request, partition, nodes, severity, mend_in)
    return found


def _longer(request: Request, partitions: list[queue.Partition]) -> str:
    others = [entry.name for entry in partitions if entry.minutes is None or entry.minutes >= request.minutes]
    return f", or slurm_partition: {others[0]}" if others else ""


def _nodes(
    request: Request, partition: queue.Partition, nodes: list[queue.Node], severity: str, mend_in: str
) -> list[Finding]:
    """Whether one of the partition's nodes has all that is asked for."""
    members = [node for node in nodes if partition.name in node.partitions]
    if not members:
        return []  # nodes that are made when they are needed: left to Slurm

    def cpus(node: queue.Node) -> int:
        return min(node.cpus, partition.cpus_per_node or node.cpus)

    def memory(node: queue.Node) -> int:
        return min(node.memory, partition.memory_per_node or node.memory)

    def gpus(node: queue.Node) -> int:
        return node.gpus.get(request.gpu_model, 0) if request.gpu_model else sum(node.gpus.values())

    wanted = (
        ("cpus", request.cpus or 0, cpus, "cpus_per_task", "CPUs"),
        ("memory", request.memory or 0, memory, "mem_mb", "MB of memory"),
        ("gpus", request.gpus, gpus, "gpu", f"GPUs{f' of type {request.gpu_model}' if request.gpu_model else ''}"),
    )
    found = []
    for about, asked, has, key, unit in wanted:
        most = max(map(has, members))
        if asked <= most:
            continue
        elsewhere = sorted({name for node in nodes if has(node) >= asked for name in node.partitions})
        mend = f"Set {key}: {most} {mend_in}"
        if about == "gpus":
            kinds = sorted({kind for node in members for kind in node.gpus if kind})
            if request.gpu_model and kinds and not most:
                mend = f"Set gpu_model to one of {', '.join(kinds)} {mend_in}"
            elif request.gpu_model and not most and any(node.gpus for node in members):
                mend = f"Take gpu_model out {mend_in}: the GPUs of {partition.name} have no type"
            elif not most:
                mend = f"Set gpu: 0 (and no gpu_model) {mend_in} to compute on CPUs"
        elif request.attempt > 1:
            mend = f"Set {key}: min(…, {most}) {mend_in}, or fewer retries"
        if elsewhere and partition.name not in elsewhere:
            mend += f", or slurm_partition: {elsewhere[0]}"
        found.append(
            Finding(
                severity,
                about,
                f"{request.title}: asks for {asked} {unit}, but no node of {partition.name} has more than {most}: "
                "it would stay pending for ever",
                mend,
            )
        )
    if not found and not any(all(asked <= has(node) for _, asked, has, _, _ in wanted) for node in members):
        found.append(
            Finding(
                severity,
                "nodes",
                f"{request.title}: no single node of {partition.name} has {request.cpus} CPUs, {request.memory} MB and "
                f"{request.gpus} GPUs together: it would stay pending for ever",
                f"Ask for less {mend_in}; `sinfo -N -p {partition.name} -o '%N %c %m %G'` shows the nodes",
            )
        )
    fitting = [node for node in members if all(asked <= has(node) for _, asked, has, _, _ in wanted)]
    if fitting and not any(node.usable for node in fitting):
        states = ", ".join(sorted({node.state for node in fitting}))
        found.append(
            Finding(
                "warning",
                "nodes",
                f"{request.title}: every node of {partition.name} that could take it is out of service ({states})",
                f"Jobs wait until one is back: `sinfo -R -p {partition.name}` says why",
            )
        )
    return found


def tested(requests: list[Request]) -> list[Finding]:
    """What Slurm itself says of each different request (`sbatch --test-only`; nothing is submitted)."""
    found, taken = [], 0
    begun = time.monotonic()
    for number, request in enumerate(requests):
        if not request.options:
            continue
        if time.monotonic() - begun > TESTS_TAKE:
            left = len(requests) - number
            found.append(
                Finding("warning", "requests", f"Slurm answers slowly: {left} requests were not tried with it")
            )
            break
        try:
            possible, words = queue.test_submission(list(request.options))
        except ResurveyError as error:
            return [*found, Finding("warning", "requests", str(error))]
        if possible:
            taken += 1
        else:
            shown = " ".join(option for option in request.options if "resurvey-doctor" not in option)
            found.append(
                Finding(
                    "error",
                    "request",
                    f"{request.title}: Slurm refuses it: {words}",
                    f"Change what the rule asks for in {PROFILE}, set-resources: {request.rules[0]}. Asked was: sbatch {shown}",
                )
            )
    untried = [request.title for request in requests if not request.options]
    if untried:
        found.append(
            Finding(
                "warning",
                "requests",
                f"not tried with Slurm, for their resources are not known yet: {'; '.join(untried)}",
            )
        )
    if taken:
        found.append(Finding("ok", "requests", f"Slurm would take {taken} of {len(requests)} different requests"))
    return found


def probed(case: Case, partitions: list[queue.Partition]) -> list[Finding]:
    """A tiny job on each partition: whether its nodes see this folder and this Python."""
    default = next((entry.name for entry in partitions if entry.default), None)
    wanted: dict[str, Request] = {}
    for request in case.requests:
        name = request.partition or default
        if name and (name not in wanted or wanted[name].gpus > request.gpus):
            wanted[name] = request  # the one with the fewest GPUs: a partition may demand one
    try:
        results = probe.run(wanted, case.workdir, case.package, case.latency)
    except ResurveyError as error:
        return [Finding("warning", "probe", f"not probed: {error}")]
    return [Finding(severity, "probe", what, mend) for severity, what, mend in results]
