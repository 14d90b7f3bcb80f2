"""Shards of APOGEE spectra: what stands in them, what is rejected and why, and settings that do not fit together."""

import apogee_files as af
import numpy as np
import pyarrow as pa
import pytest
from resurvey.archive.checksums import digest
from resurvey.errors import ResurveyError
from resurvey.files import read_meta, read_table, write_table
from resurvey.shards import apogee
from resurvey.shards.build import build_shard
from resurvey.shards.reading import as_array, metadata
from resurvey.surveys.apogee_continuum import Normaliser
from resurvey.surveys.apogee_grid import DR13

FOLDER = "stars/apo25m"
PATHS = {
    "apstar": "stars/{telescope}/{location_id}/{file}",
    "aspcapstar": "aspcap/{location_id}/aspcapStar-{apogee_id}.fits",
}


def star_id(number):
    return f"2M0000000{number}+0000000"


def file_name(number):
    return f"apStar-r8-{star_id(number)}.fits"


def targets_table(keys):
    """Rows for (star, location, visit)."""
    return pa.table({
        "spectrum_id": [f"{place}-{star_id(star)}" + (f"-v{visit:02d}" if visit else "") for star, place, visit in keys],
        "apogee_id": [star_id(star) for star, _, _ in keys],
        "location_id": pa.array([place for _, place, _ in keys], pa.int32()),
        "field": ["M67"] * len(keys),
        "telescope": ["apo25m"] * len(keys),
        "file": [file_name(star) for star, _, _ in keys],
        "visit": pa.array([visit for _, _, visit in keys], pa.int32()),
        "sn_median": pa.array([None if visit else 250.0 for _, _, visit in keys], pa.float32()),
        "teff": pa.array([4500.0 + star for star, _, _ in keys], pa.float32()),
        "split": ["train"] * len(keys),
        "shard": ["0000"] * len(keys),
    })  # fmt: skip


def manifest(raw, stars, failed=(), product="apstar"):
    rows = []
    for star, place in [*stars, *failed]:
        where = {"location_id": place, "apogee_id": star_id(star), "telescope": "apo25m", "file": file_name(star)}
        path = PATHS[product].format(**where)
        there = (raw / path).exists()
        state, reason = ("verified", None) if there else ("failed", "404")
        rows.append({"path": path, "state": state, "reason": reason, "route": product})
        rows[-1] |= {"digest": digest(raw / path, "sha1") if there else None, "algorithm": "sha1"}
    return pa.Table.from_pylist(rows)


@pytest.fixture
def archive(tmp_path):
    """Stars 1 (3 visits, in two fields), 2 (one visit), 3 (of its 2 visits the second is empty); star 4 was not fetched."""
    rng = np.random.default_rng(1)
    for star, place, visits in ((1, 4105, 3), (1, 4106, 2), (2, 4105, 1), (3, 4105, 2)):
        flux, error, mask = af.rows(visits, rng)
        if star == 3:
            flux[3] = 0
        path = tmp_path / FOLDER / str(place) / file_name(star)
        af.write_apstar(
            path, flux, error, mask, apogee_id=star_id(star), location_id=place, SNRVIS3=None if star == 3 else 53.0
        )
    return tmp_path, [(1, 4105), (1, 4106), (2, 4105), (3, 4105)]


def settings(folder, **dataset):
    base = {
        "release": "apogee_dr14",
        "name": "apogee_dr14",
        "product": "apstar",
        "grid": {"chips": "dr13", "pixels": 7514},
        "continuum": {"method": "chebyshev", "degree": 2, "weight": "ivar2"},
        "mask_bits": [0, 1, 2, 3, 4, 5, 6, 7, 12],
    }
    extras = {"continuum_pixels": str(af.continuum_csv(folder / "continuum_pixels.csv"))}
    return {
        "dataset": base | dataset,
        "release": {"name": "apogee_dr14", "survey": "apogee", "paths": PATHS},
        "extras": extras,
    }


def build(folder, keys, files, config=None, origin="mock"):
    write_table(targets_table(keys), folder / "targets.parquet", {"origin": origin})
    write_table(files, folder / "downloads.parquet", {"origin": origin})
    out, rejected = folder / "0000.parquet", folder / "0000.rejected.parquet"
    config = config or settings(folder)
    counts = build_shard(
        folder / "targets.parquet", "0000", folder / "downloads.parquet", folder, config, out, rejected
    )
    return counts, read_table(out), read_table(rejected)


def test_combined_spectra_and_visits(archive):
    folder, stars = archive
    keys = [(1, 4106, 0), (1, 4105, 3), (1, 4105, 0), (1, 4105, 1), (2, 4105, 0)]
    counts, table, rejected = build(folder, keys, manifest(folder, stars))
    assert counts == {"expected": 5, "read": 5, "rejected": 0} and rejected.num_rows == 0
    rows = {name: row for row, name in enumerate(table["spectrum_id"].to_pylist())}
    assert len(rows) == 5 and "shard" not in table.column_names
    sn = dict(zip(rows, table["sn_median"].to_pylist(), strict=True))
    assert sn[f"4105-{star_id(1)}"] == 250 and sn[f"4105-{star_id(1)}-v03"] == 53 and sn[f"4105-{star_id(1)}-v01"] == 51
    flux, ivar = as_array(table["flux"]), as_array(table["ivar"])
    truth = af.lines(DR13.wavelength())
    pull = (flux / np.median(flux, axis=1, keepdims=True) - truth) * np.sqrt(ivar)
    assert flux.shape == (5, 7514) and np.abs(pull.mean(axis=1)).max() < 0.5
    np.testing.assert_allclose(pull.std(axis=1), 1, atol=0.05)
    fields = [flux[rows[f"{place}-{star_id(1)}"]] for place in (4105, 4106)]
    assert np.abs(fields[0] - fields[1]).max() > 0.01, "each field has a file and a spectrum of its own"
    assert table["n_good"].to_pylist() == [7514] * 5
    assert table["coverage_min"][0].as_py() == pytest.approx(15152.21, abs=0.01)


def test_metadata_say_how_to_do_the_same(archive):
    folder, stars = archive
    build(folder, [(1, 4105, 0), (1, 4105, 2)], manifest(folder, stars))
    meta = read_meta(folder / "0000.parquet")
    assert meta["grid"] == DR13.meta() and meta["flux_unit"] == "continuum" and meta["expected"] == 2
    assert metadata([folder / "0000.parquet"])["read"] == 2
    again = Normaliser.from_meta(meta["grid"], meta["normalisation"])
    assert np.array_equal(again.pixels, af.PIXELS) and again.weight == "ivar2"
    schema = read_table(folder / "0000.parquet").schema
    assert schema.field("flux").metadata[b"unit"] == b"continuum"


def test_rejections_have_their_reasons(archive):
    folder, stars = archive
    keys = [(3, 4105, 2), (3, 4105, 1), (3, 4105, 7), (2, 4105, 1), (4, 4105, 0), (2, 4107, 0)]
    counts, table, rejected = build(folder, keys, manifest(folder, stars, failed=[(4, 4105)]))
    assert counts == {"expected": 6, "read": 1, "rejected": 5}
    assert table["spectrum_id"].to_pylist() == [f"4105-{star_id(3)}-v01"]
    reasons = dict(zip(rejected["spectrum_id"].to_pylist(), rejected["reason"].to_pylist(), strict=True))
    assert reasons[f"4105-{star_id(3)}-v02"].startswith("visit 2 is 0 at every pixel"), (
        "no file name: reasons are counted"
    )
    assert "holds 2 visits; visit 7" in reasons[f"4105-{star_id(3)}-v07"]
    assert "one visit, which is its combined" in reasons[f"4105-{star_id(2)}-v01"]
    assert "404" in reasons[f"4105-{star_id(4)}"] and "manifest" in reasons[f"4107-{star_id(2)}"]


def test_a_file_of_another_star_is_refused(archive):
    folder, _ = archive
    place = folder / FOLDER / "4105"
    (place / file_name(5)).write_bytes((place / file_name(2)).read_bytes())
    counts, _, rejected = build(folder, [(5, 4105, 0)], manifest(folder, [(5, 4105)]))
    assert counts["rejected"] == 1 and "is of apogee_id" in rejected["reason"][0].as_py()


def test_more_rows_than_a_batch(archive, monkeypatch):
    folder, stars = archive
    keys = [(1, 4105, 0), (1, 4105, 1), (1, 4105, 2), (1, 4105, 3), (2, 4105, 0), (3, 4105, 0), (3, 4105, 2)]
    _, whole, _ = build(folder, keys, manifest(folder, stars))
    monkeypatch.setattr(apogee, "BATCH", 2)
    _, small, _ = build(folder, keys, manifest(folder, stars))
    assert small.num_rows == 6 and small["spectrum_id"].equals(whole["spectrum_id"])
    np.testing.assert_allclose(as_array(small["flux"]), as_array(whole["flux"]), rtol=1e-6)


def test_a_masked_spectrum_is_a_reason(archive):
    folder, stars = archive
    flux, error, mask = af.rows(1)
    path = folder / FOLDER / "4105" / file_name(2)
    path.unlink()
    af.write_apstar(path, flux, error, mask | 1, apogee_id=star_id(2), location_id=4105)
    _, _, rejected = build(folder, [(2, 4105, 0)], manifest(folder, stars))
    assert "masked" in rejected["reason"][0].as_py()


def test_the_pipelines_normalisation(archive):
    folder, _ = archive
    flux, error, _ = af.rows(1)
    flux, error = flux / 200, error / 200
    path = folder / "aspcap" / "4105" / f"aspcapStar-{star_id(6)}.fits"
    af.write_aspcapstar(path, flux, error, apogee_id=star_id(6), location_id=4105)
    config = settings(folder, product="aspcapstar", continuum={"method": "aspcap"})
    files = manifest(folder, [(6, 4105)], product="aspcapstar")
    counts, table, _ = build(folder, [(6, 4105, 0)], files, config)
    assert counts["read"] == 1 and np.array_equal(as_array(table["flux"])[0], DR13.cut(flux))
    (folder / FOLDER / "4105" / file_name(6)).write_bytes(path.read_bytes())
    counts, _, rejected = build(folder, [(6, 4105, 0)], manifest(folder, [(6, 4105)]))
    assert "apogee-aspcapstar, not apogee-apstar" in rejected["reason"][0].as_py()


def test_mixed_origin_stops_the_shard(archive):
    folder, stars = archive
    with pytest.raises(ResurveyError, match="real and mock"):
        build(folder, [(1, 4105, 0)], manifest(folder, stars), origin="real")


def test_a_file_that_changed_stops_the_shard(archive):
    folder, stars = archive
    table = manifest(folder, stars)
    path = folder / FOLDER / "4105" / file_name(1)
    data = bytearray(path.read_bytes())
    data[30000] ^= 1
    path.write_bytes(data)
    with pytest.raises(ResurveyError, match=r"apStar.*digest"):
        build(folder, [(1, 4105, 0)], table)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"product": "apvisit"}, "apstar or aspcapstar"),
        ({"continuum": {"method": "aspcap"}}, "does not fit the product"),
        ({"grid": {"chips": "dr13", "pixels": 7214}}, "have 7514"),
        ({"grid": {"chips": "dr9"}}, "dr13"),
        ({"mask_bits": [99]}, "PIXMASK"),
        ({"source": "published"}, "cannot be read here"),
        ({"product": "aspcapstar"}, "does not fit the product"),
    ],
)
def test_settings_that_do_not_fit(archive, change, said):
    folder, stars = archive
    with pytest.raises(ResurveyError, match=said):
        build(folder, [(1, 4105, 0)], manifest(folder, stars), settings(folder, **change))


def test_a_release_must_say_where_files_lie(archive):
    folder, stars = archive
    for paths, said in (
        ({}, r"paths\.apstar: is missing"),
        ({"apstar": "{healpix}/{file}"}, "lack the column 'healpix'"),
    ):
        config = settings(folder)
        config["release"]["paths"] = paths
        with pytest.raises(ResurveyError, match=said):
            build(folder, [(1, 4105, 0)], manifest(folder, stars), config)


def test_targets_without_the_needed_columns(archive):
    folder, stars = archive
    write_table(targets_table([(1, 4105, 0)]).drop_columns("visit"), folder / "targets.parquet", {"origin": "mock"})
    write_table(manifest(folder, stars), folder / "downloads.parquet", {})
    paths = (folder / "targets.parquet", "0000", folder / "downloads.parquet", folder)
    with pytest.raises(ResurveyError, match="lack the columns visit"):
        build_shard(*paths, settings(folder), folder / "o.parquet", folder / "r.parquet")
