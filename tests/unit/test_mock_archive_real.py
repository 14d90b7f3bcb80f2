"""Mock spec-lite files have the structure of real ones: HDUs, columns, formats, order."""

import numpy as np
import pytest
from astropy.io import fits
from resurvey.archive.mock_sdss import build

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore::astropy.io.fits.verify.VerifyWarning")]
PAIRS = {
    "sdss": ("spec-0266-51602-0013.fits", "SPECOBJ", 126, 29),
    "eboss": ("spec-10000-57346-0002.fits", "SPALL", 236, 32),
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("mock")
    build(root, "sdss_dr16", {"per_class": 2, "extra": 0, "lite_plates": 0, "seed": 1, "missing": 0})
    return root


@pytest.mark.parametrize("top", PAIRS)
def test_structure_of_spec_lite(archive, shared, top):
    name, second, columns, lines = PAIRS[top]
    mine_path = next((archive / "dr16" / top).rglob("spec-*.fits"))
    with fits.open(shared / "real/sdss/lite" / name, memmap=False) as real, fits.open(mine_path, memmap=False) as mine:
        assert [hdu.name for hdu in mine] == [hdu.name for hdu in real] == ["PRIMARY", "COADD", second, "SPZLINE"]
        for i in (1, 2, 3):
            assert mine[i].columns.names == real[i].columns.names
            assert mine[i].columns.formats == real[i].columns.formats
            assert mine[i].columns.dtype == real[i].columns.dtype
            assert [c.dim for c in mine[i].columns] == [c.dim for c in real[i].columns]
            assert [c.unit for c in mine[i].columns] == [c.unit for c in real[i].columns]
            assert mine[i].header["NAXIS1"] == real[i].header["NAXIS1"]
        assert len(mine[2].columns) == columns and len(mine[3].data) == lines
        assert mine[3].data["LINENAME"].tolist() == real[3].data["LINENAME"].tolist()
        assert np.allclose(mine[3].data["LINEWAVE"], real[3].data["LINEWAVE"], atol=0.01)
        shared_cards = {
            "PLATEID",
            "MJD",
            "COEFF0",
            "COEFF1",
            "VACUUM",
            "BUNIT",
            "PLUG_RA",
            "PLUG_DEC",
            "FIBERID",
            "NEXP",
        }
        assert shared_cards <= set(mine[0].header) & set(real[0].header)
        assert mine[0].header["BUNIT"] == real[0].header["BUNIT"]
        assert ("RUN2D" in mine[0].header) == ("RUN2D" in real[0].header)
        assert abs(len(mine[1].data) - len(real[1].data)) < 80
        assert mine[2].data["SPECOBJID"].dtype == real[2].data["SPECOBJID"].dtype


def test_identifiers_are_packed_as_the_survey_packs_them(shared):
    from resurvey.archive.mock_layout import Visit
    from resurvey.archive.mock_tables import spec_id

    for name, _, _, _ in PAIRS.values():
        row = fits.getdata(shared / "real/sdss/lite" / name, 2)[0]
        fields = (0, int(row["PLATE"]), int(row["MJD"]), row["RUN2D"].strip(), "", False, (0, 0), None, None, 0, 0)
        assert spec_id(Visit(*fields), np.array([row["FIBERID"]]))[0] == np.uint64(str(row["SPECOBJID"]).strip())
