"""`resurvey baselines`: majority class, median redshift, and PCA with a linear model, on the spectra of the shards."""

HELP = "score the baselines (majority class, median z, PCA + linear) on the shards"
ROWS = 20000


def arguments(parser) -> None:
    """--shards is a folder of numbered shards."""
    parser.add_argument("--shards", required=True, metavar="DIR")
    parser.add_argument("--count", required=True, type=int, help="number of shards")
    parser.add_argument("--paper", required=True, metavar="NAME", help="the paper whose conventions count")
    parser.add_argument("--out", required=True, metavar="FILE.json")


def run(args) -> None:
    from pathlib import Path

    import numpy as np

    from resurvey import __version__, files, provenance
    from resurvey.errors import ResurveyError
    from resurvey.metrics.baselines import baselines, coarser
    from resurvey.metrics.paper import load_paper

    paths = [Path(args.shards, f"{number:04d}.parquet") for number in range(args.count)]
    origin = provenance.common_origin((str(path), files.read_meta(path)) for path in paths)
    total = sum(files.open_parquet(path).metadata.num_rows for path in paths)
    share = min(1.0, ROWS / max(total, 1))  # of the training spectra: memory stays bounded
    split: dict[str, list] = {"train": [], "test": []}
    for number, path in enumerate(paths):
        table = files.read_table(path, ["split", "label", "z", "flux"]).to_pandas()
        random = np.random.default_rng(number).random(len(table))
        for name, rows in split.items():
            here = (table["split"] == name) & table["label"].notna() & (random < share)
            if here.any():
                part = table[here]
                rows.append(
                    (coarser(np.stack(part["flux"].to_list())), part["label"].to_numpy(str), part["z"].to_numpy(float))
                )
    for name, rows in split.items():
        if not rows:
            raise ResurveyError(
                f"{args.shards}: no labelled spectrum is in the {name} split; baselines need train and test"
            )
    joined = [np.concatenate(columns) for rows in split.values() for columns in zip(*rows, strict=True)]
    result = baselines(*joined, load_paper(args.paper))
    files.write_json({**result, "origin": origin, "share": share, "code_version": __version__}, args.out)
    print(f"{args.out}: {result['n_train']} training and {result['n_test']} test spectra")
