"""From one command to one process per GPU: `resurvey train` starts itself again under torchrun, on several nodes under srun.

torchrun is what watches the ranks: one that dies ends all. What is started here ends with the command that started it, however
that ends.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from resurvey.errors import ResurveyError
from resurvey.training.ranks import stop_with_parent


def on_node_of_several(nodes: int) -> bool:
    """Whether this is the one task of its node in an srun step over `nodes` nodes."""
    told = [os.environ.get(f"SLURM_STEP_NUM_{what}") for what in ("NODES", "TASKS")]
    return told == [str(nodes)] * 2


def srun(arguments: Sequence[str], nodes: int, threads: int) -> list[str]:
    """The step that runs `resurvey arguments` once on each node of this Slurm job. Raises ResurveyError outside of Slurm."""
    if "SLURM_JOB_ID" not in os.environ:
        raise ResurveyError(f"--nodes {nodes}: several nodes are had within a Slurm job only; without one, --nodes 1")
    shape = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", f"--cpus-per-task={threads}"]
    return ["srun", *shape, "--kill-on-bad-exit=1", sys.executable, "-m", "resurvey", *arguments]


def torchrun(arguments: Sequence[str], processes: int, nodes: int = 1) -> list[str]:
    """torchrun of `resurvey arguments` with `processes` ranks on this node, which is one of `nodes` of an srun step.

    Nodes meet at the first node of the step. Raises ResurveyError when Slurm cannot name it.
    """
    meet = ["--standalone"]
    if nodes > 1:
        port = 20000 + int(os.environ["SLURM_JOB_ID"]) % 20000
        meet = [f"--nnodes={nodes}", f"--node-rank={os.environ['SLURM_NODEID']}"]
        meet += [f"--master-addr={_first_host(os.environ['SLURM_STEP_NODELIST'])}", f"--master-port={port}"]
    run = [sys.executable, "-m", "torch.distributed.run", *meet, f"--nproc-per-node={processes}"]
    return [*run, "-m", "resurvey", *arguments]


def _first_host(names: str) -> str:
    command = ["scontrol", "show", "hostnames", names]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise ResurveyError(f"{' '.join(command)}: does not say where the ranks can meet ({error})") from error


def supervise(command: Sequence[str]) -> int:
    """Run a command to its end and hand SIGTERM on; 143 if there was one and it did not finish all the same, else its exit code."""
    # The console's descriptor (cli.complain) is not open in grandchildren: their number could be another file there.
    environment = {name: value for name, value in os.environ.items() if name != "RESURVEY_CONSOLE"}
    told = []

    def hand_on(*_) -> None:
        told.append(True)
        if process:
            process.terminate()

    process = None
    before = signal.signal(signal.SIGTERM, hand_on)
    try:
        process = subprocess.Popen(command, env=environment, preexec_fn=stop_with_parent)
        if told:  # before there was a process to tell
            process.terminate()
        code = process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    return 143 if told and code else code
