"""Trained networks from their folders, checked: the weights are those that model.json speaks of."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from resurvey import files, provenance
from resurvey.errors import ResurveyError
from resurvey.networks.bcnn import LabelNetwork
from resurvey.networks.build import Network, build


@dataclass
class Trained:
    """One trained network: its name, its model.json, the module in eval mode."""

    name: str
    about: dict
    network: Network | LabelNetwork


@dataclass
class Model:
    """All networks of a model: one classifier, an ensemble and perhaps a single network per class with redshift."""

    name: str
    classifier: Trained
    redshift: dict[str, list[Trained]] = field(default_factory=dict)
    point: dict[str, list[Trained]] = field(default_factory=dict)

    def all(self) -> list[Trained]:
        """Every network, the classifier first."""
        groups = [*self.redshift.values(), *self.point.values()]
        return [self.classifier, *(trained for group in groups for trained in group)]

    @property
    def labels(self) -> list[str]:
        """Class names in the order of the classifier's outputs."""
        return self.classifier.about["classes"]

    @property
    def grid(self) -> dict:
        """The wavelength grid that the networks look at."""
        return self.classifier.about["grid"]

    @property
    def origin(self) -> str:
        """`real` or `mock`: what the networks were trained on."""
        return self.classifier.about["origin"]

    def weights(self) -> dict[str, str]:
        """Digest of the weights of each network."""
        return {trained.name: trained.about["weights_sha256"] for trained in self.all()}


def load_network(folder: str | os.PathLike, name: str) -> Trained:
    """The network in a folder. Raises ResurveyError naming the file that is missing, damaged or not what model.json says."""
    folder = Path(folder)
    about, weights = files.read_json(folder / "model.json"), folder / "model.safetensors"
    for key in ("architecture", "role", "classes", "grid", "origin", "weights_sha256"):
        if key not in about:
            raise files.damaged(folder / "model.json", f"lacks {key}", weights)
    if not weights.exists():
        raise files.damaged(weights, "is missing", folder / "model.json")
    found = files.sha256(weights)
    if found != about["weights_sha256"]:
        why = f"its digest {found[:12]}… is not the {about['weights_sha256'][:12]}… of model.json"
        raise files.damaged(weights, why, folder / "model.json")
    network = build(about["architecture"])
    try:
        network.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError) as error:
        why = f"does not fit the architecture in model.json ({error})"
        raise files.damaged(weights, why, folder / "model.json") from error
    return Trained(name, about, network.eval())


def find_homes(models: str | os.PathLike, model: str) -> dict[str, str]:
    """{network: model in whose folder it lives}: those in the model's own folder, and those that its calibration names."""
    folder = Path(models, model)
    own = {str(path.parent.relative_to(folder)): model for path in sorted(folder.rglob("model.json"))}
    calibration = folder / "calibration.json"
    named = files.read_json(calibration).get("networks", {}) if calibration.exists() else {}
    return {**named, **own}


def load_model(models: str | os.PathLike, model: str, homes: dict[str, str]) -> Model:
    """The networks of `homes` ({network: the model in whose folder it lives}) as one model of classes and redshifts.

    Raises ResurveyError when there is not exactly one classifier, or networks disagree in grid, classes or origin.
    """
    loaded = [load_network(Path(models, home, network), network) for network, home in homes.items()]
    built = assemble(model, loaded, str(Path(models, model)))
    provenance.common_origin((str(Path(models, homes[t.name], t.name)), t.about) for t in loaded)
    return built


def assemble(name: str, loaded: Sequence[Trained], where: str) -> Model:
    """The model of some loaded networks; `where` begins the message of the ResurveyError for what does not fit together."""
    classifiers = [trained for trained in loaded if trained.about["role"] == "classifier"]
    if len(classifiers) != 1:
        names = ", ".join(trained.name for trained in loaded) or "none"
        raise ResurveyError(f"{where}: {len(classifiers)} classifiers among its networks ({names}); a model needs one")
    built = Model(name, classifiers[0])
    for trained in loaded:
        for key in ("grid", "classes"):
            if trained.about[key] != classifiers[0].about[key]:
                raise ResurveyError(
                    f"{where}: the {key} of {trained.name} differ from those of {classifiers[0].name}; train both on one dataset"
                )
        if trained.about["role"] != "classifier":
            group = built.redshift if trained.about["role"] == "redshift" else built.point
            group.setdefault(trained.about["class"], []).append(trained)
    return built
