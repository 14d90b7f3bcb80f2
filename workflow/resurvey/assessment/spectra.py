"""What an assessment needs of single spectra: as they are, on a model's grid, and how well templates fit at a label."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from resurvey.inference.prepare import preparer
from resurvey.inference.refine import SEARCHES, refine
from resurvey.simulate.templates.libraries import Libraries
from resurvey.surveys.registry import read_all
from resurvey.surveys.spectrum import Spectrum

FITTED = (4000.0, 9000.0)  # Å, of a spectrum to which templates are fitted


@dataclass(frozen=True)
class OnGrid:
    """flux, ivar (n, pixels) float32 of the spectra named by spectrum_id (n,)."""

    spectrum_id: list[str]
    flux: np.ndarray
    ivar: np.ndarray


def as_they_are(paths: Sequence[Path], wanted: set[str]) -> dict[str, Spectrum]:
    """{spectrum_id: Spectrum} of some of the spectra in files; the first of a name."""
    found: dict[str, Spectrum] = {}
    for path in paths if wanted else ():
        for one in read_all(path):
            if isinstance(one, Spectrum) and one.spectrum_id in wanted:
                found.setdefault(one.spectrum_id, one)
    return found


def on_grid(paths: Sequence[Path], about: dict, wanted: set[str], pixels: int) -> OnGrid:
    """Some of the spectra in files on the grid of a model (`about`: a model.json), without those whose files give no errors."""
    prepare, left = preparer(about), set(wanted)
    names, flux, ivar = [], [], []
    for path in paths:
        for one in read_all(path):
            if not isinstance(one, Spectrum) or one.spectrum_id not in left:
                continue
            left.remove(one.spectrum_id)
            ready = prepare([one])[0]
            if not isinstance(ready, str) and ready.ivar is not None:
                names.append(one.spectrum_id)
                flux.append(ready.flux.astype(np.float32))
                ivar.append(ready.ivar.astype(np.float32))
    empty = np.zeros((0, pixels), np.float32)
    return OnGrid(names, np.stack(flux) if flux else empty, np.stack(ivar) if ivar else empty)


def at_label(rows: pd.DataFrame, spectra: dict[str, Spectrum], library: Libraries) -> pd.DataFrame:
    """Galaxies and quasars by label and by us, with `better`: how much smaller the templates' χ² is for our class at our z (`z_ours`) than for the label's
    at its z, over the same pixels of the spectrum itself, and `pixels`, their number; the largest first.

    Rows without a spectrum, its errors, or templates of either class are left out.
    """
    found = []
    for _, row in rows.iterrows():
        one = spectra.get(row["spectrum_id"])
        if one is None or not one.ivar_known or row["true"] not in SEARCHES or row["ours"] not in SEARCHES:
            continue
        inside = (one.wavelength > FITTED[0]) & (one.wavelength < FITTED[1])
        flux, ivar, wave = one.flux[None, inside], one.ivar[None, inside], one.wavelength[inside]
        theirs = refine(flux, ivar, wave, np.array([[row["z_true"]]]), row["true"], library).chi2[0]
        ours = refine(flux, ivar, wave, np.array([[row["z_ours"]]]), row["ours"], library).chi2[0]
        found.append({**row, "better": theirs - ours, "pixels": int((ivar > 0).sum())})
    table = pd.DataFrame(found, columns=[*rows.columns, "better", "pixels"])
    return table.sort_values("better", ascending=False)
