"""Which files are there: each folder is listed once, however many files are asked for."""

import os
from pathlib import Path


class Listing:
    """The files below `root`, as they were when their folder was first asked for."""

    def __init__(self, root: str | os.PathLike) -> None:
        self.root = Path(root)
        self._folders: dict[str, dict[str, os.DirEntry]] = {}

    def _entry(self, path: str) -> os.DirEntry | None:
        folder, _, name = path.rpartition("/")
        if folder not in self._folders:
            try:
                with os.scandir(self.root / folder) as entries:
                    self._folders[folder] = {entry.name: entry for entry in entries}
            except OSError:  # not made yet
                self._folders[folder] = {}
        return self._folders[folder].get(name)

    def has(self, path: str) -> bool:
        return self._entry(path) is not None

    def mtime(self, path: str) -> float | None:
        """Seconds since the epoch of the last change; None where the file is not there (any more)."""
        entry = self._entry(path)
        try:
            return entry.stat().st_mtime if entry else None
        except OSError:
            return None
