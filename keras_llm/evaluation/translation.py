"""How good are translations? Corpus BLEU and chrF by sacrebleu, with the signatures that make them comparable."""

from collections.abc import Sequence
from dataclasses import dataclass

# BLEU compares words, so it must be said what a word is: a character in Chinese, in most languages what 13a (the rules
# of the WMT) cuts. Where those would find whole sentences (Japanese, Thai), or words glued to their particles (Korean),
# characters are compared: sacrebleu's own rules for them need further packages. "other" is cut by 13a.
TOKENIZERS = {"zh": "zh", "ja": "char", "ko": "char", "th": "char"}
RESAMPLES = 1_000  # of the bootstrap; their seed is sacrebleu's, and both stand in its signature


@dataclass(frozen=True)
class TranslationReport:
    """Translations beside the references of one test part.

    Attributes:
        pairs: how many.
        bleu: corpus BLEU, 0 to 100.
        bleu_interval: where BLEU lies in 95% of resampled test parts; None when not asked for.
        bleu_signature: sacrebleu's line on tokenizer, case, smoothing and version; scores compare if their lines agree.
        chrf: chrF2, F-score of character n-grams, 0 to 100.
        chrf_signature: the same for it.
        exact_match: share of translations equal to their reference, in [0, 1].
        length_ratio: words of all translations over those of all references.
        brevity_penalty: the factor in BLEU for a length ratio below 1, in [0, 1]; 1 when nothing is missing.
    """

    pairs: int
    bleu: float
    bleu_interval: tuple[float, float] | None
    bleu_signature: str
    chrf: float
    chrf_signature: str
    exact_match: float
    length_ratio: float
    brevity_penalty: float

    def metrics(self, prefix: str) -> dict[str, float]:
        """``{"test_bleu": …, "test_chrf": …, "test_exact_match": …}`` for the prefix ``test``."""
        return {f"{prefix}_{name}": getattr(self, name) for name in ("bleu", "chrf", "exact_match")}

    def table(self) -> str:
        """A few lines of plain text."""
        interval = " (95% interval {:.1f} to {:.1f})".format(*self.bleu_interval) if self.bleu_interval else ""
        return (
            f"BLEU {self.bleu:.1f}{interval}   {self.bleu_signature}\n"
            f"chrF {self.chrf:.1f}   {self.chrf_signature}\n"
            f"equal to the reference {self.exact_match:.1%} of {self.pairs:,}, length ratio {self.length_ratio:.2f}"
        )


def translation_report(
    translations: Sequence[str], references: Sequence[str], language: str, intervals: bool = True
) -> TranslationReport:
    """Scores translations as a whole: BLEU is no mean over sentences.

    Args:
        translations: one a sentence, as text; empty ones are scored too.
        references: one a sentence, in the same order.
        language: of both, ``"zh"`` for instance; it decides what BLEU takes for a word.
        intervals: compute the bootstrap interval of BLEU, which takes some seconds.

    Returns:
        The report. The baseline that costs nothing is ``translation_report(sources, references, language)``: copying.

    Raises:
        ValueError: when there is nothing to score, or the numbers of texts differ.

    Example:
        >>> translation_report(["das ist gut so"], ["das ist gut so"], "de", intervals=False).bleu
        100.0

    Source: Papineni et al. 2002 (BLEU); Popović 2015 (chrF); Post 2018 (sacrebleu); Koehn 2004 (bootstrap); document
    D2, FAQ on evaluation.
    """
    from sacrebleu.metrics import BLEU, CHRF

    translations, references = list(translations), list(references)
    if not references or len(translations) != len(references):
        raise ValueError(f"needs a reference a translation, at least one; got {len(translations)}, {len(references)}.")
    bleu = BLEU(tokenize=TOKENIZERS.get(language.lower().replace("_", "-").split("-")[0], "13a"))
    chrf = CHRF()
    score = bleu.corpus_score(translations, [references], n_bootstrap=RESAMPLES if intervals else 1)
    character_score = chrf.corpus_score(translations, [references])
    equal = sum(a.strip() == b.strip() for a, b in zip(translations, references, strict=True))
    return TranslationReport(
        pairs=len(references),
        bleu=min(100.0, score.score),  # 100.00000000000004 otherwise
        # sacrebleu prints mean and half width only inside of a line of text.
        bleu_interval=(max(0.0, score._mean - score._ci), min(100.0, score._mean + score._ci)) if intervals else None,
        bleu_signature=str(bleu.get_signature()),
        chrf=character_score.score,
        chrf_signature=str(chrf.get_signature()),
        exact_match=equal / len(references),
        length_ratio=score.sys_len / max(1, score.ref_len),
        brevity_penalty=score.bp,
    )
