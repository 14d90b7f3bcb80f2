"""Arguments that several commands share: folders of numbered shards."""

import os
from pathlib import Path

from resurvey.errors import ResurveyError


def shard_paths(folder: str | os.PathLike, count: int) -> list[Path]:
    """`0000.parquet` … of a folder. Raises ResurveyError naming the first that is missing."""
    paths = [Path(folder, f"{number:04d}.parquet") for number in range(count)]
    for path in paths:
        if not path.exists():
            raise ResurveyError(f"{path}: is missing; {count} shards were announced (--count)")
    return paths
