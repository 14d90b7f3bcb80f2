"""`resurvey catalogue`: merge the predictions of all shards into one catalogue."""

HELP = "merge the predictions of all shards into a catalogue (Parquet and FITS)"


def arguments(parser) -> None:
    """Inputs are folders of numbered shards, `0000.parquet` … as many as --count says."""
    parser.add_argument("--predictions", required=True, metavar="DIR")
    parser.add_argument("--shards", required=True, metavar="DIR")
    parser.add_argument("--targets", required=True, metavar="FILE")
    parser.add_argument("--count", required=True, type=int, help="number of shards")
    parser.add_argument("--calibration", metavar="FILE", help="calibration.json of the model; without it z_err is null")
    parser.add_argument("--models", required=True, metavar="DIR", help="folder of the models")
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument("--out", required=True, metavar="FILE", help="catalogue as Parquet")
    parser.add_argument("--fits", required=True, metavar="FILE", help="the same as FITS")
    parser.add_argument("--rejected", required=True, metavar="FILE", help="spectra without a row, with the reason")


def run(args) -> None:
    from resurvey.catalogues.merge import merge

    counts = merge(args.predictions, args.shards, args.targets, args.count, args.calibration, args.models, args.model,
                   args.out, args.fits, args.rejected)  # fmt: skip
    print(f"{args.out}: {counts.get('rows', 0)} spectra, {counts.get('rejected', 0)} rejected")
