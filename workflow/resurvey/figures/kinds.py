"""The kinds of files that figures are drawn from: how a file of each is told from others and read. A new kind is a row here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from resurvey import files, provenance
from resurvey.errors import ResurveyError
from resurvey.figures.inputs import Inputs
from resurvey.metrics.networks import Network, from_keras, is_model_folder, read_networks
from resurvey.metrics.paper import Paper
from resurvey.metrics.tables import read_all


@dataclass(frozen=True)
class Kind:
    """words: what the file is; read: (figure, paths, paper) to Inputs with this kind only; told: whether a path is of it."""

    words: str
    read: Callable[[str, list[str], Paper], Inputs]
    told: Callable[[Path], bool]


def sort(name: str, kinds: tuple[str, ...], paths: list[str], needed: int) -> dict[str, list[str]]:
    """Which of `paths` is of which kind; the first `needed` kinds must be there. Raises ResurveyError naming what is missing.

    A figure of one kind takes all paths, so that the reader says what is wrong with a file.
    """
    if len(kinds) == 1:
        return {kinds[0]: list(paths)}
    given: dict[str, list[str]] = {}
    for path in paths:
        own = next((kind for kind in kinds if KINDS[kind].told(Path(path))), None)
        if own is None:
            exists = "" if Path(path).exists() else " (it does not exist)"
            wanted = "; ".join(KINDS[kind].words for kind in kinds)
            raise ResurveyError(f"{path}{exists}: {name} is not drawn from such a file, it takes: {wanted}")
        given.setdefault(own, []).append(path)
    missing = [KINDS[kind].words for kind in kinds[:needed] if kind not in given]
    if missing:
        raise ResurveyError(f"{name} needs also: {'; '.join(missing)}; name it after --predictions")
    return given


def merged(paper: Paper, parts: list[Inputs]) -> Inputs:
    """The inputs of several kinds as one. Raises ResurveyError when real and mock ones are mixed."""
    result = Inputs(paper)
    origins = [(str(number), part.meta) for number, part in enumerate(parts) if part.meta.get("origin")]
    if origins:
        provenance.common_origin(origins)
    for part in parts:
        for key, value in vars(part).items():
            given = len(value) > 0 if isinstance(value, list | dict) else value is not None
            if given and key not in ("paper", "meta"):
                setattr(result, key, value)
        result.meta = {**part.meta, **{key: value for key, value in result.meta.items() if value is not None}}
    return result


def _table(name: str, paths: list[str], paper: Paper) -> Inputs:
    tables, _ = read_all(paths)
    if len(tables) != 1:
        models = ", ".join(t.model for t in tables) or "none"
        raise ResurveyError(f"{name} shows one model, these files hold {len(tables)} ({models}); give the files of one")
    return Inputs(paper, tidy=tables[0], meta=tables[0].meta)


def _tables(name: str, paths: list[str], paper: Paper) -> Inputs:
    tables, _ = read_all(paths)
    says = [(table.model, table.meta) for table in tables if table.meta.get("origin")]
    if says:
        provenance.common_origin(says)
    return Inputs(paper, tables=tables, meta=tables[0].meta)


def _histories(name: str, paths: list[str], paper: Paper) -> Inputs:
    networks = _networks(paths, paper)
    models = sorted({n.meta["model"] for n in networks if n.meta.get("model")})
    if len(models) > 1 and len({n.name for n in networks}) < len(networks):
        raise ResurveyError(f"{name} shows one model, these folders hold {', '.join(models)}; give the folder of one")
    return Inputs(paper, networks=networks, meta=_network_meta(networks))


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
    keys = (
        ("model", "dataset") if main.get("labels") else ("model", "head", "dataset")
    )  # of labels there is one kind of head
    return {"origin": origin, "release": release, **{key: main.get(key) for key in keys}}


def _label_table(name: str, paths: list[str], paper: Paper) -> Inputs:
    if len(paths) != 1:
        raise ResurveyError(f"{name} shows one model, {len(paths)} tables of labels were given; give one")
    return _label_tables(name, paths, paper)


def _label_tables(name: str, paths: list[str], paper: Paper) -> Inputs:
    from resurvey.metrics.label_tables import read_label_table

    tables = [read_label_table(path) for path in paths]
    says = [(path, table.meta) for path, table in zip(paths, tables, strict=True) if table.meta.get("origin")]
    if says:
        provenance.common_origin(says)
    return Inputs(paper, label_tables=tables, meta=tables[0].meta)


def _frame(field: str, columns: tuple[str, ...] = (), keep_meta: str | None = None) -> Callable:
    """A reader of Parquet tables that go into one field of Inputs."""

    def read(name: str, paths: list[str], paper: Paper) -> Inputs:
        tables, metas = [], []
        for path in paths:
            tables.append(files.read_table(path).to_pandas())
            metas.append((str(path), files.read_meta(path)))
        provenance.common_origin(metas)
        frame = pd.concat(tables, ignore_index=True)
        missing = [column for column in columns if column not in frame]
        if missing:
            raise ResurveyError(f"{paths[0]}: {name} is drawn from {field}, the file lacks {', '.join(missing)}")
        more = {keep_meta: metas[0][1]} if keep_meta else {}
        return Inputs(paper, **{field: frame}, **more, meta=metas[0][1])

    return read


def _extras(name: str, paths: list[str], paper: Paper) -> Inputs:
    path = Path(paths[-1])
    about = files.read_json(path)
    return Inputs(paper, extras=path, meta={key: about.get(key) for key in ("origin", "release")})


def _has(*columns: str) -> Callable[[Path], bool]:
    """Whether a path is a Parquet file with these columns."""

    def told(path: Path) -> bool:
        if path.suffix != ".parquet" or not path.is_file():
            return False
        return set(columns) <= set(files.open_parquet(path).schema_arrow.names)

    return told


def _is_label_table(path: Path) -> bool:
    if path.suffix == ".parquet" and path.is_file():
        return any(name.endswith(("_pred", "_total")) for name in files.open_parquet(path).schema_arrow.names)
    return path.is_file() and path.name.endswith((".fits", ".fits.gz", ".csv"))


KINDS = {
    "table": Kind("a tidy table, a catalogue or published predictions", _table, _has("z_pred")),
    "tables": Kind("tidy tables of several models", _tables, _has("z_pred")),
    "gradients": Kind("the gradients of a model's outputs", _frame("gradients", ("label", "flux", "p_gradient", "z_gradient"), "gradients_meta"), _has("p_gradient")),
    "targets": Kind("targets.parquet", _frame("targets", ("label", "z", "sn_median")), _has("label", "z", "shard")),
    "label_targets": Kind("targets.parquet of stars with labels", _frame("targets", ("spectrum_id", "split")), _has("apogee_id", "split", "shard")),
    "examples": Kind("examples.parquet", _frame("examples", ("label", "spectrum_id", "z", "sn_median", "flux", "ivar")), _has("label", "flux", "z")),
    "pairs": Kind("pairs.parquet", _frame("pairs", ("at", "label", "spectrum_id", "z", "flux", "ivar")), _has("at", "flux", "ivar")),
    "histories": Kind("a folder of trained networks", _histories, is_model_folder),
    "label_table": Kind("a table of predicted labels of one model", _label_table, _is_label_table),
    "label_tables": Kind("tables of predicted labels, one per model", _label_tables, _is_label_table),
    "star": Kind("example_star.parquet", _frame("star", ("spectrum_id", "method", "sn_median", "flux", "ivar"), "star_meta"), _has("method", "flux")),
    "sensitivity": Kind("the sensitivities of one network", _frame("sensitivity", keep_meta="sensitivity_meta"), _has("group", "label", "pixel", "mean")),
    "extras": Kind("extras.json, the list of the release's small tables", _extras, lambda path: path.suffix == ".json"),
}  # fmt: skip
