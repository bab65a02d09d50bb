"""Does a held-out text stand in the training text? Then a model's figures on it say how well it remembers."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Overlap:
    """What of a held-out text stands in the training text too.

    Attributes:
        share: of its runs of tokens, those that occur in the training text, in [0, 1].
        runs: how many it has.
        examples: some runs that occur in both.
    """

    share: float
    runs: int
    examples: list[tuple[Hashable, ...]]


def overlap(train: Iterable[Sequence[Hashable]], held_out: Sequence[Sequence[Hashable]], length: int = 13) -> Overlap:
    """Compare runs of tokens.

    Args:
        train: the documents of the training part as tokens, read once: words, or characters in a language that does
            not part them.
        held_out: the documents that are checked, as tokens of the same kind.
        length: tokens in a run; 13 words is what the authors of GPT-3 took.

    Returns:
        An :class:`Overlap`; its share is 0 when no document has so many tokens.

    Raises:
        ValueError: ``length`` is below 1.

    Example:
        >>> overlap(["abcdef"], ["xbcdy"], length=3).share  # one of xbc, bcd, cdy
        0.3333333333333333

    Source: Brown et al. 2020 (GPT-3), appendix C.
    """
    if length < 1:
        raise ValueError(f"length={length} must be at least 1.")

    def runs(document: Sequence[Hashable]) -> Iterable[tuple[Hashable, ...]]:
        return zip(*(document[begin:] for begin in range(length)), strict=False)

    wanted = [run for document in held_out for run in runs(document)]
    open_runs, met = set(wanted), {}
    for document in train:
        met.update((run, True) for run in runs(document) if run in open_runs)
    share = sum(run in met for run in wanted) / len(wanted) if wanted else 0.0
    return Overlap(share, len(wanted), list(met)[:5])
