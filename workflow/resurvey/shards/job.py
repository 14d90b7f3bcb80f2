"""What the builder of a survey's shards is given, and what is never a matter of a single row."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from resurvey.errors import ResurveyError


class MixedOrigin(ResurveyError):
    """Real and mock files in one shard: never a matter of a single row."""


@dataclass(frozen=True)
class Job:
    """One shard to write: the rows of its targets, the manifest of its downloads below `raw`, the settings {dataset, release,
    extras}, the shard's metadata so far (origin, release, dataset, shard, code_version), and the two files to write."""

    rows: pa.Table
    manifest: pa.Table
    raw: Path
    settings: dict
    meta: dict
    out: Path
    rejected: Path

    @property
    def dataset(self) -> dict:
        """The dataset's settings."""
        return self.settings["dataset"]

    def require_origin(self, spectrum_id: str, found: str) -> None:
        """Raises MixedOrigin where a file is real and the targets are mock, or the other way round."""
        if found != self.meta["origin"]:
            raise MixedOrigin(
                f"{spectrum_id}: its file is {found}, the targets are {self.meta['origin']}; "
                "real and mock files must not stand in one archive folder"
            )
