"""When a stage will be through, from the times at which its outputs were finished."""

from collections.abc import Iterable

ENOUGH = 20  # finished jobs that a rate is taken from, or four times those that run at once if these are more
SILENCE = 600.0  # seconds without a finished job after which there is no estimate, if ten typical gaps are shorter


def seconds_left(finished: Iterable[float], left: int, running: int, now: float) -> tuple[float, str] | None:
    """(seconds until `left` more are finished, what that is from); None where too few finished, or none recently.

    finished: times [s since the epoch] of this workflow's jobs of the stage. Jobs that started together end together, so more must
    have finished than run at once before their spacing says anything.
    """
    times = sorted(finished)[-max(ENOUGH, 4 * running) :]
    if not running or not left or len(times) < max(3, running + 1):
        return None
    span = max(now - times[0], 1.0)
    gap = span / (len(times) - 1)
    if now - times[-1] > max(SILENCE, 10 * (times[-1] - times[0]) / (len(times) - 1)):
        return None
    return left * gap, f"{len(times) - 1} finished in the last {duration(span)}"


def duration(seconds: float) -> str:
    """`0.3 s`, `40 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    if seconds < 90:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 36:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
