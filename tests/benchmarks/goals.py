"""What is asked of our loop, and whether a run showed it."""

import statistics
from dataclasses import dataclass

from tests.benchmarks.race import PEERS, Row, fastest, ours, ratios
from tests.benchmarks.workloads import WORKLOADS, operations

OTHERS = tuple(peer for peer in PEERS if peer != "own")


@dataclass(frozen=True)
class Goal:
    """Our fastest variant is at least ``ratio`` times as fast as the fastest one of ``peers``.

    Attributes:
        workload: key of ``WORKLOADS``.
        ratio: least median of the rounds' ratios.
        peers: whose variants count; the fastest is the one to beat, whatever its precision and compiler.
        share: where given, this share of the machine's peak in the precision used will do instead.
    """

    workload: str
    ratio: float
    peers: tuple[str, ...] = OTHERS
    share: float | None = None


GOALS = (
    Goal("perceptron", 100, ("keras",)),
    Goal("lstm", 1.5, ("keras",)),
    Goal("lstm", 1.2, ("torch",)),
    Goal("gpt_small", 1.2),
    Goal("gpt", 1, share=0.8),
    Goal("bert", 1, share=0.8),
    Goal("translation", 1, share=0.8),
)


@dataclass(frozen=True)
class Verdict:
    """A goal beside what was measured; the measured parts are None where a row is missing.

    Attributes:
        rival: title of the fastest peer.
        ratio: median over the rounds.
        share: of the peak, of our fastest variant.
        met: whether the goal is reached.
    """

    goal: Goal
    rival: str | None = None
    ratio: float | None = None
    share: float | None = None
    met: bool | None = None


def judge(goal: Goal, rows: list[Row], peak: dict[str, float]) -> Verdict:
    """Hold the rows of the goal's workload against it."""
    mine, rival = ours(rows), fastest(rows, *goal.peers)
    if mine is None or rival is None:
        return Verdict(goal)
    ratio, share = statistics.median(ratios(rival, mine)), share_of_peak(goal.workload, mine, peak)
    met = ratio >= goal.ratio or (goal.share is not None and share >= goal.share)
    return Verdict(goal, rival.title, ratio, share, met)


def share_of_peak(workload: str, row: Row, peak: dict[str, float]) -> float:
    """Operations a second in matrix products, over the peak of the row's precision."""
    return operations(workload) * WORKLOADS[workload].steps / row.median / peak[row.precision]
