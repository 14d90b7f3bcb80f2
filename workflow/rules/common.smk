# What all rules share: the settings of the run, the path grammar in functions, and the digests that decide what is redone.

import json
import sys

from snakemake.exceptions import WorkflowError

# This checkout's package, which its jobs run too: another that may be installed has other settings and other digests.
sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

from resurvey import settings as resurvey_settings
from resurvey.errors import ResurveyError
from resurvey.provenance import code_digest

try:
    SETTINGS = resurvey_settings.resolve(config)
except ResurveyError as error:
    raise WorkflowError(str(error)) from None

RUN = f"results/{SETTINGS['run']}"
ARCHIVE = SETTINGS["archive"]
RESOURCES = f"resources/{ARCHIVE['name']}"

# A job finds the package beside its rules, with this interpreter or, under --sdm conda, with its environment's own.
PYTHON = "python" if "conda" in map(str, workflow.deployment_settings.deployment_method) else sys.executable
shell.prefix(  # braces are doubled twice: for this f-string and for Snakemake's own formatting
    "set -euo pipefail; exec 3>&2; export RESURVEY_CONSOLE=3; "  # a job's stderr is its log; a user's mistake is told here too
    f"export PYTHONPATH='{Path(workflow.basedir) / 'workflow'}'${{{{PYTHONPATH:+:$PYTHONPATH}}}}; "
    f"resurvey() {{{{ '{PYTHON}' -m resurvey \"$@\"; }}}}; "
)


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


def shard_names(dataset):
    return [f"{number:04d}" for number in range(n_shards(dataset))]


def verified(dataset):
    """The table that says that all shards of the dataset are there: what reads them all waits for this one file."""
    return f"{RUN}/{dataset}/shards.csv"


def n_shards(dataset):
    return SETTINGS["datasets"][dataset]["shards"]


def shard_files(dataset):
    return [f"{RUN}/{dataset}/shards/{shard}.parquet" for shard in shard_names(dataset)]


def network_homes(model):
    """{network: the model in whose folder it lives}."""
    shares = SETTINGS["models"][model].get("shares", {})
    return {network: shares.get(network, model) for network in SETTINGS["models"][model]["networks"]}


def network_folders(model):
    return [f"{RUN}/models/{home}/{network}" for network, home in network_homes(model).items()]


def network_files(model):
    """model.json of each network; it holds the digest of the weights beside it, which come from the same job."""
    return [f"{folder}/model.json" for folder in network_folders(model)]


def classes(model):
    return SETTINGS["datasets"][SETTINGS["models"][model]["dataset"]]["classes"]


def release_of(dataset):
    return SETTINGS["releases"][SETTINGS["datasets"][dataset]["release"]]


def archive_settings(dataset):
    """What the commands that touch the archive need to know."""
    release = release_of(dataset)
    return {
        "release": release,
        "root": (ARCHIVE["root"] if ARCHIVE["kind"] == "url" else str(Path(ARCHIVE["root"]).absolute().as_uri())),
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
    """What decides the selection: not the grid, not the masks."""
    entry = SETTINGS["datasets"][dataset]
    return {key: entry[key] for key in entry if key not in ("grid", "resample", "masks")}


def training_settings(model, network):
    """What decides the weights of one network: nothing of its siblings."""
    entry = SETTINGS["models"][model]
    entry = {key: entry[key] for key in entry if key not in ("only", "shares", "networks")} | {
        "networks": {network: entry["networks"][network]}
    }
    return as_json(
        model=model,
        paper=entry["paper"],
        entry=entry,
        classes=classes(model),
        dataset=entry["dataset"],
        seed=SETTINGS["seed"],
    )


def prediction_files(model, dataset):
    return [f"{RUN}/{dataset}/predictions/{model}/{shard}.parquet" for shard in shard_names(dataset)]


def catalogue_files():
    return [
        f"{RUN}/{dataset}/catalogues/{model}.{kind}"
        for model, dataset in SETTINGS["apply"]
        for kind in ("parquet", "fits")
    ]


def table_file(model):
    return f"{RUN}/{SETTINGS['models'][model]['paper']}/tables/{model}.parquet"


def figure_names(paper):
    """Figures of a paper whose model this run has; sample figures belong to the paper's first model."""
    figures = SETTINGS["papers"][paper]["figures"]
    return [name for name, entry in figures.items() if entry.get("model", first_model(paper)) in SETTINGS["models"]]


def first_model(paper):
    return next(model for model, entry in SETTINGS["models"].items() if entry["paper"] == paper)


def dataset_of(paper):
    """The dataset of the paper's first model: its sample figures and baselines are of this one."""
    return SETTINGS["models"][first_model(paper)]["dataset"]


def models_of(paper):
    return [model for model, entry in SETTINGS["models"].items() if entry["paper"] == paper]


def figure_files():
    return [
        f"{RUN}/{paper}/figures/{name}.{kind}"
        for paper in SETTINGS["papers"]
        for name in figure_names(paper)
        for kind in ("pdf", "png", "csv")
    ]


def conventions(paper, *more):
    """What of the paper's file decides its figures; a changed threshold redraws them."""
    keys = ("good_fraction", "snr_bins", "table4_mae", "table1", *more)
    return as_json(**{key: SETTINGS["papers"][paper].get(key) for key in keys})


def scorecard_files():
    return [f"{RUN}/{paper}/scorecard.csv" for paper in SETTINGS["papers"]]


def figure_inputs(needs, model):
    """(files that trigger the figure, what its command reads)."""
    dataset = SETTINGS["models"][model]["dataset"]
    if needs == "histories":
        folders = network_folders(model)
        return [f"{folder}/{name}" for folder in folders for name in ("model.json", "history.csv")], folders
    one = {
        "table": table_file(model),
        "targets": f"{RUN}/{dataset}/targets.parquet",
        "examples": f"{RUN}/{SETTINGS['models'][model]['paper']}/tables/examples.parquet",
    }[needs]
    return [one], [one]
