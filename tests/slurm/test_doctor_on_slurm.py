"""The doctor on a real Slurm: what it finds before anything is submitted, and that nothing is."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from resurvey.cluster import doctor, probe, queue, requests
from resurvey.cluster.machine import ROOT
from resurvey.errors import ResurveyError


def no_cluster() -> str | None:
    """Why these tests cannot run here; None where a Slurm answers."""
    if not shutil.which("sinfo"):
        return "no Slurm on this machine (python tests/slurm/cluster.py start)"
    try:
        queue.alive()
    except ResurveyError as error:
        return str(error)
    return None


WITHOUT = no_cluster()
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.xdist_group("slurm"),
    pytest.mark.skipif(WITHOUT is not None, reason=str(WITHOUT)),
]


@pytest.fixture
def default() -> tuple[queue.Partition, queue.Node]:
    """The default partition and its largest node."""
    partition = next(entry for entry in queue.partitions() if entry.default)
    return partition, max(
        (node for node in queue.nodes() if partition.name in node.partitions), key=lambda node: node.cpus
    )


def request(*options: str, **changes) -> requests.Request:
    base = {"rules": ("shard",), "jobs": 2, "attempt": 1, "partition": None, "account": None, "cpus": 1, "memory": 100}
    base |= {
        "gpus": 0,
        "gpu_model": None,
        "minutes": 5,
        "one_node": True,
        "options": options or ("--time=5", "--mem=100"),
    }
    return requests.Request(**(base | changes))


def case(workdir: Path, *asked: requests.Request, **changes) -> doctor.Case:
    base = {"requests": list(asked), "comments": set(), "workdir": workdir, "package": ROOT / "workflow"}
    return doctor.Case(**(base | {"status_command": "squeue", "first_poll": 5, "probe": False} | changes))


def mine(workdir: Path) -> list[queue.Job]:
    return [job for job in queue.jobs(finished=True) if str(workdir) in (job.workdir, job.comment)]


def project(folder: Path) -> Path:
    """A folder in which the workflow runs as in the project's root."""
    for name in ("Snakefile", "config.yaml", "workflow"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "slurm", folder / "slurm")
    return folder


def run(folder: Path, *command: str, **env: str) -> subprocess.CompletedProcess:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=180, env={**os.environ, "PATH": path, **env}
    )


def test_the_cluster_is_read(default):
    partition, node = default
    assert partition.state == "UP" and partition.name in node.partitions
    assert node.cpus >= 1 and node.memory > 100
    assert "SLURM_VERSION" in queue.config()


def test_a_job_is_seen_with_its_comment_and_folder(tmp_path):
    name = f"seen-{tmp_path.name}"
    line = queue.call(
        "sbatch",
        "--parsable",
        "--hold",
        f"--job-name={name}",
        "--comment=rule_x_wildcards_a|b",
        f"--chdir={tmp_path}",
        "--wrap=true",
    )
    try:
        job = next(job for job in queue.jobs() if job.name == name)
        assert (job.id, job.state, job.comment, job.workdir) == (
            line.strip(),
            "PENDING",
            "rule_x_wildcards_a|b",
            str(tmp_path),
        )
        assert queue.stdout_path(job.id) == f"{tmp_path}/slurm-{job.id}.out"
        found = doctor.earlier_jobs(case(tmp_path, comments={job.comment}), [job])
        assert f"scancel {job.id}" in found[0].mend
    finally:
        queue.call("scancel", line.strip())
    assert queue.stdout_path("99999999") is None


def test_what_slurm_itself_refuses_and_what_only_our_limits_find(default):
    partition, node = default
    assert queue.test_submission(["--time=1", "--mem=100"])[0]
    possible, words = queue.test_submission([f"--cpus-per-task={node.cpus + 1}"])
    assert not possible and "Requested node configuration is not available" in words
    possible, words = queue.test_submission(["--partition=nosuch"])
    assert not possible and "nvalid partition" in words
    if partition.minutes and queue.config().get("EnforcePartLimits", "NO") == "NO":
        too_long = partition.minutes + 1
        assert queue.test_submission([f"--time={too_long}", "--mem=100"])[0], (
            "Slurm takes it, and it would wait for ever"
        )
        found = doctor.limits(request(minutes=too_long), partition, [partition], [node])
        assert [finding.about for finding in found] == ["walltime"]


def test_impossible_requests_are_found_and_nothing_is_submitted(default, tmp_path):
    node = default[1]
    asked = [
        request(rules=("cpus",), cpus=node.cpus + 1),
        request(rules=("memory",), memory=node.memory + 1),
        request(rules=("gpus",), gpus=99),
        request("--constraint=nosuch", "--mem=100", rules=("feature",)),
        request(rules=("good",)),
    ]
    found = doctor.slurm(case(tmp_path, *asked, probe=True))
    errors = {finding.what.split(" ")[0]: finding for finding in found if finding.severity == "error"}
    assert set(errors) == {"cpus", "memory", "gpus", "feature"}
    assert "nvalid feature" in errors["feature"].what
    assert not any(finding.about == "probe" for finding in found), "a probe would be a job"
    assert mine(tmp_path) == []


def test_an_account_that_is_none_of_the_users(tmp_path):
    if "slurmdbd" not in queue.config().get("AccountingStorageType", ""):
        pytest.skip("this Slurm keeps no accounts (python tests/slurm/cluster.py start --accounting)")
    names = [account.name for account in queue.accounts()]
    assert names
    found = doctor.slurm(case(tmp_path, request(account="nosuch")))
    errors = [finding for finding in found if finding.severity == "error" and finding.about == "account"]
    assert names[0] in errors[0].what and "nosuch" in errors[0].what
    found = doctor.slurm(case(tmp_path, request(account=names[0])))
    assert not [finding for finding in found if finding.severity == "error"]


def probed(wanted: dict[str, requests.Request], workdir: Path) -> list[tuple[str, str, str]]:
    """The probe's findings; a cluster that others keep full tells nothing."""
    found = probe.run(wanted, workdir, ROOT / "workflow", latency=10, wait=60)
    if "did not begin in time (Resources)" in found[0][1] or "did not begin in time (Priority)" in found[0][1]:
        pytest.skip("other jobs fill this cluster")
    return found


def test_the_probe_sees_this_folder_and_remembers_it(default, tmp_path):
    asked = {default[0].name: request()}
    found = probed(asked, tmp_path)
    assert [entry[0] for entry in found] == ["ok"], found
    begun = time.monotonic()
    again = probe.run(asked, tmp_path, ROOT / "workflow", latency=10)
    assert "asked before" in again[0][1] and time.monotonic() - begun < 1
    assert [path.name for path in (tmp_path / ".snakemake").iterdir()] == ["resurvey-doctor.json"]


def test_a_python_that_the_nodes_lack_is_an_error(default, tmp_path, monkeypatch):
    monkeypatch.setattr(probe.sys, "executable", "/no/such/python")
    found = probed({default[0].name: request()}, tmp_path)
    assert found[0][0] == "error" and "does not see /no/such/python" in found[0][1]


def test_a_probe_that_does_not_begin_is_a_warning_and_is_taken_back(default, tmp_path, monkeypatch):
    call = queue.call
    monkeypatch.setattr(
        queue, "call", lambda tool, *rest, **more: call(tool, *(["--hold"] if tool == "sbatch" else []), *rest, **more)
    )
    begun = time.monotonic()
    found = probe.run({default[0].name: request()}, tmp_path, ROOT / "workflow", latency=1, wait=2)
    assert time.monotonic() - begun < 20
    assert found[0][0] == "warning" and "did not begin in time (JobHeldUser)" in found[0][1], found
    assert [job.state for job in mine(tmp_path)] == ["CANCELLED"]
    assert "cpu" not in (tmp_path / ".snakemake" / "resurvey-doctor.json").read_text(), "a failure is not remembered"


def test_a_controller_that_is_down(tmp_path):
    conf = Path(queue.config()["SLURM_CONF"])
    if not os.access(conf, os.R_OK):
        pytest.skip(f"{conf} cannot be read")
    lines = [line for line in conf.read_text().splitlines() if not line.startswith("SlurmctldPort")]
    (tmp_path / "slurm.conf").write_text("\n".join([*lines, "SlurmctldPort=6999", ""]))
    for name in ("gres.conf", "cgroup.conf"):
        if (conf.parent / name).exists():
            shutil.copy(conf.parent / name, tmp_path)
    code = (
        "from pathlib import Path; from resurvey.cluster import doctor;"
        "[print(f.severity, f.text) for f in doctor.slurm(doctor.Case([], set(), Path('.'), Path('.')))]"
    )
    result = run(ROOT, sys.executable, "-c", code, SLURM_CONF=str(tmp_path / "slurm.conf"))
    assert "error Slurm: Slurm's controller does not answer" in result.stdout, result.stdout + result.stderr


def test_a_run_that_could_never_end_does_not_begin(default, tmp_path):
    folder = project(tmp_path)
    result = run(
        folder,
        *("snakemake", "--cores", "all", "--profile", "slurm", "--config", "preset=smoke"),
        *("--set-resources", "train_network:cpus_per_task=4096"),
    )
    said = result.stdout + result.stderr
    assert result.returncode == 1, said[-3000:]
    assert "nothing was submitted to Slurm" in said and "Set cpus_per_task: " in said
    assert "train_network" in said and "4096 CPUs" in said
    assert mine(folder) == []
    assert not list((folder / ".snakemake").glob("locks/*.lock"))


def test_the_command_asks_the_cluster(tmp_path):
    folder = project(tmp_path)
    result = run(folder, "resurvey", "doctor", "--profile", "slurm", "--preset", "smoke", "--no-probe")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Slurm would take" in result.stdout and "status command" in result.stdout
    profile = folder / "slurm" / "config.yaml"
    profile.write_text(profile.read_text().replace("slurm-status-command: squeue", "slurm-status-command: sacct"))
    result = run(folder, "resurvey", "doctor", "--profile", "slurm", "--preset", "smoke", "--no-probe")
    accounting = "slurmdbd" in queue.config().get("AccountingStorageType", "")
    assert result.returncode == (0 if accounting else 2), result.stdout + result.stderr
    assert accounting or "slurm-status-command: squeue" in result.stdout
    assert mine(folder) == []
