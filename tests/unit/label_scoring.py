"""Made-up predictions of labels with known properties, for the tests of catalogues, scores and figures."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from resurvey import files
from resurvey.surveys.apogee_labels import NAMES

GRID = {"start": 4.179, "step": 6e-6, "pixels": 60, "unit": "Angstrom", "frame": "vacuum", "scale": "log10",
        "chips": [[246, 266], [3585, 3605], [6344, 6364]]}  # fmt: skip
MODEL = "astronn_censored"
LABELS = list(NAMES)
CENTRE = np.array([4600.0, 2.3, *[-0.1] * 20])
SPREAD = np.array([300.0, 0.5, *[0.3] * 20])
NOISE = np.array([25.0, 0.05, *[0.03] * 20])  # of a prediction at S/N 100
BIAS = np.array([-20.0, 0.01, *[-0.005] * 20])
CLUSTERS = {"M67": (14, 0.02, 0.08), "NGC 6819": (20, 0.02, 0.09), "M13": (23, 0.05, -1.5)}
ABOUT = {"origin": "mock", "release": "apogee_dr14", "dataset": "apogee_dr14", "code_version": "0.1.0"}


def spectra(stars: int = 120, seed: int = 1, first: int = 0, pixels: bool = False) -> pa.Table:
    """A shard's table: `stars` of the splits, two visits each, and the members of three clusters; combined spectra are visit 0.

    Every 11th star lacks [Na/H], as the survey's -9999 would be null; stars number 5 of the test split have no log g: dwarfs.
    """
    rng = np.random.default_rng(seed)
    rows = []

    def add(name: str, split: str | None, sn: float, labels: np.ndarray, cluster: str | None, starflag: int) -> None:
        for visit in (0, 1, 2):
            side = {"train": "train_visits", "valid": "train_visits", "test": "test_visits"}.get(split)
            rows.append(
                {
                    "name": name,
                    "visit": visit,
                    "split": split if visit == 0 else side,
                    "sn": sn if visit == 0 else sn / np.sqrt(2) * (0.6 if visit == 2 else 1.0),
                    "labels": labels,
                    "cluster": cluster,
                    "starflag": starflag,
                }
            )

    for star in range(stars):
        split = ["train", "train", "train", "valid", "test", "test"][star % 6]
        labels = CENTRE + SPREAD * rng.normal(size=22) * 0.8
        labels[4:] = labels[4:] * 0.2 + labels[LABELS.index("fe_h")] * 0.8
        if star % 11 == 0:
            labels[LABELS.index("na_h")] = np.nan
        if star % 30 == 5:
            labels[1] = np.nan
        sn = rng.uniform(210, 400) if split in ("train", "valid") else rng.uniform(101, 199)
        add(f"2M{first + star:08d}+00", split, sn, labels, None, 0)
    for number, (cluster, (count, spread, iron)) in enumerate(CLUSTERS.items()):
        for star in range(count + 1):
            labels = np.r_[4700.0, 2.2, iron + spread * rng.normal(size=20)]
            add(
                f"2M{first + 9000 + 100 * number + star:08d}+11",
                None,
                150.0,
                labels,
                cluster,
                4 if star == count else 0,
            )
    n = len(rows)
    labels = np.array([row["labels"] for row in rows])
    visit = [row["visit"] for row in rows]
    names = [row["name"] for row in rows]
    columns = {
        "spectrum_id": [f"4240-{name}" + (f"-v{v:02d}" if v else "") for name, v in zip(names, visit, strict=True)],
        "object_id": pa.array([int(name[2:10]) for name in names], pa.int64()),
        "apogee_id": names,
        "location_id": pa.array([4240] * n, pa.int32()),
        "visit": pa.array(visit, pa.int32()),
        "field": ["M13"] * n,
        "telescope": ["apo25m"] * n,
        "ra": rng.uniform(0, 360, n),
        "dec": rng.uniform(-10, 60, n),
        "sn_median": pa.array([row["sn"] for row in rows], pa.float32()),
        "nvisits": pa.array([2] * n, pa.int32()),
        "cluster": pa.array([row["cluster"] for row in rows], pa.string()),
        "split": pa.array([row["split"] for row in rows], pa.string()),
        "starflag": pa.array([row["starflag"] for row in rows], pa.int64()),
        "aspcapflag": pa.array([0] * n, pa.int64()),
        "vscatter": pa.array(rng.uniform(0, 0.5, n), pa.float32()),
        "n_good": pa.array([GRID["pixels"]] * n, pa.int32()),
        "coverage_min": pa.array([15152.0] * n, pa.float32()),
        "coverage_max": pa.array([16943.0] * n, pa.float32()),
        "cannon_teff": pa.array(labels[:, 0] + 10, pa.float32()),
    }
    for k, name in enumerate(LABELS):
        columns[name] = pa.array(labels[:, k], pa.float32(), from_pandas=True)
        columns[f"{name}_err"] = pa.array(
            np.where(np.isnan(labels[:, k]), np.nan, NOISE[k]), pa.float32(), from_pandas=True
        )
    if pixels:
        mixing = np.random.default_rng(99).normal(size=(22, GRID["pixels"]))
        flux = (
            1 + 0.02 * np.nan_to_num((labels - CENTRE) / SPREAD) @ mixing + rng.normal(size=(n, GRID["pixels"])) * 0.005
        )
        kind = pa.list_(pa.float32(), GRID["pixels"])
        columns["flux"] = pa.FixedSizeListArray.from_arrays(flux.astype(np.float32).ravel(), type=kind)
        columns["ivar"] = pa.FixedSizeListArray.from_arrays(np.full(flux.size, 4e4, np.float32), type=kind)
    return pa.table(columns)


def predictions(table: pa.Table, seed: int = 2) -> pa.Table:
    """Network outputs for `spectra`: truth + bias + Gaussian noise that grows with 1/S/N, and total uncertainties that are right.

    Where the survey has no value the network still gives one.
    """
    rng = np.random.default_rng(seed)
    sn = table["sn_median"].to_numpy()
    columns = {"spectrum_id": table["spectrum_id"]}
    for k, name in enumerate(LABELS):
        truth = table[name].to_numpy(zero_copy_only=False).astype(float)
        truth = np.where(np.isnan(truth), CENTRE[k], truth)
        sigma = NOISE[k] * 100 / sn
        columns[name] = pa.array(truth + BIAS[k] + sigma * rng.normal(size=len(sn)), pa.float32())
        columns[f"{name}_model"] = pa.array(0.6 * sigma, pa.float32())
        columns[f"{name}_predictive"] = pa.array(0.8 * sigma, pa.float32())
        columns[f"{name}_total"] = pa.array(sigma, pa.float32())
    return pa.table(columns)


def network(origin: str = "mock", model: str = MODEL, **changes) -> dict:
    """The model.json of a network of labels."""
    ranges = {
        name: {"n": 60, "range": [c - 3 * s, c + 3 * s]} for name, c, s in zip(LABELS, CENTRE, SPREAD, strict=True)
    }
    return {
        "model": model,
        "paper": "astronn",
        "network": "bcnn_censored",
        "role": "labels",
        "class": None,
        "classes": None,
        "labels": LABELS,
        "architecture": {"kind": "apogee_bcnn_censored", "head": {"kind": "censored"}},
        "head": "censored",
        "parameters": 3499122,
        "origin": origin,
        "grid": GRID,
        "n_train": 60,
        "n_valid": 20,
        "normalisation": {"label_mean": CENTRE.tolist(), "label_std": SPREAD.tolist()},
        "trained_on": {**ranges, "sn_median": [200.0, 300.0, 400.0]},
        "metrics": {"val_loss": -1.36, "val_mae": 0.14},
        "weights_sha256": "c" * 64,
        **changes,
    }


def run_folder(
    folder: Path, shards: int = 2, stars: int = 120, model: str = MODEL, pixels: bool = False
) -> dict[str, Path]:
    """A finished run's files below `folder`: targets, shards, predictions, one network with its history; paths by name."""
    paths = {name: folder / name for name in ("shards", "predictions", "models")}
    targets = []
    for number in range(shards):
        table = spectra(stars, number, 10000 * number, pixels)
        lean = [
            name for name in ("flux", "ivar", "n_good", "coverage_min", "coverage_max") if name in table.column_names
        ]
        targets.append(table.drop_columns(lean).append_column("shard", pa.array([f"{number:04d}"] * len(table))))
        files.write_table(table, paths["shards"] / f"{number:04d}.parquet", {**ABOUT, "grid": GRID})
        meta = {
            **ABOUT,
            "engine": "torch",
            "passes": 100,
            "seconds_per_star": {"with_dropout": 0.02 + 0.02 * number, "without_dropout": 0.001},
        }
        files.write_table(predictions(table, 50 + number), paths["predictions"] / f"{number:04d}.parquet", meta)
    paths["targets"] = folder / "targets.parquet"
    files.write_table(pa.concat_tables(targets), paths["targets"], ABOUT)
    home = paths["models"] / model / "bcnn_censored"
    files.write_json(network(model=model), home / "model.json")
    (home / "history.csv").write_text(
        "epoch,loss,val_loss,val_mae,lr\n0,0.5,0.4,0.5,0.0005\n1,-1.0,-0.9,0.2,0.0005\n2,-1.3,-1.36,0.14,0.0005\n"
    )
    return (
        paths
        | {name: folder / f"c.{name}" for name in ("catalogue", "fits", "rejected")}
        | {"tidy": folder / "tidy.parquet"}
    )


def merge_run(paths: dict[str, Path], count: int = 2, model: str = MODEL) -> int:
    """Run the catalogue command on a run folder."""
    from resurvey import cli

    given = {"--predictions": "predictions", "--shards": "shards", "--targets": "targets", "--models": "models",
             "--out": "catalogue", "--fits": "fits", "--rejected": "rejected"}  # fmt: skip
    arguments = [text for option, name in given.items() for text in (option, str(paths[name]))]
    return cli.main(["catalogue", *arguments, "--count", str(count), "--model", model])


def evaluate(paths: dict[str, Path]) -> int:
    """Run the evaluate command on a merged run folder."""
    from resurvey import cli

    return cli.main(["evaluate", "--catalogue", str(paths["catalogue"]), "--out", str(paths["tidy"])])
