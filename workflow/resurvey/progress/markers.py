"""Jobs that Snakemake started and has not seen finish: its markers in .snakemake/incomplete, one per output, with Slurm's job id."""

import base64
import binascii
import json
import os
from pathlib import Path
from typing import NamedTuple


class Marker(NamedTuple):
    """Slurm's job id, None for a job on the master's machine; when it was started [s since the epoch]."""

    job_id: str | None
    when: float


def started(root: str | os.PathLike) -> dict[str, Marker]:
    """{output: its marker}. They stay when the master is killed; then they say what it had started."""
    folder = Path(root, ".snakemake", "incomplete")
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            # Snakemake splits long names into folders that begin with @.
            parts = [part.removeprefix("@") for part in path.relative_to(folder).parts]
            try:
                output = base64.urlsafe_b64decode("".join(parts)).decode()
                job_id = json.loads(path.read_bytes()).get("external_jobid")
                found[output] = Marker(job_id, path.stat().st_mtime)
            except (OSError, ValueError, binascii.Error, AttributeError):  # finished meanwhile, or being written
                continue
    return found
