"""Every figure and table by name: what it shows, and what it is drawn from."""

import importlib
from dataclasses import dataclass

from resurvey import settings
from resurvey.errors import ResurveyError


@dataclass(frozen=True)
class Entry:
    """needs: `table` (tidy table), `targets`, `examples` (example spectra) or `histories` (folders of trained networks);
    shares: modules of figures/ that this drawing has in common with others."""

    title: str
    needs: str
    shares: tuple[str, ...] = ()


FIGURES = {
    "table1_sample": Entry("The classes of the sample", "targets", ("booktabs",)),
    "fig01_stars": Entry("Example spectra of the stellar classes", "examples", ("spectra",)),
    "fig02_extragalactic": Entry("Example spectra of the extragalactic classes", "examples", ("spectra",)),
    "fig03_redshifts": Entry("Redshift distribution of the sample", "targets", ("histogram",)),
    "fig04_snr": Entry("S/N distribution of the sample", "targets", ("histogram",)),
    "table4_models": Entry("The trained networks", "histories", ("booktabs",)),
    "fig11_training": Entry("Training curves", "histories"),
    "fig12_confusion": Entry("Confusion matrix", "table"),
    "fig13_point_redshifts": Entry("Redshift point estimates", "table", ("residual",)),
    "fig14_bias_snr": Entry("Bias in three ranges of S/N", "table"),
    "fig15_mc_redshifts": Entry("Ensemble redshifts and errors", "table", ("residual",)),
    "fig16_t": Entry("t against redshift", "table", ("fig14_bias_snr",)),
    "fig17_sigma_snr": Entry("σ against S/N", "table"),
    "fig18_robust": Entry("Robust and unstable redshifts", "table", ("fig14_bias_snr",)),
}


def rooms(name: str) -> list[str]:
    """The modules whose code decides what figure `name` looks like, for provenance.code_digest."""
    own = [name, *FIGURES[name].shares, "style", "inputs", "make"]
    return [*(f"figures/{module}" for module in own), "metrics"]


def find(name: str):
    """The module that draws `name`. Raises ResurveyError with the nearest name."""
    if name not in FIGURES:
        raise ResurveyError(f"there is no figure {name!r}; {settings.nearest(name, list(FIGURES))}")
    return importlib.import_module(f"resurvey.figures.{name}")
