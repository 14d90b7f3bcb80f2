"""Anybody's spectra: files → what the networks look at → predictions → rows with the catalogue's columns and flags."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pyarrow as pa

from resurvey import __version__, files
from resurvey.catalogues.kinds import Kind, kind_of
from resurvey.errors import ResurveyError
from resurvey.inference.predict import ROWS, as_table
from resurvey.inference.prepare import preparer
from resurvey.inference.refine import FIELDS, Refiner
from resurvey.surveys.spectrum import Rejected, Spectrum, median_sn

REJECTED = pa.schema([(name, pa.string()) for name in ("spectrum_id", "file", "reason", "stage")])
MEASURED = ("sn_median", "n_good", "coverage_min", "coverage_max")  # of each spectrum, here
NAMES = ("apogee_id", "location_id", "field", "telescope")  # keys of Spectrum.names


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
    """Spectra that are ready and wait for their predictions."""

    flux: list[np.ndarray] = field(default_factory=list)
    rows: list[dict] = field(default_factory=list)
    ivar: list[np.ndarray | None] = field(default_factory=list)

    def table(self, kind: Kind, meta: dict) -> pa.Table:
        """What the catalogue needs to know of them."""
        given = {"spectrum_id", *NAMES, *MEASURED, *(entry.name for entry in fields(Spectrum))}
        types = {column.name: column.type for column in kind.fixed if column.name in given}
        schema = files.with_meta(pa.schema(list(types.items())), meta)
        return pa.Table.from_pylist([{name: row.get(name) for name in types} for row in self.rows], schema)


def predict_files(
    paths: Sequence[Path],
    predictor,
    calibration: dict | None,
    out: str | os.PathLike,
    rejected: str | os.PathLike,
    velocity: float | None = None,
    refiner: Refiner | None = None,
    templates: str | None = None,
) -> tuple[int, int, str | None]:
    """Write one row per spectrum to `out`, or a reason to `rejected`; returns (rows, rejected, origin of the spectra).

    predictor: of any family (inference/families.py). Spectra are prepared as those that the networks were trained on; velocity: as in
    registry.read_all; refiner: adds the columns of a fit of templates; templates: their digest, for the metadata. Raises ResurveyError when
    real and mock files are mixed.
    """
    about = [trained.about for trained in predictor.model.all()]
    kind, grid = kind_of(about), predictor.model.grid
    origin: str | None = None
    tables, refused, told = [], [], {}
    for batch in _batches(paths, about[0], refused, velocity):
        for row in batch.rows:
            origin = origin or row["origin"]
            if row["origin"] != origin:
                raise ResurveyError(
                    f"{row['spectrum_id']}: is {row['origin']}, the spectra before are {origin}; predict them apart"
                )
        ids, flux = [row["spectrum_id"] for row in batch.rows], np.stack(batch.flux)
        if not tables:
            told = predictor.opened(ids, flux)
        predictions = as_table(predictor, pa.array(ids), flux)
        if refiner:
            predictions = refiner(predictions, flux, batch.ivar)
        spectra = batch.table(kind, {"origin": origin, "grid": grid})
        tables.append(kind.assemble(predictions, spectra, calibration, about))
    meta = {
        "origin": origin or "real",
        "model": predictor.model.name,
        "weights": predictor.model.weights(),
        "trained_on": predictor.model.origin,
        "engine": predictor.engine.name,
        "precision": predictor.engine.precision,
        **told,
        "calibration": calibration,
        "code_version": __version__,
    } | ({"templates": templates} if templates else {})
    if not tables:
        nothing = Batch().table(kind, {"origin": "real", "grid": grid})
        schema = pa.schema([*predictor.schema(), *(FIELDS if refiner else [])])
        tables = [kind.assemble(schema.empty_table(), nothing, None, about)]
    result = pa.concat_tables(tables)
    files.write_table(result, out, meta)
    files.write_table(pa.Table.from_pylist(refused, REJECTED), rejected, meta)
    return len(result), len(refused), origin


def _batches(paths: Sequence[Path], about: dict, refused: list[dict], velocity: float | None) -> Iterator[Batch]:
    """Spectra that are ready, at most ROWS at a time; what cannot be used is added to `refused` with its reason."""
    prepare, seen = preparer(about), set()

    def refuse(name: str, path: Path, reason: str, stage: str) -> None:
        refused.append({"spectrum_id": name, "file": str(path), "reason": reason, "stage": stage})

    def ready(waiting: list[tuple[Path, Spectrum]]) -> Batch:
        batch = Batch()
        for (path, spectrum), found in zip(waiting, prepare([spectrum for _, spectrum in waiting]), strict=True):
            name = spectrum.spectrum_id
            if isinstance(found, str):
                refuse(name, path, found, "resample")
                continue
            unique = name if name not in seen else f"{name} ({path})"
            seen.add(unique)
            sn = spectrum.sn_median if spectrum.sn_median is not None else median_sn(spectrum)
            measured = zip(MEASURED, (sn, found.n_good, found.coverage_min, found.coverage_max), strict=True)
            known = {entry.name: getattr(spectrum, entry.name) for entry in fields(Spectrum)}
            batch.flux.append(found.flux)
            batch.ivar.append(found.ivar)
            batch.rows.append({**known, **spectrum.names, **dict(measured), "spectrum_id": unique})
        return batch

    waiting: list[tuple[Path, Spectrum]] = []
    for path, spectrum in _spectra(paths, velocity):
        if isinstance(spectrum, Rejected):
            refuse(spectrum.spectrum_id, path, spectrum.reason, "read")
            continue
        waiting.append((path, spectrum))
        if len(waiting) == ROWS:
            batch, waiting = ready(waiting), []
            if batch.rows:
                yield batch
    batch = ready(waiting)
    if batch.rows:
        yield batch


def _spectra(paths: Sequence[Path], velocity: float | None) -> Iterator[tuple[Path, Spectrum | Rejected]]:
    from tqdm import tqdm

    from resurvey.surveys.registry import read_all

    for path in tqdm(paths, unit="file", disable=None, leave=False):
        for spectrum in read_all(path, velocity):
            yield path, spectrum
