"""The mock archive of DESI EDR: paths, HDUs and quirks of the real one, the same bytes from a seed, known truth; and from it to a shard."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from astropy.io import fits
from mock_archives import made
from resurvey import cli, files
from resurvey.archive import checksums, mock_desi
from resurvey.archive.mock_desi_layout import NEGATIVE, SKY_FIBRES
from resurvey.catalogues.merge import merge
from resurvey.settings import WORKFLOW, overlay, read_yaml
from resurvey.shards.reading import as_array
from resurvey.surveys import registry
from resurvey.surveys.spectrum import Spectrum

RELEASE = {**read_yaml(WORKFLOW / "releases" / "desi_edr.yaml"), "name": "desi_edr"}
DATASET = overlay(
    {**read_yaml(WORKFLOW / "datasets" / "desi_edr.yaml"), "name": "desi_edr"},
    {"per_class": 60, "spare": 0.2, "shards": 2, "grid": {"start": 4000.0, "step": 4.0, "pixels": 1251}, "resample": "flux_conserving"},
)  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return made(tmp_path_factory, "desi_edr")


@pytest.fixture(scope="module")
def truth(archive):
    return files.read_table(archive / "truth" / "desi_edr.parquet").to_pandas()


@pytest.fixture(scope="module")
def zall(archive):
    return fits.getdata(archive / "edr" / RELEASE["catalogue"], 1)


@pytest.fixture(scope="module")
def coadds(archive):
    return sorted((archive / "edr").rglob("coadd-*.fits"))


def test_files_follow_the_layout_and_say_mock(archive, coadds):
    whole = [
        "FIBERMAP",
        "EXP_FIBERMAP",
        *(f"{arm}_{part}" for arm in "BRZ" for part in ("WAVELENGTH", "FLUX", "IVAR", "MASK")),
        "SCORES",
    ]
    found = []
    for path in coadds:
        with fits.open(path) as hdus:
            hdus.verify("exception")
            header = hdus[0].header
            where = f"{header['SURVEY']}-{header['PROGRAM']}-{header['HPXPIXEL']}"
            assert header["MOCK"] is True and path.name == f"coadd-{where}.fits"
            assert path.parent.parts[-4:] == (
                header["SURVEY"],
                header["PROGRAM"],
                str(header["HPXPIXEL"] // 100),
                str(header["HPXPIXEL"]),
            )
            assert path.with_name(f"redrock-{where}.fits").exists()
            found.append([hdu.name for hdu in hdus][1:])
            assert (
                hdus["B_FLUX"].shape[1] == 2751
                and hdus["R_FLUX"].shape[1] == 2326
                and hdus["B_MASK"].data.dtype == np.uint32
            )
    assert found.count(whole) == len(found) - 1 and [name for name in whole if name[0] != "Z"] in found, (
        "one file has no Z arm"
    )


def test_the_catalogue_lists_what_is_there_and_a_file_that_is_not(archive, zall, coadds, truth):
    assert len(zall) == len(truth) and set(zall["SURVEY"]) == {"sv1", "sv3", "sv2", "special", "cmx"}
    listed = {
        f"coadd-{s}-{p}-{h}.fits" for s, p, h in zip(zall["SURVEY"], zall["PROGRAM"], zall["HEALPIX"], strict=True)
    }
    assert len(listed - {path.name for path in coadds}) == 1 and (~truth["written"]).any()
    assert (zall["OBJTYPE"] == "SKY").sum() == SKY_FIBRES * len(listed) and (
        zall["TARGETID"] < 0
    ).sum() == NEGATIVE * len(listed)
    assert (zall["ZWARN"] != 0).any() and set(zall["SPECTYPE"]) == {"STAR", "QSO", "GALAXY"}
    again = truth[truth["object"] >= 0].groupby("targetid").size()
    assert (again > 1).any(), "targets that two programs observed"


def test_checksum_files_list_all_but_some(archive, coadds):
    counted = 0
    for path in coadds:
        folder = path.parent
        (listing,) = folder.glob("*.sha256sum") if not mock_desi.unlisted(path.name) else [None]
        if listing is None:
            continue
        assert listing.name == "_".join(folder.relative_to(archive / "edr" / "spectro").parts) + ".sha256sum"
        assert checksums.parse(listing.read_text(), "sha256")[path.name] == checksums.digest(path, "sha256")
        counted += 1
    assert counted >= 5


def test_every_row_is_read_or_refused(coadds, truth):
    refused = 0
    for path in coadds:
        items = list(registry.read_all(path))
        with fits.open(path) as hdus:
            objtype, targetid = hdus["FIBERMAP"].data["OBJTYPE"], hdus["FIBERMAP"].data["TARGETID"]
        assert [isinstance(item, Spectrum) for item in items] == ((objtype == "TGT") & (targetid > 0)).tolist()
        refused += sum(not isinstance(item, Spectrum) for item in items)
    assert refused == (SKY_FIBRES + NEGATIVE) * len(coadds)


def test_noise_is_that_of_the_ivar_and_independent_on_the_overlaps(coadds):
    """Sky fibres hold noise alone: χ² of flux·√ivar is about one (residuals of sky lines and cosmic rays above); arms do not share it."""
    chi, pairs = [], []
    for path in coadds:
        with fits.open(path) as hdus:
            sky = hdus["FIBERMAP"].data["OBJTYPE"] == "SKY"
            pull = {arm: (hdus[f"{arm}_FLUX"].data * np.sqrt(hdus[f"{arm}_IVAR"].data))[sky] for arm in "BR"}
            good = {arm: hdus[f"{arm}_IVAR"].data[sky] > 0 for arm in "BR"}
        chi.append(pull["B"][good["B"]])
        both = good["B"][:, 2700:] & good["R"][:, :51]
        pairs.append(np.column_stack([pull["B"][:, 2700:][both], pull["R"][:, :51][both]]))
    chi, pairs = np.concatenate(chi), np.concatenate(pairs)
    assert np.median(chi**2) == pytest.approx(0.455, rel=0.06) and abs(np.median(chi)) < 0.05
    assert abs(np.corrcoef(np.clip(pairs, -4, 4).T)[0, 1]) < 0.1


def test_s_n_and_redshifts_are_those_of_table_3(truth):
    """Of a larger draw: with the cut at 2 the means that the paper prints."""
    from resurvey.simulate import desi_population

    rng = np.random.default_rng(1)
    for kind, sn, z in (("STAR", 19.1, None), ("QSO", 6.54, 1.59), ("GALAXY", 7.53, 0.196)):
        table = desi_population.draw(kind, 4000, rng)
        above = table["sn"] > 2
        assert table["sn"][above].mean() == pytest.approx(sn, rel=0.08)
        if z:
            assert table["z"][above].mean() == pytest.approx(z, rel=0.1)
    assert (truth.loc[truth["kind"] == "QSO", "z"] > 0.05).all()


def test_the_spectrum_has_the_s_n_that_was_asked_for(coadds, truth):
    asked = truth.set_index("spectrum_id")["sn"]
    ratio = []
    for path in coadds:
        ratio += [item.sn_median / asked[item.spectrum_id] for item in registry.read_all(path) if isinstance(item, Spectrum) and asked[item.spectrum_id] > 3]  # fmt: skip
    assert np.median(ratio) == pytest.approx(1, abs=0.1)


@pytest.fixture(scope="module")
def run(archive, tmp_path_factory):
    """From the archive to two shards by the commands of the workflow."""
    home = tmp_path_factory.mktemp("run")
    settings = json.dumps({"release": RELEASE, "root": str(archive), "origin": "mock"})
    raw = home / "raw"

    def command(*words):
        assert cli.main([str(word) for word in words]) == 0

    command("fetch-catalogue", "--settings", settings, "--raw", raw, "--out", home / "catalogue.parquet")
    chosen = json.dumps({"survey": "desi", "dataset": DATASET, "seed": 1})
    command("targets", "--catalogue", home / "catalogue.parquet", "--settings", chosen, "--out", home / "targets.parquet", "--rejected", home / "rejected.parquet")  # fmt: skip
    command("plan", "--targets", home / "targets.parquet", "--settings", settings, "--raw", raw, "--out", home / "plan.parquet")  # fmt: skip
    made = json.dumps({"dataset": DATASET, "release": RELEASE, "origin": "mock"})
    for shard in ("0000", "0001"):
        command("fetch", "--plan", home / "plan.parquet", "--shard", shard, "--settings", settings, "--raw", raw, "--out", home / f"{shard}.manifest.parquet")  # fmt: skip
        command("shard", "--targets", home / "targets.parquet", "--shard", shard, "--downloads", home / f"{shard}.manifest.parquet",
                "--raw", raw, "--settings", made, "--out", home / f"{shard}.parquet", "--rejected", home / f"{shard}.rejected.parquet")  # fmt: skip
    return home


def test_from_the_archive_to_shards(run, truth):
    targets = files.read_table(run / "targets.parquet")
    shards = pa.concat_tables([files.read_table(run / f"{name}.parquet") for name in ("0000", "0001")])
    rejected = pa.concat_tables([files.read_table(run / f"{name}.rejected.parquet") for name in ("0000", "0001")])
    assert len(shards) + len(rejected) == len(targets) > 120
    reasons = set(rejected["reason"].to_pylist())
    assert "its S/N is not above 2 (selection.sn_min)" in reasons
    assert any(reason.startswith("was not fetched: ") and "coadd-" in reason for reason in reasons), (
        "the listed file that does not exist"
    )
    table = shards.drop_columns(["flux", "ivar"]).to_pandas().merge(truth[["spectrum_id", "kind", "sn", "survey"]], on="spectrum_id", suffixes=("", "_true"))  # fmt: skip
    assert (table["label"] == table["kind"]).all() and set(table["survey"]) <= {"sv1", "sv3"}
    assert (table["sn_median"] > 2).all() and np.corrcoef(np.log(table["sn_median"]), np.log(table["sn"]))[0, 1] > 0.95
    flux = as_array(shards["flux"])
    assert flux.shape[1] == 1251 and np.isfinite(flux).all()
    assert pc.all(pc.is_null(shards.filter(pc.equal(shards["label"], "STAR"))["z"])).as_py()
    meta = files.read_meta(run / "0000.parquet")
    assert (meta["origin"], meta["dataset"], meta["grid"]["pixels"]) == ("mock", "desi_edr", 1251)


def test_the_catalogue_has_desi_s_names_of_the_targets(run, tmp_path):
    """From shards to the catalogue, with predictions that say the same of all."""
    for shard in ("0000", "0001"):
        ids = files.read_table(run / f"{shard}.parquet", ["spectrum_id"])["spectrum_id"]
        said = {"prob_STAR": 0.0, "prob_GALAXY": 1.0, "z_GALAXY": 0.1, "z_std_GALAXY": 0.001}
        table = pa.table(
            {"spectrum_id": ids}
            | {name: pa.repeat(pa.scalar(value, pa.float32()), len(ids)) for name, value in said.items()}
        )
        files.write_table(table, tmp_path / f"{shard}.parquet", {"origin": "mock", "model": "toy"})
    for network, role, label in (("P", "classifier", None), ("G", "redshift", "GALAXY")):
        about = {"network": network, "role": role, "class": label, "origin": "mock", "weights_sha256": "a" * 64}
        files.write_json(about, tmp_path / "models/toy" / network / "model.json")
    out = {suffix: tmp_path / f"catalogue.{suffix}" for suffix in ("parquet", "fits")}
    merge(
        tmp_path,
        run,
        run / "targets.parquet",
        2,
        None,
        tmp_path / "models",
        "toy",
        out["parquet"],
        out["fits"],
        tmp_path / "lost.parquet",
    )
    names = ["spectrum_id", "targetid", "survey", "program", "healpix"]
    targets = files.read_table(run / "targets.parquet", names).to_pandas().set_index("spectrum_id")
    catalogue = files.read_table(out["parquet"])
    assert [str(catalogue.schema.field(name).type) for name in names] == [
        "string",
        "int64",
        "string",
        "string",
        "int32",
    ]
    found = catalogue.select(names).to_pandas().set_index("spectrum_id")
    assert len(found) > 100 and found.equals(targets.loc[found.index])
    with fits.open(out["fits"], checksum=True) as hdus:
        columns, data = hdus[1].columns, hdus[1].data
        assert [columns[name].format for name in ("targetid", "healpix")] == ["K", "J"]
        assert (
            data["targetid"].tolist() == found["targetid"].tolist()
            and data["survey"].tolist() == found["survey"].tolist()
        )


def test_a_file_that_changed_since_it_was_fetched_is_told(run, tmp_path, capsys):
    manifest = files.read_table(run / "0000.manifest.parquet").to_pylist()
    path = run / "raw" / next(entry["path"] for entry in manifest if entry["state"] != "failed")
    target, whole = path.resolve(), path.read_bytes()
    path.unlink()  # it may be a link into the archive
    path.write_bytes(whole[:-1] + b"\1")
    downloads = tmp_path / "0000.parquet"
    files.write_table(
        files.read_table(run / "0000.manifest.parquet"), downloads, files.read_meta(run / "0000.manifest.parquet")
    )
    made = json.dumps({"dataset": DATASET, "release": RELEASE, "origin": "mock"})
    code = cli.main(["shard", "--targets", str(run / "targets.parquet"), "--shard", "0000", "--downloads", str(downloads), "--raw", str(run / "raw"),
                     "--settings", made, "--out", str(tmp_path / "out.parquet"), "--rejected", str(tmp_path / "no.parquet")])  # fmt: skip
    path.write_bytes(whole)
    assert target.exists() and code == 2 and "sha256 digest" in capsys.readouterr().err
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"per_class": 3}, "at least 10"),
        ({"pixels": 2}, "at least 3"),
        ({"seed": 0.5}, "whole"),
    ],
)
def test_impossible_settings_are_refused(tmp_path, settings, hint, capsys):
    words = ["mock-archive", "--release", "desi_edr", "--out", str(tmp_path / "x"), "--settings", json.dumps(settings)]
    assert cli.main(words) == 2 and hint in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
