"""The columns of a shard and of the table of what was rejected."""

import pyarrow as pa

from resurvey.files import CHECKSUMS
from resurvey.surveys.spectrum import CONTINUUM_UNIT, FLUX_UNIT

UNITS = {
    "ra": "deg",
    "dec": "deg",
    "vdisp": "km/s",
    "vdisp_err": "km/s",
    "coverage_min": "Angstrom",
    "coverage_max": "Angstrom",
}
SPECTRUM_UNITS = {
    FLUX_UNIT: {"flux": FLUX_UNIT, "ivar": "1e34 erg-2 s2 cm4 Angstrom2"},
    CONTINUUM_UNIT: {"flux": CONTINUUM_UNIT, "ivar": "continuum-2"},
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


def shard_schema(targets: pa.Schema, pixels: int, flux_unit: str | None = None) -> pa.Schema:
    """Columns of targets except `shard`, then n_good, coverage_min, coverage_max, flux, ivar; units in the columns' metadata.

    flux_unit: one of SPECTRUM_UNITS; None for spectra whose unit nobody knows. A unit that a column of the targets has is kept.
    """
    fields = [f for f in targets if f.name != "shard"]
    fields += [
        pa.field("n_good", pa.int32(), nullable=False),
        pa.field("coverage_min", pa.float32()),
        pa.field("coverage_max", pa.float32()),
        pa.field("flux", spectrum_type(pixels), nullable=False),
        pa.field("ivar", spectrum_type(pixels), nullable=False),
    ]
    units = UNITS | SPECTRUM_UNITS.get(flux_unit, {})
    return pa.schema([_with_unit(f, units.get(f.name, _unit(f))) for f in fields])


def _unit(field: pa.Field) -> str | None:
    unit = (field.metadata or {}).get(b"unit")
    return unit.decode() if unit else None


def _with_unit(field: pa.Field, unit: str | None) -> pa.Field:
    """The field with no metadata but its unit."""
    plain = field.remove_metadata()
    return plain.with_metadata({"unit": unit}) if unit else plain
