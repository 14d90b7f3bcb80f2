"""Where the products of a run are: the path grammar of docs/architecture.md in one place, for the rules and for `resurvey progress`."""

from resurvey.settings import predicts_labels


class Paths:
    """The files of one run, from its resolved settings; paths are relative to the working directory."""

    def __init__(self, settings: dict) -> None:
        self.settings = settings
        self.run = f"results/{settings['run']}"
        self.logs = f"logs/{settings['run']}"
        self.resources = f"resources/{settings['archive']['name']}"

    def mock_truth(self, release: str) -> str | None:
        """The last file of the mock survey of a release, where one is made first."""
        archive = self.settings["archive"]
        return f"{archive['root']}/truth/{release}.parquet" if archive["kind"] == "mock" else None

    def extras_file(self, release: str) -> str:
        """The list of the small tables that lie beside it."""
        return f"{self.resources}/{release}/extras/extras.json"

    def master_catalogue(self, release: str) -> str:
        return f"{self.resources}/{release}/catalogue.parquet"

    def targets_file(self, dataset: str) -> str:
        return f"{self.run}/{dataset}/targets.parquet"

    def plan_file(self, dataset: str) -> str:
        return f"{self.run}/{dataset}/plan.parquet"

    def n_shards(self, dataset: str) -> int:
        return self.settings["datasets"][dataset]["shards"]

    def shard_names(self, dataset: str) -> list[str]:
        return [f"{number:04d}" for number in range(self.n_shards(dataset))]

    def download_file(self, dataset: str, shard: str) -> str:
        return f"{self.run}/{dataset}/downloads/{shard}.parquet"

    def shard_file(self, dataset: str, shard: str) -> str:
        return f"{self.run}/{dataset}/shards/{shard}.parquet"

    def shard_files(self, dataset: str) -> list[str]:
        return [self.shard_file(dataset, shard) for shard in self.shard_names(dataset)]

    def verified(self, dataset: str) -> str:
        """The table that says that all shards of the dataset are there: what reads them all waits for this one file."""
        return f"{self.run}/{dataset}/shards.csv"

    def read_apart(self, dataset: str) -> bool:
        """Whether what is in the sample is only known when spectra are read: some are drawn to spare, for a cut on their S/N."""
        return "spare" in self.settings["datasets"][dataset]

    def sample_file(self, dataset: str) -> str:
        """What figures of the sample are drawn from: the selection, or the rows of it that were read where these are known later."""
        return f"{self.run}/{dataset}/sample.parquet" if self.read_apart(dataset) else self.targets_file(dataset)

    def network_homes(self, model: str) -> dict[str, str]:
        """{network: the model in whose folder it lives}."""
        shares = self.settings["models"][model].get("shares", {})
        return {network: shares.get(network, model) for network in self.settings["models"][model]["networks"]}

    def network_folders(self, model: str) -> list[str]:
        return [f"{self.run}/models/{home}/{network}" for network, home in self.network_homes(model).items()]

    def network_files(self, model: str) -> list[str]:
        """model.json of each network; it holds the digest of the weights beside it, which come from the same job."""
        return [f"{folder}/model.json" for folder in self.network_folders(model)]

    def prediction_file(self, model: str, dataset: str, shard: str) -> str:
        return f"{self.run}/{dataset}/predictions/{model}/{shard}.parquet"

    def prediction_files(self, model: str, dataset: str) -> list[str]:
        return [self.prediction_file(model, dataset, shard) for shard in self.shard_names(dataset)]

    def calibrated_models(self) -> list[str]:
        """Those whose redshift errors are calibrated; label networks give their own."""
        return [name for name, entry in self.settings["models"].items() if not predicts_labels(entry)]

    def calibration_file(self, model: str) -> str:
        return f"{self.run}/models/{model}/calibration.json"

    def catalogue_file(self, model: str, dataset: str, kind: str) -> str:
        return f"{self.run}/{dataset}/catalogues/{model}.{kind}"

    def catalogue_files(self) -> list[str]:
        return [
            self.catalogue_file(model, dataset, kind)
            for model, dataset in self.settings["apply"]
            for kind in ("parquet", "fits")
        ]

    def table_file(self, model: str) -> str:
        return f"{self.run}/{self.settings['models'][model]['paper']}/tables/{model}.parquet"

    def examples_file(self, paper: str, dataset: str) -> str:
        return f"{self.run}/{paper}/tables/examples_{dataset}.parquet"

    def pairs_file(self, paper: str) -> str:
        """Spectra of two classes at the same redshifts."""
        return f"{self.run}/{paper}/tables/pairs.parquet"

    def star_file(self, paper: str) -> str:
        """One star's spectrum in each dataset of the paper."""
        return f"{self.run}/{paper}/tables/example_star.parquet"

    def sensitivity_file(self, model: str) -> str:
        """How much each pixel moves each label of a model."""
        return f"{self.run}/{self.settings['models'][model]['paper']}/tables/sensitivity_{model}.parquet"

    def gradients_file(self, model: str) -> str:
        """Which pixels of its dataset's example spectra decide the class and the redshift that a model gives them."""
        return f"{self.run}/{self.settings['models'][model]['paper']}/tables/gradients_{model}.parquet"

    def baselines_file(self, paper: str, dataset: str) -> str:
        """What needs no network, on one of the paper's datasets."""
        return f"{self.run}/{paper}/tables/baselines_{dataset}.json"

    def models_of(self, paper: str) -> list[str]:
        return [model for model, entry in self.settings["models"].items() if entry["paper"] == paper]

    def first_model(self, paper: str) -> str:
        return self.models_of(paper)[0]

    def dataset_of(self, paper: str) -> str:
        """The dataset of the paper's first model."""
        return self.settings["models"][self.first_model(paper)]["dataset"]

    def datasets_of(self, paper: str) -> list[str]:
        """The datasets of the paper's models, that of the first one first."""
        return list(dict.fromkeys(self.settings["models"][model]["dataset"] for model in self.models_of(paper)))

    def figure_names(self, paper: str) -> list[str]:
        """Figures of a paper whose model this run has; sample figures belong to the paper's first model."""
        figures = self.settings["papers"][paper]["figures"]
        first = self.first_model(paper)
        return [name for name, entry in figures.items() if entry.get("model", first) in self.settings["models"]]

    def figure_models(self, paper: str, figure: str) -> list[str]:
        """The model that a figure shows, and those beside it, as far as this run has them."""
        entry = self.settings["papers"][paper]["figures"][figure]
        wanted = [entry.get("model", self.first_model(paper)), *entry.get("beside", [])]
        return [model for model in wanted if model in self.settings["models"]]

    def figure_file(self, paper: str, figure: str, kind: str) -> str:
        return f"{self.run}/{paper}/figures/{figure}.{kind}"

    def figure_files(self) -> list[str]:
        return [
            self.figure_file(paper, name, kind)
            for paper in self.settings["papers"]
            for name in self.figure_names(paper)
            for kind in ("pdf", "png", "csv")
        ]

    def scorecard_file(self, paper: str) -> str:
        return f"{self.run}/{paper}/scorecard.csv"

    def scorecard_files(self) -> list[str]:
        return [self.scorecard_file(paper) for paper in self.settings["papers"]]

    def assessed_models(self, name: str, paper: str) -> list[str]:
        """The models of a paper that an assessment is of."""
        return [model for model in self.settings["assess"][name]["models"] if model in self.models_of(paper)]

    def assessment_folder(self, paper: str, name: str) -> str:
        """A model of the paper on labelled spectra that are no part of its dataset."""
        return f"{self.run}/{paper}/assessment_{name}"

    def assessments(self) -> list[tuple[str, str]]:
        """(paper, name) of all that are asked for."""
        return [
            (paper, name)
            for paper in self.settings["papers"]
            for name in self.settings["assess"]
            if self.assessed_models(name, paper)
        ]

    def assessment_files(self, paper: str, name: str) -> list[str]:
        """Its figures, its tables, and what is written last."""
        checked = ["labels.png", "labels.csv"] if self.settings["assess"][name]["templates"] else []
        beside = ["mocks.png", "mocks.csv"] if self.settings["archive"]["origin"] == "mock" else []
        names = ["overview.png", "worst.png", *checked, *beside]
        tables = [f"{table}.csv" for table in ("classes", "redshifts", "sn", "worst", "unused")]
        return [
            f"{self.assessment_folder(paper, name)}/{file}"
            for file in (*names, *tables, "rows.parquet", "assessment.json")
        ]

    def report_file(self) -> str:
        return f"{self.run}/report.html"
