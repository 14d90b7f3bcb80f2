"""Where things come from: code digests per stage, version, and whether data are real or mock."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from resurvey import __version__
from resurvey.errors import ResurveyError

PACKAGE = Path(__file__).parent


def code_digest(*rooms: str) -> str:
    """Digest of the source of the named subpackages or modules (`"shards"`, `"surveys/sdss_*"`), 12 hex digits.

    Stands in the params of a rule, so that a change of the code that makes a product redoes the product,
    and a change elsewhere does not. Raises ResurveyError for a name that does not exist.
    """
    digest = hashlib.sha256()
    for room in sorted(rooms):
        folders = [path for path in PACKAGE.glob(room) if path.is_dir()]
        files = sorted(file for folder in folders for file in folder.rglob("*.py")) or sorted(
            PACKAGE.glob(f"{room}.py")
        )
        if not files:
            raise ResurveyError(f"no module {room} in the package (workflow/resurvey)")
        for file in files:
            digest.update(str(file.relative_to(PACKAGE)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def common_origin(metas: Iterable[tuple[str, dict]]) -> str:
    """The one origin (`"real"` or `"mock"`) of some inputs, given as (name, metadata).

    Raises ResurveyError when real and mock inputs are mixed, or when one does not say.
    """
    seen: dict[str, str] = {}
    for name, meta in metas:
        if meta.get("origin") not in ("real", "mock"):
            raise ResurveyError(
                f"{name}: does not say whether it is real or mock; make it again with resurvey {__version__}"
            )
        seen.setdefault(meta["origin"], name)
    if len(seen) > 1:
        raise ResurveyError(
            f"real and mock inputs are mixed: {seen['real']} is real, {seen['mock']} is mock; use another run name"
        )
    if not seen:
        raise ResurveyError("no inputs were given")
    return next(iter(seen))
