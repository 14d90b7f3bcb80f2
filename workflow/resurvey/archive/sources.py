"""One interface to the archives: HTTP(S) servers and folders (`file:///mirror`), which is also what the mock archive is."""

import contextlib
import email.utils
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from resurvey import __version__
from resurvey.archive.slots import Slots
from resurvey.errors import ResurveyError

CHUNK = 1 << 20
USER_AGENT = f"resurvey/{__version__} (reprocessing of public spectroscopic surveys; python-httpx/{httpx.__version__})"
LONGEST_WAIT_S = 600.0
SMALL_BYTES = 64 << 20  # checksum files and directory pages; anything larger is not one


class Missing(Exception):
    """The archive has no such file (404, 410)."""


class Refused(Exception):
    """The archive will not give the file, however often it is asked (401, 403, …)."""


class Temporary(Exception):
    """Worth another try. `silent`: the archive did not answer at all; `wait_s`: it said how long to wait."""

    def __init__(self, reason: str, silent: bool = False, wait_s: float | None = None):
        super().__init__(reason)
        self.silent, self.wait_s = silent, wait_s


Progress = Callable[[int], None]


def open_source(root: str, etiquette: dict, slots_folder: Path) -> "HttpSource | FolderSource":
    """The source behind a root. Raises ResurveyError if a folder root does not exist."""
    if urlsplit(root).scheme == "file":
        return FolderSource(root)
    return HttpSource(root, etiquette, slots_folder)


class FolderSource:
    """An archive's mirror in a folder: files are linked, or copied where the file system differs."""

    cheap = True  # asking again costs nothing, so what may have changed is asked again

    def __init__(self, root: str):
        self.folder = Path(unquote(urlsplit(root).path))
        if not self.folder.is_dir():
            raise ResurveyError(f"archive: {root}: there is no folder {self.folder}; set archive in config.yaml")

    def get(self, url: str, part: Path, progress: Progress = lambda n: None) -> None:
        """Bring the file behind `url` to `part`. Raises Missing."""
        file = self._file(url)
        part.unlink(missing_ok=True)
        try:
            os.link(file, part)
        except OSError:
            shutil.copyfile(file, part)
        progress(part.stat().st_size)

    def small(self, url: str) -> bytes:
        """The content of a small file. Raises Missing."""
        return self._file(url).read_bytes()

    def listing(self, url: str) -> list[str]:
        """Names in a directory. Raises Missing."""
        folder = Path(unquote(urlsplit(url).path))
        if not folder.is_dir():
            raise Missing("no such folder")
        return sorted(os.listdir(folder))

    def needs_space(self, raw: Path) -> bool:
        """False if files will be hard links, which take no room."""
        return self.folder.stat().st_dev != raw.stat().st_dev

    def defer(self, seconds: float) -> None:
        """A folder never asks to wait."""

    def close(self) -> None:
        """Nothing is held open."""

    def _file(self, url: str) -> Path:
        file = Path(unquote(urlsplit(url).path))
        if not file.is_file():
            raise Missing("no such file")
        return file


class HttpSource:
    """An archive behind HTTP: pooled connections within the host's cap, partial files resumed under guard."""

    cheap = False

    def __init__(self, root: str, etiquette: dict, slots_folder: Path):
        host = urlsplit(root).netloc.replace(":", "_")
        connections = int(etiquette["connections"])
        self.slots = Slots(slots_folder / host, connections, float(etiquette["pause_s"]))
        self.client = httpx.Client(
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},  # ranges count bytes of the file itself
            timeout=httpx.Timeout(float(etiquette["timeout_s"])),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            follow_redirects=True,
        )

    def defer(self, seconds: float) -> None:
        """Start no request for `seconds`, in any process."""
        self.slots.defer(seconds)

    def close(self) -> None:
        """Close pooled connections."""
        self.client.close()

    def needs_space(self, raw: Path) -> bool:
        """Downloads take room."""
        return True

    def get(self, url: str, part: Path, progress: Progress = lambda n: None) -> None:
        """Bring the file behind `url` to `part`, continuing a partial one if it is certain to be of the same file.

        Certain: the server confirms the recorded ETag or Last-Modified (If-Range), and the total length is the recorded
        one. Raises Missing, Refused, Temporary; what has arrived stays in `part` for the next call.
        """
        note_file = part.with_name(part.name + ".json")
        note = _read_note(note_file, url)
        have = part.stat().st_size if note and part.exists() else 0
        headers = {}
        if have:
            headers["Range"] = f"bytes={have}-"
            if guard := _strong(note.get("etag")) or note.get("last_modified"):
                headers["If-Range"] = guard
        with self._stream(url, headers) as reply:
            if reply.status_code == 416 or (reply.status_code == 206 and not _continues(reply, have, note)):
                _forget(part, note_file)
                raise Temporary("the archive's file changed while it was fetched; begun again")
            _raise_for(reply)
            if "html" in reply.headers.get("Content-Type", ""):
                _forget(part, note_file)
                raise Temporary("the archive answered with an HTML page instead of the file")
            if reply.status_code == 200:
                have, note = 0, _note(reply, url)
                part.parent.mkdir(parents=True, exist_ok=True)
                part.unlink(missing_ok=True)
                note_file.write_text(json.dumps(note))
            progress(have)
            encoded = reply.headers.get("Content-Encoding", "identity") != "identity"
            with open(part, "ab") as handle:
                for chunk in reply.iter_bytes(CHUNK) if encoded else reply.iter_raw():
                    handle.write(chunk)
                    progress(len(chunk))
        size = part.stat().st_size
        if note["length"] is not None and size != note["length"]:
            _forget(part, note_file)
            raise Temporary(f"{size} bytes arrived where {note['length']} were announced")
        note_file.unlink(missing_ok=True)

    def small(self, url: str) -> bytes:
        """The content of a small file. Raises Missing, Refused, Temporary."""
        with self._stream(url, {}) as reply:
            _raise_for(reply)
            content = bytearray()
            for chunk in reply.iter_bytes():
                content += chunk
                if len(content) > SMALL_BYTES:
                    raise Refused(f"it is larger than {SMALL_BYTES >> 20} MiB, so not what was asked for")
            return bytes(content)

    def listing(self, url: str) -> list[str]:
        """Names in a directory, from the links of its index page. Raises Missing, Refused, Temporary."""
        page = self.small(url.rstrip("/") + "/").decode("utf-8", "replace")
        links = re.findall(r"""href\s*=\s*["']?(?:\./)?([^"'?#/> ]+)["'> ]""", page, re.IGNORECASE)
        return sorted({unquote(link) for link in links})

    @contextlib.contextmanager
    def _stream(self, url: str, headers: dict):
        with self.slots.hold():
            answered = False
            try:
                with self.client.stream("GET", url, headers=headers) as reply:
                    answered = True
                    yield reply
            except httpx.TransportError as error:
                kind = f"{type(error).__name__}: {error}"
                if answered:
                    raise Temporary(f"the connection broke ({kind})") from error
                raise Temporary(f"no answer ({kind})", silent=True) from error
            except (httpx.TooManyRedirects, httpx.InvalidURL) as error:
                raise Refused(str(error)) from error


def _raise_for(reply: httpx.Response) -> None:
    status = reply.status_code
    if status in (200, 206):
        return
    reason = f"HTTP {status} {reply.reason_phrase}".strip()
    if status in (404, 410):
        raise Missing(reason)
    if status in (408, 425, 429) or status >= 500:
        raise Temporary(reason, wait_s=retry_after(reply.headers.get("Retry-After")))
    raise Refused(reason)


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for (a number or a date), at most ten minutes; None if it says nothing."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT_S)


def _strong(etag: str | None) -> str | None:
    """An ETag that guards bytes; weak ones promise only the meaning (RFC 9110, 8.8.1)."""
    return etag if etag and not etag.startswith("W/") else None


def _note(reply: httpx.Response, url: str) -> dict:
    encoded = reply.headers.get("Content-Encoding", "identity") != "identity"
    length = reply.headers.get("Content-Length")
    return {
        "url": url,
        "etag": reply.headers.get("ETag"),
        "last_modified": reply.headers.get("Last-Modified"),
        "length": int(length) if length and not encoded else None,
    }


def _read_note(file: Path, url: str) -> dict | None:
    """What was recorded when a partial file was begun; None if nothing can vouch for it."""
    try:
        note = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    known = isinstance(note, dict) and note.get("url") == url and note.get("length")
    return note if known else None


def _continues(reply: httpx.Response, have: int, note: dict | None) -> bool:
    """True if a 206 reply gives the rest of the file that `note` describes."""
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", reply.headers.get("Content-Range", ""))
    if not (match and note and have):
        return False
    etag = reply.headers.get("ETag")
    return (
        int(match[1]) == have
        and int(match[3]) == note["length"]
        and (etag is None or note["etag"] is None or etag == note["etag"])
    )


def _forget(part: Path, note_file: Path) -> None:
    part.unlink(missing_ok=True)
    note_file.unlink(missing_ok=True)
