"""The robust objective of Leung & Bovy 2019, Eqs. 5-7: labels with errors, some of them missing.

Outputs are (batch, labels, 2): standardised values ŷ and log-variances v. Targets are (batch, labels, 2): standardised values y, NaN
where missing, and their errors in the same units; an error that is not known is NaN and counts as 0.
"""

import torch
from torch import Tensor


def objective(outputs: Tensor, target: Tensor) -> Tensor:
    """Loss of each spectrum (batch,): the mean over its known labels of ½(ŷ-y)²e^(-s) + ½s with s = ln(e^v + err²).

    That is Eq. 5 summed over the labels, divided by their number D and multiplied by the correction D/D_i (Eqs. 6, 7), where D_i
    is the number of known ones. A spectrum without any gives 0.
    """
    value, log_variance = outputs.float().unbind(2)
    y, error = target.unbind(2)
    known = torch.isfinite(y)
    error = torch.where(torch.isfinite(error) & known, error, torch.zeros_like(error))
    s = torch.logaddexp(log_variance, 2 * torch.log(error))  # ln(e^v + err²), without overflow; ln 0 = -inf is meant
    each = 0.5 * (value - torch.where(known, y, torch.zeros_like(y))).square() * torch.exp(-s) + 0.5 * s
    return torch.where(known, each, torch.zeros_like(each)).sum(1) / known.sum(1).clamp_min(1)


class Censored:
    """Labels with a predictive variance, by `objective`."""

    metric, better, monitor = "mae", min, "val_loss"

    def encode(self, target: Tensor) -> Tensor:
        """Targets (batch, labels, 2) as they are."""
        return target

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Mean of `objective` over the batch (Eq. 6). Keras has it twice with weights of one half (values, variances)."""
        return objective(outputs, target).mean()

    def score(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Mean |ŷ - y| of the known labels, per spectrum (batch,), in units of the training labels' spread."""
        y = target[..., 0]
        known = torch.isfinite(y)
        off = torch.where(known, (outputs[..., 0] - y).abs(), torch.zeros_like(y)).double()
        return off.sum(1) / known.sum(1).clamp_min(1)
