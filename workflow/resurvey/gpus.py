"""Which GPUs a job takes. Jobs of one user on one machine never share a GPU: each holds a file lock per GPU, which ends with it.

Under Slurm the GPUs of CUDA_VISIBLE_DEVICES are the job's own and no lock is needed, unless it sees more of them than it wants,
as the jobs of a `snakemake` that runs inside one allocation do. GPUs are counted as nvidia-smi does, in the order of the PCI bus.
"""

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from resurvey.errors import ResurveyError

NVIDIA_DRIVER = Path("/dev/nvidiactl")


def installed() -> list[str]:
    """UUIDs of the GPUs that nvidia-smi lists; empty without it or without a driver."""
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return []
    return answer.stdout.split()


def chosen(names: str | None, uuids: Sequence[str]) -> list[str]:
    """The GPUs that a CUDA_VISIBLE_DEVICES names among those installed; None: all.

    Numbers and beginnings of UUIDs become UUIDs, names of parts (MIG-…) stay; as for CUDA, nothing counts from the first wrong
    name on, and no names are no GPUs.
    """
    if names is None or not uuids:
        return list(uuids)
    found: list[str] = []
    for name in (part.strip() for part in names.split(",")):
        if name.startswith("MIG-"):
            found.append(name)
            continue
        if name.isdigit():
            matching = uuids[int(name) : int(name) + 1]
        else:
            matching = [uuid for uuid in uuids if name and uuid.startswith(name)]
        if len(matching) != 1 or matching[0] in found:
            break
        found.append(matching[0])
    return found


def visible() -> list[str]:
    """The GPUs that torch could use here; none with a CPU build of torch. Does not start CUDA."""
    import torch

    if not torch.version.cuda:
        return []
    uuids = installed()
    if not uuids and NVIDIA_DRIVER.exists():
        _say(
            "nvidia-smi does not list them: they are used without knowing of other jobs; name one in CUDA_VISIBLE_DEVICES"
        )
    return chosen(os.environ.get("CUDA_VISIBLE_DEVICES"), uuids)


def leases_folder() -> Path:
    """Where the user's leases of this machine lie: not TMPDIR, which may differ from job to job."""
    return Path("/tmp", f"resurvey-{os.getuid()}", "gpus")


@contextlib.contextmanager
def lease(wanted: int = 0, gpus: Sequence[str] | None = None, folder: Path | None = None) -> Iterator[list[str]]:
    """Hold `wanted` of the visible GPUs (0: all that Slurm granted, else one) and name them in CUDA_VISIBLE_DEVICES.

    Waits while other jobs hold them, and says so. Yields the GPUs' names: none on a machine without GPU, fewer than wanted
    where there are not as many. To be entered before torch starts CUDA. Raises ResurveyError when no lock can be kept.
    """
    gpus = visible() if gpus is None else list(gpus)
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    granted = "SLURM_JOB_ID" in os.environ and before is not None
    wanted = wanted or (len(gpus) if granted else 1)
    if gpus and wanted > len(gpus):
        _say(f"{wanted} GPUs were asked for, {len(gpus)} can be seen: these are used")
    if not gpus or (granted and wanted >= len(gpus)):
        yield gpus
        return
    locks = _acquire(gpus, min(wanted, len(gpus)), folder or leases_folder())
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(locks)
    try:
        yield list(locks)
    finally:
        for lock in locks.values():
            lock.release()
        os.environ.pop("CUDA_VISIBLE_DEVICES")
        if before is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


def _acquire(gpus: Sequence[str], wanted: int, folder: Path) -> dict[str, FileLock]:
    """Locks of the first `wanted` free GPUs; all of them or none are held while waiting, so that two jobs never wait for each other."""
    started, said = time.monotonic(), False
    while True:
        locks: dict[str, FileLock] = {}
        for gpu in gpus:
            lock = FileLock(folder / f"{gpu.replace('/', '_')}.lock", thread_local=False)
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock.acquire(timeout=0)
            except Timeout:
                continue
            except OSError as error:
                raise ResurveyError(
                    f"{folder}: the leases of this machine's GPUs cannot be kept there ({error.strerror or error}); make it writable"
                ) from error
            locks[gpu] = lock
            if len(locks) == wanted:
                if said:
                    _say(f"has {', '.join(locks)} after {time.monotonic() - started:.0f} s")
                return locks
        for lock in locks.values():
            lock.release()
        if not said:
            _say(f"{wanted} of {len(gpus)} GPUs wanted, {len(locks)} free: waits for other jobs to end")
            said = True
        time.sleep(random.uniform(0.2, 1.0))


def _say(text: str) -> None:
    print(f"GPU: {text}", file=sys.stderr, flush=True)
