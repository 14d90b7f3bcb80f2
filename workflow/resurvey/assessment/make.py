"""An assessment: predictions of labelled spectra by some models, their tables and figures in one folder."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from resurvey import __version__, files
from resurvey.assessment import spectra
from resurvey.commands import predict
from resurvey.errors import ResurveyError
from resurvey.figures import assessment as overview
from resurvey.figures import likeness as beside
from resurvey.figures import single_spectra
from resurvey.inference.own import expand, find_model
from resurvey.metrics import assessment, likeness
from resurvey.shards.grid import Grid
from resurvey.shards.reading import iterate, metadata
from resurvey.simulate.templates import libraries

SUSPECT = 50.0  # by this χ² must our class and redshift fit better for a label to be listed
MOCKS = 30000  # mock spectra, of all shards together, among which partners are looked for
KEPT = ["spectrum_id", "set", "true", "z_true", "class", "class_prob", "z_ours", "off", "sn_median"]
COUNTED = 2000  # real spectra of each class that are set beside mocks


@dataclass(frozen=True)
class Asked:
    """What the command was asked for; see its help."""

    files: Sequence[str]
    models: Sequence[str]
    out: str
    labels: str | None = None
    templates: str | None = None
    mocks: Sequence[str] | None = None
    engine: str = "auto"
    threads: int = 1


def assess(asked: Asked) -> str:
    """Write the folder `out`; returns its tables as text.

    {model}.parquet and {model}.rejected.parquet: as `resurvey predict` writes them; rows.parquet: with labels; classes.csv,
    redshifts.csv, sn.csv, worst.csv; labels.csv: labels that look wrong, where templates are given; unused.csv: labels without a prediction;
    overview.png, worst.png, labels.png; mocks.png and mocks.csv where mocks are given; assessment.json, last. No label is dropped.
    Raises ResurveyError for labels, models or files that do not fit together.
    """
    paths, out = expand(asked.files), Path(asked.out)
    given = assessment.read_labels(asked.labels) if asked.labels else None
    abouts = [about(model) for model in asked.models]
    names = [one["model"] for one in abouts]
    if len(set(names)) < len(names):
        raise ResurveyError(f"--model: {', '.join(names)}: two have one name; give models of different names")
    if asked.mocks:
        _check_mocks(asked.mocks, abouts[0])
    library = libraries.load(asked.templates) if asked.templates else None
    rows, unused = {}, []
    for model, one in zip(asked.models, abouts, strict=True):
        table, lost = _rows(asked, model, one, given, out)
        rows[one["model"]] = table
        unused.append(lost)
    tables = {
        "classes": _beside({name: assessment.class_table(table) for name, table in rows.items()}),
        "redshifts": _beside({name: assessment.redshift_table(table) for name, table in rows.items()}),
        "sn": _beside({name: assessment.sn_table(table) for name, table in rows.items()}),
        "worst": _beside({name: _listed(assessment.worst(table)) for name, table in rows.items()}),
        "unused": pd.concat(unused, ignore_index=True),
    }
    first = rows[names[0]]
    bad = assessment.worst(first)
    drawn = spectra.as_they_are(paths, set(bad["spectrum_id"]))
    if library is not None:
        suspects = spectra.at_label(bad, drawn, library)
        suspects = suspects[suspects["better"] > SUSPECT]
        tables["labels"] = suspects[[*KEPT, "better", "pixels"]]
        _save(single_spectra.draw(suspects, drawn, "Labels that look wrong"), out / "labels.png")
    words = f"{len(first)} labelled spectra; {names[0]} was trained on {abouts[0]['origin']} spectra"
    _save(overview.draw(rows, words), out / "overview.png")
    _save(single_spectra.draw(bad, drawn, "Wrong classes and redshift outliers"), out / "worst.png")
    if asked.mocks:
        tables["mocks"] = _mocks(asked, paths, first, abouts[0], out)
    for name, table in tables.items():
        _write(table, out / f"{name}.csv")
    whole = pd.concat([table.assign(model=name) for name, table in rows.items()], ignore_index=True)
    with files.atomic(out / "rows.parquet") as part:
        whole.to_parquet(part)
    said = {"models": names, "spectra": len(first), "files": len(paths), "labels": asked.labels, "templates": asked.templates, "code_version": __version__}  # fmt: skip
    files.write_json(said, out / PRODUCT)
    shown = [f"{name}\n\n{assessment.markdown(tables[name])}\n" for name in ("classes", "redshifts", "sn", "worst")]
    shown += [f"labels that look wrong\n\n{assessment.markdown(tables['labels'])}\n"] if "labels" in tables else []
    return "\n".join(
        [*shown, f"{out}: {len(first)} labelled spectra, {len(tables['unused'])} labels without a prediction"]
    )


PRODUCT = "assessment.json"


def about(model: str) -> dict:
    """A model.json of a model's. Raises ResurveyError where there is no such model, or it gives no classes."""
    folder, name = find_model(model)
    found = [files.read_json(path) for path in sorted((folder / name).rglob("model.json"))]
    if any(one.get("labels") for one in found):
        raise ResurveyError(
            f"--model {model}: gives stellar labels; assessed are models that give star, galaxy or quasar"
        )
    heads = [one["architecture"]["head"]["kind"] for one in found if one["role"] == "redshift"]
    return {**found[0], "model": name, "refinable": bool(heads) and all(kind == "bins" for kind in heads)}


def _rows(
    asked: Asked, model: str, one: dict, given: pd.DataFrame | None, out: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(rows of the labels that a model predicts, `model, spectrum_id, reason` of the others)."""
    table = out / f"{one['model']}.parquet"
    refine = asked.templates if one["refinable"] else None
    options = {"engine": asked.engine, "passes": None, "velocity": None, "refine": refine, "threads": asked.threads}
    if predict.run(argparse.Namespace(files=asked.files, model=model, out=str(table), **options)):
        reasons = files.read_table(table.with_suffix(".rejected.parquet"))["reason"].to_pylist()
        raise ResurveyError(f"none of the spectra can be used; the first: {reasons[0] if reasons else 'there is none'}")
    predictions = files.read_table(table).to_pandas()
    refused = files.read_table(table.with_suffix(".rejected.parquet")).to_pandas()
    labels = assessment.own_labels(predictions) if given is None else given
    found = assessment.labelled(labels, predictions)
    lost = labels[~labels["spectrum_id"].isin(found["spectrum_id"])]
    known = dict(zip(refused["spectrum_id"], refused["reason"], strict=True))
    reasons = [known.get(name, "is in none of the files") for name in lost["spectrum_id"]]
    lost = pd.DataFrame({"model": one["model"], "spectrum_id": lost["spectrum_id"], "reason": reasons})
    return found, lost


def _beside(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The tables of all models below each other."""
    tables = [table.assign(model=name)[["model", *table.columns]] for name, table in parts.items()]
    return pd.concat(tables, ignore_index=True)


def _listed(table: pd.DataFrame) -> pd.DataFrame:
    return table[[name for name in [*KEPT, "chi2", "dchi2"] if name in table]]


def _check_mocks(shards: Sequence[str], one: dict) -> None:
    """Raises ResurveyError for shards that a model's real spectra cannot be compared with."""
    said = metadata(shards)
    if said["grid"] != one["grid"]:
        raise ResurveyError(
            f"--mocks: are on another grid than {one['model']}; give shards of the dataset that it is trained on"
        )
    if said["origin"] != "mock":
        raise ResurveyError(f"--mocks {shards[0]}: is of real spectra")


def _mocks(asked: Asked, paths: list[Path], rows: pd.DataFrame, one: dict, out: Path) -> pd.DataFrame:
    """Draw the mock spectra beside the real ones; the numbers of it."""
    counted = rows[rows["sn_median"].astype(float) > 0].groupby("true").head(COUNTED)
    seen = spectra.on_grid(paths, one, set(counted["spectrum_id"]), one["grid"]["pixels"])
    place = counted.set_index("spectrum_id").loc[seen.spectrum_id]
    z = np.where(place["true"] == "STAR", 0.0, place["z_true"].to_numpy(float))
    real = likeness.Sample(seen.flux, seen.ivar, place["true"].to_numpy(), z, place["sn_median"].to_numpy(float))
    data = likeness.compare(real, read_mocks(asked.mocks), Grid.from_settings(one["grid"]).wavelength)
    left = len(rows) - len(real.sn)
    words = f"mock: {metadata(asked.mocks)['release']}; real: {len(real.sn)} labelled spectra, {left} more without errors or S/N left out"
    _save(beside.draw(data, words), out / "mocks.png")
    return data


def read_mocks(shards: Sequence[str]) -> likeness.Sample:
    """At most MOCKS spectra, as many of each shard."""
    parts, each = [], -(-MOCKS // len(shards))
    for shard in shards:
        left = each
        for batch in iterate(shard, columns=["label", "z", "sn_median", "flux", "ivar"]):
            rows = batch.table.slice(0, left).to_pandas()
            take = len(rows)
            z, sn = (rows[name].to_numpy(float) for name in ("z", "sn_median"))
            label = rows["label"].str.split("_").str[0].to_numpy()
            parts.append(
                likeness.Sample(batch.flux[:take].copy(), batch.ivar[:take].copy(), label, np.nan_to_num(z), sn)
            )
            left -= take
            if left <= 0:
                break
    return likeness.Sample(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("flux", "ivar", "label", "z", "sn"))
    )


def _write(table: pd.DataFrame, path: Path) -> None:
    with files.atomic(path) as part:
        table.to_csv(part, index=False)


def _save(figure, path: Path) -> None:
    with files.atomic(path) as part:
        figure.savefig(part, dpi=150, metadata={"Title": json.dumps(path.stem)})
