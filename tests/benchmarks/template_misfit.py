"""How well templates fit real galaxies and quasars at the labels' redshifts and at wrong ones: what the catalogue's BAD_FIT rests on.

    python tests/benchmarks/template_misfit.py

Prints Markdown. Spectra and labels as in real_labels.py, on the grid of DR16's sample. χ² is over its degrees of freedom; the wrong redshift is the
best of WRONG.
"""

import numpy as np
import pandas as pd
from real_labels import SHARED, collect
from resurvey.catalogues.flags import LARGE_CHI2, MISFIT
from resurvey.inference import refine
from resurvey.shards.grid import Grid
from resurvey.shards.resample import Resampler
from resurvey.simulate.templates import libraries
from resurvey.surveys.registry import read_all
from resurvey.surveys.spectrum import Rejected, median_sn

GRID = Grid(4000.0, 1.0, 5001)
SN_EDGES = (0, 5, 10, 20, np.inf)
WRONG = (-0.04, 0.05, 0.11, 0.2)  # ln(1+z) from the label


def measured() -> pd.DataFrame:
    """class, S/N, χ² at the label's redshift and at the best wrong one, of each spectrum."""
    files, truth = collect(SHARED)
    truth, library = truth.set_index("spectrum_id"), libraries.load(SHARED / "reference")
    resampler, rows = Resampler(GRID, "linear"), []
    for spectrum in (one for file in files for one in read_all(file, None)):
        if isinstance(spectrum, Rejected) or spectrum.spectrum_id not in truth.index:
            continue
        label = truth.loc[spectrum.spectrum_id]
        if label["class"] in refine.SEARCHES:
            flux, ivar, _ = resampler(spectrum)
            x = np.log1p(label["z"]) + np.array([0.0, *WRONG])
            peaks = np.where(x > 0, np.expm1(x), np.nan)[None]
            found = [
                refine.refine(flux[None], ivar[None], GRID.wavelength, some, label["class"], library)
                for some in (peaks[:, :1], peaks[:, 1:])
            ]
            chi2 = [float(fit.chi2[0] / max(fit.pixels[0] - fit.parameters, 1)) for fit in found]
            rows.append((label["class"], median_sn(spectrum), *chi2))
    return pd.DataFrame(rows, columns=["class", "sn", "right", "wrong"])


def main() -> None:
    rows = measured()
    limit = LARGE_CHI2 + (MISFIT * rows["sn"]) ** 2
    rows["S/N"] = pd.cut(rows["sn"].clip(lower=0), SN_EDGES, right=False)
    print("| class | S/N | N | median χ² at the label | at a wrong z |\n|---|---|---|---|---|")
    for (name, sn), part in rows.groupby(["class", "S/N"], observed=True):
        print(f"| {name} | {sn} | {len(part)} | {part['right'].median():.2f} | {part['wrong'].median():.2f} |")
    for name, part in rows.groupby("class"):
        right, wrong = ((part[column] > limit[part.index]).mean() for column in ("right", "wrong"))
        print(f"\n{name}: BAD_FIT holds for {right:.3f} at the labels, {wrong:.3f} at wrong redshifts")


if __name__ == "__main__":
    main()
