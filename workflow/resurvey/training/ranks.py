"""Several processes that train one network: each takes its share of every batch, all hold the same weights after every step.

What is learned does not depend on how many they are, beyond the rounding of sums: BatchNorm's statistics are those of the whole
batch, dropout draws the masks of the whole batch from one generator whose state all ranks share, the loss is the mean over the whole
batch. So a checkpoint of four ranks goes on with one, and the other way round.
"""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parallel import DistributedDataParallel

from resurvey.errors import ResurveyError
from resurvey.training.device import pick_device

LIBC = ctypes.CDLL(None)
PATIENCE = timedelta(hours=1)  # of a rank that waits while another writes a checkpoint; a dead rank ends all at once


class Ranks:
    """This process among `size` of them; with one, every method hands back what it was given."""

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size, self.device = rank, size, device
        self.window: tuple[int, int, int] | None = None

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def take(self, rows: Tensor) -> tuple[Tensor, int]:
        """(this rank's share of some rows, how many spectra of the mean over all ranks it stands for).

        Fewer rows than ranks are taken whole by each, so that none is left without any.
        """
        count = len(rows)
        if count < self.size or self.size == 1:
            self.window = None
            return rows, count
        start, stop = self.rank * count // self.size, (self.rank + 1) * count // self.size
        self.window = (start, stop, count)
        return rows[start:stop], (stop - start) * self.size

    def whole(self) -> None:
        """From here on batches are seen whole: no layer is to look for the others' shares."""
        self.window = None

    def mean(self, *values: Tensor | float) -> list[float]:
        """The mean over all ranks of some numbers."""
        if self.size == 1:
            return [float(value) for value in values]
        sums = torch.tensor([float(value) for value in values], dtype=torch.float64, device=self.device)
        dist.all_reduce(sums)
        return (sums / self.size).tolist()

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank."""
        return flag if self.size == 1 else self.mean(flag)[0] > 0

    def gather(self, pieces: dict[int, object]) -> list:
        """All ranks' pieces (numbers or CPU tensors), in the order of their keys."""
        every: list[dict | None] = [pieces]
        if self.size > 1:
            every = [None] * self.size
            dist.all_gather_object(every, pieces)
        merged = {number: piece for one in every for number, piece in one.items()}
        return [merged[number] for number in sorted(merged)]

    def from_first(self, value: object) -> object:
        """What the first rank has."""
        if self.size == 1:
            return value
        box = [value if self.first else None]
        dist.broadcast_object_list(box, 0, device=self.device)
        return box[0]

    def wait(self) -> None:
        """Until all ranks are here."""
        self.any(False)

    def adapt(self, network: nn.Module) -> None:
        """Give the network, in place, layers that look at the whole batch. Raises ResurveyError for a dropout that has no such twin."""
        if self.size == 1:
            return
        for parent in list(network.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, _BatchNorm):
                    setattr(parent, name, SharedBatchNorm(child, self))
                elif type(child) is nn.Dropout:
                    setattr(parent, name, SharedDropout(child.p, self))
                elif hasattr(child, "share"):
                    child.share(self)
                elif isinstance(child, _DropoutNd):
                    raise ResurveyError(f"{type(child).__name__} cannot be trained by several processes; set gpu: 1")

    def parallel(self, network: nn.Module) -> nn.Module:
        """What to call in the loop: its gradients become the means over all ranks."""
        if self.size == 1:
            return network
        where = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, where, forward_sync_buffers=False)


class _Sum(torch.autograd.Function):
    """The sum over all ranks, of values and of gradients."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        total = x.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


class SharedBatchNorm(_BatchNorm):
    """BatchNorm with the statistics of the whole batch (torch's SyncBatchNorm refuses CPUs). Sums travel in float64."""

    def __init__(self, twin: _BatchNorm, ranks: Ranks) -> None:
        super().__init__(twin.num_features, twin.eps, twin.momentum, twin.affine, twin.track_running_stats)
        self.ranks = ranks
        self.to(twin.weight.device)
        self.load_state_dict(twin.state_dict())

    def _check_input_dim(self, x: Tensor) -> None:
        """Any (batch, channels, …)."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, …) -> the same, in the type of x."""
        if not self.training or self.ranks.window is None:
            return super().forward(x)
        start, stop, rows = self.ranks.window
        own = x.numel() // x.shape[1]
        count = own // (stop - start) * rows
        wide = x.float()
        var, mean = (v.double() for v in torch.var_mean(wide, [d for d in range(x.dim()) if d != 1], correction=0))
        sums = _Sum.apply(torch.stack([mean, var + mean**2]) * own) / count
        mean, var = sums[0], sums[1] - sums[0] ** 2
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
            self.running_var.lerp_((var * (count / (count - 1))).to(self.running_var), self.momentum)
            self.num_batches_tracked.add_(1)
        scale = self.weight * torch.rsqrt(var + self.eps).float()
        shift = self.bias - mean.float() * scale
        shape = [1, -1] + [1] * (x.dim() - 2)
        return torch.addcmul(shift.view(shape), wide, scale.view(shape)).to(x.dtype)


class SharedDropout(nn.Module):
    """Dropout whose mask is this rank's part of the mask of the whole batch: on a CPU that of one process."""

    def __init__(self, p: float, ranks: Ranks) -> None:
        super().__init__()
        self.p, self.ranks = p, ranks

    def forward(self, x: Tensor) -> Tensor:
        """Any (batch, …)."""
        if not self.training or self.p == 0:
            return x
        start, stop, rows = self.ranks.window or (0, len(x), len(x))
        mask = x.new_empty((rows, *x.shape[1:])).bernoulli_(1 - self.p)[start:stop]
        return x * mask.div_(1 - self.p)


def launched() -> bool:
    """Whether torchrun, or something that sets the same variables, started this process as one rank."""
    return {"RANK", "LOCAL_RANK", "WORLD_SIZE"} <= set(os.environ)


@contextlib.contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks that torchrun started, this one joined to them; without torchrun, one. NCCL on CUDA, Gloo on CPUs.

    A rank whose launcher dies is told to stop (SIGTERM). Raises ResurveyError for more ranks of a machine than it has GPUs.
    """
    device = pick_device()
    if not launched() or int(os.environ["WORLD_SIZE"]) == 1:
        yield Ranks(0, 1, device)
        return
    stop_with_parent()
    rank, local, size = (int(os.environ[name]) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise ResurveyError(
                f"torchrun started process {local + 1} on a machine of {torch.cuda.device_count()} visible GPUs; "
                "give --nproc-per-node as many as there are"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", timeout=PATIENCE, device_id=device)
    else:
        dist.init_process_group("gloo", timeout=PATIENCE)
    yield Ranks(rank, size, device)
    dist.destroy_process_group()  # not after an error: other ranks may be gone, and it would wait for them


def stop_with_parent() -> None:
    """Have Linux send this process SIGTERM when its parent dies, however it dies."""
    pr_set_pdeathsig = 1
    if sys.platform == "linux":
        LIBC.prctl(pr_set_pdeathsig, signal.SIGTERM)
