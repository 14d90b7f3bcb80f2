"""From Snakemake's workflow to the doctor: at the start of a run, and from the dry run that `resurvey doctor` makes."""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from resurvey import files
from resurvey.cluster import REQUESTS, doctor, machine, requests
from resurvey.cluster.doctor import Finding
from resurvey.errors import ResurveyError
from resurvey.settings import WORKFLOW

PLUGIN = "snakemake_executor_plugin_slurm"
DRY_RUN = 300.0  # seconds; 20,000 jobs took 10


def write_requests(workflow, path: str) -> None:
    """Write what all jobs of the graph would ask for, and the comments of those that are still to be done."""
    dag = workflow.dag
    if dag is None:  # the dry run failed before; it has said why
        return
    jobs = [
        job for job in dag.jobs if not job.rule.norun
    ]  # in a dry run every job is local; targets alone are so on Slurm
    found = {
        "requests": [request.to_dict() for request in requests.collect(jobs)],
        "comments": sorted({requests.comment(job) for job in dag.needrun_jobs(exclude_finished=False)}),
    }
    files.write_json(found, path)


def before_submission(workflow, project: dict) -> None:
    """The doctor's checks of Slurm, and of the disk, for the jobs of this run. Prints warnings to stderr.

    Raises ResurveyError with all errors and their mends; then nothing has been submitted.
    """
    settings = workflow.executor_settings
    todo = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    workdir = Path(os.fspath(workflow.workdir_init))
    case = doctor.Case(
        requests=requests.collect(todo, settings, str(workdir)),
        comments=set(),  # jobs of an earlier run have been dealt with before, by orphans.take_over
        workdir=workdir,
        package=Path(workflow.basedir) / "workflow",
        status_command=getattr(settings, "status_command", None),
        first_poll=getattr(settings, "init_seconds_before_status_checks", None) or 40,
        at_once=workflow.resource_settings.nodes,
        latency=workflow.execution_settings.latency_wait,
    )
    if not case.requests:
        return
    findings = machine.disk(project, workdir) + doctor.slurm(case)
    for finding in findings:
        if finding.severity == "warning":
            print(f"warning: {finding.text}", file=sys.stderr)
    errors = [finding.text for finding in findings if finding.severity == "error"]
    if errors:
        raise ResurveyError(
            "nothing was submitted to Slurm:\n"
            + "\n".join(f"  {number}. {text}" for number, text in enumerate(errors, 1))
            + "\n`resurvey doctor --profile slurm` asks again without starting a run; --no-hooks starts one unasked"
        )


def planned(profile: str, preset: str | None, workdir: Path) -> dict:
    """What `write_requests` writes, from a dry run with this profile: nothing is started, no lock is taken.

    Raises ResurveyError with the last words of a dry run that failed.
    """
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--nolock", "--cores", "all"]
    command += ["--quiet", "rules", "progress"]  # with these two it ends when the graph is complete
    command += ["--profile", profile, *(["--config", f"preset={preset}"] if preset else [])]
    with tempfile.TemporaryDirectory(prefix="resurvey-doctor-") as folder:
        path = Path(folder, "requests.json")
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=DRY_RUN,
                cwd=workdir,
                env={**os.environ, REQUESTS: str(path)},
            )
        except subprocess.TimeoutExpired:
            raise ResurveyError(f"snakemake --dry-run --profile {profile} did not end in {DRY_RUN:g} s") from None
        if done.returncode or not path.exists():
            words = (done.stderr + done.stdout).strip().splitlines()[-4:]
            raise ResurveyError(f"snakemake --dry-run --profile {profile} failed: {' '.join(map(str.strip, words))}")
        return files.read_json(path)


def from_command_line(name: str, profile: dict, preset: str | None, workdir: Path, probe: bool) -> list[Finding]:
    """The doctor's checks of Slurm for all jobs of the project in `workdir`, done or not."""
    if importlib.util.find_spec(PLUGIN) is None:
        return []  # the check of packages has said so
    try:
        found = planned(name, preset, workdir)
    except ResurveyError as error:
        return [Finding("error", "jobs", str(error))]
    everywhere = [f"--{key}={profile[f'slurm-{key}']}" for key in ("qos", "reservation") if profile.get(f"slurm-{key}")]
    planned_requests = [requests.Request.from_dict(entry) for entry in found["requests"]]
    case = doctor.Case(
        requests=[request.with_options(everywhere) for request in planned_requests],
        comments=set(found["comments"]),
        workdir=workdir,
        package=WORKFLOW,
        status_command=profile.get("slurm-status-command"),
        first_poll=profile.get("slurm-init-seconds-before-status-checks", 40),
        at_once=profile.get("jobs"),
        latency=profile.get("latency-wait", 5),
        probe=probe,
    )
    return doctor.slurm(case)
