"""From a spec to a network: input normalisation, the members of an ensemble, their outputs side by side."""

import hashlib
import math

import torch
from torch import Tensor, nn

from resurvey.errors import ResurveyError
from resurvey.networks import bcnn
from resurvey.networks.resnet import ResNet

KEYS = {
    *("kind", "widths", "kernel", "stride", "pool", "padding", "dropout", "dense", "init_std", "bn_eps", "bn_momentum"),
    *("normalisation", "pixels", "outputs", "members", "head"),
}
CHOICES = {"kind": ("resnet",), "padding": ("valid", "same"), "normalisation": ("unit_rms", "unit_norm")}


def normalise(flux: Tensor, kind: str) -> Tensor:
    """Flux (batch, pixels) in any unit -> the same over its length (`unit_norm`, Eq. 2) or its RMS (`unit_rms`).

    A spectrum of zeros stays one. The sum of squares is taken in float64: fluxes span decades.
    """
    norm = flux.double().square().sum(1, keepdim=True).sqrt().clamp_min(1e-30)
    scale = math.sqrt(flux.shape[1]) if kind == "unit_rms" else 1.0
    return (flux * (scale / norm)).float()


MEAN_SPAN = 0.06  # of the spectrum: width of the running mean that `contrast` takes away, 300 Å of 4000 to 9000 Å


def compressed(flux: Tensor, kind: str) -> Tensor:
    """asinh of the normalised flux: strong lines and spikes count less, faint ones as before."""
    return torch.asinh(normalise(flux, kind))


def contrast(flux: Tensor, kind: str) -> Tensor:
    """`compressed` less its running mean, normalised anew: lines without the continuum, whose calibration and dust vary.

    The window has MEAN_SPAN of the pixels, at the ends of the spectrum those of them that exist.
    """
    x = compressed(flux, kind).double()
    half, size = int(MEAN_SPAN * x.shape[1]) // 2, x.shape[1]
    total = torch.nn.functional.pad(x.cumsum(1), (1, 0))
    pixel = torch.arange(size, device=x.device)
    low, high = (pixel - half).clamp_min(0), (pixel + half + 1).clamp_max(size)
    return normalise(x - (total[:, high] - total[:, low]) / (high - low), kind)


# What a network may see, each from the flux alone; `channels` in a spec names some of them, in their order.
CHANNELS = {"flux": normalise, "asinh": compressed, "contrast": contrast}


class Network(nn.Module):
    """Members that look at the same spectra: flux (batch, pixels) -> (batch, members, outputs), before any softmax."""

    def __init__(self, spec: dict) -> None:
        super().__init__()
        self.spec = spec
        self.channels = spec.get("channels", ["flux"])
        self.members = nn.ModuleList(ResNet(spec, len(self.channels)) for _ in range(spec["members"]))

    def inputs(self, flux: Tensor) -> Tensor:
        """Flux (batch, pixels) -> what the members see, (batch, channels, 1, pixels)."""
        seen = [CHANNELS[name](flux, self.spec["normalisation"]) for name in self.channels]
        return torch.stack(seen, 1).unsqueeze(2)

    def core(self, x: Tensor) -> Tensor:
        """Normalised spectra (batch, channels, 1, pixels) -> (batch, members, outputs)."""
        return torch.stack([member(x) for member in self.members], 1)

    def forward(self, flux: Tensor) -> Tensor:
        """Flux (batch, pixels) -> (batch, members, outputs)."""
        return self.core(self.inputs(flux))


def derived_seed(*parts: object) -> int:
    """A 63-bit seed from a run's seed and names: the same everywhere, unrelated for different names."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big") >> 1


def check_spec(spec: dict) -> None:
    """Raise ResurveyError for a key that is missing or unknown, or a choice that does not exist."""
    missing, unknown = sorted(KEYS - set(spec)), sorted(set(spec) - KEYS - {"channels"})
    if missing or unknown:
        wrong = [f"lacks {key}" for key in missing] + [f"does not know {key}" for key in unknown]
        raise ResurveyError(f"architecture: {', '.join(wrong)}; the keys are {', '.join(sorted(KEYS))}")
    for key, choices in CHOICES.items():
        if spec[key] not in choices:
            raise ResurveyError(f"architecture: {key}: {spec[key]} does not exist; it may be {' or '.join(choices)}")
    strangers = set(spec.get("channels", [])) - set(CHANNELS)
    if strangers:
        raise ResurveyError(
            f"architecture: channels: {', '.join(strangers)} do not exist; there are {', '.join(CHANNELS)}"
        )


def build(spec: dict, seed: int | None = None) -> Network | bcnn.LabelNetwork:
    """The network of a spec: `architecture` of a paper's file plus what the data decide (pixels, outputs or labels, head, …).

    With a seed, member i is initialised as the paper's code does (kernels N(0, init_std), zero biases) from its own
    generator; without, the weights are about to be loaded. Raises ResurveyError when the spec is wrong.
    """
    make = MAKERS.get(spec.get("kind"))
    if make is None:
        raise ResurveyError(f"architecture: kind: {spec.get('kind')} does not exist; it may be {', '.join(MAKERS)}")
    network = make(spec)
    if seed is not None:
        for number, member in enumerate(getattr(network, "members", [network])):
            member.initialise(spec["init_std"], torch.Generator().manual_seed(derived_seed(seed, number)))
    return network


def _resnets(spec: dict) -> Network:
    check_spec(spec)
    return Network(spec)


MAKERS = {"resnet": _resnets, **dict.fromkeys(bcnn.NETWORKS, bcnn.make)}
