"""Small selections straight from SDSS's query service, instead of gigabytes of master catalogue."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from resurvey import files
from resurvey.archive.release import Release
from resurvey.errors import ResurveyError
from resurvey.surveys.sdss_catalogue import SCHEMA, SKY, target_type, without_template

LIMIT = 500_000  # rows that the service returns for one query
TIMEOUT_S = 600

# Ours: the names in SpecObjAll. The quality of the plate stands in another table and is not asked for.
COLUMNS = {
    "plate": "plate",
    "mjd": "mjd",
    "fiberid": "fiberID",
    "run2d": "run2d",
    "ra": "ra",
    "dec": "dec",
    "survey_class": "class",
    "survey_subclass": "subClass",
    "survey_z": "z",
    "survey_z_err": "zErr",
    "survey_zwarning": "zWarning",
    "sn_median": "snMedian",
    "vdisp": "velDisp",
    "vdisp_err": "velDispErr",
    "specprimary": "sciencePrimary",
    "targettype": "targetType",
}


def query_catalogue(release: Release, datasets: dict, out: Path, meta: dict, ask: Callable | None = None) -> int:
    """Write catalogue.parquet with the spectra that the datasets can select; returns the number of rows.

    `ask(sql, data_release) -> astropy Table`; by default astroquery's SDSS.query_sql. One query per dataset and class.
    Raises ResurveyError if the service fails, or holds more than it returns in one query.
    """
    ask = ask or _astroquery
    number = int(re.sub(r"\D", "", release.settings["prefix"]))
    tables = [to_arrow(_rows(ask, sql, number)) for dataset in datasets.values() for sql in statements(dataset)]
    whole = pa.concat_tables([SCHEMA.empty_table(), *tables])
    whole = whole.group_by(SCHEMA.names).aggregate([])  # datasets may overlap
    files.write_table(whole.select(SCHEMA.names), out, {**meta, "rows": len(whole)})
    return len(whole)


def statements(dataset: dict) -> list[str]:
    """The SQL of a dataset's cuts: one statement per class, or one for all. Texts are quoted, numbers are numbers."""
    cuts = dataset["selection"]
    if cuts.get("platequality"):
        raise ResurveyError(
            f"datasets/{dataset['name']}.yaml: selection.platequality cannot be queried; set it to null, or catalogue_source: archive"
        )
    common = []
    if cuts.get("specprimary") is not None:
        common.append(f"sciencePrimary = {int(cuts['specprimary'])}")
    if cuts.get("zwarning") is not None:
        common.append(f"zWarning = {int(cuts['zwarning'])}")
    if cuts.get("sn_min") is not None:
        common.append(f"snMedian >= {float(cuts['sn_min']):g}")
    if cuts.get("plates"):
        common.append(f"plate IN ({', '.join(str(int(plate)) for plate in cuts['plates'])})")
    if kind := cuts.get("targettype"):
        common.append(f"targetType {'<>' if kind.startswith('!') else '='} {_text(kind.lstrip('!'))}")
    chosen = [_class_terms(entry) for entry in dataset["classes"] or [None]]
    names = ", ".join(f"{theirs} AS {ours}" for ours, theirs in COLUMNS.items())
    return [
        f"SELECT {names} FROM SpecObjAll" + (" WHERE " + " AND ".join([*terms, *common]) if terms or common else "")
        for terms in chosen
    ]


def _class_terms(entry: dict | None) -> list[str]:
    if entry is None:
        return []
    subclass = f"subClass LIKE {_text(entry['subclass'] + '%')}" if entry["subclass"] else "subClass = ''"
    return [f"class = {_text(entry['class'])}", subclass]  # LIKE: the template's name may follow


def to_arrow(rows) -> pa.Table:
    """An astropy Table with our column names → the columns of catalogue.parquet; masked values are null."""
    columns = {}
    for field in SCHEMA:
        if field.name not in rows.colnames:
            columns[field.name] = pa.nulls(len(rows), field.type)
            continue
        column = rows[field.name]
        mask = np.asarray(column.mask) if hasattr(column, "mask") else np.zeros(len(rows), bool)
        if pa.types.is_string(field.type):
            change = {"survey_subclass": without_template, "targettype": target_type}.get(field.name, str)
            texts = ["" if bad else change(str(value).strip()) for value, bad in zip(column, mask, strict=True)]
            columns[field.name] = pa.array(texts, pa.string())
        else:
            values = np.asarray(np.ma.filled(column, 0))
            values = values > 0 if pa.types.is_boolean(field.type) else values.astype(field.type.to_pandas_dtype())
            columns[field.name] = pa.array(values, field.type, mask=mask)
    sky = pc.not_equal(pc.bit_wise_and(pc.fill_null(columns["survey_zwarning"], 0), SKY), 0)
    columns["targettype"] = pc.if_else(sky, "SKY", columns["targettype"])
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _rows(ask: Callable, sql: str, release: int):
    rows = ask(sql, release)
    if rows is None or len(rows) == 0:
        raise ResurveyError(f"SkyServer returned no row for: {sql}; check the dataset's classes and selection")
    if len(rows) >= LIMIT:
        raise ResurveyError(
            f"SkyServer returns at most {LIMIT:,} rows and this selection reaches that; set catalogue_source: archive ({sql})"
        )
    return rows


def _astroquery(sql: str, release: int):
    import requests
    from astroquery.exceptions import RemoteServiceError
    from astroquery.sdss import SDSS

    try:
        return SDSS.query_sql(sql, data_release=release, timeout=TIMEOUT_S, cache=False)
    except (requests.RequestException, RemoteServiceError, TimeoutError) as error:
        raise ResurveyError(
            f"SkyServer does not answer: {error}; try again, or set catalogue_source: archive"
        ) from error


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
