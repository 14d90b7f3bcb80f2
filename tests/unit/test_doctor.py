"""The doctor, on texts as Slurm's commands give them: 22.05 as recorded on the test cluster, newer ones and sites with accounting."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from resurvey import files
from resurvey.cluster import doctor, handover, machine, probe, queue, requests
from resurvey.commands import doctor as command
from resurvey.errors import ResurveyError

CONFIG = """Configuration data as of 2026-11-20T23:21:50
AccountingStorageEnforce = none
AccountingStorageType   = accounting_storage/none
ClusterName             = resurvey
MinJobAge               = 300 sec
PowerPlugin             =
SLURM_VERSION           = 22.05.8

Slurmctld(primary) at vm is UP
"""
PARTITIONS = (
    "PartitionName=cpu AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL Default=YES QoS=N/A DefaultTime=00:10:00"
    " DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO MaxNodes=UNLIMITED MaxTime=1-00:00:00 MinNodes=0 LLN=NO"
    " MaxCPUsPerNode=UNLIMITED Nodes=n[1-2] State=UP TotalCPUs=16 TotalNodes=2 JobDefaults=(null) DefMemPerCPU=500"
    " MaxMemPerNode=UNLIMITED TRES=cpu=16,mem=64000M,node=2,billing=16\n"
    "PartitionName=gpu AllowGroups=ALL Default=NO MaxTime=UNLIMITED MaxCPUsPerNode=8 MaxCPUsPerSocket=UNLIMITED Nodes=g1"
    " State=UP TotalCPUs=32 MaxMemPerNode=0\n"
    "PartitionName=old AllowGroups=ALL Default=NO MaxTime=02:00:00 Nodes=n1 State=DOWN MaxMemPerNode=16000\n"
)
NODES = (
    "NodeName=n1 Arch=x86_64 CoresPerSocket=8  CPUAlloc=0 CPUEfctv=8 CPUTot=8 CPULoad=0.73 AvailableFeatures=(null)"
    " Gres=(null) NodeAddr=127.0.0.1 Version=22.05.8 OS=Linux 6.18.44 #1 SMP PREEMPT_DYNAMIC @0  RealMemory=32000 AllocMem=0"
    " State=IDLE ThreadsPerCore=1 Partitions=cpu,old  BootTime=2026-11-20T20:11:04 CfgTRES=cpu=8,mem=32000M,billing=8\n"
    "NodeName=n2 CPUAlloc=0 CPUTot=8 Gres=(null) RealMemory=32000 State=DOWN+DRAIN ThreadsPerCore=1 Partitions=cpu"
    " Reason=bad memory [root@2026-11-20T20:11:04]\n"
    "NodeName=g1 CPUAlloc=4 CPUEfctv=30 CPUTot=32 Gres=gpu:a100:4(S:0-1),gpu:v100:1,tmpdisk:100 RealMemory=256000"
    " MemSpecLimit=6000 State=MIXED Partitions=gpu \n"
)


@pytest.fixture
def cluster():
    return queue.parse_partitions(PARTITIONS), queue.parse_nodes(NODES)


def request(**changes) -> requests.Request:
    base = {"rules": ("shard",), "jobs": 2, "attempt": 1, "partition": None, "account": None, "cpus": 1, "memory": 2000}
    base |= {"gpus": 0, "gpu_model": None, "minutes": 60, "one_node": True, "options": ("-p", "cpu")}
    return requests.Request(**(base | changes))


def case(*asked: requests.Request, **changes) -> doctor.Case:
    base = {
        "requests": list(asked) or [request()],
        "comments": set(),
        "workdir": Path("/w"),
        "package": Path("/w/workflow"),
    }
    return doctor.Case(**(base | {"status_command": "squeue", "first_poll": 20} | changes))


def examined(cluster, **changes) -> list[doctor.Finding]:
    asked = request(**changes)
    return doctor.limits(asked, doctor.partition_of(asked.partition, cluster[0]), *cluster)


# ── what Slurm's commands say ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_partitions_have_their_own_limits_and_none_for_unlimited(cluster):
    cpu, gpu, old = cluster[0]
    assert cpu == queue.Partition("cpu", True, "UP", 1440, None, None)
    assert gpu == queue.Partition("gpu", False, "UP", None, 8, None)
    assert old == queue.Partition("old", False, "DOWN", 120, None, 16000)


def test_nodes_give_what_their_system_leaves_and_types_of_gpus(cluster):
    n1, n2, g1 = cluster[1]
    assert n1 == queue.Node("n1", "IDLE", ("cpu", "old"), 8, 32000, {})
    assert (g1.cpus, g1.memory, g1.gpus, g1.usable) == (30, 250000, {"a100": 4, "v100": 1}, True)
    assert (n2.cpus, n2.usable) == (8, False)


@pytest.mark.parametrize(
    ("gres", "expected"),
    [
        ("gpu:2", {"": 2}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}),
        ("gpu", {"": 1}),
        ("gpu:a100", {"a100": 1}),
        ("gpu:nvidia_a100_1g.5gb:7(S:0,3)", {"nvidia_a100_1g.5gb": 7}),
        ("(null)", {}),
        ("shard:8,gpu:h100:8", {"h100": 8}),
    ],
)
def test_gpus_of_a_node(gres, expected):
    assert queue.gpus(gres) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0:05", 5), ("1:02:03", 3723), ("2-00:00:00", 172800), ("10:00", 600), ("UNLIMITED", None), ("INVALID", None)],
)
def test_seconds(text, expected):
    assert queue.seconds(text) == expected


def test_jobs_with_any_character_in_names_and_comments():
    fields = [
        "3_[1-4]",
        "a|b c",
        "PENDING",
        "Resources",
        "me",
        "cpu",
        "/w",
        "rule_x_wildcards_a|b",
        "",
        "2026-11-20T23:18:56",
        "N/A",
        "0:00",
    ]
    job = queue.parse_jobs(queue.SEPARATOR.join(fields) + "\n")[0]
    assert (job.id, job.name, job.reason, job.comment, job.nodes) == (
        "3_[1-4]",
        "a|b c",
        "Resources",
        "rule_x_wildcards_a|b",
        "",
    )
    assert job.submitted.hour == 23 and job.started is None and job.waiting and not job.finished
    with pytest.raises(ResurveyError, match="squeue: cannot be read"):
        queue.parse_jobs("1|2\n")


def test_config_and_accounts():
    config = queue.parse_config(CONFIG)
    assert (config["MinJobAge"], config["SLURM_VERSION"], config["PowerPlugin"]) == ("300 sec", "22.05.8", "")
    assert queue.parse_accounts("lab||\nastro|gpu|50\n") == [
        queue.Account("lab", "", None),
        queue.Account("astro", "gpu", 50),
    ]


def test_a_missing_tool_a_silent_controller_and_a_refusal_are_told(tmp_path, monkeypatch):
    with pytest.raises(ResurveyError, match=r"no such command on this machine.*login node"):
        queue.call("no-such-slurm-command")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ResurveyError, match="sinfo: there is no such command"):
        queue.alive()
    monkeypatch.undo()
    with pytest.raises(ResurveyError, match=r"did not answer in 0.2 s"):
        queue.call("sleep", "5", timeout=0.2)
    with pytest.raises(ResurveyError, match="cannot access"):
        queue.call("ls", "/no/such/folder")


def tools(folder: Path, monkeypatch, **scripts: str) -> None:
    """Commands in front of the PATH that say what they are told to."""
    for name, body in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_controller_that_is_down_is_found_before_anything_else(tmp_path, monkeypatch):
    down = "echo 'Slurmctld(primary) at vm is DOWN'; exit 1"
    tools(tmp_path, monkeypatch, sinfo="", sbatch="", squeue="", scancel="", scontrol=down)
    found = doctor.slurm(case())
    assert [finding.severity for finding in found] == ["error"]
    assert "controller does not answer" in found[0].text and "is DOWN" in found[0].text


# ── each check, its message and its mend ────────────────────────────────────────────────────────────────────────────────────────


def test_a_request_that_fits_has_no_finding(cluster):
    assert examined(cluster) == []
    assert examined(cluster, partition="gpu", gpus=4, gpu_model="a100", cpus=8, memory=250000, minutes=100000) == []


@pytest.mark.parametrize(
    ("changes", "about", "words", "mend"),
    [
        ({"cpus": 9}, "cpus", "asks for 9 CPUs, but no node of cpu has more than 8", "cpus_per_task: 8"),
        (
            {"cpus": 9, "partition": "gpu"},
            "cpus",
            "more than 8",
            "cpus_per_task: 8",
        ),  # MaxCPUsPerNode of a node with 30
        ({"memory": 32001}, "memory", "32001 MB of memory", "mem_mb: 32000"),
        ({"memory": 32001}, "memory", "32001 MB of memory", "slurm_partition: gpu"),
        ({"memory": 16001, "partition": "old"}, "memory", "more than 16000", "mem_mb: 16000"),
        ({"minutes": 1441}, "walltime", "1441 min, but cpu allows 1440", "runtime: 1440"),
        ({"minutes": 1441}, "walltime", "1441 min", "slurm_partition: gpu"),
        ({"gpus": 1}, "gpus", "no node of cpu has more than 0", "gpu: 0"),
        ({"gpus": 1}, "gpus", "no node of cpu has more than 0", "slurm_partition: gpu"),
        ({"gpus": 6, "partition": "gpu"}, "gpus", "asks for 6 GPUs", "gpu: 5"),
        ({"gpus": 5, "gpu_model": "a100", "partition": "gpu"}, "gpus", "5 GPUs of type a100", "gpu: 4"),
        (
            {"gpus": 1, "gpu_model": "h100", "partition": "gpu"},
            "gpus",
            "of type h100",
            "gpu_model to one of a100, v100",
        ),
    ],
)
def test_what_no_node_can_give_is_an_error_with_its_mend(cluster, changes, about, words, mend):
    found = examined(cluster, **changes)
    assert [(finding.severity, finding.about) for finding in found] == [("error", about)]
    assert words in found[0].what and "shard (2 jobs)" in found[0].what and "for ever" in found[0].what
    assert mend in found[0].mend and "set-resources: shard" in found[0].mend


def test_gpus_without_a_type_are_not_found_by_one():
    partitions = queue.parse_partitions("PartitionName=gpu Default=YES MaxTime=UNLIMITED State=UP\n")
    nodes = queue.parse_nodes("NodeName=g CPUTot=8 RealMemory=9000 Gres=gpu:2 State=IDLE Partitions=gpu\n")
    found = doctor.limits(request(gpus=1, gpu_model="a100"), partitions[0], partitions, nodes)
    assert "Take gpu_model out" in found[0].mend and "have no type" in found[0].mend


def test_each_can_be_had_but_not_together():
    partitions = queue.parse_partitions("PartitionName=p Default=YES MaxTime=UNLIMITED State=UP\n")
    nodes = queue.parse_nodes(
        "NodeName=a CPUTot=64 RealMemory=1000 State=IDLE Partitions=p\nNodeName=b CPUTot=2 RealMemory=90000 State=IDLE Partitions=p\n"
    )
    found = doctor.limits(request(cpus=32, memory=50000), partitions[0], partitions, nodes)
    assert [(finding.severity, finding.about) for finding in found] == [("error", "nodes")]
    assert "no single node of p has 32 CPUs, 50000 MB" in found[0].what


def test_a_later_try_that_asks_for_too_much_is_a_warning(cluster):
    found = examined(cluster, attempt=3, memory=96000)
    assert [finding.severity for finding in found] == ["warning"]
    assert "try 3" in found[0].what and "min(…, 32000)" in found[0].mend


def test_nodes_out_of_service_are_a_warning(cluster):
    nodes = [node for node in cluster[1] if node.name == "n2"]
    found = doctor.limits(request(), cluster[0][0], cluster[0], nodes)
    assert [finding.severity for finding in found] == ["warning"] and "DOWN+DRAIN" in found[0].what


def test_jobs_over_several_nodes_are_left_to_slurm_but_for_their_walltime(cluster):
    assert examined(cluster, one_node=False, cpus=512) == []
    assert [finding.about for finding in examined(cluster, one_node=False, minutes=9999)] == ["walltime"]


def test_partitions_that_are_not_there_or_take_no_jobs(cluster):
    partitions = cluster[0]
    found = doctor.places([request(partition="gpus"), request(partition="gpus", rules=("infer",))], partitions)
    assert len(found) == 1 and found[0].severity == "error"
    assert "no partition 'gpus', which shard, infer ask for; did you mean gpu?" in found[0].what
    found = doctor.places([request(partition="cpu,old")], partitions)
    assert [finding.severity for finding in found] == ["error"] and "old is DOWN" in found[0].what
    assert "(cpu, gpu)" in found[0].mend
    found = doctor.places([request()], [entry for entry in partitions if not entry.default])
    assert "no default partition" in found[0].what and "gpu, old" in found[0].mend
    assert doctor.places([request()], partitions)[0].severity == "ok"


@pytest.mark.parametrize(
    ("wanted", "kept", "accounting", "sacct", "severity", "mend"),
    [
        ("squeue", 300, False, True, "ok", ""),
        ("sacct", 300, False, True, "error", "`slurm-status-command: squeue` in"),
        (
            None,
            300,
            False,
            True,
            "error",
            "`slurm-status-command: squeue` in",
        ),  # the plugin's default where there is a sacct
        (None, 300, False, False, "ok", ""),
        ("squeue", 30, False, True, "error", "before-status-checks: 10"),  # the plugin would take sacct
        ("squeue", 30, False, False, "warning", "before-status-checks: 10"),
        ("squeue", 30, True, True, "ok", ""),
        ("sacct", 30, True, True, "ok", ""),
    ],
)
def test_the_status_command_must_be_able_to_answer(monkeypatch, wanted, kept, accounting, sacct, severity, mend):
    monkeypatch.setattr(doctor.shutil, "which", lambda tool: "/usr/bin/sacct" if sacct else None)
    config = {
        "MinJobAge": f"{kept} sec",
        "AccountingStorageType": f"accounting_storage/{'slurmdbd' if accounting else 'none'}",
    }
    found = doctor.status(case(status_command=wanted), config)
    assert [finding.severity for finding in found] == [severity] and mend in found[0].mend


def test_accounts(monkeypatch):
    config = queue.parse_config(CONFIG)
    assert doctor.accounts(case(), config)[0].severity == "ok"
    found = doctor.accounts(case(request(account="lab")), config)
    assert found[0].severity == "warning" and "has no effect" in found[0].what
    config |= {
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "AccountingStorageEnforce": "associations,limits",
    }
    monkeypatch.setattr(queue, "accounts", lambda: queue.parse_accounts("astro||50\nlab||\n"))
    assert doctor.accounts(case(request(account="lab")), config) == [doctor.Finding("ok", "account", "lab")]
    found = doctor.accounts(case(request(account="labs")), config)
    assert (
        found[0].severity == "error" and "none of yours (astro, lab)" in found[0].what and "mean lab?" in found[0].mend
    )
    found = doctor.accounts(case(request(account="astro"), at_once=200), config)
    assert found[0].severity == "warning" and "jobs: 50" in found[0].mend
    monkeypatch.setattr(queue, "accounts", list)
    assert doctor.accounts(case(), config)[0].severity == "error"


def queued(**changes) -> queue.Job:
    base = {
        "id": "12",
        "name": "resurvey_1",
        "state": "RUNNING",
        "reason": "",
        "user": "me",
        "partition": "cpu",
        "workdir": "/w",
    }
    base |= {"comment": "rule_shard_wildcards_d_0001", "nodes": "n1", "submitted": None, "started": None, "elapsed": 5}
    return queue.Job(**(base | changes))


def test_jobs_of_an_earlier_run_are_told_with_their_ids(monkeypatch):
    monkeypatch.setattr(doctor, "masters", lambda workdir: [])
    mine = case(comments={"rule_shard_wildcards_d_0001"})
    jobs = [
        queued(),
        queued(id="13_[1-4]", state="PENDING"),
        queued(id="14", state="COMPLETED"),
        queued(id="15", workdir="/other"),
    ]
    found = doctor.earlier_jobs(mine, [*jobs, queued(id="16", comment="rule_shard_wildcards_d_0002")])
    assert [finding.severity for finding in found] == ["warning"]
    assert "`scancel 12 13`" in found[0].mend and "2 jobs" in found[0].what
    assert doctor.earlier_jobs(mine, jobs[2:]) == []


def test_a_lock_without_a_living_run_is_an_error(tmp_path):
    assert doctor.locks(tmp_path) == []
    (tmp_path / ".snakemake" / "locks").mkdir(parents=True)
    assert doctor.locks(tmp_path) == []
    (tmp_path / ".snakemake" / "locks" / "0.output.lock").write_text("results/x\n")
    found = doctor.locks(tmp_path)
    assert found[0].severity == "error" and "--unlock" in found[0].mend


def test_a_living_run_is_not_a_stale_lock(tmp_path):
    (tmp_path / ".snakemake" / "locks").mkdir(parents=True)
    (tmp_path / ".snakemake" / "locks" / "0.output.lock").write_text("results/x\n")
    script = tmp_path / "snakemake"
    script.write_text("import sys; print(flush=True); sys.stdin.read()")
    with subprocess.Popen(
        [sys.executable, script], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        try:
            assert doctor.masters(tmp_path) == [other.pid]
            assert doctor.locks(tmp_path)[0].severity == "warning"
        finally:
            other.stdin.close()


REFUSED = "echo 'allocation failure: Requested node configuration is not available' >&2; exit 1"
TAKEN = "echo 'sbatch: Job 9 to start at 2026-11-20T23:20:34 using 1 processors on nodes vm in partition cpu' >&2"


def test_slurm_itself_is_asked_and_its_words_are_handed_on(tmp_path, monkeypatch):
    tools(tmp_path, monkeypatch, sbatch=TAKEN)
    assert doctor.tested([request()]) == [
        doctor.Finding("ok", "requests", "Slurm would take 1 of 1 different requests")
    ]
    tools(tmp_path, monkeypatch, sbatch=REFUSED)
    found = doctor.tested([request()])
    assert found[0].severity == "error" and "Requested node configuration is not available" in found[0].what
    assert "sbatch -p cpu" in found[0].mend
    found = doctor.tested([request(options=())])
    assert found[0].severity == "warning" and "not tried with Slurm" in found[0].what


# ── what the jobs ask for ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Resources(dict):
    __getattr__ = dict.__getitem__


class Job:
    """As much of Snakemake's job as is used; `by_try` gives its resources at each try."""

    def __init__(self, rule, by_try, wildcards=(), retries=0, threads=1):
        self.rule, self.name, self.wildcards, self.threads = SimpleNamespace(name=rule), rule, wildcards, threads
        self.restart_times, self.attempt, self.by_try = retries, 1, by_try

    @property
    def resources(self):
        return Resources(self.by_try(self.attempt))


def fixed(**resources):
    return lambda attempt: resources


def test_jobs_that_ask_for_the_same_are_one_request():
    jobs = [Job("shard", fixed(mem_mb=2000, runtime=60), ["d", f"{n:04d}"]) for n in range(3)]
    jobs += [
        Job("plan", fixed(mem_mb=2000, runtime=60)),
        Job("train", fixed(mem_mb=9000, gpu=1, gpu_model="a100", cpus_per_task=4)),
    ]
    first, second = requests.collect(jobs)
    assert (first.rules, first.jobs, first.memory, first.minutes, first.gpus) == (("shard", "plan"), 4, 2000, 60, 0)
    assert (second.gpus, second.gpu_model, second.cpus, second.minutes) == (1, "a100", 4, None)
    assert first.title == "shard, plan (4 jobs)"


def test_the_last_try_is_examined_too_and_the_job_is_left_as_it_was():
    job = Job("train", lambda attempt: {"mem_mb": 1000 * attempt}, retries=2)
    found = requests.collect([job, Job("plan", fixed(mem_mb=10), retries=2)])
    assert [(entry.rules, entry.attempt, entry.memory) for entry in found] == [
        (("train",), 1, 1000),
        (("plan",), 1, 10),
        (("train",), 3, 3000),
    ]
    assert job.attempt == 1


def test_resources_that_are_not_known_yet_are_not_tried():
    found = requests.collect([Job("shard", fixed(mem_mb="<TBD>", runtime=60))])
    assert found[0].memory is None and found[0].options == ()


def test_gpus_asked_for_as_gres_and_accounts_in_a_list():
    found = requests.collect(
        [Job("train", fixed(gres="gpu:a100:2", slurm_account="lab, astro", slurm_partition="gpu"))]
    )
    assert (found[0].gpus, found[0].gpu_model, found[0].account, found[0].partition) == (2, "a100", "lab", "gpu")


def test_the_options_are_those_of_the_plugin():
    pytest.importorskip("snakemake_executor_plugin_slurm")
    asked = {
        "mem_mb": 2000,
        "runtime": 60,
        "slurm_partition": "gpu",
        "slurm_account": "lab",
        "gpu": 1,
        "cpus_per_task": 2,
    }
    options = " ".join(requests.collect([Job("train", fixed(**asked))])[0].options)
    for part in ("-A lab", "-p gpu", "-t 60", "--mem 2000", "--gpus=1", "--cpus-per-task=2"):
        assert part in options


def test_a_request_survives_the_way_through_json():
    asked = request(account="lab")
    assert requests.Request.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked
    assert asked.with_options(["--qos=long"]).options == ("-p", "cpu", "--qos=long")
    assert request(options=()).with_options(["--qos=long"]).options == ()


def test_comments_are_those_of_the_plugin():
    assert requests.comment(Job("plan", fixed())) == "rule_plan"
    assert requests.comment(Job("train", fixed(), ["m", "a/member_00"])) == "rule_train_wildcards_m_a_member_00"


# ── the probe ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("state", "severity", "words"),
    [
        ({"JobState": "PENDING", "Reason": "Resources"}, "warning", "not probed: it did not begin in time (Resources)"),
        ({"JobState": "RUNNING"}, "warning", "did not end in time"),
        ({"JobState": "FAILED", "ExitCode": "11:0"}, "error", "node n1 does not see"),
        ({"JobState": "FAILED", "ExitCode": "12:0"}, "error", f"does not see {sys.executable}"),
        (
            {"JobState": "FAILED", "ExitCode": "13:0"},
            "error",
            "cannot import snakemake and resurvey from /p: No module named x",
        ),
        ({"JobState": "FAILED", "ExitCode": "14:0"}, "error", "cannot write in"),
        ({"JobState": "NODE_FAIL", "ExitCode": "0:9"}, "warning", "ended as NODE_FAIL"),
        ({"JobState": "COMPLETED", "ExitCode": "0:0"}, "ok", "sees this folder and this Python"),
    ],
)
def test_what_a_probe_tells(tmp_path, state, severity, words):
    folder = tmp_path / ".snakemake" / "x"
    folder.mkdir(parents=True)
    (folder / "cpu.err").write_text("Traceback\nNo module named x\n")
    (folder / "cpu.back").write_text("token\n")
    found = probe.judge("cpu", {"NodeList": "n1"} | state, folder, "token", 0.3, Path("/p"))
    assert found[0] == severity and words in found[1]


def test_a_file_of_the_node_that_never_arrives_is_an_error(tmp_path):
    found = probe.judge(
        "cpu", {"JobState": "COMPLETED", "ExitCode": "0:0"}, tmp_path / "a" / "b", "token", 0.3, Path("/p")
    )
    assert found[0] == "error" and "was not seen here after 0.3 s" in found[1] and "latency-wait" in found[2]


def test_the_job_of_the_probe_has_an_exit_code_for_each_lack(tmp_path):
    package = Path(machine.ROOT, "workflow")

    def code(token: str = "token", package: Path = package, folder: Path = tmp_path) -> int:
        return subprocess.run(["sh", "-c", probe.script("cpu", folder, token, package)]).returncode

    assert code() == probe.NO_FOLDER
    (tmp_path / "token").write_text("token")
    assert code(token="another") == probe.NO_FOLDER
    assert code() == 0 and (tmp_path / "cpu.back").read_text() == "token\n"


# ── the machine ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_packages_that_lack_or_differ(monkeypatch):
    monkeypatch.setattr(machine.importlib.metadata, "version", lambda name: "0.1")
    found = machine.packages()
    assert found[0].severity == "warning" and "numpy 0.1 (pins.txt: " in found[0].what

    def absent(name):
        raise machine.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(machine.importlib.metadata, "version", absent)
    found = machine.packages()
    assert found[0].severity == "error" and "numpy" in found[0].what and "pip install" in found[0].mend


@pytest.fixture
def project():
    from resurvey import settings

    return settings.load(machine.ROOT / "config.yaml", {"preset": "paper"})


def test_too_little_disk_counts_only_what_is_still_to_be_made(project, tmp_path, monkeypatch):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: SimpleNamespace(free=10e9))
    found = machine.disk(project, tmp_path)
    assert found[0].severity == "error" and "10.0 GB free" in found[0].what
    for name, dataset in project["datasets"].items():
        for part in ("downloads", "shards"):
            folder = tmp_path / "results" / project["run"] / name / part
            folder.mkdir(parents=True)
            for number in range(dataset["shards"]):
                (folder / f"{number:04d}.parquet").touch()
    assert machine.disk(project, tmp_path)[0].severity == "ok"


def test_the_disk_that_a_plan_names_goes_before_the_estimate(project, tmp_path, monkeypatch):
    project["archive"] = {"kind": "url", "root": "http://mirror", "origin": "mock", "name": "mock_mirror"}
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: SimpleNamespace(free=10e9))
    assert "not estimated" in machine.disk(project, tmp_path)[0].what
    for name in project["datasets"]:
        folder = tmp_path / "results" / project["run"] / name
        files.write_table(pa.table({"z": [0.0] * 10}), folder / "targets.parquet", {})
        files.write_table(pa.table({"z": [0.0]}), folder / "plan.parquet", {"cost": {"bytes": int(2e9)}})
    found = machine.disk(project, tmp_path)
    assert found[0].severity == "ok" and f"about {2 * len(project['datasets'])}.0 GB needed" in found[0].what


def test_an_archive_that_is_not_there(project, tmp_path):
    def ask(root, kind="url"):
        return machine.archive({"archive": {"kind": kind, "root": root}})[0]

    assert ask(f"file://{tmp_path}").severity == "ok"
    assert ask(f"file://{tmp_path}/none").severity == "error"
    assert ask("", "mock").severity == "ok"
    found = ask("http://127.0.0.1:9")
    assert found.severity == "warning" and "does not answer" in found.what


def test_conda_only_where_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.conda({}) == []
    assert machine.conda({"software-deployment-method": ["conda"]})[0].severity == "error"


def test_a_profile_is_found_here_or_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "slurm").mkdir()
    with pytest.raises(ResurveyError, match=r"there is no slurm/config\.yaml here"):
        machine.read_profile("slurm")
    (tmp_path / "slurm" / "config.yaml").write_text("executor: slurm\njobs: 3\n")
    assert machine.read_profile("slurm") == {"executor": "slurm", "jobs": 3}


def test_errors_stop_the_run_and_warnings_do_not(monkeypatch, capsys, project, tmp_path):
    job = Job("shard", fixed(mem_mb=1))
    job.is_local = False
    workflow = SimpleNamespace(
        executor_settings=None,
        dag=SimpleNamespace(needrun_jobs=lambda: [job]),
        workdir_init=tmp_path,
        basedir=tmp_path,
        resource_settings=SimpleNamespace(nodes=10),
        execution_settings=SimpleNamespace(latency_wait=5),
    )
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: SimpleNamespace(free=1e13))
    warning, error = doctor.Finding("warning", "a", "careful"), doctor.Finding("error", "b", "no", "do this")
    monkeypatch.setattr(doctor, "slurm", lambda case: [warning])
    handover.before_submission(workflow, project)
    assert "warning: a: careful" in capsys.readouterr().err
    monkeypatch.setattr(doctor, "slurm", lambda case: [warning, error])
    with pytest.raises(ResurveyError, match=r"nothing was submitted(?s:.)*1\. b: no\. do this"):
        handover.before_submission(workflow, project)


def test_the_command_without_a_cluster(monkeypatch, capsys):
    monkeypatch.chdir(machine.ROOT)
    monkeypatch.setattr(doctor, "locks", lambda workdir: [])
    args = SimpleNamespace(profile=None, preset="smoke", no_probe=False)
    assert command.run(args) == 0
    out = capsys.readouterr().out
    assert "ok       python" in out and "ok       disk" in out and "compute" in out
    monkeypatch.setattr(doctor, "locks", lambda workdir: [doctor.Finding("error", "lock", "left", "unlock")])
    assert command.run(args) == 2
    assert "→ unlock" in capsys.readouterr().out
