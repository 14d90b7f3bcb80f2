"""Files from an archive to disk: in parallel, resumable, each checked before it gets its final name.

A file under its final name is always whole. Any moment may be the last: `.part` files are continued by the next run.
"""

import os
import shutil
import sys
import time
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from resurvey.archive import routes
from resurvey.archive.checksums import Checksums
from resurvey.archive.manifest import FAILED, PRESENT, UNVERIFIED, VERIFIED, Row, Wanted
from resurvey.archive.release import Release
from resurvey.archive.retries import Retries
from resurvey.archive.routes import Sightings
from resurvey.archive.sources import Missing, Refused, Temporary, open_source
from resurvey.archive.verify import inspect
from resurvey.errors import ResurveyError

SPARE_BYTES = 200_000_000  # left free on the disk
LOCKS = 1024  # lock files; each path belongs to one of them, so folders of 260,000 spectra do not double


class Transfer:
    """Fetches files of one release into the folder `raw`. Use as a context manager."""

    def __init__(self, release: Release, raw: Path, first_pause_s: float = 1.0):
        self.release, self.raw = release, Path(raw)
        self.raw.mkdir(parents=True, exist_ok=True)
        self.source = open_source(release.root, release.etiquette, self.raw.parent / ".slots")
        self.workers = max(1, int(release.etiquette["connections"]))
        limit = max(1, int(release.etiquette["retries"]))
        self.retries = Retries(release.root, limit, limit * self.workers, first_pause_s, self.source.defer)
        self.checksums = Checksums(release, self.source, self.raw, lambda ask: self.retries.run(ask)[0])
        self.seen = Sightings()

    def __enter__(self) -> "Transfer":
        return self

    def __exit__(self, *error) -> None:
        self.source.close()

    def fetch(self, wanted: Iterable[Wanted], label: str = "files") -> list[Row]:
        """Fetch files; where one does not exist, the other route of its plate. One row for each file asked for.

        Raises ResurveyError if the disk is too small, the archive does not answer, or mock and real files are mixed.
        """
        wanted = list(wanted)
        self._require_room(wanted)
        rows = self._all(wanted, label, self._unless_hopeless)
        other = routes.others(wanted, self.seen.absent | self.seen.put_off, self.release)
        if not other:
            return rows
        self._require_room(other)
        other_rows = self._all(other, f"{label}, other route", self.one)
        rows += other_rows
        here = {(row.plate, row.mjd) for row in other_rows if row.route == "plate" and row.state != FAILED}
        late = [file for file in wanted if file.path in self.seen.put_off and (file.plate, file.mjd) not in here]
        if late:  # the plate is not there either: each of its spectra is asked for after all
            rows = [row for row in rows if row.path not in {file.path for file in late}]
            rows += self._all(late, f"{label}, put off", self.one)
        return rows

    def one(self, file: Wanted, bar: tqdm | None = None) -> Row:
        """Fetch one file. What is wrong with the file stands in the row; only what is wrong with the run is raised."""
        began = time.monotonic()
        with FileLock(self._lock(file.path), thread_local=False):
            target = self.raw / file.path
            expected, unlisted = self.checksums.expected(file.path)
            note = ""
            if target.exists() and (expected or not self.source.cheap):
                found, problem = inspect(target, expected, self.release, file.path)
                if problem is None:
                    self.seen.arrived(file)
                    state = PRESENT if expected else UNVERIFIED
                    return self._row(file, state, 0, began, found, "" if expected else f"there already; {unlisted}")
                target.unlink()
                note = f"the file that was there {problem}; fetched again"
            part = target.with_name(target.name + ".part")
            try:
                (found, listed), tries = self.retries.run(lambda: self._attempt(file.path, part, bar))
            except (Missing, Refused, Temporary) as error:
                if isinstance(error, Missing):
                    self.seen.missing(file)
                return self._row(file, FAILED, error.tries, began, None, str(error))
            os.replace(part, target)
            self.seen.arrived(file)
            reason = "; ".join(filter(None, [note, "" if listed else unlisted]))
            return self._row(file, VERIFIED if listed else UNVERIFIED, tries, began, found, reason)

    def _attempt(self, path: str, part: Path, bar: tqdm | None) -> tuple[str, bool]:
        """One try: fetch, then check. Returns the digest, and whether the archive's list vouches for it."""
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            self.source.get(self.release.url(path), part, self._progress(bar))
        except OSError as error:
            raise ResurveyError(
                f"{part}: cannot be written ({error.strerror or error}); what has arrived is kept: make room and run again"
            ) from error
        expected, _ = self.checksums.expected(path)
        found, problem = inspect(part, expected, self.release, path)
        if problem and expected and found and found != expected:
            expected, _ = self.checksums.expected(path, fresh=True)  # our copy of the list may be older than the file
            found, problem = inspect(part, expected, self.release, path)
        if problem:
            part.unlink()
            raise Temporary(f"what arrived {problem}")
        return found, expected is not None

    def _progress(self, bar: tqdm | None):
        """A callback for bytes that arrive: shows their number beside that of the files, and ends a transfer that was stopped."""

        def arrived(count: int) -> None:
            if self.retries.stopped.is_set():
                raise Temporary("stopped")
            if bar is not None:
                bar.arrived = getattr(bar, "arrived", 0) + count
                bar.set_postfix_str(f"{bar.arrived / 1e6:.0f} MB", refresh=False)

        return arrived

    def _all(self, wanted: list[Wanted], label: str, fetch_one: Callable[[Wanted, tqdm], Row]) -> list[Row]:
        def counted(file: Wanted) -> Row:
            try:
                return fetch_one(file, bar)
            finally:
                bar.update()

        quiet = not sys.stderr.isatty()
        with (
            tqdm(total=len(wanted), desc=label, unit="file", mininterval=30 if quiet else 0.2) as bar,
            ThreadPoolExecutor(self.workers) as pool,
        ):
            futures = [pool.submit(counted, file) for file in wanted]
            try:
                rows = [future.result() for future in futures]
            except BaseException:  # also an interrupt: threads must not go on retrying
                self.retries.stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        silent = [row.reason for row in rows if row.state == FAILED and (row.reason or "").startswith("no answer")]
        if rows and len(silent) == len(rows):
            raise self.retries.nobody(silent[0])
        return rows

    def _unless_hopeless(self, file: Wanted, bar: tqdm) -> Row:
        if self.seen.put_off_rest(file):
            reason = "not asked for: spec-lite files of its plate do not exist, the plate's own file is tried instead"
            return self._row(file, FAILED, 0, time.monotonic(), None, reason)
        return self.one(file, bar)

    def _row(self, file: Wanted, state: str, tries: int, began: float, found: str | None, reason: str) -> Row:
        return Row(
            path=file.path,
            url=self.release.url(file.path),
            plate=file.plate,
            mjd=file.mjd,
            fiberid=file.fiberid,
            route=file.route,
            fallback=file.fallback,
            bytes=(self.raw / file.path).stat().st_size if state != FAILED else 0,
            digest=found,
            algorithm=self.release.algorithm,
            state=state,
            tries=tries,
            seconds=time.monotonic() - began,
            reason=reason or None,
        )

    def _lock(self, path: str) -> Path:
        folder = self.raw / ".locks"
        folder.mkdir(exist_ok=True)
        return folder / f"{zlib.crc32(path.encode()) % LOCKS:04d}.lock"

    def _require_room(self, wanted: list[Wanted]) -> None:
        if not self.source.needs_space(self.raw):
            return
        needed = sum(file.expected_bytes for file in wanted if not (self.raw / file.path).exists()) + SPARE_BYTES
        free = shutil.disk_usage(self.raw).free
        if needed > free:
            raise ResurveyError(
                f"{self.raw}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; make room, "
                "or link resources/ to a larger disk"
            )
