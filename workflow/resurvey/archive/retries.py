"""Asking again: exponential back-off with jitter, or as long as the archive says; and knowing when nobody is there."""

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from resurvey.archive.sources import Missing, Refused, Temporary
from resurvey.errors import ResurveyError

LONGEST_PAUSE_S = 60.0

T = TypeVar("T")


class Retries:
    """Shared by all threads of a transfer. `limit`: tries per request; `patience`: tries in a row, of all threads
    together, without any answer, after which the archive counts as absent."""

    def __init__(self, root: str, limit: int, patience: int, first_pause_s: float, defer: Callable[[float], None]):
        self.root, self.limit, self.patience, self.first_pause_s = root, limit, patience, first_pause_s
        self._defer = defer
        self._silent = 0
        self._guard = threading.Lock()
        self.stopped = threading.Event()

    def run(self, ask: Callable[[], T]) -> tuple[T, int]:
        """(result, tries). Raises what the last try raised (with a `tries` attribute), or ResurveyError for no archive."""
        for tries in range(1, self.limit + 1):
            try:
                if self.stopped.is_set():
                    raise Temporary("stopped")
                result = ask()
            except (Missing, Refused) as error:
                self._note(False)
                error.tries = tries
                raise
            except Temporary as error:
                self._note(error.silent, error)
                error.tries = tries
                if tries == self.limit or self.stopped.is_set():
                    raise
                if error.wait_s is not None:
                    self._defer(error.wait_s)
                else:
                    pause = min(LONGEST_PAUSE_S, self.first_pause_s * 2 ** (tries - 1))
                    self.stopped.wait(pause * random.uniform(0.5, 1.5))
            else:
                self._note(False)
                return result, tries
        raise ValueError("limit must be at least 1")

    def _note(self, silent: bool, error: Exception | None = None) -> None:
        with self._guard:
            self._silent = self._silent + 1 if silent else 0
            gone = self._silent >= self.patience
        if gone:
            self.stopped.set()
            raise self.nobody(error) from error

    def nobody(self, error: object) -> ResurveyError:
        """The one message for an archive that does not answer."""
        return ResurveyError(
            f"archive: {self.root} does not answer: {error}. What has arrived is kept. "
            "Check the network, or set archive in config.yaml to another root (https://…, file:///mirror, mock)"
        )
