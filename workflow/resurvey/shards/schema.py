"""The columns of a shard and of the table of what was rejected."""

import pyarrow as pa

from resurvey.files import CHECKSUMS

UNITS = {
    "ra": "deg",
    "dec": "deg",
    "vdisp": "km/s",
    "vdisp_err": "km/s",
    "coverage_min": "Angstrom",
    "coverage_max": "Angstrom",
    "flux": "1e-17 erg s-1 cm-2 Angstrom-1",
    "ivar": "1e34 erg-2 s2 cm4 Angstrom2",
}
ROWS_PER_GROUP = 256  # 10 MB of flux and ivar at 5001 pixels: what one reader holds at a time

# Measured on resampled real spectra (tests/benchmarks/bench_reading.py): splitting the bytes of the floats before lz4 takes a quarter off
# the size and leaves reading about as fast as without compression; zstd saves 2% more and reads a fifth slower.
WRITE_OPTIONS = {
    "compression": "lz4",
    "use_dictionary": False,
    "use_byte_stream_split": ["flux.list.element", "ivar.list.element"],
    "write_statistics": False,
    **CHECKSUMS,
}

REJECTED = pa.schema([("spectrum_id", pa.string()), ("reason", pa.string()), ("stage", pa.string())])


def spectrum_type(pixels: int) -> pa.DataType:
    """fixed_size_list<float32>[pixels] without nulls."""
    return pa.list_(pa.field("element", pa.float32(), nullable=False), pixels)


def shard_schema(targets: pa.Schema, pixels: int) -> pa.Schema:
    """Columns of targets except `shard`, then n_good, coverage_min, coverage_max, flux, ivar; units in the columns' metadata."""
    fields = [pa.field(f.name, f.type, f.nullable) for f in targets if f.name != "shard"]
    fields += [
        pa.field("n_good", pa.int32(), nullable=False),
        pa.field("coverage_min", pa.float32()),
        pa.field("coverage_max", pa.float32()),
        pa.field("flux", spectrum_type(pixels), nullable=False),
        pa.field("ivar", spectrum_type(pixels), nullable=False),
    ]
    return pa.schema([f.with_metadata({"unit": UNITS[f.name]}) if f.name in UNITS else f for f in fields])
