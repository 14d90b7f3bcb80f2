"""resurvey fetch-catalogue: the needed columns of a release's master catalogue."""

HELP = "fetch a release's master catalogue and keep the needed columns"


def arguments(parser):
    parser.add_argument("--settings", required=True, metavar="JSON", help="{release: {…}, root, origin, etiquette, …}")
    parser.add_argument("--raw", required=True, metavar="DIR", help="folder of raw files of the release")
    parser.add_argument("--out", required=True, metavar="FILE", help="catalogue.parquet")


def run(args):
    import sys
    from pathlib import Path

    from resurvey import files
    from resurvey.archive.catalogue import fetch

    rows = fetch(files.read_settings(args.settings), Path(args.raw), Path(args.out))
    print(f"{args.out}: {rows:,} spectra", file=sys.stderr)
