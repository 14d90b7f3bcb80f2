"""The fixed set of labelled real spectra of docs/mocks-to-real.md, for `resurvey assess`.

    python tests/benchmarks/real_labels.py OUT
    resurvey assess OUT/spectra --labels OUT/labels.csv --model MODEL --out FOLDER

OUT/spectra holds links to files of kind spectrum-* in $RESURVEY_SHARED/real (default ../shared) that MANIFEST.csv calls sdss, without sky
fibres and without spectra whose ZWARNING is set (a file without the flag counts), and to the spectra of published/gasnet3, which have no
flag either. Labels are the survey's own. None is dropped, whatever it looks like. Each spectrum counts once.
"""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd

SHARED = Path(os.environ.get("RESURVEY_SHARED", Path(__file__).parents[3] / "shared"))


def collect(shared: Path) -> tuple[list[Path], pd.DataFrame]:
    """(files, `spectrum_id, class, z, set` of the spectra that count)."""
    manifest = pd.read_csv(shared / "real/MANIFEST.csv", keep_default_na=False)
    kinds = manifest["kind"].str.startswith("spectrum-") & (manifest["kind"] != "spectrum-sky-fibre")
    rows = manifest[(manifest["survey"] == "sdss") & kinds & manifest["zwarning"].isin(["", "0", "0.0"])]
    own = {"spectrum_id": rows["object_id"], "class": rows["class"], "z": pd.to_numeric(rows["z"]), "set": "real/sdss"}
    from astropy.table import Table

    stacked = shared / "published/gasnet3/sdss_real_spectra.fits"
    table = Table.read(stacked, 1)
    others = {
        "spectrum_id": [f"{p:04d}-{m}-{f:04d}" for p, m, f in zip(table["PLATE"], table["MJD"], table["FIBERID"], strict=True)],
        "class": np.char.strip(np.asarray(table["CLASS"]).astype(str)),
        "z": np.asarray(table["Z"], float),
        "set": "published/gasnet3",
    }  # fmt: skip
    files = [shared / "real" / path for path in rows["path"]] + [stacked]
    return files, pd.concat([pd.DataFrame(own), pd.DataFrame(others)]).drop_duplicates("spectrum_id")


def main(argv: list[str]) -> None:
    """Write the folder."""
    if len(argv) != 1:
        sys.exit(__doc__)
    files, labels = collect(SHARED)
    out = Path(argv[0])
    shutil.rmtree(out / "spectra", ignore_errors=True)
    for number, path in enumerate(files):
        link = out / "spectra" / f"{number:03d}" / path.name  # names alone are not unique
        link.parent.mkdir(parents=True)
        link.symlink_to(path.resolve())
    labels.to_csv(out / "labels.csv", index=False)
    print(f"{out}: {len(files)} files, {len(labels)} labels")


if __name__ == "__main__":
    main(sys.argv[1:])
