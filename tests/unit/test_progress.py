"""Progress of a run: made folders, Snakemake's logs as real runs wrote them, killed masters, mended failures, Slurm's answers."""

import base64
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT
from resurvey import cli, settings
from resurvey.cluster.queue import Job as SlurmJob
from resurvey.errors import ResurveyError
from resurvey.progress import estimate, joblog, markers, slurm, snakelog, training
from resurvey.progress.plan import stages
from resurvey.progress.show import as_data, as_text
from resurvey.progress.state import look

STARTED = "2026-11-20T232009.602731"
NOW = snakelog._started(f"{STARTED}.snakemake.log") + 600

HEAD = """Config file config.yaml is extended by additional config specified via the command line.
SNAKEMAKE
=========
  Host: login1
  User: ada
Building DAG of jobs...
Job stats:
job              count
-------------  -------
infer                4
total                4

Select jobs to execute...
"""
LOCAL = """RuleException:
CalledProcessError in file "/home/ada/main/workflow/rules/predictions.smk", line 31:
Command 'set -euo pipefail; resurvey() {{ python -m resurvey "$@"; }};  resurvey infer --settings '{{"a": "b.log"}}' --out x 2> {log}' returned non-zero exit status {status}.
"""
BLOCK = """[Fri Nov 20 23:20:12 2026]
Error in rule {rule}:
    message: {message}
    jobid: 36
    input: results/smoke/sdss_dr16/shards/0001.parquet, results/smoke/models/gasnet2_sdss/ResNet_P/model.json
    output: results/smoke/sdss_dr16/predictions/gasnet2_sdss/0001.parquet
    log: {log} (check log file(s) for error details)
    shell:
        resurvey infer --settings '{{"log": "x"}}' 2> {log}
        (command exited with non-zero exit code)
"""
SLURM = (
    "SLURM-job '41' failed, SLURM status is: '{status}'. Detailed failure reason unavailable (status command is not 'sacct')."
    "For further error details see the cluster/cloud log and the log files of the involved rule(s)."
)
END = "Complete log(s): /home/ada/main/.snakemake/log/x.snakemake.log\nElapsed time: 0:00:09.1\n"
TRACE = """Traceback (most recent call last):
  File "infer.py", line 20, in run
    raise ValueError('operands could not be broadcast together')
ValueError: operands could not be broadcast together
"""


@pytest.fixture(scope="module")
def smoke() -> dict:
    """The first paper's part of it: its numbers of jobs do not change with every paper that is added."""
    return settings.load(ROOT / "config.yaml", {"preset": "smoke", "papers": ["gasnet2"]})


class Run:
    """A working directory in which files of a run are put."""

    def __init__(self, root: Path, chosen: dict) -> None:
        self.root, self.chosen = root, chosen
        self.stages = {stage.name: stage for stage in stages(chosen)}

    def write(self, path: str, text: str = "", when: float = NOW) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        os.utime(file, (when, when))

    def make(self, name: str, count: int | None = None) -> None:
        for job in self.stages[name].jobs[:count]:
            for output in job.outputs:
                self.write(output)

    def log(self, text: str, name: str = STARTED) -> None:
        self.write(f".snakemake/log/{name}.snakemake.log", text)

    def mark(self, job, slurm_id: str | None = None, when: float = NOW) -> None:
        for output in job.outputs:
            name = base64.urlsafe_b64encode(output.encode()).decode()
            self.write(f".snakemake/incomplete/{name}", json.dumps({"external_jobid": slurm_id}), when)

    def look(self, jobs=(), **options):
        return look(self.chosen, self.root, NOW, lambda: list(jobs), **options)

    def stage(self, name: str, jobs=()):
        return next(stage for stage in self.look(jobs).stages if stage.stage.name == name)


@pytest.fixture
def run(tmp_path, smoke) -> Run:
    return Run(tmp_path, smoke)


@pytest.fixture
def alive(monkeypatch):
    """A workflow that runs on this machine."""
    monkeypatch.setattr(snakelog, "held_open", lambda root: True)


def in_slurm(root: Path, job_id: str, state: str, reason: str = "", comment: str = "") -> SlurmJob:
    return SlurmJob(job_id, "resurvey_1", state, reason, "ada", "cpu", str(root), comment, "node7", None, None, 5)


# ── the plan ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_the_plan_is_the_workflows(tmp_path):
    """All papers: rules, wildcards, outputs and logs of all jobs, against Snakemake's own dry run."""
    command = [
        Path(sys.executable).with_name("snakemake"),
        "--dry-run",
        "--forceall",
        "--cores",
        "1",
        "--config",
        "preset=smoke",
    ]
    command += ["--snakefile", ROOT / "Snakefile", "--configfile", ROOT / "config.yaml", "--directory", tmp_path]
    text = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, cwd=ROOT).stdout
    theirs = set()
    for block in re.findall(r"^(?:local)?rule \w+:\n(?:    .*\n)+", text, re.M):
        entries = dict(re.findall(r"^    (\w+): (.*)$", block, re.M))
        if "log" in entries:  # `all` has no log and makes nothing
            values = tuple(part.partition("=")[2] for part in entries.get("wildcards", "").split(", ") if part)
            rule = re.match(r"(?:local)?rule (\w+)", block)[1]
            theirs.add((rule, values, frozenset(entries["output"].split(", ")), entries["log"]))
    whole = settings.load(ROOT / "config.yaml", {"preset": "smoke"})
    ours = {(job.rule, job.wildcards, frozenset(job.outputs), job.log) for s in stages(whole) for job in s.jobs}
    assert len(theirs) > 60
    assert {job for job in ours if job not in theirs} == set()
    assert {job for job in theirs if job not in ours} == set()


def test_a_shared_network_is_trained_once(smoke):
    jobs = next(stage for stage in stages(smoke) if stage.name == "training").jobs
    assert len(jobs) == len(set(jobs)) == 25  # 13 and 13 networks, of which the classifier is shared


def test_the_comment_is_the_executors(smoke):
    """`rule_NAME_wildcards_…` with slashes replaced, as snakemake_executor_plugin_slurm writes it (2.8.0, get_job_wildcards)."""
    job = next(stage for stage in stages(smoke) if stage.name == "predictions").jobs[0]
    assert job.comment == "rule_infer_wildcards_sdss_dr16_gasnet2_sdss_0000"
    assert (
        job._replace(rule="train_network", wildcards=("m", "R/member_01")).comment
        == "rule_train_network_wildcards_m_R_member_01"
    )


# ── what is there ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_has_run(run):
    found = run.look()
    assert [stage.done for stage in found.stages] == [0] * 13
    assert "no workflow has run in this folder" in as_text(found)
    assert "archive: 2 jobs wait for a workflow to be started" in as_text(found)


def test_a_job_is_done_when_all_its_outputs_are_there(run):
    run.make("shards")
    assert run.stage("shards").done == 2
    (run.root / run.stages["shards"].jobs[0].outputs[1]).unlink()
    assert run.stage("shards").done == 1


def test_what_waits_names_what_it_waits_for(run):
    for name in ("archive", "targets", "download", "shards", "verify"):
        run.make(name)
    run.make("training", 24)
    text = as_text(run.look())
    assert "predictions: 4 jobs wait for training" in text
    assert "shards:" not in text


def test_other_runs_and_temporary_files_are_not_counted(run):
    run.make("predictions")
    for job in run.stages["predictions"].jobs:
        file = run.root / job.outputs[0]
        file.rename(file.with_name(f".{file.name}.0123abcd.tmp.parquet"))
    assert run.stage("predictions").done == 0


# ── what failed ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def infer(run: Run):
    return next(job for job in run.stages["predictions"].jobs if job.wildcards[1:] == ("gasnet2_sdss", "0001"))


def test_a_failure_is_told_with_its_last_line_its_attempts_and_its_log(run):
    job = infer(run)
    run.write(job.log, TRACE)
    one = LOCAL.format(log=job.log, status=1) + BLOCK.format(rule="infer", message="None", log=job.log)
    run.log(HEAD + one + "Trying to restart job 36.\n" + one + END)
    (failed,) = run.look().active("failed")
    assert failed.job == job
    assert (failed.reason, failed.attempts) == ("ValueError: operands could not be broadcast together", 2)
    assert failed.logs == (job.log,)
    text = as_text(run.look())
    assert "infer sdss_dr16 gasnet2_sdss 0001   (2026-11-20 23:20:12, 2 attempts)" in text
    assert f"      {job.log}\n" in text
    assert "calibration: 2 jobs wait for predictions (1 failed)" in text


def test_a_quiet_log_tells_failures_too(run):
    """--quiet rules leaves out `Error in rule`; the command and its exit status stay."""
    job = infer(run)
    run.write(job.log, "resurvey infer: x.parquet: is damaged; delete it and run again\n")
    run.log(HEAD + LOCAL.format(log=job.log, status=2) + END)
    (failed,) = run.look().active("failed")
    assert failed.reason == "resurvey infer: x.parquet: is damaged; delete it and run again"


def test_a_failure_that_no_log_of_snakemake_holds_is_found_in_the_jobs_log(run):
    job = infer(run)
    run.log(HEAD)
    run.write(job.log, TRACE)
    assert [failed.job for failed in run.look().active("failed")] == [job]
    run.write(job.log, TRACE, when=NOW - 86400)  # of an earlier workflow, whose outputs somebody cleared away
    assert run.look().active("failed") == []


def test_a_killed_process_is_told_though_its_log_is_empty(run):
    job = infer(run)
    run.write(job.log)
    run.log(HEAD + LOCAL.format(log=job.log, status=137) + END)
    (failed,) = run.look().active("failed")
    assert "out of memory" in failed.reason


@pytest.mark.parametrize("status", ["TIMEOUT", "OUT_OF_MEMORY", "CANCELLED", "NODE_FAIL"])
def test_slurms_reason_is_told(run, status):
    job = infer(run)
    logs = f"{job.log}, {run.root}/logs/slurm/rule_infer/x/41.log"
    run.write("logs/slurm/rule_infer/x/41.log", "slurmstepd: error: *** JOB 41 ON node7 CANCELLED AT 23:20 ***\n")
    run.log(HEAD + BLOCK.format(rule="infer", message=SLURM.format(status=status), log=logs) + END)
    (failed,) = run.look().active("failed")
    assert failed.reason == f"Slurm: {status}; slurmstepd: error: *** JOB 41 ON node7 CANCELLED AT 23:20 ***"
    assert failed.logs == ("logs/slurm/rule_infer/x/41.log",)


def test_what_failed_and_was_mended_is_done(run):
    job = infer(run)
    run.write(job.log, TRACE)
    run.log(HEAD + BLOCK.format(rule="infer", message="None", log=job.log) + END)
    assert len(run.look().active("failed")) == 1
    run.write(job.outputs[0])
    assert run.look().active("failed") == []
    assert run.stage("predictions").done == 1


def test_while_a_new_workflow_runs_old_failures_wait_for_their_turn(run, alive):
    job = infer(run)
    run.write(job.log, TRACE, when=NOW - 300)
    run.log(HEAD + BLOCK.format(rule="infer", message="None", log=job.log) + END)
    assert len(run.look().active("failed")) == 1
    run.log(HEAD, "2026-11-20T232800.000000")
    assert run.look().active("failed") == []
    run.mark(job)
    assert [active.job for active in run.look().active("running")] == [job]


def test_failures_of_one_kind_are_one_entry(run):
    text = HEAD
    for job in run.stages["predictions"].jobs:
        run.write(job.log, f"resurvey infer: shard {job.wildcards[2]}: is damaged\n")
        text += BLOCK.format(rule="infer", message="None", log=job.log)
    run.log(text + END)
    shown = as_text(run.look())
    assert shown.count("is damaged") == 1
    assert "and 3 more alike" in shown


def test_a_workflow_that_broke_off_says_why(run):
    error = 'WorkflowError in file "/x/doctor.smk", line 20:\nnothing was submitted to Slurm:\n  1. cpus: too many\n  File "/x/doctor.smk", line 20, in __onstart'
    run.log(HEAD + error)
    assert "broke off" in as_text(run.look())
    assert "nothing was submitted to Slurm: 1. cpus: too many" in as_text(run.look())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (TRACE, "ValueError: operands could not be broadcast together"),
        ("resurvey infer: a.parquet: is damaged\n" + TRACE, "resurvey infer: a.parquet: is damaged"),
        (TRACE + "\rtrain 10%\rtrain 20%\nsome last word\n", "ValueError: operands could not be broadcast together"),
        ("urllib.error.HTTPError: HTTP Error 500\n", "urllib.error.HTTPError: HTTP Error 500"),
        ("12 spectra\nslurmstepd: error: Detected 1 oom_kill event\n", "slurmstepd: error: Detected 1 oom_kill event"),
        ("/bin/bash: line 1: 12 Killed   python\n", "/bin/bash: line 1: 12 Killed   python"),
        ("289 spectra, 961 per second (openvino bf16)\nErrors of 3 spectra are small\n", None),
        ("", None),
    ],
)
def test_the_line_that_says_why(tmp_path, text, line):
    (tmp_path / "job.log").write_text(text)
    assert joblog.error_line(tmp_path / "job.log") == line


# ── what runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_marker_is_a_running_job_while_the_master_lives(run, alive):
    run.log(HEAD)
    run.mark(infer(run))
    assert run.stage("predictions").count("running") == 1


def test_a_killed_master_leaves_interrupted_jobs(run):
    run.log(HEAD)
    run.mark(infer(run))
    stage = run.stage("predictions")
    assert (stage.count("running"), stage.count("interrupted"), stage.waiting) == (0, 1, 3)
    text = as_text(run.look())
    assert "it was killed, or it runs on login1" in text
    assert "predictions: 1 begun when the workflow ended" in text


def test_markers_of_a_killed_master_are_not_running_in_the_next(run, alive):
    run.mark(infer(run), when=NOW - 7200)
    run.log(HEAD)
    assert run.stage("predictions").count("running") == 0


def test_a_live_claim_is_a_running_job_whoever_started_it(run):
    job = infer(run)
    claim = job.outputs[0].replace("0001", ".0001") + ".claim"
    run.write(claim, json.dumps({"pid": 12, "host": "node7", "job": "41"}), when=NOW - 5)
    (active,) = run.look().active("running")
    assert (active.job, active.where) == (job, "process 12 on node7, Slurm job 41")
    run.write(claim, "{}", when=NOW - 3600)  # nothing has touched it: dead
    assert run.look().active("running") == []


def test_slurm_says_what_runs_and_why_the_others_wait(run):
    one, two, three, four = run.stages["predictions"].jobs
    run.log(HEAD + "SLURM run ID: resurvey_1\n")
    for job, job_id in ((one, "7"), (two, "8"), (three, None), (four, "9_3")):
        run.mark(job, job_id)
    stage = run.stage(
        "predictions",
        [
            in_slurm(run.root, "7", "RUNNING"),
            in_slurm(run.root, "8", "PENDING", "PartitionConfig"),
            in_slurm(run.root, "10", "RUNNING", comment=three.comment),  # its marker was replaced as it began
            in_slurm(run.root, "9_[2-4]", "PENDING", "Priority"),
        ],
    )
    assert [active.state for active in stage.active] == ["running", "queued", "running", "queued"]
    shown = as_text(run.look([in_slurm(run.root, "8", "PENDING", "PartitionConfig")]))
    assert "1 job waits in Slurm's queue, PartitionConfig: NEVER starts" in shown


def test_jobs_of_another_folder_are_not_this_runs(run):
    job = infer(run)
    run.log(HEAD + "SLURM run ID: resurvey_1\n")
    run.mark(job)
    elsewhere = [in_slurm(run.root / "x", "10", "RUNNING", comment=job.comment)]
    assert run.stage("predictions", elsewhere).count("running") == 0
    run.mark(job, "10")  # Slurm has begun to count anew
    assert run.stage("predictions", elsewhere).count("running") == 0


def test_a_job_that_ended_badly_after_its_master_was_killed_has_failed(run):
    job = infer(run)
    run.log(HEAD)
    run.mark(job, "41")
    (failed,) = run.look([in_slurm(run.root, "41", "TIMEOUT")]).active("failed")
    assert failed.reason == "Slurm: TIMEOUT"


def test_a_slurm_that_does_not_answer_is_named(run):
    run.log(HEAD)
    run.mark(infer(run), "41")

    def ask():
        raise ResurveyError("squeue: Slurm's controller did not answer in 15 s")

    found = look(run.chosen, run.root, NOW, ask)
    assert "Slurm was not heard: squeue: Slurm's controller did not answer in 15 s" in as_text(found)
    assert found.stages[6].count("interrupted") == 1


def test_without_slurms_jobs_slurm_is_not_asked(run):
    run.log(HEAD)
    run.mark(infer(run))
    look(run.chosen, run.root, NOW, lambda: pytest.fail("asked"))


def test_slurms_reasons_are_explained():
    assert slurm.explain("QOSMaxCpuPerUserLimit").startswith("QOSMaxCpuPerUserLimit: a limit of the quality of service")
    assert slurm.explain("Nodes_are_odd") == "Nodes_are_odd"


def test_long_names_of_markers_are_put_together(tmp_path):
    """Snakemake splits the encoded name into folders that begin with @ (persistence/file.py, _record_path)."""
    output = "results/" + "x" * 400 + ".parquet"
    name = base64.urlsafe_b64encode(output.encode()).decode()
    file = tmp_path / ".snakemake/incomplete" / f"@{name[:250]}" / f"@{name[250:500]}" / name[500:]
    file.parent.mkdir(parents=True)
    file.write_text('{"external_jobid": "7"}')
    assert markers.started(tmp_path)[output].job_id == "7"


def test_who_writes_the_log_is_the_master_and_who_reads_it_is_not(tmp_path):
    log = tmp_path / ".snakemake/log/x.snakemake.log"
    log.parent.mkdir(parents=True)
    with open(log, "w"):
        assert snakelog.held_open(tmp_path)
    with open(log):
        assert not snakelog.held_open(tmp_path)


def test_logs_without_jobs_are_no_workflows(run):
    run.log(HEAD + END)
    run.log("Building DAG of jobs...\nCreating report...\n", "2026-11-20T235900.000000")
    assert [workflow.path.name for workflow in snakelog.workflows(run.root)] == [f"{STARTED}.snakemake.log"]


# ── how long it takes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_steady_rate_is_carried_on():
    finished = [NOW - 10 * k for k in range(1, 31)]
    seconds, basis = estimate.seconds_left(finished, 60, 2, NOW)
    assert seconds == pytest.approx(600, rel=0.1)
    assert basis.startswith("19 finished in the last 3 min")


@pytest.mark.parametrize(
    ("finished", "left", "running"),
    [
        ([], 10, 1),
        ([NOW - 5, NOW - 4], 10, 1),  # too few
        ([NOW - 10 * k for k in range(1, 31)], 10, 0),  # nothing runs
        ([NOW - 7200 - 10 * k for k in range(1, 31)], 10, 1),  # nothing finished for two hours
        ([NOW - 600 - 0.1 * k for k in range(100)], 400, 100),  # the first wave of 100 at once says nothing
    ],
)
def test_no_estimate_is_made_of_too_little(finished, left, running):
    assert estimate.seconds_left(finished, left, running, NOW) is None


def test_waves_of_jobs_do_not_look_like_a_high_rate():
    """100 at once, ten minutes each, two waves: 400 more are four waves."""
    finished = [NOW - 1200 - 0.01 * k for k in range(100)] + [NOW - 600 - 0.01 * k for k in range(100)]
    seconds, _ = estimate.seconds_left(finished, 400, 100, NOW)
    assert 2000 < seconds < 3000


def test_a_training_is_as_long_as_its_epochs(run, alive):
    for name in ("archive", "targets", "download", "shards", "verify"):
        run.make(name)
    run.log(HEAD)
    job = run.stages["training"].jobs[0]
    run.mark(job)
    run.write(job.outputs[2], "epoch,loss,seconds\n0,1.0,30.0\n")
    stage = run.stage("training")
    assert sum(each.epochs for each in stage.trainings) == 1
    assert stage.left[0] == pytest.approx((2 * 25 - 1) * 30)  # all others are taken to be as long
    assert f"{job.wildcards[0]}/{job.wildcards[1]}: 1 of 2 epochs, 30 s each" in as_text(run.look())


def test_trainings_that_run_at_once_share_the_time():
    each = [training.Training("m", str(k), "redshift", 0, 10, 2.0, None) for k in range(4)]
    assert training.seconds_left(each, 2)[0] == pytest.approx(40)
    assert training.seconds_left(each, 100)[0] == pytest.approx(20)  # never shorter than the longest
    assert training.seconds_left(each, 0) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.31, "0.3 s"), (40, "40 s"), (720, "12 min"), (12000, "3 h 20 min"), (187200, "2 d 4 h")]
)
def test_durations(seconds, text):
    assert estimate.duration(seconds) == text


# ── the command ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_and_its_json(run, monkeypatch, capsys):
    (run.root / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    monkeypatch.chdir(run.root)
    run.make("archive")
    assert cli.main(["progress", "--config", "preset=smoke", "papers=[gasnet2]", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["stages"][0] == {**found["stages"][0], "name": "archive", "done": 2, "total": 2}
    assert cli.main(["progress", "--preset", "smoke", "--config", "papers=[gasnet2]"]) == 0
    assert re.search(r"archive +\[█+\] +2/2", capsys.readouterr().out)


def test_json_holds_every_unfinished_job(run):
    run.log(HEAD)
    run.mark(infer(run))
    (job,) = json.loads(json.dumps(as_data(run.look())))["jobs"]
    assert (job["state"], job["wildcards"]) == ("interrupted", ["sdss_dr16", "gasnet2_sdss", "0001"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "dmo"], "did you mean demo?"),
        (["--config", "preset"], "is not key=value"),
        (["--config", "datasets={a: [}"], "is not YAML"),
        (["--configfile", "none.yaml"], "none.yaml: cannot be read"),
    ],
)
def test_mistakes_are_one_line(arguments, said, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert cli.main(["progress", *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_config_is_read_as_snakemake_reads_it():
    assert settings.from_command_line(
        ["run=first", "seed=7", "mock={per_class: 70}", "papers=[gasnet2]", "skip_below=0.5"]
    ) == {
        "run": "first",
        "seed": 7,
        "mock": {"per_class": 70},
        "papers": ["gasnet2"],
        "skip_below": 0.5,
    }


def test_ten_thousand_shards_take_a_moment(tmp_path, smoke):
    """40,000 jobs, 16,000 files and 5,000 job blocks of log; 0.5 s on a quiet machine, so 5 s leave room for a busy one."""
    chosen = {**smoke, "datasets": {"sdss_dr16": {**smoke["datasets"]["sdss_dr16"], "shards": 9999}}}
    run = Run(tmp_path, chosen)
    for name in ("download", "predictions"):
        for job in run.stages[name].jobs[:8000]:
            file = tmp_path / job.outputs[0]
            if not file.parent.exists():
                file.parent.mkdir(parents=True)
            file.touch()
    run.log(HEAD + BLOCK.format(rule="infer", message="None", log="logs/other.log") * 5000)
    began = time.perf_counter()
    found = look(chosen, tmp_path)
    assert time.perf_counter() - began < 5
    assert found.stages[2].done == found.stages[6].done == 8000
