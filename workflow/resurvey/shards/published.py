"""The GaSNet-II authors' released arrays as shards: their fluxes on their own grid, which is not documented.

The files (Hugging Face, Fucheng/GaSNet-II-SDSS-dataset) have columns int_flux (3600 pixels), Z, SN_MEDIAN_ALL, CLASS,
SUBCLASS, PLATE, MJD, FIBERID and no errors. Neither the paper nor the code says which wavelengths the pixels have.
"""

from pathlib import Path

import numpy as np

from resurvey.errors import ResurveyError
from resurvey.shards.job import Job
from resurvey.shards.sources import FAILED, rows_of
from resurvey.shards.writer import open_shard
from resurvey.surveys.registry import open_fits
from resurvey.surveys.spectrum import FLUX_UNIT

GRID_NOTE = (
    "as released by the authors: one value per pixel of an interpolated flux; wavelengths are not documented "
    "(the paper uses 5001 pixels of 1 Angstrom from 4000 to 9000 Angstrom, the released arrays have 3600)"
)


def build_published(job: Job) -> dict[str, int]:
    """Write the shard of targets that name a `file` and a `row` in it; returns {expected, read, rejected}.

    The dataset's `grid` {start, step, pixels} is a name for the pixels by which they can be drawn; the shard's grid has it with
    the scale `undocumented`, so nobody's spectra are resampled onto it.

    ivar is 1 where the flux is finite, as nothing is known of the errors (`ivar_known` false in the metadata). Raises
    ResurveyError when the targets lack file and row, or the files' arrays have not the axis' number of pixels.
    """
    targets, manifest, raw, axis = job.rows, job.manifest, job.raw, job.dataset["grid"]
    if not {"file", "row"} <= set(targets.column_names):
        raise ResurveyError("targets: lack the columns file and row, which a dataset with source: published needs")
    targets = targets.sort_by([("file", "ascending"), ("row", "ascending")])
    states = dict(zip(manifest["path"].to_pylist(), manifest["state"].to_pylist(), strict=True))
    names = targets["file"].unique().to_pylist()
    usable = [name for name in names if states.get(name, FAILED) != FAILED]
    arrays, opened = {}, []
    try:
        for name in usable:
            context = open_fits(raw / name)
            hdus = context.__enter__()
            opened.append(context)
            arrays[name] = _int_flux(hdus, raw / name)
        size = axis["pixels"]
        for name, values in arrays.items():
            if values.shape[1] != size:
                raise ResurveyError(
                    f"{raw / name}: its int_flux has {values.shape[1]} pixels, the dataset's grid {size}; set grid.pixels"
                )
        grid = {**axis, "unit": "Angstrom", "frame": None, "scale": "undocumented"}
        complete = {
            **job.meta,
            "flux_unit": FLUX_UNIT,
            "grid": {**grid, "note": GRID_NOTE},
            "resample": "none",
            "ivar_known": False,
        }
        with open_shard(targets, size, complete, job.out, job.rejected) as writer:
            for number, target in rows_of(targets, ("spectrum_id", "file", "row")):
                reason = _copy(arrays.get(target["file"]), target, writer.slot())
                if reason:
                    writer.reject(target["spectrum_id"], reason)
                else:
                    writer.accept(number, int(np.count_nonzero(writer.slot()[1])), None, None)
            return writer.counts()
    finally:
        for context in opened:
            context.__exit__(None, None, None)


def _int_flux(hdus, path: Path) -> np.ndarray:
    """The (rows, pixels) array of int_flux, memory-mapped."""
    for hdu in hdus[1:]:
        names = {c.lower(): c for c in hdu.columns.names} if getattr(hdu, "columns", None) is not None else {}
        if "int_flux" in names:
            return hdu.data[names["int_flux"]]
    raise ResurveyError(f"{path}: has no column int_flux; it is not one of the authors' released files")


def _copy(values: np.ndarray | None, target: dict, slot: tuple[np.ndarray, np.ndarray]) -> str | None:
    """Fill the slot with the target's row; the reason where that is impossible."""
    if values is None:
        return f"was not fetched: {target['file']}"
    if not 0 <= target["row"] < len(values):
        return f"{target['file']}: has {len(values)} rows, row {target['row']} was asked for"
    flux, ivar = slot
    flux[:] = values[target["row"]]
    finite = np.isfinite(flux)
    if not finite.any():
        return f"{target['file']}: row {target['row']} holds no finite flux"
    ivar[:] = finite
    flux[~finite] = 0.0
    return None
