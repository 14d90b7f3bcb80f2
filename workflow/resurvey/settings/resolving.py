"""The whole of the settings of a run, out of config.yaml, its preset and the files that they name."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from resurvey.errors import ResurveyError
from resurvey.settings.checking import assessments, check_applied, check_archive, check_model
from resurvey.settings.models import elsewhere, models_of, only_wanted
from resurvey.settings.reading import WORKFLOW, available, nearest, overlay, read_named, read_yaml, typed, validate
from resurvey.settings.refining import refined


def load(path: str | os.PathLike = "config.yaml", overrides: dict | None = None) -> dict:
    """Read a config file, overlay `overrides` (as Snakemake's --config gives them) and resolve it."""
    return resolve(overlay(read_yaml(path), overrides or {}), str(path))


def resolve(config: dict, where: str = "config.yaml") -> dict:
    """The whole of the settings of a run.

    Returns a dict: `run, preset, seed, engine, skip_below, mock`; `archive` = {kind, name, root, origin};
    `releases`, `datasets`, `papers`, `models` by name, complete and checked; `apply` = (model, dataset) pairs; `assess` by name =
    {spectra, labels, templates, models}.
    Raises ResurveyError naming file, key and the nearest valid one.
    """
    config = {key: typed(value) if isinstance(value, dict) else value for key, value in config.items()}
    validate(config, "config", where)
    preset = read_named("presets", config["preset"], where)
    validate(preset, "config", f"workflow/presets/{config['preset']}.yaml")
    both = overlay(preset, {key: value for key, value in config.items() if value is not None})
    for key in ("archive", "papers"):
        if both.get(key) is None:
            raise ResurveyError(f"{where}: {key} is null and the preset {config['preset']} gives none; set {key}")

    papers = {name: read_named("papers", name, where) for name in both["papers"]}
    known = models_of(papers, both.get("models") or {}, where)
    models = only_wanted(known, both.get("only_models") or {}, where)
    apply = [(name, model["dataset"]) for name, model in models.items()]
    for model, names in (both.get("apply") or {}).items():
        if model in models:
            apply += [(model, name) for name in names]
        elif model in known:
            if names:
                raise ResurveyError(
                    f"{where}: apply: {model} is left out by only_models; name it in only_models.{known[model]['paper']} too, "
                    f"or set apply.{model} to []"
                )
        elif model not in elsewhere(papers):
            raise ResurveyError(f"{where}: apply: there is no model {model!r}; {nearest(model, list(models))}")
    used = sorted({dataset for _, dataset in apply})
    named = [("datasets", name) for name in both.get("datasets") or {}]
    named += [(f"model {model}", name) for model, name in apply]
    for place, name in named:
        if name not in available("datasets"):
            raise ResurveyError(
                f"{where}: {place}: there is no dataset {name!r}; {nearest(name, available('datasets'))}"
            )
    datasets = {name: whole_dataset(name, (both.get("datasets") or {}).get(name, {}), where) for name in used}
    for name, model in models.items():
        check_model(name, model, datasets[model["dataset"]], models)
    models = {name: refined(name, model) for name, model in models.items()}
    check_applied(apply, models, datasets, where)
    run = both.get("run") or both["preset"]
    archive = _archive(both["archive"], run)
    releases = {
        name: whole_release(name, both.get("download") or {}, where)
        for name in sorted({d["release"] for d in datasets.values()})
    }
    check_archive(archive, releases, where)
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
        "assess": assessments(both.get("assess") or {}, models, where),
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


def _mock(sizes: dict, releases: dict, where: str) -> dict:
    """Sizes of the mock survey by release, checked by the release's survey."""
    known = available("releases")
    for name, size in sizes.items():
        if name not in known or not isinstance(size, dict):
            raise ResurveyError(
                f"{where}: mock.{name}: sizes are given by release, e.g. mock: {{sdss_dr16: {{per_class: 500}}}}; "
                f"{nearest(name, known)}"
            )
        survey = read_named("releases", name, where)["survey"]
        validate(size, f"mock_{survey}", f"{where}: mock.{name}")
    return {name: size for name, size in sizes.items() if name in releases}


def schema_of(kind: str, data: dict, where: str) -> str:
    """The schema of a file of workflow/{kind}: releases and datasets have one for each survey."""
    if kind == "papers":
        return "paper"
    release = data if kind == "releases" else read_named("releases", data.get("release", ""), where)
    survey = release.get("survey")
    surveys = sorted(
        path.name.split(".")[0].removeprefix("release_") for path in (WORKFLOW / "schemas").glob("release_*.json")
    )
    if survey not in surveys:
        raise ResurveyError(f"{where}: survey {survey!r} is not possible; {nearest(str(survey), surveys)}")
    return f"{kind[:-1]}_{survey}"


def whole_release(name: str, download: dict, where: str) -> dict:
    """A release's file, checked; download: the run's changes to its etiquette. Raises ResurveyError."""
    release = read_named("releases", name, where)
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


def whole_dataset(name: str, over: dict, where: str) -> dict:
    """A dataset's file with the run's changes, checked. Raises ResurveyError."""
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
