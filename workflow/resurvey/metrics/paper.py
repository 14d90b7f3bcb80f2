"""What a paper's file says that scores and figures need: conventions, printed numbers. A kind of paper is a class here."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from resurvey import settings
from resurvey.errors import ResurveyError
from resurvey.metrics.classification import superclass
from resurvey.metrics.label_curves import Bins


@dataclass(frozen=True)
class Paper(ABC):
    """The conventions and printed numbers of one paper. `kind`: its name in metrics/kinds.py; `labels`: the classes or the labels
    of its first model's dataset, in their order; `expected`: one entry {of, class, printed, source, …} per printed number."""

    kind: ClassVar[str]
    name: str
    title: str
    expected: list[dict]
    figures: dict[str, dict]
    labels: list[str]

    @abstractmethod
    def printed(self, model: str, meta: dict) -> dict[tuple[str, str], dict]:
        """The printed numbers to stand beside those of a model, by (quantity, class); `meta`: what its tables say of it."""

    def baseline(self, quantity: str) -> str:
        """The name of a quantity among the baselines' scores."""
        return quantity

    def of(self, dataset: str | None) -> Self:
        """The paper as it speaks of one of its samples."""
        return self

    def grouped(self, groups: dict[str, list[str]] | None) -> Self:
        """The paper as it speaks of a model with classes of its own, {class: the dataset's classes}; None: of another."""
        return replace(self, labels=list(groups)) if groups else self


@dataclass(frozen=True)
class RedshiftPaper(Paper):
    """A paper on classes and redshifts, as it speaks of one sample: `dataset`, with its classes and the numbers printed of it;
    `networks`: name of the network of each class (and `classifier`)."""

    kind: ClassVar[str] = "redshift"
    dataset: str
    good_fraction: dict[str, float]
    snr_bins: list[float]
    val_mae: dict[str, float]
    table1: dict[str, dict]
    networks: dict[str, str]

    @classmethod
    def read(cls, common: dict, data: dict, dataset: dict, model: dict, path: Path) -> Self:
        """From the content of the paper's and its dataset's files. Raises ResurveyError naming keys that lack."""
        _require(data, ("good_fraction", "snr_bins", "table4_mae"), path)
        first = _models(data)[0]["dataset"]
        expected = [entry for entry in common["expected"] if entry.get("dataset", first) == model["dataset"]]
        return cls(
            **{**common, "expected": expected},
            dataset=model["dataset"],
            labels=[entry["label"] for entry in dataset["classes"]],
            good_fraction=data["good_fraction"],
            snr_bins=data["snr_bins"],
            val_mae=data["table4_mae"],
            table1=data.get("table1", {}),
            networks={n.get("class", "classifier"): k for k, n in model["networks"].items() if n["role"] != "point"},
        )

    def of(self, dataset: str | None) -> Self:
        """The paper on another of its samples; on this one where the paper has no model of that one."""
        return self if dataset in (None, self.dataset) else load_paper(self.name, dataset)

    def threshold(self, label: str) -> float:
        """The limit on Bias below which a redshift of this class is good."""
        return self.good_fraction[superclass(label)]

    @property
    def redshift_labels(self) -> list[str]:
        """The classes that have redshifts, in the sample's order."""
        return [label for label in self.labels if superclass(label) in self.good_fraction]

    def printed(self, model: str, meta: dict) -> dict[tuple[str, str], dict]:
        """All of them for every model; not the losses for the head over bins, whose loss is a cross-entropy and the paper's is not.

        Numbers of a model by its name are its own; a model with classes of its own has no others.
        """
        found = {
            (e["of"], e["class"]): e
            for e in self.expected
            if (e["model"] == model if "model" in e else not meta.get("groups"))
        }
        if meta.get("head") == "bins":
            found = {key: e for key, e in found.items() if key[0] != "val_loss" or key[1] == "classifier"}
        return found

    def baseline(self, quantity: str) -> str:
        """Baselines know the true class, the chain does not."""
        if quantity.startswith(("average", "accuracy")):
            return quantity
        return quantity.removeprefix("mc_").removeprefix("point_")


@dataclass(frozen=True)
class LabelPaper(Paper):
    """A paper on continuous labels. bins: those of its figures by what is binned (`teff, logg, abundance, sn, sn_wide`); mae_at_sn:
    [low, high) of the S/N at which its self-consistency is printed; clusters, open_clusters: names; mg_al: that of the Al–Mg test."""

    kind: ClassVar[str] = "labels"
    models: list[str]
    bins: dict[str, Bins]
    mae_at_sn: tuple[float, float]
    clusters: list[str]
    open_clusters: list[str]
    mg_al: str

    @classmethod
    def read(cls, common: dict, data: dict, dataset: dict, model: dict, path: Path) -> Self:
        """From the content of the paper's and its dataset's files. Raises ResurveyError naming keys that lack."""
        _require(data, ("measures",), path)
        measures = data["measures"]
        return cls(
            **common,
            labels=list(dataset["labels"]),
            models=list(data["models"]),
            bins={name: Bins(**entry) for name, entry in measures["bins"].items()},
            mae_at_sn=tuple(measures["mae_at_sn"]),
            clusters=measures["clusters"],
            open_clusters=measures["open_clusters"],
            mg_al=measures["mg_al"],
        )

    def printed(self, model: str, meta: dict) -> dict[tuple[str, str], dict]:
        """Those of this model; beside a table of a model that the paper does not know stand those of its first."""
        model = model if model in self.models else self.models[0]
        return {(e["of"], e["class"]): e for e in self.expected if e.get("model", model) == model}


PAPERS = {paper.kind: paper for paper in (RedshiftPaper, LabelPaper)}


def load_paper(name: str, dataset: str | None = None) -> RedshiftPaper | LabelPaper:
    """Read workflow/papers/{name}.yaml and the dataset of its first model, or of the first that is of `dataset`. Raises ResurveyError."""
    names = settings.available("papers")
    if name not in names:
        raise ResurveyError(f"there is no paper {name!r}; {settings.nearest(name, names)}")
    path = settings.WORKFLOW / "papers" / f"{name}.yaml"
    data = settings.read_yaml(path)
    _require(data, ("expected",), path)
    models = _models(data)
    model = next((entry for entry in models if entry["dataset"] == dataset), models[0])
    sample = settings.read_yaml(settings.WORKFLOW / "datasets" / f"{model['dataset']}.yaml")
    common = {
        "name": name,
        "title": data["title"],
        "expected": _rows(data["expected"]),
        "figures": data.get("figures", {}),
    }
    kind = "labels" if settings.predicts_labels(model) else "redshift"
    return PAPERS[kind].read(common, data, sample, model, path)


def _models(data: dict) -> list[dict]:
    """The models of a paper's file, each complete."""
    return [settings.overlay(data.get("defaults", {}), entry) for entry in data["models"].values()]


def _rows(expected: list[dict]) -> list[dict]:
    """One entry per printed number: an entry with a list of quantities and {class: [a number of each]} is taken apart."""
    rows = []
    for entry in expected:
        if isinstance(entry["printed"], str):
            rows.append(entry)
            continue
        shared = {key: value for key, value in entry.items() if key not in ("of", "printed")}
        for label, numbers in entry["printed"].items():
            if len(numbers) != len(entry["of"]):
                raise ResurveyError(
                    f"expected: {', '.join(entry['of'])} of {label} ({entry['source']}): {len(numbers)} numbers are given"
                )
            rows += [
                {**shared, "of": of, "class": label, "printed": text}
                for of, text in zip(entry["of"], numbers, strict=True)
            ]
    return rows


def _require(data: dict, keys: tuple[str, ...], path: Path) -> None:
    missing = [key for key in keys if key not in data]
    if missing:
        raise ResurveyError(f"{path}: scores need the keys {', '.join(missing)}")
