"""`resurvey figure`: draw one of a paper's figures from any predictions table."""

HELP = "draw one of a paper's figures"


def arguments(parser) -> None:
    """NAME is a key of figures.registry.FIGURES; --predictions takes what that figure is drawn from."""
    parser.add_argument("name", metavar="NAME", help="e.g. fig12_confusion; a wrong name prints the nearest")
    parser.add_argument("--predictions", nargs="+", required=True, metavar="FILE",
                        help="what the figure is drawn from, in any order: tables of predictions or catalogues, ours or published; "
                        "targets.parquet, examples.parquet, extras.json, folders of trained networks; a wrong kind says what is needed")  # fmt: skip
    parser.add_argument(
        "--out", nargs="+", required=True, metavar="FILE", help=".pdf, .png, .svg; .csv: the numbers behind it"
    )
    parser.add_argument(
        "--paper", metavar="NAME", help="the paper whose conventions count (default: the one that lists the figure)"
    )


def run(args) -> None:
    from resurvey.figures.make import make

    make(args.name, args.predictions, args.out, args.paper)
