"""`resurvey evaluate`: the rows of a catalogue that figures and scores read, as a small tidy table."""

HELP = "make the tidy table that figures and scores read: the test split, of labels also visits and cluster members"


def arguments(parser) -> None:
    """--catalogue as the merge writes it."""
    parser.add_argument("--catalogue", required=True, metavar="FILE", help="catalogue (Parquet)")
    parser.add_argument("--out", required=True, metavar="FILE", help="tidy table (Parquet)")


def run(args) -> None:
    from resurvey.metrics.evaluate import write_tidy

    print(f"{args.out}: {write_tidy(args.catalogue, args.out)} spectra")
