"""The kinds of papers, by what their models predict: how each's catalogues are evaluated, its tables read and scored."""

from collections.abc import Callable
from dataclasses import dataclass

from resurvey.catalogues.columns import classes_of
from resurvey.catalogues.labels import labels_of
from resurvey.errors import ResurveyError
from resurvey.metrics import baselines, chain, label_baselines, label_chain, label_scores, label_tables, scores, tables
from resurvey.metrics.evaluate import Plan
from resurvey.metrics.scores import Score


@dataclass(frozen=True)
class Kind:
    """One kind of paper.

    labels(names): what catalogues with these columns predict, [] where they are of another kind. evaluation(catalogue, meta): the
    plan of its tidy table. read_all(paths): (tables, one per model; foreign training histories). scores(table, paper) and
    network_scores(networks): {(quantity, class): Score}. without_scores(table, paper): {file, n, reason} of rows in no measure.
    baselines(shards, paper, seed): what needs no network. with_truth(table, path): truth from another file, None where tables
    always hold it. measured, anchors: the terminal's table (scorecard.py); beside(quantity): whether the terminal shows a quantity
    that the paper does not print beside the baselines.
    """

    labels: Callable[[list[str]], list[str]]
    evaluation: Callable[[str, dict], Plan]
    read_all: Callable[[list], tuple[list, dict]]
    scores: Callable[..., dict[tuple[str, str], Score]]
    network_scores: Callable[[list], dict[tuple[str, str], Score]]
    without_scores: Callable[..., list[dict]]
    baselines: Callable[..., dict]
    with_truth: Callable[..., object] | None
    measured: Callable[[list[dict]], list[tuple[str, str, int]]]
    anchors: tuple[str, ...]
    beside: Callable[[str], bool]


KINDS = {
    "redshift": Kind(
        labels=lambda names: classes_of(names)[0],
        evaluation=chain.evaluation,
        read_all=tables.read_all,
        scores=scores.all_scores,
        network_scores=scores.validation_scores,
        without_scores=scores.without_scores,
        baselines=baselines.of_shards,
        with_truth=None,
        measured=scores.measured,
        anchors=scores.ANCHORS,
        beside=lambda quantity: True,
    ),
    "labels": Kind(
        labels=labels_of,
        evaluation=label_chain.evaluation,
        read_all=label_tables.read_all,
        scores=label_scores.all_scores,
        network_scores=label_scores.network_scores,
        without_scores=label_scores.without_scores,
        baselines=label_baselines.of_shards,
        with_truth=label_tables.with_truth,
        measured=label_scores.measured,
        anchors=label_scores.ANCHORS,
        beside=lambda quantity: quantity == "test_sigma_mad",
    ),
}


def kind_of_table(names: list[str]) -> Kind:
    """The kind of a catalogue with these columns. Raises ResurveyError when it is none."""
    for kind in KINDS.values():
        if kind.labels(names):
            return kind
    raise ResurveyError(
        f"no catalogue of ours: neither classes (prob_…) nor labels (…_total) are in it; it has {', '.join(names[:20])}"
    )
