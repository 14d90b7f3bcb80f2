"""Any table on disk (Parquet, FITS, CSV) as a data frame and its metadata."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from resurvey import files
from resurvey.errors import ResurveyError

SUFFIXES = (".parquet", ".fits", ".fit", ".fits.gz", ".csv")


def expanded(paths: list) -> list[tuple[Path, bool]]:
    """Files of files and folders, each with whether it was named by itself."""
    result = []
    for path in map(Path, paths):
        if path.is_dir():
            result += [(p, False) for p in sorted(path.iterdir()) if p.name.endswith(SUFFIXES)]
        else:
            result.append((path, True))
    return result


def read_frame(path: Path, arrays: dict[str, list[str]] | None = None) -> tuple[pd.DataFrame, dict]:
    """All one-dimensional columns of a file with native byte order, and its metadata.

    arrays: {column: names}: a column with so many values per row becomes as many columns; others with several are left out.
    Raises ResurveyError for what does not exist or cannot be read.
    """
    if not path.exists():
        raise ResurveyError(f"{path}: does not exist")
    if path.name.endswith(".parquet"):
        return files.read_table(path).to_pandas(), files.read_meta(path)
    if path.name.endswith(".csv"):
        try:
            return pd.read_csv(path, keep_default_na=False, na_values=[""]), {}
        except (ValueError, OSError) as error:
            raise ResurveyError(f"{path}: is not a readable CSV file ({error})") from error
    if path.name.endswith((".fits", ".fit", ".fits.gz")):
        return _read_fits(path, arrays or {})
    raise ResurveyError(f"{path}: unknown kind of file; give {', '.join(SUFFIXES)}")


def _read_fits(path: Path, arrays: dict[str, list[str]]) -> tuple[pd.DataFrame, dict]:
    from astropy.io import fits

    try:
        with warnings.catch_warnings(), fits.open(path, memmap=False) as units:
            warnings.simplefilter("ignore")  # a truncated file is told below, once
            tables = [unit for unit in units if isinstance(unit, fits.BinTableHDU)]
            if not tables:
                raise ResurveyError(f"{path}: holds no binary table")
            unit = max(tables, key=lambda unit: len(unit.data))
            if not len(unit.data):
                raise ResurveyError(f"{path}: its table has no rows")
            header = {
                key: units[0].header.get(key.upper()) for key in ("origin", "release", "dataset", "model", "head")
            }
            columns = {name: _flat(np.asarray(unit.data[name])) for name in unit.columns.names}
            for name in set(arrays) & set(unit.columns.names):
                values = np.asarray(unit.data[name])
                if values.ndim == 2 and values.shape[1] == len(arrays[name]):
                    columns |= {part: _flat(values[:, k]) for k, part in enumerate(arrays[name])}
            for column in unit.columns:
                if column.null is not None and columns[column.name] is not None:
                    values = columns[column.name].astype(float)
                    columns[column.name] = np.where(values == column.null, np.nan, values)
    except (OSError, TypeError, ValueError, IndexError) as error:
        raise ResurveyError(f"{path}: is not a readable FITS file ({error})") from error
    meta = {key: value for key, value in header.items() if value} if header["origin"] in ("real", "mock") else {}
    return pd.DataFrame({name: values for name, values in columns.items() if values is not None}), meta


def _flat(values: np.ndarray) -> np.ndarray | None:
    """A column of shape (n,) or (n, 1) as (n,), native byte order, text stripped; None for arrays per row."""
    if values.ndim > 1 and values[0].size != 1:
        return None
    values = values.reshape(len(values))
    if values.dtype.kind in "SU":
        return np.char.strip(values.astype(str)).astype(object)
    return values.astype(values.dtype.newbyteorder("="))
