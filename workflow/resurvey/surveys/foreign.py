"""Files of other surveys and kinds, given by mistake: what they are, in words for the user."""

_HINT = (
    "this version reads SDSS, BOSS and eBOSS spectra (spec, spSpec, spPlate), APOGEE spectra (apStar, aspcapStar, apVisit), "
    "DESI spectra (coadd, spectra), 4MOST level-1 spectra and plain text with wavelength and flux"
)


def of_other_survey(hdus) -> bool:
    """Whether the header names a survey that no reader here knows, although its tables may look familiar (LAMOST MRS)."""
    return "LAMOST" in _origin(hdus[0].header)


def _origin(header) -> str:
    return " ".join(str(header.get(key, "")) for key in ("TELESCOP", "ORIGIN", "DATA_V", "SURVEY")).upper()


def describe(hdus) -> str:
    """One sentence on what a FITS file that no reader takes is, and what is read instead."""
    return f"{_kind(hdus)}; {_HINT}"


def _kind(hdus) -> str:
    names = {hdu.name.upper() for hdu in hdus}
    origin = _origin(hdus[0].header)
    columns = {c.lower() for hdu in hdus if getattr(hdu, "columns", None) is not None for c in hdu.columns.names}
    shapes = [tuple(hdu.shape) for hdu in hdus if getattr(hdu, "columns", None) is None and hdu.shape]

    if "LAMOST" in origin:
        if names & {"COADD_B", "COADD_R"}:
            return "is a LAMOST medium-resolution (MRS) spectrum, which is not supported"
        return "is a LAMOST low-resolution (LRS) spectrum, which is not supported yet"
    if names & {"B_FLUX", "R_FLUX", "Z_FLUX", "BRZ_FLUX"}:
        return "is a DESI coadd or spectra file of which an arm's wavelengths or fluxes are missing"
    if "REDSHIFTS" in names and "TSNR2" in names:
        return "is a DESI redrock file, which holds redshifts and no spectra: give the coadd file beside it"
    if "REDSHIFTS" in names or "ZCATALOG" in names:
        return "is a DESI redshift catalogue, which holds no spectra"
    if "APOGEE" in origin or "APOGEE_ID" in {c.upper() for c in columns}:
        return "is an APOGEE file, but none of those that hold a star's spectra"
    if {"flux", "wavelength"} <= columns:
        return "is a table of spectra with a wavelength column (LAMOST DR8 and later are like that), which is not supported yet"
    if {"plate", "mjd", "fiberid"} <= columns:
        return "is an SDSS catalogue, which holds no spectra"
    if columns:
        return f"is a FITS table without a spectrum that is known here (columns {', '.join(sorted(columns)[:6])}, …)"
    if any(len(shape) >= 2 and shape[-1] > 8 for shape in shapes):
        return "is a FITS image without the header of a spectrum"
    return "is a FITS file without a spectrum"
