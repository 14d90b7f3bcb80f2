"""All networks of a model on some spectra: probabilities, redshifts and their spread, by class (Eq. 1)."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from resurvey import __version__, files
from resurvey.errors import ResurveyError
from resurvey.inference.engines import Engine, TorchEngine, make_engine, run_batches, seen_by
from resurvey.inference.models import Model, Trained
from resurvey.inference.refine import FIELDS, Refiner
from resurvey.networks.heads import make_head
from resurvey.shards.reading import iterate

PROBE = 16  # spectra on which an engine is compared with torch: enough to see a change, a second for 61 networks
BOUNDS = {"prob_max": 0.1, "dz_over_std_median": 0.1}  # what bf16 may change, against float32
ROWS = 256  # spectra in memory at a time


class Predictor:
    """A model on an engine."""

    def __init__(self, model: Model, engine: str, skip_below: float, threads: int) -> None:
        self.model, self.skip_below = model, skip_below
        self.networks = {trained.name: trained.network for trained in model.all()}
        self.shared = seen_by(self.networks.values())
        self.engine = make_engine(engine, self.networks, threads)

    def schema(self) -> pa.Schema:
        """Columns of a predictions table."""
        names = [f"prob_{label}" for label in self.model.labels]
        names += [f"{kind}_{label}" for label in self.model.redshift for kind in ("z", "z_std")]
        names += [f"z_point_{label}" for label in self.model.point]
        return pa.schema([("spectrum_id", pa.string()), *((name, pa.float32()) for name in names)])

    def predict(self, flux: np.ndarray) -> dict[str, np.ma.MaskedArray]:
        """Flux (spectra, pixels) float32 -> columns of `schema` but the ids, masked where a network was skipped.

        A network is skipped for the spectra whose probability of its class is below `skip_below`; 0 skips none.
        """
        return self._predict(flux, self.engine, self.skip_below)

    def peaks(self, flux: np.ndarray, label: str, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Redshifts and probabilities (spectra, count) of the highest peaks of a class's distribution, z NaN where there are fewer.

        Raises ResurveyError for a head that gives a number and no distribution.
        """
        group = self.model.redshift[label]
        head = make_head(group[0].network.spec["head"])
        if not hasattr(head, "peaks"):
            raise ResurveyError(
                f"{self.model.name}: {group[0].name} gives a number and no distribution whose peaks could be refined; "
                "use a model with head: bins, or leave refine out"
            )
        inputs = self.shared.inputs(torch.from_numpy(np.require(flux, np.float32, ["C", "W"])))
        outputs = torch.cat([run_batches(self.engine, trained.name, inputs) for trained in group], 1)
        z, probability = head.peaks(outputs, count)
        return z.numpy(), probability.numpy()

    def columns(self, spectrum_ids: Sequence[str], flux: np.ndarray) -> dict[str, np.ma.MaskedArray]:
        """The same for spectra with names, which classes and redshifts do not depend on."""
        return self.predict(flux)

    def opened(self, spectrum_ids: Sequence[str], flux: np.ndarray) -> dict:
        """Settle on the engine; what the metadata say of it."""
        difference = self.settle(flux)
        return {
            "precision": self.engine.precision,
            "skip_below": self.skip_below,
            "engine_difference": difference,
        }

    def _predict(self, flux: np.ndarray, engine: Engine, skip_below: float) -> dict[str, np.ma.MaskedArray]:
        inputs = self.shared.inputs(torch.from_numpy(np.require(flux, np.float32, ["C", "W"])))
        probability = self._read(engine, [self.model.classifier], inputs)["prob"]
        columns = {f"prob_{label}": np.ma.array(probability[:, i]) for i, label in enumerate(self.model.labels)}
        for prefix, groups, kinds in (
            ("z", self.model.redshift, ("z", "z_std")),
            ("z_point", self.model.point, ("z",)),
        ):
            for label, group in groups.items():
                wanted = ~(probability[:, self.model.labels.index(label)] < skip_below)
                found = self._read(engine, group, inputs[torch.from_numpy(wanted)]) if wanted.any() else {}
                for kind in kinds:
                    values = np.ma.masked_all(len(flux), np.float32)
                    if found:
                        values[wanted] = found[kind]
                    columns[f"{prefix}{kind[1:]}_{label}"] = values
        return columns

    def _read(self, engine: Engine, group: list[Trained], inputs: torch.Tensor) -> dict[str, np.ndarray]:
        """The head's numbers of one ensemble, whose members may be networks of their own."""
        head = make_head(group[0].network.spec["head"])
        outputs = torch.cat([run_batches(engine, trained.name, inputs) for trained in group], 1)
        return {name: values.numpy().astype(np.float32) for name, values in head.read(outputs).items()}

    def settle(self, flux: np.ndarray) -> dict:
        """Compare the engine with plain torch on the first of some spectra; returns the differences (see `compare`).

        An engine whose rounding goes beyond BOUNDS gives way to the same in float32.
        """
        found = self.difference(flux)
        if self.engine.precision == "bf16" and any(found.get(key, 0) > bound for key, bound in BOUNDS.items()):
            print(
                f"{self.engine.name}: bf16 changes {self.model.name} too much ({found}); float32 is used",
                file=sys.stderr,
            )
            self.engine = self.engine.in_float32(self.networks)
            found = self.difference(flux)
        return found

    def difference(self, flux: np.ndarray) -> dict:
        """How far this engine's numbers are from plain torch's on the first spectra; empty for torch itself."""
        if isinstance(self.engine, TorchEngine):
            return {}
        flux = flux[:PROBE]
        return compare(self._predict(flux, self.engine, 0), self._predict(flux, TorchEngine(self.networks), 0))


def compare(mine: dict, reference: dict) -> dict:
    """Differences of two sets of predictions: max |Δprob|, fraction of changed classes, and max and median |Δz|/(1+z) and
    median |Δz|/z_std of the most probable class where it has a redshift (that of another class means nothing)."""
    labels = [name.removeprefix("prob_") for name in reference if name.startswith("prob_")]
    a, b = (np.stack([np.ma.getdata(table[f"prob_{label}"]) for label in labels], 1) for table in (mine, reference))
    best = b.argmax(1)
    off, scale, sigma = [np.empty(0)], [np.empty(0)], [np.empty(0)]
    for index, label in enumerate(labels):
        if f"z_{label}" in reference:
            rows = best == index
            z = np.ma.getdata(reference[f"z_{label}"])[rows]
            off.append(np.abs(np.ma.getdata(mine[f"z_{label}"])[rows] - z))
            scale.append(1 + z)
            sigma.append(np.ma.getdata(reference[f"z_std_{label}"])[rows])
    off, scale, sigma = (np.concatenate(parts).astype(float) for parts in (off, scale, sigma))
    found = {
        "spectra": len(a),
        "prob_max": float(np.abs(a - b).max()),
        "class_changed": float((a.argmax(1) != best).mean()),
    }
    if len(off):
        dz, ratio = off / scale, off / np.maximum(sigma, 1e-9)
        found |= {
            "dz_max": float(dz.max()),
            "dz_median": float(np.median(dz)),
            "dz_over_std_median": float(np.median(ratio)),
        }
    return found


def predict_shard(
    shard: str | os.PathLike,
    predictor,
    homes: dict[str, str],
    out: str | os.PathLike,
    refiner: Refiner | None = None,
    templates: str | None = None,
) -> int:
    """Write the predictions of a shard by a predictor of any family (families.py); returns its rows. Memory is that of the networks
    and ROWS spectra.

    refiner: adds the columns of a fit of templates; templates: their digest, for the metadata. Raises ResurveyError when the shard's grid
    is not the networks', spectra and networks are real and mock, or spectra without errors are to be refined.
    """
    meta = files.read_meta(shard)
    _check(shard, meta, predictor.model)
    if refiner and not meta.get("ivar_known", True):
        raise ResurveyError(f"{Path(shard)}: its spectra have no errors, so χ² means nothing; leave refine out")
    schema = pa.schema([*predictor.schema(), *(FIELDS if refiner else [])])
    about = {key: meta.get(key) for key in ("origin", "release", "dataset", "archive") if meta.get(key) is not None}
    about |= {
        "model": predictor.model.name,
        "weights": predictor.model.weights(),
        "networks": homes,
        "trained_on": predictor.model.origin,
        "engine": predictor.engine.name,
        "precision": predictor.engine.precision,
        "code_version": __version__,
    } | ({"templates": templates} if templates else {})
    total, writer = 0, None
    with files.atomic(out) as part:
        for batch in iterate(shard, ROWS, ["spectrum_id", "flux", *(["ivar"] if refiner else [])]):
            names = batch.table["spectrum_id"].combine_chunks()
            if writer is None:
                about |= predictor.opened(names.to_pylist(), batch.flux)
                writer = _writer(part, schema, about)
            rows = as_table(predictor, names, batch.flux)
            if refiner:
                rows = refiner(rows, batch.flux, batch.ivar)
            writer.write_table(rows.replace_schema_metadata(writer.schema.metadata))
            total += len(batch.flux)
        (writer or _writer(part, schema, about)).close()
    return total


def as_table(predictor, names: pa.Array, flux: np.ndarray) -> pa.Table:
    """What a predictor of any family says of spectra (n, pixels) with names (n,), as rows of a predictions table."""
    columns = predictor.columns(names.to_pylist(), flux)
    arrays = [names, *(pa.array(c.data, mask=np.ma.getmaskarray(c)) for c in columns.values())]
    return pa.Table.from_arrays(arrays, schema=predictor.schema())


def _writer(path: Path, schema: pa.Schema, about: dict) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, files.with_meta(schema, about), compression="zstd", **files.CHECKSUMS)


def _check(shard: str | os.PathLike, meta: dict, model) -> None:
    if meta.get("grid") != model.grid:
        raise ResurveyError(
            f"{Path(shard)}: its grid {meta.get('grid')} is not that of the networks of {model.name}, {model.grid}; "
            "give both datasets one grid"
        )
    if meta.get("origin") == "mock" and model.origin == "real":
        raise ResurveyError(
            f"{Path(shard)}: is a mock survey, the networks of {model.name} were trained on real spectra"
        )
