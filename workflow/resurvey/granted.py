"""What a job may use of its machine's CPUs: what Slurm granted it, else what it was told.

Snakemake caps the threads of every rule at the CPUs of the host that submits (`--cores all` on a login node of 2 CPUs makes
every `{threads}` 2), so under Slurm its number is not the grant.
"""

import os

LIBRARIES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def cpus(asked: int) -> int:
    """CPUs of this process: SLURM_CPUS_PER_TASK where Slurm set it, else `asked` (--threads); at least 1.

    Processes that one torchrun started on a machine share them.
    """
    number = int(os.environ.get("SLURM_CPUS_PER_TASK") or asked)
    return max(1, number // int(os.environ.get("LOCAL_WORLD_SIZE") or 1))


def limit(number: int) -> None:
    """Let the libraries of this process and of its children use `number` threads. They read it once: call it before their import."""
    os.environ.update(dict.fromkeys(LIBRARIES, str(number)))


def threads(asked: int) -> int:
    """`cpus`, after telling the libraries. Weights of a training depend on it in their last bits, catalogues of mock spectra do not."""
    number = cpus(asked)
    limit(number)
    return number
