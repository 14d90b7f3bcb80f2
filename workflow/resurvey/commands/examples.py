"""`resurvey examples`: one example spectrum per class, the input of Figs 1 and 2."""

HELP = "pick one example spectrum per class from the shards"


def arguments(parser) -> None:
    """--shards is a folder of numbered shards, --targets the selection that they were made of."""
    parser.add_argument("--shards", required=True, metavar="DIR")
    parser.add_argument("--count", required=True, type=int, help="number of shards")
    parser.add_argument("--targets", required=True, metavar="FILE")
    parser.add_argument("--out", required=True, metavar="FILE")


def run(args) -> None:
    from resurvey.figures.examples import pick

    labels = pick(args.targets, args.shards, args.count, args.out)
    print(f"{args.out}: examples of {len(labels)} classes")
