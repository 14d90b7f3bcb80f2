"""Which column of which table of predicted labels is what: the one table by which foreign files become the tidy table.

For each tidy name the columns that may hold it, the first one present counts. Known writers: our tidy table and catalogue; the
catalogue of Leung & Bovy 2019 (astroNN_apogee_dr14_catalog.fits: arrays astroNN and astroNN_error of 22 labels, -9999 for none);
the value-added catalogues apogee_astroNN-DR16/DR17.fits (TEFF, TEFF_ERR, …, NI_H_ERR; errors are total); the APOGEE_ID and so on
of allStar.
"""

from resurvey.surveys.apogee_catalogue import CANNON
from resurvey.surveys.apogee_labels import NAMES

COMMON = {
    "spectrum_id": ("spectrum_id",),
    "apogee_id": ("apogee_id", "APOGEE_ID"),
    "location_id": ("location_id", "LOCATION_ID"),
    "visit": ("visit",),
    "split": ("split",),
    "cluster": ("cluster", "CLUSTER"),
    "sn_median": ("sn_median", "SNR"),
    "flags": ("flags",),
    "vscatter": ("vscatter", "VSCATTER"),
    "starflag": ("starflag", "STARFLAG"),
    "aspcapflag": ("aspcapflag", "ASPCAPFLAG"),
    **{name: (name,) for name in CANNON},
}
TEXT = ("spectrum_id", "apogee_id", "split", "cluster")
PARTS = {  # of a label; {name} is teff …, {NAME} is TEFF …
    "true": ("{name}_true", "survey_{name}"),
    "true_err": ("{name}_true_err", "survey_{name}_err"),
    "pred": ("{name}_pred", "{name}", "{NAME}"),
    "model": ("{name}_model",),
    "predictive": ("{name}_predictive",),
    "total": ("{name}_total", "{NAME}_ERR"),
}
BESIDE = {"{name}": "{name}_total", "{NAME}": "{NAME}_ERR"}  # a bare name is a prediction only beside its uncertainty
ARRAYS = {"astroNN": [f"{name}_pred" for name in NAMES], "astroNN_error": [f"{name}_total" for name in NAMES]}
MISSING = -9999.0  # what APOGEE's and astroNN's catalogues write where there is no value


def columns(labels: list[str]) -> list[str]:
    """The tidy table's columns, in their order."""
    return [*COMMON, *(f"{label}_{part}" for label in labels for part in PARTS)]


def sources(label: str, part: str, names: set[str]) -> list[str]:
    """Which of a file's columns `names` may hold a part of a label."""
    found = []
    for form in PARTS[part]:
        column, beside = (text.format(name=label, NAME=label.upper()) for text in (form, BESIDE.get(form, form)))
        if column in names and beside in names:
            found.append(column)
    return found
