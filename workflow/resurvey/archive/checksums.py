"""Digests that the archive publishes, fetched once per directory and kept beside the files that they describe."""

import hashlib
import posixpath
import re
import threading
from collections.abc import Callable
from pathlib import Path

from resurvey import files
from resurvey.archive.release import Release
from resurvey.archive.sources import FolderSource, HttpSource, Missing, Refused, Temporary


def parse(text: str, algorithm: str) -> dict[str, str]:
    """{file name: digest} of a checksum file. Names may carry a path (the name alone counts); other lines are ignored."""
    digits = hashlib.new(algorithm).digest_size * 2
    lines = re.findall(rf"^([0-9a-fA-F]{{{digits}}})[ \t]+\*?(\S.*?)\s*$", text, re.MULTILINE)
    return {posixpath.basename(name): digest.lower() for digest, name in lines}


def digest(path: Path, algorithm: str) -> str:
    """Hex digest of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()


class Checksums:
    """Expected digests by path. `again` wraps a request in the retries of the transfer."""

    def __init__(self, release: Release, source: HttpSource | FolderSource, raw: Path, again: Callable):
        self.release, self.source, self.raw, self.again = release, source, raw, again
        self._known: dict[str, tuple[dict[str, str], str]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def expected(self, path: str, fresh: bool = False) -> tuple[str | None, str]:
        """(digest, "") or (None, why there is none). `fresh`: ask the archive again, its list may be newer than ours."""
        if self._pointer_rule():
            return self._from_pointer(path)
        if stated := self.release.stated_digest(path):
            return stated, ""
        directory, name = posixpath.split(path)
        with self._guard:
            lock = self._locks.setdefault(directory, threading.Lock())
        with lock:
            if fresh or directory not in self._known:
                self._known[directory] = self._read(directory, fresh)
            digests, why = self._known[directory]
        if name in digests:
            return digests[name], ""
        return None, why or "the archive's checksum file does not list it"

    def _read(self, directory: str, fresh: bool) -> tuple[dict[str, str], str]:
        name = self.release.checksum_name(directory)
        if name is None:
            return {}, "the archive publishes no checksums"
        suffix = self.release.settings["checksum"]["suffix"]
        kept = sorted((self.raw / directory).glob(f"*{suffix}"))
        if kept and not fresh and not self.source.cheap:
            return self._merge(file.read_text(errors="replace") for file in kept), ""
        try:
            texts = {name: self._text(f"{directory}/{name}")}
            if not texts[name]:  # absent, or a page instead of digests: the directory knows the real name
                names = self.again(lambda: self.source.listing(self.release.url(directory)))
                texts = {other: self._text(f"{directory}/{other}") for other in names if other.endswith(suffix)}
        except Missing:
            return {}, "the archive's directory has no checksum file"
        except (Refused, Temporary) as error:
            return {}, f"the archive's checksum file could not be had: {error}"
        texts = {name: text for name, text in texts.items() if text}
        for other, text in texts.items():
            with files.atomic(self.raw / directory / other) as part:
                part.write_text(text)
        return self._merge(texts.values()), "" if texts else "the archive's directory has no checksum file"

    def _text(self, path: str) -> str:
        """A checksum file's text; empty if it is absent or holds no digest."""
        try:
            text = self.again(lambda: self.source.small(self.release.url(path))).decode("utf-8", "replace")
        except Missing:
            return ""
        return text if parse(text, self.release.algorithm) else ""

    def _merge(self, texts) -> dict[str, str]:
        merged: dict[str, str] = {}
        for text in texts:
            merged |= parse(text, self.release.algorithm)
        return merged

    def _pointer_rule(self) -> bool:
        return (self.release.settings.get("checksum") or {}).get("name") == "lfs_pointer"

    def _from_pointer(self, path: str) -> tuple[str | None, str]:
        """Git LFS: the pointer file that stands where the repository's raw view would show the file names its SHA-256."""
        old, new = self.release.settings["checksum"]["replace"]
        url = self.release.url(path)
        head, _, tail = url.rpartition(old)
        if not head:
            return None, f"the root has no {old}, so no pointer file is known"
        try:
            text = self.again(lambda: self.source.small(head + new + tail)).decode("utf-8", "replace")
        except (Missing, Refused, Temporary) as error:
            return None, f"the pointer file could not be had: {error}"
        match = re.search(r"^oid sha256:([0-9a-f]{64})$", text, re.MULTILINE)
        return (match[1], "") if match else (None, "the pointer file holds no digest")
