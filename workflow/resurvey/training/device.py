"""Where and how precisely to compute: device, autocast, what counts as out of memory."""

import contextlib

import torch
from torch import nn

# On CPUs with bf16 units autocast was 1.4 times faster at the paper's widths and at half of them, 1.1 times at a quarter
# (docs/mocks-to-real.md); below this width of the widest block it is not worth its rounding.
BF16_FROM_WIDTH = 256


def pick_device() -> torch.device:
    """The first CUDA device if there is one, else the CPU. `gpus.lease` decides which is the first."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 in hardware (AMX or AVX-512 BF16)."""
    found = torch.cpu.get_capabilities()
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))


def pick_precision(wish: str, device: torch.device, widest: int) -> str:
    """`float32` or `bf16` for a wish of `auto`, `float32` or `bf16`; `widest`: channels of the widest block."""
    if wish != "auto":
        return wish
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "float32"
    return "bf16" if cpu_has_bf16() and widest >= BF16_FROM_WIDTH else "float32"


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """The context in which the network runs."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def prepare(network: nn.Module, device: torch.device, compiled: bool = True) -> nn.Module:
    """What to call in the loop: on CUDA the compiled network with TF32 for what stays float32, on CPU itself.

    `compiled` false: never compiled, as for layers that talk to other processes.
    """
    if device.type != "cuda":
        return network
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    return torch.compile(network) if compiled else network


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that memory ran out, on CUDA or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def release(device: torch.device) -> None:
    """Give cached device memory back before a smaller try."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
