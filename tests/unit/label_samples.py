"""Made-up stars with labels, and predictions of known properties, for the tests of figures and scores of label networks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from resurvey import files
from resurvey.surveys.apogee_grid import DR13
from resurvey.surveys.apogee_labels import BY_NAME, NAMES

META = {"origin": "mock", "release": "apogee_dr14", "dataset": "apogee_dr14", "code_version": "0"}
SIGMA = {"teff": 25.0, "logg": 0.05}  # of the network at high S/N; of an abundance ABUNDANCE
ABUNDANCE = 0.02
CLUSTERS = {"M67": (14, 0.0), "NGC 6819": (20, 0.05), "M13": (23, -1.5)}  # members, [Fe/H]
ALPHA = ("o_h", "mg_h", "si_h", "s_h", "ca_h", "ti_h", "tiii_h", "al_h", "k_h")
WIDTHS = {"filters": [2, 4], "kernel": 8, "pool": 4, "dense": [192, 64], "mini": [32, 16], "connection": 2, "max_norm": 0.5,
          "dropout": 0.3, "init_std": 0.05, "l2": 5e-9, "wide": {"c_h": [8, 4], "n_h": [8, 4]},
          "full_spectrum_labels": ["teff", "logg", "fe_h"]}  # fmt: skip
PIXELS = {"c_h": 3806, "ci_h": 557, "n_h": 3776, "o_h": 505, "na_h": 13, "mg_h": 106, "al_h": 51, "si_h": 102, "p_h": 24, "s_h": 8,
          "k_h": 16, "ca_h": 19, "ti_h": 31, "tiii_h": 28, "v_h": 29, "cr_h": 46, "mn_h": 70, "co_h": 24, "ni_h": 206}  # fmt: skip


def _truth(rng: np.random.Generator, n: int, iron: np.ndarray | None = None) -> pd.DataFrame:
    """Labels of giants with a red clump, two sequences in [α/Fe], and a few dwarfs."""
    iron = np.clip(rng.normal(-0.15, 0.3, n) - rng.exponential(0.12, n), -2.3, 0.5) if iron is None else iron
    logg = np.clip(rng.gamma(6, 0.42, n), 0.5, 3.7)
    clump = rng.random(n) < 0.3
    logg[clump] = rng.normal(2.45, 0.06, clump.sum())
    teff = 3650 + 480 * logg - 330 * iron + rng.normal(0, 45, n)
    dwarf = rng.random(n) < 0.06
    logg[dwarf], teff[dwarf] = rng.normal(4.55, 0.08, dwarf.sum()), rng.uniform(4200, 5400, dwarf.sum())
    high = rng.random(n) < np.where(iron < -0.25, 0.6, 0.12)
    alpha = np.where(high, np.clip(0.12 - 0.25 * iron, 0.08, 0.28), np.clip(-0.12 * iron, -0.03, 0.12))
    table = {"teff": np.clip(teff, 4010, 5490), "logg": logg, "fe_h": iron}
    for name in NAMES[2:]:
        if name != "fe_h":
            table[name] = iron + (alpha if name in ALPHA else 0.05 * rng.standard_normal(n)) + rng.normal(0, 0.015, n)
    return pd.DataFrame(table)[list(NAMES)]


def stars(n: int = 700, seed: int = 1) -> pd.DataFrame:
    """Combined spectra: train, valid, test and others with split null, and the members of three clusters, true labels of all."""
    rng = np.random.default_rng(seed)
    truth = _truth(rng, n)
    table = truth.assign(split=rng.choice(["train", "valid", "test", None], n, p=[0.4, 0.05, 0.3, 0.25]), cluster=None)
    parts = [table]
    for cluster, (members, iron) in CLUSTERS.items():
        part = _truth(rng, members, np.full(members, iron))
        part["logg"] = np.clip(rng.normal(2.3, 0.5, members), 0.6, 3.4)
        part["teff"] = np.clip(3650 + 480 * part["logg"] - 330 * iron, 4010, 5490)
        if cluster == "M13":
            spread = rng.uniform(-0.35, 0.9, members)
            part["al_h"], part["mg_h"] = iron + spread, iron + 0.15 - 0.08 * spread
        parts.append(part.assign(split=None, cluster=cluster))
    table = pd.concat(parts, ignore_index=True)
    number = np.arange(len(table))
    split = table["split"]
    sn = np.where(split.isin(["train", "valid"]), rng.gamma(4, 45, len(table)) + 200, rng.uniform(100, 200, len(table)))
    other = (split.isna() & table["cluster"].isna()).to_numpy()
    sn[other] = rng.uniform(40, 320, other.sum())
    return table.assign(
        apogee_id=[f"2M{k:08d}+{k % 9999:07d}" for k in number],
        location_id=4100 + number % 40,
        visit=0,
        sn_median=sn.astype(np.float32),
        nvisits=rng.integers(1, 5, len(table)),
        starflag=0,
        aspcapflag=0,
        vscatter=rng.uniform(0, 0.4, len(table)).astype(np.float32),
    )


def spectrum_ids(table: pd.DataFrame) -> list[str]:
    return [
        f"{row.location_id}-{row.apogee_id}" + (f"-v{row.visit:02d}" if row.visit else "") for row in table.itertuples()
    ]


def surveyed(table: pd.DataFrame, seed: int = 2) -> pd.DataFrame:
    """{label}, {label}_err as the survey gives them: noise that falls with S/N, none for log g of dwarfs, some missing."""
    rng = np.random.default_rng(seed)
    found, scale = {}, np.clip(100 / table["sn_median"].to_numpy(float), 0.3, 3)[:, None]
    noise = rng.standard_normal((len(table), len(NAMES))) * scale
    for k, name in enumerate(NAMES):
        size = 1.2 * SIGMA.get(name, ABUNDANCE)
        values = table[name].to_numpy(float) + size * noise[:, k]
        missing = rng.random(len(table)) < (0.02 if k > 1 else 0)
        missing |= (name == "logg") & (table["logg"].to_numpy() > 4)
        found[name] = np.where(missing, np.nan, values).astype(np.float32)
        found[f"{name}_err"] = np.where(missing, np.nan, size).astype(np.float32)
    return pd.DataFrame(found)


def predicted(table: pd.DataFrame, seed: int = 3, factor: float = 1.0) -> pd.DataFrame:
    """The tidy table's columns of the network: truth and noise, with uncertainties that fit it; dwarfs have a large one in log g."""
    rng = np.random.default_rng(seed)
    scale = factor * np.sqrt(0.4 + (60 / np.clip(table["sn_median"].to_numpy(float), 5, None)) ** 2)
    poor = 1 + 2 * np.clip(-0.8 - table["fe_h"].to_numpy(), 0, 1)
    found, dwarf = {}, table["logg"].to_numpy() > 4
    for name in NAMES:
        total = SIGMA.get(name, ABUNDANCE) * scale * poor * rng.uniform(0.9, 1.1, len(table))
        if name == "logg":
            total = np.where(dwarf, 0.5, total)
        values = table[name].to_numpy(float) + total * rng.standard_normal(len(table))
        if name == "logg":
            values = np.where(dwarf, 3.1 + 0.3 * rng.standard_normal(len(table)), values)
        found[f"{name}_pred"] = values
        found[f"{name}_model"], found[f"{name}_predictive"] = 0.6 * total, 0.8 * total
        found[f"{name}_total"] = total
    return pd.DataFrame(found).astype(np.float32)


def tidy(combined: pd.DataFrame, survey: pd.DataFrame, seed: int = 4, factor: float = 1.0) -> pd.DataFrame:
    """The tidy table: combined spectra of test, validation, clusters and others, and visits of the stars of test and training."""
    rng = np.random.default_rng(seed)
    labels = survey.rename(columns={n: f"{n}_true" for n in NAMES} | {f"{n}_err": f"{n}_true_err" for n in NAMES})
    whole = pd.concat([combined, labels], axis=1)
    rows = [whole[whole["split"].ne("train")]]
    for source, split in (("test", "test_visits"), ("train", "train_visits")):
        own = whole[whole["split"] == source]
        for visit in range(1, 4):
            part = own[own["nvisits"] >= visit].assign(visit=visit, split=split)
            rows.append(part.assign(sn_median=(part["sn_median"] * rng.uniform(0.15, 0.7, len(part))).astype(np.float32)))  # fmt: skip
    table = pd.concat(rows, ignore_index=True)
    network = predicted(table, seed, factor)
    keep = ["apogee_id", "location_id", "visit", "split", "cluster", "sn_median", "starflag", "aspcapflag", "vscatter"]
    keep += [name for name in table if name.startswith("cannon_")]
    keep += [column for name in NAMES for column in (f"{name}_true", f"{name}_true_err")]
    columns = {"spectrum_id": spectrum_ids(table), **{name: table[name] for name in keep}, "flags": 0}
    return pd.concat([pd.DataFrame(columns), network], axis=1)


def windows() -> dict[str, list[list[int]]]:
    """Pixel runs per element with the published numbers of pixels, at places of their own."""
    found = {}
    for number, (label, n) in enumerate(PIXELS.items()):
        runs = max(1, min(6, n // 8))
        each = n // runs
        starts = (np.arange(runs) * (7514 - 4000) // runs + 31 * number) if n < 3000 else np.arange(runs) * (each + 300)
        sizes = [each] * (runs - 1) + [n - each * (runs - 1)]
        found[label] = [[int(start), int(start) + size] for start, size in zip(starts, sizes, strict=True)]
    return found


def network(folder: Path, kind: str = "apogee_bcnn_censored", epochs: int = 12) -> Path:
    """A folder with model.json and history.csv; no weights."""
    spec = {
        **WIDTHS,
        "kind": kind,
        "pixels": 7514,
        "labels": list(NAMES),
        "head": {"kind": "censored"},
        "windows": windows(),
    }
    if kind == "apogee_bcnn":
        for key in ("windows", "mini", "wide", "connection", "max_norm", "full_spectrum_labels"):
            del spec[key]
        spec["dense"] = [256, 128]
    about = {**META, "model": "astronn_censored", "network": "bcnn_censored", "role": "labels",
        "head": "censored", "classes": None, "labels": list(NAMES),
             "architecture": spec, "grid": DR13.meta(), "n_train": 300, "n_valid": 40, "parameters": 3499122}  # fmt: skip
    files.write_json(about, folder / "model.json")
    epoch = np.arange(epochs)
    loss = -1.37 + 1.1 * np.exp(-epoch / 4)
    history = pd.DataFrame({"epoch": epoch, "loss": loss, "mae": 0.14 + 0.25 * np.exp(-epoch / 4), "val_loss": loss - 0.02,
                            "val_mae": 0.13 + 0.2 * np.exp(-epoch / 3), "lr": 5e-4 * 0.5 ** (epoch // 5), "seconds": 1.0})  # fmt: skip
    history.to_csv(folder / "history.csv", index=False)
    return folder


def sensitivity(seed: int = 5) -> pd.DataFrame:
    """Derivatives of [Mg/H] and log g, large in some windows, of metal-poor and metal-rich stars."""
    rng = np.random.default_rng(seed)
    parts = []
    for label in ("mg_h", "logg"):
        inside = np.zeros(DR13.pixels, bool)
        for start, stop in windows()["mg_h" if label == "mg_h" else "o_h"]:
            inside[start:stop] = True
        for group, n, size in (("metal_poor", 14, 0.6), ("metal_rich", 37, 1.0)):
            values = rng.normal(0, 0.0015, DR13.pixels) - size * inside * np.abs(rng.normal(0, 0.02, DR13.pixels))
            parts.append(pd.DataFrame({"group": group, "label": label, "pixel": np.arange(DR13.pixels), "mean": values, "mean_abs": np.abs(values), "stars": n}))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def star(seed: int = 6) -> pa.Table:
    """One star's flux in two normalisations."""
    rng = np.random.default_rng(seed)
    depth = np.zeros(DR13.pixels)
    for place in rng.integers(0, DR13.pixels, 350):
        depth += rng.exponential(0.09) * np.exp(-0.5 * ((np.arange(DR13.pixels) - place) / 4) ** 2)
    ours = np.exp(-depth) + rng.normal(0, 0.004, DR13.pixels)
    shape = np.concatenate([0.02 + 0.008 * np.polynomial.chebyshev.chebval(np.linspace(-1, 1, part.stop - part.start), [0, 0.4, 1, 0.3]) for part in DR13.slices])  # fmt: skip
    ivar = np.where(rng.random(DR13.pixels) < 0.02, 0, 6e4)
    kind = pa.list_(pa.float32(), DR13.pixels)
    flux = np.stack([ours, ours - shape]).astype(np.float32)
    return pa.table(
        {
            "spectrum_id": ["4101-2M19060637+4717296"] * 2,
            "dataset": ["apogee_dr14", "apogee_dr14_aspcap"],
            "method": ["chebyshev", "aspcap"],
            "sn_median": pa.array([340.0, 340.0], pa.float32()),
            "flux": pa.FixedSizeListArray.from_arrays(flux.ravel(), type=kind),
            "ivar": pa.FixedSizeListArray.from_arrays(np.tile(ivar, 2).astype(np.float32), type=kind),
        }
    )


def extras(folder: Path, isochrones: bool = True) -> Path:
    """extras.json with windows and, where wanted, isochrones."""
    rows = [
        (BY_NAME[label].window, pixel) for label, runs in windows().items() for run in runs for pixel in range(*run)
    ]
    pd.DataFrame(rows, columns=["element", "pixel"]).to_csv(folder / "windows.csv", index=False)
    tables = {"windows": {"path": "windows.csv", "rows": len(rows)}}
    if isochrones:
        logg = np.linspace(4.6, 0.3, 60)
        lines = [pd.DataFrame({"mh": mh, "teff": np.where(logg > 3.8, 6300 - 900 * (4.6 - logg), 3650 + 480 * logg - 330 * mh), "logg": logg}) for mh in (0.25, -0.25, -0.75, -1.75)]  # fmt: skip
        pd.concat(lines).to_csv(folder / "isochrones.csv", index=False)
        tables["isochrones"] = {"path": "isochrones.csv", "rows": 240}
    else:
        tables["isochrones"] = {"path": None, "reason": "the mock survey has none"}
    files.write_json({"origin": "mock", "release": "apogee_dr14", "tables": tables}, folder / "extras.json")
    return folder / "extras.json"


def write(folder: Path, n: int = 700) -> dict[str, Path]:
    """Every kind of input of the figures of label networks, by the names of figures/kinds.py."""
    combined = stars(n)
    survey = surveyed(combined)
    rng = np.random.default_rng(9)
    for name in ("teff", "logg", "fe_h", "al_h"):
        size = 0.8 * SIGMA.get(name, ABUNDANCE)
        combined[f"cannon_{name}"] = (combined[name] + rng.normal(0, size, len(combined))).astype(np.float32)
    first = pd.concat([combined.drop(columns=list(NAMES)), survey], axis=1)
    targets = first[first["split"].notna() | first["cluster"].notna()].assign(shard="0000")
    targets.insert(0, "spectrum_id", spectrum_ids(targets))
    tables = {"label_targets": targets, "sensitivity": sensitivity()}
    tables |= {"label_table": tidy(combined, survey), "uncensored": tidy(combined, survey, 8, 1.3)}
    models = {"label_table": "astronn_censored", "uncensored": "astronn_uncensored", "sensitivity": "astronn_censored"}
    paths = {}
    for name, table in tables.items():
        paths[name] = folder / f"{name}.parquet"
        meta = {**META, **({"model": models[name]} if name in models else {}), **({"grid": DR13.meta()} if name == "sensitivity" else {})}  # fmt: skip
        files.write_table(pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None), paths[name], meta)  # fmt: skip
    paths["star"] = folder / "example_star.parquet"
    files.write_table(star(), paths["star"], {**META, "grid": DR13.meta()})
    paths["histories"] = network(folder / "models" / "astronn_censored" / "bcnn_censored")
    paths["extras"] = extras(folder)
    return paths
