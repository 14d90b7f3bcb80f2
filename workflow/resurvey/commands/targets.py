"""resurvey targets: the selection of a dataset, with object identity, split and shard."""

HELP = "select the spectra of a dataset: labels, objects, splits, shards"


def arguments(parser):
    parser.add_argument("--catalogue", required=True, metavar="FILE", help="catalogue.parquet of the release")
    parser.add_argument("--settings", required=True, metavar="JSON", help="{survey, dataset: {…}, seed}")
    parser.add_argument("--out", required=True, metavar="FILE")
    parser.add_argument("--rejected", required=True, metavar="FILE")


def run(args):
    import sys

    from resurvey import __version__, files
    from resurvey.provenance import common_origin
    from resurvey.stages import worker
    from resurvey.targets.build import short_classes

    settings = files.read_settings(args.settings)
    dataset, seed = settings["dataset"], settings["seed"]
    catalogue_meta = files.read_meta(args.catalogue)
    result = worker("targets", settings["survey"])(files.read_table(args.catalogue), dataset, seed)
    short = short_classes(result.counts, dataset.get("per_class"))
    meta = {
        "origin": common_origin([(args.catalogue, catalogue_meta)]),
        "release": catalogue_meta.get("release"),
        "dataset": dataset["name"],
        "code_version": __version__,
        "seed": seed,
        "selection": dataset["selection"],
        "classes": [entry["label"] for entry in dataset.get("classes") or []] or None,
        **{key: dataset.get(key) for key in ("per_class", "labels", "split", "same_object_arcsec", "shards")},
        "catalogue_sha256": files.sha256(args.catalogue),
        "counts": result.counts,
        "short": short,
    }
    files.write_table(result.rejected, args.rejected, meta)
    files.write_table(result.table, args.out, meta, row_group_size=20_000)
    counts = result.counts
    print(
        f"{dataset['name']}: {counts['spectra']:,} spectra of {counts['objects']:,} objects in {counts['plates']:,} plates or fields,"
        f" {len(result.rejected):,} left out by force",
        file=sys.stderr,
    )
    for line in short:
        print(f"  {line}", file=sys.stderr)
