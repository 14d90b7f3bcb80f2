"""Settings: config.yaml, the preset under it, and the release, dataset and paper files that they name, checked and put together.

Everything is checked before any job: an unknown key names its file, its place and the nearest valid key.
"""

from resurvey.settings.checking import PIXELS
from resurvey.settings.models import predicts_labels
from resurvey.settings.reading import WORKFLOW, available, from_command_line, nearest, overlay, read_yaml, validate
from resurvey.settings.resolving import load, resolve, schema_of

__all__ = [
    "PIXELS",
    "WORKFLOW",
    "available",
    "from_command_line",
    "load",
    "nearest",
    "overlay",
    "predicts_labels",
    "read_yaml",
    "resolve",
    "schema_of",
    "validate",
]
