"""Many passes of a label network with dropout at once: (spectra, passes, labels, 2) of what a loop over passes gives one by one.

What no mask changes is computed once per spectrum: the first convolution, and the first layer of each element's network. Masks
are counted random numbers (masks.py), so a spectrum's passes are the same in any batch, shard or engine.

`CompiledEngine`, for CPUs: one loop per pass masks the first convolution's output, convolves, pools and masks again without ever leaving
the core's cache; what remains are a few matrix products per spectrum, the elements' networks of equal widths side by side.
`TorchEngine`, the reference and for CUDA: the same with torch's own layers and masks of torch integers.
"""

import copy
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from resurvey.errors import ResurveyError
from resurvey.inference import masks
from resurvey.inference.masks import numbers
from resurvey.networks.bcnn import LabelNetwork, without_dropout
from resurvey.surveys.compiled import compiled
from resurvey.training.device import cpu_has_bf16, out_of_memory

LOW = np.uint64(0xFFFF)
SPECTRA = 16  # at a time in what no mask changes: always so many, the last ones filled up, so that no spectrum's bits depend on others
PASSES = 128  # at a time: 4 MB of pooled spectra
SHARE = 0.4  # of the free memory of a device that a chunk may take


class Engine(Protocol):
    """`name` and `precision` stand in the predictions' metadata."""

    name: str
    precision: str

    def passes(self, flux: Tensor, seeds: np.ndarray, count: int) -> Tensor:
        """Flux (spectra, pixels), seeds (spectra,) uint64 -> (spectra, count, labels, 2) float32 on the CPU, standardised."""


@compiled
def pooled_passes(h, weight, bias, left, pool, key, least, out):  # pragma: no cover - compiled
    """Mask, convolve, rectify, pool and mask the output of the first convolution, once for each pass.

    h (rows, columns) float32: pixel pool·j + r of filter c stands in row c·pool + r and column j. weight (filters, inputs, kernel),
    bias (filters,), left: pixels of padding before. key (passes, layers) uint64. out (passes, filters·pooled) float32.
    """
    filters, inputs, kernel = weight.shape
    rows, columns = h.shape
    cells = out.shape[1] // filters
    before = (left + pool - 1) // pool
    behind = (pool - 1 + kernel - 1 - left) // pool
    width = before + max(columns, cells + behind)
    x = np.zeros((rows, width), np.float32)
    z = np.empty(columns, np.uint64)
    y, best = np.empty(cells, np.float32), np.empty(cells, np.float32)
    limit = np.uint64(least)
    flat = x.reshape(-1)
    taps = inputs * kernel
    start = np.empty(taps, np.int64)
    for t in range(out.shape[0]):
        for group in range((rows + 3) // 4):
            numbers(key[t, 0], group * columns, z)
            for row in range(4 * group, min(4 * group + 4, rows)):
                shift = np.uint64(16 * (row % 4))
                seen, masked = h[row], x[row, before : before + columns]
                for j in range(columns):
                    masked[j] = seen[j] if ((z[j] >> shift) & LOW) >= limit else np.float32(0)
        for f in range(filters):
            best[:] = 0
            for r in range(pool):
                for c in range(inputs):
                    for k in range(kernel):
                        q = r + k - left
                        start[c * kernel + k] = (c * pool + q % pool) * width + before + q // pool
                w = weight[f].reshape(-1)
                y[:] = bias[f]
                tap = 0
                while tap + 4 <= taps:
                    xa, xb = flat[start[tap] :][:cells], flat[start[tap + 1] :][:cells]
                    xc, xd = flat[start[tap + 2] :][:cells], flat[start[tap + 3] :][:cells]
                    wa, wb, wc, wd = w[tap], w[tap + 1], w[tap + 2], w[tap + 3]
                    for j in range(cells):
                        y[j] += (wa * xa[j] + wb * xb[j]) + (wc * xc[j] + wd * xd[j])
                    tap += 4
                while tap < taps:
                    xa, wa = flat[start[tap] :][:cells], w[tap]
                    for j in range(cells):
                        y[j] += wa * xa[j]
                    tap += 1
                for j in range(cells):
                    best[j] = max(best[j], y[j])
            if f % 4 == 0:
                numbers(key[t, 1], f // 4 * cells, z[:cells])
            shift = np.uint64(16 * (f % 4))
            line = out[t, f * cells : (f + 1) * cells]
            for j in range(cells):
                line[j] = best[j] if ((z[j] >> shift) & LOW) >= limit else np.float32(0)


class Elements:
    """The elements' networks of a censored one, those of equal widths as one batched product; the dropout's scale is in the weights."""

    def __init__(self, network: LabelNetwork) -> None:
        self.minis = [network.mini[label] for label in network.elements]
        widths = [(mini.dense2.in_features, mini.dense2.out_features) for mini in self.minis]
        scale = 1 / (1 - network.spec["dropout"])
        self.sizes = [sum(each) for each in zip(*widths, strict=True)]  # neurons of the first and second layers of all
        self.groups = []
        places = [np.cumsum([0, *(width[layer] for width in widths)]).tolist() for layer in (0, 1)]
        for shape in dict.fromkeys(widths):
            members = [number for number, width in enumerate(widths) if width == shape]
            index = [
                torch.cat([torch.arange(places[layer][n], places[layer][n + 1]) for n in members]) for layer in (0, 1)
            ]
            second = torch.stack([self.minis[n].dense2.weight.T for n in members]).detach() * scale
            bias = torch.stack([self.minis[n].dense2.bias for n in members]).detach()[:, None]
            out = torch.stack([self.minis[n].out.weight.T for n in members]).detach()
            own, shared = out[:, : shape[1]] * scale, out[:, shape[1] :]
            last = torch.stack([self.minis[n].out.bias for n in members]).detach()[:, None]
            self.groups.append((members, shape, index, second, bias, own, shared, last))

    def before_dropout(self, x: Tensor) -> Tensor:
        """(spectra, pixels) less their mean -> (spectra, first neurons of all elements)."""
        return torch.cat([mini.before_dropout(x) for mini in self.minis], 1)

    def passes(self, first: Tensor, keep1: Tensor, keep2: Tensor, shared: Tensor) -> Tensor:
        """First layers (neurons,), masks (passes, neurons) of both layers, what all share (passes, 5) -> (passes, elements, 2)."""
        masked = keep1 * first
        found = shared.new_empty(len(self.minis), len(shared), 2)
        for members, (width, narrow), index, second, bias, own, connect, last in self.groups:
            x = masked[:, index[0]].view(-1, len(members), width).transpose(0, 1)
            x = torch.relu(torch.baddbmm(bias, x, second)) * keep2[:, index[1]].view(
                -1, len(members), narrow
            ).transpose(0, 1)
            found[members] = torch.baddbmm(last, x, own) + shared @ connect
        return found.transpose(0, 1)


class CompiledEngine:
    """For CPUs. `precision` bf16: the one large product, of pooled spectra with the first dense layer, in bf16."""

    name = "compiled"

    def __init__(self, network: LabelNetwork, precision: str = "f32", threads: int = 1) -> None:
        self.network, self.precision, self.threads = network.eval(), precision, threads
        full, spec = network.full, network.spec
        scale = 1 / (1 - spec["dropout"])
        self.limit = masks.threshold(spec["dropout"])
        self.weight = np.ascontiguousarray(full.conv2.weight.detach().numpy() * np.float32(scale))
        self.bias = full.conv2.bias.detach().numpy()
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        self.dense1 = (full.dense1.weight.detach().T * scale).contiguous().to(kind)
        self.dense2 = (full.dense2.weight.detach().T * scale).contiguous()
        self.elements = Elements(network) if hasattr(network, "mini") else None

    @torch.inference_mode()
    def passes(self, flux: Tensor, seeds: np.ndarray, count: int) -> Tensor:
        """See Engine."""
        out = torch.empty(len(flux), count, len(self.network.labels), 2)
        jobs = list(self._still(flux))
        if self.threads == 1:
            for number, job in enumerate(jobs):
                self._one(job, seeds[number], out[number])
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(self._one, jobs, seeds, out))
        return out

    def _still(self, flux: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Of each spectrum what no mask changes: the first convolution's output by rows (see masks), the elements' first layers."""
        pool, pixels = self.network.spec["pool"], self.network.spec["pixels"]
        columns = math.ceil(pixels / pool)
        for start in range(0, len(flux), SPECTRA):
            part = flux[start : start + SPECTRA]
            x = F.pad(part, (0, 0, 0, SPECTRA - len(part))) - self.network.flux_mean
            h = F.pad(self.network.full.before_dropout(x), (0, columns * pool - pixels))
            h = h.unflatten(2, (columns, pool)).transpose(2, 3).flatten(1, 2).contiguous()
            first = self.elements.before_dropout(x) if self.elements else [None] * SPECTRA
            yield from ((h[n], first[n]) for n in range(len(part)))

    @torch.inference_mode()
    def _one(self, job: tuple[Tensor, Tensor | None], seed: np.uint64, out: Tensor) -> None:
        """All passes of one spectrum into out (passes, labels, 2)."""
        h, first = job
        for start in range(0, len(out), PASSES):
            stop = min(start + PASSES, len(out))
            key = masks.keys(np.array([seed], np.uint64), start, stop - start)[0]
            out[start:stop] = self._block(h, first, key)

    def _block(self, h: Tensor, first: Tensor | None, key: np.ndarray) -> Tensor:
        network, full = self.network, self.network.full
        pooled = np.empty((len(key), self.dense1.shape[0]), np.float32)
        left, pool = full.padding[0], full.pool
        pooled_passes(h.numpy(), self.weight, self.bias, left, pool, key, self.limit, pooled)
        x = torch.from_numpy(pooled).to(self.dense1.dtype) @ self.dense1
        x = torch.relu(x.float() + full.dense1.bias) * self._keep(key, "dense", x.shape[1])
        hidden = torch.relu(torch.addmm(full.dense2.bias, x, self.dense2))
        if self.elements is None:
            return network.out(hidden).unflatten(1, (2, -1)).transpose(1, 2)
        core = network.core(hidden).unflatten(1, (2, -1))
        shared = torch.cat([network.connection(hidden), core[:, 0]], 1)
        kept = [
            self._keep(key, layer, size) for layer, size in zip(("mini1", "mini2"), self.elements.sizes, strict=True)
        ]
        each = self.elements.passes(first, *kept, shared)
        return torch.cat([core.transpose(1, 2), each], 1).index_select(1, network.places)

    def _keep(self, key: np.ndarray, layer: str, count: int) -> Tensor:
        """(passes, neurons) float32, 1 where kept."""
        out = np.empty((len(key), count), np.float32)
        masks.fill(np.ascontiguousarray(key[:, masks.LAYERS.index(layer)]), self.limit, out)
        return torch.from_numpy(out)

    def in_float32(self) -> "CompiledEngine":
        """The same without bf16."""
        return CompiledEngine(self.network, "f32", self.threads)


class TorchEngine:
    """Torch's layers, all passes of some spectra as one batch, on any device; the first layers are still computed once.

    How many at a time follows from the memory that is free; it halves when that runs out. On CUDA untested here.
    """

    name = "torch"

    def __init__(self, network: LabelNetwork, device: torch.device | None = None, precision: str = "f32") -> None:
        self.device, self.precision = device or torch.device("cpu"), precision
        self.network = network.eval() if self.device.type == "cpu" else copy.deepcopy(network).eval().to(self.device)
        self.name = "torch" if self.device.type == "cpu" else self.device.type
        self.limit = masks.threshold(network.spec["dropout"])
        self.batch = self._room()

    def _room(self) -> int:
        """Passes (of one or of many spectra) that fit at a time."""
        spec = self.network.spec
        # bytes: integers of the masks, layers before and after them, shifted spectra of the convolution
        each = 4 * spec["pixels"] * (10 * sum(spec["filters"]) + spec["kernel"] * spec["filters"][0])
        free = torch.cuda.mem_get_info(self.device)[0] if self.device.type == "cuda" else 4e9
        return max(1, int(SHARE * free / each))

    @torch.inference_mode()
    def passes(self, flux: Tensor, seeds: np.ndarray, count: int) -> Tensor:
        """See Engine."""
        every = torch.from_numpy(masks.keys(seeds, 0, count).view(np.int64)).flatten(0, 1)
        owner = torch.arange(len(flux)).repeat_interleave(count)
        done, start = [], 0
        while start < len(every):
            chunk = slice(start, start + self.batch)
            try:
                done.append(self._some(flux, owner[chunk], every[chunk].to(self.device)).cpu())
            except RuntimeError as error:
                if not out_of_memory(error) or self.batch == 1:
                    raise
                self.batch //= 2
                continue
            start += self.batch
        return torch.cat(done).unflatten(0, (len(flux), count))

    def _some(self, flux: Tensor, owner: Tensor, key: Tensor) -> Tensor:
        """Passes of the spectra `owner` (passes,) with the keys (passes, layers) -> (passes, labels, 2)."""
        network, full, spec = self.network, self.network.full, self.network.spec
        rows, place = owner.unique(return_inverse=True)
        place = place.to(self.device)
        scale, pool, pixels = 1 / (1 - spec["dropout"]), spec["pool"], spec["pixels"]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            x = flux[rows].to(self.device) - network.flux_mean
            h = full.before_dropout(x)[place]
            kept = self._keep(key, "spectrum", h.shape[1] * pool, math.ceil(pixels / pool))
            kept = kept.unflatten(1, (h.shape[1], pool)).transpose(2, 3).flatten(2, 3)[..., :pixels]
            h = F.pad(h * kept * scale, full.padding)
            h = F.max_pool1d(torch.relu(full.conv2(h)), pool)
            h = torch.flatten(h * self._keep(key, "pooled", *h.shape[1:]) * scale, 1)
            h = torch.relu(full.dense1(h))
            h = h * self._keep(key, "dense", h.shape[1], 1)[..., 0] * scale
            hidden = torch.relu(full.dense2(h)).float()
        if not hasattr(network, "mini"):
            return network.out(hidden).unflatten(1, (2, -1)).transpose(1, 2)
        core = network.core(hidden).unflatten(1, (2, -1))
        shared = torch.cat([network.connection(hidden), core[:, 0]], 1)
        minis = [network.mini[label] for label in network.elements]
        sizes = [[mini.dense2.in_features for mini in minis], [mini.dense2.out_features for mini in minis]]
        one, two = (
            self._keep(key, f"mini{layer}", sum(size), 1)[..., 0].split(size, 1) for layer, size in enumerate(sizes, 1)
        )
        each = []
        for mini, keep1, keep2 in zip(minis, one, two, strict=True):
            y = torch.relu(mini.dense2(mini.before_dropout(x)[place] * keep1 * scale)) * keep2 * scale
            each.append(mini.out(torch.cat([y, shared], 1)))
        return torch.cat([core.transpose(1, 2), torch.stack(each, 1)], 1).index_select(1, network.places)

    def _keep(self, key: Tensor, layer: str, rows: int, columns: int) -> Tensor:
        return masks.keep_torch(key[:, masks.LAYERS.index(layer)], rows, columns, self.limit)

    def in_float32(self) -> "TorchEngine":
        """The same without bf16."""
        return TorchEngine(self.network, self.device)


def _cuda(network: LabelNetwork, threads: int) -> TorchEngine:
    if not torch.cuda.is_available():
        raise ResurveyError("engine: cuda: torch finds no CUDA device; set engine: auto")
    precision = "bf16" if torch.cuda.is_bf16_supported() else "f32"
    return TorchEngine(network, torch.device("cuda"), precision)


def _auto(network: LabelNetwork, threads: int) -> Engine:
    return ENGINES["cuda" if torch.cuda.is_available() else "openvino"](network, threads)


# The names that `engine` may have; a label network has no OpenVINO graph, so both names are this project's own loops.
ENGINES = {
    "torch": lambda network, threads: TorchEngine(network),
    "openvino": lambda network, threads: CompiledEngine(network, "bf16" if cpu_has_bf16() else "f32", threads),
    "openvino_f32": lambda network, threads: CompiledEngine(network, "f32", threads),
    "cuda": _cuda,
    "auto": _auto,
}


def make_engine(name: str, network: LabelNetwork, threads: int) -> Engine:
    """The engine of a name of the settings. Raises ResurveyError for a name that does not exist or what this machine lacks."""
    if name not in ENGINES:
        raise ResurveyError(f"engine: {name} does not exist; it may be {', '.join(ENGINES)}")
    return ENGINES[name](network, threads)


@torch.inference_mode()
def without_masks(network: LabelNetwork, flux: Tensor, batch: int = 64) -> Tensor:
    """Flux (spectra, pixels) -> (spectra, labels, 2) without dropout: the network of the mean weights."""
    device = network.flux_mean.device
    with without_dropout(network):
        return torch.cat([network(part.to(device)).cpu() for part in flux.split(batch)])
