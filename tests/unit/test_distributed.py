"""Several processes train one network: they agree with one, stop together, and go on in other numbers. Real ranks, Gloo, CPU."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ranks_job
import torch
import toy_spectra as toy
from resurvey import files
from resurvey.errors import ResurveyError
from resurvey.networks.build import build
from resurvey.training import launch
from resurvey.training.plan import make_plan
from resurvey.training.ranks import Ranks, SharedDropout
from torch import nn

HERE = Path(__file__).parent
WORKFLOW = HERE.parents[1] / "workflow"
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def environment() -> dict:
    paths = os.pathsep.join(map(str, (HERE, WORKFLOW)))
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def torchrun(processes: int, *what: object) -> list[str]:
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [*run, *map(str, what)]


def train(out: Path, processes: int, **spec) -> dict:
    """Run ranks_job with that many processes; what it left."""
    out.mkdir(exist_ok=True)
    whole = {"network": "ResNet_7", "batch_norm": True, "count": 65, "training": {}, "stop_at": None, **spec}
    whole["out"] = str(out)
    if processes == 1:
        ranks_job.train(whole, Ranks(0, 1, CPU))
    else:
        (out / "spec.json").write_text(json.dumps(whole))
        command = torchrun(processes, HERE / "ranks_job.py", out / "spec.json")
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
    return {
        "history": json.loads((out / "history.json").read_text()),
        "weights": torch.load(out / "weights.pt"),
        "ranks": [json.loads((out / f"rank{i}.json").read_text()) for i in range(processes)],
    }


def network(weights: dict) -> nn.Module:
    plan = make_plan(toy.settings(), "ResNet_7", toy.GRID["pixels"], 0.6)
    built = build(plan.spec)
    built.load_state_dict(weights)
    return built.eval()


def assert_same_histories(one: list[dict], other: list[dict], rel: float) -> None:
    assert len(one) == len(other) > 0
    for row, twin in zip(one, other, strict=True):
        assert list(row) == list(twin)
        for key in set(row) - {"seconds"}:
            assert twin[key] == pytest.approx(row[key], rel=rel), key


def test_without_batch_norm_ranks_agree_with_one_process(tmp_path):
    """66 spectra in batches of 16: shares of 5 and 6, and a last batch of 2 for 3 ranks. Dropout is on."""
    spec = {"batch_norm": False, "count": 66}
    one, three = train(tmp_path / "one", 1, **spec), train(tmp_path / "three", 3, **spec)
    assert all(rank["steps"] == three["ranks"][0]["steps"] for rank in three["ranks"])
    assert_same_histories(one["history"], three["history"], rel=1e-6)
    for name, tensor in one["weights"].items():
        torch.testing.assert_close(three["weights"][name], tensor, rtol=0, atol=1e-5, msg=name)


def test_batch_norm_ranks_agree_with_one_process(tmp_path):
    """Outputs within 1e-5 and weights within 1e-4, Adam's division making much of small gradients, but for the biases before a
    BatchNorm: what they add is taken away again, and their gradient is nothing but rounding."""
    one, two = train(tmp_path / "one", 1), train(tmp_path / "two", 2)
    assert_same_histories(one["history"], two["history"], rel=1e-5)
    idle = ("conv1.bias", "conv2.bias", "running_mean")  # the running means hold these biases
    for name, tensor in one["weights"].items():
        if not name.endswith(idle):
            torch.testing.assert_close(two["weights"][name], tensor, rtol=0, atol=1e-4, msg=name)
    flux = ranks_job.samples(50, 3).flux
    with torch.inference_mode():
        ours, theirs = network(two["weights"])(flux), network(one["weights"])(flux)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_all_ranks_stop_at_one_batch_and_one_process_goes_on(tmp_path):
    """Rank 1 alone is told to stop, in the second epoch; its checkpoint then trains to the end without the others."""
    whole = train(tmp_path / "whole", 1)
    stopped = train(tmp_path / "some", 2, stop_at=[1, 6])
    assert {rank["stopped"] for rank in stopped["ranks"]} == {"toy: stopped at epoch 1, batch 2"}
    rest = train(tmp_path / "some", 1)
    assert len(rest["ranks"][0]["steps"]) == len(whole["ranks"][0]["steps"]) - 6
    assert_same_histories(whole["history"], rest["history"], rel=1e-5)


def test_ranks_go_on_where_one_process_stopped(tmp_path):
    whole = train(tmp_path / "whole", 1)
    train(tmp_path / "some", 1, stop_at=[0, 5])
    rest = train(tmp_path / "some", 2)
    assert len(rest["ranks"][1]["steps"]) == len(whole["ranks"][0]["steps"]) - 5
    assert_same_histories(whole["history"], rest["history"], rel=1e-5)


# A stand-in for a machine with two GPUs: `resurvey train` finds them, torch does not, so its ranks meet over Gloo on the CPU.
TWO_GPUS = (
    "import sys; from resurvey import cli, gpus; gpus.visible = lambda: ['GPU-a', 'GPU-b']; "
    "gpus.leases_folder = lambda: __import__('pathlib').Path({folder!r}); sys.exit(cli.main(sys.argv[1:]))"
)


def command(folder: Path, epochs: int) -> list[str]:
    settings = json.dumps(toy.settings(epochs=epochs))
    shards = ["--shards", str(folder / "shards"), "--count", "2"]
    which = ["--model", "toy", "--network", "ResNet_7", "--settings", settings]
    return ["train", *shards, *which, "--out", str(folder / "model"), "--gpus", "2"]


def kill_in_the_middle(run: list[str], checkpoint: Path, how: int) -> tuple[int, str]:
    """Start, wait for a new checkpoint, send the signal; (exit code, stderr) once all its processes have let go of stderr."""
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    with subprocess.Popen(run, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 120
        while not (checkpoint.exists() and checkpoint.stat().st_mtime_ns > before):
            assert process.poll() is None and time.monotonic() < until, process.communicate()[1][-3000:]
            time.sleep(0.02)
        process.send_signal(how)
        said = process.communicate(timeout=120)[1]
    return process.returncode, said


@pytest.mark.slow
def test_the_command_starts_its_ranks_and_survives_being_killed(tmp_path):
    """SIGKILL, which leaves no orphan (stderr closes), then SIGTERM, then torchrun by hand, then one process to the end."""
    toy.write_shards(tmp_path / "shards", 150)
    own = [sys.executable, "-c", TWO_GPUS.format(folder=str(tmp_path / "leases"))]
    checkpoint = tmp_path / "model/checkpoint.pt"
    code, said = kill_in_the_middle([*own, *command(tmp_path, 4000)], checkpoint, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert said.count("train: 90 spectra") == 1  # one rank speaks for all
    code, said = kill_in_the_middle([*own, *command(tmp_path, 4000)], checkpoint, signal.SIGTERM)
    assert code == 143
    assert said.count("goes on at epoch") == 1 and said.count("stopped at epoch") == 1
    by_hand = torchrun(2, "-m", "resurvey", *command(tmp_path, 4000))
    code, said = kill_in_the_middle(by_hand, checkpoint, signal.SIGTERM)
    assert code != 0 and said.count("goes on at epoch") == 1
    assert not (tmp_path / "model/model.json").exists()


def test_the_command_with_two_gpus_leaves_one_model(tmp_path):
    toy.write_shards(tmp_path / "shards", 60)
    run = [sys.executable, "-c", TWO_GPUS.format(folder=str(tmp_path / "leases")), *command(tmp_path, 2)]
    done = subprocess.run(run, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert files.read_json(tmp_path / "model/model.json")["n_train"] == 36
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "history.csv",
        "model.json",
        "model.safetensors",
    ]


# One task on each of two pretended nodes; the options before the command are left out, the last bad exit code is srun's.
SRUN = """#!/bin/sh
while [ "${1#--}" != "$1" ]; do shift; done
export SLURM_STEP_NUM_NODES=2 SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NODELIST=pretended
SLURM_NODEID=1 "$@" & other=$!
SLURM_NODEID=0 "$@"; code=$?
wait $other || code=$?
exit $code
"""


def test_two_pretended_nodes_train_one_model(tmp_path):
    """srun and scontrol are stand-ins, both nodes this machine; torchrun, its rendezvous and the training are real."""
    toy.write_shards(tmp_path / "shards", 60)
    for name, text in (("srun", SRUN), ("scontrol", "#!/bin/sh\necho 127.0.0.1\necho other\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    for number in range(1000, 9000):  # of the job, so that its port is free
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", 20000 + number))
            break
    slurm = {"SLURM_JOB_ID": str(number), "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    run = [sys.executable, "-m", "resurvey", *command(tmp_path, 2), "--nodes", "2"]
    done = subprocess.run(run, env={**environment(), **slurm}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("toy/ResNet_7: epoch 1") == 1
    assert files.read_json(tmp_path / "model/model.json")["n_train"] == 36


def test_shares_are_all_of_the_batch_and_no_more():
    for size in (2, 3, 5):
        for count in (size, size + 1, 16, 17):
            ranks = [Ranks(rank, size, CPU) for rank in range(size)]
            shares = [one.take(torch.arange(count)) for one in ranks]
            assert torch.cat([rows for rows, _ in shares]).tolist() == list(range(count))
            assert sum(counts for _, counts in shares) / size == count  # the mean over ranks is the mean over spectra
            assert max(len(rows) for rows, _ in shares) - min(len(rows) for rows, _ in shares) <= 1
    few = [Ranks(rank, 3, CPU).take(torch.arange(2)) for rank in range(3)]
    assert [(rows.tolist(), counts) for rows, counts in few] == [([0, 1], 2)] * 3


def test_dropout_of_the_whole_batch_is_torchs():
    x = torch.randn(10, 7)
    torch.manual_seed(3)
    whole = nn.functional.dropout(x, 0.3)
    parts = []
    for rank in range(3):
        ranks = Ranks(rank, 3, CPU)
        rows, _ = ranks.take(torch.arange(10))
        torch.manual_seed(3)
        parts.append(SharedDropout(0.3, ranks)(x[rows]))
    assert torch.equal(torch.cat(parts), whole)


def test_layers_that_would_differ_between_ranks_are_refused():
    with pytest.raises(ResurveyError, match="Dropout1d cannot be trained by several processes"):
        Ranks(0, 2, CPU).adapt(nn.Sequential(nn.Dropout1d(0.1)))


def test_several_nodes_meet_at_the_first(monkeypatch, tmp_path):
    (tmp_path / "scontrol").write_text('#!/bin/sh\n[ "$3" = "node[07-08]" ] && printf "node07\\nnode08\\n"\n')
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    step = {"SLURM_JOB_ID": "41", "SLURM_NODEID": "1", "SLURM_STEP_NODELIST": "node[07-08]"}
    for name, value in {**step, "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NUM_TASKS": "2"}.items():
        monkeypatch.setenv(name, value)
    assert launch.on_node_of_several(2) and not launch.on_node_of_several(3)
    words = launch.torchrun(["train"], 4, nodes=2)
    assert {"--nnodes=2", "--node-rank=1", "--master-addr=node07", "--master-port=20041"} <= set(words)
    assert "--nproc-per-node=4" in words and words[-3:] == ["-m", "resurvey", "train"]
    monkeypatch.setenv("SLURM_STEP_NODELIST", "elsewhere")
    with pytest.raises(ResurveyError, match="scontrol show hostnames elsewhere"):
        launch.torchrun(["train"], 4, nodes=2)
    assert {"--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--cpus-per-task=8"} <= set(launch.srun(["train"], 2, 8))
    monkeypatch.delenv("SLURM_JOB_ID")
    with pytest.raises(ResurveyError, match="within a Slurm job only"):
        launch.srun(["train"], 2, 8)
