"""`resurvey evaluate`: a catalogue's test split as the small tidy table that figures and scores read."""

HELP = "make the tidy table of the test split that figures and scores read"


def arguments(parser) -> None:
    """--catalogue as the merge writes it."""
    parser.add_argument("--catalogue", required=True, metavar="FILE", help="catalogue (Parquet)")
    parser.add_argument("--out", required=True, metavar="FILE", help="tidy table (Parquet)")


def run(args) -> None:
    from resurvey.metrics.evaluate import write_tidy

    print(f"{args.out}: {write_tidy(args.catalogue, args.out)} test spectra")
