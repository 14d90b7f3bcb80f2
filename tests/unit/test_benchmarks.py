"""The benchmarks' own machinery: what is a failure and what is not, and that printed tables are understood or refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import bench_refine
import cost_model
import jobs
import observe
import readout
import record
import run
import timing

FOLDER = Path(run.__file__).parent
INFERENCE = """
## {head}: classifier and 6 ensembles of 10, 5001 pixels

| engine | max Δprob | classes changed | median Δz/(1+z) | max | median Δz/σ |
|---|---|---|---|---|---|
| openvino f32 | 1.9e-07 | 0.00% | 0 | 1.3e-08 | 0 |
| openvino bf16 | {prob} | 3.12% | 0.00018 | 0.00039 | 0.0027 |

### 61 networks, 128 spectra, one thread

| method | ms (min-max) | times the first |
|---|---|---|
| torch loop f32 | 100.0 (99.9-101.0) | 1.00 |
| openvino f32 | 50.0 (49.3-50.4) | 0.50 |
| openvino bf16 | 12.5 (12.2-12.9) | 0.125 |
"""


def entry(state: str = "done", **found) -> dict:
    return {"state": state, "reason": "why", "rows": [found] if found else []}


def printed(prob: float = 0.002) -> str:
    return "".join(INFERENCE.format(head=head, prob=prob) for head in readout.HEADS) + "\ntwo processes: 1.90 times one"


def test_slow_machine_is_no_failure_and_wrong_result_is(capsys):
    slow = record.row("speed", 1.0, "{:.0f} ×", at_least=20)
    wrong = record.row("flux", 0.1, "{:.0e}", at_most=1e-3, check=True)
    assert (slow["goal"], slow["reached"], wrong["goal"], wrong["reached"]) == ("≥ 20 ×", False, "≤ 1e-03", False)
    assert run.summary({"a": entry(**slow)})
    assert not run.summary({"a": entry(**slow), "b": entry(**wrong)})
    assert run.summary({"a": entry("missing")})
    assert not run.summary({"a": entry("broken")})
    assert "(missed)" in capsys.readouterr().out


def test_inference_is_read_from_what_it_prints():
    rows = {found["quantity"]: found for found in readout.inference(printed())}
    assert rows["bins head, 61 networks: OpenVINO bf16 over the torch loop"]["value"] == pytest.approx(8)
    assert rows["paper's head, 61 networks: OpenVINO f32 over the torch loop"]["value"] == pytest.approx(2)
    assert sum(1 for found in rows.values() if "torch loop" in found["quantity"] and found["goal"]) == 2
    assert all(found["reached"] for found in rows.values() if found["check"])
    assert rows["spectra per second of two processes over one"]["reached"]
    bad = [found for found in readout.inference(printed(prob=0.3)) if found["check"] and not found["reached"]]
    assert len(bad) == 2
    with pytest.raises(LookupError, match="did not print"):
        readout.inference(printed().replace("openvino", "OV"))


def test_missing_peer_says_what_to_set_and_others_go_on(tmp_path):
    code = "import record\ndef main(): raise record.Unavailable('set RR_TEMPLATE_DIR')\nrecord.start(main)"
    done = subprocess.run([sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (record.UNAVAILABLE, "set RR_TEMPLATE_DIR\n")


def test_record_leaves_rows_for_the_final_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(record.TARGET, str(tmp_path / "rows"))
    record.record("graph", 31.0, "{:.0f} s", at_most=30)
    assert capsys.readouterr().out == "graph: 31 s (goal ≤ 30 s: missed)\n"
    assert json.loads((tmp_path / "rows").read_text())["reached"] is False


def test_peak_memory_is_the_jobs_and_not_the_benchmarks(tmp_path):
    ballast = bytearray(200 << 20)
    code = "x = bytearray(64 << 20); x[::4096] = b'x' * len(x[::4096])"
    job = jobs.run_job([sys.executable, "-c", code], tmp_path)
    assert 64 < job.peak < 130 and len(ballast)
    with pytest.raises(RuntimeError, match="exit code 3"):
        jobs.run_job([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)


def test_ratios_are_medians_of_rounds():
    found = timing.compare({"a": lambda: sum(range(2000)), "b": lambda: sum(range(20000))}, rounds=5)
    assert found["a"]["ratio"] == 1 and found["b"]["ratio"] > 3 and found["b"]["low"] <= found["b"]["seconds"]


def test_every_benchmark_is_there():
    assert all((FOLDER / benchmark.script).exists() for benchmark in run.BENCHMARKS.values())


def test_costs_are_linear_in_spectra_and_jobs():
    small = cost_model.Survey("a", 1e6, 1e11, 1e4, 100)
    double = cost_model.Survey("b", 2e6, 2e11, 2e4, 200)
    for one, two in zip(cost_model.stages(small), cost_model.stages(double), strict=True):
        if one.jobs == small.shards:
            assert two.cores == pytest.approx(2 * one.cores) and two.disk == pytest.approx(2 * one.disk)
    infer = next(stage for stage in cost_model.stages(small) if stage.name == "infer")
    assert infer.cores == pytest.approx(1e6 * 67 * 3.4e-4 + 100 * (1.9 + 67 * 0.11), rel=1e-6)
    assert cost_model.transfer(small) == pytest.approx(1e11 / 1e7)
    assert cost_model.report(small, 200, 8).count("\n|") == 11


def test_processes_tell_what_they_cost(tmp_path):
    code = "sum(i * i for i in range(3_000_000))"
    for command in ([sys.executable, "-c", code], [sys.executable, "-m", "resurvey", "where", "--help"]):
        subprocess.run(command, env=observe.environment(tmp_path), check=True, capture_output=True)
    found = {process.command: process for process in observe.processes(tmp_path)}
    assert found.keys() == {None, "where"} and found[None].argv == ["-c", code]
    assert found[None].cpu > 0.05 and found[None].wall >= 0.5 * found[None].cpu


def test_without_redrock_refinement_is_measured_and_its_absence_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "redrock", None)
    monkeypatch.setitem(sys.modules, "redrock.targets", None)
    assert bench_refine.redrock_on([4000.0, 4002.0]) is None
    assert "redrock: not measured, it is not installed" in capsys.readouterr().out
