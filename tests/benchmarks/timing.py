"""Fair timing of alternatives: they take turns in rotating order, and ratios are medians of the ratios within a round."""

import statistics
import time
from collections.abc import Callable


def compare(
    methods: dict[str, Callable[[], object]],
    rounds: int = 7,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict[str, float]]:
    """Time callables against the first one. clock: time.process_time for calculations in one thread, which others' load then
    disturbs less.

    Returns per name `seconds` (median), `low`, `high` (fastest and slowest round) and `ratio`: median over the rounds of
    its time over that of the first method in the same round (the first method's own ratio is 1).
    """
    names = list(methods)
    for _ in range(warm_up):
        for method in methods.values():
            method()
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            start = clock()
            methods[name]()
            times[name].append(clock() - start)
    first = times[names[0]]
    return {
        name: {
            "seconds": statistics.median(values),
            "low": min(values),
            "high": max(values),
            "ratio": statistics.median(value / base for value, base in zip(values, first, strict=True)),
        }
        for name, values in times.items()
    }


def show(title: str, results: dict[str, dict[str, float]], count: int = 1, unit: str = "µs") -> None:
    """Print a Markdown table: time per item (of `count` items per call), its range, and the ratio to the first method."""
    scale = {"µs": 1e6, "ms": 1e3, "s": 1.0}[unit] / count
    print(f"\n### {title}\n\n| method | {unit} (min-max) | times the first |\n|---|---|---|")
    for name, r in results.items():
        print(
            f"| {name} | {r['seconds'] * scale:.1f} ({r['low'] * scale:.1f}-{r['high'] * scale:.1f}) | {r['ratio']:.2f} |"
        )
