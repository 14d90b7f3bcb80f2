"""The two routes to a spectrum, its own spec-lite file and its plate's spPlate: when one is not there, the other."""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from resurvey.archive.manifest import Wanted
from resurvey.archive.release import Release

ENOUGH = 4  # files of a plate that do not exist, while none does, before the rest is put off


class Sightings:
    """What a transfer has seen of each plate's spec-lite files. Shared by its threads."""

    def __init__(self):
        self._guard = threading.Lock()
        self._arrived: Counter[tuple[int, int]] = Counter()
        self._missing: Counter[tuple[int, int]] = Counter()
        self.absent: set[str] = set()  # paths that the archive has not got
        self.put_off: set[str] = set()  # paths that were not asked for

    def arrived(self, file: Wanted) -> None:
        """The file is here."""
        with self._guard:
            self._arrived[(file.plate, file.mjd)] += file.route == "lite"

    def missing(self, file: Wanted) -> None:
        """The archive has no such file."""
        with self._guard:
            self.absent.add(file.path)
            self._missing[(file.plate, file.mjd)] += file.route == "lite"

    def put_off_rest(self, file: Wanted) -> bool:
        """True if the file's plate seems to have no spec-lite files: its spPlate is tried before hundreds of 404s."""
        plate = (file.plate, file.mjd)
        with self._guard:
            hopeless = file.route == "lite" and self._missing[plate] >= ENOUGH and not self._arrived[plate]
            if hopeless:
                self.put_off.add(file.path)
        return hopeless


def others(wanted: Iterable[Wanted], gone: set[str], release: Release) -> list[Wanted]:
    """The files of the other route for those of `wanted` whose path is in `gone`, marked as fallback.

    All spec-lite files of a plate have one spPlate; an spPlate has a spec-lite file for each of its wanted fibres.
    """
    found: dict[str, Wanted] = {}
    for file in wanted:
        if file.path not in gone:
            continue
        keys = (file.run2d, file.plate, file.mjd)
        if file.route == "lite":
            path = release.path("plate", *keys)
            before = found[path].fibres if path in found else ()
            found[path] = replace(
                file,
                path=path,
                fiberid=-1,
                route="plate",
                fibres=(*before, *file.fibres),
                expected_bytes=release.expected_bytes("plate", file.run2d),
                fallback=True,
            )
        elif file.route == "plate":
            size = release.expected_bytes("lite", file.run2d)
            for fibre in file.fibres:
                path = release.path("lite", *keys, fibre)
                found[path] = replace(
                    file, path=path, fiberid=fibre, route="lite", fibres=(fibre,), expected_bytes=size, fallback=True
                )
    return list(found.values())
