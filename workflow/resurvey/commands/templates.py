"""`resurvey templates`: the public templates that mock spectra can be made of, into a folder."""

HELP = (
    "fetch public spectral templates (redrock's, the stacked eBOSS/SPIDERS ones) into a folder and check their digests"
)
PRODUCTS = ("templates.json",)  # of the folder --out, written last


def arguments(parser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder of the templates; files that are there are checked and kept"
    )
    parser.add_argument("--collection", nargs="+", metavar="NAME", help="files of workflow/templates (default: all)")
    parser.add_argument(
        "--mirror",
        metavar="URL",
        help="URL or folder that holds the files under their names, in place of their repositories",
    )


def run(args) -> None:
    """Fetch and say what was found."""
    from pathlib import Path

    from resurvey.simulate.templates import fetch, registry

    made = fetch.fetch(Path(args.out), registry.templates(args.collection), args.mirror)
    for name, row in made.items():
        print(f"{name}: {row['state']}, SHA-256 {row['sha256'][:12]}…")
