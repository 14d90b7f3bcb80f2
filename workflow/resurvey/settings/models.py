"""The models of the papers, complete: defaults, entry and overrides put together, with the networks that each has."""

from resurvey.errors import ResurveyError
from resurvey.settings.reading import WORKFLOW, available, nearest, overlay, read_yaml, validate

FAMILIES = {
    "resnet": "resnet",
    "apogee_bcnn": "bcnn",
    "apogee_bcnn_censored": "bcnn",
}  # architecture.kind: schema of its models


def models_of(papers: dict, overrides: dict, where: str) -> dict:
    """All models of some papers by name, with the run's overrides, checked by their family's schema. Raises ResurveyError."""
    models = {}
    for paper, data in papers.items():
        validate(data, "paper", f"workflow/papers/{paper}.yaml")
        for name, entry in data["models"].items():
            base = overlay(data.get("defaults", {}), entry)
            schema = f"model_{_family(base, f'workflow/papers/{paper}.yaml: models.{name}')}"
            validate(base, schema, f"workflow/papers/{paper}.yaml: models.{name}")
            entry = overlay(base, overrides.get(name, {}))
            validate(entry, schema, f"{where}: models.{name}")
            models[name] = {**entry, "name": name, "paper": paper, "networks": _networks(name, entry, where)}
    unknown = sorted(set(overrides) - set(models) - elsewhere(papers))
    if unknown:
        raise ResurveyError(f"{where}: models: there is no model {unknown[0]!r}; {nearest(unknown[0], list(models))}")
    return models


def only_wanted(models: dict, wanted: dict[str, list[str]], where: str) -> dict:
    """Those of the papers' models that are asked for, by paper; a paper that is not named keeps all of its models."""
    for paper, names in wanted.items():
        if paper not in available("papers"):
            raise ResurveyError(
                f"{where}: only_models: there is no paper {paper!r}; {nearest(paper, available('papers'))}"
            )
        known = [name for name, entry in models.items() if entry["paper"] == paper]
        for name in names:
            if known and name not in known:
                raise ResurveyError(f"{where}: only_models.{paper}: there is no model {name!r}; {nearest(name, known)}")
    return {name: entry for name, entry in models.items() if name in wanted.get(entry["paper"], [name])}


def elsewhere(papers: dict) -> set[str]:
    """Models of the papers that this run leaves out: what a preset says of them is of no consequence."""
    others = [name for name in available("papers") if name not in papers]
    return {model for name in others for model in read_yaml(WORKFLOW / "papers" / f"{name}.yaml")["models"]}


def _family(model: dict, where: str) -> str:
    kind = model.get("architecture", {}).get("kind")
    if kind not in FAMILIES:
        raise ResurveyError(
            f"{where}: architecture.kind {kind!r} is not possible; {nearest(str(kind), list(FAMILIES))}"
        )
    return FAMILIES[kind]


def predicts_labels(model: dict) -> bool:
    """Whether a model's networks give continuous labels (Teff, abundances); else classes and redshifts."""
    return all(network["role"] == "labels" for network in model["networks"].values())


def _networks(model: str, entry: dict, where: str) -> dict:
    """The networks of a model that are trained or shared, each with its own complete `training` settings."""
    networks = {}
    only = entry.get("only") or list(entry["networks"])
    classifiers = [name for name, network in entry["networks"].items() if network["role"] == "classifier"]
    if classifiers and not set(classifiers) & set(only):
        raise ResurveyError(
            f"{where}: models.{model}.only leaves out its classifier, {classifiers[0]}; add {classifiers[0]} to it"
        )
    for name in only:
        if name not in entry["networks"]:
            raise ResurveyError(
                f"{where}: models.{model}.only: there is no network {name!r}; {nearest(name, list(entry['networks']))}"
            )
        network = entry["networks"][name]
        network = {**network, "training": overlay(entry["training"], network.get("training", {}))}
        if network["role"] == "redshift" and not entry["joint"]:
            for member in range(entry["members"]):
                networks[f"{name}/member_{member:02d}"] = {**network, "ensemble": name, "member": member}
        else:
            networks[name] = network
    return networks
