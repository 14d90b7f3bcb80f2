"""Templates that a model's inference refines its redshifts with: are they there and for all its classes, and what are they."""

import hashlib
from pathlib import Path

from resurvey.errors import ResurveyError


def refined(name: str, model: dict) -> dict:
    """The model, with the digest of its templates beside the folder in `inference.refine`: other templates make other predictions.

    Raises ResurveyError where templates cannot refine the model's redshifts, or are missing or not those of the registry.
    """
    refine = (model.get("inference") or {}).get("refine")
    if not refine:
        return model
    from resurvey.inference.refine import SEARCHES, template_kind

    where = f"model {name}: inference.refine"
    if model["head"] != "bins":
        raise ResurveyError(
            f"{where}: needs a distribution of redshifts and head is {model['head']}; set models.{name}.head to bins, or refine to null"
        )
    classes = [entry["class"] for entry in model["networks"].values() if entry["role"] == "redshift"]
    if not classes:
        raise ResurveyError(f"{where}: the model has no network of the role redshift; set refine to null")
    for label in classes:
        if template_kind(label) is None:
            kinds = ", ".join(SEARCHES)
            raise ResurveyError(
                f"{where}: there are no templates for class {label}; names of refined classes begin with {kinds}"
            )
    try:
        digest = templates_digest(refine["templates"])
    except ResurveyError as error:
        raise ResurveyError(f"{where}: {error}") from error
    return {**model, "inference": {**model["inference"], "refine": {**refine, "digest": digest}}}


def templates_digest(folder: str) -> str:
    """12 hex digits of the templates that refinement reads in a folder. Raises ResurveyError naming what is missing or wrong."""
    from resurvey.simulate.templates import libraries, registry

    found = libraries.files(Path(folder))
    digests = [f"{role} {registry.sha256(found[role])}" for role in sorted(libraries.NEEDED)]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:12]
