"""Hours, disk and GPU-hours of a whole survey, from measured pieces; and how far the model is off on runs that can be had.

    python tests/benchmarks/cost_model.py                    # the tables of docs/scaling.md
    python tests/benchmarks/cost_model.py --check [--scratch DIR]   # two mock runs, each command measured, beside the prediction

The model is linear: a job costs its start, and each of its spectra the same. PIECES says where each number comes from; `derived`
and `assumed` ones were not measured.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from jobs import ROOT
from machine import describe
from observe import environment, processes

HOUR = 3600.0
NETWORKS = 67  # of one model of the paper: a classifier, 6 ensembles of 10, 6 single networks
CLASSIFIER_STEPS = 9.1e6  # spectra × epochs of its training, the longest
STEPS = 55.5e6  # spectra × epochs of its trainings: 182,000 for the classifier, 14,000 for each of 66 others, 50 times


@dataclass(frozen=True)
class Piece:
    """A number, its unit, how it was found (`measured`, `derived` from others, `assumed`) and where."""

    value: float
    unit: str
    how: str
    source: str


PIECES = {
    "start": Piece(0.4, "core s per job", "measured", "--check --sizes 20: fetch, verify, targets, catalogue"),
    "start_shard": Piece(0.9, "core s per job", "measured", "--check --sizes 20"),
    "start_infer": Piece(1.9, "core s per job", "measured", "`resurvey infer` of 32 and 160 spectra with 7 and 61 networks"),
    "start_network": Piece(0.11, "core s per job and network", "measured", "the same: reading and compiling a network"),
    "scheduling": Piece(1.9, "core s per Slurm job", "measured", "tests/slurm/overhead.py: Snakemake in the job"),
    "turn": Piece(25.0, "s from a job's end to its successor", "measured", "tests/slurm/full_release.py: finished jobs are seen every 21 s, then a job starts"),
    "targets": Piece(4.5e-6, "core s per spectrum", "measured", "docs/archives.md: 26 s for 5.8 million"),
    "fetch": Piece(1.5e-3, "core s per request", "measured", "--check: copied from a folder, digest checked"),
    "digest": Piece(1.5e-9, "core s per byte", "measured", "--check: raw files, copied and digested"),
    "shard": Piece(2.2e-4, "core s per spectrum", "measured", "--check"),
    "verify": Piece(1.0e-9, "core s per byte", "measured", "--check: SHA-256"),
    "infer": Piece(3.4e-4, "core s per spectrum and network", "measured", "bench_inference.py: OpenVINO bf16, 61 networks in 20.9 ms"),
    "merge": Piece(1.2e-5, "core s per spectrum", "measured", "bench_merge.py"),
    "train": Piece(2.8e-3, "core s per spectrum and epoch", "measured", "bench_training.py: bf16 on a CPU without matrix units"),
    "gpu": Piece(1.5e13, "FLOP/s that a network gets of a GPU", "assumed", "5 % of the 312 TFLOP/s bf16 of an A100; not measured"),
    "forward": Piece(1.59e8, "FLOP per spectrum and network", "derived", "79.5 million multiply-adds; a training step: three times"),
    "shard_bytes": Piece(30_000, "bytes per spectrum", "measured", "bench_reading.py: 5001 pixels, flux and ivar, lz4"),
    "prediction_bytes": Piece(130, "bytes per spectrum", "derived", "31 columns of 4 bytes, and the name"),
    "prediction_file": Piece(15_000, "bytes per shard", "measured", "--check --sizes 20: names, types and networks in the file's end"),
    "catalogue_bytes": Piece(456, "bytes per spectrum", "measured", "bench_merge.py: 181 as Parquet, 275 as FITS"),
    "rate": Piece(1.0e7, "bytes/s from an archive", "assumed", "archive/plan.py"),
    "requests": Piece(20.0, "requests/s at an archive's etiquette", "assumed", "archive/plan.py: 4 connections, 0.15 s and 0.05 s"),
}  # fmt: skip


def piece(name: str) -> float:
    """The value of a piece."""
    return PIECES[name].value


@dataclass(frozen=True)
class Survey:
    """What is to be catalogued: spectra, raw bytes, requests, pixels over the paper's 5001, shards."""

    name: str
    spectra: float
    raw: float
    requests: float
    shards: int
    pixels: float = 1.0
    networks: int = NETWORKS


SURVEYS = [
    Survey("SDSS DR16, all", 5.79e6, 5.98e11, 2 * 6.83e3, 240),
    Survey("DESI DR1, all coadds", 2.84e7, 2.84e7 * 4.5e5, 2 * 7.0e4, 1000, pixels=7781 / 5001),
    Survey("10⁹ spectra as SDSS's", 1e9, 1e9 * 1.03e5, 2 * 1e6, 9999),
]


@dataclass(frozen=True)
class Stage:
    """A stage of a run: jobs, core-seconds in all, GPU-seconds in all, bytes that it leaves, the longest job's share."""

    name: str
    jobs: int
    cores: float
    gpu: float = 0.0
    disk: float = 0.0
    longest: float = 0.0

    def hours(self, seconds: float, wide: int) -> float:
        """Hours of so many seconds of work on `wide` cores or GPUs: no sooner than its longest job."""
        return seconds / HOUR * max(1 / min(wide, self.jobs), self.longest)


def start_of_infer(survey: Survey) -> float:
    """Core-seconds until a job of inference sees its first spectrum."""
    return piece("start_infer") + survey.networks * piece("start_network")


def stages(survey: Survey) -> list[Stage]:
    """What each stage costs on CPUs, and what inference and training take of a GPU instead."""
    n, s, p = survey.spectra, survey.shards, survey.pixels
    forward = piece("forward") * p
    return [
        Stage("targets and plan", 2, 2 * piece("start") + n * piece("targets")),
        Stage("fetch", s, s * piece("start") + survey.requests * piece("fetch") + survey.raw * piece("digest"), disk=survey.raw),
        Stage("shard", s, s * piece("start_shard") + n * p * piece("shard"), disk=n * p * piece("shard_bytes")),
        Stage("verify", 1, piece("start") + n * p * piece("shard_bytes") * piece("verify")),
        Stage("infer", s, s * start_of_infer(survey) + n * p * survey.networks * piece("infer"), n * survey.networks * forward / piece("gpu"),
              n * piece("prediction_bytes") + s * piece("prediction_file")),
        Stage("catalogue", 1, piece("start") + n * piece("merge"), disk=n * piece("catalogue_bytes")),
        Stage("train", 13, STEPS * p * piece("train"), STEPS * 3 * forward / piece("gpu"), longest=CLASSIFIER_STEPS / STEPS),
    ]  # fmt: skip


def transfer(survey: Survey, streams: int = 1) -> float:
    """Seconds that the archive takes: its bytes or its requests, what is longer, over `streams` hosts or mirrors."""
    return max(survey.raw / piece("rate"), survey.requests / piece("requests")) / streams


def overhead(survey: Survey) -> float:
    """Core-seconds that Slurm jobs cost before and after their commands: fetch, shard and infer of each shard."""
    return 3 * survey.shards * piece("scheduling")


def report(survey: Survey, cores: int, gpus: int) -> str:
    """A table of one survey: jobs, core-hours, GPU-hours, hours on so many cores and GPUs, disk."""
    lines = [f"### {survey.name}: {survey.spectra:.3g} spectra in {survey.shards} shards", "",
             f"| stage | jobs | core-hours | hours on {cores} cores | GPU-hours | hours on {gpus} GPUs | disk |", "|---|---|---|---|---|---|---|"]  # fmt: skip
    for stage in stages(survey):
        gpu = (f"{stage.gpu / HOUR:.2g}", f"{stage.hours(stage.gpu, gpus):.2g}") if stage.gpu else ("–", "–")
        disk = f"{stage.disk / 1e9:,.3g} GB" if stage.disk else "–"
        lines.append(
            f"| {stage.name} | {stage.jobs} | {stage.cores / HOUR:.2g} | {stage.hours(stage.cores, cores):.2g} | {gpu[0]} | {gpu[1]} | {disk} |"
        )
    hours = transfer(survey) / HOUR
    lines.append(f"| archive | – | – | {hours:.3g} h at one archive's rate | – | – | – |")
    lines.append(
        f"| Slurm's own | {3 * survey.shards} | {overhead(survey) / HOUR:.2g} | {overhead(survey) / HOUR / cores:.2g} | – | – | – |"
    )
    return "\n".join(lines) + "\n"


NAMES = {"targets": "targets and plan", "plan": "targets and plan", "fetch": "fetch", "shard": "shard", "verify": "verify",
         "infer": "infer", "catalogue": "catalogue"}  # fmt: skip


def observe(
    per_class: int, shards: int, scratch: Path
) -> tuple[Survey, dict[str, tuple[int, float, float]], dict[str, float]]:
    """A mock run of the paper's networks (2 members, hardly trained) at 5001 pixels over all its spectra.

    Returns (the run as a Survey, {stage: (commands, core seconds, wall seconds)}, {stage: bytes}) of the whole release's dataset
    and, where both are needed for it, of the sample.
    """
    copy, told = scratch / "main", scratch / "told"
    for folder in (copy, told):
        shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", ROOT, copy], check=True)
    grid = {"start": 4000.0, "step": 1.0, "pixels": 5001}
    architecture = {"widths": [16, 32, 64, 128, 256, 512], "padding": "valid", "dense": 256}
    tiny = {"members": 2, "architecture": architecture, "training": {"epochs": 1, "batch": 32}}
    config = {
        "mock": {"sdss_dr16": {"per_class": per_class, "extra": 4 * per_class, "lite_plates": 2}},
        "datasets": {"sdss_dr16": {"per_class": 30, "shards": 1, "grid": grid, "resample": "linear"}, "sdss_dr16_all": {"shards": shards}},
        "models": {"gasnet2_sdss": tiny}, "apply": {"gasnet2_sdss": ["sdss_dr16_all"]}, "engine": "openvino",
    }  # fmt: skip
    run = f"cost_{per_class}"
    target = f"results/{run}/sdss_dr16_all/catalogues/gasnet2_sdss.parquet"
    given = [
        "preset=smoke",
        f"run={run}",
        *(f"{key}={json.dumps(value) if key != 'engine' else value}" for key, value in config.items()),
    ]
    done = subprocess.run([sys.executable, "-m", "snakemake", target, "--cores", "1", "--quiet", "all", "--config", *given],
                          cwd=copy, env=environment(told), capture_output=True, text=True)  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    import pyarrow.parquet as pq

    found: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    for process in processes(told):
        if process.command in NAMES:
            stage = found[NAMES[process.command]]
            stage[0] += 1
            stage[1] += process.cpu
            stage[2] += process.wall
    folder = copy / "results" / run
    disk = {name: sum(path.stat().st_size for path in folder.glob(pattern)) for name, pattern in (
        ("shard", "*/shards/????.parquet"), ("infer", "*/predictions/*/*.parquet"), ("catalogue", "sdss_dr16_all/catalogues/*.*"))}  # fmt: skip
    rows = [
        sum(pq.read_metadata(path).num_rows for path in folder.glob(f"{name}/shards/????.parquet"))
        for name in ("sdss_dr16_all", "sdss_dr16")
    ]
    requests = sum(pq.read_metadata(path).num_rows for path in folder.glob("*/downloads/*.parquet"))
    raw = sum(path.stat().st_size for path in (copy / "resources").glob("*/sdss_dr16/**/sp*.fits"))
    survey = Survey(f"mock of {rows[0]} + {rows[1]} spectra", sum(rows), raw, requests, shards + 1, networks=19)
    return survey, {name: tuple(values) for name, values in found.items()}, disk


def check(scratch: Path, sizes: list[int], shards: int) -> None:
    """Predicted and measured core-seconds and bytes of mock runs."""
    print(f"machine: {json.dumps(describe())}\n")
    for per_class in sizes:
        survey, found, disk = observe(per_class, shards, scratch)
        print(
            f"\n### {survey.name}, {survey.shards} shards, {survey.requests:.0f} files, load {os.getloadavg()[0]:.1f}\n"
        )
        print(
            "| stage | commands | core s predicted | measured | deviation | wall s | MB predicted | measured | deviation |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        total = [0.0, 0.0]
        for stage in stages(survey):
            if stage.name not in found:
                continue
            count, cpu, wall = found[stage.name]
            start = (
                start_of_infer(survey)
                if stage.name == "infer"
                else piece("start_shard" if stage.name == "shard" else "start")
            )
            predicted = stage.cores + (count - stage.jobs) * start
            total = [total[0] + predicted, total[1] + cpu]
            size = ""
            if stage.name in disk:
                size = (
                    f"{stage.disk / 1e6:.1f} | {disk[stage.name] / 1e6:.1f} | {disk[stage.name] / stage.disk - 1:+.0%}"
                )
            print(
                f"| {stage.name} | {count} | {predicted:.1f} | {cpu:.1f} | {cpu / predicted - 1:+.0%} | {wall:.1f} | {size or '– | – | –'} |"
            )
        print(f"| all | | {total[0]:.0f} | {total[1]:.0f} | {total[1] / total[0] - 1:+.0%} | | | | |")


def main() -> None:
    """Print the tables, or the check."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cores", type=int, default=200, help="as the Slurm profile keeps in the queue at once")
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--check", action="store_true")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[60, 300], help="mock objects of each class, of --check"
    )
    parser.add_argument("--shards", type=int, default=4, help="of the mock release")
    parser.add_argument("--scratch", type=Path)
    args = parser.parse_args()
    if args.check:
        with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
            check(Path(folder), args.sizes, args.shards)
        return
    print("| piece | value | unit | how | from |\n|---|---|---|---|---|")
    for name, p in PIECES.items():
        print(f"| {name} | {p.value:.3g} | {p.unit} | {p.how} | {p.source} |")
    for survey in SURVEYS:
        print("\n" + report(survey, args.cores, args.gpus), end="")
    apart = replace(SURVEYS[0], shards=2000)
    print(f"\nSDSS DR16 in 2000 shards: Slurm's own {overhead(apart) / HOUR:.2g} core-hours; turns of 4 transfer jobs at once "
          f"{2000 / 4 * piece('turn') / HOUR:.2g} h, in 240 shards {240 / 4 * piece('turn') / HOUR:.2g} h")  # fmt: skip


if __name__ == "__main__":
    main()
