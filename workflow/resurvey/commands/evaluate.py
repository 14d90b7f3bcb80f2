"""`resurvey evaluate`: a catalogue's test split as the small tidy table that figures and scores read."""

HELP = "make the tidy table of the test split that figures and scores read"


def arguments(parser) -> None:
    """--catalogue as the merge writes it."""
    parser.add_argument("--catalogue", required=True, metavar="FILE", help="catalogue (Parquet or FITS)")
    parser.add_argument("--out", required=True, metavar="FILE", help="tidy table (Parquet)")


def run(args) -> None:
    import pyarrow as pa

    from resurvey.files import write_table
    from resurvey.metrics.tables import read_tidy

    tidy = read_tidy(args.catalogue)
    table = pa.Table.from_pandas(tidy.table, preserve_index=False)
    write_table(table.replace_schema_metadata(None), args.out, {**tidy.meta, "left_out": tidy.left_out})
    print(f"{args.out}: {len(table)} test spectra")
