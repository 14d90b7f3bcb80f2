"""docs/catalogue.md from the declarations: `python -m resurvey.catalogues.document > docs/catalogue.md`."""

from resurvey.catalogues.columns import REFINED, Column, per_class
from resurvey.catalogues.identifiers import OF_SURVEYS
from resurvey.catalogues.kinds import KINDS, Kind
from resurvey.catalogues.labels import other_pipelines, per_label

TYPES = {"float": "float32", "double": "float64"}
HEAD = """# The catalogue

Made from `workflow/resurvey/catalogues/` (`kinds.py`, and the columns and flags that it names); do not edit by hand:
`python -m resurvey.catalogues.document > docs/catalogue.md`.

One row per spectrum, as Parquet (unit, ucd, description and the meaning of null stand in each column's metadata) and as FITS
(TUNITn, TUCDn, TCOMMn, checksums; provenance in the primary header). What its networks predict decides its kind: classes and
redshifts, or labels. Rows are in ascending order of the columns named below (numbers as numbers), null first, however the spectra
were spread over shards; no spectrum stands twice. What could not be catalogued stands in `….rejected.parquet` with the reason.

Null is NaN for floats, TNULL for integers, an undefined logical or an empty string in the FITS.
"""
Z_ERRORS = """### z_std and z_err

`z_std` is the paper's σ: the spread of the members of the ensemble. It is no Gaussian error: of the authors' published redshifts 73 to
92% lie within 1 σ. `z_err` is recalibrated on the validation split so that 68% lie within 1 `z_err`; the scorecard gives the coverage
of both at 1, 2 and 3 on the test split.
"""
LABEL_ERRORS = """### Uncertainties

`{label}_total` is the paper's uncertainty (Eq. 3). The spread over passes alone (`_model`) tells of spectra unlike the training set,
`_predictive` is what the network learned of the noise and of the survey's errors. They are not recalibrated: the scorecard gives the
coverage of `_total` at 1 and 2 on the test split. Values flagged OUTSIDE_TRAINING or DWARF are extrapolations;
under UNCERTAIN look at `{label}_total` for the label that the spectrum says nothing of.
"""


def document() -> str:
    """The whole text of docs/catalogue.md."""
    redshift, labels = KINDS["redshift"], KINDS["labels"]
    each_class = per_class(["{class}"], ["{class}"], ["{class}"])
    parts = [HEAD, "## Classes and redshifts\n", _order(redshift), _table(redshift.fixed)]
    parts += ["### Columns per class\n", "`{class}` is a label such as `GALAXY_AGN`.\n", _table(each_class)]
    parts += [
        "### Columns of refined models\n",
        "Of models with `inference: {refine: …}` ([mocks-to-real.md](mocks-to-real.md)).\n",
        _table(REFINED),
    ]
    for survey, columns in OF_SURVEYS.items():
        parts += [
            f"### Columns of {survey.upper()}\n",
            "Beside those above, of which its files do not give all.\n",
            _table(columns),
        ]
    parts += [_flags(redshift), Z_ERRORS]
    parts += ["## Labels\n", _order(labels), _table(labels.fixed + other_pipelines())]
    parts += [
        "### Columns per label\n",
        "`{label}` is a label such as `teff` or `mg_h`; Teff in K, all others in dex.\n",
    ]
    parts += [_table(per_label(["{label}"])), _flags(labels), LABEL_ERRORS]
    return "\n".join(parts).rstrip("\n") + "\n"


def _order(kind: Kind) -> str:
    return f"In ascending order of {', '.join(kind.key)}.\n"


def _table(columns: list[Column]) -> str:
    rows = ["| column | type | unit | UCD | description | null means |", "|---|---|---|---|---|---|"]
    for c in columns:
        rows.append(
            f"| `{c.name}` | {TYPES.get(str(c.type), c.type)} | {c.unit} | {c.ucd} | {c.description} | {c.null} |"
        )
    return "\n".join(rows) + "\n"


def _flags(kind: Kind) -> str:
    rows = ["### Flags\n", "Bits of `flags`. A comparison with an unknown value sets no bit.\n"]
    rows += ["| bit | value | name | meaning |", "|---|---|---|---|"]
    rows += [f"| {flag.bit_length() - 1} | {int(flag)} | {flag.name} | {kind.meaning[flag]} |" for flag in kind.flags]
    bad = ", ".join(flag.name for flag in kind.flags if flag & kind.bad)
    rows.append(f"\nNot to be used without a second look, `flags & {int(kind.bad)} != 0`: {bad}.\n")
    return "\n".join(rows)


if __name__ == "__main__":
    print(document(), end="")
