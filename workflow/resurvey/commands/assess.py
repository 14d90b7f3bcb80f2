"""`resurvey assess`: what models make of labelled spectra that they were not trained on, and where they go wrong."""

HELP = "assess models on any spectra with labels: confusion, redshift errors, worst cases drawn, labels that look wrong"
PRODUCTS = ("assessment.json",)  # of the folder --out, written last


def arguments(parser) -> None:
    """Spectra as `predict` takes them; labels as a CSV, or those of the files."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="spectra: files, folders or globs")
    parser.add_argument(
        "--model",
        required=True,
        nargs="+",
        metavar="PATH_OR_NAME",
        help="results/{run}/models/{model}, or {model}; of the first the worst cases are drawn, the others stand beside it",
    )
    parser.add_argument(
        "--labels",
        metavar="CSV",
        help="spectrum_id, class (STAR, GALAXY, QSO), z; without it what the files say themselves",
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder of the tables (CSV, Parquet) and figures (PNG)"
    )
    parser.add_argument(
        "--templates",
        metavar="DIR",
        help="folder of public templates (resurvey templates): redshifts are refined, labels checked",
    )
    parser.add_argument(
        "--mocks", nargs="+", metavar="FILE", help="shards of mock spectra: a figure sets them beside the real ones"
    )
    parser.add_argument("--engine", default="auto", metavar="NAME", help="auto (default), torch, openvino, cuda")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads (default 1)")


def run(args) -> None:
    """Write the folder, print the tables."""
    from resurvey import granted
    from resurvey.errors import ResurveyError

    if args.threads < 1:
        raise ResurveyError(f"--threads {args.threads}: give 1 or more")
    threads = granted.threads(args.threads)  # before torch is imported
    from resurvey.assessment.make import Asked, assess

    print(
        assess(Asked(args.files, args.model, args.out, args.labels, args.templates, args.mocks, args.engine, threads))
    )
