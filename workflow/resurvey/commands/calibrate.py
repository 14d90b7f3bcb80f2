"""`resurvey calibrate`: redshift errors with a known coverage, learned from the validation split."""

HELP = "learn from the validation split which error a redshift's sigma means"


def arguments(parser) -> None:
    """Predictions of all shards of the dataset that the model was trained on, and its targets."""
    parser.add_argument("--predictions", required=True, metavar="DIR", help="folder of numbered shards")
    parser.add_argument("--targets", required=True, metavar="FILE")
    parser.add_argument("--count", required=True, type=int, help="number of shards")
    parser.add_argument("--models", metavar="DIR", help="not read: the predictions say which networks made them")
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument("--out", required=True, metavar="FILE", help="calibration.json")


def run(args) -> None:
    import sys
    from pathlib import Path

    from resurvey import files
    from resurvey.inference.calibration import calibrate

    result = calibrate(files.numbered(args.predictions, args.count), Path(args.targets), Path(args.out), args.model)
    for label in result["too_few"]:
        print(f"{label}: too few validation spectra to calibrate; its z_err will be null", file=sys.stderr)
    for label, entry in result["classes"].items():
        shares = "; ".join(
            f"{name} {' '.join(f'{v:.3f}' for v in values)}" for name, values in entry["coverage"].items()
        )
        print(f"{label}: {entry['n']} spectra; within 1, 2, 3 of {shares}", file=sys.stderr)
