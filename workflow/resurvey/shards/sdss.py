"""SDSS spectra → a shard on a linear grid of wavelengths."""

from resurvey.errors import ResurveyError
from resurvey.shards.grid import Grid
from resurvey.shards.job import Job, MixedOrigin
from resurvey.shards.resample import Resampler
from resurvey.shards.sources import ArchiveSpectra, Downloads, Rotten, in_reading_order, rows_of
from resurvey.shards.writer import ShardWriter, open_shard
from resurvey.surveys.spectrum import FLUX_UNIT


def build_sdss(job: Job) -> dict[str, int]:
    """Read, resample and write the rows of a job; returns {expected, read, rejected}. Dataset's keys: grid, resample, masks."""
    grid = Grid.from_settings(job.dataset["grid"])
    resampler = Resampler(grid, job.dataset.get("resample", "linear"), job.dataset.get("masks"))
    about = {"resample": resampler.method, "masks": resampler.masks, "ivar_known": True}
    rows = in_reading_order(job.rows)
    meta = {**job.meta, "flux_unit": FLUX_UNIT, "grid": grid.meta(), **about}
    with (
        open_shard(rows, grid.pixels, meta, job.out, job.rejected) as writer,
        ArchiveSpectra(Downloads(job.manifest, job.raw)) as spectra,
    ):
        for number, target in rows_of(rows, ("spectrum_id", "plate", "mjd", "fiberid", "run2d")):
            _one(writer, number, target, spectra, resampler, job)
    return writer.counts()


def _one(
    writer: ShardWriter, number: int, target: dict, spectra: ArchiveSpectra, resampler: Resampler, job: Job
) -> None:
    try:
        spectrum = spectra.read(target)
        job.require_origin(target["spectrum_id"], spectrum.origin)
        coverage = resampler.into(spectrum, *writer.slot())
    except (MixedOrigin, Rotten):
        raise
    except ResurveyError as error:
        writer.reject(target["spectrum_id"], str(error))
    else:
        writer.accept(number, coverage.n_good, coverage.minimum, coverage.maximum)
