# What all rules share: the settings of the run, the path grammar (resurvey/paths.py), and the digests that decide what is redone.

import json
import os
import shlex
import sys

from snakemake.exceptions import WorkflowError

# This checkout's package, which its jobs run too: another that may be installed has other settings and other digests.
sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

from resurvey import settings as resurvey_settings
from resurvey.errors import ResurveyError
from resurvey.paths import Paths
from resurvey.provenance import code_digest

try:
    SETTINGS = resurvey_settings.resolve(config)
except ResurveyError as error:
    raise WorkflowError(str(error)) from None

ARCHIVE = SETTINGS["archive"]

# The path grammar: one truth for the rules and for `resurvey progress`.
PATHS = Paths(SETTINGS)
RUN, RESOURCES = PATHS.run, PATHS.resources
n_shards, shard_files, verified = PATHS.n_shards, PATHS.shard_files, PATHS.verified
network_homes, network_folders, network_files = PATHS.network_homes, PATHS.network_folders, PATHS.network_files
prediction_files, catalogue_files, table_file = PATHS.prediction_files, PATHS.catalogue_files, PATHS.table_file
first_model, models_of, dataset_of = PATHS.first_model, PATHS.models_of, PATHS.dataset_of
figure_names, figure_files, scorecard_files = PATHS.figure_names, PATHS.figure_files, PATHS.scorecard_files
figure_models = PATHS.figure_models

# A job finds the package beside its rules, with this interpreter or, under --sdm conda, with its environment's own.
PYTHON = "python" if "conda" in map(str, workflow.deployment_settings.deployment_method) else sys.executable
shell.prefix(  # braces are doubled twice: for this f-string and for Snakemake's own formatting
    "set -euo pipefail; exec 3>&2; export RESURVEY_CONSOLE=3; "  # a job's stderr is its log; a user's mistake is told here too
    f"export PYTHONPATH='{Path(workflow.basedir) / 'workflow'}'${{{{PYTHONPATH:+:$PYTHONPATH}}}}; "
    f"resurvey() {{{{ '{PYTHON}' -m resurvey \"$@\"; }}}}; "
)


if workflow.is_main_process:
    # Inside an allocation this is the grant of all jobs that are run here; each is to use its own {threads} (resurvey/granted.py).
    # Where jobs are Slurm jobs of their own, theirs is set anew.
    os.environ.pop("SLURM_CPUS_PER_TASK", None)


wildcard_constraints:
    dataset="|".join(SETTINGS["datasets"]),
    model="|".join(SETTINGS["models"]),
    paper="|".join(SETTINGS["papers"]),
    release="|".join(SETTINGS["releases"]),
    network=r"[A-Za-z0-9_]+(/member_\d+)?",
    shard=r"\d{4}",


def as_json(**values):
    """Settings as one JSON text: a changed value changes the params of the rule, and only of that rule."""
    return json.dumps(values, sort_keys=True)


def classes(model):
    """The classes of a model's dataset; null where it has labels instead."""
    return SETTINGS["datasets"][SETTINGS["models"][model]["dataset"]].get("classes")


def release_of(dataset):
    return SETTINGS["releases"][SETTINGS["datasets"][dataset]["release"]]


def survey_of(release):
    return SETTINGS["releases"][release]["survey"]


def mock_truth(wildcards):
    """The last file of the mock survey of a release, where one is made first."""
    return PATHS.mock_truth(wildcards.release) or []


def extras_of(release):
    """The list of a release's small tables, where its papers need any."""
    return [PATHS.extras_file(release)] if SETTINGS["releases"][release].get("extras") else []


def extra_tables(release):
    """{name: file} of a release's small tables; one that is optional may not be there."""
    folder = Path(PATHS.extras_file(release)).parent
    return {name: f"{folder}/{name}.csv" for name in SETTINGS["releases"][release].get("extras", {})}


def archive_settings(dataset):
    """What the commands that touch the archive need to know."""
    return release_settings(SETTINGS["datasets"][dataset]["release"])


def release_settings(name):
    release = SETTINGS["releases"][name]
    return {
        "release": release,
        "root": ARCHIVE["root"],
        "origin": ARCHIVE["origin"],
        "etiquette": release["etiquette"],
    }


def catalogue_settings(release):
    """For the master catalogue: its release and root, and the query where a dataset asks for one instead of the bulk file."""
    datasets = {name: entry for name, entry in SETTINGS["datasets"].items() if entry["release"] == release}
    source = sorted({entry.get("catalogue_source", "archive") for entry in datasets.values()})
    return as_json(
        **archive_settings(next(iter(datasets))),
        catalogue_source=source[0],
        datasets=datasets if source[0] == "astroquery" else {},
    )


def target_settings(dataset):
    """What decides the selection: nothing of what its spectra look like."""
    entry = SETTINGS["datasets"][dataset]
    return {key: entry[key] for key in entry if key not in resurvey_settings.PIXELS}


def training_settings(model, network):
    """What decides the weights of one network: nothing of its siblings."""
    entry = SETTINGS["models"][model]
    entry = {key: entry[key] for key in entry if key not in ("only", "shares", "networks", "inference")} | {
        "networks": {network: entry["networks"][network]}
    }
    return as_json(
        model=model,
        paper=entry["paper"],
        entry=entry,
        classes=classes(model),
        labels=SETTINGS["datasets"][entry["dataset"]].get("labels"),
        extras=extra_tables(SETTINGS["datasets"][entry["dataset"]]["release"]),
        dataset=entry["dataset"],
        seed=SETTINGS["seed"],
    )


def calibration_of(model):
    """The calibration of a model's redshift errors; label networks give theirs themselves."""
    return [PATHS.calibration_file(model)] if model in PATHS.calibrated_models() else []


# What predictions are made with: shared modules, and those of a model's family (True: it predicts labels).
SHARED = ("inference/families", "inference/models", "inference/predict", "networks")
INFERENCE = {
    False: (*SHARED, "inference/engines", "inference/openvino_graph"),
    True: (*SHARED, "inference/labels", "inference/masks", "inference/monte_carlo"),
}
REFINEMENT = ("inference/refine", "simulate/templates/libraries", "simulate/templates/registry")


def inference_code(model):
    """Digest of the code that predictions of a model are made with."""
    entry = SETTINGS["models"][model]
    refined = (entry.get("inference") or {}).get("refine")
    return code_digest(*INFERENCE[resurvey_settings.predicts_labels(entry)], *(REFINEMENT if refined else ()))


def assessment_files():
    """All files of all assessments."""
    return [file for paper, name in PATHS.assessments() for file in PATHS.assessment_files(paper, name)]


def assessed_mocks(model):
    """Shards of the mock spectra that a model was trained on, ten at most; none where these are real."""
    return shard_files(SETTINGS["models"][model]["dataset"])[:10] if ARCHIVE["origin"] == "mock" else []


def option(name, value):
    """An option of a command where there is a value."""
    return f"--{name} {shlex.quote(value)}" if value else ""


def conventions(paper, *more):
    """What of the paper's file decides its figures; a changed threshold redraws them."""
    keys = ("good_fraction", "snr_bins", "table4_mae", "table1", "measures", *more)
    return as_json(**{key: SETTINGS["papers"][paper][key] for key in keys if key in SETTINGS["papers"][paper]})


def trained_networks(models):
    """Folders of networks; they are there when their model.json and history.csv are."""
    folders = [folder for model in models for folder in network_folders(model)]
    return [f"{folder}/{name}" for folder in folders for name in ("model.json", "history.csv")], folders


def of_paper(file):
    """One file per paper, that of the first of the models."""
    return lambda models: [file(SETTINGS["models"][models[0]]["paper"])]


def of_dataset(file):
    """One file per dataset, that of the first of the models."""
    return lambda models: [file(SETTINGS["models"][models[0]]["dataset"])]


def examples_of(model):
    """The example spectra of a model's dataset, in its paper's classes."""
    entry = SETTINGS["models"][model]
    return PATHS.examples_file(entry["paper"], entry["dataset"])


# What figures are drawn from, by the kinds of resurvey/figures/kinds.py: the files of some models, the figure's own first; or
# (files that trigger the figure, what its command reads) where these differ.
FIGURE_INPUTS = {
    "table": lambda models: [table_file(models[0])],
    "tables": lambda models: [table_file(model) for model in models],
    "gradients": lambda models: [PATHS.gradients_file(models[0])],
    "targets": of_dataset(PATHS.sample_file),
    "examples": lambda models: [examples_of(models[0])],
    "pairs": of_paper(PATHS.pairs_file),
    "histories": trained_networks,
    "label_table": lambda models: [table_file(models[0])],
    "label_tables": lambda models: [table_file(model) for model in models],
    "label_targets": of_dataset(PATHS.targets_file),
    "star": of_paper(PATHS.star_file),
    "sensitivity": lambda models: [PATHS.sensitivity_file(models[0])],
    "extras": of_dataset(lambda dataset: extras_of(SETTINGS["datasets"][dataset]["release"])[0]),
}


def figure_inputs(kinds, models):
    """(files that trigger the figure, what its command reads)."""
    triggers, sources = [], []
    for kind in kinds:
        found = FIGURE_INPUTS[kind](models)
        trigger, source = found if isinstance(found, tuple) else (found, found)
        triggers += trigger
        sources += source
    return triggers, sources
