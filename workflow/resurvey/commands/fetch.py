"""resurvey fetch: the raw files of one shard, verified, with a manifest row for each."""

HELP = "fetch the raw files of one shard"


def arguments(parser):
    parser.add_argument("--plan", required=True, metavar="FILE", help="plan.parquet")
    parser.add_argument("--shard", required=True, metavar="0003")
    parser.add_argument("--settings", required=True, metavar="JSON", help="{release: {…}, root, origin, etiquette}")
    parser.add_argument("--raw", required=True, metavar="DIR", help="folder of raw files of the release")
    parser.add_argument("--out", required=True, metavar="FILE", help="the manifest")


def run(args):
    import sys
    from pathlib import Path

    from resurvey import __version__, files
    from resurvey.archive import manifest, plan
    from resurvey.archive.release import Release
    from resurvey.archive.transfer import Transfer
    from resurvey.provenance import common_origin

    release = Release.from_settings(files.read_settings(args.settings))
    meta = files.read_meta(args.plan)
    origin = common_origin([(args.plan, meta), ("archive", {"origin": release.origin})])
    with Transfer(release, Path(args.raw)) as transfer:
        rows = transfer.fetch(plan.wanted(files.read_table(args.plan), args.shard), f"shard {args.shard}")
    counts = manifest.counts(rows)
    kept = {key: meta.get(key) for key in ("release", "dataset")}
    meta = {
        "origin": origin,
        **kept,
        "code_version": __version__,
        "shard": args.shard,
        "root": release.root,
        "counts": counts,
    }
    files.write_table(manifest.table(rows), args.out, meta)
    print(
        f"shard {args.shard}: " + (", ".join(f"{n} {state}" for state, n in counts.items()) or "no files"),
        file=sys.stderr,
    )
    failed = manifest.lacking(rows)
    for row in failed[:20]:
        print(f"  not had: {row.url}: {row.reason}", file=sys.stderr)
    if len(failed) > 20:
        print(f"  … and {len(failed) - 20} more, in {args.out}", file=sys.stderr)
