"""Spectra in files of one field and night → a shard on a linear grid of wavelengths: whole fields in one shard, each file opened once."""

from collections.abc import Callable
from contextlib import ExitStack
from itertools import groupby

from resurvey.errors import ResurveyError
from resurvey.shards.grid import Grid
from resurvey.shards.job import Job, MixedOrigin
from resurvey.shards.resample import Resampler
from resurvey.shards.sources import Downloads, Rotten, check_digest, in_reading_order, rows_of
from resurvey.shards.writer import ShardWriter, open_shard
from resurvey.surveys import registry
from resurvey.surveys.spectrum import FLUX_UNIT

COLUMNS = ("spectrum_id", "plate", "mjd", "fiberid", "run2d")


def build_fields(job: Job, reader: Callable) -> dict[str, int]:
    """Read, resample and write the rows of a job; returns {expected, read, rejected}. Dataset's keys: grid, resample, masks.

    reader: (open FITS file, name) → its `field` and `mjd`, find(fibre) → row, spectrum(row) → Spectrum.
    """
    grid = Grid.from_settings(job.dataset["grid"])
    resampler = Resampler(grid, job.dataset.get("resample", "linear"), job.dataset.get("masks"))
    about = {"resample": resampler.method, "masks": resampler.masks, "ivar_known": True}
    rows = in_reading_order(job.rows)
    meta = {**job.meta, "flux_unit": FLUX_UNIT, "grid": grid.meta(), **about}
    downloads = Downloads(job.manifest, job.raw)
    with open_shard(rows, grid.pixels, meta, job.out, job.rejected) as writer:
        for _, group in groupby(rows_of(rows, COLUMNS), key=lambda row: (row[1]["plate"], row[1]["mjd"])):
            _field(list(group), reader, downloads, writer, resampler, job)
    return writer.counts()


def _field(
    group: list[tuple[int, dict]],
    reader: Callable,
    downloads: Downloads,
    writer: ShardWriter,
    resampler: Resampler,
    job: Job,
) -> None:
    """The targets of one file. What concerns the file is the reason of all of them."""
    with ExitStack() as stack:
        try:
            field = _opened(group[0][1], reader, downloads, stack)
        except Rotten:
            raise
        except ResurveyError as error:
            for _, target in group:
                writer.reject(target["spectrum_id"], str(error))
            return
        for number, target in group:
            try:
                spectrum = field.spectrum(field.find(target["fiberid"]))
                job.require_origin(target["spectrum_id"], spectrum.origin)
                if spectrum.sky:
                    raise ResurveyError("is a sky fibre; class and redshift mean nothing there")
                coverage = resampler.into(spectrum, *writer.slot())
            except (MixedOrigin, Rotten):
                raise
            except ResurveyError as error:
                writer.reject(target["spectrum_id"], str(error).removeprefix(f"{target['spectrum_id']}: "))
            else:
                writer.accept(number, coverage.n_good, coverage.minimum, coverage.maximum)


def _opened(target: dict, reader: Callable, downloads: Downloads, stack: ExitStack):
    row, path = downloads.find(target["plate"], target["mjd"], target["fiberid"], (target.get("run2d") or "").strip())
    check_digest(path, row)
    try:
        field = reader(stack.enter_context(registry.open_fits(path)), path.name)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ResurveyError(f"{path.name}: is damaged ({error})") from error
    if (field.field, field.mjd) != (target["plate"], target["mjd"]):
        raise ResurveyError(
            f"{path.name}: holds field {field.field} of {field.mjd}, not {target['plate']} of {target['mjd']}"
        )
    return field
