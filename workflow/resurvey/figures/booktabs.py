"""A table drawn as a figure: rules above and below, numbers aligned, no boxes."""

import pandas as pd
from matplotlib.figure import Figure

from resurvey.figures import style

ROW = 0.19  # inch


def draw(table: pd.DataFrame, meta: dict, widths: list[float], left_columns: int = 1) -> Figure:
    """Draw the cells as they are (strings); `widths` in inch per column, the first `left_columns` columns left-aligned."""
    height = ROW * (len(table) + 2) + 0.35
    fig = style.figure(sum(widths) + 0.2, height)
    axis = fig.subplots()
    axis.set_axis_off()
    axis.set_xlim(0, sum(widths))
    axis.set_ylim(-(len(table) + 0.6), 1.4)
    edges = [sum(widths[:i]) for i in range(len(widths) + 1)]
    for place, cells in (
        (0.35, list(table.columns)),
        *((-i - 0.85, list(row)) for i, row in enumerate(table.to_numpy())),
    ):
        for i, cell in enumerate(cells):
            left = i < left_columns
            axis.text(
                edges[i] + 0.03 if left else edges[i + 1] - 0.05,
                place,
                str(cell),
                ha="left" if left else "right",
                va="center",
                fontsize=8,
            )
    for place, weight in ((1.1, 1.1), (-0.3, 0.6), (-len(table) - 0.45, 1.1)):
        axis.plot([0, sum(widths)], [place, place], color="0.1", lw=weight, clip_on=False)
    style.footer(fig, meta)
    return fig
