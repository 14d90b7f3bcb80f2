"""Fig. 18: Bias against redshift for robust (σ below the validation MAE) and unstable predictions.

σ is z_std, as in the paper; for the head over bins z_err (metrics.scores.robust_column says why).
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resurvey.errors import ResurveyError
from resurvey.figures import style
from resurvey.figures.fig14_bias_snr import FLOOR, bias_axis, corner_legend, label_edges, name_line
from resurvey.figures.inputs import Inputs, absent, redshift_rows
from resurvey.metrics import redshift as rs
from resurvey.metrics.scores import robust_column, validation_mae


def data(inputs: Inputs) -> pd.DataFrame:
    """`label, z_true, z_std or z_err, bias, val_mae, robust` of every spectrum with an ensemble redshift."""
    sigma = robust_column(inputs.tidy)
    rows = redshift_rows(inputs, ["z_true", "z_pred", sigma])
    limits = {label: value for label, (value, _) in validation_mae(inputs.tidy, inputs.paper).items()}
    lost = sorted(set(rows["label"]) - limits.keys())
    if lost:
        raise ResurveyError(
            f"no validation MAE is known for {', '.join(lost)}; train again, model.json must give metrics.val_mae"
        )
    bias = rs.bias(rows["z_true"].to_numpy(float), rows["z_pred"].to_numpy(float))
    rows = rows[["spectrum_id", "label", "z_true", sigma]].assign(bias=bias, val_mae=rows["label"].map(limits))
    return rows.assign(robust=rows[sigma] < rows["val_mae"])


def draw(data: pd.DataFrame, meta: dict) -> Figure:
    """A panel per class: thresholds of Good_Frac (dashed) and validation MAE (dotted)."""
    paper = meta["paper"]
    labels = list(dict.fromkeys(data["label"]))
    fig, axes = style.panels(len(labels), 2.2)
    for index, (axis, label) in enumerate(zip(axes, labels, strict=True)):
        rows = data[data["label"] == label]
        limit, mae = paper.threshold(label), float(rows["val_mae"].iloc[0])
        for robust, tint, word in ((True, style.ROBUST, "robust"), (False, style.UNSTABLE, "unstable")):
            here = rows[rows["robust"] == robust]
            good = f", GF = {np.mean(here['bias'] < limit):.2f}" if len(here) else ""
            axis.scatter(here["z_true"], np.maximum(here["bias"], FLOOR), color=tint, **style.marker(len(rows)),
                         label=f"{word}: {len(here) / len(rows):.2f}{good}")  # fmt: skip
        bias_axis(axis, rows["bias"], limit, mae)
        axis.axhline(mae, color="0.15", lw=0.9, ls=":", zorder=3)
        name_line(axis, f"MAE = {mae:.3g}", mae, above=mae > limit, right=False)
        axis.set_title(label, loc="left", pad=3)
        corner_legend(axis)
        label_edges(axis, index, len(labels), "Bias")
    style.footer(fig, meta, absent(data, paper))
    return fig
