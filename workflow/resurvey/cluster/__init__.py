"""Slurm as its users see it: what is in the queue, what the partitions allow, and whether a run can be done there."""

import os

REQUESTS = "RESURVEY_REQUESTS"  # the environment's name for the file in which a dry run is to write what its jobs would ask for


def requests_file() -> str | None:
    """Where this dry run was told to write its jobs' requests; None in any other run."""
    return os.environ.get(REQUESTS)
