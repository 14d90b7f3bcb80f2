"""The families of models that can be applied, by the role of their networks: how networks become a model, and what predicts with it.

A predictor has `model` (with name, grid, origin, weights()), `engine` (with name and precision), and

    schema() -> pyarrow schema                    spectrum_id and the columns of a predictions table
    columns(spectrum_ids, flux) -> {name: array}  those columns but the ids
    opened(spectrum_ids, flux) -> dict            what only the first spectra tell, for the metadata
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from resurvey import provenance
from resurvey.errors import ResurveyError
from resurvey.inference import labels, models
from resurvey.inference.predict import Predictor


@dataclass(frozen=True)
class Family:
    """assemble(name, networks, where) -> model; predictor(model, settings, threads) -> predictor."""

    assemble: Callable
    predictor: Callable


def _classes(model: models.Model, settings: dict, threads: int) -> Predictor:
    return Predictor(model, settings.get("engine", "auto"), settings.get("skip_below", 0.0), threads)


CLASSES = Family(models.assemble, _classes)
LABELS = Family(labels.assemble, labels.LabelPredictor)
FAMILIES = {"classifier": CLASSES, "redshift": CLASSES, "point": CLASSES, "labels": LABELS}


def load(folder: str | os.PathLike, name: str, homes: dict[str, str]) -> tuple[Family, object]:
    """(family, model) of the networks of `homes` ({network: the model in whose folder it lives}).

    Raises ResurveyError when there are none, they are of several families, or their family does not make a model of them.
    """
    loaded = [models.load_network(Path(folder, home, network), network) for network, home in homes.items()]
    found = {FAMILIES.get(trained.about["role"]) for trained in loaded}
    if len(found) != 1 or None in found:
        roles = ", ".join(f"{trained.name}: {trained.about['role']}" for trained in loaded) or "none"
        raise ResurveyError(
            f"{Path(folder, name)}: its networks do not make a model ({roles}); known roles: {', '.join(FAMILIES)}"
        )
    provenance.common_origin((str(Path(folder, homes[one.name], one.name)), one.about) for one in loaded)
    family = found.pop()
    return family, family.assemble(name, loaded, str(Path(folder, name)))
