"""DESI coadds by hand: joined arms, masks, missing arms, and rows that are no target."""

import desi_files as df
import numpy as np
import pytest
from astropy.io import fits
from resurvey.errors import ResurveyError
from resurvey.surveys import registry
from resurvey.surveys.desi_coadd import Coadd
from resurvey.surveys.spectrum import Rejected

OVERLAP = slice(2700, 2751)  # 5760 to 5800 Å, of B and R


def one(tmp_path, made, **options):
    return registry.read(df.write_coadd(tmp_path / "coadd.fits", [5], made, **options))


def test_arms_are_joined_on_one_grid_by_inverse_variance(tmp_path):
    made = df.arms(1)
    made["B"][0][0, 2700:] = 1.0  # on the overlap B says 1 with ivar 3, R says 5 with ivar 1: 2 with ivar 4
    made["B"][1][0, 2700:] = 3.0
    made["R"][0][0, :51] = 5.0
    made["R"][1][0, :51] = 1.0
    spectrum = one(tmp_path, made)
    np.testing.assert_allclose(spectrum.wavelength, df.WAVE, rtol=1e-12)
    np.testing.assert_allclose(spectrum.flux[OVERLAP], 2.0, rtol=1e-6)
    np.testing.assert_allclose(spectrum.ivar[OVERLAP], 4.0, rtol=1e-6)
    alone = np.r_[0:2700, 2751:4900]
    np.testing.assert_allclose(spectrum.flux[alone], df.continuum(df.WAVE)[alone], rtol=1e-6)
    assert not spectrum.mask.any() and spectrum.spectrum_id == "sv3-dark-5" and spectrum.ra == 10.0


def test_the_noise_of_the_join_is_that_of_its_ivar(tmp_path):
    made = df.arms(1, np.random.default_rng(1))
    spectrum = one(tmp_path, made)
    chi = (spectrum.flux - df.continuum(df.WAVE)) * np.sqrt(spectrum.ivar)
    assert np.mean(chi**2) == pytest.approx(1, abs=0.05)
    assert spectrum.ivar[2725] == pytest.approx(8.0) and spectrum.ivar[100] == pytest.approx(4.0)
    expected = np.median(spectrum.flux * np.sqrt(spectrum.ivar))
    assert spectrum.sn_median == pytest.approx(expected, rel=1e-6)


def test_masked_pixels_do_not_count_but_the_other_arm_does(tmp_path):
    made = df.arms(1)
    made["B"][2][0, 100], made["B"][0][0, 100] = 1 << 2, 1e6  # masked with ivar > 0: nothing is left
    made["B"][2][0, 2710], made["B"][0][0, 2710] = 1 << 31, 1e6  # masked in B, not in R
    made["R"][1][0, 500] = np.nan
    made["Z"][0][0, 2000] = np.inf
    spectrum = one(tmp_path, made)
    assert spectrum.ivar[100] == 0 and spectrum.mask[100] == 1 << 2
    assert spectrum.ivar[2710] == 4.0 and spectrum.mask[2710] == 0
    assert spectrum.flux[2710] == pytest.approx(df.continuum(df.WAVE)[2710], rel=1e-6)
    assert spectrum.ivar[2700 + 500] == 0 and spectrum.ivar[4900 + 2000] == 0
    assert np.isfinite(spectrum.flux).all() and (spectrum.ivar == 0).sum() == 3


@pytest.mark.parametrize(
    ("lost", "first", "last", "gap"), [("Z", 3600.0, 7620.0, 0), ("B", 5760.0, 9824.0, 0), ("R", 3600.0, 9824.0, 2149)]
)
def test_an_arm_may_be_missing(tmp_path, lost, first, last, gap):
    made = df.arms(1)
    del made[lost]
    spectrum = one(tmp_path, made)
    assert spectrum.wavelength[[0, -1]] == pytest.approx([first, last])
    assert (spectrum.ivar == 0).sum() == gap


def test_rows_that_are_no_target_are_refused_with_the_reason(tmp_path):
    made = df.arms(4)
    for part in made.values():
        part[1][3] = 0
    path = df.write_coadd(tmp_path / "coadd.fits", [1, -2, 3, 4], made, objtype=["TGT", "", "SKY", "TGT"])
    items = list(registry.read_all(path))
    assert [isinstance(item, Rejected) for item in items] == [False, True, True, True]
    words = ("negative TARGETID", "sky fibre", "was not measured")
    assert all(word in item.reason for word, item in zip(words, items[1:], strict=True))
    with pytest.raises(ResurveyError, match="more than one spectrum"):
        registry.read(path)


def test_spectra_of_exposures_and_files_without_fibermap(tmp_path):
    path = df.write_coadd(tmp_path / "spectra.fits", [7, 7], df.arms(2), expid=[81, 82])
    assert [s.spectrum_id for s in registry.read_all(path)] == ["sv3-dark-7-00000081-0000", "sv3-dark-7-00000082-0001"]
    path = df.write_coadd(tmp_path / "bare.fits", [7, 8], df.arms(2), fibermap=False, mask=False, survey=None)
    assert [s.spectrum_id for s in registry.read_all(path)] == ["bare.fits[0]", "bare.fits[1]"]
    assert registry.identify(path) == "DESI coadd or spectra"


def test_a_target_is_found_by_its_targetid(tmp_path):
    path = df.write_coadd(tmp_path / "coadd.fits", [5, 6, 6], df.arms(3))
    with registry.open_fits(path) as hdus:
        coadd = Coadd(hdus, "coadd.fits")
        assert coadd.find(5) == 0
        with pytest.raises(ResurveyError, match="does not list"):
            coadd.find(9)
        with pytest.raises(ResurveyError, match="lists the target 2 times"):
            coadd.find(6)


def test_files_that_do_not_fit_together_say_so(tmp_path):
    def refused(reason):
        (item,) = registry.read_all(tmp_path / "coadd.fits")
        assert isinstance(item, Rejected) and reason in item.reason

    path = df.write_coadd(tmp_path / "coadd.fits", [5], df.arms(1))
    for name, reason in (("R_IVAR", "has no R_IVAR"), ("R_FLUX", None), ("FIBERMAP", None)):
        with fits.open(path) as hdus:
            fits.HDUList([hdu.copy() for hdu in hdus if hdu.name != name]).writeto(
                tmp_path / "less.fits", overwrite=True
            )
        (item,) = registry.read_all(tmp_path / "less.fits")
        assert isinstance(item, Rejected) == bool(reason) and (not reason or reason in item.reason)
    with fits.open(path, mode="update") as hdus:
        hdus["R_WAVELENGTH"].data += 0.3
    refused("not on one linear grid")
    df.write_coadd(
        path, [5, 6], {arm: [part[:1] if arm == "R" else part for part in parts] for arm, parts in df.arms(2).items()}
    )
    refused("R_FLUX is (1, 2326), not (2, 2326)")


def test_redrock_files_are_refused_by_name(tmp_path):
    tables = [
        fits.BinTableHDU.from_columns([fits.Column("TARGETID", "K", array=np.arange(3))], name=name)
        for name in ("REDSHIFTS", "TSNR2")
    ]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(tmp_path / "redrock.fits")
    with pytest.raises(ResurveyError, match=r"redrock file.*give the coadd"):
        registry.read(tmp_path / "redrock.fits")
