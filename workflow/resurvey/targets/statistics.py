"""Table 1 of GaSNet-II: redshift and signal-to-noise of each class."""

import pandas as pd
import pyarrow as pa


def table1(targets: pa.Table, classes: list[dict]) -> pd.DataFrame:
    """One row per class in the order of `classes`: label, index (the paper's label 0 … 12), n, z_mean, z_min, z_max
    (NaN for stars), snr_mean (mean of the median S/N per spectrum; non-finite values are left out).
    """
    frame = targets.select(["label", "z", "sn_median"]).to_pandas()
    frame["sn_median"] = frame["sn_median"].where(frame["sn_median"].abs() < float("inf"))
    grouped = frame.groupby("label").agg(
        n=("label", "size"),
        z_mean=("z", "mean"),
        z_min=("z", "min"),
        z_max=("z", "max"),
        snr_mean=("sn_median", "mean"),
    )
    names = [entry["label"] for entry in classes]
    table = grouped.reindex(names).rename_axis("label").reset_index()
    table.insert(1, "index", range(len(names)))
    table["n"] = table["n"].fillna(0).astype(int)
    return table
