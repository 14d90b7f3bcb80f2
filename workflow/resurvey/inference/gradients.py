"""Which pixels decide class and redshift: ∂P/∂flux and ∂z/∂flux of single spectra (Zhong et al. 2024, appendix D, Fig. D1)."""

import os

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from resurvey import __version__, files
from resurvey.errors import ResurveyError
from resurvey.inference.models import Model, Trained
from resurvey.networks.build import normalise
from resurvey.networks.heads import make_head

BATCH = 64
KEPT = ("label", "spectrum_id", "z", "sn_median")  # of the examples


def derivative(group: list[Trained], kind: str, flux: Tensor, column: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Flux (batch, pixels) in any unit -> (∂value/∂x (batch, pixels), value (batch,)) of an ensemble, x the flux over its RMS.

    kind: what the head reads, `prob` (of class number `column` (batch,)) or `z`. Spectra do not know of each other, so the gradient of
    the sum over a batch holds that of each.
    """
    x = normalise(flux, "unit_rms").requires_grad_()
    head = make_head(group[0].network.spec["head"])
    with torch.enable_grad():
        outputs = torch.cat([trained.network.eval()(x) for trained in group], 1)
        value = head.read(outputs)[kind]
        if column is not None:
            value = value.gather(1, column[:, None])[:, 0]
        (slope,) = torch.autograd.grad(value.sum(), x)
    return slope, value.detach()


def gradients(model: Model, flux: np.ndarray, labels: list[str]) -> dict[str, np.ndarray]:
    """Flux (n, pixels) and true classes (n,) -> `flux` over its RMS, `p_gradient`, `z_gradient` (n, pixels) float32, `prob`, `z_pred` (n,).

    P is the probability of the true class, z that of its ensemble; NaN where the model has no such class or no ensemble.
    """
    flux = torch.from_numpy(np.require(flux, np.float32, ["C", "W"]))
    n, pixels = flux.shape
    found = {name: np.full((n, pixels), np.nan, np.float32) for name in ("p_gradient", "z_gradient")}
    found |= {name: np.full(n, np.nan) for name in ("prob", "z_pred")}
    names = np.array(labels, object)
    place = {label: number for number, label in enumerate(model.labels)}
    jobs = [("p_gradient", "prob", "prob", [model.classifier], np.flatnonzero(np.isin(names, model.labels)))]
    jobs += [
        ("z_gradient", "z_pred", "z", group, np.flatnonzero(names == label)) for label, group in model.redshift.items()
    ]
    for slope, value, kind, group, rows in jobs:
        for start in range(0, len(rows), BATCH):
            here = rows[start : start + BATCH]
            column = torch.tensor([place[name] for name in names[here]]) if kind == "prob" else None
            got = derivative(group, kind, flux[here], column)
            found[slope][here], found[value][here] = got[0].numpy(), got[1].numpy()
    return {"flux": normalise(flux, "unit_rms").numpy(), **found}


def write(model: Model, spectra: str | os.PathLike, out: str | os.PathLike) -> int:
    """Write KEPT and `gradients` of a table of spectra with `label` and `flux`; returns the rows.

    Raises ResurveyError for spectra of another grid or dataset than the model's.
    """
    meta = files.read_meta(spectra)
    about = model.classifier.about
    for key in ("grid", "dataset"):
        if meta.get(key) != about.get(key):
            raise ResurveyError(
                f"{spectra}: its {key} is {meta.get(key)}, that of {model.name} is {about.get(key)}; give spectra of its own dataset"
            )
    table = files.read_table(spectra)
    flux = np.array(table["flux"].to_pylist(), np.float32)
    found = gradients(model, flux, table["label"].to_pylist())
    columns = {name: table[name] for name in KEPT}
    for name, values in found.items():
        columns[name] = pa.array(list(values)) if values.ndim == 2 else pa.array(values, mask=~np.isfinite(values))
    keep = {key: meta.get(key) for key in ("origin", "release", "dataset", "grid")}
    ensembles = [trained for group in model.redshift.values() for trained in group]
    head = ensembles[0].about.get("head") if ensembles else None
    keep |= {"model": model.name, "head": head, "weights": model.weights(), "code_version": __version__}
    files.write_table(pa.table(columns), out, keep)
    return len(flux)
