"""Real DESI files (RESURVEY_SHARED): every file, and every row of it, is read or refused with its reason."""

import csv

import numpy as np
import pyarrow.compute as pc
import pytest
from astropy.io import fits
from resurvey import files
from resurvey.errors import ResurveyError
from resurvey.surveys import desi_catalogue, registry
from resurvey.surveys.desi_coadd import EMPTY, NEGATIVE, SKY, Coadd
from resurvey.surveys.spectrum import Rejected, Spectrum

ROWS = {   # file: rows that are read, rows that are refused with each reason
    "coadd-1-80693-thru20210204.fits": (5, {}),
    "coadd-4-80613-thru20210324.fits": (1, {}),
    "coadd-main-dark-9144.fits": (2, {}),
    "coadd-sv3-dark-26065.fits": (2, {NEGATIVE: 2, SKY: 1}),
    "spectra-sv3-dark-26065.fits": (1, {NEGATIVE: 2, SKY: 1, EMPTY: 1}),
    "test_coadd.fits": (24, {EMPTY: 1}),
}  # fmt: skip
REFUSED = {
    "redrock-4-80613-thru20210324.fits": "DESI redrock file, which holds redshifts and no spectra",
    "redrock-test.fits": "DESI redrock file, which holds redshifts and no spectra",
    "derived_desi_50k_big_reconstructions.npz": r"zip archive \(or .npz\)",
}


@pytest.fixture(scope="module")
def desi(shared):
    return shared / "real" / "desi"


def test_every_real_file_is_known_here(desi):
    assert {path.name for path in desi.iterdir()} == set(ROWS) | set(REFUSED)


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_read_or_refused_with_its_reason(desi, name):
    items = list(registry.read_all(desi / name))
    read, reasons = ROWS[name]
    with fits.open(desi / name) as hdus:
        assert len(items) == hdus["B_FLUX"].shape[0]
    assert sum(isinstance(item, Spectrum) for item in items) == read
    refused = [item.reason for item in items if isinstance(item, Rejected)]
    assert {reason: sum(text.endswith(reason) for text in refused) for reason in reasons} == reasons
    assert len(refused) == sum(reasons.values())
    for spectrum in items:
        if isinstance(spectrum, Spectrum):
            assert (spectrum.origin, spectrum.survey, len(spectrum.wavelength)) == ("real", "desi", 7781)
            assert spectrum.wavelength[[0, -1]] == pytest.approx([3600.0, 9824.0]) and (spectrum.ivar > 0).mean() > 0.95


@pytest.mark.parametrize("name", REFUSED)
def test_files_without_spectra_are_refused_by_name(desi, name):
    with pytest.raises(ResurveyError, match=REFUSED[name]):
        registry.read(desi / name)


def test_the_median_s_n_of_the_arms_is_the_pipeline_s(desi):
    """Ours is per pixel of 0.8 Å, SCORES' MEDIAN_COADD_SNR per Å^½; each arm's beside it, and the joined spectrum's between the arms'."""
    name = "coadd-4-80613-thru20210324.fits"
    spectrum = registry.read(desi / name)
    with fits.open(desi / name) as hdus:
        scores = hdus["SCORES"].data
        pipeline = [float(scores[f"MEDIAN_COADD_SNR_{arm}"][0]) for arm in "BRZ"]
        assert spectrum.spectrum_id == str(hdus["FIBERMAP"].data["TARGETID"][0])
        assert (spectrum.ra, spectrum.dec) == (
            hdus["FIBERMAP"].data["TARGET_RA"][0],
            hdus["FIBERMAP"].data["TARGET_DEC"][0],
        )
    sn, wave = spectrum.flux * np.sqrt(spectrum.ivar), spectrum.wavelength
    ours = [
        np.median(sn[(wave > low) & (wave < high)]) / np.sqrt(0.8)
        for low, high in ((3600, 5755), (5805, 7515), (7625, 9824))
    ]
    assert ours == pytest.approx(pipeline, rel=0.1)
    assert min(ours) < spectrum.sn_median / np.sqrt(0.8) < max(ours)


def test_joined_arms_are_the_weighted_mean_and_agree_on_the_overlaps(desi):
    """The overlaps by hand, and both arms there measure the same flux within their errors."""
    path = desi / "coadd-1-80693-thru20210204.fits"
    with registry.open_fits(path) as hdus:
        coadd = Coadd(hdus, path.name)
        pulls = []
        for row in range(coadd.rows):
            spectrum = coadd.spectrum(row)
            flux, ivar = {}, {}
            for arm in "BR":
                flux[arm], ivar[arm] = (hdus[f"{arm}_{part}"].data[row].astype(float) for part in ("FLUX", "IVAR"))
            b, r = slice(2700, 2751), slice(0, 51)  # 5760 to 5800 Å
            weight = ivar["B"][b] + ivar["R"][r]
            mean = (ivar["B"][b] * flux["B"][b] + ivar["R"][r] * flux["R"][r]) / weight
            np.testing.assert_allclose(spectrum.flux[2700:2751], mean, rtol=1e-5)
            np.testing.assert_allclose(spectrum.ivar[2700:2751], weight, rtol=1e-5)
            np.testing.assert_array_equal(spectrum.flux[:2700], flux["B"][:2700].astype(np.float32))
            good = (ivar["B"][b] > 0) & (ivar["R"][r] > 0)
            pulls += list(((flux["B"][b] - flux["R"][r]) / np.sqrt(1 / ivar["B"][b] + 1 / ivar["R"][r]))[good])
    assert np.std(pulls) == pytest.approx(1, abs=0.35)


def test_catalogue_of_ten_real_rows(shared, tmp_path):
    source = shared / "real" / "catalogues" / "zall-pix-iron_10rows.fits"
    assert desi_catalogue.extract(source, tmp_path / "out.parquet", {"origin": "real"}) == 10
    table = files.read_table(tmp_path / "out.parquet")
    rows = fits.getdata(source, "ZCATALOG")
    assert table["targetid"].to_pylist() == rows["TARGETID"].tolist()
    assert table["survey_z"].to_pylist() == rows["Z"].tolist()
    assert table["survey_class"].to_pylist() == [text.strip() for text in rows["SPECTYPE"]]
    assert table["survey_zwarning"].to_pylist() == rows["ZWARN"].tolist()
    assert table["specprimary"].to_pylist() == rows["ZCAT_PRIMARY"].tolist()
    assert set(table["objtype"].to_pylist()) == {"TGT"} and pc.count_distinct(table["healpix"]).as_py() == 1


def test_labels_of_the_manifest_s_redrock_file_belong_to_the_coadd_beside_it(shared, desi):
    with open(shared / "real" / "MANIFEST.csv", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["path"] == "desi/redrock-4-80613-thru20210324.fits"]
    spectrum = registry.read(desi / "coadd-4-80613-thru20210324.fits")
    assert [row["object_id"] for row in rows] == [str(spectrum.names["targetid"])]
