"""How varied are generated texts, and how often do they repeat themselves? Texts are tokens: words or characters."""

from collections.abc import Hashable, Sequence

Tokens = Sequence[Hashable]


def distinct(texts: Sequence[Tokens], n: int = 2) -> float:
    """Different runs of n tokens over all runs of n tokens, in [0, 1]: 1 when none occurs twice.

    It falls with the length of the texts, so compare texts of one length.

    Args:
        texts: generated texts as tokens.
        n: tokens in a run.

    Returns:
        The share; 0 when no text has n tokens.

    Example:
        >>> distinct([["to", "be", "or", "not", "to", "be"]], 2)
        0.8

    Source: Li et al. 2016, section 5 (distinct-n).
    """
    runs = [run for text in texts for run in _runs(text, n)]
    return len(set(runs)) / len(runs) if runs else 0.0


def repetition(texts: Sequence[Tokens], n: int = 4) -> float:
    """Share of runs of n tokens that stood in the same text before, in [0, 1]; the mean over the texts.

    Args:
        texts: generated texts as tokens; those shorter than n tokens do not count.
        n: tokens in a run.

    Example:
        >>> repetition(["abcabc"], 3)
        0.25

    Source: Welleck et al. 2020, section 6 (seq-rep-4).
    """
    shares = [1 - len(set(runs)) / len(runs) for text in texts if (runs := _runs(text, n))]
    return sum(shares) / len(shares) if shares else 0.0


def self_bleu(texts: Sequence[str], language: str = "en") -> float:
    """How like one another the texts are, 0 to 100: the mean BLEU of each with all the others as its references.

    Args:
        texts: two or more generated texts, as text.
        language: as in :func:`keras_llm.evaluation.translation_report`: in Chinese a word is a character.

    Raises:
        ValueError: when there are fewer than two texts.

    Source: Zhu et al. 2018 (Texygen), section 3.2.3.
    """
    from sacrebleu.metrics import BLEU

    from keras_llm.evaluation.translation import TOKENIZERS

    if len(texts) < 2:
        raise ValueError("Self-BLEU compares texts with one another: give two or more.")
    bleu = BLEU(tokenize=TOKENIZERS.get(language, "13a"), effective_order=True)
    scores = [bleu.sentence_score(text, [*texts[:i], *texts[i + 1 :]]).score for i, text in enumerate(texts)]
    return sum(scores) / len(scores)


def _runs(text: Tokens, n: int) -> list[tuple[Hashable, ...]]:
    if n < 1:
        raise ValueError(f"n={n} must be at least 1.")
    return list(zip(*(text[begin:] for begin in range(n)), strict=False))
