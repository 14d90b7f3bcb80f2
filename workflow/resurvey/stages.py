"""Who does a stage's work for a survey: the one table that a new survey adds a column to. Modules are imported when asked for."""

import importlib
from collections.abc import Callable

from resurvey.errors import ResurveyError

STAGES = {
    "catalogue": {
        "sdss": "archive.catalogue:fetch_sdss",
        "apogee": "archive.catalogue:fetch_apogee",
        "desi": "archive.catalogue:fetch_desi",
        "fourmost": "archive.catalogue:fetch_fourmost",
        "template": "archive.catalogue:fetch_template",
    },
    "targets": {
        "sdss": "targets.build:build",
        "apogee": "targets.apogee:build",
        "desi": "targets.desi:build",
        "fourmost": "targets.build:build",
        "template": "targets.build:build",
    },
    "plan": {
        "sdss": "archive.plan:make",
        "apogee": "archive.plan_stars:make",
        "desi": "archive.plan_healpix:make",
        "fourmost": "archive.plan_fields:make",
        "template": "archive.plan_fields:make",
    },
    "estimate": {
        "sdss": "archive.plan:estimate",
        "apogee": "archive.plan_stars:estimate",
        "desi": "archive.plan_healpix:estimate",
        "fourmost": "archive.plan_fields:estimate",
        "template": "archive.plan_fields:estimate",
    },
    "mock_spectra": {
        "sdss": "archive.plan:mock_spectra",
        "apogee": "archive.plan_stars:mock_spectra",
        "desi": "archive.plan_healpix:mock_spectra",
        "fourmost": "archive.plan_fields:mock_spectra",
        "template": "archive.plan_fields:mock_spectra",
    },
    "mock": {
        "sdss": "archive.mock_sdss:build",
        "apogee": "archive.mock_apogee:build",
        "desi": "archive.mock_desi:build",
        "fourmost": "archive.mock_fourmost:build",
        "template": "archive.mock_template:build",
    },
}


def worker(stage: str, survey: str) -> Callable:
    """The function that does `stage` for a survey. Raises ResurveyError for a survey that has none."""
    try:
        module, _, name = STAGES[stage][survey].partition(":")
    except KeyError:
        raise ResurveyError(f"survey {survey!r} has no {stage}; it is for {', '.join(sorted(STAGES[stage]))}") from None
    return getattr(importlib.import_module(f"resurvey.{module}"), name)
