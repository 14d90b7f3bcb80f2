"""Every figure and table by name: what it shows, and what it is drawn from."""

import importlib
from dataclasses import dataclass

from resurvey import settings
from resurvey.errors import ResurveyError


@dataclass(frozen=True)
class Entry:
    """needs: what it is drawn from, a kind of figures/kinds.py or several; shares: modules of figures/ that this drawing has in
    common with others; helps: kinds without which it is drawn too, and says so."""

    title: str
    needs: str | tuple[str, ...]
    shares: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds that it is drawn from, those that help last."""
        return ((self.needs,) if isinstance(self.needs, str) else self.needs) + self.helps


FIGURES = {
    "table1_sample": Entry("The classes of the sample", "targets", ("booktabs",)),
    "fig01_stars": Entry("Example spectra of the stellar classes", "examples", ("spectra",)),
    "fig02_extragalactic": Entry("Example spectra of the extragalactic classes", "examples", ("spectra",)),
    "fig03_redshifts": Entry("Redshift distribution of the sample", "targets", ("histogram",)),
    "fig04_snr": Entry("S/N distribution of the sample", "targets", ("histogram",)),
    "fig08_desi": Entry("Example spectra of DESI, by arm", "examples", ("spectra",)),
    "table4_models": Entry("The trained networks", "histories", ("booktabs",)),
    "fig10_networks": Entry("The networks", "histories", ("resnet_layers",)),
    "fig11_training": Entry("Training curves", "histories"),
    "fig12_confusion": Entry("Confusion matrix", "table"),
    "fig13_point_redshifts": Entry("Redshift point estimates", "table", ("residual",)),
    "fig14_bias_snr": Entry("Bias in three ranges of S/N", "table"),
    "fig15_mc_redshifts": Entry("Ensemble redshifts and errors", "table", ("residual",)),
    "fig16_t": Entry("t against redshift", "table", ("fig14_bias_snr",)),
    "fig17_sigma_snr": Entry("σ against S/N", "table"),
    "fig18_robust": Entry("Robust and unstable redshifts", "table", ("fig14_bias_snr",)),
    "fig20_alike": Entry(
        "Two classes that are confused, at the same redshifts", "pairs", ("spectra",), helps=("table",)
    ),
    "fig24_process": Entry("From known classes and redshifts to predictions", "histories"),
    "figA1_contamination": Entry("Confusion matrices with exchanged labels", "tables", ("confusion_panels",)),
    "figA3_contaminated_redshifts": Entry("Redshifts with exchanged labels", "tables", ("residual",)),
    "figB1_coarse": Entry("Confusion matrices of coarse classes", "tables", ("confusion_panels",)),
    "figC1_accuracy_snr": Entry("Accuracy against S/N", "table"),
    "figD1_gradients": Entry("Gradients of class probability and redshift", "gradients"),
    "figE1_velocity_dispersion": Entry("σ and accuracy against velocity dispersion", "table"),
    "astronn_fig03_snr": Entry("S/N of training and test sets", ("label_targets", "label_table"), ("histogram",)),
    "astronn_fig04_training": Entry("Kiel diagram of the training set", ("label_targets",)),
    "astronn_fig05_continuum": Entry("Two continuum normalisations of one star", ("star",)),
    "astronn_fig06_network": Entry("The network", ("histories",), ("network_layers",)),
    "astronn_training": Entry("Training curves", ("histories",)),
    "astronn_fig07_kiel": Entry("Kiel diagram of the predictions", ("label_table",), helps=("extras",)),
    "astronn_fig08_offsets": Entry("Network, pipeline and The Cannon against S/N", ("label_table",)),
    "astronn_fig09_residuals": Entry("Errors at high S/N against the label", ("label_table",), ("label_errors",)),
    "astronn_fig10_teff": Entry("Errors at high S/N against Teff", ("label_table",), ("label_errors",)),
    "astronn_fig11_visits": Entry("Visits against combined spectra", ("label_table",), ("label_errors",)),
    "astronn_fig12_open_clusters": Entry("Spreads in open clusters", ("label_table",), ("cluster_spreads",)),
    "astronn_fig13_m13": Entry("Spreads in M13", ("label_table",), ("cluster_spreads",)),
    "astronn_fig14_mg_sensitivity": Entry("Pixels that decide [Mg/H]", ("sensitivity",), ("sensitivity",), ("extras",)),
    "astronn_fig15_logg_sensitivity": Entry(
        "Pixels that decide log g", ("sensitivity",), ("sensitivity",), ("extras",)
    ),
    "astronn_fig16_al_mg": Entry("Al and Mg in M13", ("label_tables", "label_targets")),
    "astronn_fig17_alpha": Entry("α and odd-Z light elements", ("label_table",), ("abundance_planes",)),
    "astronn_fig18_others": Entry("The other elements", ("label_table",), ("abundance_planes",)),
    "astronn_table1": Entry("Residuals at high S/N", ("label_table",), ("astronn_residuals", "booktabs")),
    "astronn_table2": Entry("Visits against combined spectra", ("label_table",), ("astronn_residuals", "booktabs")),
    "astronn_table3": Entry("Smaller training sets", ("label_tables",), ("astronn_residuals", "booktabs")),
    "astronn_table4": Entry(
        "Residuals with the pipeline's normalisation",
        ("label_table",),
        ("astronn_table1", "astronn_residuals", "booktabs"),
    ),
}
LABEL_ROOMS = ["label_rows", "label_style"]  # of figures of stellar labels


def rooms(name: str) -> list[str]:
    """The modules whose code decides what figure `name` looks like, for provenance.code_digest."""
    own = [name, *FIGURES[name].shares, "style", "inputs", "kinds", "make"]
    own += LABEL_ROOMS if name.startswith("astronn_") else []
    return [*(f"figures/{module}" for module in own), "metrics"]


def paper_of(name: str) -> str:
    """The paper whose file lists figure `name`. Raises ResurveyError where none does."""
    for paper in settings.available("papers"):
        listed = settings.read_yaml(settings.WORKFLOW / "papers" / f"{paper}.yaml").get("figures", {})
        if any(name == entry.get("figure", key) for key, entry in listed.items()):
            return paper
    raise ResurveyError(f"no paper's file lists the figure {name}; name one with --paper")


def find(name: str):
    """The module that draws `name`. Raises ResurveyError with the nearest name."""
    if name not in FIGURES:
        raise ResurveyError(f"there is no figure {name!r}; {settings.nearest(name, list(FIGURES))}")
    return importlib.import_module(f"resurvey.figures.{name}")
