"""`resurvey mock-archive`: a small archive of simulated spectra in the layout of the real one."""

HELP = "write a small mock archive: simulated spectra with known truth in the survey's paths, formats and quirks"
PRODUCTS = ("truth/{release}.parquet",)  # of the folder --out, written last


def arguments(parser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--out", required=True, help="folder of the archive; DIR/dr16/… and DIR/truth/{release}.parquet are written"
    )
    parser.add_argument("--release", default="sdss_dr16", help="whose layout: sdss_dr16 (default) or sdss_dr17")
    parser.add_argument(
        "--settings",
        default="{}",
        metavar="JSON",
        help="{per_class, extra, lite_plates, seed, lite, missing} or a JSON file with them",
    )
    parser.add_argument("--threads", type=int, default=1, help="processes; the archive does not depend on it")


def run(args) -> None:
    """Write the archive and say what it holds."""
    from resurvey import files, granted

    granted.limit(1)  # of each process
    from resurvey.archive.mock_sdss import build

    made = build(args.out, args.release, files.read_settings(args.settings), granted.cpus(args.threads))
    print(
        f"{args.out}: {made['spectra']:,} mock spectra on {made['visits']} plates and nights, {made['bytes'] / 1e9:.2f} GB"
    )
