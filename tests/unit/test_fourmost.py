"""4MOST: the mock archive, its reader, catalogue, plan and shards; the ten classes are those of the paper's Table 2."""

import hashlib

import mock_archives
import numpy as np
import pyarrow.compute as pc
import pytest
import toy_templates
from astropy.io import fits
from resurvey import cli, files, settings
from resurvey.archive import catalogue, mock_fourmost, plan, plan_fields
from resurvey.archive.release import Release
from resurvey.errors import ResurveyError
from resurvey.settings import resolving
from resurvey.shards.build import build_shard
from resurvey.shards.reading import as_array
from resurvey.simulate import fourmost
from resurvey.simulate.templates import libraries, registry
from resurvey.stages import worker
from resurvey.surveys import registry as readers
from resurvey.surveys.fourmost_layout import FLUX_SCALE, USED_SKY

RELEASE = "fourmost_mock"
OPTIONS = mock_archives.ARCHIVES[RELEASE].options
TABLE_2 = {
    "STAR_Dyn": 74.5, "STAR_GalHR": 39.9, "STAR_ESN": 12.8, "STAR_GalDiskLR": 140.4, "STAR_MCsn": 72.3, "QSO_COSMO_AGN": 6.3,
    "GALAXY_ClusB": 5.8, "GALAXY_WAVES": 1.6, "GALAXY_RedGAL": 8.7, "GALAXY_tides_host": 19.7,
}  # fmt: skip
REDSHIFTS = {
    "QSO_COSMO_AGN": (0.9, 4.0, 2.2), "GALAXY_ClusB": (0.3, 1.0, 0.52), "GALAXY_WAVES": (0.0, 0.8, 0.32),
    "GALAXY_RedGAL": (0.0, 1.1, 0.33), "GALAXY_tides_host": (0.0, 0.6, 0.11),
}  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return mock_archives.made(tmp_path_factory, RELEASE)


@pytest.fixture(scope="module")
def release_settings(archive):
    entry = resolving.whole_release(RELEASE, {}, "test")
    return {"release": entry, "root": str(archive), "origin": "mock", "etiquette": entry["etiquette"]}


@pytest.fixture(scope="module")
def dataset():
    entry = resolving.whole_dataset("fourmost", {}, "test")
    return {
        **entry,
        "per_class": 10,
        "shards": 3,
        "grid": {"start": 4000.0, "step": 4.0, "pixels": 1251},
        "resample": "flux_conserving",
    }


@pytest.fixture(scope="module")
def made(archive, release_settings, dataset, tmp_path_factory):
    """catalogue, targets, plan and the shards of it, by the stages' own functions."""
    out = tmp_path_factory.mktemp("stages")
    raw = out / "raw"
    catalogue.fetch(release_settings, raw, out / "catalogue.parquet")
    table = files.read_table(out / "catalogue.parquet")
    chosen = worker("targets", "fourmost")(table, dataset, 5)
    meta = {"origin": "mock", "release": RELEASE, "dataset": "fourmost"}
    files.write_table(chosen.table, out / "targets.parquet", meta)
    release = Release.from_settings(release_settings)
    todo = worker("plan", "fourmost")(plan.read_targets(out / "targets.parquet"), release)
    return {"out": out, "raw": raw, "catalogue": table, "targets": chosen, "plan": todo, "release": release}


@pytest.fixture(scope="module")
def shards(made, release_settings, dataset):
    from resurvey.archive import manifest
    from resurvey.archive.transfer import Transfer

    parts = []
    for shard in ("0000", "0001", "0002"):
        with Transfer(made["release"], made["raw"]) as transfer:
            rows = transfer.fetch(plan.wanted(made["plan"], shard), shard)
        downloads = made["out"] / f"downloads_{shard}.parquet"
        files.write_table(manifest.table(rows), downloads, {"origin": "mock"})
        given = {"dataset": dataset, "release": release_settings["release"], "origin": "mock"}
        counts = build_shard(made["out"] / "targets.parquet", shard, downloads, made["raw"], given, made["out"] / f"{shard}.parquet", made["out"] / f"{shard}.rejected.parquet")  # fmt: skip
        assert counts["rejected"] == 0 and counts["expected"] == counts["read"]
        parts.append(files.read_table(made["out"] / f"{shard}.parquet"))
    return parts


def test_checksums_are_those_of_the_files(archive):
    lists = list(archive.rglob("*.sha1sum"))
    named = {}
    for path in lists:
        named |= {path.parent / line.split()[1]: line.split()[0] for line in path.read_text().splitlines()}
    assert set(named) == set(archive.rglob("*.fits"))
    assert all(hashlib.sha1(path.read_bytes()).hexdigest() == digest for path, digest in named.items())


@pytest.mark.parametrize("options, told", [({"step": 50}, "between 0.2 and 20"), ({"per_class": 0}, "at least 1"), ({"repeats": 0.9}, "between 0 and 0.5")])  # fmt: skip
def test_impossible_settings_are_refused(options, told, tmp_path):
    with pytest.raises(ResurveyError, match=told):
        mock_fourmost.build(tmp_path, RELEASE, options)


@pytest.mark.parametrize("label", fourmost.LABELS)
def test_redshifts_and_sn_follow_table_2(label):
    table = fourmost.FromPhysics().draw(label, 6000, np.random.default_rng(0))
    assert table["sn"].mean() == pytest.approx(TABLE_2[label], rel=0.05)
    if label in REDSHIFTS:
        low, high, mean = REDSHIFTS[label]
        assert table["z"].min() >= low and table["z"].max() <= high
        assert table["z"].mean() == pytest.approx(mean, rel=0.03)
    else:
        assert np.abs(table["z"]).max() < 0.003


def test_classes_of_the_dataset_are_the_recipes(dataset):
    assert [entry["label"] for entry in dataset["classes"]] == list(fourmost.LABELS) == list(TABLE_2)


def test_cluster_and_red_galaxies_differ_in_their_lines_alone():
    """The paper's confusion can arise: the same templates, redshifts that overlap, emission lines in most of the one."""
    one, other = (fourmost.RECIPES[f"GALAXY_{name}"] for name in ("ClusB", "RedGAL"))
    assert (one.objects.passive, one.objects.stacks, one.objects.stacked) == (
        other.objects.passive,
        other.objects.stacks,
        other.objects.stacked,
    )
    assert one.z[0] < other.z[1] and other.z[0] < one.z[1]
    maker, rng = fourmost.FromPhysics(), np.random.default_rng(1)
    share = {name: np.mean(maker.draw(f"GALAXY_{name}", 3000, rng)["ew_halpha"] > 0.5) for name in ("ClusB", "RedGAL")}
    assert share["ClusB"] == pytest.approx(0.7, abs=0.04) and share["RedGAL"] == pytest.approx(0.12, abs=0.03)


def test_a_star_is_one_object_also_when_observed_twice(archive):
    truth = files.read_table(archive / "truth" / f"{RELEASE}.parquet").to_pandas()
    twice = truth[truth["repeat"]]
    assert 4 <= len(twice) <= 25
    for _, row in twice.iterrows():
        pair = truth[truth["object"] == row["object"]]
        assert pair["label"].nunique() == 1 and len(pair["spectrum_id"].str[:4].unique()) == 2
        assert np.ptp(pair["dec"]) < 0.7 / 3600


def test_catalogue_holds_truth_with_a_fits_error(made, archive):
    table = made["catalogue"].to_pandas()
    assert (table["targettype"] == "SKY").sum() == 3 * max(2, round(40 * 0.04))
    truth = files.read_table(archive / "truth" / f"{RELEASE}.parquet").to_pandas()
    assert len(truth) == len(table)
    science = table[table["targettype"] == "SCIENCE"]
    assert science["survey_class"].value_counts().to_dict().keys() == {"STAR", "GALAXY", "QSO"}
    named = (
        science["plate"].map("{:04d}".format)
        + "-"
        + science["mjd"].astype(str)
        + "-"
        + science["fiberid"].map("{:04d}".format)
    )
    both = science.assign(spectrum_id=named).merge(truth, on="spectrum_id")
    assert len(both) == len(science)
    assert (both["survey_class"] + "_" + both["survey_subclass"] == both["label"]).all()
    assert (np.abs(both["survey_z"] - both["z"]) < 6 * both["survey_z_err"]).all()


def test_targets_are_drawn_by_class_without_sky_and_objects_stay_on_one_side(made):
    table = made["targets"].table
    counts = table.to_pandas().groupby("label").size()
    assert counts.to_dict() == dict.fromkeys(TABLE_2, 10)
    assert pc.all(pc.equal(table["targettype"], "SCIENCE")).as_py()
    sides = table.to_pandas().groupby("object_id")["split"].nunique()
    assert sides.max() == 1
    stars = table.filter(pc.equal(table["survey_class"], "STAR"))
    assert stars["z"].null_count == len(stars)


def test_plan_has_one_file_per_field(made, dataset, release_settings):
    table = made["plan"].to_pandas()
    assert len(table) == 3 and set(table["route"]) == {plan_fields.ROUTE}
    assert sum(len(fibres) for fibres in table["fibres"]) == made["targets"].table.num_rows
    cost = plan.cost(made["plan"], made["targets"].table.num_rows)
    assert "4MOST field" in plan.describe(cost, made["release"], made["raw"], "fourmost")
    guess = worker("estimate", "fourmost")(dataset, made["release"])
    assert guess.files == {plan_fields.ROUTE: 1} and guess.spectra == 100


def test_shards_hold_what_the_files_hold(shards, archive):
    """Files are on pixels of the shards' own grid, so that flux-conserving resampling changes nothing."""
    path = next(iter(sorted((archive / "fourmost" / "l1").rglob("*.fits"))))
    with fits.open(path) as hdus:
        flux, error, quality = (hdus[name].data for name in ("FLUX", "ERR_FLUX", "QUAL"))
        fibres = hdus["FIBINFO"].data["FIB_ID"].tolist()
        field = hdus[0].header["OBID1"]
    first = (4000 - 3700) // 4
    compared = 0
    for table in shards:
        for number, row in enumerate(table.select(["plate", "fiberid"]).to_pylist()):
            if row["plate"] != field:
                continue
            place = fibres.index(row["fiberid"])
            good = (quality[place] == 0) & (error[place] > 0)
            good = good[first : first + 1251]
            ours = as_array(table["flux"])[number]
            theirs = flux[place][first : first + 1251] * FLUX_SCALE
            assert ours[good] == pytest.approx(theirs[good], rel=1e-4, abs=1e-3 * float(np.abs(theirs).max()))
            ivar = as_array(table["ivar"])[number]
            assert ((ivar > 0) == good).mean() > 0.999
            compared += 1
    assert compared > 20


def test_noise_of_the_sky_is_that_of_the_errors(archive):
    """Sky fibres hold noise alone. A fibre's own level of noise is off by up to a quarter in χ²: few fibres, so wide limits."""
    pull = []
    for path in sorted((archive / "fourmost" / "l1").rglob("*.fits")):
        with fits.open(path) as hdus:
            sky = hdus["FIBINFO"].data["FIB_USE"] == USED_SKY
            flux, error, quality = (hdus[name].data[sky] for name in ("FLUX", "ERR_FLUX", "QUAL"))
        good = (quality == 0) & (error > 0)
        pull.append(flux[good] / error[good])
    pull = np.concatenate(pull)
    assert len(pull) > 8000 and np.median(pull**2) == pytest.approx(0.455, rel=0.3)
    assert abs(np.median(pull)) < 0.1


def test_reader_takes_whole_files_and_leaves_out_the_sky(archive):
    path = next(iter(sorted((archive / "fourmost" / "l1").rglob("*.fits"))))
    found = list(readers.read_all(path))
    spectra = [one for one in found if hasattr(one, "flux")]
    assert len(found) - len(spectra) == 2 and all(
        "sky fibre" in one.reason for one in found if not hasattr(one, "flux")
    )
    assert {one.origin for one in spectra} == {"mock"} and {one.survey for one in spectra} == {"fourmost"}
    assert spectra[0].wavelength[0] == 3700 and spectra[0].flux.size == 1451
    assert np.median([one.sn_median for one in spectra]) > 1


def test_reader_takes_the_consortiums_single_spectra(tmp_path):
    wave = np.arange(3700, 3800, 0.25, dtype=np.float32)
    flux = np.full(400, 3e-17, np.float32)
    error = np.full(400, 1e-17, np.float32)
    quality = np.zeros(400, np.int32)
    quality[7] = 1
    columns = [fits.Column("WAVE", "400E", "Angstrom", array=wave[None]), fits.Column("FLUX", "400E", array=flux[None]),
               fits.Column("ERR_FLUX", "400E", array=error[None]), fits.Column("QUAL", "400J", array=quality[None])]  # fmt: skip
    table = fits.BinTableHDU.from_columns(columns, name="PHASE3SPECTRUM")
    table.header["TUCD1"], table.header["FIB_ID"], table.header["TRG_NME"] = "em.wl;obs.atmos", 12, "QMST1"
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "single.fits")
    spectrum = readers.read(tmp_path / "single.fits")
    assert spectrum.flux == pytest.approx(3, rel=1e-6) and spectrum.ivar == pytest.approx(1, rel=1e-5)
    assert spectrum.wavelength[0] == pytest.approx(3701.06, abs=0.02)  # air to vacuum
    assert (
        spectrum.mask[7] == 1
        and spectrum.origin == "real"
        and spectrum.spectrum_id == "QMST1"
        and spectrum.fiberid == 12
    )


@pytest.mark.real
def test_the_consortiums_own_file_is_known(shared):
    path = shared / "reference/py4most/temp_header.fits"
    spectrum = readers.read(path)
    assert readers.identify(path) == "4MOST level-1 spectrum" and spectrum.spectrum_id == "QMST20562750-4111450"
    assert spectrum.flux.size == 23201 and spectrum.origin == "real" and spectrum.fiberid == 644


def test_a_file_that_was_cut_is_named(archive, tmp_path):
    path = next(iter(sorted((archive / "fourmost" / "l1").rglob("*.fits"))))
    cut = tmp_path / "cut.fits"
    cut.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ResurveyError, match=r"truncated|damaged"):
        readers.read(cut)


def test_the_release_exists_as_a_mock_only():
    with pytest.raises(ResurveyError, match="exists as a mock only"):
        settings.load(overrides={"preset": "demo_4most", "archive": "https://data.sdss.org/sas"})
    assert settings.load(overrides={"preset": "demo_4most"})["archive"]["kind"] == "mock"


def test_classes_from_templates(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("toys")
    rows = toy_templates.rows(toy_templates.write(folder))
    monkeypatch.setattr(registry, "templates", lambda collections=None: rows)
    libraries._load.cache_clear()
    mock_fourmost.source.cache_clear()
    made = mock_fourmost.build(folder / "out", RELEASE, {**OPTIONS, "per_class": 3, "templates": str(folder)})
    mock_fourmost.source.cache_clear()
    libraries._load.cache_clear()
    truth = files.read_table(folder / "out" / "truth" / f"{RELEASE}.parquet").to_pandas()
    assert made["spectra"] == len(truth) and set(truth["label"]) == {*TABLE_2, ""}
    assert (truth.loc[truth["label"] != "", "sn"] > 0).all()


def test_a_wrong_folder_of_templates_leaves_no_archive(tmp_path, capsys):
    given = '{"templates": "/nowhere/at/all"}'
    assert cli.main(["mock-archive", "--release", RELEASE, "--out", str(tmp_path / "new"), "--settings", given]) == 2
    assert "is no folder" in capsys.readouterr().err
    assert not (tmp_path / "new" / "fourmost").exists()
