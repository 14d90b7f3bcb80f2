"""A release of a survey as its archive lays it out: routing by reduction, path templates, sizes, names of checksum files."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from resurvey.errors import ResurveyError


@dataclass(frozen=True)
class Release:
    """What is known of a release without asking the network. All paths are relative to `{root}/{prefix}`."""

    name: str
    root: str
    origin: str
    settings: dict = field(repr=False)
    etiquette: dict = field(repr=False)

    @classmethod
    def from_settings(cls, settings: dict) -> "Release":
        """From `{"release": {the release's file}, "root": …, "origin": "real"|"mock", "etiquette": {…}}`.

        `root`, `origin` and `etiquette` may be left out: the release's own root, real, the release's own etiquette. A root may be a
        folder's path: relative ones are of the current folder, so that a project that is moved redoes nothing.
        Raises ResurveyError naming the key that is missing or impossible.
        """
        if "release" not in settings:
            raise ResurveyError('--settings: lacks the key "release" (the content of a file of workflow/releases)')
        release = settings["release"]
        root = (settings.get("root") or release["root"]).rstrip("/")
        if not urlsplit(root).scheme:
            root = Path(root).absolute().as_uri()
        if urlsplit(root).scheme not in ("http", "https", "file"):
            raise ResurveyError(f"archive: {root!r} is not possible; give https://…, http://… or file:///folder")
        origin = settings.get("origin", "real")
        if origin not in ("real", "mock"):
            raise ResurveyError(f"--settings: origin {origin!r} is not possible; it is real or mock")
        etiquette = {**release["etiquette"], **(settings.get("etiquette") or {})}
        return cls(release.get("name", release.get("prefix", "release")), root, origin, release, etiquette)

    def reduction(self, run2d: str) -> dict:
        """The entry of the release's `reduction` list for a RUN2D; `*` matches any. Raises ResurveyError for none."""
        for entry in self.settings["reduction"]:
            if run2d.strip() in entry["run2d"] or "*" in entry["run2d"]:
                return entry
        raise ResurveyError(f"release {self.name}: no reduction for RUN2D {run2d!r}; add it to workflow/releases")

    def path(self, kind: str, run2d: str, plate: int, mjd: int, fiberid: int = -1, run1d: str | None = None) -> str:
        """Path of a `lite`, `plate` or `zbest` file. RUN1D equals RUN2D in every published SDSS reduction."""
        run2d = run2d.strip()
        return self.settings["paths"][kind].format(
            top=self.reduction(run2d)["top"], run2d=run2d, run1d=run1d or run2d, plate=plate, mjd=mjd, fiberid=fiberid
        )

    def expected_bytes(self, route: str, run2d: str) -> int:
        """Mean size of a file of a route."""
        return int(self.reduction(run2d)[f"{route}_bytes"])

    def url(self, path: str) -> str:
        """Where a path is in the archive."""
        return "/".join(part for part in (self.root, self.settings.get("prefix", ""), path) if part)

    @property
    def algorithm(self) -> str:
        """Digest of the archive's checksum files; sha1 where it has none, so that manifests have one kind."""
        return (self.settings.get("checksum") or {}).get("algorithm", "sha1")

    def stated_digest(self, path: str) -> str | None:
        """The SHA-1 that the release's own file gives for a table; of a mock archive's tables none is known."""
        tables = self.settings.get("tables", {}).values() if self.origin == "real" else ()
        return next((entry.get("sha1") for entry in tables if entry["path"] == path), None)

    def checksum_name(self, directory: str) -> str | None:
        """Name of a directory's checksum file; None where the release has none.

        `last_four_joined`: the last four components of its path, joined by `_`; `path_joined`: all of those below the folder `below`.
        """
        rule = self.settings.get("checksum")
        if not rule or rule["name"] not in ("last_four_joined", "path_joined"):
            return None
        whole = f"{self.settings.get('prefix', '')}/{directory}".strip("/").split("/")
        if rule["name"] == "last_four_joined":
            return "_".join(whole[-4:]) + rule["suffix"]
        return "_".join(whole[whole.index(rule["below"]) + 1 :]) + rule["suffix"] if rule["below"] in whole else None
