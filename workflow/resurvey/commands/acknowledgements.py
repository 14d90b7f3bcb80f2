"""`resurvey acknowledgements`: whom to cite and thank, from the release files."""

import argparse

HELP = "print the surveys' acknowledgements, licences and citations as Markdown, from the release files"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("releases", nargs="*", metavar="RELEASE", help="names of workflow/releases (default: all)")


def run(args: argparse.Namespace) -> None:
    from resurvey.acknowledgements import markdown

    print(markdown(args.releases), end="")
