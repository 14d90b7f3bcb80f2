"""resurvey plan: what a selection costs to fetch, before anything is fetched."""

HELP = "which files a dataset needs, and their bytes, requests and hours"


def arguments(parser):
    parser.add_argument("--targets", metavar="FILE", help="targets.parquet; without it: all datasets of ./config.yaml")
    parser.add_argument("--preset", help="without --targets: smoke, demo, paper or full instead of the config's")
    parser.add_argument("--settings", metavar="JSON", help="{release: {…}, root, origin, etiquette}")
    parser.add_argument("--raw", metavar="DIR", help="folder of raw files of the release")
    parser.add_argument("--out", metavar="FILE", help="plan.parquet")


def run(args):
    from resurvey.errors import ResurveyError

    given = [name for name in ("targets", "settings", "raw", "out") if getattr(args, name)]
    if not given:
        return _project({"preset": args.preset} if args.preset else None)
    if len(given) < 4:
        raise ResurveyError("give all of --targets, --settings, --raw and --out, or none of them")
    return _dataset(args)


def _dataset(args):
    from pathlib import Path

    from resurvey import __version__, files
    from resurvey.archive import plan
    from resurvey.archive.release import Release
    from resurvey.provenance import common_origin
    from resurvey.stages import worker

    release = Release.from_settings(files.read_settings(args.settings))
    targets = plan.read_targets(args.targets)
    meta = files.read_meta(args.targets)
    common_origin([(args.targets, meta), ("archive", {"origin": release.origin})])
    table = worker("plan", release.settings["survey"])(targets, release)
    cost = plan.cost(table, len(targets))
    print(plan.describe(cost, release, Path(args.raw), meta.get("dataset", args.targets)), flush=True)
    total = {"requests": cost.requests, "bytes": sum(cost.bytes.values()), "files": cost.files}
    kept = {key: meta.get(key) for key in ("origin", "release", "dataset")}
    files.write_table(table, args.out, {**kept, "code_version": __version__, "root": release.root, "cost": total})


def _project(overrides):
    """All datasets of the project in the current folder: exact where targets exist, estimated where they do not."""
    from pathlib import Path

    from resurvey import settings
    from resurvey.archive import plan
    from resurvey.archive.release import Release
    from resurvey.stages import worker

    project = settings.load(overrides=overrides)
    archive = project["archive"]
    for name, dataset in project["datasets"].items():
        entry = project["releases"][dataset["release"]]
        release = Release.from_settings({"release": entry, "root": archive["root"], "origin": archive["origin"]})
        raw = Path("resources", archive["name"], release.name)
        targets = Path("results", project["run"], name, "targets.parquet")
        if targets.exists():
            table = plan.read_targets(targets)
            cost = plan.cost(worker("plan", entry["survey"])(table, release), len(table))
        else:
            cost = worker("estimate", entry["survey"])(dataset, release)
        print(plan.describe(cost, release, raw, name, estimated=not targets.exists()))
