"""From a model's entry in a paper's file to what one training needs: spec, hyper-parameters, seed."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar

from resurvey.errors import ResurveyError
from resurvey.networks.build import check_spec, derived_seed
from resurvey.networks.heads import Bins


@dataclass(frozen=True)
class Hyper:
    """`training` of a model's entry. Rates per step of the optimiser, epochs of all training spectra."""

    epochs: int
    batch: int
    optimizer: str
    lr: float
    schedule: str
    halve_every: int
    adam_eps: float
    weight_decay: float
    precision: str
    z_range: tuple[float, float]
    z_scale: float
    huber_delta: float

    keep: ClassVar[str] = "best"  # the weights of the best epoch are left
    whole_batches: ClassVar[bool] = False  # every spectrum is seen in every epoch

    @classmethod
    def of(cls, settings: dict) -> "Hyper":
        """Raises ResurveyError for keys that are missing or unknown."""
        found = filled(cls, settings)
        return replace(found, z_range=tuple(found.z_range))


def filled(kind: type, settings: dict) -> Any:
    """The hyper-parameters of a family, a dataclass, from `training` of a model's entry. Raises ResurveyError for keys that are
    missing or unknown."""
    names = [field.name for field in fields(kind)]
    missing, unknown = sorted(set(names) - set(settings)), sorted(set(settings) - set(names))
    if missing or unknown:
        wrong = [f"lacks {key}" for key in missing] + [f"does not know {key}" for key in unknown]
        raise ResurveyError(f"training: {', '.join(wrong)}; the keys are {', '.join(names)}")
    return kind(**settings)


@dataclass(frozen=True)
class Plan:
    """All that decides the weights of one network, beside the data."""

    model: str
    network: str
    paper: str | None
    role: str
    label: str | None
    labels: list[str]
    dataset: str
    spec: dict
    hyper: Any  # the family's: epochs, batch, lr, …; Hyper or labels.LabelHyper
    seed: int

    def settings(self) -> dict:
        """The same as a dictionary, for digests and model.json."""
        return asdict(self)


def network_of(settings: dict, network: str) -> dict:
    """A network's entry in its model. Raises ResurveyError for one that does not exist."""
    networks = settings["entry"]["networks"]
    if network not in networks:
        raise ResurveyError(f"model {settings['model']} has no network {network}; it has {', '.join(networks)}")
    return networks[network]


def role_of(settings: dict, network: str) -> tuple[str, str | None, list[str]]:
    """(role, class or None, all labels in order) of a network. Raises ResurveyError for one that does not exist."""
    entry = network_of(settings, network)
    labels = list(settings["entry"].get("classes") or [known["label"] for known in settings["classes"]])
    role, label = entry["role"], entry.get("class")
    if role != "classifier" and label not in labels:
        raise ResurveyError(f"network {network}: its class {label} is not one of the model's, {', '.join(labels)}")
    return role, label, labels


def make_plan(settings: dict, network: str, pixels: int, z_max: float | None) -> Plan:
    """The plan of one network. `settings` as the `train` command gets them; z_max: highest redshift to be learned.

    Bins cover z_range, but no more than the training redshifts reach. Raises ResurveyError for settings that are wrong.
    """
    role, label, labels = role_of(settings, network)
    entry, own = settings["entry"], settings["entry"]["networks"][network]
    hyper = Hyper.of({**entry["training"], **own.get("training", {})})
    if role == "classifier":
        head = {"kind": "softmax"}
    elif entry["head"] == "bins":
        head = _bins(entry["bins"], label, hyper, z_max)
    else:
        head = {"kind": "huber", "z_range": list(hyper.z_range), "z_scale": hyper.z_scale, "delta": hyper.huber_delta}
    outputs = {"softmax": len(labels), "huber": 1}.get(head["kind"]) or head["bins"]
    members = entry["members"] if role == "redshift" and "member" not in own else 1
    spec = {**entry["architecture"], "pixels": pixels, "outputs": outputs, "members": members, "head": head}
    check_spec(spec)
    seed = derived_seed(settings["seed"], settings["model"], network)
    return Plan(
        settings["model"], network, settings.get("paper"), role, label, labels, settings["dataset"], spec, hyper, seed
    )


def _bins(bins: dict, label: str, hyper: Hyper, z_max: float) -> dict:
    coarse = label.split("_")[0]
    if coarse not in bins:
        raise ResurveyError(
            f"bins: there is no width for {coarse} (class {label}); write e.g. bins: {{{coarse}: 0.0015}}"
        )
    low, high = hyper.z_range
    return Bins.head([low, max(min(high, z_max), low)], bins[coarse], bins["soft"], bins["readout"])
