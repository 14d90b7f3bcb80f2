"""`resurvey figure`: draw one of a paper's figures from any predictions table."""

HELP = "draw one of a paper's figures"


def arguments(parser) -> None:
    """NAME is a key of figures.registry.FIGURES; --predictions takes what that figure is drawn from."""
    parser.add_argument("name", metavar="NAME", help="e.g. fig12_confusion; a wrong name prints the nearest")
    parser.add_argument("--predictions", nargs="+", required=True, metavar="FILE",
                        help="tidy table, catalogue or published predictions; for sample figures targets.parquet or examples.parquet; "
                        "for fig11 and table4 folders of trained networks")  # fmt: skip
    parser.add_argument(
        "--out", nargs="+", required=True, metavar="FILE", help=".pdf, .png, .svg; .csv: the numbers behind it"
    )
    parser.add_argument("--paper", default="gasnet2", metavar="NAME", help="the paper whose conventions count")


def run(args) -> None:
    from resurvey.figures.make import make

    make(args.name, args.predictions, args.out, args.paper)
