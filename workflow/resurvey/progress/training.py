"""How far trainings are: epochs of epochs, and seconds per epoch, from the history.csv that each writes after every epoch."""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

LAST = 5  # epochs whose seconds count


@dataclass(frozen=True)
class Training:
    """One network: epochs done and planned, seconds per epoch (None before the first is over), when the last one ended."""

    model: str
    network: str
    role: str
    epochs: int
    planned: int
    seconds: float | None
    last: float | None

    @property
    def left(self) -> int:
        return max(0, self.planned - self.epochs)


def read(settings: dict, model: str, network: str, output: str, root: str | os.PathLike, done: bool) -> Training:
    """The training whose outputs lie beside `output` (relative to `root`)."""
    entry = settings["models"][model]["networks"][network]
    path = Path(root, output).with_name("history.csv")
    seconds, last = [], None
    try:
        last = path.stat().st_mtime
        with open(path, newline="") as handle:
            seconds = [float(row["seconds"]) for row in csv.DictReader(handle)]
    except (OSError, KeyError, TypeError, ValueError):  # not begun, or of another version: nothing is known
        pass
    planned = entry["training"]["epochs"]
    return Training(
        model,
        network,
        entry["role"],
        planned if done else min(len(seconds), planned),
        planned,
        mean(seconds[-LAST:]) if seconds else None,
        last,
    )


def seconds_left(trainings: Sequence[Training], running: int) -> tuple[float, str] | None:
    """(seconds until all are trained with `running` at a time, what that is from), or None where no epoch is over yet.

    A network that has no epoch yet takes as long per epoch as its model's others of its role, else as all others.
    """
    known = [training for training in trainings if training.seconds is not None]
    open_ = [training for training in trainings if training.left]
    if not known or not open_ or not running:
        return None
    each = [training.left * _per_epoch(training, known) for training in open_]
    return max(sum(each) / min(running, len(each)), max(each)), f"seconds per epoch of {len(known)} networks"


def _per_epoch(training: Training, known: Sequence[Training]) -> float:
    if training.seconds is not None:
        return training.seconds
    alike = [other for other in known if (other.model, other.role) == (training.model, training.role)]
    return mean(other.seconds for other in alike or known)
