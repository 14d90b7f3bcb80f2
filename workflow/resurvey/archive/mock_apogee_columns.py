"""Columns and FITS formats of APOGEE's tables of DR14 (SDSS data model of allStar, allVisit, allStarCannon), as far as readers use them."""

from resurvey.archive import mock_columns
from resurvey.surveys.apogee_labels import ASPCAP_ELEMENTS, ELEMENTS

PARAMETERS = ["TEFF", "LOGG", "LOG10VDOP", "METALS", "C", "N", "O Mg Si S Ca Ti", "LGVSINI", "O"]
_MATRICES = {"PARAM_COV": "( 9, 9)", "FPARAM_COV": "( 9, 9)"}
_ALLSTAR = """
APSTAR_ID:45A TARGET_ID:34A ASPCAP_ID:46A FILE:40A APOGEE_ID:18A TELESCOPE:8A LOCATION_ID:J FIELD:16A J:E J_ERR:E H:E
H_ERR:E K:E K_ERR:E RA:D DEC:D GLON:D GLAT:D APOGEE_TARGET1:J APOGEE_TARGET2:J APOGEE_TARGET3:J APOGEE2_TARGET1:J
APOGEE2_TARGET2:J APOGEE2_TARGET3:J TARGFLAGS:116A SURVEY:35A NVISITS:J COMMISS:I SNR:E STARFLAG:J STARFLAGS:129A
ANDFLAG:J ANDFLAGS:59A VHELIO_AVG:E VSCATTER:E VERR:E VERR_MED:E OBSVHELIO_AVG:E OBSVSCATTER:E SYNTHVHELIO_AVG:E
SYNTHVSCATTER:E RV_TEFF:E RV_LOGG:E RV_FEH:E RV_ALPHA:E RV_CARB:E RV_CCFWHM:E RV_AUTOFWHM:E SYNTHSCATTER:E
STABLERV_CHI2:E STABLERV_RCHI2:E CHI2_THRESHOLD:E STABLERV_CHI2_PROB:E MEANFIB:E SIGFIB:E SNREV:E APSTAR_VERSION:5A
ASPCAP_VERSION:6A RESULTS_VERSION:6A EXTRATARG:J MIN_H:E MAX_H:E MIN_JK:E MAX_JK:E PARAM:9E FPARAM:9E PARAM_COV:81E
FPARAM_COV:81E TEFF:E TEFF_ERR:E LOGG:E LOGG_ERR:E VMICRO:E VMACRO:E VSINI:E M_H:E M_H_ERR:E ALPHA_M:E ALPHA_M_ERR:E
ASPCAP_CHI2:E ASPCAP_CLASS:5A ASPCAPFLAG:J ASPCAPFLAGS:114A PARAMFLAG:9J FELEM:26E FELEM_ERR:26E X_H:26E X_H_ERR:26E
X_M:26E X_M_ERR:26E ELEM_CHI2:26E ELEMFLAG:26J REDUCTION_ID:45A
"""
_ALLVISIT = """
VISIT_ID:64A APOGEE_ID:18A TARGET_ID:34A REDUCTION_ID:18A FILE:37A FIBERID:J PLATE:5A MJD:J TELESCOPE:8A SURVEY:35A
LOCATION_ID:J FIELD:16A RA:D DEC:D GLON:D GLAT:D J:E H:E K:E SNR:E STARFLAG:J STARFLAGS:129A DATEOBS:23A JD:D BC:E
VTYPE:I VREL:E VRELERR:E VHELIO:E CHISQ:E RV_TEFF:E RV_FEH:E RV_LOGG:E APSTAR_ID:45A
"""
_UNITS = {"RA": "deg", "DEC": "deg", "GLON": "deg", "GLAT": "deg", "TEFF": "K", "TEFF_ERR": "K", "LOGG": "log(cgs)",
          "LOGG_ERR": "log(cgs)", "VHELIO_AVG": "km/s", "VSCATTER": "km/s", "VHELIO": "km/s", "BC": "km/s", "J": "mag", "H": "mag", "K": "mag"}  # fmt: skip


def _ratio(element: str) -> str:
    return "FE_H" if element == "Fe" else f"{element.upper()}_FE"


def allstar() -> list[tuple[str, str]]:
    """Columns of HDU 1 of allStar-l31c.2."""
    named = [
        (f"{_ratio(element)}{suffix}", code)
        for element in ASPCAP_ELEMENTS
        for suffix, code in (("", "E"), ("_ERR", "E"), ("_FLAG", "J"))
    ]
    return mock_columns.parse(_ALLSTAR) + named


def allvisit() -> list[tuple[str, str]]:
    """Columns of allVisit-l31c.2."""
    return mock_columns.parse(_ALLVISIT)


def cannon() -> list[tuple[str, str]]:
    """Columns of allStarCannon-l31c.2: labels, raw errors and errors."""
    labels = ["TEFF", "LOGG", "M_H", "ALPHA_M", "FE_H"] + [f"{name.upper()}_H" for name in ELEMENTS if name != "Fe"]
    head = mock_columns.parse("APOGEE_ID:18A FILENAME:64A LOCATION_ID:J FIELD:16A")
    errors = [(f"{label}{suffix}", "E") for suffix in ("", "_RAWERR", "_ERR") for label in labels]
    return head + errors + [("CHI_SQ", "E"), ("R_CHI_SQ", "E")]


def special(columns: list[tuple[str, str]]) -> list[tuple]:
    """TDIM and TUNIT cards."""
    cards = [(f"TDIM{i}", _MATRICES[name]) for i, (name, _) in enumerate(columns, 1) if name in _MATRICES]
    return cards + [(f"TUNIT{i}", _UNITS[name]) for i, (name, _) in enumerate(columns, 1) if name in _UNITS]


def symbols() -> tuple[list[tuple[str, str]], list[tuple]]:
    """Columns and TDIM cards of HDU 3 of allStar, one row: what the vectors' elements are."""
    columns = [("PARAM_SYMBOL", f"{9 * 16}A"), ("ELEM_SYMBOL", f"{26 * 5}A"), ("ELEM_VALUE", f"{26 * 6}A"), ("ELEMTOH", "26I")]  # fmt: skip
    return columns, [("TDIM1", "(16,9)"), ("TDIM2", "(5,26)"), ("TDIM3", "(6,26)")]
