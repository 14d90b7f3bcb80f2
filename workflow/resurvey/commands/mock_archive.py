"""`resurvey mock-archive`: a small archive of simulated spectra in the layout of the real one."""

HELP = "write a small mock archive: simulated spectra with known truth in the survey's paths, formats and quirks"
PRODUCTS = ("truth/{release}.parquet",)  # of the folder --out, written last
LAYOUTS = {  # release: the module that writes its layout
    "sdss_dr16": "mock_sdss",
    "sdss_dr17": "mock_sdss",
    "apogee_dr14": "mock_apogee",
    "desi_edr": "mock_desi",
    "fourmost_mock": "mock_fourmost",
    "sdss_template_mock": "mock_template",
}


def arguments(parser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--out",
        required=True,
        help="folder of the archive; DIR/dr16/…, DIR/dr14/… or DIR/edr/… and DIR/truth/{release}.parquet are written",
    )
    parser.add_argument(
        "--release", default="sdss_dr16", help=f"whose layout: {', '.join(LAYOUTS)} (default: sdss_dr16)"
    )
    parser.add_argument(
        "--settings",
        default="{}",
        metavar="JSON",
        help="SDSS: {per_class, extra, lite_plates, seed, lite, missing}; DESI: {per_class, extra, pixels, seed}; 4MOST: {per_class, step, fields, repeats, templates, seed}; templates: {per_class, templates, mix, labels, faults, seed}; APOGEE: {stars, clusters, visits, apvisits, seed, missing, "
        "templates}; or a JSON file with them",
    )
    parser.add_argument("--threads", type=int, default=1, help="processes; the archive does not depend on it")


def run(args) -> None:
    """Write the archive and say what it holds."""
    import importlib

    from resurvey import files, granted, settings
    from resurvey.errors import ResurveyError

    if args.release not in LAYOUTS:
        raise ResurveyError(
            f"--release: no mock archive is written for {args.release!r}; {settings.nearest(args.release, list(LAYOUTS))}"
        )
    granted.limit(1)  # of each process
    build = importlib.import_module(f"resurvey.archive.{LAYOUTS[args.release]}").build
    made = build(args.out, args.release, files.read_settings(args.settings), granted.cpus(args.threads))
    print(f"{args.out}: {made['spectra']:,} mock spectra, {made['visits']:,} visits, {made['bytes'] / 1e9:.2f} GB")
