"""`resurvey extras`: the small tables that a release's papers need beside its spectra."""

HELP = "fetch a release's small tables: continuum pixels, element windows, cluster members, isochrones"


def arguments(parser) -> None:
    parser.add_argument("--settings", required=True, metavar="JSON", help="{release: {…}, root, origin}")
    parser.add_argument("--out", required=True, metavar="FILE", help="extras.json; the tables are written beside it")


def run(args) -> None:
    import sys
    from pathlib import Path

    from resurvey import __version__, files
    from resurvey.archive.extras import fetch
    from resurvey.archive.release import Release

    release = Release.from_settings(files.read_settings(args.settings))
    made = fetch(release, Path(args.out).parent)
    about = {"origin": release.origin, "release": release.name, "code_version": __version__}
    files.write_json({**about, "tables": made}, args.out)
    for name, row in made.items():
        print(f"{name}: " + (f"{row['rows']:,} rows" if row["path"] else f"not had: {row['reason']}"), file=sys.stderr)
