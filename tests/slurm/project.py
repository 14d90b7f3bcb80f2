"""A copy of the project in which tests start Snakemake on Slurm, hurt its jobs, and compare what comes out."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from conftest import ROOT
from resurvey.cluster import queue

RUN = Path("results/smoke")
SLOW = ("slow_a", "slow_b", "slow_c")  # networks that train long enough to be hurt in the middle
EPOCHS = 20
# Five networks instead of 25, so that a run takes minutes; every rule has its jobs all the same.
FEW = {
    "gasnet2_sdss": {"only": ["ResNet_P", "ResNet_10", "ResNet_10_point"]},
    "gasnet2_sdss_zpdf": {"only": ["ResNet_P", "ResNet_10", "ResNet_10_point"]},
}
MORE = {
    "gasnet2_sdss": {
        "only": [*FEW["gasnet2_sdss"]["only"], *SLOW],
        "networks": {name: {"role": "classifier", "training": {"epochs": EPOCHS}} for name in SLOW},
    }
}
WITH_SLOW = ("--config", f"models={json.dumps(MORE)}", "--")  # then what is to be made
PROCESS_LIMIT = 1200.0  # seconds; a run that hangs must fail its test, not the whole suite


def folder_of(network: str) -> Path:
    return RUN / "models" / "gasnet2_sdss" / network


def target(network: str) -> str:
    return str(folder_of(network) / "model.json")


@dataclass(frozen=True)
class Submitted:
    """One Slurm job as `scontrol show job` has it."""

    id: str
    comment: str
    state: str
    restarts: int
    memory: str
    minutes: int
    cpus: int
    gpus: int
    nodes: str  # where it runs or ran, as Slurm writes a list of nodes

    @property
    def rule(self) -> str:
        return self.comment.split("_wildcards_")[0].removeprefix("rule_")


class Project:
    """The working tree, copied to `folder`; config.yaml asks for one paper of the smoke preset, with few networks."""

    def __init__(self, folder: Path, on_slurm: bool = True) -> None:
        self.folder, self.on_slurm = folder, on_slurm
        self._seen: dict[str, Submitted] = {}
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self._replace("config.yaml", r"^preset: demo\b", "preset: smoke")
        self._replace("config.yaml", r"^papers: null", "papers: [gasnet2]")
        self._replace("config.yaml", r"^models: \{\}", f"models: {json.dumps(FEW)}")
        # A poll every few seconds: what a site waits for in minutes, a test should not.
        self._replace("slurm/config.yaml", r"(?<=^slurm-init-seconds-before-status-checks: )\d+", "4")

    def _replace(self, name: str, pattern: str, by: str) -> None:
        text, count = re.subn(pattern, by, (self.folder / name).read_text(), flags=re.M)
        assert count == 1, f"{name} has {count} times {pattern}"
        (self.folder / name).write_text(text)

    def site(self, **changes: dict) -> None:
        """Change rules' requests in the profile's site part: {rule: {resource: value}}."""
        path = self.folder / "slurm" / "config.yaml"
        profile = yaml.safe_load(path.read_text())
        for rule, resources in changes.items():
            place = profile if rule == "default_resources" else profile["set-resources"]
            place.setdefault(rule.replace("default_", "default-"), {}).update(resources)
        path.write_text(yaml.safe_dump(profile, sort_keys=False))

    def start(self, *arguments: str) -> "Master":
        """Snakemake as a user starts it, in a session of its own, with signals as a terminal gives them."""
        return Master(self, arguments)

    def slurm(self, *arguments: str, cores: str = "all") -> "Master":
        """The literal command, run to its end."""
        return self.start("--cores", cores, "--profile", "slurm", *arguments).wait()

    def jobs(self, rule: str | None = None, network: str | None = None) -> list[Submitted]:
        """The Slurm jobs of this folder since it was made, oldest first."""
        self.look()
        found = [job for job in self._seen.values() if rule is None or job.rule == rule]
        return [job for job in found if network is None or job.comment.endswith(f"_{network}")]

    def look(self) -> None:
        """Slurm forgets jobs a few minutes after their end (MinJobAge), so they are looked at while a run goes on."""
        if not self.on_slurm:
            return
        text = subprocess.run(["scontrol", "show", "job", "-o"], capture_output=True, text=True).stdout
        for line in text.splitlines():
            fields = queue.pairs(line)
            if fields.get("WorkDir") == str(self.folder):
                self._seen[fields["JobId"]] = _submitted(fields)

    def unfinished(self) -> list[queue.Job]:
        return [job for job in queue.jobs() if job.workdir == str(self.folder)]

    def cancel_all(self) -> None:
        for job in self.unfinished():
            subprocess.run(["scancel", job.id], check=False)

    def close(self) -> None:
        """Leave nothing in the queue and no process of a job. Without cgroups Slurm loses sight of those whose parent has died."""
        self.cancel_all()
        end = time.monotonic() + 20
        while self.unfinished() and time.monotonic() < end:
            time.sleep(0.5)
        for pid in processes(self.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def history(self, network: str) -> list[str]:
        """One line per finished epoch."""
        with contextlib.suppress(OSError):
            return (self.folder / folder_of(network) / "history.csv").read_text().splitlines()[1:]
        return []

    def training(self, network: str, epochs: int = 1) -> int | None:
        """The process that trains `network` in a Slurm job, if there is one and it has finished `epochs` epochs."""
        pids = training_processes(self.folder, network)
        return pids[0] if pids and len(self.history(network)) >= epochs else None

    def running(self, network: str) -> Submitted:
        """The job that trains `network` now."""
        [job] = [job for job in self.jobs("train_network", network) if job.state == "RUNNING"]
        return job

    def weights(self, network: str) -> bytes:
        return (self.folder / folder_of(network) / "model.safetensors").read_bytes()

    def forget(self, *networks: str) -> None:
        """Remove what was trained, so that it is trained anew."""
        for network in networks:
            shutil.rmtree(self.folder / folder_of(network), ignore_errors=True)


class Master:
    """A Snakemake process on the submit host."""

    def __init__(self, project: Project, arguments: tuple[str, ...]) -> None:
        self.project = project
        bin_folder = Path(sys.executable).parent
        self.output = project.folder / f"master-{time.monotonic_ns()}.log"
        environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"}
        with open(self.output, "wb") as file:
            self.process = subprocess.Popen(
                [str(bin_folder / "snakemake"), *arguments],
                cwd=project.folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
                restore_signals=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    @property
    def said(self) -> str:
        return self.output.read_text(errors="replace")

    @property
    def code(self) -> int | None:
        return self.process.poll()

    def wait(self, seconds: float = PROCESS_LIMIT) -> "Master":
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            if time.monotonic() > end:
                self.end()
                raise AssertionError(f"Snakemake did not end in {seconds:g} s:\n{self.said[-4000:]}")
            self.project.look()
            time.sleep(1)
        return self

    def succeeds(self) -> "Master":
        assert self.wait().code == 0, self.said[-6000:]
        return self

    def until(self, what: str, there: Callable, seconds: float = 600):
        """The first true answer of `there`, asked ten times a second, while this process lives."""

        def answer():
            found = there()
            assert found or self.process.poll() is None, f"{what}: Snakemake ended first:\n{self.said[-4000:]}"
            return found

        return until(what, answer, seconds)

    def send(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def end(self) -> None:
        """Whatever state it is in: nothing of a test may live on."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _submitted(fields: dict[str, str]) -> Submitted:
    """From the fields of `scontrol show job`; releases from 23.11 on say ReqTRES where earlier ones say TRES."""
    requested = dict(part.split("=") for part in (fields.get("ReqTRES") or fields["TRES"]).split(",") if "=" in part)
    return Submitted(
        id=fields["JobId"],
        comment=fields.get("Comment", ""),
        state=fields["JobState"],
        restarts=int(fields["Restarts"]),
        memory=requested.get("mem", ""),
        minutes=(queue.seconds(fields["TimeLimit"]) or 0) // 60,
        cpus=int(requested.get("cpu", 0)),
        gpus=int(gpus[1]) if (gpus := re.search(r"gpu:(?:\w+:)?(\d+)", fields.get("TresPerJob", ""))) else 0,
        nodes=fields.get("NodeList", ""),
    )


def processes(folder: Path, *words: str) -> Iterator[int]:
    """Processes of Slurm jobs that work in `folder` and have all `words` on their command line."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            here = os.readlink(entry / "cwd") == str(folder)
            if here and set(words) <= set(line) and b"SLURM_JOB_ID=" in (entry / "environ").read_bytes():
                yield int(entry.name)


def training_processes(folder: Path, network: str) -> list[int]:
    return sorted(processes(folder, "resurvey", "train", network))


def until(what: str, there: Callable, seconds: float = 120):
    """The first true answer of `there`, asked ten times a second."""
    end = time.monotonic() + seconds
    while not (answer := there()):
        assert time.monotonic() < end, f"{what}: not there after {seconds:g} s"
        time.sleep(0.1)
    return answer
