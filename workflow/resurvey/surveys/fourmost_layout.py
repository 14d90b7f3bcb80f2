"""How our files of 4MOST spectra are laid out: names, HDUs and columns, for the mock archive that writes them and the reader.

Modelled on 4MOST's level-1 products (header cards and units of its single spectra; docs/simulation.md): one file per field and
night with the joined low-resolution spectra of all fibres.
"""

FLUX_SCALE = 1e17  # files are in erg/s/cm²/Å, spectra in 1e-17 of it
SPECTRA = (
    "FLUX",
    "ERR_FLUX",
    "QUAL",
)  # images (fibres, pixels): QUAL 0 is good; wavelengths by CRVAL1 and CDELT1 of each
FIBRES = "FIBINFO"  # table with a row per fibre
USED_OBJECT, USED_SKY = 1, 3  # FIB_USE
COLUMNS = [
    ("FIB_ID", "J"), ("FIB_USE", "J"), ("TRG_UID", "K"), ("TRG_NME", "24A"), ("TRG_RA", "D"), ("TRG_DEC", "D"),
    ("TRG_BIT", "J"), ("EXPTIME", "E"), ("SNR", "E"),
]  # fmt: skip
CATALOGUE = [
    ("OBID1", "J"), ("MJD", "J"), ("FIB_ID", "J"), ("PROCSOFT", "12A"), ("TRG_UID", "K"), ("TRG_RA", "D"), ("TRG_DEC", "D"),
    ("FIB_USE", "J"), ("CLASS", "6A"), ("SUBCLASS", "12A"), ("Z", "D"), ("Z_ERR", "E"), ("ZWARN", "J"), ("SNR", "E"), ("PRIMARY", "J"),
]  # fmt: skip


def path(template: str, field: int, mjd: int) -> str:
    """Path of a field's file below the release."""
    return template.format(field=field, mjd=mjd)
