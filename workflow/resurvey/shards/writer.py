"""Writes a shard row by row in memory that does not grow with it; counts what was read and what was rejected."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from resurvey.files import atomic, with_meta, write_table
from resurvey.shards.schema import REJECTED, ROWS_PER_GROUP, WRITE_OPTIONS, shard_schema, spectrum_type

STAGE = "shard"


class ShardWriter:
    """Takes spectra one at a time; use through open_shard()."""

    def __init__(self, parquet: pq.ParquetWriter, targets: pa.Table, pixels: int):
        self._parquet, self._targets, self._pixels = parquet, targets, pixels
        self._flux = np.empty((ROWS_PER_GROUP, pixels), np.float32)
        self._ivar = np.empty((ROWS_PER_GROUP, pixels), np.float32)
        self._rows: list[tuple[int, int, float | None, float | None]] = []
        self._found: list[dict[str, object]] = []
        self.read = 0
        self.rejected: list[dict[str, str]] = []

    def slot(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the flux and ivar of the next row are to be written, (pixels,) float32 each."""
        return self._flux[len(self._rows)], self._ivar[len(self._rows)]

    def accept(
        self, target: int, n_good: int, coverage_min: float | None, coverage_max: float | None, **found: object
    ) -> None:
        """The slot now holds the spectrum of row `target` of the targets; coverage is None where wavelengths are unknown.

        found: values of the targets' columns that only the spectrum's file gives; they take the place of the targets' own.
        """
        self._rows.append((target, n_good, coverage_min, coverage_max))
        self._found.append(found)
        self.read += 1
        if len(self._rows) == ROWS_PER_GROUP:
            self.flush()

    def reject(self, spectrum_id: str, reason: str) -> None:
        """The target has no row; the reason goes into the table beside the shard."""
        self.rejected.append({"spectrum_id": spectrum_id, "reason": reason, "stage": STAGE})

    def flush(self) -> None:
        """Write the rows gathered so far as a row group."""
        if not self._rows:
            return
        count = len(self._rows)
        target, n_good, low, high = zip(*self._rows, strict=True)
        table = self._targets.take(pa.array(target, pa.int64()))
        columns = [self._column(table, name) for name in self._targets.column_names]
        columns += [pa.array(n_good, pa.int32()), pa.array(low, pa.float32()), pa.array(high, pa.float32())]
        kind = spectrum_type(self._pixels)
        for values in (self._flux, self._ivar):
            columns.append(pa.FixedSizeListArray.from_arrays(pa.array(values[:count].reshape(-1)), type=kind))
        self._parquet.write_table(pa.Table.from_arrays(columns, schema=self._parquet.schema), ROWS_PER_GROUP)
        self._rows.clear()
        self._found.clear()

    def _column(self, table: pa.Table, name: str) -> pa.ChunkedArray | pa.Array:
        if not any(name in found for found in self._found):
            return table[name]
        pairs = zip(table[name].to_pylist(), self._found, strict=True)
        return pa.array([found.get(name, value) for value, found in pairs], table[name].type)

    def counts(self) -> dict[str, int]:
        """{expected, read, rejected} so far; expected are all targets."""
        return {"expected": self._targets.num_rows, "read": self.read, "rejected": len(self.rejected)}


@contextmanager
def open_shard(targets: pa.Table, pixels: int, meta: dict, out: Path, rejected: Path) -> Iterator[ShardWriter]:
    """A ShardWriter for the rows of `targets`; on leaving without an exception, shard and rejected table are in place.

    The shard's metadata are `meta` and `expected`; they are written before the rows, so `read` is the file's number of rows
    (reading.metadata() gives all three counts). The rejected table's metadata hold expected, read and rejected.
    Raises RuntimeError when a target was neither accepted nor rejected.
    """
    meta = {**meta, "expected": targets.num_rows}
    schema = with_meta(shard_schema(targets.schema, pixels, meta.get("flux_unit")), meta)
    plain = targets.select([name for name in targets.column_names if name != "shard"])
    with atomic(out) as part:
        with pq.ParquetWriter(part, schema, **WRITE_OPTIONS) as parquet:
            writer = ShardWriter(parquet, plain, pixels)
            yield writer
            writer.flush()
        counts = {"read": writer.read, "rejected": len(writer.rejected)}
        if sum(counts.values()) != targets.num_rows:
            raise RuntimeError(f"{out}: {targets.num_rows} targets, but {counts}")
        write_table(pa.Table.from_pylist(writer.rejected, schema=REJECTED), rejected, {**meta, **counts})
