"""Files that are either whole or absent: atomic writes, Parquet with metadata, digests."""

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resurvey.claims import fence
from resurvey.errors import ResurveyError

META_KEY = b"resurvey"
IN_WORKFLOW = "RESURVEY_CONSOLE"  # set in jobs of the workflow (common.smk)
CHECKSUMS = {
    "write_page_checksum": True
}  # of every Parquet file: what rots on a disk is found when it is read, at no cost


@contextlib.contextmanager
def atomic(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it is renamed to `path`, on any failure it is removed.

    The name is unique per call, so two processes writing the same file never mix. Raises claims.Lost where another process has
    taken over what this one is making, ResurveyError where the file cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with open(part, "rb") as handle:
            os.fsync(handle.fileno())
        fence()
        os.replace(part, path)
    except OSError as error:
        fence()  # who took our work over has also removed our temporary file
        raise ResurveyError(
            f"{path}: cannot be written ({os.strerror(error.errno) if error.errno else error}); nothing was left behind"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # as where the folder could not be made
            part.unlink()


def write_json(data: object, path: str | os.PathLike) -> None:
    """Write `data` as indented JSON, atomically."""
    with atomic(path) as part:
        part.write_text(json.dumps(data, indent=2, allow_nan=False) + "\n")


def damaged(path: str | os.PathLike, why: object, *also: str | os.PathLike) -> ResurveyError:
    """The error to raise for a file that is not as it was written.

    In a job of the workflow, which reads only what the workflow made, the file is set aside as NAME.damaged, and so is what vouches
    for it: `also`, for a file of a folder the table FOLDER.csv (shards.csv), for NAME.rejected.parquet the table NAME.parquet. The
    next run makes them anew. Elsewhere the file is left alone; it may be the user's own.
    """
    if IN_WORKFLOW not in os.environ:
        return ResurveyError(f"{path}: {why}; delete {' and '.join(map(str, (path, *also)))} and make it again")
    path, kept = Path(path), []
    main = path.with_name(path.name.replace(".rejected.parquet", ".parquet"))
    for file in dict.fromkeys((path, main, *map(Path, also), path.absolute().parent.with_suffix(".csv"))):
        with contextlib.suppress(FileNotFoundError):  # another job was quicker
            os.replace(file, file.with_name(f"{file.name}.damaged"))
            kept.append(f"{file.name}.damaged")
    return ResurveyError(
        f"{path}: {why}; set aside{' as ' if kept else ''}{', '.join(kept)}; run again: it is made anew"
    )


@contextlib.contextmanager
def reading(path: str | os.PathLike) -> Iterator[None]:
    """What goes wrong within while a Parquet file is read becomes a ResurveyError that names it; see `damaged`."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        number = getattr(error, "errno", None)
        if isinstance(error, MemoryError) or number is not None:  # says nothing of the file
            raise ResurveyError(f"{path}: cannot be read ({os.strerror(number) if number else error})") from error
        raise damaged(path, f"is damaged ({error})") from error


def read_json(path: str | os.PathLike) -> dict:
    """Read a JSON file. Raises ResurveyError naming the file when it is missing or not JSON."""
    try:
        return json.loads(Path(path).read_text())
    except OSError as error:
        raise ResurveyError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise damaged(path, f"is not JSON ({error})") from error


def read_settings(text: str) -> dict:
    """Settings given on a command line: JSON text, or the path of a JSON file. Raises ResurveyError for anything else."""
    if not text.lstrip().startswith("{"):
        return read_json(text)
    try:
        return json.loads(text)
    except ValueError as error:
        raise ResurveyError(f"--settings: is not JSON ({error}); give JSON text or the path of a JSON file") from error


def with_meta(schema: pa.Schema, meta: dict) -> pa.Schema:
    """`schema` with `meta` as its `resurvey` entry (other entries are kept)."""
    return schema.with_metadata({**(schema.metadata or {}), META_KEY: json.dumps(meta, allow_nan=False).encode()})


def write_table(table: pa.Table, path: str | os.PathLike, meta: dict, **options) -> None:
    """Write a Parquet file with `meta` in its file metadata, atomically. `options` go to pyarrow."""
    with atomic(path) as part:
        pq.write_table(table.cast(with_meta(table.schema, meta)), part, **CHECKSUMS, **options)


def open_parquet(path: str | os.PathLike) -> pq.ParquetFile:
    """Open a Parquet file. Raises ResurveyError naming the file when it is missing, truncated or not Parquet.

    Pages are checked against their checksums when they are read: do that within `reading`.
    """
    with reading(path):
        return pq.ParquetFile(path, page_checksum_verification=True)


def read_table(
    path: str | os.PathLike, columns: list[str] | None = None, only: tuple[str, object] | None = None
) -> pa.Table:
    """Read a Parquet file whole, or only `columns`, or the rows in which a column has one value (`only`: column, value):
    of a file that is sorted by that column no more than these rows are read. Raises ResurveyError naming the file, or
    the missing columns."""
    file = open_parquet(path)
    missing = sorted({*(columns or []), *([only[0]] if only else [])} - set(file.schema_arrow.names))
    if missing:
        raise ResurveyError(
            f"{path}: lacks the columns {', '.join(missing)}; it has {', '.join(file.schema_arrow.names)}"
        )
    with reading(path):
        if only:
            filters = [(only[0], "=", only[1])]
            return pq.read_table(path, columns=columns, filters=filters, page_checksum_verification=True)
        return file.read(columns)


def row_groups(path: str | os.PathLike, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The row groups of a Parquet file one after the other, of which one is in memory. Raises ResurveyError naming the file.

    (`ParquetFile.iter_batches` of pyarrow 26 holds what it has read of all row groups until its end.)
    """
    file = open_parquet(path)
    for group in range(file.num_row_groups):
        with reading(path):
            table = file.read_row_group(group, columns, use_threads=False)
        yield table


def read_meta(path: str | os.PathLike) -> dict:
    """The `resurvey` metadata of a Parquet file; {} when another program wrote it."""
    text = (open_parquet(path).schema_arrow.metadata or {}).get(META_KEY, b"{}")
    try:
        return json.loads(text)
    except ValueError as error:
        raise damaged(path, f"is damaged (its metadata: {error})") from error


def numbered(folder: str | os.PathLike, count: int) -> list[Path]:
    """`0000.parquet` … of a folder. Raises ResurveyError naming the first that is missing."""
    paths = [Path(folder, f"{number:04d}.parquet") for number in range(count)]
    for path in paths:
        if not path.exists():
            raise ResurveyError(f"{path}: is missing; {count} shards were announced (--count)")
    return paths


def sha256(path: str | os.PathLike) -> str:
    """Hex SHA-256 digest of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
