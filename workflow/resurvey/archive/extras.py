"""The small tables that a paper needs beside a survey's spectra: continuum pixels, element windows, members of clusters, isochrones.

Each is a row of `extras` in the release's file: where it is published, in which format, and the digest of what is read from it.
The mock archive carries its own. All become CSV files of ours.
"""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd

from resurvey import files
from resurvey.archive.release import Release
from resurvey.errors import ResurveyError
from resurvey.surveys.apogee_grid import CHIPS
from resurvey.surveys.apogee_labels import ASPCAP_ELEMENTS

CLUSTERS = {"M67": "M67", "N6819": "NGC 6819", "M13": "M13"}  # those of the paper; the table has more
TIMEOUT_S = 60.0


class Unreachable(ResurveyError):
    """A server did not give what was asked for."""


def fetch(release: Release, folder: Path) -> dict[str, dict]:
    """Write folder/{name}.csv for each extra; returns {name: {path, rows, source, digest, reason}}.

    An optional one that cannot be had has a reason and no file. Raises ResurveyError for another that cannot be had, or
    whose content is not what its digest says.
    """
    made = {}
    for name, row in release.settings.get("extras", {}).items():
        try:
            source, table = _mock(release, name) if release.origin == "mock" else _published(release, name, row)
        except ResurveyError as error:
            if not row.get("optional"):
                raise
            made[name] = {"path": None, "reason": str(error)}
            continue
        out = folder / f"{name}.csv"
        text = table.to_csv(index=False)
        with files.atomic(out) as part:
            part.write_text(text)
        made[name] = {"path": out.name, "rows": len(table), "source": source, "digest": content_digest(table)}
    return made


def content_digest(table: pd.DataFrame) -> str:
    """SHA-256 of a table's rows as CSV: of what a file says, whatever its format."""
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()


def _mock(release: Release, name: str) -> tuple[str, pd.DataFrame]:
    url = f"{release.root}/{release.settings['prefix'].split('/')[0]}/extras/{name}.csv"
    return url, pd.read_csv(io.BytesIO(_bytes(url)))


def _published(release: Release, name: str, row: dict) -> tuple[str, pd.DataFrame]:
    """From VizieR where the row names a table there, else or if VizieR does not answer from its URLs."""
    urls = [row["url"]] if isinstance(row.get("url"), str) else row.get("url", [])
    failed = None
    if "vizier" in row:
        source = f"VizieR {row['vizier']}"
        try:
            return source, _checked(members(_vizier(row["vizier"])), source, release, name, row)
        except Unreachable as error:
            if not urls:
                raise
            failed = error
    source = " ".join(urls)
    try:
        return source, _checked(READERS[row["format"]]([_bytes(url) for url in urls], row), source, release, name, row)
    except Unreachable as error:
        raise ResurveyError(f"{failed}; and {error}" if failed else str(error)) from error


def _checked(table: pd.DataFrame, source: str, release: Release, name: str, row: dict) -> pd.DataFrame:
    found = content_digest(table)
    if row.get("content_sha256") and found != row["content_sha256"]:
        raise ResurveyError(
            f"{source}: its content has the SHA-256 {found}, workflow/releases/{release.name}.yaml: extras.{name} says "
            f"{row['content_sha256']}; it has changed, compare it before you change the digest"
        )
    return table


def _bytes(url: str) -> bytes:
    """What stands at a URL. Raises ResurveyError."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        try:
            return Path(unquote(parts.path)).read_bytes()
        except OSError as error:
            raise ResurveyError(f"{url}: cannot be read ({error.strerror or error})") from error
    import httpx

    try:
        answer = httpx.get(url, timeout=TIMEOUT_S, follow_redirects=True)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise Unreachable(f"{url}: could not be had ({error}); run again when it answers") from error
    return answer.content


def _vizier(catalogue: str) -> pd.DataFrame:
    """A whole VizieR table by astroquery. Raises ResurveyError when the service fails."""
    from astroquery.vizier import Vizier

    try:
        tables = Vizier(row_limit=-1, columns=["**"]).get_catalogs(catalogue)
        return tables[0].to_pandas()
    except Exception as error:  # astroquery passes on whatever requests, pyvo and the XML parser raise
        raise Unreachable(f"VizieR {catalogue}: could not be had ({type(error).__name__}: {error})") from error


def _array(data: bytes) -> np.ndarray:
    try:
        return np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError) as error:
        raise ResurveyError(f"not a numpy array ({error})") from error


def continuum_pixels(contents: list[bytes], row: dict) -> pd.DataFrame:
    """`pixel` on the grid of 8575, from a mask of the pixels that detectors cover (astroNN's dr*_contmask.npy)."""
    mask = _array(contents[0]).astype(bool)
    index = {chips.pixels: chips.index for chips in CHIPS.values()}.get(mask.size)
    if index is None:
        raise ResurveyError(f"continuum pixels: a mask of {mask.size} pixels is of no known grid")
    return pd.DataFrame({"pixel": index[mask]})


def windows(contents: list[bytes], row: dict) -> pd.DataFrame:
    """`element, pixel` on the grid of 7514, from one integer per pixel with one bit per element (astroNN's aspcap_l31c_masks.npy)."""
    bits = _array(contents[0])
    parts = [
        pd.DataFrame({"element": element, "pixel": np.flatnonzero(bits >> number & 1)})
        for number, element in enumerate(ASPCAP_ELEMENTS)
    ]
    return pd.concat(parts, ignore_index=True)


def members(table: pd.DataFrame) -> pd.DataFrame:
    """`apogee_id, cluster` of the paper's clusters, from Mészáros et al. 2013, Table 4, with VizieR's names of columns."""
    columns = {name.lower(): name for name in table.columns}
    star = next((columns[name] for name in ("_2mass", "2mass", "apogee", "id") if name in columns), None)
    cluster = next((columns[name] for name in ("cluster", "cl") if name in columns), None)
    if star is None or cluster is None:
        raise ResurveyError(
            f"cluster members: the table has the columns {', '.join(table.columns)}, none for star and cluster"
        )
    names = table[star].astype(str).str.strip()
    found = pd.DataFrame(
        {
            "apogee_id": names.where(names.str.startswith("2M"), "2M" + names.str.removeprefix("J")),
            "cluster": table[cluster].astype(str).str.replace(" ", "").str.replace("NGC", "N").map(CLUSTERS),
        }
    )
    return found.dropna().drop_duplicates("apogee_id").sort_values("apogee_id").reset_index(drop=True)


def members_text(contents: list[bytes], row: dict) -> pd.DataFrame:
    """The same from the journal's machine-readable table: star and cluster are the first two words of a line."""
    words = [line.split() for line in contents[0].decode("utf-8", "replace").splitlines() if line.startswith("2M")]
    return members(pd.DataFrame([entry[:2] for entry in words], columns=["id", "cluster"]))


def isochrones(contents: list[bytes], row: dict) -> pd.DataFrame:
    """`mh, teff, logg` of PARSEC isochrones: columns 6 and 7 are log Teff and log g; one file for each [M/H] of `mh`."""
    parts = []
    for mh, data in zip(row["mh"], contents, strict=True):
        points = np.loadtxt(io.BytesIO(data), usecols=(5, 6))
        parts.append(pd.DataFrame({"mh": mh, "teff": 10 ** points[:, 0], "logg": points[:, 1]}))
    return pd.concat(parts, ignore_index=True)


READERS: dict[str, Callable] = {
    "continuum_mask": continuum_pixels,
    "window_bits": windows,
    "meszaros2013_text": members_text,
    "parsec": isochrones,
}
