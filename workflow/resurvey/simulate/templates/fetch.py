"""Public templates into a folder, each with its digest."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from resurvey import __version__, files
from resurvey.errors import ResurveyError
from resurvey.simulate.templates import registry
from resurvey.simulate.templates.registry import NOTE, Template

TIMEOUT_S = 120.0


def fetch(folder: Path, rows: list[Template], mirror: str | None = None) -> dict[str, dict]:
    """Bring all templates into `folder`; returns {file: {sha256, source, state}} and writes it to templates.json there.

    A file that is there is checked and kept. mirror: a folder or URL below which the files lie under their own names, asked instead of
    the repositories. Raises ResurveyError when one cannot be had or is not what its row says; what arrived before is kept.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, dict] = {}
    for row in rows:
        name, path = next(((name, folder / name) for name in row.names if (folder / name).exists()), (row.file, None))
        if path is not None:
            digest = registry.check(path, row.names[name] or registry.noted(path), row)
            made[name] = {"sha256": digest, "source": row.url, "state": "was there"}
        else:
            made |= _one(folder, row, mirror)
        earlier = files.read_json(folder / NOTE).get("files", {}) if (folder / NOTE).exists() else {}
        files.write_json({"code_version": __version__, "files": earlier | made}, folder / NOTE)
    return made


def _one(folder: Path, row: Template, mirror: str | None) -> dict[str, dict]:
    problem = None
    for name, digest in row.names.items():
        source = f"{mirror.rstrip('/')}/{name}" if mirror else row.url
        if name != row.file and not mirror:
            continue  # only mirrors have the other forms
        try:
            data = content(source)
        except ResurveyError as error:
            problem = problem or error
            continue
        with files.atomic(folder / name) as part:
            part.write_bytes(data)
            found = registry.sha256(part)
            if digest is not None and found != digest:
                raise ResurveyError(
                    f"{source}: its SHA-256 is {found}, workflow/templates/{row.collection}.yaml says {digest}; it has changed"
                )
        return {
            name: {"sha256": found, "source": source, "state": "fetched" if digest else "fetched, no digest was known"}
        }
    raise problem


def content(source: str) -> bytes:
    """What stands at a URL or in a file. Raises ResurveyError."""
    parts = urlsplit(source)
    if parts.scheme in ("", "file"):
        try:
            return Path(unquote(parts.path)).read_bytes()
        except OSError as error:
            raise ResurveyError(f"{source}: cannot be read ({error.strerror or error})") from error
    import httpx

    try:
        answer = httpx.get(source, timeout=TIMEOUT_S, follow_redirects=True)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise ResurveyError(
            f"{source}: could not be had ({error}); run again when it answers, or name a --mirror"
        ) from error
    return answer.content
