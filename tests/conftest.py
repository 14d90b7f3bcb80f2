"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real survey files and published predictions (RESURVEY_SHARED, default ../shared).

    Absent: the test is skipped with the reason. Named by RESURVEY_SHARED but missing: the test fails.
    """
    named = os.environ.get("RESURVEY_SHARED")
    folder = Path(named) if named else ROOT.parent / "shared"
    if not folder.is_dir():
        assert not named, f"RESURVEY_SHARED names {folder}, which does not exist"
        pytest.skip(f"no real survey files: {folder} does not exist (set RESURVEY_SHARED)")
    return folder
