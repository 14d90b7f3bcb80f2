"""`resurvey example-star`: one star's spectrum in each of several datasets, the input of Fig. 5 of astroNN."""

HELP = "pick one star's normalised spectrum from the shards of several datasets"


def arguments(parser) -> None:
    """--targets, --shards and --count have one value per dataset, in one order."""
    parser.add_argument(
        "--targets", required=True, nargs="+", metavar="FILE", help="the selections, the main one first"
    )
    parser.add_argument("--shards", required=True, nargs="+", metavar="DIR", help="folders of their numbered shards")
    parser.add_argument("--count", required=True, nargs="+", type=int, metavar="N", help="numbers of their shards")
    parser.add_argument("--star", metavar="APOGEE_ID", help="the star that is wanted; another where it has no spectrum")
    parser.add_argument("--out", required=True, metavar="FILE")


def run(args) -> None:
    from resurvey.errors import ResurveyError
    from resurvey.figures.example_star import pick

    if not len(args.targets) == len(args.shards) == len(args.count):
        raise ResurveyError(
            f"{len(args.targets)} --targets, {len(args.shards)} --shards, {len(args.count)} --count: give one of each per dataset"
        )
    name = pick(args.targets, args.shards, args.count, args.star, args.out)
    wished = f"; {args.star} has no spectrum here" if args.star not in (None, name) else ""
    print(f"{args.out}: {name} in {len(args.shards)} datasets{wished}")
