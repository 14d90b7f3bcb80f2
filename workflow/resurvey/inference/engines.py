"""How networks are evaluated: plain torch (the reference), OpenVINO on CPUs, torch in bf16 on CUDA, behind one call.

An engine maps flux (spectra, pixels) to the raw outputs (spectra, members, outputs) of each network; what they mean is the
heads' affair. Spectra are normalised outside the graphs, in float32: their fluxes span decades.
"""

import copy
import importlib.util
import os
from collections.abc import Iterable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from resurvey.errors import ResurveyError
from resurvey.networks.build import Network

NAMES = ("torch", "openvino", "openvino_f32", "cuda", "auto")
BATCH = 64  # spectra per call: more no longer fit a core's cache
GRAPH_BOUND = {"f32": 1e-3, "bf16": 0.1}  # of the largest output: beyond it the graph is wrong, not rounded  # fmt: skip


class Engine(Protocol):
    """`name` and `precision` stand in the predictions' metadata."""

    name: str
    precision: str

    def outputs(self, network: str, inputs: Tensor) -> Tensor:
        """Inputs (spectra, channels, 1, pixels) float32 -> outputs (spectra, members, outputs) float32 on the CPU."""


class TorchEngine:
    """The reference: a loop over networks and members in float32."""

    name, precision = "torch", "f32"

    def __init__(self, networks: dict[str, Network]) -> None:
        self.networks = {name: network.eval() for name, network in networks.items()}

    @torch.inference_mode()
    def outputs(self, network: str, inputs: Tensor) -> Tensor:
        """See Engine."""
        return self.networks[network].core(inputs).float()


class CudaEngine:
    """Torch on the first CUDA device: bf16 trunks where the hardware has them, float32 dense layers."""

    name = "cuda"

    def __init__(self, networks: dict[str, Network], precision: str | None = None) -> None:
        if not torch.cuda.is_available():
            raise ResurveyError("engine: cuda: torch finds no CUDA device; set engine: auto")
        self.bf16 = precision != "f32" and torch.cuda.is_bf16_supported()
        self.precision = "bf16" if self.bf16 else "f32"
        self.networks = {name: copy.deepcopy(network).eval().cuda() for name, network in networks.items()}

    @torch.inference_mode()
    def outputs(self, network: str, inputs: Tensor) -> Tensor:
        """See Engine."""
        with torch.autocast("cuda", torch.bfloat16, enabled=self.bf16):
            return self.networks[network].core(inputs.cuda(non_blocking=True)).float().cpu()

    def in_float32(self, networks: dict[str, Network]) -> "CudaEngine":
        """The same without bf16."""
        return CudaEngine(networks, "f32")


class OpenVinoEngine:
    """One OpenVINO graph per network, all its members in it; BatchNorm folded by the compiler; bf16 where the CPU has it."""

    name = "openvino"

    def __init__(self, networks: dict[str, Network], threads: int, precision: str | None = None) -> None:
        os.environ.setdefault("OPENVINO_TELEMETRY", "0")
        import openvino

        self.core = openvino.Core()
        self.threads = threads
        has_bf16 = "BF16" in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = precision or ("bf16" if has_bf16 else "f32")
        options = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # pinned, every one-thread process of a machine sits on the first core
            "PERFORMANCE_HINT": "LATENCY",
        }
        self.compiled = {name: self._compile(name, network, options) for name, network in networks.items()}

    def _compile(self, name: str, network: Network, options: dict):
        """The compiled graph, after a comparison with torch: a graph gone wrong must not reach a catalogue."""
        from resurvey.inference.openvino_graph import graph

        shape = (len(network.channels), 1, network.spec["pixels"])
        probe = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            reference = network.eval().core(probe).numpy()
        compiled = self.core.compile_model(graph(network), "CPU", options)
        off = np.abs(compiled(probe.numpy())[0] - reference).max() / max(np.abs(reference).max(), 1e-6)
        if not off < GRAPH_BOUND[self.precision]:
            raise ResurveyError(
                f"network {name}: OpenVINO's outputs are off by {off:.2g} of torch's; set engine: torch"
            )
        return compiled

    def outputs(self, network: str, inputs: Tensor) -> Tensor:
        """See Engine."""
        return torch.from_numpy(self.compiled[network](inputs.numpy())[0].copy())

    def in_float32(self, networks: dict[str, Network]) -> "OpenVinoEngine":
        """The same without bf16."""
        return OpenVinoEngine(networks, self.threads, "f32")


def on_gpu(name: str) -> bool:
    """Whether the engine of that name takes a GPU where there is one."""
    return name in ("cuda", "auto")


def make_engine(name: str, networks: dict[str, Network], threads: int) -> Engine:
    """The engine of that name; `auto`: CUDA if there is a device, else OpenVINO if it is installed, else torch.

    `openvino` and `cuda` compute in bf16 where the hardware has it, `openvino_f32` does not.

    Raises ResurveyError for a name that does not exist or an engine that this machine lacks.
    """
    if name not in NAMES:
        raise ResurveyError(f"engine: {name} does not exist; it may be {', '.join(NAMES)}")
    has_openvino = importlib.util.find_spec("openvino") is not None
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "openvino" if has_openvino else "torch"
    if name.startswith("openvino"):
        if not has_openvino:
            raise ResurveyError("engine: openvino is not installed (pip install openvino); set engine: torch")
        return OpenVinoEngine(networks, threads, "f32" if name == "openvino_f32" else None)
    return CudaEngine(networks) if name == "cuda" else TorchEngine(networks)


def run_batches(engine: Engine, network: str, inputs: Tensor, batch: int = BATCH) -> Tensor:
    """Outputs (spectra, members, outputs) of all inputs, in batches that halve while memory runs out."""
    from resurvey.training.device import out_of_memory

    done: list[Tensor] = []
    start = 0
    while start < len(inputs):
        try:
            done.append(engine.outputs(network, inputs[start : start + batch].contiguous()))
            start += batch
        except RuntimeError as error:
            if not out_of_memory(error) or batch == 1:
                raise
            batch //= 2
    return torch.cat(done)


def seen_by(networks: Iterable[Network]) -> Network:
    """The network whose inputs all others share. Raises ResurveyError when they do not."""
    first, *others = networks
    for other in others:
        if (other.channels, other.spec["normalisation"]) != (first.channels, first.spec["normalisation"]):
            raise ResurveyError(
                "the model's networks normalise spectra in different ways; train them with one architecture"
            )
    return first
