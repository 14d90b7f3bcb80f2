"""Anybody's spectra: files → the networks' grid → predictions → rows with the catalogue's columns and flags."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pyarrow as pa

from resurvey import __version__, files
from resurvey.errors import ResurveyError
from resurvey.inference.models import Model
from resurvey.inference.predict import ROWS, Predictor
from resurvey.surveys.spectrum import Rejected, Spectrum, median_sn

REJECTED = pa.schema([(name, pa.string()) for name in ("spectrum_id", "file", "reason", "stage")])
COPIED = {
    **dict.fromkeys(("plate", "mjd", "fiberid", "survey_zwarning"), pa.int32()),
    **dict.fromkeys(("ra", "dec", "survey_z"), pa.float64()),
    **dict.fromkeys(("run2d", "survey_class", "survey_subclass"), pa.string()),
}


def expand(names: Sequence[str]) -> list[Path]:
    """Files of names, globs and folders (searched to the bottom, hidden files left out), sorted within each, each once.

    Raises ResurveyError for a name that matches nothing.
    """
    found: dict[Path, None] = {}
    for name in names:
        if Path(name).is_dir():
            inside = sorted(path for path in Path(name).rglob("*") if path.is_file())
            matches = [
                path for path in inside if not any(part.startswith(".") for part in path.relative_to(name).parts)
            ]
        elif Path(name).exists():
            matches = [Path(name)]
        else:
            matches = sorted(path for path in map(Path, glob.glob(name, recursive=True)) if path.is_file())
        if not matches:
            raise ResurveyError(f"{name}: matches no file")
        found.update(dict.fromkeys(matches))
    return list(found)


def checked_output(name: str) -> Path:
    """The path of a result, told to be unusable before the work and not after it. Raises ResurveyError."""
    path = Path(name)
    if path.suffix != ".parquet":
        raise ResurveyError(f"--out {name}: the rows are written as Parquet; give {path.with_suffix('.parquet')}")
    if path.is_dir():
        raise ResurveyError(f"--out {name}: is a folder; name a file in it, e.g. {path / 'out.parquet'}")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ResurveyError(f"--out {name}: nothing can be written in {folder}; choose another folder")
    return path


def find_model(wish: str, results: str | os.PathLike = "results") -> tuple[Path, str]:
    """(folder of models, name) of a path to `models/{model}` or of a name looked for in `results/*/models`.

    Raises ResurveyError when it is nowhere, or in more than one run.
    """
    path = Path(wish)
    found = sorted(path.rglob("model.json")) if path.is_dir() else []
    names = sorted({files.read_json(file).get("model") or path.name for file in found})
    if len(names) > 1:
        raise ResurveyError(f"--model {wish}: holds the models {', '.join(names)}; give one, e.g. {path / names[0]}")
    if found:
        path = path.resolve()
        return path.parent, path.name
    known = sorted({p.parents[1] for p in Path(results).glob("*/models/*/*/model.json")})
    here = [folder for folder in known if folder.name == wish]
    if len(here) == 1:
        return here[0].parent, wish
    if here:
        raise ResurveyError(
            f"--model {wish}: stands in several runs; give one of the paths {', '.join(map(str, here))}"
        )
    near = get_close_matches(wish, [folder.name for folder in known], 1)
    offer = (
        f"; did you mean {near[0]}?"
        if near
        else f"; there are {', '.join(map(str, known)) or 'none: train one, e.g. make demo'}"
    )
    raise ResurveyError(f"--model {wish}: no trained network is there, nor in {results}/*/models{offer}")


@dataclass
class Batch:
    """Spectra on the grid that wait for their predictions."""

    flux: list[np.ndarray] = field(default_factory=list)
    rows: list[dict] = field(default_factory=list)

    def table(self, meta: dict) -> pa.Table:
        """What the catalogue needs to know of them."""
        types = {"spectrum_id": pa.string(), **COPIED, "sn_median": pa.float32()}
        types |= {"n_good": pa.int32(), "coverage_min": pa.float32(), "coverage_max": pa.float32()}
        schema = files.with_meta(pa.schema(list(types.items())), meta)
        return pa.Table.from_pylist([{name: row[name] for name in types} for row in self.rows], schema)


def predict_files(
    paths: Sequence[Path],
    predictor: Predictor,
    calibration: dict | None,
    out: str | os.PathLike,
    rejected: str | os.PathLike,
) -> tuple[int, int, str | None]:
    """Write one row per spectrum to `out`, or a reason to `rejected`; returns (rows, rejected, origin of the spectra).

    Spectra are resampled as those that the networks were trained on. Raises ResurveyError when real and mock files are mixed.
    """
    from resurvey.catalogues.assemble import assemble

    about = [trained.about for trained in predictor.model.all()]
    origin: str | None = None
    tables, refused, difference = [], [], {}
    for batch in _batches(paths, predictor.model, refused):
        for row in batch.rows:
            origin = origin or row["origin"]
            if row["origin"] != origin:
                raise ResurveyError(
                    f"{row['spectrum_id']}: is {row['origin']}, the spectra before are {origin}; predict them apart"
                )
        if not tables:
            difference = predictor.settle(np.stack(batch.flux))
        columns = predictor.predict(np.stack(batch.flux))
        arrays = [pa.array(row["spectrum_id"] for row in batch.rows)]
        arrays += [pa.array(column.data, mask=np.ma.getmaskarray(column)) for column in columns.values()]
        predictions = pa.Table.from_arrays(arrays, schema=predictor.schema())
        tables.append(
            assemble(predictions, batch.table({"origin": origin, "grid": predictor.model.grid}), calibration, about)
        )
    meta = {
        "origin": origin or "real",
        "model": predictor.model.name,
        "weights": predictor.model.weights(),
        "trained_on": predictor.model.origin,
        "engine": predictor.engine.name,
        "precision": predictor.engine.precision,
        "engine_difference": difference,
        "calibration": calibration,
        "code_version": __version__,
    }
    result = pa.concat_tables(tables) if tables else _empty(predictor, assemble, about)
    files.write_table(result, out, meta)
    files.write_table(pa.Table.from_pylist(refused, REJECTED), rejected, meta)
    return len(result), len(refused), origin


def _empty(predictor: Predictor, assemble, about: list[dict]) -> pa.Table:
    meta = {"origin": "real", "grid": predictor.model.grid}
    return assemble(predictor.schema().empty_table(), Batch().table(meta), None, about)


def _batches(paths: Sequence[Path], model: Model, refused: list[dict]) -> Iterator[Batch]:
    """Resampled spectra, ROWS at a time; what cannot be used is added to `refused` with its reason."""
    from resurvey.shards.grid import Grid
    from resurvey.shards.resample import Resampler

    about = model.classifier.about
    resampler = Resampler(Grid.from_settings(model.grid), about.get("resample") or "linear", about.get("masks"))
    batch, seen = Batch(), set()
    for path, spectrum in _spectra(paths):
        name = spectrum.spectrum_id
        if isinstance(spectrum, Rejected):
            refused.append({"spectrum_id": name, "file": str(path), "reason": spectrum.reason, "stage": "read"})
            continue
        try:
            flux, _, coverage = resampler(spectrum)
        except ResurveyError as error:
            refused.append({"spectrum_id": name, "file": str(path), "reason": str(error), "stage": "resample"})
            continue
        unique = name if name not in seen else f"{name} ({path})"
        seen.add(unique)
        batch.flux.append(flux)
        batch.rows.append({
            **{key: getattr(spectrum, key) for key in COPIED},
            "spectrum_id": unique,
            "origin": spectrum.origin,
            "sn_median": spectrum.sn_median if spectrum.sn_median is not None else median_sn(spectrum),
            "n_good": coverage.n_good,
            "coverage_min": coverage.minimum,
            "coverage_max": coverage.maximum,
        })  # fmt: skip
        if len(batch.rows) == ROWS:
            yield batch
            batch = Batch()
    if batch.rows:
        yield batch


def _spectra(paths: Sequence[Path]) -> Iterator[tuple[Path, Spectrum | Rejected]]:
    from tqdm import tqdm

    from resurvey.surveys.registry import read_all

    for path in tqdm(paths, unit="file", disable=None, leave=False):
        for spectrum in read_all(path):
            yield path, spectrum
