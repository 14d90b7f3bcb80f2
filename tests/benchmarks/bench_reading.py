"""Reading and resampling spec-lite files against fitsio, astropy, specutils and the plain read of the bytes.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_reading.py [--files 200] [--rounds 7]

Makes its own files (log grid, 3,820 to 4,600 pixels, a catalogue row of 127 columns); needs fitsio and specutils
(`pip install -e .[bench]`). Page cache hot, one thread. Each method gives flux, ivar, mask on 5001 pixels and eight values
of the catalogue row, but where its name says otherwise.
"""

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from record import Unavailable, record, start
from timing import compare, show

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import spec_files
from resurvey.shards import reading, schema
from resurvey.shards.grid import Grid
from resurvey.shards.resample import Resampler
from resurvey.shards.writer import open_shard
from resurvey.surveys import sdss_fast

GRID = Grid(4000.0, 1.0, 5001)
META = ("PLATE", "MJD", "FIBERID", "CLASS", "SUBCLASS", "Z", "ZWARNING", "SN_MEDIAN_ALL")


def make_files(folder: Path, count: int) -> list[Path]:
    rng = np.random.default_rng(7)
    paths = []
    for number in range(count):
        index, pixels = (35800, 3845) if number % 2 else (35500, 4625)
        arrays = spec_files.spectrum_arrays(rng, index, pixels - int(rng.integers(0, 25)))
        path = folder / f"spec-3655-55240-{number + 1:04d}.fits"
        paths.append(spec_files.write_lite(path, (3655, 55240, number + 1), index, arrays, SUBCLASS="STARFORMING"))
    return paths


def plain(path):
    with open(path, "rb", buffering=0) as handle:
        return handle.read()


def ours(path, resampler, flux, ivar):
    spectrum = sdss_fast.parse(plain(path), path.name)
    resampler.into(spectrum, flux, ivar)
    return spectrum


def peer_interp(loglam, flux, ivar, mask):
    """What a script does: np.interp of flux, ivar and mask."""
    wavelength = 10 ** loglam.astype(float)
    x = GRID.wavelength
    return np.interp(x, wavelength, flux), np.interp(x, wavelength, ivar), np.interp(x, wavelength, mask != 0) > 0


def with_fitsio(path):
    import fitsio

    with fitsio.FITS(str(path)) as hdus:
        data = hdus[1].read(columns=["flux", "loglam", "ivar", "and_mask"])
        row = hdus[2].read(columns=list(META))
    return peer_interp(data["loglam"], data["flux"], data["ivar"], data["and_mask"]), row


def with_astropy(path):
    from astropy.io import fits

    with fits.open(path) as hdus:
        data, row = hdus[1].data, hdus[2].data
        values = [row[name][0] for name in META]
        return peer_interp(data["loglam"], data["flux"], data["ivar"], data["and_mask"]), values


def each(function, items):
    """A callable that keeps nothing: results held together would charge each method for fresh memory."""

    def run():
        for item in items:
            function(item)

    return run


def bench_reading(paths, rounds):
    flux, ivar = np.empty(GRID.pixels, np.float32), np.empty(GRID.pixels, np.float32)
    linear, conserving = Resampler(GRID, "linear"), Resampler(GRID, "flux_conserving")
    few = paths[: max(4, len(paths) // 5)]

    def block(count):
        return {
            "ours, linear": each(lambda p: ours(p, linear, flux, ivar), count),
            "ours, flux-conserving": each(lambda p: ours(p, conserving, flux, ivar), count),
            "plain read of the bytes": each(plain, count),
            "ours, reading only": each(lambda p: sdss_fast.parse(plain(p), p.name), count),
        }

    results = compare(block(paths), rounds)
    show(f"Reading + resampling, {len(paths)} files", results, len(paths))
    alone = results["plain read of the bytes"]["ratio"]
    record("one file to flux, ivar, mask, metadata", results["ours, linear"]["seconds"] / len(paths) * 1e6, "{:.0f} µs")
    record("over the plain read of its bytes", 1 / alone, "{:.1f} ×", at_most=10)
    peers = block(few) | {"fitsio + np.interp": each(with_fitsio, few), "astropy + np.interp": each(with_astropy, few)}
    results = compare(peers, rounds)
    show(f"With peers, {len(few)} files", results, len(few))
    record("faster than fitsio + np.interp", results["fitsio + np.interp"]["ratio"], "{:.0f} ×", at_least=20)
    record("faster than astropy + np.interp", results["astropy + np.interp"]["ratio"], "{:.0f} ×", at_least=100)

    spectra = [sdss_fast.parse(plain(p), p.name) for p in few]
    x = GRID.wavelength
    methods = {
        "ours, linear, flux + ivar": each(lambda s: linear.into(s, flux, ivar), spectra),
        "ours, flux-conserving, flux + ivar": each(lambda s: conserving.into(s, flux, ivar), spectra),
        "np.interp, flux only": each(lambda s: np.interp(x, s.wavelength, s.flux), spectra),
    }
    show("Resampling alone", compare(methods, rounds), len(spectra))


def agreement_with_specutils(spectra):
    """Unit-RMS flux and σ against specutils' flux-conserving resampler, on the exact log grid and on float32 loglam.

    specutils knows no masks, so every pixel is made good. Files hold log10 λ as float32, up to 0.0024 pixels off the grid
    that the survey means and that is used here; the second line shows what that rounding does to specutils' result.
    """
    import astropy.units as u
    from astropy.nddata import InverseVariance
    from specutils import Spectrum
    from specutils.manipulation import FluxConservingResampler

    resampler = Resampler(GRID, "flux_conserving")
    print(f"\n### Against specutils' FluxConservingResampler, {len(spectra)} spectra (unit-RMS flux)\n")
    print("| wavelengths given to specutils | flux max | flux rms | σ max, relative |\n|---|---|---|---|")
    for name, rounded in (("exact log grid", False), ("the file's float32 loglam", True)):
        flux_max, flux_rms, sigma_max = 0.0, 0.0, 0.0
        for s in spectra:
            s.mask[:] = 0
            s.ivar[~(s.ivar > 0)] = np.median(s.ivar[s.ivar > 0])
            flux, ivar, _ = resampler(s)
            axis = 10 ** np.log10(s.wavelength).astype(np.float32).astype(float) if rounded else s.wavelength
            uncertainty = InverseVariance(s.ivar.astype(float))
            given = Spectrum(spectral_axis=axis * u.AA, flux=s.flux.astype(float) * u.Jy, uncertainty=uncertainty)
            theirs = FluxConservingResampler(extrapolation_treatment="zero_fill")(given, GRID.wavelength * u.AA)
            inside = (GRID.wavelength > s.edges[0] + 1) & (GRID.wavelength < s.edges[-1] - 1)
            a, b = flux[inside].astype(float), theirs.flux.value[inside]
            difference = (a - b) / np.sqrt(np.mean(b**2))
            flux_max = max(flux_max, np.abs(difference).max())
            flux_rms = max(flux_rms, np.sqrt(np.mean(difference**2)))
            sigma = np.asarray(theirs.uncertainty.represent_as(InverseVariance).array)[inside] ** -0.5
            sigma_max = max(sigma_max, np.abs(ivar[inside] ** -0.5 / sigma - 1).max())
        print(f"| {name} | {flux_max:.1e} | {flux_rms:.1e} | {sigma_max:.1e} |")
        if not rounded:
            exact = flux_max, sigma_max
    record("flux-conserving against specutils: unit-RMS flux, max", exact[0], "{:.0e}", at_most=1e-3, check=True)
    record("flux-conserving against specutils: σ, relative, max", exact[1], "{:.0e}", at_most=1e-3, check=True)


def bench_parquet(paths, folder, rounds, rows=1024):
    resampler = Resampler(GRID, "linear")
    spectra = [sdss_fast.parse(plain(p), p.name) for p in paths]
    table = pa.table({"spectrum_id": [f"{i}" for i in range(rows)], "split": ["train"] * rows})
    meta = {"origin": "mock", "grid": GRID.meta()}
    rng = np.random.default_rng(0)
    resampled = [resampler(s)[:2] for s in spectra]

    def write(options=None):
        kept = dict(schema.WRITE_OPTIONS)
        schema.WRITE_OPTIONS.update(options or {})
        with open_shard(table, GRID.pixels, meta, folder / "s.parquet", folder / "r.parquet") as writer:
            for i in range(rows):
                flux, ivar = writer.slot()
                scale = np.float32(rng.uniform(0.5, 2))
                flux[:], ivar[:] = resampled[i % len(spectra)][0] * scale, resampled[i % len(spectra)][1] / scale**2
                writer.accept(i, 5001, 4000.0, 9000.0)
        schema.WRITE_OPTIONS.clear()
        schema.WRITE_OPTIONS.update(kept)

    raw = rows * GRID.pixels * 8
    none = {"compression": "none", "use_byte_stream_split": False}
    zstd = {"compression": "zstd", "compression_level": 1}
    print(
        f"\n### Parquet, {rows} rows\n\n| packing | size / raw | write GB/s | scan flux+ivar GB/s | load flux GB/s |\n|---|---|---|---|---|"
    )
    for name, options in (("split bytes + lz4 (used)", {}), ("none", none), ("split bytes + zstd1", zstd)):
        write(options)
        size = (folder / "s.parquet").stat().st_size / raw
        methods = {
            "write": lambda options=options: write(options),
            "scan": lambda: sum(b.flux[0, 0] for b in reading.iterate(folder / "s.parquet")),
            "load": lambda: reading.load([folder / "s.parquet"], "train"),
        }
        r = {key: value["seconds"] for key, value in compare(methods, max(3, rounds // 2)).items()}
        print(
            f"| {name} | {size:.3f} | {raw / r['write'] / 1e9:.2f} | {raw / r['scan'] / 1e9:.2f} | {raw / 2 / r['load'] / 1e9:.2f} |"
        )
    assert pq.ParquetFile(folder / "s.parquet").metadata.num_rows == rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--spectra", type=Path, nargs="*", help="spec files for the comparison with specutils (default: made here)"
    )
    args = parser.parse_args()
    for name in ("fitsio", "specutils"):
        if importlib.util.find_spec(name) is None:
            raise Unavailable(f"{name} is not installed: pip install -e '.[bench]'")
    with tempfile.TemporaryDirectory() as folder:
        paths = make_files(Path(folder), args.files)
        bench_reading(paths, args.rounds)
        agreement_with_specutils([sdss_fast.parse(plain(p), p.name) for p in args.spectra or paths[:6]])
        bench_parquet(paths[:32], Path(folder), args.rounds)


if __name__ == "__main__":
    start(main)
