"""The layers of a label network from the specification in its model.json, counted without building it (Fig. 6 of astroNN)."""

import pandas as pd

from resurvey.errors import ResurveyError

KINDS = ("apogee_bcnn_censored", "apogee_bcnn")


def layers(spec: dict) -> pd.DataFrame:
    """One row per layer: `part` (`full spectrum`, `connection` or a label), `layer`, `inputs`, `outputs`, `parameters`, `dropout`
    (whether it follows the layer). `inputs` and `outputs` are numbers of values; a head's outputs are value and log-variance.

    spec: `architecture` of model.json. Raises ResurveyError for a network of another kind.
    """
    if spec.get("kind") not in KINDS:
        raise ResurveyError(f"architecture: {spec.get('kind')!r} is no network of stellar labels ({', '.join(KINDS)})")
    censored = spec["kind"] == KINDS[0]
    core = spec["full_spectrum_labels"] if censored else spec["labels"]
    rows, pixels = [], spec["pixels"]
    first, second = spec["filters"]
    pooled = second * (pixels // spec["pool"])

    def add(part: str, layer: str, inputs: int, outputs: int, parameters: int, dropout: bool = False) -> None:
        rows.append({"part": part, "layer": layer, "inputs": inputs, "outputs": outputs, "parameters": parameters, "dropout": dropout})  # fmt: skip

    def dense(part: str, layer: str, inputs: int, outputs: int, dropout: bool = False) -> None:
        add(part, layer, inputs, outputs, (inputs + 1) * outputs, dropout)

    full = "full spectrum"
    add(full, "convolution", pixels, first * pixels, first * (spec["kernel"] + 1), True)
    add(full, "convolution", first * pixels, second * pixels, second * (first * spec["kernel"] + 1))
    add(full, "max-pool", second * pixels, pooled, 0, True)
    dense(full, "dense", pooled, spec["dense"][0], True)
    dense(full, "dense", *spec["dense"])
    for label in core:
        dense(label, "head", spec["dense"][1], 2)
    if not censored:
        return pd.DataFrame(rows)
    dense("connection", "dense", spec["dense"][1], spec["connection"])
    shared = spec["connection"] + len(core)
    for label in spec["labels"]:
        if label in core:
            continue
        width = sum(stop - start for start, stop in spec["windows"][label])
        one, two = (n * times for n, times in zip(spec["mini"], spec["wide"].get(label, (1, 1)), strict=True))
        dense(label, "dense", width, one, True)
        dense(label, "dense", one, two, True)
        dense(label, "head", two + shared, 2)
    return pd.DataFrame(rows)
