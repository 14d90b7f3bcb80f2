"""The graph of a full release on a real Slurm: its first jobs are scheduled and run, then the run is interrupted.

    python tests/slurm/cluster.py start
    python tests/slurm/full_release.py [--seconds 600] [--shards 2000] [--downloads 4] [--scratch DIR]

`snakemake --cores all --profile slurm --config preset=full …` in a copy of this checkout, with every rule and every command as they
are. Only what would take days is small: the archive is a mock of some 500 plates with one spectrum each besides a few of hundreds, spread
over the shards of a whole release (a shard without a plate is empty), and the networks are tiny. Nobody's server is asked, so more downloads than
the profile's four may go on at once. After --seconds the
master gets SIGINT. The exit code is 1 when a job failed, or when Slurm still has jobs of the run a minute later.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOCK = """
import sys
from pathlib import Path
from resurvey.archive import mock_layout, mock_sdss
mock_layout.SPARSE = {"SDSS": 1, "BOSS": 1}
options = {"per_class": 70, "extra": 100, "lite_plates": 500, "lite": "all", "seed": 1}
made = mock_sdss.build(Path(sys.argv[1]), "sdss_dr16", options, threads=2)
print(f"{made['spectra']} mock spectra on {made['visits']} plates and nights")
"""
TINY = {"members": 2, "architecture": {"widths": [2, 2, 4, 4, 8, 8]}, "training": {"epochs": 1, "batch": 16}}


def command(archive: Path, shards: int, *more: str) -> list[str]:
    """The command of a full release on a cluster, with the mock archive and the tiny networks."""
    models = json.dumps(dict.fromkeys(("gasnet2_sdss", "gasnet2_sdss_zpdf"), TINY))
    datasets = json.dumps({"sdss_dr16_all": {"shards": shards}})
    config = [
        "preset=full",
        "papers=[gasnet2]",
        "run=full_release",
        f"archive=mock+file://{archive}",
        f"models={models}",
        f"datasets={datasets}",
    ]
    return [sys.executable, "-m", "snakemake", "--cores", "all", *more, "--config", *config]


def environment() -> dict[str, str]:
    """This interpreter's programs first, as in an activated environment: Slurm hands it on to the jobs."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


def planned(copy: Path, archive: Path, shards: int) -> dict[str, int]:
    """Jobs by rule that `snakemake -n` announces."""
    done = subprocess.run(
        command(archive, shards, "-n"), cwd=copy, env=environment(), capture_output=True, text=True, check=True
    )
    table = done.stdout.partition("Job stats:")[2].partition("\n\n")[0]
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}


def count(log: str) -> tuple[Counter, Counter, int]:
    """(submitted by rule, finished by rule, failed) from what the master printed."""
    found = re.findall(r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    jobid: (\d+)", log, re.M)
    rules = {number: rule for rule, number in found}
    submitted = Counter(rules.get(number, "?") for number in re.findall(r"Job (\d+) has been submitted", log))
    finished = Counter(rules.get(number, "?") for number in re.findall(r"Finished jobid: (\d+)", log))
    return submitted, finished, len(re.findall(r"^Error in rule", log, re.M))


def queued(name: str) -> int:
    """Jobs of the run that Slurm still has."""
    listed = subprocess.run(
        ["squeue", "--noheader", "--format=%k %j"], capture_output=True, text=True, check=True
    ).stdout
    return sum(name in line for line in listed.splitlines())


def peak_of(process: int) -> float:
    """Highest resident memory of a process so far [MiB]."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1]) / 1024


def main() -> None:
    """Plan, run, interrupt, and say what was scheduled."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--shards", type=int, default=2000)
    parser.add_argument(
        "--downloads", type=int, default=4, help="transfer jobs at once; the profile allows an archive four"
    )
    parser.add_argument("--scratch", type=Path, default=Path("/tmp/resurvey-full-release"))
    args = parser.parse_args()
    copy, archive = args.scratch / "main", args.scratch / "archive"
    shutil.rmtree(copy, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", ROOT, copy], check=True)
    if not (archive / "truth" / "sdss_dr16.parquet").exists():
        subprocess.run(
            [sys.executable, "-c", MOCK, archive],
            env=environment() | {"PYTHONPATH": str(copy / "workflow")},
            check=True,
        )
    started = time.perf_counter()
    before = planned(copy, archive, args.shards)
    print(f"planned in {time.perf_counter() - started:.0f} s: {before['total']} jobs, {before}", flush=True)

    started, log = time.perf_counter(), args.scratch / "master.log"
    with open(log, "w") as handle:
        master = subprocess.Popen(
            command(archive, args.shards, "--profile", "slurm", "--resources", f"downloads={args.downloads}"), cwd=copy, env=environment(), stdout=handle, stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))  # fmt: skip
    first, peak = None, 0.0
    while time.perf_counter() - started < args.seconds and master.poll() is None:
        time.sleep(1)
        peak = max(peak, peak_of(master.pid))
        if first is None and "has been submitted" in log.read_text():
            first = time.perf_counter() - started
    ran = time.perf_counter() - started
    master.send_signal(signal.SIGINT)
    code = master.wait(timeout=120)
    stopped = time.perf_counter() - started - ran
    submitted, finished, failed = count(log.read_text())
    print(f"first job submitted after {first or float('nan'):.0f} s; peak memory of the master {peak:.0f} MiB")
    print(
        f"in {ran:.0f} s submitted {submitted.total()}: {dict(submitted)}; finished {finished.total()}: {dict(finished)}; failed {failed}"
    )
    print(f"SIGINT: exit code {code} after {stopped:.0f} s")
    for _ in range(60):
        if not (left := queued("full_release")):
            break
        time.sleep(1)
    after = planned(copy, archive, args.shards)
    print(f"jobs of the run left in Slurm: {left}; planned now: {after['total']} jobs")
    sys.exit(1 if failed or left or not submitted or after["total"] > before["total"] - finished.total() else 0)


if __name__ == "__main__":
    main()
