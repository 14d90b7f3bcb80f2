"""Every real SDSS file is read correctly or refused with its reason; files of other surveys are named."""

import csv
import dataclasses

import numpy as np
import pytest
from astropy.io import fits
from resurvey.errors import ResurveyError
from resurvey.shards.grid import Grid
from resurvey.shards.resample import Resampler
from resurvey.surveys import registry, sdss_fast, sdss_spec
from resurvey.surveys.sdss_meta import clean_subclass
from resurvey.surveys.spectrum import Rejected

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def manifest(shared):
    with open(shared / "real" / "MANIFEST.csv", newline="") as handle:
        return list(csv.DictReader(handle))


def rows(manifest, *kinds):
    found = [row for row in manifest if row["survey"] == "sdss" and row["kind"] in kinds]
    assert found, f"the manifest has no {kinds}"
    return found


SPEC = ("spectrum-lite", "spectrum-full", "spectrum-unnamed_hdu")


def test_spec_files_have_the_catalogues_values(shared, manifest):
    """Ids, class, subclass, z, warning and S/N against the manifest, which was made by other code."""
    for row in rows(manifest, *SPEC):
        spectrum = registry.read(shared / "real" / row["path"])
        assert spectrum.spectrum_id == row["object_id"], row["path"]
        assert spectrum.survey_class == row["class"]
        assert spectrum.survey_subclass == clean_subclass(row["subclass"])
        assert spectrum.survey_z == float(row["z"])
        assert spectrum.survey_zwarning == int(row["zwarning"])
        good = spectrum.ivar > 0
        assert np.median(spectrum.flux[good] * np.sqrt(spectrum.ivar[good])) == pytest.approx(
            float(row["sn_median"]), abs=0.01
        )
        assert spectrum.origin == "real" and np.isfinite([spectrum.ra, spectrum.dec, spectrum.sn_median]).all()


def test_fast_path_takes_them_and_equals_astropy(shared, manifest):
    for row in rows(manifest, *SPEC, "spectrum-sky-fibre"):
        path = shared / "real" / row["path"]
        fast = sdss_fast.parse(path.read_bytes(), path.name)
        assert fast is not None, f"{path} fell back to astropy"
        with registry.open_fits(path) as hdus:
            (slow,) = sdss_spec.read(hdus, path.name)
        for field in dataclasses.fields(fast):
            a, b = getattr(fast, field.name), getattr(slow, field.name)
            equal = a.tobytes() == b.tobytes() if isinstance(a, np.ndarray) else a == b
            assert equal, (path, field.name)


def test_wavelengths_agree_with_the_files_to_their_rounding(shared, manifest):
    for row in rows(manifest, *SPEC):
        path = shared / "real" / row["path"]
        with fits.open(path) as hdus:
            loglam = np.asarray(hdus[1].data.field(1), dtype=float)
        ours = np.log10(registry.read(path).wavelength)
        assert np.abs(ours - loglam).max() < 3e-7


def test_sky_fibres_are_refused(shared, manifest):
    for row in rows(manifest, "spectrum-sky-fibre"):
        with pytest.raises(ResurveyError, match="sky fibre"):
            registry.read(shared / "real" / row["path"])


def test_spspec_files(shared, manifest):
    for row in rows(manifest, "spectrum-spSpec-dr7"):
        path = shared / "real" / row["path"]
        spectrum = registry.read(path)
        assert spectrum.spectrum_id == row["object_id"]
        assert spectrum.survey_class == row["class"]
        assert spectrum.survey_z == pytest.approx(float(row["z"]), rel=1e-6)
        assert spectrum.sn_median == pytest.approx(float(row["sn_median"]), abs=0.01)
        header, image = fits.getheader(path), fits.getdata(path)
        assert np.array_equal(spectrum.flux, image[0]) and ((spectrum.ivar == 0) == (image[2] == 0)).all()
        assert np.log10(spectrum.wavelength[-1]) == pytest.approx(
            header["COEFF0"] + 1e-4 * (image.shape[1] - 1), abs=1e-9
        )


def test_text_stars(shared, manifest):
    for row in rows(manifest, "spectrum-ascii"):
        path = shared / "real" / row["path"]
        spectrum = registry.read(path)
        table = np.loadtxt(path)
        assert spectrum.spectrum_id == row["object_id"]
        assert np.array_equal(spectrum.wavelength, table[:, 0]) and not spectrum.ivar_known


def test_table_of_released_spectra(shared):
    path = shared / "published" / "gasnet3" / "sdss_real_spectra.fits"
    spectra = list(registry.read_all(path))
    with fits.open(path) as hdus:
        table = hdus[1].data
        assert len(spectra) == len(table) == 74
        for spectrum, row in zip(spectra, table, strict=True):
            assert (spectrum.plate, spectrum.fiberid) == (row["PLATE"], row["FIBERID"])
            assert np.array_equal(spectrum.ivar, row["ivar"].astype(np.float32))


def test_lamost_is_refused_by_name(shared, manifest):
    paths = {row["path"] for row in manifest if row["survey"].lower() == "lamost" and row["kind"].startswith("spec")}
    assert paths
    for path in sorted(paths)[:40]:
        with pytest.raises(ResurveyError, match="LAMOST"):
            registry.read(shared / "real" / path)


def test_medium_resolution_lamost_is_refused_as_such(shared):
    (path,) = (shared / "real" / "lamost" / "mrs").iterdir()
    with pytest.raises(ResurveyError, match="medium-resolution"):
        registry.read(path)


def test_nothing_under_real_sdss_is_unaccounted_for(shared):
    """Each file gives spectra or exactly one reason that names it; only sky fibres are refused."""
    for path in sorted(p for p in (shared / "real" / "sdss").rglob("*") if p.is_file()):
        for item in registry.read_all(path):
            refused = isinstance(item, Rejected)
            assert refused == (path.parent.name == "sky"), path


@pytest.mark.parametrize("method", ["linear", "flux_conserving"])
def test_real_spectra_resample_to_finite_values(shared, manifest, method):
    resampler = Resampler(Grid(4000.0, 1.0, 5001), method)
    for row in rows(manifest, *SPEC, "spectrum-spSpec-dr7", "spectrum-ascii"):
        spectrum = registry.read(shared / "real" / row["path"])
        flux, ivar, coverage = resampler(spectrum)
        assert np.isfinite(flux).all() and np.isfinite(ivar).all()
        covered = (resampler.grid.wavelength > coverage.minimum + 2) & (
            resampler.grid.wavelength < coverage.maximum - 2
        )
        assert (flux[covered] != 0).mean() > 0.999
        assert (flux[~covered] == 0).sum() >= (~covered).sum() - 8
        # the two methods must tell the same story: broad-band means of the original pixels
        use = (spectrum.ivar > 0) & (spectrum.mask == 0) & (spectrum.wavelength > 5000) & (spectrum.wavelength < 5500)
        if use.sum() > 350:
            band = (resampler.grid.wavelength > 5000) & (resampler.grid.wavelength < 5500)
            assert flux[band].mean() == pytest.approx(spectrum.flux[use].mean(), rel=0.03, abs=0.1)
