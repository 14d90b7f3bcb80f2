"""DESI spectra → a shard on a linear grid of wavelengths: whole files in one shard, each opened once."""

from contextlib import ExitStack
from itertools import groupby

from resurvey.errors import ResurveyError
from resurvey.shards.grid import Grid
from resurvey.shards.job import Job, MixedOrigin
from resurvey.shards.resample import Resampler
from resurvey.shards.sources import FAILED, Rotten, check_digest, rows_of
from resurvey.shards.writer import ShardWriter, open_shard
from resurvey.surveys import registry
from resurvey.surveys.desi_coadd import Coadd
from resurvey.surveys.desi_layout import path as coadd_path
from resurvey.surveys.spectrum import FLUX_UNIT

KEYS = ("survey", "program", "healpix", "targetid")  # the order of reading


def build_desi(job: Job) -> dict[str, int]:
    """Read, resample and write the rows of a job; returns {expected, read, rejected}.

    Dataset's keys: grid, resample, selection.sn_min. The S/N of the rows is that of the spectra (median of flux·√ivar over all measured
    pixels of the joined arms); those of S/N ≤ sn_min are rejected.
    """
    missing = [name for name in KEYS if name not in job.rows.column_names]
    if missing:
        raise ResurveyError(f"targets: lack the columns {', '.join(missing)}, which spectra of DESI need")
    grid = Grid.from_settings(job.dataset["grid"])
    resampler = Resampler(grid, job.dataset.get("resample", "linear"))
    rows = job.rows.sort_by([(key, "ascending") for key in KEYS])
    about = {"resample": resampler.method, "masks": resampler.masks, "ivar_known": True}
    meta = {**job.meta, "flux_unit": FLUX_UNIT, "grid": grid.meta(), **about}
    files = CoaddFiles(job)
    sn_min = job.dataset["selection"].get("sn_min")
    with open_shard(rows, grid.pixels, meta, job.out, job.rejected) as writer:
        for _, group in groupby(rows_of(rows, ("spectrum_id", *KEYS)), key=lambda row: files.path(row[1])):
            _file(list(group), files, writer, resampler, sn_min)
    return writer.counts()


def _file(
    group: list[tuple[int, dict]], files: "CoaddFiles", writer: ShardWriter, resampler: Resampler, sn_min
) -> None:
    """The targets of one file. What concerns the file is the reason of all of them."""
    with ExitStack() as stack:
        try:
            coadd = files.open(group[0][1], stack)
        except (MixedOrigin, Rotten):
            raise
        except ResurveyError as error:
            for _, target in group:
                writer.reject(target["spectrum_id"], str(error))
            return
        for number, target in group:
            try:
                spectrum = _spectrum(coadd, target, sn_min)
                coverage = resampler.into(spectrum, *writer.slot())
            except ResurveyError as error:
                reason = str(error).removeprefix(
                    f"{target['spectrum_id']}: "
                )  # the row says of which; reasons are counted
                writer.reject(target["spectrum_id"], reason)
            else:
                found = {"sn_median": spectrum.sn_median}
                writer.accept(number, coverage.n_good, coverage.minimum, coverage.maximum, **found)


def _spectrum(coadd: Coadd, target: dict, sn_min: float | None):
    try:
        spectrum = coadd.spectrum(coadd.find(target["targetid"]))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ResurveyError(f"its rows are damaged ({error})") from error
    if sn_min is not None and not spectrum.sn_median > sn_min:
        raise ResurveyError(f"its S/N is not above {sn_min:g} (selection.sn_min)")
    return spectrum


class CoaddFiles:
    """The files of a manifest, by the paths that the release's template gives to targets."""

    def __init__(self, job: Job):
        self._job = job
        columns = ["path", "state", "reason", "digest", "algorithm"]
        self._rows = {row["path"]: row for row in job.manifest.select(columns).to_pylist()}

    def path(self, target: dict) -> str:
        """Where the target's file lies below the folder of raw files, as it was planned."""
        release = self._job.settings["release"]
        if "coadd" not in release.get("paths", {}):
            raise ResurveyError("paths.coadd: is missing in the release, which must say where these files lie")
        return coadd_path(release, target["survey"], target["program"], target["healpix"])

    def open(self, target: dict, stack: ExitStack) -> Coadd:
        """The file of a target, open until `stack` is closed. Raises ResurveyError with the reason why there is none, Rotten when it is
        not the one that was fetched, MixedOrigin when it is real and the targets are mock or the other way round."""
        path = self.path(target)
        row = self._rows.get(path)
        if row is None:
            raise ResurveyError(f"was not fetched: {path} does not stand in the manifest of downloads")
        if row["state"] == FAILED:
            raise ResurveyError(f"was not fetched: {path}: {row['reason']}")
        file = self._job.raw / path
        check_digest(file, row)
        try:
            coadd = Coadd(stack.enter_context(registry.open_fits(file)), file.name)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise ResurveyError(f"{file.name}: is damaged ({error})") from error
        self._job.require_origin(target["spectrum_id"], coadd.origin)
        for key in ("survey", "program"):
            said = getattr(coadd, key)
            if said is not None and said != target[key]:
                raise ResurveyError(f"{file.name}: is of the {key} {said}, the catalogue speaks of {target[key]}")
        return coadd
