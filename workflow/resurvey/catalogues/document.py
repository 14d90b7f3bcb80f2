"""docs/catalogue.md from the declarations: `python -m resurvey.catalogues.document > docs/catalogue.md`."""

from resurvey.catalogues.columns import FIXED, Column, per_class
from resurvey.catalogues.flags import BAD, MEANING, Flag

TYPES = {"float": "float32", "double": "float64"}
HEAD = """# The catalogue

Made from `workflow/resurvey/catalogues/columns.py` and `flags.py`; do not edit by hand:
`python -m resurvey.catalogues.document > docs/catalogue.md`.

One row per spectrum, as Parquet (unit, ucd, description and the meaning of null stand in each column's metadata) and as FITS
(TUNITn, TUCDn, TCOMMn, checksums; provenance in the primary header). Rows are in ascending order of plate, mjd, fiberid (as
numbers) and spectrum_id, null first, however the spectra were spread over shards; no spectrum stands twice. What could not be
catalogued stands in `….rejected.parquet` with the reason.

Null is NaN for floats, TNULL for integers, an undefined logical or an empty string in the FITS.
"""


def document() -> str:
    """The whole text of docs/catalogue.md."""
    parts = [HEAD, "## Columns\n", _table(FIXED)]
    parts += [
        "## Columns per class\n",
        "`{class}` is a label such as `GALAXY_AGN`.\n",
        _table(per_class(["{class}"], ["{class}"], ["{class}"])),
    ]
    parts += [
        "## Flags\n",
        "Bits of `flags`. A comparison with an unknown value sets no bit.\n",
        "| bit | value | name | meaning |\n|---|---|---|---|",
    ]
    parts[-1] += "".join(
        f"\n| {flag.bit_length() - 1} | {int(flag)} | {flag.name} | {MEANING[flag]} |" for flag in Flag
    )
    bad = ", ".join(flag.name for flag in Flag if flag & BAD)
    parts.append(f"\nNot to be used without a second look, `flags & {int(BAD)} != 0`: {bad}.\n")
    parts.append("## z_std and z_err\n\n`z_std` is the paper's σ: the spread of the members of the ensemble. It is no Gaussian error: of the "
                 "authors' published redshifts 73 to 92% lie within 1 σ. `z_err` is recalibrated on the validation split so that 68% lie within "
                 "1 `z_err`; the scorecard gives the coverage of both at 1, 2 and 3 on the test split.")  # fmt: skip
    return "\n".join(parts) + "\n"


def _table(columns: list[Column]) -> str:
    rows = ["| column | type | unit | UCD | description | null means |", "|---|---|---|---|---|---|"]
    for c in columns:
        rows.append(
            f"| `{c.name}` | {TYPES.get(str(c.type), c.type)} | {c.unit} | {c.ucd} | {c.description} | {c.null} |"
        )
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(document(), end="")
