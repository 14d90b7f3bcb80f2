"""Targets and downloaded files → one shard and the table of what was rejected, by the builder of the release's survey."""

from functools import partial
from pathlib import Path

from resurvey import __version__
from resurvey.errors import ResurveyError
from resurvey.files import damaged, read_meta, read_table
from resurvey.shards.apogee import build_apogee
from resurvey.shards.desi import build_desi
from resurvey.shards.fields import build_fields
from resurvey.shards.job import Job
from resurvey.shards.published import build_published
from resurvey.shards.sdss import build_sdss
from resurvey.shards.sources import Rotten
from resurvey.surveys.fourmost import Field
from resurvey.surveys.spectra_table import SpectraTable

BUILDERS = {
    ("sdss", "archive"): build_sdss,
    ("sdss", "published"): build_published,
    ("apogee", "archive"): build_apogee,
    ("desi", "archive"): build_desi,
    ("fourmost", "archive"): partial(build_fields, reader=Field),
    ("template", "archive"): partial(build_fields, reader=SpectraTable),
}  # (the release's survey, the dataset's source): a Job → {expected, read, rejected}


def build_shard(
    targets: Path, shard: str, downloads: Path, raw: Path, settings: dict, out: Path, rejected: Path
) -> dict:
    """Write the shard `shard` of `targets`; returns its metadata counts {expected, read, rejected}.

    settings: {dataset, release: {name, survey}, origin, extras: {name: path of a small table}}. Raises ResurveyError when the
    targets or the manifest cannot be used, when a file's origin (real or mock) is not that of the targets, or when a file has
    changed since it was fetched.
    """
    dataset = settings["dataset"]
    meta = read_meta(targets)
    origin = meta.get("origin")
    if origin not in ("real", "mock") or settings.get("origin", origin) != origin:
        raise ResurveyError(
            f"{targets}: its origin is {origin!r}, the archive's {settings.get('origin')!r}; make the targets again from this archive"
        )
    kind = (settings.get("release", {}).get("survey", "sdss"), dataset.get("source", "archive"))
    if kind not in BUILDERS:
        known = ", ".join(f"{survey} ({source})" for survey, source in BUILDERS)
        raise ResurveyError(
            f"spectra of the survey {kind[0]!r}, source {kind[1]!r}, cannot be read here; known are {known}"
        )
    job = Job(
        rows=read_table(targets, only=("shard", shard)),
        manifest=read_table(downloads),
        raw=raw,
        settings=settings,
        meta={
            "origin": origin,
            "release": dataset.get("release", meta.get("release")),
            "dataset": dataset.get("name", meta.get("dataset")),
            "shard": shard,
            "code_version": __version__,
        },
        out=out,
        rejected=rejected,
    )
    try:
        return BUILDERS[kind](job)
    except Rotten as rotten:  # without its manifest, the next run fetches the file again
        raise damaged(rotten.path, rotten.why, downloads) from None
