"""A label network on some spectra: values and their uncertainties from Monte Carlo passes (Leung & Bovy 2019, Eq. 3)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from resurvey.errors import ResurveyError
from resurvey.inference import masks
from resurvey.inference.models import Trained
from resurvey.inference.monte_carlo import TorchEngine, make_engine, without_masks

COLUMNS = (
    "",
    "_model",
    "_predictive",
    "_total",
)  # behind a label's name: value, and 1σ of weights, of spectra, of both
LENGTH_SCALE = 3.0  # of the authors' inverse model precision
PROBE, PROBE_PASSES, PROBE_NOISE = (
    4,
    20,
    0.02,
)  # spectra of an engine's comparison, their passes, noise on the mean spectrum
BOUND = 0.1  # what an engine's rounding may change of a mean, in units of its total uncertainty
TIMED = 16  # spectra whose time is taken
VARIANCES = {
    "variance_of_mean": lambda log_variance: np.exp(log_variance.mean(1)),
    "mean_of_variances": lambda log_variance: np.exp(log_variance).mean(1),
}


@dataclass
class LabelModel:
    """A model of one label network."""

    name: str
    trained: Trained

    def all(self) -> list[Trained]:
        """Its only network, as a list like other models'."""
        return [self.trained]

    @property
    def labels(self) -> list[str]:
        """In the order of the outputs."""
        return self.trained.about["labels"]

    @property
    def grid(self) -> dict:
        """The wavelength grid that the network looks at."""
        return self.trained.about["grid"]

    @property
    def origin(self) -> str:
        """`real` or `mock`: what the network was trained on."""
        return self.trained.about["origin"]

    def weights(self) -> dict[str, str]:
        """Digest of the weights."""
        return {self.trained.name: self.trained.about["weights_sha256"]}


def assemble(name: str, loaded: Sequence[Trained], where: str) -> LabelModel:
    """The model of some loaded networks. Raises ResurveyError when it is more than one."""
    if len(loaded) != 1:
        raise ResurveyError(
            f"{where}: a label model has one network, this one {', '.join(one.name for one in loaded)}; set only: [NETWORK]"
        )
    return LabelModel(name, loaded[0])


def statistics(passes: Tensor, variance: str, inverse_precision: float = 0.0) -> dict[str, np.ndarray]:
    """Passes (spectra, passes, labels, 2) -> by COLUMNS (spectra, labels) float64, standardised.

    Eq. 3: mean of the values, their standard deviation (ddof 0), root of the predictive variance, root of the sum of both squares.
    `variance`: `mean_of_variances` as Eq. 3 prints it, `variance_of_mean` the exponential of the mean log-variance as the code has it.
    """
    value, log_variance = (part.numpy().astype(float) for part in passes.unbind(3))
    model = value.std(1)
    predictive = np.sqrt(VARIANCES[variance](log_variance) + inverse_precision)
    found = (value.mean(1), model, predictive, np.hypot(model, predictive))
    return dict(zip(COLUMNS, found, strict=True))


def inverse_precision(spectra: int, l2: float, dropout: float) -> float:
    """The authors' inverse model precision 2·N·l2 / (l²·(1 - p)) for N training spectra and the length scale l = 3, standardised."""
    return 2 * spectra * l2 / (LENGTH_SCALE**2 * (1 - dropout))


class LabelPredictor:
    """A label model on an engine. settings: {engine, inference: {passes, variance, inv_tau}, seed}."""

    def __init__(self, model: LabelModel, settings: dict, threads: int) -> None:
        wish = settings.get("inference")
        if not wish:
            raise ResurveyError(
                f"model {model.name}: the settings have no inference: {{passes: 100, variance: variance_of_mean}}"
            )
        self.model, self.network = model, model.trained.network
        self.passes, self.seed = wish["passes"], settings["seed"]
        self.variance, spec = wish["variance"], self.network.spec
        added = inverse_precision(model.trained.about["n_train"], spec["l2"], spec["dropout"])
        self.added = added if wish.get("inv_tau") else 0.0
        if self.variance not in VARIANCES:
            raise ResurveyError(
                f"inference: variance: {self.variance} does not exist; it may be {', '.join(VARIANCES)}"
            )
        self.engine = make_engine(settings.get("engine", "auto"), self.network, threads)
        self.difference = self._settle()

    def schema(self) -> pa.Schema:
        """Columns of a predictions table."""
        names = [label + end for label in self.model.labels for end in COLUMNS]
        return pa.schema([("spectrum_id", pa.string()), *((name, pa.float32()) for name in names)])

    def columns(self, spectrum_ids: Sequence[str], flux: np.ndarray) -> dict[str, np.ma.MaskedArray]:
        """Flux (spectra, pixels) float32 -> columns of `schema` but the ids, in the labels' units.

        The same spectrum_id and flux give the same numbers whatever else is in the batch.
        """
        seeds = masks.seeds(self.seed, list(spectrum_ids))
        found = self.engine.passes(_tensor(flux), seeds, self.passes)
        return self._physical(statistics(found, self.variance, self.added))

    def still(self, flux: np.ndarray) -> dict[str, np.ndarray]:
        """The prediction without dropout: {label: (spectra,) float32} in the labels' units."""
        value = without_masks(self.network, _tensor(flux))[..., 0]
        value = (value * self.network.label_std.cpu() + self.network.label_mean.cpu()).numpy()
        return {label: value[:, number] for number, label in enumerate(self.model.labels)}

    def _physical(self, found: dict[str, np.ndarray]) -> dict[str, np.ma.MaskedArray]:
        mean, std = (buffer.double().cpu().numpy() for buffer in (self.network.label_mean, self.network.label_std))
        columns = {}
        for number, label in enumerate(self.model.labels):
            for end, values in found.items():
                physical = values[:, number] * std[number] + (mean[number] if end == "" else 0)
                columns[label + end] = np.ma.array(physical.astype(np.float32))
        return columns

    def _settle(self) -> dict:
        """Compare the engine with plain torch on the same masks, for spectra that only depend on the model.

        An engine whose rounding goes beyond BOUND gives way to the same in float32; all shards take the same decision.
        """
        if type(self.engine) is TorchEngine and self.engine.precision == "f32":
            return {}
        noise = torch.randn(PROBE, self.network.spec["pixels"], generator=torch.Generator().manual_seed(0))
        flux = self.network.flux_mean.cpu() + PROBE_NOISE * noise
        seeds = masks.seeds(0, [str(number) for number in range(PROBE)])
        reference = statistics(TorchEngine(self.network).passes(flux, seeds, PROBE_PASSES), self.variance)
        for engine in (self.engine, *([self.engine.in_float32()] if self.engine.precision != "f32" else [])):
            mine = statistics(engine.passes(flux, seeds, PROBE_PASSES), self.variance)
            off = np.abs(mine[""] - reference[""]) / reference["_total"]
            ratio = np.abs(mine["_total"] / reference["_total"] - 1)
            self.engine = engine
            if off.max() <= BOUND:
                return {"mean_over_total_max": float(off.max()), "total_relative_max": float(ratio.max())}
        raise ResurveyError(
            f"model {self.model.name}: the engine {self.engine.name} is off by {off.max():.2g} of the uncertainty from torch's; "
            "set engine: torch"
        )

    def opened(self, spectrum_ids: Sequence[str], flux: np.ndarray) -> dict:
        """What the metadata say of how the numbers were made, the time per star taken on the first ones."""
        seconds = {}
        for name, call in (("with_dropout", self.columns), ("without_dropout", lambda _, part: self.still(part))):
            started = time.perf_counter()
            call(spectrum_ids[:TIMED], flux[:TIMED])
            seconds[name] = (time.perf_counter() - started) / len(flux[:TIMED])
        return {
            "precision": self.engine.precision,
            "engine_difference": self.difference,
            "passes": self.passes,
            "variance": self.variance,
            "inv_tau": self.added,
            "seed": self.seed,
            "seconds_per_star": seconds,
        }


def _tensor(flux: np.ndarray) -> Tensor:
    return torch.from_numpy(np.require(flux, np.float32, ["C", "W"]))
