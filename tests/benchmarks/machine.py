"""What this machine is, in the terms that decide how fast the project is on it."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

FLAGS = (("amx_bf16", "AMX bf16"), ("avx512_bf16", "AVX-512 bf16"), ("avx512f", "AVX-512"), ("avx2", "AVX2"))


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, value in reversed(list(pairs))}


def flags() -> set[str]:
    """Instruction sets of the CPU as Linux names them; empty where it does not say."""
    info = _cpuinfo()
    return set((info.get("flags") or info.get("Features") or "").split())


def has_bf16_units() -> bool:
    """Whether the CPU multiplies bf16 matrices in units of their own (AMX): the goals of inference depend on it."""
    return "amx_bf16" in flags()


def capability() -> str:
    """The widest of the instruction sets that matter here."""
    known = flags()
    return next((name for flag, name in FLAGS if flag in known), platform.machine())


def memory_gb() -> float:
    """Memory of the machine in 10⁹ bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def describe() -> dict:
    """CPU, capability, cores, memory, load when asked, and the versions that decide the speed."""
    versions = {}
    for name in ("resurvey", "numpy", "numba", "pyarrow", "torch", "openvino", "snakemake", "fitsio", "astropy", "specutils", "redrock"):  # fmt: skip
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "cpu": _cpuinfo().get("model name") or platform.processor() or platform.machine(),
        "capability": capability(),
        "bf16_units": has_bf16_units(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory_gb(), 1),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": versions,
    }
