"""Shards of predictions → one catalogue: streamed shard by shard, every row accounted for, memory independent of the rows."""

import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from resurvey import __version__, files, provenance
from resurvey.catalogues.assemble import assemble, learned
from resurvey.catalogues.fits import write_fits
from resurvey.errors import ResurveyError

REJECTED = pa.schema([("spectrum_id", pa.string()), ("reason", pa.string()), ("stage", pa.string())])


def read_models(folder: str | os.PathLike, model: str, calibration: dict | None) -> list[dict]:
    """The model.json of every network of `model`: those in its own folder, and the shared ones that its calibration names."""
    homes = (calibration or {}).get("networks") or {}
    shared = [Path(folder, home, network, "model.json") for network, home in homes.items() if home != model]
    paths = sorted(Path(folder, model).rglob("model.json")) + shared
    if not paths:
        raise ResurveyError(f"{Path(folder, model)}: holds no network (model.json); train {model} first")
    return [files.read_json(path) for path in paths]


def merge(predictions, shards, targets, count, calibration, models, model, out, fits, rejected) -> dict:
    """Write the catalogue as Parquet and FITS and the table of what was rejected; returns counts.

    predictions, shards: folders of `count` numbered Parquet files; targets: the selection; calibration: path or None;
    models: folder of the networks; out, fits, rejected: paths to write. Rows come in the shards' order, within a shard by
    (plate, mjd, fiberid). Raises ResurveyError when a shard is missing, a spectrum stands twice, a spectrum is neither
    predicted nor rejected, or real and mock inputs are mixed.
    """
    names = [f"{shard:04d}" for shard in range(count)]
    calibrations = files.read_json(calibration) if calibration else None
    networks = read_models(models, model, calibrations)
    expected, seen = _expected(targets), {}
    metas = {}
    for name in names:
        for folder in (predictions, shards):
            path = Path(folder, f"{name}.parquet")
            metas[str(path)] = files.read_meta(path)
    origin = provenance.common_origin([*metas.items(), (str(targets), files.read_meta(targets))])
    schema = None
    counts = Counter()
    with files.atomic(out) as part, files.atomic(rejected) as part_rejected:
        meta = _meta(metas, files.read_meta(targets), networks, calibrations, origin, model)
        with pq.ParquetWriter(part_rejected, files.with_meta(REJECTED, meta)) as refused:
            writer = None
            for name in names:
                table = _shard(
                    Path(predictions, f"{name}.parquet"), Path(shards, f"{name}.parquet"), calibrations, networks
                )
                grid = metas[str(Path(shards, f"{name}.parquet"))].get("grid") or {}
                _unseen(table, name, seen, by_row=grid.get("scale") == "undocumented")
                lost = _rejected(Path(shards, f"{name}.rejected.parquet"))
                wanted = expected.pop(name, 0)
                if len(table) + len(lost) != wanted:
                    raise ResurveyError(
                        f"shard {name}: {wanted} targets, but {len(table)} predicted and {len(lost)} rejected; "
                        f"delete {Path(shards, name + '.parquet')} and its predictions and run again"
                    )
                if schema is None:
                    schema = files.with_meta(table.schema, meta)
                    writer = pq.ParquetWriter(part, schema, compression="zstd")
                elif not table.schema.equals(schema):
                    raise ResurveyError(
                        f"shard {name}: its predictions have other columns than shard {names[0]}; infer again"
                    )
                writer.write_table(table.cast(schema))
                refused.write_table(lost.cast(files.with_meta(REJECTED, meta)))
                counts["rows"] += len(table)
                counts["rejected"] += len(lost)
            writer.close()
        if expected:
            raise ResurveyError(f"the targets name shards beyond {names[-1]}: {', '.join(sorted(map(str, expected)))}; "
                                f"give --count {count + len(expected)}")  # fmt: skip
        write_fits(part, fits)
    return dict(counts)


def _expected(targets) -> Counter:
    """Rows per shard in the selection, read in batches."""
    counts = Counter()
    for batch in files.open_parquet(targets).iter_batches(columns=["shard"], batch_size=1 << 18):
        for entry in pc.value_counts(batch["shard"]).to_pylist():
            counts[entry["values"]] += entry["counts"]
    return counts


def _shard(predicted: Path, shard: Path, calibration: dict | None, networks: list[dict]) -> pa.Table:
    """The catalogue rows of one shard in the order of (plate, mjd, fiberid)."""
    predictions = files.read_table(predicted)
    file = files.open_parquet(shard)
    spectra = file.read([name for name in file.schema_arrow.names if name not in ("flux", "ivar")])
    if len(spectra) != len(predictions):
        raise ResurveyError(
            f"{predicted}: {len(predictions)} predictions for {len(spectra)} spectra of {shard}; delete it and infer again"
        )
    try:
        table = assemble(predictions, spectra, calibration, networks)
    except ResurveyError as error:
        raise ResurveyError(f"{predicted}: {error}") from error
    return table.sort_by([(key, "ascending") for key in ("plate", "mjd", "fiberid", "spectrum_id")])


def _unseen(table: pa.Table, name: str, seen: dict, by_row: bool) -> None:
    """Spectra are unique over all shards: unique within one (assemble), and no (plate, mjd) stands in two.

    by_row: released arrays, whose plates are spread over the shards; there each spectrum is looked at.
    """
    keys = ("spectrum_id",) if by_row else ("plate", "mjd")
    groups = set(zip(*(table[key].to_pylist() for key in keys), strict=True))
    if again := groups & seen.keys():
        group = min(again)
        what = ", ".join(f"{key} {value}" for key, value in zip(keys, group, strict=True))
        raise ResurveyError(
            f"{what} stands in shard {seen[group]} and in shard {name}: its spectra would be "
            "catalogued twice; delete both shards and make them again"
        )
    seen.update(dict.fromkeys(groups, name))


def _rejected(path: Path) -> pa.Table:
    """What a shard could not use, with the reason; no file, nothing rejected."""
    if not path.exists():
        return REJECTED.empty_table()
    table = files.read_table(path)
    columns = [
        table[n].cast(pa.string()) if n in table.column_names else pa.nulls(len(table), pa.string())
        for n in REJECTED.names
    ]
    return pa.Table.from_arrays(columns, schema=REJECTED)


def _meta(metas: dict, targets: dict, networks: list[dict], calibration: dict | None, origin: str, model: str) -> dict:
    """Provenance of the catalogue: what it was made from and with."""
    first = next(iter(metas.values()))
    ensembles = [n for n in networks if n.get("role") == "redshift" and n.get("class")]
    return {
        "origin": origin,
        "release": first.get("release") or targets.get("release"),
        "dataset": first.get("dataset") or targets.get("dataset"),
        "archive": targets.get("archive"),
        "model": model,
        "paper": networks[0].get("paper"),
        "head": next((n["head"] for n in ensembles if n.get("head")), None),
        "engine": first.get("engine"),
        "weights": {n["network"]: n.get("weights_sha256", "")[:16] for n in networks},
        "val_mae": {label: limits["val_mae"] for label, limits in learned(networks).items() if "val_mae" in limits},
        "n_train": {n["network"]: n.get("n_train") for n in networks},
        "calibration": calibration,
        "code_version": __version__,
    }
