"""What the outputs of a network mean: targets, losses, read-outs. Outputs are (batch, members, outputs), of labels (batch, labels, 2).

`metric` names the score of a head, `monitor` the column of the history that chooses the best epoch, `better` its direction.
A head is built from its dictionary in the spec:
`{"kind": "softmax"}`, classes;
`{"kind": "huber", "z_range": [0, 5], "z_scale": 10, "delta": 0.1}`, the paper's redshift (Eq. 6);
`{"kind": "bins", "z_range": [0, 5], "width": 0.0015, "bins": 1200, "soft": 1, "readout": 3}`, a probability over bins of ln(1+z);
`{"kind": "censored"}`, labels with errors, some missing (censored_loss.py).
"""

import abc
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from resurvey.errors import ResurveyError
from resurvey.networks.censored_loss import Censored


class Softmax:
    """Classes by categorical cross-entropy (Eq. 5)."""

    metric, better, monitor = "acc", max, "val_acc"

    def encode(self, target: Tensor) -> Tensor:
        """Class numbers (batch,), as they are."""
        return target

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Mean cross-entropy over batch and members."""
        members = outputs.shape[1]
        return F.cross_entropy(outputs.flatten(0, 1).float(), target.repeat_interleave(members))

    def score(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Fraction of right classes, mean over members, per spectrum (batch,)."""
        return (outputs.argmax(2) == target[:, None]).double().mean(1)

    def read(self, outputs: Tensor) -> dict[str, Tensor]:
        """`prob` (batch, classes): the members' mean probability."""
        return {"prob": torch.softmax(outputs.float(), 2).mean(1)}


class Redshift(abc.ABC):
    """What both redshift heads share: clipped targets, and the mean absolute error in z as the metric."""

    metric, better, monitor = "mae", min, "val_mae"

    def __init__(self, head: dict) -> None:
        self.low, self.high = head["z_range"]

    def clip(self, z: Tensor) -> Tensor:
        """z within z_range (§3.2); used for training and validation targets, never for the truth of a score."""
        return z.clamp(self.low, self.high)

    @abc.abstractmethod
    def members(self, outputs: Tensor) -> Tensor:
        """The redshift of each member (batch, members)."""

    def score(self, outputs: Tensor, target: Tensor) -> Tensor:
        """|z_member - clipped z|, mean over members as Keras' joint metric, per spectrum (batch,). `target` is z."""
        return (self.members(outputs) - self.clip(target)[:, None]).abs().double().mean(1)


class Huber(Redshift):
    """The paper's redshift: z·z_scale by the Huber loss (Eq. 6), mean and spread over the members (Eqs. 7, 8)."""

    def __init__(self, head: dict) -> None:
        super().__init__(head)
        self.scale, self.delta = head["z_scale"], head["delta"]

    def encode(self, target: Tensor) -> Tensor:
        """z (batch,) -> clipped z·z_scale."""
        return self.clip(target) * self.scale

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Mean Huber loss over batch and members."""
        return F.huber_loss(outputs[..., 0].float(), target[:, None].expand(outputs.shape[:2]), delta=self.delta)

    def members(self, outputs: Tensor) -> Tensor:
        """The redshift of each member (batch, members)."""
        return outputs[..., 0].float() / self.scale

    def read(self, outputs: Tensor) -> dict[str, Tensor]:
        """`z`, `z_std` (batch,): mean and ddof-0 standard deviation of the members."""
        z = self.members(outputs).double()
        return {"z": z.mean(1), "z_std": z.std(1, correction=0)}


class Bins(Redshift):
    """A probability over bins of x = ln(1+z), learned from a Gaussian soft target, read out around its peak.

    Bin centres are x_k = ln(1+z_low) + (k - margin)·width, so a peak at either end of the range has neighbours.
    The best epoch is that of the smallest loss: the mean error of a distribution with several peaks follows a few outliers.
    """

    monitor = "val_loss"

    def __init__(self, head: dict) -> None:
        super().__init__(head)
        self.width, self.count, self.soft, self.readout = head["width"], head["bins"], head["soft"], head["readout"]

    @staticmethod
    def margin(soft: float, readout: int) -> int:
        """Bins beyond each end of the range: enough for the read-out window and three σ of the soft target."""
        return max(readout, math.ceil(3 * soft)) + 1

    @classmethod
    def head(cls, z_range: list[float], width: float, soft: float, readout: int) -> dict:
        """The head's dictionary for a range of z; `width` in ln(1+z), `soft` and `readout` in bins."""
        span = math.ceil((math.log1p(z_range[1]) - math.log1p(z_range[0])) / width)
        count = span + 1 + 2 * cls.margin(soft, readout)
        return {"kind": "bins", "z_range": z_range, "width": width, "bins": count, "soft": soft, "readout": readout}

    def centres(self, device: torch.device | None = None) -> Tensor:
        """Bin centres in ln(1+z), float64 (bins,)."""
        start = math.log1p(self.low) - self.margin(self.soft, self.readout) * self.width
        return start + self.width * torch.arange(self.count, dtype=torch.float64, device=device)

    def encode(self, target: Tensor) -> Tensor:
        """z (batch,) -> soft targets (batch, bins), a Gaussian of σ = soft bins around ln(1+z), each summing to 1."""
        x = torch.log1p(self.clip(target.double()))
        distance = (self.centres(target.device) - x[:, None]) / self.width
        return torch.softmax(-0.5 * (distance / self.soft) ** 2, 1).float()

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Mean cross-entropy between soft target and distribution over batch and members."""
        return -(target[:, None] * F.log_softmax(outputs.float(), 2)).sum(2).mean()

    def members(self, outputs: Tensor) -> Tensor:
        """Each member's own redshift (batch, members)."""
        return self.around_peak(torch.softmax(outputs.double(), 2))

    def around_peak(self, probability: Tensor) -> Tensor:
        """Read-out of distributions (…, bins) -> (…): mean of ln(1+z) within ±readout bins of the peak, as z."""
        peak = probability.argmax(-1).clamp(self.readout, self.count - 1 - self.readout)
        window = peak[..., None] + torch.arange(-self.readout, self.readout + 1, device=probability.device)
        near = torch.gather(probability, -1, window)
        return torch.expm1((near * self.centres(probability.device)[window]).sum(-1) / near.sum(-1))

    def read(self, outputs: Tensor) -> dict[str, Tensor]:
        """`z` (batch,): read-out of the mean of the members' distributions, which one lost member cannot move as it moves
        the mean of their redshifts. `z_std`: half of the central 68.3 % of that mixture, so it holds the width of each,
        their disagreement and second peaks, but not a tail of a thousandth far away, as its variance would."""
        mixture = torch.softmax(outputs.double(), 2).mean(1)
        low, high = (self.quantile(mixture, share) for share in (0.15865, 0.84135))
        return {"z": self.around_peak(mixture), "z_std": (torch.expm1(high) - torch.expm1(low)) / 2}

    def peaks(self, outputs: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Redshifts and probabilities, both (batch, count), of the highest local maxima of the members' mean distribution, highest first, NaN where there are
        fewer (probability: that within `readout` bins); each is read out as `around_peak` does, and none lies within `readout` bins of a higher one."""
        mixture = torch.softmax(outputs.double(), 2).mean(1)
        found, share, left = [], [], mixture.clone()
        for _ in range(count):
            top, peak = left.max(1)
            alone = torch.zeros_like(mixture).scatter_(1, peak[:, None], 1.0)
            near = F.max_pool1d(alone[:, None], 2 * self.readout + 1, 1, self.readout)[:, 0] > 0
            window = torch.where(near, mixture, torch.zeros_like(mixture))
            x = (window * self.centres(mixture.device)).sum(1) / window.sum(1)
            found.append(torch.where(top > 0, torch.expm1(x), torch.full_like(x, torch.nan)))
            share.append(window.sum(1))
            left = left.masked_fill(near, 0.0)
        return torch.stack(found, 1), torch.stack(share, 1)

    def quantile(self, probability: Tensor, share: float) -> Tensor:
        """ln(1+z) below which `share` of distributions (batch, bins) lies, linear within a bin: (batch,)."""
        total = probability.cumsum(1)
        bin_ = (total < share).sum(1, keepdim=True).clamp(max=self.count - 1)
        inside = torch.gather(probability, 1, bin_)
        before = torch.gather(total, 1, bin_) - inside
        part = ((share - before) / inside).clamp(0, 1) - 0.5
        return (self.centres(probability.device)[bin_] + self.width * part)[:, 0]


HEADS = {
    "softmax": lambda head: Softmax(),
    "huber": Huber,
    "bins": Bins,
    "censored": lambda head: Censored(),
}


def make_head(head: dict) -> Softmax | Huber | Bins | Censored:
    """The head of a spec. Raises ResurveyError when its kind does not exist."""
    kind = head.get("kind")
    if kind not in HEADS:
        raise ResurveyError(f"head: {kind} does not exist; it may be {', '.join(HEADS)}")
    return HEADS[kind](head)
