"""What the mock archives of all surveys have in common: their settings, their folder, their processes, their checksum files."""

import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pyarrow as pa

from resurvey import __version__, files, settings
from resurvey.archive.release import Release
from resurvey.errors import ResurveyError

MARKER = "MOCK"  # a file that says that all beside it may be written again


def checked(options: dict, defaults: dict, least: dict[str, int]) -> dict:
    """Settings with defaults filled in. Raises ResurveyError naming the key that is unknown, or no whole number of at least `least`."""
    for key in options:
        if key not in defaults:
            raise ResurveyError(f"--settings: unknown key {key!r}; {settings.nearest(key, list(defaults))}")
    options = defaults | options
    for key, lowest in least.items():
        if not isinstance(options[key], int) or isinstance(options[key], bool) or options[key] < lowest:
            raise ResurveyError(
                f"--settings: {key} is {options[key]!r}; it must be a whole number of at least {lowest}"
            )
    return options


def release(name: str, known: Sequence[str]) -> Release:
    """A release whose layout is written. Raises ResurveyError for another."""
    if name not in known:
        raise ResurveyError(f"--release {name}: no mock archive is written in its layout; choose {' or '.join(known)}")
    data = settings.read_yaml(settings.WORKFLOW / "releases" / f"{name}.yaml")
    return Release.from_settings({"release": {**data, "name": name}, "origin": "mock"})


def truth_file(out: Path, release_name: str) -> Path:
    """Where stands what was put into the archive."""
    return Path(out) / "truth" / f"{release_name}.parquet"


def cleared(folders: Sequence[Path], survey: str, options: dict, truth: Path) -> None:
    """Make the folders empty but for the marker; earlier mock archives in them are removed with their `truth`, anything else is refused.

    Raises ResurveyError.
    """
    for folder in folders:
        if folder.exists() and any(folder.iterdir()):
            if not (folder / MARKER).exists():
                raise ResurveyError(f"{folder}: exists and is no mock archive; choose another folder with --out")
            shutil.rmtree(folder)
    what = f"simulated spectra in the layout of {survey}; nothing here was observed"
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        text = {"what": what, "settings": options, "version": __version__}
        (folder / MARKER).write_text(json.dumps(text, indent=2) + "\n")
    truth.unlink(missing_ok=True)


def between(options: dict, key: str, low: float, high: float, unit: str = "") -> None:
    """Raises ResurveyError where a setting is no number from low to high."""
    value = options[key]
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ResurveyError(f"--settings: {key} is {value!r}; it must be between {low} and {high}{unit}")


def spread(job: Callable, threads: int, *items: Sequence, first: Sequence[Callable] = ()) -> Iterator:
    """Results of `job` over the items in their order, on `threads` processes; `first`: what is called once before they part."""
    if threads <= 1 or len(items[0]) == 1:
        yield from map(job, *items)
        return
    for call in first:
        call()
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else None
    with ProcessPoolExecutor(threads, multiprocessing.get_context(method)) as pool:
        yield from pool.map(job, *items)


def checksum_files(
    root: Path, release: Release, digests: Sequence[tuple[str, str, str]], unlisted: Callable[[str], bool]
) -> None:
    """One checksum file per folder, of (folder, name, digest); some are left out (`unlisted`), as happens in archives."""
    folders: dict[str, list[tuple[str, str]]] = {}
    for folder, name, digest in digests:
        folders.setdefault(folder, []).append((name, digest))
    for folder, entries in folders.items():
        lines = [f"{digest}  {name}\n" for name, digest in sorted(entries) if not unlisted(name)]
        if lines:
            with files.atomic(root / folder / release.checksum_name(folder)) as part:
                part.write_text("".join(lines))


def finished(root: Path, truth: pa.Table, file: Path, options: dict, visits: int) -> dict[str, int]:
    """Write the truth as the last file, so that it stands for a whole archive; counts of spectra, visits and bytes below `root`."""
    meta = {"origin": "mock", "release": file.stem, "code_version": __version__, **options}
    files.write_table(truth, file, meta)
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    return {"spectra": truth.num_rows, "visits": visits, "bytes": size}
