"""Targets and downloaded files → one shard and the table of what was rejected."""

from pathlib import Path

import pyarrow as pa

from resurvey import __version__
from resurvey.errors import ResurveyError
from resurvey.files import damaged, read_meta, read_table
from resurvey.shards.grid import Grid
from resurvey.shards.resample import Resampler
from resurvey.shards.sources import ArchiveSpectra, Downloads, Rotten, in_reading_order, rows_of
from resurvey.shards.writer import open_shard
from resurvey.surveys.spectrum import FLUX_UNIT


class MixedOrigin(ResurveyError):
    """Real and mock files in one shard: never a matter of a single row."""


def build_shard(
    targets: Path, shard: str, downloads: Path, raw: Path, settings: dict, out: Path, rejected: Path
) -> dict:
    """Write the shard `shard` of `targets`; returns its metadata counts {expected, read, rejected}.

    settings: {dataset: {grid, resample, masks, source}, release: {name}, origin}. Raises ResurveyError when the targets or
    the manifest cannot be used, when a file's origin (real or mock) is not that of the targets, or when a file has changed since it was fetched.
    """
    dataset = settings["dataset"]
    meta = read_meta(targets)
    origin = meta.get("origin")
    if origin not in ("real", "mock") or settings.get("origin", origin) != origin:
        raise ResurveyError(
            f"{targets}: its origin is {origin!r}, the archive's {settings.get('origin')!r}; make the targets again from this archive"
        )
    rows = read_table(targets, only=("shard", shard))
    common = {
        "origin": origin,
        "release": dataset.get("release", meta.get("release")),
        "dataset": dataset.get("name", meta.get("dataset")),
        "shard": shard,
        "code_version": __version__,
        "flux_unit": FLUX_UNIT,
    }
    if dataset.get("source", "archive") == "published":
        from resurvey.shards.published import build_published

        return build_published(rows, read_table(downloads), raw, dataset["grid"], common, out, rejected)
    grid = Grid.from_settings(dataset["grid"])
    resampler = Resampler(grid, dataset.get("resample", "linear"), dataset.get("masks"))
    common |= {"grid": grid.meta(), "resample": resampler.method, "masks": resampler.masks, "ivar_known": True}
    rows = in_reading_order(rows)
    try:
        with (
            open_shard(rows, grid.pixels, common, out, rejected) as writer,
            ArchiveSpectra(Downloads(read_table(downloads), raw)) as spectra,
        ):
            _fill(writer, rows, spectra, resampler, origin)
    except Rotten as rotten:  # without its manifest, the next run fetches the file again
        raise damaged(rotten.path, rotten.why, downloads) from None
    return {"expected": rows.num_rows, "read": writer.read, "rejected": len(writer.rejected)}


def _fill(writer, rows: pa.Table, spectra: ArchiveSpectra, resampler: Resampler, origin: str) -> None:
    for number, target in rows_of(rows, ("spectrum_id", "plate", "mjd", "fiberid", "run2d")):
        try:
            spectrum = spectra.read(target)
            if spectrum.origin != origin:
                raise MixedOrigin(
                    f"{target['spectrum_id']}: its file is {spectrum.origin}, the targets are {origin}; "
                    "real and mock files must not stand in one archive folder"
                )
            coverage = resampler.into(spectrum, *writer.slot())
        except (MixedOrigin, Rotten):
            raise
        except ResurveyError as error:
            writer.reject(target["spectrum_id"], str(error))
        else:
            writer.accept(number, coverage.n_good, coverage.minimum, coverage.maximum)
