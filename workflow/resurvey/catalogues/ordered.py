"""Many sorted tables → one sorted stream, in memory that depends neither on their number nor on their rows.

A table is opened when the stream reaches its first key and closed at its last: of shards that follow one another, one is open
at a time. Where more than FAN_IN overlap, groups of FAN_IN are first merged into temporary files.
"""

import bisect
import heapq
import itertools
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

FAN_IN = 16  # tables that are open at the same time
PIECE = 4096  # rows of each that are in memory, once they are temporary files

Key = tuple


@dataclass(frozen=True)
class Run:
    """Sorted rows: their first and last key, and how to read them, piece by piece; each piece is sorted and has rows."""

    first: Key
    last: Key
    pieces: Callable[[], Iterator[pa.Table]]


def key_of(table: pa.Table, row: int, key: Sequence[str]) -> Key:
    """The values of the columns `key` in a row, so that they can be compared: null comes before all numbers and all text."""
    values = (table[name][row].as_py() for name in key)
    return tuple((value is not None, value if value is not None else 0) for value in values)


def in_order(table: pa.Table, key: Sequence[str]) -> pa.Table:
    """The rows by ascending `key` (columns), null first."""
    keys = [(name, "ascending", "at_start") for name in key]
    return table.take(pc.sort_indices(table.select(list(key)), sort_keys=keys))


def merged(runs: list[Run], key: Sequence[str]) -> Iterator[pa.Table]:
    """The rows of all runs in ascending order of `key`, in tables of any size; equal keys come one after the other."""
    waiting = sorted(runs, key=lambda run: run.first)
    waiting.reverse()
    heads: list[tuple[pa.Table, Iterator[pa.Table]]] = []

    def advance(pieces: Iterator[pa.Table]) -> None:
        if (head := next(pieces, None)) is not None:
            heads.append((head, pieces))

    while waiting or heads:
        if not heads:
            advance(waiting.pop().pieces())
        limit = min(key_of(head, -1, key) for head, _ in heads)
        while waiting and waiting[-1].first <= limit:
            advance(waiting.pop().pieces())
            limit = min(limit, key_of(heads[-1][0], -1, key))
        ready, opened, heads = [], heads, []
        for head, pieces in opened:
            count = bisect.bisect_right(range(len(head)), limit, key=lambda row, head=head: key_of(head, row, key))
            ready.append(head.slice(0, count))
            if count < len(head):
                heads.append((head.slice(count), pieces))
            else:
                advance(pieces)
        yield ready[0] if len(ready) == 1 else in_order(pa.concat_tables(ready), key)


def overlapping(runs: list[Run]) -> int:
    """The largest number of runs that any key lies in."""
    most, ends = 0, []
    for run in sorted(runs, key=lambda run: run.first):
        while ends and ends[0] < run.first:
            heapq.heappop(ends)
        heapq.heappush(ends, run.last)
        most = max(most, len(ends))
    return most


def limited(runs: list[Run], scratch: str | os.PathLike, key: Sequence[str]) -> list[Run]:
    """The same rows in runs of which at most FAN_IN overlap; what had to be merged for it lies in `scratch`."""
    runs = sorted(runs, key=lambda run: run.first)
    while overlapping(runs) > FAN_IN:
        runs = [_spilled(runs[start : start + FAN_IN], Path(scratch), key) for start in range(0, len(runs), FAN_IN)]
    return runs


def _spilled(runs: list[Run], scratch: Path, key: Sequence[str]) -> Run:
    """Some runs as one, in a file that is read by pieces and removed once it has been read.

    An Arrow stream: the list of row groups that a Parquet file ends with would be larger than the pieces.
    """
    path = scratch / f"{uuid.uuid4().hex}.arrows"
    tables = merged(runs, key)
    first = next(tables)
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, first.schema, options=options) as writer:
        for table in itertools.chain([first], tables):
            writer.write_table(table.combine_chunks(), max_chunksize=PIECE)

    def pieces() -> Iterator[pa.Table]:
        with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                yield pa.Table.from_batches([batch])
        path.unlink()

    return Run(min(run.first for run in runs), max(run.last for run in runs), pieces)
