"""Measured comparisons, side by side in one run: ``python -m tests.benchmarks lstm`` or ``loop``. Not run by pytest."""

import statistics
import time
from collections.abc import Callable


def interleaved(title: str, candidates: dict[str, Callable[[], object]], rounds: int) -> str:
    """Time the candidates in turn, so that whatever else the machine does meets all of them.

    Args:
        title: what one call does.
        candidates: name to a function that does the work and waits for its end.
        rounds: timed calls of each; the first call, which compiles, is counted apart.

    Returns:
        A Markdown table: seconds of the first call, then median, smallest and largest milliseconds of the others.
    """
    first = {name: seconds(work) for name, work in candidates.items()}
    later: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, work in candidates.items():
            later[name].append(1000 * seconds(work))
    lines = [
        f"### {title}",
        "",
        f"| | first call, s | median of {rounds}, ms | from | to |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, times in later.items():
        lines.append(
            f"| {name} | {first[name]:.1f} | {statistics.median(times):.1f} | {min(times):.1f} | {max(times):.1f} |"
        )
    return "\n".join([*lines, ""])


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
