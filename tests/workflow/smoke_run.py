"""Snakemake as a user starts it, and one finished run of the smoke preset for all workflow tests."""

import csv
import functools
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
from conftest import ROOT
from resurvey import cli, settings
from resurvey.paths import Paths

RUN = Path("results/smoke")


def command(folder: Path, *arguments: object, config: str = "preset=smoke", project: Path = ROOT) -> list[str]:
    """The command line of a run in `folder`, of the project's checkout or of a changed copy of it."""
    words = [Path(sys.executable).with_name("snakemake"), "--cores", "2", "--quiet", "rules", "host", "reason"]
    words += ["--snakefile", project / "Snakefile", "--configfile", project / "config.yaml", "--directory", folder]
    return [*map(str, [*words, *arguments]), "--config", *config.split(" ")]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **more}


def snakemake(
    folder: Path,
    *arguments: object,
    config: str = "preset=smoke",
    env: dict | None = None,
    project: Path = ROOT,
    room: int | None = None,
) -> subprocess.CompletedProcess:
    """One run. `room`: bytes beyond which no file can grow, as on a disk that fills."""

    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    return subprocess.run(
        command(folder, *arguments, config=config, project=project),
        capture_output=True,
        text=True,
        env=environment(**(env or {})),
        cwd=ROOT,
        preexec_fn=full if room else None,
    )


def jobs(result: subprocess.CompletedProcess) -> dict[str, int]:
    """{rule: number of jobs} of a dry run."""
    assert result.returncode == 0, result.stdout + result.stderr
    return {
        rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", result.stdout + result.stderr, flags=re.M)
    }


def finished(factory, preset: str = "smoke") -> Path:
    """The folder of a preset's finished run; `factory` is pytest's tmp_path_factory. Made once for all modules: change a copy."""
    return _finished(factory.getbasetemp(), preset)


@functools.cache
def _finished(base: Path, preset: str) -> Path:
    folder = base / f"finished_{preset}"
    folder.mkdir()
    result = snakemake(folder, config=f"preset={preset}")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return folder


def drawn(folder: Path, preset: str, paper: str = "gasnet2") -> set[str]:
    """The figures of a paper in a finished run, each of which is there as PDF, PNG and CSV."""
    paths = Paths(settings.load(ROOT / "config.yaml", {"preset": preset}))
    for name in paths.figure_names(paper):
        for kind in ("pdf", "png", "csv"):
            assert (folder / paths.figure_file(paper, name, kind)).stat().st_size > 100, name
    return set(paths.figure_names(paper))


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    """The rows of a CSV file of a run."""
    with open(folder / table, newline="") as handle:
        return list(csv.DictReader(handle))


def printed(folder: Path, preset: str, paper: str = "gasnet2") -> dict[tuple[str, str], str]:
    """{(quantity, class): the number that the paper prints} of a run's scorecard."""
    return {
        (row["quantity"], row["class"]): row["paper"]
        for row in rows(folder, f"results/{preset}/{paper}/scorecard.csv")
        if row["paper"]
    }


def predicted(file: Path, model: Path, out: Path) -> tuple[int, list[str]]:
    """Spectra of a file that `resurvey predict` measured, and the reasons for those that it left out."""
    assert cli.main(["predict", str(file), "--model", str(model), "--out", str(out)]) == 0
    rejected = pq.read_table(out.with_suffix(".rejected.parquet"))
    return pq.read_metadata(out).num_rows, rejected["reason"].to_pylist()


def copy(run: Path, to: Path) -> Path:
    """A copy of a run's folder that can be spoilt; the raw files, which nothing changes in place, are linked."""
    shutil.copytree(run, to, symlinks=True, ignore=shutil.ignore_patterns("resources"), dirs_exist_ok=True)
    shutil.copytree(run / "resources", to / "resources", symlinks=True, copy_function=os.link)
    return to
