"""The layers of a residual network from the specification in its model.json, counted without building it (Fig. 10b of GaSNet-II)."""

import pandas as pd

from resurvey.errors import ResurveyError


def layers(spec: dict) -> pd.DataFrame:
    """One row per part of one sub-network: `part` (`block`, `dropout`, `dense`, `output`), `channels`, `pixels` after it, `parameters`.

    spec: `architecture` of model.json. Parameters are counted as Keras does, with the running statistics of BatchNorm; pixels of dense
    layers are 1. Raises ResurveyError for a network of another kind.
    """
    if spec.get("kind") != "resnet":
        raise ResurveyError(
            f"architecture: {spec.get('kind')!r} is no residual network of classes and redshifts (resnet)"
        )
    kernel, pixels, before, rows = spec["kernel"], spec["pixels"], len(spec.get("channels", ["flux"])), []
    pad = 2 * (kernel // 2) if spec["padding"] == "same" else 0

    def add(part: str, channels: int, pixels: int, parameters: int) -> None:
        rows.append({"part": part, "channels": channels, "pixels": pixels, "parameters": parameters})

    for width in spec["widths"]:
        pixels = (pixels + pad - kernel) // spec["stride"] + 1
        convolutions = (2 * before + width) * kernel * width + 3 * width  # two of the input, one of its own width
        add("block", width, pixels, convolutions + 2 * 4 * width)
        before = width
    add("dropout", before, pixels, 0)
    add("dense", spec["dense"], 1, (before * pixels + 1) * spec["dense"])
    add("output", spec["outputs"], 1, (spec["dense"] + 1) * spec["outputs"])
    return pd.DataFrame(rows)
