"""From targets and downloads to a shard: both routes, rejections, origin, published arrays."""

import json
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
import spec_files
from astropy.io import fits
from resurvey import cli
from resurvey.archive.checksums import digest
from resurvey.errors import ResurveyError
from resurvey.files import read_meta, read_table, write_table
from resurvey.shards.build import build_shard
from resurvey.shards.reading import as_array, metadata

PLATE, MJD, INDEX = 3655, 55240, 35500
GRID = {"start": 4000.0, "step": 2.0, "pixels": 2501}


def settings(**dataset):
    return {"dataset": {"release": "sdss_dr16", "name": "sdss_dr16", "grid": GRID, "resample": "linear", **dataset}}


def targets_table(keys, shard="0000", **columns):
    table = {
        "spectrum_id": [f"{p:04d}-{m}-{f:04d}" for p, m, f in keys],
        "plate": pa.array([k[0] for k in keys], pa.int32()),
        "mjd": pa.array([k[1] for k in keys], pa.int32()),
        "fiberid": pa.array([k[2] for k in keys], pa.int32()),
        "run2d": ["v5_13_0"] * len(keys),
        "ra": np.full(len(keys), 150.0),
        "label": ["GALAXY_nan"] * len(keys),
        "split": ["train"] * len(keys),
        "shard": [shard] * len(keys),
    }
    return pa.table({**table, **columns})


def manifest(rows, raw):
    keys = ("path", "state", "reason", "plate", "mjd", "fiberid", "route")
    table = [dict(zip(keys, row, strict=True)) for row in rows]
    for row in table:
        file = raw / row["path"]
        row |= {"digest": digest(file, "sha1") if file.exists() else None, "algorithm": "sha1"}
    return pa.Table.from_pylist(table)


def lite_name(fibre, plate=PLATE):
    return f"spectra/lite/{plate:04d}/spec-{plate:04d}-{MJD}-{fibre:04d}.fits"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A plate of 12 fibres as spPlate and as spec-lite files, of the same spectra."""
    raw = tmp_path_factory.mktemp("raw")
    rng = np.random.default_rng(1)
    spectra = [spec_files.spectrum_arrays(rng, INDEX) for _ in range(12)]
    spec_files.write_plate(raw / "spPlate.fits", PLATE, MJD, INDEX, spectra, sky=(12,))
    for fibre, arrays in enumerate(spectra, start=1):
        zwarning = 1 if fibre == 12 else 0
        spec_files.write_lite(raw / lite_name(fibre), (PLATE, MJD, fibre), INDEX, arrays, ZWARNING=zwarning)
    return raw


def build(tmp_path, archive, table, rows, config=None, meta=None, shard="0000"):
    write_table(table, tmp_path / "targets.parquet", meta or {"origin": "mock", "dataset": "sdss_dr16"})
    write_table(manifest(rows, archive), tmp_path / "downloads.parquet", {"origin": "mock"})
    out, rejected = tmp_path / "0000.parquet", tmp_path / "0000.rejected.parquet"
    counts = build_shard(
        tmp_path / "targets.parquet",
        shard,
        tmp_path / "downloads.parquet",
        archive,
        config or settings(),
        out,
        rejected,
    )
    return counts, read_table(out), read_table(rejected), read_meta(out)


LITE = [(lite_name(f), "verified", None, PLATE, MJD, f, "lite") for f in range(1, 12)]
WHOLE = [("spPlate.fits", "verified", None, PLATE, MJD, -1, "plate")]
KEYS = [(PLATE, MJD, f) for f in range(1, 12)]


@pytest.mark.parametrize("method", ["linear", "flux_conserving"])
@pytest.mark.parametrize("masks", [{}, {"ivar": False, "and_mask": False}])
def test_both_routes_give_the_same_rows_bit_for_bit(tmp_path, archive, method, masks):
    config = settings(resample=method, masks=masks)
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    _, lite, _, _ = build(tmp_path / "a", archive, targets_table(KEYS), LITE, config)
    _, plate, _, _ = build(tmp_path / "b", archive, targets_table(KEYS), WHOLE, config)
    assert lite.num_rows == 11
    for name in lite.column_names:
        if name in ("flux", "ivar"):
            assert as_array(lite[name]).tobytes() == as_array(plate[name]).tobytes()
        else:
            assert lite[name].equals(plate[name]), name


def test_every_target_has_a_row_or_a_reason(tmp_path, archive):
    broken = archive / lite_name(40)
    broken.write_bytes((archive / lite_name(1)).read_bytes()[:30000])
    swapped = archive / lite_name(41)
    swapped.write_bytes((archive / lite_name(2)).read_bytes())
    keys = [(PLATE, MJD, f) for f in (1, 2, 12, 40, 41, 42, 43)]
    rows = [(lite_name(f), "verified", None, PLATE, MJD, f, "lite") for f in (1, 2, 12, 40, 41)]
    rows.append((lite_name(42), "failed", "404 Not Found", PLATE, MJD, 42, "lite"))
    counts, shard, rejected, meta = build(tmp_path, archive, targets_table(keys), rows)
    assert counts == {"expected": 7, "read": 2, "rejected": 5}
    assert meta["expected"] == 7
    listed = read_meta(tmp_path / "0000.rejected.parquet")
    assert (
        {key: listed[key] for key in counts} == counts == {k: metadata([tmp_path / "0000.parquet"])[k] for k in counts}
    )
    reasons = {row["spectrum_id"][-2:]: row["reason"] for row in rejected.to_pylist()}
    assert "sky fibre" in reasons["12"]
    assert "truncated" in reasons["40"]
    assert "not (3655, 55240, 41)" in reasons["41"]
    assert "404 Not Found" in reasons["42"]
    assert "manifest" in reasons["43"]
    assert shard["spectrum_id"].to_pylist() == ["3655-55240-0001", "3655-55240-0002"]


def test_sky_fibre_and_missing_fibre_of_a_plate_are_rejected(tmp_path, archive):
    keys = [(PLATE, MJD, f) for f in (3, 12, 13)]
    counts, _, rejected, _ = build(tmp_path, archive, targets_table(keys), WHOLE)
    assert counts["read"] == 1
    assert "sky fibre" in rejected["reason"][0].as_py()
    assert "has no fibre 13" in rejected["reason"][1].as_py()


def test_a_truncated_plate_gives_each_fibre_its_reason(tmp_path, archive):
    data = (archive / "spPlate.fits").read_bytes()
    (archive / "spPlate-cut.fits").write_bytes(data[: len(data) // 2])
    rows = [("spPlate-cut.fits", "verified", None, PLATE, MJD, -1, "plate")]
    counts, _, rejected, _ = build(tmp_path, archive, targets_table(KEYS), rows)
    assert counts == {"expected": 11, "read": 0, "rejected": 11}
    assert all("truncated" in reason for reason in rejected["reason"].to_pylist())


def test_plate_file_stands_in_for_a_missing_lite_file(tmp_path, archive):
    rows = [(lite_name(5), "failed", "404", PLATE, MJD, 5, "lite"), *WHOLE]
    counts, *_ = build(tmp_path, archive, targets_table([(PLATE, MJD, 5)]), rows)
    assert counts["read"] == 1


def test_other_reduction_is_rejected(tmp_path, archive):
    table = targets_table(KEYS[:1]).drop_columns("run2d").append_column("run2d", [["v5_7_0"]])
    _, _, rejected, _ = build(tmp_path, archive, table, LITE)
    assert "reduction v5_13_0" in rejected["reason"][0].as_py()


def test_real_and_mock_never_mix(tmp_path, archive):
    with pytest.raises(ResurveyError, match="mock"):
        build(tmp_path, archive, targets_table(KEYS), LITE, meta={"origin": "real"})
    assert not (tmp_path / "0000.parquet").exists()
    with pytest.raises(ResurveyError, match="origin"):
        build(tmp_path, archive, targets_table(KEYS), LITE, config={**settings(), "origin": "real"})


def test_empty_shard_is_legal(tmp_path, archive):
    counts, shard, rejected, meta = build(tmp_path, archive, targets_table(KEYS), LITE, shard="0007")
    assert counts == {"expected": 0, "read": 0, "rejected": 0}
    assert shard.num_rows == rejected.num_rows == 0
    assert meta["grid"]["pixels"] == 2501
    assert shard.schema.field("flux").type.list_size == 2501


def test_command_and_contract(tmp_path, archive, capsys):
    """The file as docs/architecture.md describes it: columns, types, units, metadata."""
    write_table(targets_table(KEYS), tmp_path / "targets.parquet", {"origin": "mock"})
    write_table(manifest(LITE, archive), tmp_path / "downloads.parquet", {})
    (tmp_path / "settings.json").write_text(json.dumps(settings(resample="flux_conserving")))
    arguments = ["shard", "--targets", "targets.parquet", "--shard", "0000", "--downloads", "downloads.parquet"]
    arguments += ["--settings", "settings.json", "--out", "s/0000.parquet", "--rejected", "s/0000.rejected.parquet"]
    arguments = [str(tmp_path / a) if "." in a or "/" in a else a for a in arguments]
    assert cli.main([*arguments, "--raw", str(archive), "--threads", "1"]) == 0
    assert "11 of 11" in capsys.readouterr().out
    shard, meta = read_table(tmp_path / "s/0000.parquet"), read_meta(tmp_path / "s/0000.parquet")
    flux = shard.schema.field("flux")
    assert (str(flux.type), flux.nullable) == ("fixed_size_list<element: float not null>[2501]", False)
    assert flux.metadata[b"unit"] == b"1e-17 erg s-1 cm-2 Angstrom-1"
    assert "shard" not in shard.column_names
    assert meta["grid"] == {**GRID, "unit": "Angstrom", "frame": "vacuum", "scale": "linear"}
    assert (meta["origin"], meta["resample"], meta["expected"]) == ("mock", "flux_conserving", 11)
    ivar = as_array(shard["ivar"])
    assert np.isfinite(as_array(shard["flux"])).all() and np.isfinite(ivar).all()
    assert shard["n_good"].to_pylist() == (ivar > 0).sum(axis=1).tolist()
    assert shard["coverage_min"][0].as_py() == pytest.approx(10 ** ((INDEX + 15) * 1e-4), rel=0.01)


def test_memory_of_a_plate_shard_does_not_grow_with_the_plate(tmp_path, archive):
    """Reading 3 fibres of a 300-fibre plate must not pull the images (5.5 MB each) into memory."""
    rng = np.random.default_rng(3)
    one = spec_files.spectrum_arrays(rng, INDEX)
    spec_files.write_plate(tmp_path / "spPlate-big.fits", 9000, MJD, INDEX, [one] * 300)
    rows = [("spPlate-big.fits", "verified", None, 9000, MJD, -1, "plate")]
    config = settings(grid={"start": 4000.0, "step": 50.0, "pixels": 100})
    table = targets_table([(9000, MJD, f) for f in (1, 150, 300)])
    build(tmp_path, tmp_path, table, rows, config)
    tracemalloc.start()
    counts, *_ = build(tmp_path, tmp_path, table, rows, config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counts["read"] == 3
    assert peak < 4e6


def test_published_arrays(tmp_path):
    flux = np.random.default_rng(0).normal(1, 0.1, (5, 360)).astype(np.float32)
    flux[3] = np.nan
    flux[2, 7] = np.inf
    columns = [fits.Column("int_flux", "360E", array=flux), fits.Column("Z", "E", array=np.arange(5))]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(tmp_path / "train.fits")
    keys = [(1, 50000, f) for f in range(6)]
    table = targets_table(keys, file=["train.fits"] * 5 + ["test.fits"], row=pa.array([0, 1, 2, 3, 9, 0], pa.int64()))
    rows = [("train.fits", "verified", None, -1, -1, -1, "file")]
    axis = {"start": 4000.0, "step": 2.0, "pixels": 360}
    counts, shard, rejected, meta = build(
        tmp_path, tmp_path, table, rows, settings(source="published", grid=axis), {"origin": "real"}
    )
    assert {key: meta["grid"][key] for key in axis} == axis  # what figures draw by; catalogues and figures need numbers
    assert counts == {"expected": 6, "read": 3, "rejected": 3}
    assert (meta["grid"]["scale"], meta["grid"]["pixels"], meta["ivar_known"]) == ("undocumented", 360, False)
    written = as_array(shard["flux"])
    assert written[:2].tobytes() == flux[:2].tobytes()
    assert written[2, 7] == 0 and as_array(shard["ivar"])[2].sum() == 359
    assert any("has 5 rows" in reason for reason in rejected["reason"].to_pylist())
    wrong = settings(source="published", grid={**axis, "pixels": 3600})
    with pytest.raises(ResurveyError, match=r"train\.fits: its int_flux has 360 pixels.*set grid\.pixels"):
        build(tmp_path, tmp_path, table, rows, wrong, {"origin": "real"})
