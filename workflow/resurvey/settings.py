"""Settings: config.yaml, the preset under it, and the release, dataset and paper files that they name, checked and put together.

Everything is checked before any job: an unknown key names its file, its place and the nearest valid key.
"""

import copy
import difflib
import json
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import yaml

from resurvey.errors import ResurveyError

WORKFLOW = Path(__file__).parents[1]
FAMILIES = {
    "resnet": "resnet",
    "apogee_bcnn": "bcnn",
    "apogee_bcnn_censored": "bcnn",
}  # architecture.kind: schema of its models
LEARNED = ("classes", "contamination", "per_class")  # of a model: under which class its networks learn which spectra
PIXELS = ("grid", "resample", "masks", "continuum", "mask_bits")  # of a dataset: what a network sees of a spectrum


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key given twice, and reads 1e-3 as the number that it is."""

    def construct_mapping(self, node, deep=False):
        names = [key.value for key, _ in node.value if key.value != "<<"]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ResurveyError(
                f"{node.start_mark.name}, line {node.start_mark.line + 1}: {', '.join(twice)} is given twice"
            )
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.inf|\.nan)$"),
    list("-+0123456789."),
)


def read_yaml(path: str | os.PathLike) -> dict:
    """Read a YAML mapping. Raises ResurveyError naming the file and line."""
    try:
        with open(path) as handle:
            data = yaml.load(handle, _Loader)
    except OSError as error:
        raise ResurveyError(f"{path}: cannot be read ({error.strerror or error})") from error
    except yaml.YAMLError as error:
        raise ResurveyError(f"{path}: is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise ResurveyError(f"{path}: must hold `key: value` lines")
    return data


def nearest(name: str, valid: list[str]) -> str:
    """A hint for a misspelt name: the nearest valid one, else all of them."""
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"valid are {', '.join(sorted(valid))}"


def available(kind: str) -> list[str]:
    """Names of the files in workflow/{kind}: releases, datasets, papers, presets."""
    return sorted(path.stem for path in (WORKFLOW / kind).glob("*.yaml"))


def _named(kind: str, name: str, where: str) -> dict:
    if name not in available(kind):
        raise ResurveyError(f"{where}: there is no {kind[:-1]} {name!r}; {nearest(name, available(kind))}")
    return read_yaml(WORKFLOW / kind / f"{name}.yaml")


def validate(data: dict, schema: str, where: str) -> None:
    """Check `data` against workflow/schemas/{schema}.schema.json; `where` (a file) begins the message of the ResurveyError."""
    rules = json.loads((WORKFLOW / "schemas" / f"{schema}.schema.json").read_text())
    errors = sorted(jsonschema.Draft202012Validator(rules).iter_errors(data), key=lambda error: list(error.path))
    if errors:
        raise ResurveyError("\n".join(f"{where}: {_explain(error)}" for error in errors))


def _explain(error: jsonschema.ValidationError) -> str:
    key = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties" and isinstance(error.schema.get("properties"), dict):
        unknown = sorted(set(error.instance) - set(error.schema["properties"]))
        hints = (
            f"unknown key {'.'.join(filter(None, [key, name]))}; {nearest(name, list(error.schema['properties']))}"
            for name in unknown
        )
        return "; ".join(hints)
    if error.validator == "enum":
        return f"{key}: {error.instance!r} is not possible; {nearest(str(error.instance), [str(v) for v in error.validator_value])}"
    if error.validator == "type":
        wanted = error.validator_value
        wanted = wanted if isinstance(wanted, str) else " or ".join(wanted)
        return f"{key}: {error.instance!r} should be of type {wanted}"
    if error.validator == "pattern":
        hint = error.schema.get("description", f"pattern {error.validator_value}")
        return f"{key}: {error.instance!r} is not possible ({hint})"
    return f"{key}: {error.message}" if key else error.message


def overlay(base: dict, over: dict) -> dict:
    """`base` with the values of `over`; mappings are merged, all else (null too) is replaced."""
    result = copy.deepcopy(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = overlay(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _typed(value: object) -> object:
    """Numbers, booleans and nulls out of the strings that Snakemake's --config makes of everything inside a mapping."""
    if isinstance(value, dict):
        return {key: _typed(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_typed(entry) for entry in value]
    if isinstance(value, str):
        plain = yaml.load(value, _Loader)
        return plain if plain is None or isinstance(plain, (bool, int, float)) else value
    return value


def from_command_line(pairs: list[str]) -> dict:
    """Overrides out of `key=value` texts, read as Snakemake reads its --config. Raises ResurveyError for a text without `=`."""
    overrides: dict = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise ResurveyError(f"--config: {pair!r} is not key=value, e.g. run=first or 'mock={{per_class: 70}}'")
        try:
            overrides = overlay(overrides, {key: _typed(yaml.load(value, yaml.BaseLoader)) if value else None})
        except yaml.YAMLError as error:
            raise ResurveyError(f"--config: the value of {key} is not YAML: {' '.join(str(error).split())}") from error
    return overrides


def load(path: str | os.PathLike = "config.yaml", overrides: dict | None = None) -> dict:
    """Read a config file, overlay `overrides` (as Snakemake's --config gives them) and resolve it."""
    return resolve(overlay(read_yaml(path), overrides or {}), str(path))


def resolve(config: dict, where: str = "config.yaml") -> dict:
    """The whole of the settings of a run.

    Returns a dict: `run, preset, seed, engine, skip_below, mock`; `archive` = {kind, name, root, origin};
    `releases`, `datasets`, `papers`, `models` by name, complete and checked; `apply` = (model, dataset) pairs.
    Raises ResurveyError naming file, key and the nearest valid one.
    """
    config = {key: _typed(value) if isinstance(value, dict) else value for key, value in config.items()}
    validate(config, "config", where)
    preset = _named("presets", config["preset"], where)
    validate(preset, "config", f"workflow/presets/{config['preset']}.yaml")
    both = overlay(preset, {key: value for key, value in config.items() if value is not None})
    for key in ("archive", "papers"):
        if both.get(key) is None:
            raise ResurveyError(f"{where}: {key} is null and the preset {config['preset']} gives none; set {key}")

    papers = {name: _named("papers", name, where) for name in both["papers"]}
    models = _only(_models(papers, both.get("models") or {}, where), both.get("only_models") or {}, where)
    apply = [(name, model["dataset"]) for name, model in models.items()]
    for model, names in (both.get("apply") or {}).items():
        if model in models:
            apply += [(model, name) for name in names]
        elif model not in _elsewhere(papers):
            raise ResurveyError(f"{where}: apply: there is no model {model!r}; {nearest(model, list(models))}")
    used = sorted({dataset for _, dataset in apply})
    named = [("datasets", name) for name in both.get("datasets") or {}]
    named += [(f"model {model}", name) for model, name in apply]
    for place, name in named:
        if name not in available("datasets"):
            raise ResurveyError(
                f"{where}: {place}: there is no dataset {name!r}; {nearest(name, available('datasets'))}"
            )
    datasets = {name: _dataset(name, (both.get("datasets") or {}).get(name, {}), where) for name in used}
    for name, model in models.items():
        _check_model(name, model, datasets[model["dataset"]], models)
    for model, name in apply:
        home = models[model]["dataset"]
        for key in PIXELS:
            trained, applied = datasets[home].get(key), datasets[name].get(key)
            if trained != applied:
                raise ResurveyError(
                    f"{where}: model {model} is trained on {key} {trained} but dataset {name} has {applied}; "
                    f"set datasets.{name}.{key} to that of {home}"
                )
    run = both.get("run") or both["preset"]
    archive = _archive(both["archive"], run)
    releases = {
        name: _release(name, both.get("download") or {}, where)
        for name in sorted({d["release"] for d in datasets.values()})
    }
    _check_archive(archive, releases, where)
    mock = _mock(both.get("mock") or {}, releases, where)
    return {
        "run": run,
        "preset": both["preset"],
        "seed": both["seed"],
        "engine": both["engine"],
        "skip_below": both["skip_below"],
        "mock": {name: {**mock.get(name, {}), "seed": both["seed"]} for name in releases},
        "archive": archive,
        "releases": releases,
        "datasets": datasets,
        "papers": papers,
        "models": models,
        "apply": sorted(set(apply)),
    }


def _archive(value: str, run: str) -> dict:
    """Where raw files come from: the mock archive is made first and then read like any mirror. `mock+` before a root says
    that a mock archive lies there, as where one is served to try the transfer."""
    if value == "mock":
        origin = Path("resources", f"mock_{run}", "origin")
        return {"kind": "mock", "name": f"mock_{run}", "root": str(origin), "origin": "mock"}
    origin, value = ("mock", value.removeprefix("mock+")) if value.startswith("mock+") else ("real", value)
    parts = urlsplit(value)
    name = parts.netloc or "mirror" + re.sub(r"[^A-Za-z0-9]+", "_", parts.path).rstrip("_")
    name = ("mock_" if origin == "mock" else "") + name.replace(":", "_")
    return {"kind": "url", "name": name, "root": value.rstrip("/"), "origin": origin}


def _check_archive(archive: dict, releases: dict, where: str) -> None:
    """Stop before jobs that ask an archive for what it cannot have: the mock survey is one release of a survey's own
    files, and a root that one release calls its home does not hold another's."""
    homes = {read_yaml(WORKFLOW / "releases" / f"{name}.yaml")["root"] for name in available("releases")}
    for name, release in releases.items():
        if release.get("mock_only") and archive["origin"] != "mock":
            raise ResurveyError(
                f"{where}: archive: no archive holds the release {name} yet, it exists as a mock only; set archive to mock"
            )
        strange = archive["root"] in homes and archive["root"] != release["root"]
        if strange or (archive["kind"] == "mock" and "arrays" in release):
            here = "the mock survey" if archive["kind"] == "mock" else archive["root"]
            raise ResurveyError(
                f"{where}: archive: {here} does not hold the release {name}; set archive to {release['root']} or a mirror of it"
            )


def _mock(sizes: dict, releases: dict, where: str) -> dict:
    """Sizes of the mock survey by release, checked by the release's survey."""
    known = available("releases")
    for name, size in sizes.items():
        if name not in known or not isinstance(size, dict):
            raise ResurveyError(
                f"{where}: mock.{name}: sizes are given by release, e.g. mock: {{sdss_dr16: {{per_class: 500}}}}; "
                f"{nearest(name, known)}"
            )
        survey = _named("releases", name, where)["survey"]
        validate(size, f"mock_{survey}", f"{where}: mock.{name}")
    return {name: size for name, size in sizes.items() if name in releases}


def schema_of(kind: str, data: dict, where: str) -> str:
    """The schema of a file of workflow/{kind}: releases and datasets have one for each survey."""
    if kind == "papers":
        return "paper"
    release = data if kind == "releases" else _named("releases", data.get("release", ""), where)
    survey = release.get("survey")
    surveys = sorted(
        path.name.split(".")[0].removeprefix("release_") for path in (WORKFLOW / "schemas").glob("release_*.json")
    )
    if survey not in surveys:
        raise ResurveyError(f"{where}: survey {survey!r} is not possible; {nearest(str(survey), surveys)}")
    return f"{kind[:-1]}_{survey}"


def _release(name: str, download: dict, where: str) -> dict:
    release = _named("releases", name, where)
    schema = schema_of("releases", release, f"workflow/releases/{name}.yaml")
    validate(release, schema, f"workflow/releases/{name}.yaml")
    unknown = sorted(set(download) - set(release["etiquette"]))
    if unknown:
        raise ResurveyError(
            f"{where}: unknown key download.{unknown[0]}; {nearest(unknown[0], list(release['etiquette']))}"
        )
    release = {**release, "name": name, "etiquette": overlay(release["etiquette"], download)}
    validate({key: value for key, value in release.items() if key != "name"}, schema, f"{where}: download")
    return release


def _dataset(name: str, over: dict, where: str) -> dict:
    file = f"workflow/datasets/{name}.yaml"
    base = read_yaml(WORKFLOW / "datasets" / f"{name}.yaml")
    schema = schema_of("datasets", base, file)
    validate(base, schema, file)
    dataset = overlay(base, over)
    validate(dataset, schema, f"{where}: datasets.{name}")
    split = dataset["split"]
    if split and abs(sum(split.values()) - 1) > 1e-9:
        raise ResurveyError(
            f"{where}: datasets.{name}.split sums to {sum(split.values()):g}; {' + '.join(split)} must be 1"
        )
    return {**dataset, "name": name}


def _models(papers: dict, overrides: dict, where: str) -> dict:
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
    unknown = sorted(set(overrides) - set(models) - _elsewhere(papers))
    if unknown:
        raise ResurveyError(f"{where}: models: there is no model {unknown[0]!r}; {nearest(unknown[0], list(models))}")
    return models


def _only(models: dict, wanted: dict[str, list[str]], where: str) -> dict:
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


def _elsewhere(papers: dict) -> set[str]:
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


def _own_classes(model: dict, labels: list[str], where: str) -> list[str]:
    """Those classes of a model with `classes` that may have redshift networks: the ones that are one of the dataset's."""
    given: list[str] = []
    for name, members in model["classes"].items():
        for label in members:
            if label not in labels:
                raise ResurveyError(f"{where}: classes.{name}: there is no class {label!r}; {nearest(label, labels)}")
            if label in given:
                raise ResurveyError(f"{where}: classes.{name}: {label} is in another class too; name it once")
            given.append(label)
    return [name for name, members in model["classes"].items() if members == [name]]


def _check_model(name: str, model: dict, dataset: dict, models: dict) -> None:
    where = f"model {name}"
    if predicts_labels(model):
        if not dataset.get("labels") or not dataset["split"]:
            raise ResurveyError(
                f"{where}: dataset {dataset['name']} has no labels or no split; networks cannot be trained on it"
            )
        return
    if not dataset.get("classes") or not dataset["split"]:
        raise ResurveyError(
            f"{where}: dataset {dataset['name']} has no classes or no split; networks cannot be trained on it"
        )
    labels = [entry["label"] for entry in dataset["classes"]]
    if model.get("classes"):
        labels = _own_classes(model, labels, where)
    for network, entry in model["networks"].items():
        if entry["role"] != "classifier" and entry.get("class") not in labels:
            raise ResurveyError(
                f"{where}: network {network} is for class {entry.get('class')!r}; {nearest(str(entry.get('class')), labels)}"
            )
    for network, entry in model["networks"].items():
        low, high = entry["training"]["z_range"]
        if not low < high:
            raise ResurveyError(
                f"{where}: network {network}: training.z_range {[low, high]} is empty; give [lowest, highest]"
            )
    for network, other in model.get("shares", {}).items():
        if other not in models or network not in models[other]["networks"]:
            raise ResurveyError(
                f"{where}: shares {network} with {other}, which does not train it; name it in models.{other}.only"
            )
        mine = (model["dataset"], model["architecture"]["normalisation"])
        its = (models[other]["dataset"], models[other]["architecture"]["normalisation"])
        if mine != its:
            raise ResurveyError(
                f"{where}: shares {network} with {other}, whose dataset and normalisation are {' and '.join(its)} and not "
                f"{' and '.join(mine)}; set models.{name}.dataset and architecture.normalisation to the same"
            )
        if any(model.get(key) != models[other].get(key) for key in LEARNED):
            raise ResurveyError(
                f"{where}: shares {network} with {other}, which has other classes or labels; set {', '.join(LEARNED)} to the same"
            )
    length = dataset["grid"]["pixels"]
    shape = model["architecture"]
    for _ in shape["widths"]:
        length = (
            (length - shape["kernel"]) // shape["stride"] + 1
            if shape["padding"] == "valid"
            else -(-length // shape["stride"])
        )
        if length < 1:
            raise ResurveyError(
                f"{where}: {dataset['grid']['pixels']} pixels are too few for {len(shape['widths'])} blocks with padding valid; "
                f"set models.{name}.architecture.padding to same, or fewer widths"
            )
