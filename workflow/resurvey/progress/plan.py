"""What a run will make, stage by stage in the order of the data's flow, from the settings that the workflow has too.

Snakemake is not started: its planning of thousands of shards takes seconds. That jobs, outputs and logs are those of the rules
is what tests/unit/test_progress.py checks against a dry run.
"""

from collections.abc import Iterator
from typing import NamedTuple

from resurvey.figures.registry import FIGURES
from resurvey.paths import Paths


class Job(NamedTuple):
    """One job of the workflow. `label` tells it from others of its rule, `comment` is how Slurm's job is marked by the executor."""

    rule: str
    wildcards: tuple[str, ...]  # values, in the order of the rule's output
    outputs: tuple[str, ...]
    log: str

    @property
    def label(self) -> str:
        return " ".join(self.wildcards)

    @property
    def comment(self) -> str:
        values = "_".join(self.wildcards).replace("/", "_")
        return f"rule_{self.rule}_wildcards_{values}" if values else f"rule_{self.rule}"


class Stage(NamedTuple):
    """Jobs of one stage, and the stages whose products it reads."""

    name: str
    jobs: list[Job]
    needs: tuple[str, ...]


def stages(settings: dict) -> list[Stage]:
    """All stages of the run, and in them all jobs that its report needs."""
    paths = Paths(settings)
    return [
        Stage("archive", list(_archive(paths)), ()),
        Stage("targets", list(_targets(paths)), ("archive",)),
        Stage("download", list(_each_shard(paths, "fetch")), ("targets",)),
        Stage("shards", list(_each_shard(paths, "shard")), ("download",)),
        Stage("verify", list(_verify(paths)), ("shards",)),
        Stage("training", list(_training(paths)), ("verify",)),
        Stage("predictions", list(_predictions(paths)), ("shards", "training")),
        Stage("calibration", list(_calibration(paths)), ("predictions",)),
        Stage("catalogues", list(_catalogues(paths)), ("verify", "predictions", "calibration")),
        Stage("tables", [*_samples(paths), *_tables(paths)], ("verify", "catalogues")),
        Stage("figures", [*_figures(paths), *_assessments(paths)], ("targets", "training", "tables")),
        Stage("scorecard", list(_scorecards(paths)), ("training", "tables")),
        Stage("report", [Job("report", (), (paths.report_file(),), f"{paths.logs}/report.log")], ("catalogues", "figures", "scorecard")),
    ]  # fmt: skip


def _archive(paths: Paths) -> Iterator[Job]:
    for name, release in paths.settings["releases"].items():
        if truth := paths.mock_truth(name):
            yield Job("mock_archive", (name,), (truth,), f"{paths.logs}/mock_archive/{name}.log")
        if release.get("extras"):
            yield Job("extras", (name,), (paths.extras_file(name),), f"{paths.logs}/extras/{name}.log")
    for release in paths.settings["releases"]:
        log = f"{paths.logs}/fetch_catalogue/{release}.log"
        yield Job("fetch_catalogue", (release,), (paths.master_catalogue(release),), log)


def _targets(paths: Paths) -> Iterator[Job]:
    for dataset in paths.settings["datasets"]:
        targets = paths.targets_file(dataset)
        both = (targets, targets.replace(".parquet", ".rejected.parquet"))
        yield Job("targets", (dataset,), both, f"{paths.logs}/targets/{dataset}.log")
        yield Job("plan", (dataset,), (paths.plan_file(dataset),), f"{paths.logs}/plan/{dataset}.log")


def _each_shard(paths: Paths, rule: str) -> Iterator[Job]:
    for dataset in paths.settings["datasets"]:
        for shard in paths.shard_names(dataset):
            if rule == "fetch":
                outputs = (paths.download_file(dataset, shard),)
            else:
                file = paths.shard_file(dataset, shard)
                outputs = (file, file.replace(".parquet", ".rejected.parquet"))
            yield Job(rule, (dataset, shard), outputs, f"{paths.logs}/{rule}/{dataset}/{shard}.log")


def _verify(paths: Paths) -> Iterator[Job]:
    for dataset in paths.settings["datasets"]:
        yield Job("verify", (dataset,), (paths.verified(dataset),), f"{paths.logs}/verify/{dataset}.log")


def _samples(paths: Paths) -> Iterator[Job]:
    for dataset in filter(paths.read_apart, paths.settings["datasets"]):
        yield Job("sample", (dataset,), (paths.sample_file(dataset),), f"{paths.logs}/sample/{dataset}.log")


def _training(paths: Paths) -> Iterator[Job]:
    seen = set()
    for model in paths.settings["models"]:
        for network, home in paths.network_homes(model).items():
            if (home, network) not in seen:
                seen.add((home, network))
                folder = f"{paths.run}/models/{home}/{network}"
                outputs = tuple(f"{folder}/{name}" for name in ("model.safetensors", "model.json", "history.csv"))
                yield Job("train_network", (home, network), outputs, f"{paths.logs}/train/{home}/{network}.log")


def _predictions(paths: Paths) -> Iterator[Job]:
    for model, dataset in paths.settings["apply"]:
        for shard in paths.shard_names(dataset):
            output = paths.prediction_file(model, dataset, shard)
            yield Job("infer", (dataset, model, shard), (output,), f"{paths.logs}/infer/{dataset}/{model}/{shard}.log")


def _calibration(paths: Paths) -> Iterator[Job]:
    for model in paths.calibrated_models():
        yield Job("calibrate", (model,), (paths.calibration_file(model),), f"{paths.logs}/calibrate/{model}.log")


def _catalogues(paths: Paths) -> Iterator[Job]:
    for model, dataset in paths.settings["apply"]:
        kinds = ("parquet", "fits", "rejected.parquet")
        outputs = tuple(paths.catalogue_file(model, dataset, kind) for kind in kinds)
        yield Job("catalogue", (dataset, model), outputs, f"{paths.logs}/catalogue/{dataset}/{model}.log")


def _tables(paths: Paths) -> Iterator[Job]:
    for paper in paths.settings["papers"]:
        for model in paths.models_of(paper):
            yield Job(
                "evaluate", (paper, model), (paths.table_file(model),), f"{paths.logs}/evaluate/{paper}/{model}.log"
            )
        figures = paths.settings["papers"][paper]["figures"]
        drawn = paths.figure_names(paper)
        kinds = {(kind, paths.figure_models(paper, name)[0]) for name in drawn for kind in FIGURES[figures[name].get("figure", name)].kinds}  # fmt: skip
        shown = {
            paths.settings["models"][model]["dataset"] for kind, model in kinds if kind in ("examples", "gradients")
        }
        for dataset in sorted(shown):
            log = f"{paths.logs}/examples/{paper}/{dataset}.log"
            yield Job("examples", (paper, dataset), (paths.examples_file(paper, dataset),), log)
        if any(kind == "pairs" for kind, _ in kinds):
            yield Job("pairs", (paper,), (paths.pairs_file(paper),), f"{paths.logs}/pairs/{paper}.log")
        if any(kind == "star" for kind, _ in kinds):
            yield Job("example_star", (paper,), (paths.star_file(paper),), f"{paths.logs}/example_star/{paper}.log")
        for rule, file in (("sensitivity", paths.sensitivity_file), ("gradients", paths.gradients_file)):
            for model in sorted(model for kind, model in kinds if kind == rule):
                yield Job(rule, (paper, model), (file(model),), f"{paths.logs}/{rule}/{paper}/{model}.log")
        for dataset in paths.datasets_of(paper):
            log = f"{paths.logs}/baselines/{paper}/{dataset}.log"
            yield Job("baselines", (paper, dataset), (paths.baselines_file(paper, dataset),), log)


def _figures(paths: Paths) -> Iterator[Job]:
    for paper in paths.settings["papers"]:
        for name in paths.figure_names(paper):
            outputs = tuple(paths.figure_file(paper, name, kind) for kind in ("png", "pdf", "csv"))
            yield Job(f"{paper}_{name}", (), outputs, f"{paths.logs}/figures/{paper}/{name}.log")


def _assessments(paths: Paths) -> Iterator[Job]:
    for paper, name in paths.assessments():
        log = f"{paths.logs}/assess/{paper}/{name}.log"
        yield Job(f"{paper}_assess_{name}", (), tuple(paths.assessment_files(paper, name)), log)


def _scorecards(paths: Paths) -> Iterator[Job]:
    for paper in paths.settings["papers"]:
        yield Job("scorecard", (paper,), (paths.scorecard_file(paper),), f"{paths.logs}/scorecard/{paper}.log")
