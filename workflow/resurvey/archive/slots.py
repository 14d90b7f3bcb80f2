"""The per-host cap on connections, kept by all processes of a user through lock files."""

import contextlib
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout


class Slots:
    """`count` connections to one host for all processes that name the same `folder`; a pause ends each use of a slot."""

    def __init__(self, folder: Path, count: int, pause_s: float):
        self.folder, self.count, self.pause_s = folder, count, pause_s
        folder.mkdir(parents=True, exist_ok=True)
        self._deadline = folder / "not_before"
        self._own = threading.BoundedSemaphore(count)  # threads queue here, only `count` of them poll the lock files

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold one slot. Waits for a free one, and for the end of any pause that the host has asked for."""
        with self._own:
            lock = self._acquire()
            try:
                self._wait()
                yield
            finally:
                time.sleep(self.pause_s)
                lock.release()

    def defer(self, seconds: float) -> None:
        """No process starts a request to the host for `seconds` (its answer to Retry-After)."""
        until = time.time() + seconds
        if until > self._until():
            self._deadline.touch()
            os.utime(self._deadline, (until, until))

    def _until(self) -> float:
        return self._deadline.stat().st_mtime if self._deadline.exists() else 0.0

    def _wait(self) -> None:
        while (left := self._until() - time.time()) > 0:
            time.sleep(min(left, 1.0))

    def _acquire(self) -> FileLock:
        first = random.randrange(self.count)
        while True:
            for number in range(self.count):
                lock = FileLock(self.folder / f"{(first + number) % self.count:02d}.lock", thread_local=False)
                try:
                    lock.acquire(timeout=0)
                    return lock
                except Timeout:
                    continue
            time.sleep(random.uniform(0.01, 0.05))
