"""astroNN's Bayesian networks for APOGEE spectra (Leung & Bovy 2019, §4 and Fig. 6), with the constants of the authors' Keras code.

Both see a continuum-normalised spectrum less the mean spectrum of the training set, and give for each label a value and the
logarithm of a predictive variance, in units of the training labels' spread. Dropout stays on, in training and in prediction: its
passes are draws from the approximate posterior of the weights (§2.2).

`apogee_bcnn_censored`: the whole spectrum decides Teff, log g and [Fe/H]; each other element is decided by the pixels of its own
windows, those three values (whose errors do not flow back) and a narrow, norm-constrained connection to the full spectrum.
`apogee_bcnn`: the whole spectrum decides all labels.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resurvey.errors import ResurveyError

COMMON = {"kind", "pixels", "labels", "head", "filters", "kernel", "pool", "dense", "dropout", "init_std", "l2"}
CENSORED = {"windows", "mini", "wide", "connection", "max_norm", "full_spectrum_labels"}
KERAS_EPSILON = 1e-7


class MCDropout(nn.Module):
    """Dropout that is on in training and in prediction (§2.2); kept values are divided by 1 - p.

    `keep`: masks to use instead of random ones, (batch, …) boolean. `off`: the layer does nothing, for a prediction without dropout.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p, self.off = p, False
        self.keep: Tensor | None = None
        self.ranks = None

    def share(self, ranks) -> None:
        """Draw the masks of the whole batch that several processes share (training.ranks), and use this process's part."""
        self.ranks = ranks

    def forward(self, x: Tensor) -> Tensor:
        """Any (batch, …)."""
        if self.off or self.p == 0:
            return x
        if self.keep is not None:
            return x * self.keep / (1 - self.p)
        start, stop, rows = (self.ranks and self.ranks.window) or (0, len(x), len(x))
        mask = x.new_empty((rows, *x.shape[1:])).bernoulli_(1 - self.p)[start:stop]
        return x * mask.div_(1 - self.p)


class StopGrad(nn.Module):
    """What passes is not changed, but in training no gradient comes back (§4); for sensitivities it is the identity."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x.detach() if self.training else x


class MaxNormLinear(nn.Linear):
    """A dense layer without activation whose weights to each output have at most a norm of `most` (§4), as Keras' MaxNorm(axis=0)."""

    def __init__(self, inputs: int, outputs: int, most: float) -> None:
        super().__init__(inputs, outputs)
        self.most = most

    @torch.no_grad()
    def constrain(self) -> None:
        """To be called after each step of the optimiser."""
        norms = self.weight.square().sum(1, keepdim=True).sqrt()
        self.weight.mul_(norms.clamp(max=self.most) / (KERAS_EPSILON + norms))


class NarrowConv(nn.Conv1d):
    """A 1-D convolution of a few channels. On CPUs it is a matrix product with the shifted spectra: the libraries' backward pass
    takes five times longer with so few channels."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in, pixels + kernel - 1) -> (batch, out, pixels)."""
        if x.is_cuda:
            return super().forward(x)
        taps, batch = self.kernel_size[0], len(x)
        pixels = x.shape[-1] - taps + 1
        shifted = torch.stack([x[..., tap : tap + pixels] for tap in range(taps)], 2).flatten(1, 2)
        weight = self.weight.flatten(1).expand(batch, -1, -1)
        return torch.baddbmm(self.bias[:, None].expand(batch, -1, 1), weight, shifted)


class FullSpectrum(nn.Module):
    """Two convolutions, a max-pool and two dense layers on the whole spectrum: (batch, pixels) -> (batch, dense[1]).

    Dropout follows the first convolution, the pooling and the first dense layer. Padding is Keras' `same`: of an even kernel's
    odd padding the larger half is on the right.
    """

    def __init__(self, spec: dict) -> None:
        super().__init__()
        first, second = spec["filters"]
        self.pool, kernel = spec["pool"], spec["kernel"]
        self.padding = ((kernel - 1) // 2, kernel // 2)
        self.conv1 = NarrowConv(1, first, kernel)
        self.conv2 = NarrowConv(first, second, kernel)
        self.dense1 = nn.Linear(second * (spec["pixels"] // self.pool), spec["dense"][0])
        self.dense2 = nn.Linear(*spec["dense"])
        self.drop1, self.drop2, self.drop3 = (MCDropout(spec["dropout"]) for _ in range(3))

    def before_dropout(self, x: Tensor) -> Tensor:
        """(batch, pixels) -> (batch, filters[0], pixels): what no mask changes."""
        return torch.relu(self.conv1(F.pad(x[:, None], self.padding)))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, pixels) -> (batch, dense[1])."""
        x = self.drop1(self.before_dropout(x))
        x = F.max_pool1d(torch.relu(self.conv2(F.pad(x, self.padding))), self.pool)
        x = self.drop3(torch.relu(self.dense1(self.drop2(torch.flatten(x, 1)))))
        return torch.relu(self.dense2(x))

    def kernels(self) -> list[Tensor]:
        """The weights with L2."""
        return [layer.weight for layer in (self.conv1, self.conv2, self.dense1, self.dense2)]


class Mini(nn.Module):
    """The network of one element: its windows' pixels, then with the full spectrum's connection to value and log-variance."""

    def __init__(self, runs: list[list[int]], widths: list[int], shared: int, dropout: float) -> None:
        super().__init__()
        index = torch.cat([torch.arange(start, stop) for start, stop in runs])
        self.register_buffer("index", index, persistent=False)
        self.dense1 = nn.Linear(len(index), widths[0])
        self.dense2 = nn.Linear(*widths)
        self.out = nn.Linear(widths[1] + shared, 2)
        self.drop1, self.drop2 = MCDropout(dropout), MCDropout(dropout)

    def before_dropout(self, x: Tensor) -> Tensor:
        """(batch, pixels) -> (batch, widths[0]): what no mask changes."""
        return torch.relu(self.dense1(x.index_select(1, self.index)))

    def forward(self, x: Tensor, shared: Tensor) -> Tensor:
        """(batch, pixels), (batch, shared) -> (batch, 2)."""
        x = self.drop2(torch.relu(self.dense2(self.drop1(self.before_dropout(x)))))
        return self.out(torch.cat([x, shared], 1))


class LabelNetwork(nn.Module, ABC):
    """What both networks share: the standardisation of spectra and labels, which travels with the weights."""

    def __init__(self, spec: dict) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("flux_mean", torch.zeros(spec["pixels"]))
        self.register_buffer("label_mean", torch.zeros(len(spec["labels"])))
        self.register_buffer("label_std", torch.ones(len(spec["labels"])))
        self.full = FullSpectrum(spec)

    @property
    def labels(self) -> list[str]:
        """Names in the order of the outputs."""
        return self.spec["labels"]

    def standardise(self, flux_mean: Tensor, label_mean: Tensor, label_std: Tensor) -> None:
        """Take the training set's mean spectrum (pixels,), and mean and spread of its labels (labels,) in their units."""
        for name, value in (("flux_mean", flux_mean), ("label_mean", label_mean), ("label_std", label_std)):
            getattr(self, name).copy_(value)

    @abstractmethod
    def heads(self) -> list[tuple[nn.Linear, int]]:
        """The layers that Keras starts with its default, Glorot's uniform, and how many outputs each has there."""

    def kernels(self) -> list[Tensor]:
        """The weights with L2."""
        return self.full.kernels()

    def parameter_groups(self) -> list[dict]:
        """For the optimiser: Keras adds l2·Σw² to the loss, whose gradient is that of Adam's weight decay 2·l2."""
        kernels = self.kernels()
        known = {id(weight) for weight in kernels}
        others = [weight for weight in self.parameters() if id(weight) not in known]
        return [{"params": kernels, "weight_decay": 2 * self.spec["l2"]}, {"params": others}]

    def initialise(self, std: float, generator: torch.Generator) -> None:
        """As the authors' Keras code: kernels ~ N(0, std), those of the heads Glorot's uniform, biases 0."""
        heads = {id(layer): fan_out for layer, fan_out in self.heads()}
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.zeros_(module.bias)
                if id(module) in heads:
                    limit = math.sqrt(6 / (module.in_features + heads[id(module)]))
                    nn.init.uniform_(module.weight, -limit, limit, generator=generator)
                else:
                    nn.init.normal_(module.weight, std=std, generator=generator)


class ApogeeBCNN(LabelNetwork):
    """The uncensored network (§5.1): flux (batch, pixels) -> (batch, labels, 2), values and log-variances."""

    def __init__(self, spec: dict) -> None:
        super().__init__(spec)
        self.out = nn.Linear(spec["dense"][1], 2 * len(spec["labels"]))

    def heads(self) -> list[tuple[nn.Linear, int]]:
        """Values and variances are two layers in Keras."""
        return [(self.out, len(self.labels))]

    def forward(self, flux: Tensor) -> Tensor:
        """Continuum-normalised flux (batch, pixels) -> (batch, labels, 2), standardised."""
        found = self.out(self.full(flux - self.flux_mean))
        return found.unflatten(1, (2, len(self.labels))).transpose(1, 2).float()


class ApogeeBCNNCensored(LabelNetwork):
    """The paper's network (§4, Fig. 6): flux (batch, pixels) -> (batch, labels, 2), values and log-variances."""

    def __init__(self, spec: dict) -> None:
        super().__init__(spec)
        core = spec["full_spectrum_labels"]
        self.elements = [label for label in spec["labels"] if label not in core]
        self.core = nn.Linear(spec["dense"][1], 2 * len(core))
        self.connection = MaxNormLinear(spec["dense"][1], spec["connection"], spec["max_norm"])
        self.stop = StopGrad()
        shared = spec["connection"] + len(core)
        self.mini = nn.ModuleDict()
        for label in self.elements:
            widths = [width * times for width, times in zip(spec["mini"], spec["wide"].get(label, (1, 1)), strict=True)]
            self.mini[label] = Mini(spec["windows"][label], widths, shared, spec["dropout"])
        order = [*core, *self.elements]
        places = torch.tensor([order.index(label) for label in spec["labels"]])
        self.register_buffer("places", places, persistent=False)

    def heads(self) -> list[tuple[nn.Linear, int]]:
        """Each label's value and variance are layers of one output in Keras."""
        return [(self.core, 1), *((mini.out, 1) for mini in self.mini.values())]

    def kernels(self) -> list[Tensor]:
        """The weights with L2: of the elements' networks the first layers only."""
        return [*self.full.kernels(), *(mini.dense1.weight for mini in self.mini.values())]

    def forward(self, flux: Tensor) -> Tensor:
        """Continuum-normalised flux (batch, pixels) -> (batch, labels, 2), standardised."""
        x = flux - self.flux_mean
        hidden = self.full(x)
        core = self.core(hidden).unflatten(1, (2, -1))
        shared = torch.cat([self.connection(hidden), self.stop(core[:, 0])], 1)
        each = torch.stack([self.mini[label](x, shared) for label in self.elements], 1)
        return torch.cat([core.transpose(1, 2), each], 1).index_select(1, self.places).float()


NETWORKS = {
    "apogee_bcnn": (ApogeeBCNN, COMMON),
    "apogee_bcnn_censored": (ApogeeBCNNCensored, COMMON | CENSORED),
}


def check_spec(spec: dict) -> None:
    """Raise ResurveyError for a key that is missing or unknown, windows that are missing or beyond the spectrum."""
    keys = NETWORKS[spec["kind"]][1]
    missing, unknown = sorted(keys - set(spec)), sorted(set(spec) - keys)
    if missing or unknown:
        wrong = [f"lacks {key}" for key in missing] + [f"does not know {key}" for key in unknown]
        raise ResurveyError(
            f"architecture of {spec['kind']}: {', '.join(wrong)}; the keys are {', '.join(sorted(keys))}"
        )
    if spec["pixels"] < spec["pool"]:
        raise ResurveyError(f"architecture: {spec['pixels']} pixels are fewer than pool: {spec['pool']}")
    if "windows" not in keys:
        return
    core = spec["full_spectrum_labels"]
    for key in ("full_spectrum_labels", "wide"):
        strangers = [label for label in spec[key] if label not in spec["labels"]]
        if strangers:
            raise ResurveyError(
                f"architecture: {key}: {', '.join(strangers)} are no labels of the dataset, {', '.join(spec['labels'])}"
            )
    for label in spec["labels"]:
        runs = spec["windows"].get(label, [])
        if label not in core and not runs:
            raise ResurveyError(
                f"windows: there is none for the label {label}; add it to architecture.full_spectrum_labels or to the windows"
            )
        if any(not 0 <= start < stop <= spec["pixels"] for start, stop in runs):
            raise ResurveyError(f"windows: those of {label} are not within the {spec['pixels']} pixels of the spectra")


def make(spec: dict) -> LabelNetwork:
    """The network of a spec: `architecture` of a paper's file plus pixels, labels, windows and head. Raises ResurveyError."""
    check_spec(spec)
    return NETWORKS[spec["kind"]][0](spec)


def dropouts(network: nn.Module) -> dict[str, MCDropout]:
    """The dropout layers of a network by their names."""
    return {name: module for name, module in network.named_modules() if isinstance(module, MCDropout)}


@contextmanager
def without_dropout(network: nn.Module) -> Iterator[None]:
    """Within it, the network's prediction is that of the mean weights."""
    layers = dropouts(network).values()
    for layer in layers:
        layer.off = True
    try:
        yield
    finally:
        for layer in layers:
            layer.off = False


@contextmanager
def with_masks(network: nn.Module, masks: dict[str, Tensor]) -> Iterator[None]:
    """Within it, dropout layers keep what `masks` (by the layers' names; boolean, as their inputs) say."""
    layers = dropouts(network)
    for name, layer in layers.items():
        layer.keep = masks[name]
    try:
        yield
    finally:
        for layer in layers.values():
            layer.keep = None
