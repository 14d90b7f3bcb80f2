"""Read a figure's inputs, compute the numbers behind it, draw it, write it in every wanted format."""

from pathlib import Path

import pandas as pd

from resurvey import files, provenance
from resurvey.errors import ResurveyError
from resurvey.figures.inputs import Inputs
from resurvey.figures.registry import FIGURES, find
from resurvey.metrics.networks import Network, from_keras, is_model_folder, read_networks
from resurvey.metrics.paper import Paper, load_paper
from resurvey.metrics.tables import read_all

SUFFIXES = (".pdf", ".png", ".svg", ".csv")


def make(name: str, paths: list[str], outputs: list[str], paper: str) -> None:
    """Draw figure `name` from `paths` into `outputs`; .csv gets the numbers behind it. Raises ResurveyError."""
    module = find(name)
    wrong = [path for path in outputs if Path(path).suffix not in SUFFIXES]
    if wrong:
        raise ResurveyError(f"{wrong[0]}: a figure is written as {', '.join(SUFFIXES)}; choose one of these")
    inputs = read_inputs(name, paths, load_paper(paper))
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
    """The inputs that figure `name` needs, read from `paths`."""
    needs = FIGURES[name].needs
    if needs == "table":
        tables, _ = read_all(paths)
        if len(tables) != 1:
            models = ", ".join(t.model for t in tables) or "none"
            raise ResurveyError(
                f"{name} shows one model, these files hold {len(tables)} ({models}); give the files of one"
            )
        return Inputs(paper, tidy=tables[0], meta=tables[0].meta)
    if needs == "histories":
        networks = _networks(paths, paper)
        models = sorted({n.meta["model"] for n in networks if n.meta.get("model")})
        if len(models) > 1 and len({n.name for n in networks}) < len(networks):
            raise ResurveyError(
                f"{name} shows one model, these folders hold {', '.join(models)}; give the folder of one"
            )
        return Inputs(paper, networks=networks, meta=_network_meta(networks))
    table, metas = [], []
    for path in paths:
        table.append(files.read_table(path).to_pandas())
        metas.append((str(path), files.read_meta(path)))
    provenance.common_origin(metas)
    frame = pd.concat(table, ignore_index=True)
    wanted = {
        "targets": ["label", "z", "sn_median"],
        "examples": ["label", "spectrum_id", "z", "sn_median", "flux", "ivar"],
    }[needs]
    missing = [column for column in wanted if column not in frame]
    if missing:
        raise ResurveyError(f"{paths[0]}: {name} is drawn from {needs}, the file lacks {', '.join(missing)}")
    return Inputs(paper, **{needs: frame}, meta=metas[0][1])


def _networks(paths: list[str], paper: Paper) -> list[Network]:
    """Networks from folders of ours, or from the authors' Keras histories."""
    folders = [path for path in paths if is_model_folder(path)]
    networks = read_networks(folders) if folders else []
    others = [path for path in paths if path not in folders]
    if others:
        _, histories = read_all(others)
        if not histories:
            raise ResurveyError(
                f"{others[0]}: neither a folder of trained networks nor a training history (epoch, loss, val_loss)"
            )
        networks += from_keras(histories, paper.networks)
    return networks


def _network_meta(networks: list[Network]) -> dict:
    """Model, head and origin of the networks; a shared classifier does not change the name."""
    metas = [n.meta for n in networks if n.meta]
    if not metas:
        return {}
    origin = provenance.common_origin((n.name, n.meta) for n in networks if n.meta)
    main = next((n.meta for n in networks if n.role != "classifier" and n.meta), metas[0])
    release = main.get("release") or main.get("dataset")
    return {"origin": origin, "release": release, "model": main.get("model"), "head": main.get("head")}
