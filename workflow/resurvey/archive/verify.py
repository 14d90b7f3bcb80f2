"""Whether a file on disk is the one that was asked for: digest, else structure; and mock or real as it should be."""

from pathlib import Path

from resurvey.archive import structure
from resurvey.archive.checksums import digest
from resurvey.archive.release import Release
from resurvey.errors import ResurveyError


def inspect(file: Path, expected: str | None, release: Release, path: str) -> tuple[str | None, str | None]:
    """(digest, what is wrong with the file, or None). `expected`: the digest that the archive publishes, if it does.

    Without a published digest the whole structure is walked and FITS CHECKSUM and DATASUM are computed.
    Raises ResurveyError for a mock file (MOCK = T) under a root that is real, or the reverse.
    """
    if not structure.is_fits(file):
        return None, "is not FITS: it does not begin with SIMPLE"
    found = digest(file, release.algorithm)
    if expected and found != expected:
        return found, f"has the {release.algorithm} digest {found}, the archive lists {expected}"
    try:
        if not expected:
            structure.check(file)
        require_origin(file, release, path)
    except (ValueError, KeyError) as error:
        return found, f"is damaged: {error}"
    return found, None


def require_origin(file: Path, release: Release, path: str) -> None:
    """Raise ResurveyError unless the file is of the origin (real or mock) that the archive is taken for."""
    mock = structure.is_mock(file)
    if mock and release.origin == "real":
        raise ResurveyError(
            f"archive: {release.url(path)} is a file of the mock survey (MOCK = T) under a root that is taken as real; "
            f"set archive: mock in config.yaml, or mock+{release.root} to read this copy of it"
        )
    if not mock and release.origin == "mock":
        raise ResurveyError(
            f"archive: {release.url(path)} lacks MOCK = T but lies under the root of the mock survey; remove that folder"
        )
