"""What a benchmark found, for the final table of run.py: quantities with their goals, and which of them must hold."""

import json
import os
import sys
from collections.abc import Callable

TARGET = "RESURVEY_BENCH_RECORD"  # file that run.py wants the rows in; unset: they are only printed
UNAVAILABLE = 75  # exit code of a benchmark whose peer or data are not there (EX_TEMPFAIL)


class Unavailable(Exception):
    """A benchmark cannot be had here: says what is missing and what to set or run."""


def row(
    quantity: str,
    value: float,
    form: str = "{:.1f}",
    at_least: float | None = None,
    at_most: float | None = None,
    check: bool = False,
) -> dict:
    """One line of the final table. `form` shows value and goal with their unit, e.g. "{:.1f} s"; without braces it is
    itself what is shown.

    A goal is `at_least` or `at_most`; with `check` it is about correctness, and missing it fails the whole run. Speed
    never does: a slow machine is not a fault.
    """
    goal, reached = "", None
    if at_least is not None:
        goal, reached = "≥ " + form.format(at_least), value >= at_least
    if at_most is not None:
        goal, reached = "≤ " + form.format(at_most), value <= at_most
    return {
        "quantity": quantity,
        "value": float(value),
        "shown": form.format(value),
        "goal": goal,
        "reached": None if reached is None else bool(reached),
        "check": check,
    }


def record(quantity: str, value: float, *args, **goal) -> None:
    """Print a quantity beside its goal and leave it to run.py; arguments as for row()."""
    found = row(quantity, value, *args, **goal)
    beside = f" (goal {found['goal']}{': missed' if found['reached'] is False else ''})" if found["goal"] else ""
    print(f"{quantity}: {found['shown']}{beside}")
    if os.environ.get(TARGET):
        with open(os.environ[TARGET], "a") as handle:
            handle.write(json.dumps(found) + "\n")


def start(main: Callable[[], None]) -> None:
    """Run a benchmark's main(); what is not there is said in one line, with an exit code that run.py knows."""
    try:
        main()
    except Unavailable as missing:
        print(missing, file=sys.stderr)
        sys.exit(UNAVAILABLE)
