"""The pixels in which an element's lines lie, out of a table of windows."""

import csv
import os
from collections.abc import Sequence

from resurvey.errors import ResurveyError


def read_windows(path: str | os.PathLike, labels: Sequence[str]) -> dict[str, list[list[int]]]:
    """{label: runs of pixels [start, stop)} from a CSV with the columns `element` and `pixel`.

    The window of the element X is that of the label x_h. Raises ResurveyError for a file that is not one, or lacks a label's window.
    """
    found: dict[str, set[int]] = {}
    try:
        with open(path, newline="") as handle:
            table = csv.DictReader(handle)
            if not {"element", "pixel"} <= set(table.fieldnames or []):
                raise ResurveyError(f"{path}: is no table of windows with the columns element, pixel")
            for row in table:
                found.setdefault(f"{row['element'].lower()}_h", set()).add(int(row["pixel"]))
    except OSError as error:
        raise ResurveyError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (csv.Error, TypeError, ValueError, AttributeError) as error:
        raise ResurveyError(f"{path}: is no table of windows with the columns element, pixel ({error})") from error
    missing = [label for label in labels if label not in found]
    if missing:
        raise ResurveyError(
            f"{path}: has no window for {', '.join(missing)}; add such labels to architecture.full_spectrum_labels"
        )
    return {label: runs(sorted(found[label])) for label in labels}


def runs(pixels: Sequence[int]) -> list[list[int]]:
    """Half-open runs of ascending pixel numbers."""
    made: list[list[int]] = []
    for pixel in pixels:
        if made and made[-1][1] == pixel:
            made[-1][1] = pixel + 1
        else:
            made.append([pixel, pixel + 1])
    return made
