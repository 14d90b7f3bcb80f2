"""The class that a survey's pipeline gives a mock spectrum: of the templates that fit it better, where galaxy and active nucleus mix."""

from dataclasses import replace

import numpy as np

from resurvey.inference.refine import chi_square
from resurvey.simulate.exposure import Exposure
from resurvey.simulate.templates.libraries import Libraries

MIXED = {
    "QSO": "host_share",
    "GALAXY": "ew_broad",
}  # by class of recipe: the column that tells how much of the other is in it
LEAST = 0.1  # of that column: a tenth of the light, or 0.1 Å
EIGENSPECTRA, ORDER = 4, 3  # of each class, and of the polynomial beside them


def fitted_class(name: str, table: dict[str, np.ndarray], seen: Exposure, libraries: Libraries) -> np.ndarray:
    """Classes (n,) that a pipeline gives to objects of the recipe `name`.

    At the true redshift, four eigenspectra of quasars or of galaxies and a cubic are fitted to the spectrum without noise, weighted by ivar; SDSS's
    pipeline chooses class and redshift by χ² of such fits (Bolton et al. 2012). Spectra without a mixture keep the class of their recipe.
    """
    classes = np.full(len(seen.flux), name, "U6")
    if name not in MIXED:
        return classes
    loglam = np.log10(seen.wave)
    polynomial = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(loglam)), ORDER).T
    parts = {
        "GALAXY": replace(libraries.galaxies, basis=libraries.galaxies.basis[:EIGENSPECTRA]),
        "QSO": replace(libraries.quasars_low, basis=libraries.quasars_low.basis[:EIGENSPECTRA]),
    }
    for row in np.flatnonzero(table[MIXED[name]] > LEAST):
        x = np.log1p(table["z"][row : row + 1])
        chi2 = {kind: chi_square(seen.model[row], seen.ivar[row], loglam, x, part, polynomial)[0] for kind, part in parts.items()}  # fmt: skip
        classes[row] = "GALAXY" if chi2["GALAXY"] < chi2["QSO"] else "QSO"
    return classes
