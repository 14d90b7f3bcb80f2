"""`resurvey baselines`: majority class, median redshift or label, and PCA with a linear model, on the spectra of the shards."""

HELP = "score the baselines (majority class, median z or label, PCA + linear) on the shards"


def arguments(parser) -> None:
    """--shards is a folder of numbered shards."""
    parser.add_argument("--shards", required=True, metavar="DIR")
    parser.add_argument("--count", required=True, type=int, help="number of shards")
    parser.add_argument("--settings", required=True, metavar="JSON", help="{paper, seed}")
    parser.add_argument("--out", required=True, metavar="FILE.json")


def run(args) -> None:
    from resurvey import files
    from resurvey.metrics.kinds import KINDS
    from resurvey.metrics.paper import load_paper

    settings = files.read_settings(args.settings)
    paths = files.numbered(args.shards, args.count)
    paper = load_paper(settings["paper"]).of(files.read_meta(paths[0]).get("dataset"))
    result = KINDS[paper.kind].baselines(paths, paper, settings["seed"])
    files.write_json(result, args.out)
    print(f"{args.out}: {result['n_train']} training and {result['n_test']} test spectra")
