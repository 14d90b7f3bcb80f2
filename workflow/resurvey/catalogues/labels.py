"""Catalogues of continuous labels, such as Teff and abundances: their columns, and the way from network outputs to rows."""

import json
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from resurvey.catalogues import label_flags as fl
from resurvey.catalogues.columns import Column
from resurvey.catalogues.label_flags import LabelFlag
from resurvey.catalogues.rows import aligned, floats, nullable
from resurvey.errors import ResurveyError
from resurvey.files import META_KEY
from resurvey.surveys.apogee_catalogue import CANNON
from resurvey.surveys.apogee_labels import BY_NAME

_F32, _F64, _I32, _I64, _STR = pa.float32(), pa.float64(), pa.int32(), pa.int64(), pa.string()
_NOT_APOGEE = "not given by the file of the spectrum"
PARTS = ("model", "predictive", "total")  # of a label's uncertainty, as the columns of predictions end
SEEN = ("train", "valid", "train_visits")

FIXED = [
    Column("spectrum_id", _STR, "", "meta.id;meta.main", "Unique name of the spectrum: location_id-apogee_id, for a visit with -v and its number; or the file"),
    Column("object_id", _I64, "", "meta.id", "Star: its spectra of all fields share it", _NOT_APOGEE),
    Column("apogee_id", _STR, "", "meta.id", "APOGEE_ID of the star", _NOT_APOGEE),
    Column("location_id", _I32, "", "meta.id;obs.field", "LOCATION_ID of the field", _NOT_APOGEE),
    Column("visit", _I32, "", "meta.id;obs", "0: the combined spectrum; 1 and more: the visit of that number in the star's file", _NOT_APOGEE),
    Column("field", _STR, "", "meta.id;obs.field", "Name of the field", _NOT_APOGEE),
    Column("telescope", _STR, "", "meta.id;instr.tel", "Telescope", _NOT_APOGEE),
    Column("ra", _F64, "deg", "pos.eq.ra;meta.main", "Right ascension (ICRS)", _NOT_APOGEE),
    Column("dec", _F64, "deg", "pos.eq.dec;meta.main", "Declination (ICRS)", _NOT_APOGEE),
    Column("sn_median", _F32, "", "stat.snr", "Median S/N per pixel of this spectrum", _NOT_APOGEE),
    Column("nvisits", _I32, "", "meta.number;obs", "Visits of the star", _NOT_APOGEE),
    Column("cluster", _STR, "", "meta.id.parent", "Star cluster of which it is a member (Meszaros et al. 2013)", "not a known member"),
    Column("split", _STR, "", "meta.code", "Part of the sample: train, valid, test, train_visits or test_visits", "in none of them"),
    Column("starflag", _I64, "", "meta.code.qual", "Survey's STARFLAG bits of the star; 0: no warning", _NOT_APOGEE),
    Column("aspcapflag", _I64, "", "meta.code.qual", "Survey's ASPCAPFLAG bits of the star; 0: no warning", _NOT_APOGEE),
    Column("vscatter", _F32, "km/s", "stat.stdev;phys.veloc", "Scatter of the visits' radial velocities", _NOT_APOGEE),
    Column("flags", _I32, "", "meta.code.qual", "Named bits, see the table of flags; 0: nothing to remark"),
    Column("n_good", _I32, "", "meta.number", "Pixels of the grid with data (ivar > 0)"),
    Column("coverage_min", _F32, "Angstrom", "em.wl;stat.min", "Shortest vacuum wavelength with data", "no pixel has data"),
    Column("coverage_max", _F32, "Angstrom", "em.wl;stat.max", "Longest vacuum wavelength with data", "no pixel has data"),
]  # fmt: skip

KEY = ("location_id", "apogee_id", "visit", "spectrum_id")  # a catalogue is in ascending order of it, null first


def labels_of(names: Iterable[str]) -> list[str]:
    """The labels, in their order, of a table of predictions with these columns."""
    names = list(names)
    known = set(names)
    return [name for name in names if all(f"{name}_{part}" in known for part in PARTS)]


def _about(label: str) -> tuple[str, str, str]:
    """(words with the unit, unit for the column, UCD) of a label. FITS and VOUnits know no dex: it stands in the words."""
    known = BY_NAME.get(label)
    symbol, unit = (known.symbol, known.unit) if known else (label, "")
    ucd = {"teff": "phys.temperature.effective", "logg": "phys.gravity", "fe_h": "phys.abund.Fe"}.get(
        label, "phys.abund"
    )
    return f"{symbol} [{unit}]" if unit else symbol, "" if unit == "dex" else unit, ucd


def per_label(labels: Iterable[str]) -> list[Column]:
    """Columns that exist once per label: the network's value and uncertainties, then the survey's value and error."""
    bad = "the network gave no finite number"
    missing = "the survey gives none (-9999)"
    columns = []
    for label in labels:
        words, unit, ucd = _about(label)
        columns += [
            Column(label, _F32, unit, ucd, f"{words} by the network: mean of its Monte Carlo passes", bad),
            Column(f"{label}_model", _F32, unit, f"stat.stdev;{ucd}", f"Model uncertainty of {words}: standard deviation of the passes", bad),
            Column(f"{label}_predictive", _F32, unit, f"stat.error;{ucd}", f"Predictive uncertainty of {words}: root of the variance that the passes predict", bad),
            Column(f"{label}_total", _F32, unit, f"stat.error;{ucd}", f"Total uncertainty of {words}: both in quadrature (paper Eq. 3)", bad),
            Column(f"survey_{label}", _F32, unit, ucd, f"{words} by the survey's pipeline, of the star's combined spectrum", missing),
            Column(f"survey_{label}_err", _F32, unit, f"stat.error;{ucd}", "Its error", missing),
        ]  # fmt: skip
    return columns


def other_pipelines() -> list[Column]:
    """Labels of The Cannon, where the survey has published them."""
    columns = []
    for name in CANNON:
        words, unit, ucd = _about(name.removeprefix("cannon_"))
        columns.append(Column(name, _F32, unit, ucd, f"{words} by The Cannon", "not in its table"))
    return columns


def catalogue_columns(prediction_names: Iterable[str], spectra_names: Iterable[str] = ()) -> list[Column]:
    """All columns of the catalogue that a predictions table with these column names gives, whatever the spectra's table has."""
    return FIXED + per_label(labels_of(prediction_names)) + other_pipelines()


def about(models: list[dict]) -> dict:
    """What the catalogue's provenance says of such networks beside their names."""
    return {"labels": models[0].get("labels"), "n_valid": {model["network"]: model.get("n_valid") for model in models}}


def assemble(predictions: pa.Table, spectra: pa.Table, calibration: dict | None, models: list[dict]) -> pa.Table:
    """Catalogue rows, one per row of `predictions`, in their order.

    predictions: `spectrum_id` and, for each label, {label}, {label}_model, {label}_predictive, {label}_total.
    spectra: `spectrum_id`, `n_good` and any of the fixed columns (a shard's, say); its columns {label} and {label}_err are the
      survey's. What is absent becomes null. Its `resurvey` metadata says `origin` and `grid`.
    calibration: must be None: these networks give their own errors.
    models: the model.json of the one network; read are `labels`, `origin`, `trained_on` ({label: {range}}), `normalisation.label_std`.
    Raises ResurveyError when the predictions hold no labels, a prediction has no spectrum or ids repeat.
    """
    labels = labels_of(predictions.column_names)
    if not labels:
        found = ", ".join(predictions.column_names)
        raise ResurveyError(
            f"the predictions hold no labels (columns X, X_model, X_predictive, X_total); found {found}"
        )
    if calibration is not None:
        raise ResurveyError(
            "a catalogue of labels takes no --calibration: its networks give their own errors; leave it out"
        )
    if len(models) > 1:
        raise ResurveyError(
            f"{len(models)} networks of labels in one model ({', '.join(m['network'] for m in models)}); a model has one"
        )
    meta = json.loads((spectra.schema.metadata or {}).get(META_KEY, b"{}"))
    ours = {"flags"}
    theirs = [column.name for column in FIXED + other_pipelines() if column.name not in ours]
    surveys = {name: f"survey_{name}" for label in labels for name in (label, f"{label}_err")}
    spectra = aligned(predictions, spectra, [*theirs, *surveys])
    if "n_good" not in spectra.column_names:
        raise ResurveyError("the spectra's table lacks n_good (good pixels of the grid); make the shard again")
    data = {name: spectra[name] for name in spectra.column_names if name not in surveys}
    data |= {new: nullable(floats(spectra[old])) for old, new in surveys.items() if old in spectra.column_names}
    names = [name for label in labels for name in (label, *(f"{label}_{part}" for part in PARTS))]
    data |= {name: nullable(floats(predictions[name])) for name in names}
    data["flags"] = pa.array(_flags(data, labels, models, meta), _I32)
    schema = pa.schema([column.field() for column in catalogue_columns(predictions.column_names)])
    arrays = [data[f.name].cast(f.type) if f.name in data else pa.nulls(len(predictions), f.type) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def trained_ranges(models: list[dict]) -> dict[str, tuple[float, float]]:
    """{label: (lowest, highest)} of the training set, as a network's model.json says; labels that it does not tell are absent."""
    told = models[0].get("trained_on") if models else None
    found = {label: entry.get("range") for label, entry in (told or {}).items() if isinstance(entry, dict)}
    return {label: (values[0], values[1]) for label, values in found.items() if values}


def trained_spread(models: list[dict]) -> dict[str, float]:
    """{label: standard deviation} of the training set's labels."""
    if not models:
        return {}
    spread = (models[0].get("normalisation") or {}).get("label_std") or []
    return dict(zip(models[0].get("labels") or [], spread, strict=False))


def _flags(data: dict, labels: list[str], models: list[dict], meta: dict) -> np.ndarray:
    """The bits of each row, int32; a comparison with an unknown value (null) sets no bit."""
    rows = len(data["spectrum_id"])
    bits = np.zeros(rows, np.int32)

    def mark(flag: LabelFlag, where: np.ndarray) -> None:
        bits[where] |= int(flag)

    def column(name: str) -> np.ndarray:
        return floats(data[name]) if name in data else np.full(rows, np.nan)

    for label, (low, high) in trained_ranges(models).items():
        if label in labels:
            value = column(label)
            mark(LabelFlag.OUTSIDE_TRAINING, (value < low) | (value > high))
    for label, spread in trained_spread(models).items():
        if label in labels:
            mark(LabelFlag.UNCERTAIN, column(f"{label}_total") > spread)
    top = trained_ranges(models).get("logg", (0.0, np.inf))[1]
    gravity = column("survey_logg")
    mark(
        LabelFlag.DWARF,
        (column("logg") > top) | (gravity > top) | (np.isfinite(column("survey_teff")) & np.isnan(gravity)),
    )
    for label in labels:
        finite = [np.isfinite(column(name)) for name in (label, *(f"{label}_{part}" for part in PARTS))]
        mark(LabelFlag.BAD_OUTPUT, ~np.logical_and.reduce(finite))
    mark(LabelFlag.LOW_SN, column("sn_median") < fl.LOW_SN_BELOW)
    grid = meta.get("grid") or next((model["grid"] for model in models if model.get("grid")), None)
    if grid:
        good = column("n_good")
        mark(LabelFlag.MISSING_PIXELS, good < (1 - fl.MISSING_FRACTION) * grid["pixels"])
        mark(LabelFlag.MOSTLY_MISSING, good < (1 - fl.MOSTLY_MISSING_FRACTION) * grid["pixels"])
    mark(LabelFlag.SURVEY_WARNING, (column("starflag") > 0) | (column("aspcapflag") > 0))
    if "split" in data:
        mark(LabelFlag.SEEN_IN_TRAINING, np.isin(data["split"].to_numpy(zero_copy_only=False), SEEN))
    if meta.get("origin") == "real" and any(model.get("origin") == "mock" for model in models):
        mark(LabelFlag.MOCK_TRAINED_REAL_INPUT, np.ones(rows, bool))
    return bits
