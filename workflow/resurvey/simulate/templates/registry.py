"""Which public templates there are: the rows of workflow/templates/*.yaml, and the files of a folder that they name."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from resurvey.errors import ResurveyError
from resurvey.settings import WORKFLOW, available, nearest, read_yaml, validate

NOTE = "templates.json"  # beside the files: what was fetched, with the digests found


@dataclass(frozen=True)
class Template:
    """One file. role: what it is for; names: {file name: SHA-256 or None where none is known}, the public file's first."""

    role: str
    collection: str
    repository: str
    commit: str
    path: str
    licence: str
    names: dict[str, str | None]

    @property
    def file(self) -> str:
        """The name under which it is kept."""
        return next(iter(self.names))

    @property
    def url(self) -> str:
        """Where its repository gives it."""
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{self.path}"


def templates(collections: list[str] | None = None) -> list[Template]:
    """The rows of all collections, or of some. Raises ResurveyError naming a collection that does not exist."""
    found = []
    for name in collections or available("templates"):
        if name not in available("templates"):
            raise ResurveyError(f"--collection {name}: there is none; {nearest(name, available('templates'))}")
        file = WORKFLOW / "templates" / f"{name}.yaml"
        data = read_yaml(file)
        validate(data, "templates", f"workflow/templates/{name}.yaml")
        for row in data["files"]:
            also = row.get("also")
            names = {row["file"]: row["sha256"]} | ({also["file"]: also["sha256"]} if also else {})
            found.append(
                Template(row["role"], name, data["repository"], row["commit"], row["path"], data["licence"], names)
            )
    return found


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def in_folder(folder: Path, rows: list[Template]) -> dict[str, Path]:
    """{role: file} of the templates that lie in a folder or below it, their digests checked.

    Raises ResurveyError naming a file that is not the one of the registry. A template without a known digest must be as it was when
    it was fetched (templates.json beside it).
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ResurveyError(f"templates: {folder} is no folder; make it with `resurvey templates --out {folder}`")
    files = {path.name: path for path in sorted(folder.rglob("*.fits"))}
    found = {}
    for row in rows:
        for name, digest in row.names.items():
            if name in files:
                check(files[name], digest or noted(files[name]), row)
                found[row.role] = files[name]
                break
    return found


def noted(path: Path) -> str | None:
    """The digest that was found when a file was fetched, from templates.json beside it."""
    note = path.with_name(NOTE)
    if not note.exists():
        return None
    from resurvey.files import read_json

    return read_json(note).get("files", {}).get(path.name, {}).get("sha256")


def check(path: Path, digest: str | None, row: Template) -> str:
    """The digest of a file. Raises ResurveyError where it is not `digest`, or none is known."""
    if digest is None:
        raise ResurveyError(
            f"{path}: workflow/templates/{row.collection}.yaml knows no digest of {row.file}, and no {NOTE} beside it says what was "
            f"fetched; delete it and run `resurvey templates --out {path.parent}`"
        )
    found = sha256(path)
    if found != digest:
        raise ResurveyError(
            f"{path}: its SHA-256 is {found}, not {digest} (workflow/templates/{row.collection}.yaml); delete it and run "
            f"`resurvey templates --out {path.parent}`"
        )
    return found
