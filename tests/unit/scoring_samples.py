"""Made-up predictions with known properties, for the tests of scores, figures and catalogues."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from resurvey import files
from resurvey.metrics.paper import load_paper

GRID = {"start": 4000.0, "step": 8.0, "pixels": 626, "unit": "Angstrom", "frame": "vacuum", "scale": "linear"}
SIGMA = {"GALAXY": 0.0008, "QSO": 0.008}
Z_TOP = {"GALAXY_nan": 1.1, "QSO_nan": 3.8, "QSO_BROADLINE": 3.2}


def labels() -> list[str]:
    return load_paper("gasnet2").labels


def spectra(per_class: int = 40, seed: int = 1, pixels: bool = True, plate: int = 300) -> pa.Table:
    """A shard's table: smooth continua with one line at the redshift, the split 70/15/15 in order."""
    rng = np.random.default_rng(seed)
    n = per_class * 13
    label = np.repeat(labels(), per_class)
    star = np.char.startswith(label.astype(str), "STAR")
    top = np.array([Z_TOP.get(name, 0.55) for name in label])
    z = np.where(star, np.nan, np.clip(rng.gamma(3, 0.12, n) * top, 0.005, top))
    sn = np.where(
        star,
        rng.gamma(6, 5, n),
        np.where(np.char.startswith(label.astype(str), "QSO"), rng.gamma(3, 1.6, n), rng.gamma(3, 3.5, n)),
    )
    rank = np.tile(np.arange(per_class) / per_class, 13)
    split = np.where(rank < 0.7, "train", np.where(rank < 0.85, "valid", "test"))
    number = np.arange(n)
    columns = {
        "spectrum_id": [f"{plate + i // 50:04d}-55000-{i % 50 + 1:04d}" for i in number],
        "plate": pa.array(plate + number // 50, pa.int32()),
        "mjd": pa.array(np.full(n, 55000), pa.int32()),
        "fiberid": pa.array(number % 50 + 1, pa.int32()),
        "object_id": pa.array(number + 1_000_000 * plate),
        "run2d": ["v5_13_0"] * n,
        "ra": rng.uniform(0, 360, n),
        "dec": rng.uniform(-10, 60, n),
        "survey_class": [name.split("_")[0] for name in label],
        "survey_subclass": ["" if name.endswith("nan") else name.split("_")[1] for name in label],
        "survey_z": np.where(star, 0.0001, z),
        "survey_z_err": np.full(n, 1e-4),
        "survey_zwarning": pa.array(np.where(rng.random(n) < 0.05, 4, 0), pa.int32()),
        "sn_median": pa.array(sn, pa.float32()),
        "vdisp": pa.array(np.full(n, 150.0), pa.float32()),
        "specprimary": pa.array(rng.random(n) < 0.9),
        "label": label,
        "z": pa.array(z, mask=star),
        "split": split,
        "n_good": pa.array(np.full(n, GRID["pixels"]), pa.int32()),
        "coverage_min": pa.array(np.full(n, 4000.0), pa.float32()),
        "coverage_max": pa.array(np.full(n, 9000.0), pa.float32()),
    }
    if pixels:
        wave = GRID["start"] + GRID["step"] * np.arange(GRID["pixels"])
        slope = np.linspace(-2, 2, 13)[np.repeat(np.arange(13), per_class)]
        centre = 4300 * (1 + np.nan_to_num(z))[:, None]
        flux = (wave / 6000) ** slope[:, None] + 2 * np.exp(-0.5 * ((wave - centre) / 25) ** 2)
        flux = (flux + rng.normal(0, 1, flux.shape) / sn[:, None]).astype(np.float32)
        kind = pa.list_(pa.float32(), GRID["pixels"])
        columns["flux"] = pa.FixedSizeListArray.from_arrays(flux.ravel(), type=kind)
        columns["ivar"] = pa.FixedSizeListArray.from_arrays(np.full(flux.size, 4.0, np.float32), type=kind)
    return pa.table(columns)


def predictions(table: pa.Table, seed: int = 2, skip: tuple = ()) -> pa.Table:
    """Network outputs for `spectra`: mostly right, neighbouring classes confused, errors that grow with 1/S/N."""
    rng = np.random.default_rng(seed)
    names = labels()
    truth = np.array([names.index(name) for name in table["label"].to_pylist()])
    n = len(truth)
    z = np.nan_to_num(table["z"].to_numpy(zero_copy_only=False).astype(float))
    sn = np.maximum(table["sn_median"].to_numpy(), 1)
    choice = np.clip(truth + np.where(rng.random(n) < 0.12, rng.choice([-1, 1], n), 0), 0, 12)
    prob = rng.dirichlet(np.full(13, 0.1), n) * 0.3
    prob[np.arange(n), choice] += 0.7
    columns = {"spectrum_id": table["spectrum_id"]}
    columns |= {f"prob_{name}": pa.array(prob[:, i], pa.float32()) for i, name in enumerate(names)}
    for name in names:
        group = name.split("_")[0]
        if group == "STAR" or name in skip:
            continue
        std = SIGMA[group] * rng.gamma(4, 0.25, n) * (1 + 8 / sn)
        far = np.where(rng.random(n) < 0.02, rng.normal(0, 0.1, n), 0)
        columns[f"z_{name}"] = pa.array(z + rng.normal(0, 1, n) * std * 0.8 + far, pa.float32())
        columns[f"z_std_{name}"] = pa.array(std + np.abs(far) * 0.4, pa.float32())
        columns[f"z_point_{name}"] = pa.array(z + rng.normal(0, 1, n) * std, pa.float32())
    return pa.table(columns)


def networks(origin: str = "mock", model: str = "gasnet2_sdss") -> list[dict]:
    """The model.json of a classifier and six ensembles."""
    base = {
        "model": model,
        "paper": "gasnet2",
        "origin": origin,
        "grid": GRID,
        "head": "huber",
        "n_train": 28,
        "n_valid": 6,
    }
    shape = {
        "kind": "resnet",
        "widths": [16, 32, 64],
        "kernel": 5,
        "stride": 3,
        "pool": 5,
        "padding": "same",
        "dropout": 0.5,
        "dense": 256,
        "pixels": GRID["pixels"],
    }
    base |= {
        "architecture": {**shape, "outputs": 1, "members": 10, "head": {"kind": "huber", "z_scale": 10.0}},
        "parameters": 4160241,
    }
    result = [{**base, "network": "ResNet_P", "role": "classifier", "class": None, "head": "softmax", "weights_sha256": "a" * 64,
               "architecture": {**shape, "outputs": 13, "members": 1, "head": {"kind": "softmax"}}, "metrics": {"val_loss": 0.3, "val_acc": 0.9}}]  # fmt: skip
    for number, label in enumerate(labels()[7:], 7):
        limit = SIGMA[label.split("_")[0]] * 2
        for role, suffix in (("redshift", ""), ("point", "_point")):
            metrics = {"val_loss": limit, "val_mae": limit, "z_min": 0.0, "z_max": 5.0}
            result.append(
                {
                    **base,
                    "network": f"ResNet_{number}{suffix}",
                    "role": role,
                    "class": label,
                    "weights_sha256": "b" * 64,
                    "metrics": metrics,
                }
            )
    return result


def run_folder(
    folder: Path, shards: int = 2, per_class: int = 40, skip: tuple = (), pixels: bool = True
) -> dict[str, Path]:
    """A finished run's files below `folder`: targets, shards, predictions, models with histories; paths by name."""
    about = {"origin": "mock", "release": "sdss_dr16", "dataset": "sdss_dr16", "code_version": "0.1.0"}
    paths = {name: folder / name for name in ("shards", "predictions", "models")}
    targets = []
    for number in range(shards):
        table = spectra(per_class, seed=number, plate=300 + 1000 * number, pixels=pixels)
        lean = [
            name for name in ("flux", "ivar", "n_good", "coverage_min", "coverage_max") if name in table.column_names
        ]
        targets.append(table.drop_columns(lean).append_column("shard", pa.array([f"{number:04d}"] * len(table))))
        files.write_table(table, paths["shards"] / f"{number:04d}.parquet", {**about, "grid": GRID})
        files.write_table(
            predictions(table, 50 + number, skip),
            paths["predictions"] / f"{number:04d}.parquet",
            {**about, "engine": "torch"},
        )
    paths["targets"] = folder / "targets.parquet"
    files.write_table(pa.concat_tables(targets), paths["targets"], about)
    rng = np.random.default_rng(5)
    for about_network in networks():
        if about_network["class"] in skip:
            continue
        home = paths["models"] / "gasnet2_sdss" / about_network["network"]
        files.write_json(about_network, home / "model.json")
        metric = "acc" if about_network["role"] == "classifier" else "mae"
        rows = [f"epoch,loss,{metric},val_loss,val_{metric}"]
        for epoch in range(12):
            value = np.exp(-0.3 * epoch) + 0.02
            score = 1 - 0.5 * value if metric == "acc" else 0.1 * value
            rows.append(f"{epoch},{value * 1.2:.5f},{score * 0.9:.5f},{value * rng.uniform(0.9, 1.2):.5f},{score:.5f}")
        (home / "history.csv").write_text("\n".join(rows) + "\n")
    paths["calibration"] = paths["models"] / "gasnet2_sdss" / "calibration.json"
    entry = {"sigma": [1e-5, 1.0], "error": [0.8e-5, 0.8]}
    paths["calibration"].write_text(json.dumps({"classes": {name: entry for name in labels()[7:] if name not in skip}}))
    return paths


def merge_run(paths: dict[str, Path], count: int = 2) -> int:
    """Run the catalogue command on a run folder; `catalogue`, `fits` and `rejected` are in `paths`."""
    from resurvey import cli

    given = {"--predictions": "predictions", "--shards": "shards", "--targets": "targets", "--calibration": "calibration",
             "--models": "models", "--out": "catalogue", "--fits": "fits", "--rejected": "rejected"}  # fmt: skip
    arguments = [text for option, name in given.items() for text in (option, str(paths[name]))]
    return cli.main(["catalogue", *arguments, "--count", str(count), "--model", "gasnet2_sdss"])
