"""`resurvey verify`: all shards of a dataset checked, one row each."""

import argparse

HELP = "check all shards of a dataset and write one row for each: expected, read, rejected with reasons, digest"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shards", required=True, metavar="DIR", help="folder of numbered shards")
    parser.add_argument("--count", required=True, type=int, metavar="N", help="number of shards")
    parser.add_argument("--out", required=True, metavar="FILE", help="the table (CSV)")


def run(args: argparse.Namespace) -> None:
    import sys

    from resurvey.shards.verify import verify

    found = verify(args.shards, args.count, args.out)
    print(f"{args.out}: {found['read']} of {found['expected']} spectra, {found['rejected']} rejected", file=sys.stderr)
