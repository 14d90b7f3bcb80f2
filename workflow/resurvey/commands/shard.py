"""`resurvey shard`: the raw spectra of one shard on the dataset's grid."""

HELP = "read the downloaded spectra of one shard, resample them onto the dataset's grid, write Parquet"


def arguments(parser):
    """Declare the arguments."""
    parser.add_argument("--targets", required=True, metavar="FILE", help="targets.parquet")
    parser.add_argument("--shard", required=True, metavar="0003", help="number of the shard, as in the targets")
    parser.add_argument("--downloads", required=True, metavar="FILE", help="manifest of the shard's downloads")
    parser.add_argument("--raw", required=True, metavar="DIR", help="folder that the manifest's paths are below")
    parser.add_argument(
        "--settings", required=True, metavar="JSON", help="JSON text or file: {dataset, release, origin}"
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the shard to write")
    parser.add_argument(
        "--rejected", required=True, metavar="FILE", help="where spectra without a row are listed, with reasons"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        metavar="N",
        help="cores that Arrow may use (reading a spectrum takes 0.1 ms: more processes do not pay)",
    )


def run(args):
    """Write the shard and say what came of it."""
    from pathlib import Path

    from resurvey import granted

    threads = granted.threads(args.threads)  # before numba is imported
    import pyarrow as pa

    from resurvey.files import read_settings
    from resurvey.shards.build import build_shard

    pa.set_cpu_count(threads)
    counts = build_shard(
        Path(args.targets),
        args.shard,
        Path(args.downloads),
        Path(args.raw),
        read_settings(args.settings),
        Path(args.out),
        Path(args.rejected),
    )
    print(f"shard {args.shard}: {counts['read']} of {counts['expected']} spectra, {counts['rejected']} rejected")
