"""`resurvey score`: the paper's measures of any predictions table, beside the numbers that the paper prints."""

HELP = "score predictions as a paper does, beside its printed numbers"


def arguments(parser) -> None:
    """FILE may be ours or the authors', Parquet, FITS or CSV, or a folder of such files."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="predictions (Parquet, FITS, CSV), or folders of them")
    parser.add_argument(
        "--paper", required=True, metavar="NAME", help="the paper whose conventions count, e.g. gasnet2"
    )
    parser.add_argument(
        "--models", nargs="*", default=[], metavar="DIR", help="folders of trained networks, for Table 4"
    )
    parser.add_argument("--truth", metavar="FILE", help="of predicted labels: take the truth from this table of the survey's "
                        "labels, or of those that went into a mock survey (apogee_id, teff, …)")  # fmt: skip
    parser.add_argument(
        "--baselines", nargs="*", default=[], metavar="FILE", help="what the `baselines` command wrote, one per dataset"
    )
    parser.add_argument("--json", action="store_true", help="print all numbers at full precision as JSON")
    parser.add_argument("--out", metavar="FILE", help="write the scorecard as CSV")


def run(args) -> None:
    import json

    from resurvey import files
    from resurvey.errors import ResurveyError
    from resurvey.metrics import scorecard as card
    from resurvey.metrics.kinds import KINDS
    from resurvey.metrics.networks import from_keras, read_networks
    from resurvey.metrics.paper import load_paper
    from resurvey.metrics.tables import PUBLISHED

    paper = load_paper(args.paper)
    kind = KINDS[paper.kind]
    if args.truth and kind.with_truth is None:
        raise ResurveyError(f"--truth: the tables of {paper.name} hold their truth; leave it out")
    tables, histories = kind.read_all(args.files)
    if args.truth:
        tables = [kind.with_truth(table, args.truth) for table in tables]
    networks: dict[str, list] = {}
    for network in read_networks(args.models) if args.models else []:
        networks.setdefault(network.meta["model"], []).append(network)
    if histories:
        networks[PUBLISHED] = from_keras(histories, paper.networks)
    baselines = [files.read_json(path) for path in args.baselines]
    rows = card.scorecard(paper, tables, networks, baselines)
    left_out = []
    for table in tables:
        left_out += [
            *table.left_out,
            *kind.without_scores(table, paper.of(table.meta.get("dataset")).grouped(table.meta.get("groups"))),
        ]
    if args.out:
        with files.atomic(args.out) as part:
            part.write_text(card.to_csv(rows))
    if args.json:
        clean = [{key: value for key, value in row.items() if value == value} for row in rows]
        print(
            json.dumps(
                {"paper": paper.name, "rows": clean, "left_out": left_out},
                indent=1,
                allow_nan=False,
                ensure_ascii=False,
            )
        )
    elif not args.out:
        print(card.to_text(rows, left_out, paper))
