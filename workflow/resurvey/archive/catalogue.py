"""A release's master catalogue: fetched whole and reduced to the needed columns, or queried for a small selection."""

import csv
from pathlib import Path

from resurvey import __version__
from resurvey.archive.manifest import FAILED, Row, Wanted
from resurvey.archive.release import Release
from resurvey.archive.transfer import Transfer
from resurvey.errors import ResurveyError
from resurvey.stages import worker
from resurvey.surveys import apogee_catalogue, desi_catalogue, fourmost_catalogue, sdss_catalogue, template_catalogue


def fetch(settings: dict, raw: Path, out: Path) -> int:
    """Write catalogue.parquet of a release of any survey; returns its number of rows. Raises ResurveyError."""
    return worker("catalogue", settings["release"]["survey"])(settings, raw, out)


def fetch_apogee(settings: dict, raw: Path, out: Path) -> int:
    """APOGEE: allStar, allVisit and The Cannon's table, and the cluster members beside `out` (extras).

    `settings`: as for Release. Raises ResurveyError if a table cannot be had.
    """
    release = Release.from_settings(settings)
    tables = release.settings["tables"]
    rows = _require(
        release,
        raw,
        [Wanted(path=entry["path"], expected_bytes=int(entry["bytes"])) for entry in tables.values()],
    )
    members = Path(out).parent / "extras" / "clusters.csv"
    clusters = {}
    if members.exists():
        with open(members, newline="") as handle:
            clusters = {row["apogee_id"]: row["cluster"] for row in csv.DictReader(handle)}
    meta = {"origin": release.origin, "release": release.name, "code_version": __version__, "root": release.root}
    return apogee_catalogue.extract(
        raw / tables["allstar"]["path"],
        out,
        {**meta, "files": _origin_of(rows)},
        allvisit=raw / tables["allvisit"]["path"] if "allvisit" in tables else None,
        cannon=raw / tables["cannon"]["path"] if "cannon" in tables else None,
        clusters=clusters,
    )


def fetch_desi(settings: dict, raw: Path, out: Path) -> int:
    """DESI: zall-pix of the release. `settings`: as for Release. Raises ResurveyError if the catalogue cannot be had."""
    return _one_table(settings, raw, out, desi_catalogue.extract)


def fetch_fourmost(settings: dict, raw: Path, out: Path) -> int:
    """4MOST: the catalogue of its mock survey. `settings`: as for Release. Raises ResurveyError if it cannot be had."""
    return _one_table(settings, raw, out, fourmost_catalogue.extract)


def fetch_template(settings: dict, raw: Path, out: Path) -> int:
    """The catalogue of the mock survey from templates. `settings`: as for Release. Raises ResurveyError if it cannot be had."""
    return _one_table(settings, raw, out, template_catalogue.extract)


def _one_table(settings: dict, raw: Path, out: Path, extract) -> int:
    release = Release.from_settings(settings)
    path = release.settings["catalogue"]
    rows = _require(release, raw, [Wanted(path=path, expected_bytes=int(release.settings["catalogue_bytes"]))])
    meta = {"origin": release.origin, "release": release.name, "code_version": __version__, "root": release.root}
    return extract(raw / path, out, {**meta, "catalogue": path, "files": _origin_of(rows)})


def fetch_sdss(settings: dict, raw: Path, out: Path) -> int:
    """SDSS: the bulk catalogue, a query, or the arrays that authors released.

    `settings`: as for Release, and `catalogue_source`: `archive` (default) or `astroquery` with `datasets`, the
    selections to query. Raises ResurveyError if the catalogue cannot be had.
    """
    release = Release.from_settings(settings)
    meta = {
        "origin": release.origin,
        "release": release.name,
        "code_version": __version__,
        "catalogue": release.settings.get("catalogue"),
        "root": release.root,
    }
    source = settings.get("catalogue_source") or "archive"
    if source == "astroquery":
        from resurvey.archive.query import query_catalogue

        return query_catalogue(release, settings["datasets"], out, {**meta, "catalogue": "SkyServer SQL"})
    if source != "archive":
        raise ResurveyError(f"catalogue_source: {source!r} is not possible; it is archive or astroquery")
    if "arrays" in release.settings:
        names = release.settings["arrays"]
        size = int(release.settings["catalogue_bytes"])
        rows = _require(release, raw, [Wanted(path=path, expected_bytes=size // len(names)) for path in names.values()])
        sets = {split: (path, raw / path) for split, path in names.items()}
        return sdss_catalogue.extract_published(sets, out, {**meta, "files": _origin_of(rows)})
    path = release.settings["catalogue"]
    rows = _require(release, raw, [Wanted(path=path, expected_bytes=int(release.settings["catalogue_bytes"]))])
    return sdss_catalogue.extract(raw / path, out, {**meta, "files": _origin_of(rows)})


def _require(release: Release, raw: Path, wanted: list[Wanted]) -> list[Row]:
    with Transfer(release, raw) as transfer:
        rows = transfer.fetch(wanted, "catalogue")
    for row in rows:
        if row.state == FAILED:
            raise ResurveyError(
                f"archive: {row.url} could not be had ({row.reason}); check archive in config.yaml and run again: what arrived is kept"
            )
    return rows


def _origin_of(rows: list[Row]) -> list[dict]:
    return [{"url": row.url, "bytes": row.bytes, "digest": row.digest, "state": row.state} for row in rows]
