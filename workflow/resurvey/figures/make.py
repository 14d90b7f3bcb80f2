"""Read a figure's inputs, compute the numbers behind it, draw it, write it in every wanted format."""

from pathlib import Path

from resurvey import files
from resurvey.errors import ResurveyError
from resurvey.figures import kinds
from resurvey.figures.inputs import Inputs
from resurvey.figures.registry import FIGURES, find, paper_of
from resurvey.metrics.paper import Paper, load_paper

SUFFIXES = (".pdf", ".png", ".svg", ".csv")


def make(name: str, paths: list[str], outputs: list[str], paper: str | None = None) -> None:
    """Draw figure `name` from `paths` into `outputs`; .csv gets the numbers behind it. Raises ResurveyError.

    paper: the one whose conventions count; None: that which lists the figure.
    """
    module = find(name)
    wrong = [path for path in outputs if Path(path).suffix not in SUFFIXES]
    if wrong:
        raise ResurveyError(f"{wrong[0]}: a figure is written as {', '.join(SUFFIXES)}; choose one of these")
    inputs = read_inputs(name, paths, load_paper(paper or paper_of(name)))
    inputs.paper = inputs.paper.of(inputs.meta.get("dataset")).grouped(inputs.meta.get("groups"))
    data = module.data(inputs)
    drawn = None
    for path in outputs:
        with files.atomic(path) as part:
            if part.suffix == ".csv":
                data.to_csv(part, index=False)
                continue
            if drawn is None:
                drawn = module.draw(data, {**inputs.meta, "paper": inputs.paper})
            drawn.savefig(part, metadata=_stamp(part.suffix, name, inputs.meta))


def _stamp(suffix: str, name: str, meta: dict) -> dict:
    """Title and origin in the file's own metadata; no date, so that equal inputs give equal files."""
    text = f"{FIGURES[name].title} ({meta.get('origin') or 'published predictions'})"
    return {".pdf": {"Title": text, "CreationDate": None}, ".svg": {"Title": text, "Date": None}}.get(
        suffix, {"Title": text}
    )


def read_inputs(name: str, paths: list[str], paper: Paper) -> Inputs:
    """The inputs that figure `name` is drawn from, read from `paths`. Raises ResurveyError when one is missing."""
    entry = FIGURES[name]
    given = kinds.sort(name, entry.kinds, paths, len(entry.kinds) - len(entry.helps))
    parts = [kinds.KINDS[kind].read(name, given[kind], paper) for kind in entry.kinds if kind in given]
    return parts[0] if len(parts) == 1 else kinds.merged(paper, parts)
