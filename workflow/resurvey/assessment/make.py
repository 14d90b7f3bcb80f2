"""An assessment: predictions of labelled spectra by some models, their tables and figures in one folder."""

import argparse
from collections.abc import Callable, Sequence
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
MOCKS = 12000  # mock spectra, of all shards together, among which partners are looked for
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
    models = _models(asked)
    library = libraries.load(asked.templates) if asked.templates else None
    rows, unused = {}, []
    for name, one in models.items():
        rows[name], lost = _rows(asked, one, given, out)
        unused.append(lost)
    measures = {"classes": assessment.class_table, "redshifts": assessment.redshift_table, "sn": assessment.sn_table, "worst": _worst}  # fmt: skip
    tables = {what: _beside(rows, measure) for what, measure in measures.items()}
    tables["unused"] = pd.concat(unused, ignore_index=True)
    tables |= _pictures(asked, paths, rows, next(iter(models.values())), library)
    for what, table in tables.items():
        _write(table, out / f"{what}.csv")
    with files.atomic(out / "rows.parquet") as part:
        _beside(rows, lambda table: table).to_parquet(part)
    said = {"models": list(models), "spectra": len(next(iter(rows.values()))), "files": len(paths), "labels": asked.labels,
            "templates": asked.templates, "mocks": asked.mocks, "code_version": __version__}  # fmt: skip
    files.write_json(said, out / "assessment.json")
    shown = {"classes": "Classes", "redshifts": "Redshifts", "sn": "By S/N", "worst": "Wrong classes and outliers", "labels": "Labels that look wrong"}  # fmt: skip
    text = [f"{title}\n\n{assessment.markdown(tables[what])}\n" for what, title in shown.items() if what in tables]
    return "\n".join(
        [*text, f"{out}: {said['spectra']} labelled spectra; {len(unused[0])} labels without a prediction"]
    )


def _models(asked: Asked) -> dict[str, dict]:
    """What is known of the models, by name. Raises ResurveyError where they, or the mocks, do not go together."""
    abouts = [about(model) for model in asked.models]
    names = [one["model"] for one in abouts]
    if len(set(names)) < len(names):
        raise ResurveyError(f"--model: {', '.join(names)}: two have one name; give models of different names")
    if asked.mocks:
        _check_mocks(asked.mocks, abouts[0])
    return dict(zip(names, abouts, strict=True))


def _pictures(
    asked: Asked, paths: list[Path], rows: dict[str, pd.DataFrame], one: dict, library
) -> dict[str, pd.DataFrame]:
    """Draw all models at a glance, the errors of the first (`one`) and mocks beside its spectra; the tables behind what is drawn anew."""
    out, first, tables = Path(asked.out), rows[one["model"]], {}
    words = f"{len(first)} labelled spectra; {one['model']} was trained on {one['origin']} spectra"
    _save(overview.draw(rows, words), out / "overview.png")
    bad = assessment.worst(first)
    drawn = spectra.as_they_are(paths, set(bad["spectrum_id"]))
    _save(single_spectra.draw(bad, drawn, "Wrong classes and redshift outliers"), out / "worst.png")
    if library is not None:
        suspects = spectra.at_label(bad, drawn, library)
        suspects = suspects[suspects["better"] > SUSPECT]
        tables["labels"] = suspects[[*KEPT, "better", "pixels"]]
        _save(single_spectra.draw(suspects, drawn, "Labels that look wrong"), out / "labels.png")
    if asked.mocks:
        tables["mocks"] = _mocks(asked.mocks, paths, first, one, out)
    return tables


def about(model: str) -> dict:
    """A model.json of a model's. Raises ResurveyError where there is no such model, or it gives no classes."""
    folder, name = find_model(model)
    found = [files.read_json(path) for path in sorted((folder / name).rglob("model.json"))]
    if any(one.get("labels") for one in found):
        raise ResurveyError(
            f"--model {model}: gives stellar labels; assessed are models that give star, galaxy or quasar"
        )
    heads = [one["architecture"]["head"]["kind"] for one in found if one["role"] == "redshift"]
    return {
        **found[0],
        "model": name,
        "path": model,
        "refinable": bool(heads) and all(kind == "bins" for kind in heads),
    }


def _rows(asked: Asked, one: dict, given: pd.DataFrame | None, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(rows of the labels that a model predicts, `model, spectrum_id, reason` of the others)."""
    table = out / f"{one['model']}.parquet"
    refine = asked.templates if one["refinable"] else None
    options = {"engine": asked.engine, "passes": None, "velocity": None, "refine": refine, "threads": asked.threads}
    if predict.run(argparse.Namespace(files=asked.files, model=one["path"], out=str(table), **options)):
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


def _beside(rows: dict[str, pd.DataFrame], measure: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """A table of each model's rows below each other."""
    tables = {name: measure(table) for name, table in rows.items()}
    whole = [table.assign(model=name)[["model", *table.columns]] for name, table in tables.items()]
    return pd.concat(whole, ignore_index=True)


def _worst(rows: pd.DataFrame) -> pd.DataFrame:
    table = assessment.worst(rows)
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


def _mocks(shards: Sequence[str], paths: list[Path], rows: pd.DataFrame, one: dict, out: Path) -> pd.DataFrame:
    """Draw the mock spectra beside the real ones; the numbers of it."""
    counted = rows[rows["sn_median"].astype(float) > 0].groupby("true").head(COUNTED)
    seen = spectra.on_grid(paths, one, set(counted["spectrum_id"]), one["grid"]["pixels"])
    place = counted.set_index("spectrum_id").loc[seen.spectrum_id]
    z = np.where(place["true"] == "STAR", 0.0, place["z_true"].to_numpy(float))
    real = likeness.Sample(seen.flux, seen.ivar, place["true"].to_numpy(), z, place["sn_median"].to_numpy(float))
    data = likeness.compare(real, read_mocks(shards), Grid.from_settings(one["grid"]).wavelength)
    left = len(rows) - len(real.sn)
    words = f"mock: {metadata(shards)['release']}; real: {len(real.sn)} labelled spectra, {left} more without errors or S/N left out"
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
        figure.savefig(part, dpi=150, metadata={"Title": path.stem})
