"""Shards of predictions → one catalogue in the order of its key: streamed, every row accounted for, memory independent of the rows."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from resurvey import __version__, files, provenance
from resurvey.catalogues.account import REJECTED, Shard, account
from resurvey.catalogues.fits import write_fits
from resurvey.catalogues.kinds import Kind, kind_of
from resurvey.catalogues.ordered import Run, in_order, limited, merged
from resurvey.errors import ResurveyError

ROWS_PER_GROUP = 1 << 15  # of the catalogue: the rows that are in memory, and few enough groups for a short footer
SECONDS = "seconds_per_star"  # {with_dropout, without_dropout}: what Monte Carlo predictions say of their cost
INFERENCE = ("passes", "variance", SECONDS, "templates")  # what predictions say of how they were made
ORIGIN_SHARD = "_shard"  # column that says of a row which shard it is from, while it is merged


def read_models(folder: str | os.PathLike, model: str, calibration: dict | None) -> list[dict]:
    """The model.json of every network of `model`: those in its own folder, and the shared ones that its calibration names."""
    homes = (calibration or {}).get("networks") or {}
    shared = [Path(folder, home, network, "model.json") for network, home in homes.items() if home != model]
    paths = sorted(Path(folder, model).rglob("model.json")) + shared
    if not paths:
        raise ResurveyError(f"{Path(folder, model)}: holds no network (model.json); train {model} first")
    return [files.read_json(path) for path in paths]


def merge(predictions, shards, targets, count, calibration, models, model, out, fits, rejected) -> dict:
    """Write the catalogue as Parquet and FITS and the table of what was rejected; returns counts {rows, rejected}.

    predictions, shards: folders of `count` numbered Parquet files; targets: the selection; calibration: path or None;
    models: folder of the networks; out, fits, rejected: paths to write. Rows come by ascending key of their kind (kinds.py), whatever the order
    of the shards. Raises ResurveyError when a shard is missing, a spectrum stands twice or is neither predicted nor rejected
    (the spectrum is named), when predictions have different columns, networks or templates, or real and mock inputs are mixed.
    """
    calibrations = files.read_json(calibration) if calibration else None
    networks = read_models(models, model, calibrations)
    kind = kind_of(networks)
    first, schema = _about(predictions, shards, targets, count, kind)
    meta = _meta(first, files.read_meta(targets), networks, calibrations, model, kind)
    total = refused = 0
    with (
        files.atomic(out) as part,
        files.atomic(rejected) as part_rejected,
        tempfile.TemporaryDirectory(dir=part.parent, prefix=".merge.") as scratch,
    ):
        runs = []
        with pq.ParquetWriter(part_rejected, files.with_meta(REJECTED, meta), **files.CHECKSUMS) as writer:
            for shard in account(predictions, shards, targets, count, kind.key_schema()):
                writer.write_table(shard.rejected)
                refused += len(shard.rejected)
                total += shard.rows
                if shard.rows:
                    runs.append(_run(shard, calibrations, networks, kind))
        rows = _unique(merged(limited(runs, scratch, kind.key), kind.key), shards, kind.key)
        written = _write(rows, part, files.with_meta(schema, meta), kind.key)
        if written != total:
            raise RuntimeError(f"{out}: {written} rows were written of {total}")
        write_fits(part, fits)
    return {"rows": total, "rejected": refused}


def _about(predictions, shards, targets, count: int, kind: Kind) -> tuple[dict, pa.Schema]:
    """The metadata of the first predictions, and the catalogue's schema; its columns are those of all shards."""
    first = names = schema = None
    timed: list[tuple[int, dict]] = []
    for number in range(count):
        predicted, shard = (Path(folder, f"{number:04d}.parquet") for folder in (predictions, shards))
        file = files.open_parquet(predicted)
        meta = files.read_meta(predicted)
        if first is None:
            first, names, start = meta, file.schema_arrow.names, str(predicted)
            schema = kind.schema(names, files.open_parquet(shard).schema_arrow.names)
        found = [(str(predicted), meta), (str(shard), files.read_meta(shard)), (str(targets), files.read_meta(targets))]
        provenance.common_origin([(start, first), *found])
        if file.schema_arrow.names != names:
            raise ResurveyError(
                f"{predicted}: has other columns than {start}; delete the older of them and infer again"
            )
        if meta.get(SECONDS) and file.metadata.num_rows:
            timed.append((file.metadata.num_rows, meta[SECONDS]))
        if meta.get("weights") != first.get("weights"):
            raise ResurveyError(f"{predicted}: was predicted by other networks than {start}; delete it and infer again")
        if meta.get("templates") != first.get("templates"):
            raise ResurveyError(f"{predicted}: was refined by other templates than {start}; delete it and infer again")
    if first is None:
        raise ResurveyError("--count 0: a catalogue needs at least one shard")
    return {**first, **_mean_seconds(timed)}, schema


def _mean_seconds(timed: list[tuple[int, dict]]) -> dict:
    """{SECONDS: {way: seconds}} over the spectra of all shards, from (rows, {way: seconds}) of each; {} where none was timed."""
    if not timed:
        return {}
    ways = set.intersection(*(set(seconds) for _, seconds in timed))
    total = sum(rows for rows, _ in timed)
    return {SECONDS: {way: sum(rows * seconds[way] for rows, seconds in timed) / total for way in sorted(ways)}}


def _run(shard: Shard, calibration: dict | None, networks: list[dict], kind: Kind) -> Run:
    """The catalogue rows of a shard, read when the merge comes to them."""

    def pieces() -> Iterator[pa.Table]:
        file = files.open_parquet(shard.shard)
        columns = [name for name in file.schema_arrow.names if name not in ("flux", "ivar")]
        with files.reading(shard.shard):
            spectra = file.read(columns, use_threads=False)
        try:
            table = kind.assemble(files.read_table(shard.predictions), spectra, calibration, networks)
        except ResurveyError as error:
            raise ResurveyError(f"{shard.predictions}: {error}") from error
        yield in_order(table.append_column(ORIGIN_SHARD, pa.repeat(pa.scalar(shard.name), len(table))), kind.key)

    return Run(shard.first, shard.last, pieces)


def _unique(tables: Iterable[pa.Table], shards, key: tuple[str, ...]) -> Iterator[pa.Table]:
    """The tables as they come. Raises ResurveyError naming a key that two neighbouring rows share."""
    before = None
    for table in tables:
        keys = table.select([*key, ORIGIN_SHARD])
        if before is not None:
            keys = pa.concat_tables([before, keys])
        same = pc.equal(keys["spectrum_id"].slice(1), keys["spectrum_id"].slice(0, len(keys) - 1))
        if pc.any(same).as_py():
            row = pc.index(same, True).as_py()
            one, two = sorted(keys[ORIGIN_SHARD].slice(row, 2).to_pylist())
            raise ResurveyError(
                f"spectrum_id {keys['spectrum_id'][row]} stands in shard {one} and in shard {two} of {shards}: it would be "
                "catalogued twice; delete both shards and make them again"
            )
        before = keys.slice(len(keys) - 1)
        yield table.drop_columns([ORIGIN_SHARD])


def _write(tables: Iterable[pa.Table], path: Path, schema: pa.Schema, key: tuple[str, ...]) -> int:
    """Write the tables as one Parquet file, in row groups of equal size; returns the rows."""
    order = pq.SortingColumn.from_ordering(schema, [(name, "ascending") for name in key], null_placement="at_start")
    pending, waiting, total = [], 0, 0
    with pq.ParquetWriter(path, schema, compression="zstd", sorting_columns=order, **files.CHECKSUMS) as writer:
        for table in tables:
            pending.append(table)
            waiting += len(table)
            total += len(table)
            while waiting >= ROWS_PER_GROUP:
                together = pa.concat_tables(pending)
                writer.write_table(together.slice(0, ROWS_PER_GROUP).cast(schema), ROWS_PER_GROUP)
                pending = [together.slice(ROWS_PER_GROUP)]
                waiting -= ROWS_PER_GROUP
        if waiting or not total:
            writer.write_table(
                pa.concat_tables(pending).cast(schema) if pending else schema.empty_table(), ROWS_PER_GROUP
            )
    return total


def _meta(first: dict, targets: dict, networks: list[dict], calibration: dict | None, model: str, kind: Kind) -> dict:
    """Provenance of the catalogue: what it was made from and with."""
    return {
        "origin": first["origin"],
        "release": first.get("release") or targets.get("release"),
        "dataset": first.get("dataset") or targets.get("dataset"),
        "archive": targets.get("archive"),
        "model": model,
        "paper": networks[0].get("paper"),
        "head": None,
        "engine": first.get("engine"),
        "weights": {n["network"]: n.get("weights_sha256", "")[:16] for n in networks},
        **kind.about(networks),
        "n_train": {n["network"]: n.get("n_train") for n in networks},
        "calibration": calibration,
        "order": list(kind.key),
        **{name: first[name] for name in INFERENCE if name in first},
        "code_version": __version__,
    }
