"""`resurvey sample`: the rows that shards hold, without their spectra."""

HELP = "list the rows of the shards with what was measured when they were read"


def arguments(parser):
    """--shards is a folder of numbered shards."""
    parser.add_argument("--shards", required=True, metavar="DIR")
    parser.add_argument("--count", required=True, type=int, help="number of shards")
    parser.add_argument("--out", required=True, metavar="FILE")


def run(args):
    """Write the table and say how many rows it has."""
    import sys

    from resurvey.shards.sample import sample

    print(f"{args.out}: {sample(args.shards, args.count, args.out):,} spectra", file=sys.stderr)
