"""Every column of a catalogue, declared once: the Parquet, the FITS and docs/catalogue.md are made from this list."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """One column: name, Arrow type, unit (VOUnits, empty if none), UCD1+, description, and what null means."""

    name: str
    type: pa.DataType
    unit: str
    ucd: str
    description: str
    null: str = "never null"

    def field(self) -> pa.Field:
        """The Arrow field; unit, ucd, description and null stand in its metadata."""
        meta = {"unit": self.unit, "ucd": self.ucd, "description": self.description, "null": self.null}
        return pa.field(self.name, self.type, metadata={k: v for k, v in meta.items() if v})


_F32, _F64, _I32, _I64, _STR, _BOOL = pa.float32(), pa.float64(), pa.int32(), pa.int64(), pa.string(), pa.bool_()
_NOT_SDSS = "not given by the file of the spectrum"
_NO_Z = "star, or a class for which the model has no redshift network"

FIXED = [
    Column("spectrum_id", _STR, "", "meta.id;meta.main", "Unique name of the spectrum: plate-mjd-fiberid, or the file"),
    Column("object_id", _I64, "", "meta.id", "Object: spectra within 2 arcsec of each other share it", _NOT_SDSS),
    Column("plate", _I32, "", "meta.id;instr.det", "SDSS plate", _NOT_SDSS),
    Column("mjd", _I32, "d", "time.epoch", "Modified Julian date of the observation", _NOT_SDSS),
    Column("fiberid", _I32, "", "meta.id;instr.det", "SDSS fibre number", _NOT_SDSS),
    Column("run2d", _STR, "", "meta.version", "Version of the SDSS reduction", _NOT_SDSS),
    Column("ra", _F64, "deg", "pos.eq.ra;meta.main", "Right ascension (ICRS)", _NOT_SDSS),
    Column("dec", _F64, "deg", "pos.eq.dec;meta.main", "Declination (ICRS)", _NOT_SDSS),
    Column("sn_median", _F32, "", "stat.snr", "Median S/N per pixel of all good pixels (SN_MEDIAN_ALL)", _NOT_SDSS),
    Column("vdisp", _F32, "km/s", "phys.veloc.dispersion", "Survey's velocity dispersion; 0 or 850: its fit failed", _NOT_SDSS),
    Column("survey_class", _STR, "", "meta.code.class", "Class given by the survey's pipeline", _NOT_SDSS),
    Column("survey_subclass", _STR, "", "meta.code.class", "Subclass given by the survey's pipeline; empty: none", _NOT_SDSS),
    Column("survey_z", _F64, "", "src.redshift", "Redshift given by the survey's pipeline", _NOT_SDSS),
    Column("survey_z_err", _F64, "", "stat.error;src.redshift", "Its error; negative: its fit failed", _NOT_SDSS),
    Column("survey_zwarning", _I32, "", "meta.code.qual", "Survey's ZWARNING bits; 0: no warning", _NOT_SDSS),
    Column("specprimary", _BOOL, "", "meta.code", "True: the survey's best spectrum of the object", _NOT_SDSS),
    Column("label", _STR, "", "meta.code.class", "True class in the sample's terms (CLASS_SUBCLASS)", "dataset without labels"),
    Column("z_label", _F64, "", "src.redshift", "Redshift that the networks were to learn", "star, or dataset without labels"),
    Column("split", _STR, "", "meta.code", "Part of the sample: train, valid or test", "dataset without a split"),
    Column("class", _STR, "", "src.class", "Most probable class", "the classifier gave no finite number"),
    Column("class_prob", _F32, "", "stat.probability;src.class", "Probability of that class", "as class"),
    Column("z", _F32, "", "src.redshift", "Redshift by the ensemble of the most probable class: mean of its members (paper Eq. 7)", _NO_Z),
    Column("z_std", _F32, "", "stat.stdev;src.redshift", "The paper's sigma: standard deviation (ddof 0) of the members (Eq. 8); for the bins head the width of the mixture of the members' distributions. Not an error in the Gaussian sense", _NO_Z),
    Column("z_err", _F32, "", "stat.error;src.redshift", "1-sigma error of z, recalibrated on the validation split", _NO_Z + ", or a model without calibration"),
    Column("flags", _I32, "", "meta.code.qual", "Named bits, see the table of flags; 0: nothing to remark"),
    Column("n_good", _I32, "", "meta.number", "Pixels of the grid with data (ivar > 0, mask 0)"),
    Column("coverage_min", _F32, "Angstrom", "em.wl;stat.min", "Shortest vacuum wavelength of the spectrum on the grid", "no pixel has data, or the wavelengths are unknown"),
    Column("coverage_max", _F32, "Angstrom", "em.wl;stat.max", "Longest vacuum wavelength of the spectrum on the grid", "no pixel has data, or the wavelengths are unknown"),
]  # fmt: skip


# Of models with inference.refine only; inference/refine.py makes them.
_NO_FIT = _NO_Z + ", or no pixels or errors for a fit"
REFINED = [
    Column("z_refined", _F64, "", "src.redshift", "z by a fit of templates and a polynomial, near the best of the distribution's peaks", _NO_FIT),
    Column("chi2", _F32, "", "stat.fit.chi2", "Chi-square of that fit over its degrees of freedom", _NO_FIT),
    Column("dchi2", _F32, "", "stat.fit.chi2;arith.diff", "How much larger chi-square (not divided) is at the best other peak; negative: smaller, at one too improbable", _NO_FIT + ", or there is no other peak"),
    Column("peak", _I32, "", "meta.number", "Peak of the distribution that z_refined is from; 0: the highest", _NO_FIT),
]  # fmt: skip


KEY = ("plate", "mjd", "fiberid", "spectrum_id")  # a catalogue is in ascending order of it, null first


def per_class(labels: Iterable[str], redshift: Iterable[str], point: Iterable[str]) -> list[Column]:
    """Columns that exist once per class: `prob_` for all labels, `z_`, `z_std_` for those with a redshift ensemble,
    `z_point_` for those with a single network."""
    skipped = "network skipped because its class was too improbable (skip_below)"
    columns = [
        Column(f"prob_{c}", _F32, "", "stat.probability;src.class", f"Probability of class {c}", "as class")
        for c in labels
    ]
    for c in redshift:
        columns += [
            Column(f"z_{c}", _F32, "", "src.redshift", f"Mean redshift of the members of the {c} ensemble", skipped),
            Column(f"z_std_{c}", _F32, "", "stat.stdev;src.redshift", f"z_std of the {c} ensemble", skipped),
        ]
    return columns + [
        Column(
            f"z_point_{c}", _F32, "", "src.redshift", f"Redshift by the single network of {c} (Figs 13, 14)", skipped
        )
        for c in point
    ]


def classes_of(names: Iterable[str]) -> tuple[list[str], list[str], list[str]]:
    """(labels, labels with a redshift ensemble, labels with a single network) from the column names of predictions."""
    names = list(names)
    labels = [n.removeprefix("prob_") for n in names if n.startswith("prob_")]
    redshift = [c for c in labels if f"z_std_{c}" in names]
    return labels, redshift, [c for c in labels if f"z_point_{c}" in names]
