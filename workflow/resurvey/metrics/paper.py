"""What a paper's file says that scores and figures need: classes, thresholds, S/N ranges, Table 4, printed numbers."""

from dataclasses import dataclass

from resurvey import settings
from resurvey.errors import ResurveyError
from resurvey.metrics.classification import superclass


@dataclass(frozen=True)
class Paper:
    """The conventions and printed numbers of one paper; `networks`: name of the network of each class (and `classifier`)."""

    name: str
    title: str
    good_fraction: dict[str, float]
    snr_bins: list[float]
    val_mae: dict[str, float]
    expected: list[dict]
    figures: dict[str, dict]
    table1: dict[str, dict]
    labels: list[str]
    networks: dict[str, str]

    def threshold(self, label: str) -> float:
        """The limit on Bias below which a redshift of this class is good."""
        return self.good_fraction[superclass(label)]

    @property
    def redshift_labels(self) -> list[str]:
        """The classes that have redshifts, in the sample's order."""
        return [label for label in self.labels if superclass(label) in self.good_fraction]


def load_paper(name: str) -> Paper:
    """Read workflow/papers/{name}.yaml and the classes of the dataset of its first model. Raises ResurveyError."""
    names = settings.available("papers")
    if name not in names:
        raise ResurveyError(f"there is no paper {name!r}; {settings.nearest(name, names)}")
    path = settings.WORKFLOW / "papers" / f"{name}.yaml"
    data = settings.read_yaml(path)
    missing = [key for key in ("good_fraction", "snr_bins", "table4_mae", "expected") if key not in data]
    if missing:
        raise ResurveyError(f"{path}: scores need the keys {', '.join(missing)}")
    model = settings.overlay(data.get("defaults", {}), next(iter(data["models"].values())))
    dataset = settings.read_yaml(settings.WORKFLOW / "datasets" / f"{model['dataset']}.yaml")
    return Paper(
        name=name,
        title=data["title"],
        good_fraction=data["good_fraction"],
        snr_bins=data["snr_bins"],
        val_mae=data["table4_mae"],
        expected=data["expected"],
        figures=data.get("figures", {}),
        table1=data.get("table1", {}),
        labels=[entry["label"] for entry in dataset["classes"]],
        networks={n.get("class", "classifier"): k for k, n in model["networks"].items() if n["role"] != "point"},
    )
