"""`resurvey pairs`: spectra of two classes at the same redshifts, the input of Fig. 20."""

HELP = "pick spectra of two classes at the same redshifts from the shards"


def arguments(parser) -> None:
    """--shards is a folder of numbered shards."""
    parser.add_argument("--shards", required=True, metavar="DIR")
    parser.add_argument("--count", required=True, type=int, help="number of shards")
    parser.add_argument("--classes", required=True, nargs=2, metavar="CLASS")
    parser.add_argument("--redshifts", required=True, nargs="+", type=float, metavar="Z")
    parser.add_argument("--out", required=True, metavar="FILE")


def run(args) -> None:
    from resurvey.figures.pairs import pick

    count = pick(args.shards, args.count, args.classes, args.redshifts, args.out)
    print(f"{args.out}: {count} spectra of {' and '.join(args.classes)}")
