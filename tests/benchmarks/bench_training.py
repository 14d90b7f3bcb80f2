"""Training on a CPU: 1-D against one-row 2-D convolutions, float32 against bf16, and what fetching a batch costs.

    python tests/benchmarks/bench_training.py [--rounds 5]

One thread. `ResNet` here computes with one-row 2-D kernels; the 1-D twin below has the same layers and weights.
"""

import argparse

import torch
from resurvey.networks.build import build
from resurvey.networks.resnet import Block, ResNet
from resurvey.training.device import autocast
from timing import compare, show
from torch import nn
from torch.nn import functional

CPU = torch.device("cpu")


class Twin(nn.Module):
    """The same block with 1-D convolutions, (batch, channels, pixels)."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.conv1, self.conv2, self.shortcut = (self.copy(c) for c in (block.conv1, block.conv2, block.shortcut))
        self.bn1, self.bn2 = (nn.BatchNorm1d(n.num_features, n.eps, n.momentum) for n in (block.bn1, block.bn2))

    @staticmethod
    def copy(conv: nn.Conv1d) -> nn.Conv1d:
        """A plain 1-D convolution with the same weights."""
        twin = nn.Conv1d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)
        twin.load_state_dict(conv.state_dict())
        return twin

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return functional.max_pool1d(y, 5, stride=1, padding=2) + self.shortcut(x)


def make_step(net: nn.Module, x: torch.Tensor, precision: str):
    """One step of the optimiser on a batch."""
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    target = torch.zeros(len(x), dtype=torch.long)

    def step() -> None:
        with autocast(CPU, precision):
            outputs = net(x)
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(outputs.float(), target).backward()
        optimizer.step()

    return step


def twin_of(member: ResNet) -> nn.Module:
    """The whole network with 1-D convolutions."""
    blocks = [Twin(block) for block in member.blocks]
    return nn.Sequential(*blocks, nn.Flatten(), member.dropout, member.dense, nn.ReLU(), member.out)


def main() -> None:
    """Print a table per size of network, then the cost of fetching a batch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    for width, pixels, batch in ((4, 1251, 64), (8, 1251, 64), (16, 1251, 64), (16, 5001, 32)):
        spec = {
            "kind": "resnet", "widths": [width << i for i in range(6)], "kernel": 5, "stride": 3, "pool": 5, "dropout": 0.2,
            "padding": "same" if pixels < 1800 else "valid", "dense": 256, "init_std": 0.05, "bn_eps": 0.001, "bn_momentum": 0.01,
            "normalisation": "unit_rms", "pixels": pixels, "outputs": 13, "members": 1, "head": {"kind": "softmax"},
        }  # fmt: skip
        x = torch.randn(batch, 1, 1, pixels)
        methods = {}
        for precision in ("float32", "bf16"):
            member = build(spec, 1).members[0]
            methods[f"1-D {precision}"] = make_step(twin_of(build(spec, 1).members[0]), x[:, :, 0], precision)
            methods[f"one-row 2-D {precision}"] = make_step(member, x, precision)
        results = compare(methods, rounds)
        show(
            f"step of widths {width} to {width << 5}, {pixels} pixels, batch {batch}, per spectrum",
            results,
            batch,
            "ms",
        )
    flux, target = torch.randn(14000, 5001), torch.zeros(14000, dtype=torch.long)
    order = iter(torch.randint(14000, (1000, 32)))

    def gather() -> None:
        rows = next(order)
        _ = flux[rows], target[rows]

    fetch = compare({"gather": gather}, 50)["gather"]["seconds"]
    step = results["one-row 2-D bf16"]["seconds"]
    print(
        f"\nfetching a batch of 32 from 14,000 spectra: {fetch * 1e6:.0f} µs, {fetch / step:.2%} of a bf16 step of the last table"
    )


if __name__ == "__main__":
    main()
