"""The 22 stellar labels of APOGEE DR14 that astroNN learns: names, units, where allStar holds them, which window they have.

Order and content: Leung & Bovy 2019 §3 and the order of X_H in allStar-l31c.2 (ASPCAP's elements C CI N O … Ni; the six that
follow there, Cu to Nd, are not among the paper's labels).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """name: of our columns; symbol: as the paper prints it; unit: K or dex; source, error: (column, index) in allStar, index None
    for a scalar; window: name of the ASPCAP element window, None for Teff and log g."""

    name: str
    symbol: str
    unit: str
    source: tuple[str, int]
    error: tuple[str, int | None]
    window: str | None


# The order of X_H in allStar and of the bits of astroNN's windows
ASPCAP_ELEMENTS = (
    "C", "CI", "N", "O", "Na", "Mg", "Al", "Si", "P", "S", "K", "Ca", "Ti", "TiII", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Ge", "Ce", "Rb",
    "Y", "Nd",
)  # fmt: skip
ELEMENTS = ASPCAP_ELEMENTS[:20]  # those of the labels

LABELS = (
    Label("teff", "Teff", "K", ("PARAM", 0), ("TEFF_ERR", None), None),
    Label("logg", "log g", "dex", ("PARAM", 1), ("LOGG_ERR", None), None),
    *(
        Label(f"{element.lower()}_h", f"[{element}/H]", "dex", ("X_H", k), ("X_H_ERR", k), element)
        for k, element in enumerate(ELEMENTS)
    ),
)
NAMES = tuple(label.name for label in LABELS)
BY_NAME = {label.name: label for label in LABELS}
MISSING = -9999.0  # what the survey writes where it gives no value; NaN or null in all tables of ours
