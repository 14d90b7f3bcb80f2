"""Arguments that several commands share: settings given as JSON, folders of numbered shards."""

import json
import os
from pathlib import Path

from resurvey import files
from resurvey.errors import ResurveyError


def read_settings(text: str) -> dict:
    """Settings from JSON text or from the path of a JSON file. Raises ResurveyError when they are neither."""
    if not text.lstrip().startswith("{"):
        return files.read_json(text)
    try:
        return json.loads(text)
    except ValueError as error:
        raise ResurveyError(f"--settings: is not JSON ({error})") from error


def shard_paths(folder: str | os.PathLike, count: int) -> list[Path]:
    """`0000.parquet` … of a folder. Raises ResurveyError naming the first that is missing."""
    paths = [Path(folder, f"{number:04d}.parquet") for number in range(count)]
    for path in paths:
        if not path.exists():
            raise ResurveyError(f"{path}: is missing; {count} shards were announced (--count)")
    return paths
