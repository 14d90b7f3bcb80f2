"""The residual network of GaSNet-II (Zhong et al. 2024, Fig. 10b), with the constants of the authors' Keras code.

Block(n): conv(n, 5) + BN + ReLU, conv(n, 5, stride 3) + BN + ReLU, max-pool(5, stride 1, same), plus a strided
convolution of the block's input; nothing after the sum. Blocks, then dropout, a dense layer with ReLU, a dense output.

Spectra travel as (batch, channels, 1, pixels): 2-D kernels with one row are what CPU libraries have tuned. The weights
are those of 1-D convolutions all the same, so a state_dict reads like the paper's network.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resurvey.errors import ResurveyError


class RowConv(nn.Conv1d):
    """A 1-D convolution of (batch, channels, 1, pixels)."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in, 1, pixels) -> (batch, out, 1, pixels')."""
        weight = self.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, weight, self.bias, (1, self.stride[0]), (0, self.padding[0]))


class Block(nn.Module):
    """Block(n) of Fig. 10b: two convolutions, the second strided, a max-pool and a convolved shortcut."""

    def __init__(self, inputs: int, width: int, spec: dict) -> None:
        super().__init__()
        kernel, stride, same = spec["kernel"], spec["stride"], spec["kernel"] // 2
        pad = same if spec["padding"] == "same" else 0
        norm = {"eps": spec["bn_eps"], "momentum": spec["bn_momentum"]}
        self.conv1 = RowConv(inputs, width, kernel, padding=same)
        self.bn1 = nn.BatchNorm2d(width, **norm)
        self.conv2 = RowConv(width, width, kernel, stride=stride, padding=pad)
        self.bn2 = nn.BatchNorm2d(width, **norm)
        self.pool = nn.MaxPool2d((1, spec["pool"]), stride=1, padding=(0, spec["pool"] // 2))
        self.shortcut = RowConv(inputs, width, kernel, stride=stride, padding=pad)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in, 1, pixels) -> (batch, width, 1, about pixels / stride)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return self.pool(y) + self.shortcut(x)


def lengths(spec: dict) -> list[int]:
    """Pixels after each block. Raises ResurveyError when the grid is too short for the unpadded convolutions."""
    kernel, stride, length, out = spec["kernel"], spec["stride"], spec["pixels"], []
    pad = 2 * (kernel // 2) if spec["padding"] == "same" else 0
    for number, _ in enumerate(spec["widths"], 1):
        length = (length + pad - kernel) // stride + 1
        if length < 1:
            raise ResurveyError(
                f"architecture: {spec['pixels']} pixels are too few for block {number} of {len(spec['widths'])} "
                f"with padding: {spec['padding']}; set padding: same, fewer widths, or more pixels"
            )
        out.append(length)
    return out


class ResNet(nn.Module):
    """One sub-network: normalised flux (batch, channels, 1, pixels) -> (batch, outputs), linear (no softmax)."""

    def __init__(self, spec: dict, channels: int = 1) -> None:
        super().__init__()
        widths = spec["widths"]
        inputs = [channels, *widths[:-1]]
        self.blocks = nn.Sequential(*(Block(i, w, spec) for i, w in zip(inputs, widths, strict=True)))
        self.dropout = nn.Dropout(spec["dropout"])
        self.dense = nn.Linear(widths[-1] * lengths(spec)[-1], spec["dense"])
        self.out = nn.Linear(spec["dense"], spec["outputs"])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, 1, pixels) -> (batch, outputs). The dense layers stay float32 under autocast."""
        x = torch.flatten(self.blocks(x), 1).float()
        with torch.autocast(x.device.type, enabled=False):
            return self.out(torch.relu(self.dense(self.dropout(x))))

    def initialise(self, std: float, generator: torch.Generator) -> None:
        """All kernels ~ N(0, std), all biases 0, BatchNorm as Keras starts it (scale 1, shift 0)."""
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.normal_(module.weight, std=std, generator=generator)
                nn.init.zeros_(module.bias)


def count_parameters(module: nn.Module) -> int:
    """Parameters counted as Keras does: weights plus the running statistics of BatchNorm."""
    trained = sum(p.numel() for p in module.parameters())
    return trained + sum(
        b.numel() for name, b in module.named_buffers() if name.endswith(("running_mean", "running_var"))
    )
