"""What the tests on a real Slurm share. They use the whole machine, so they run one after another (one xdist group)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIRED = "RESURVEY_REQUIRE_SLURM"


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slurm)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.xdist_group("slurm"))


def why_no_slurm() -> str | None:
    """What is wrong with this machine's Slurm; None if it answers."""
    if not shutil.which("scontrol"):
        return "no scontrol on this machine"
    try:
        done = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return "scontrol ping did not answer in 20 s"
    return None if done.returncode == 0 else f"scontrol ping: {(done.stdout + done.stderr).strip()}"


@pytest.fixture(scope="session")
def slurm() -> None:
    """A Slurm that answers. Absent: the test is skipped with the reason; with RESURVEY_REQUIRE_SLURM=1 it fails."""
    if why := why_no_slurm():
        assert not os.environ.get(REQUIRED), f"{REQUIRED} is set, but there is no Slurm: {why}"
        pytest.skip(f"no Slurm ({why}); `python tests/slurm/cluster.py start` starts one on this machine")


@pytest.fixture(scope="session")
def local(tmp_path_factory):
    """A run on this machine without Slurm: what the runs on Slurm must come to, undisturbed trainings included."""
    from project import SLOW, WITH_SLOW, Project, target

    project = Project(tmp_path_factory.mktemp("local"), on_slurm=False)
    project.start("--cores", "2").succeeds()
    project.start("--cores", "2", *WITH_SLOW, *map(target, SLOW)).succeeds()
    return project


@pytest.fixture(scope="session")
def literal(slurm, tmp_path_factory):
    """(project, master, its jobs) after the literal command has been run to its end in a fresh copy of the project.

    The jobs are those of that run: tests that come later in the same folder add theirs.
    """
    from project import Project

    project = Project(tmp_path_factory.mktemp("cluster"))
    master = project.start("--cores", "all", "--profile", "slurm")
    try:
        master.wait()
        yield project, master, project.jobs()
    finally:
        master.end()
        project.close()


@pytest.fixture
def cluster(literal):
    """The project after its first run, its profile as it was; whatever a test leaves, in the queue or locked, is removed."""
    project, master, _ = literal
    assert master.code == 0, master.said[-6000:]
    profile = project.folder / "slurm" / "config.yaml"
    before = profile.read_text()
    yield project
    profile.write_text(before)
    project.cancel_all()
    for lock in (project.folder / ".snakemake/locks").glob("*.lock"):  # of a test that failed in the middle
        lock.unlink()
