"""A translator without a network, learned from the same pairs: a word-aligned dictionary of phrases.

    baseline = DictionaryBaseline("fr").fit(train_sources, train_targets)
    report = translation_report(baseline.translate(test_sources), test_targets, "fr")

It was the state of the art of its time, and is what a translation model has to beat. Three steps: which word goes with
which (IBM Model 1, in both directions), which phrases go with which (all that the links allow), and a walk over the
sentence that takes the longest known phrase each time. It never reorders and knows no grammar.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import regex

from keras_llm.evaluation.alignment import LONGEST, WordTable, grown, model_1, phrase_pairs

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}"
_LETTER = rf"[[\p{{L}}\p{{N}}\p{{M}}_]--[{_UNSPACED}]]"
# Placeholders such as {name}; words with inner marks; characters of scripts without spaces, and other marks.
_SOURCE = regex.compile(rf"\{{[^{{}}]*\}}|{_LETTER}+(?:['’.-]{_LETTER}+)*|\S", regex.V1)
# The l' of "l'argent" is a word for itself: with it, each noun would be learned twice.
_TARGET = regex.compile(rf"\{{[^{{}}]*\}}|{_LETTER}+['’](?={_LETTER})|{_LETTER}+(?:[.-]{_LETTER}+)*|\S", regex.V1)
_JOINS = regex.compile(rf"[{_UNSPACED}\p{{P}}]")  # a character that wants no space beside it, in those scripts
UNSPACED_LANGUAGES = {"zh", "ja"}


class DictionaryBaseline:
    """Phrases of up to four words and their most frequent translation.

    Args:
        target_language: ``"zh"`` and ``"ja"``, with or without a region, are written without spaces, by character.

    Attributes:
        phrases: source phrase, lower case, to the tokens of its translation.
        likelihoods: log-likelihood of the training targets before each round of Model 1 (nats); it never falls.

    Example:
        >>> pairs = {"the house": "das Haus", "the dog": "das Tier", "a dog": "ein Tier"}
        >>> DictionaryBaseline("de").fit([*pairs], [*pairs.values()]).translate(["a house"])
        ['ein Haus']

    Source: Brown et al. 1993, section 4.2 (Model 1); Koehn, Och and Marcu 2003, section 3 (phrases).
    """

    def __init__(self, target_language: str) -> None:
        self.unspaced = target_language.lower().replace("_", "-").split("-")[0] in UNSPACED_LANGUAGES
        self.phrases: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.likelihoods: list[float] = []
        self._words: WordTable | None = None

    def fit(self, sources: Sequence[str], targets: Sequence[str]) -> DictionaryBaseline:
        """Learns from the training pairs; a few seconds for ten thousand.

        Raises:
            ValueError: when there are no pairs, or their numbers differ.
        """
        if not sources or len(sources) != len(targets):
            raise ValueError(f"needs a target a source, at least one; got {len(sources)} and {len(targets)}.")
        left = [_SOURCE.findall(text.lower()) for text in sources]
        right = _without_capitals_of_beginnings([_TARGET.findall(text) for text in targets])
        self._words, back = model_1(left, right), model_1(right, left)
        self.likelihoods = self._words.likelihoods
        counts: defaultdict[tuple[str, ...], Counter] = defaultdict(Counter)
        for source, target, forward, backward in zip(left, right, self._words.links, back.links, strict=True):
            links = grown(
                {(i, j) for j, i in enumerate(forward) if i >= 0}, {(i, j) for i, j in enumerate(backward) if j >= 0}
            )
            for start, end, first, last in phrase_pairs(links, len(source)):
                counts[tuple(source[start:end])][tuple(target[first:last])] += 1
        # Phrases met once stay: without them, BLEU falls by one of 23 points (English to French, held-out pairs).
        self.phrases = {source: _most_frequent(found) for source, found in counts.items()}
        # A word that no pair lets stand alone takes what Model 1 holds for most probable.
        for word in self._words.left:
            if (word,) not in self.phrases and (best := self.lookup(word, 1)):
                self.phrases[word,] = (best[0][0],)
        return self

    def lookup(self, word: str, n: int = 5) -> list[tuple[str, float]]:
        """The n most probable translations of one source word by Model 1, with p(target word | source word).

        Args:
            word: in any case.
            n: how many; fewer when it was seen beside fewer words. All of them add up to 1.

        Raises:
            ValueError: when the baseline was not fitted.

        Example:
            >>> baseline = DictionaryBaseline("de").fit(["the house", "the"], ["das Haus", "das"])
            >>> [target for target, _ in baseline.lookup("House")]
            ['Haus', 'das']
        """
        if self._words is None:
            raise ValueError("Fit the baseline first.")
        return self._words.given(word.lower())[:n]

    def translate(self, sources: Iterable[str]) -> list[str]:
        """One translation a source: the longest known phrase first, from left to right; unknown words are copied.

        It begins with a capital letter when the source does.

        Raises:
            ValueError: when the baseline was not fitted.
        """
        if self._words is None:
            raise ValueError("Fit the baseline first.")
        return [self._translated(source) for source in sources]

    def _translated(self, source: str) -> str:
        text = self._joined(self._walk(source))
        return text[:1].upper() + text[1:] if source.lstrip()[:1].isupper() else text

    def _walk(self, source: str) -> list[str]:
        written = _SOURCE.findall(source)
        words = [word.lower() for word in written]
        tokens: list[str] = []
        here = 0
        while here < len(words):
            for length in range(min(LONGEST, len(words) - here), 0, -1):
                if (known := self.phrases.get(tuple(words[here : here + length]))) is not None:
                    tokens += known
                    here += length
                    break
            else:
                tokens.append(written[here])
                here += 1
        return tokens

    def _joined(self, tokens: Sequence[str]) -> str:
        if self.unspaced:
            pieces = [
                f" {token}" if before and not _JOINS.search(before[-1] + token[0]) else token
                for before, token in zip(["", *tokens], tokens, strict=False)
            ]
            return "".join(pieces)
        text = regex.sub(r"(?<=\w['’]) ", "", " ".join(tokens))
        text = regex.sub(r" ([.,;:!?)\]’])", r"\1", text)
        return regex.sub(r"([(\[]) ", r"\1", text)


def _without_capitals_of_beginnings(sentences: Sequence[Sequence[str]]) -> list[list[str]]:
    """First words as they are written inside of sentences, so that "Das" and "das" are learned as one word.

    A word that is met at the beginning alone stays as it is. Source: Koehn et al. 2008, section 2, "truecasing".
    """
    inside: defaultdict[str, Counter] = defaultdict(Counter)
    for sentence in sentences:
        for word in sentence[1:]:
            inside[word.lower()][word] += 1
    usual = {word: _most_frequent(forms) for word, forms in inside.items()}
    return [[usual.get(word.lower(), word) for word in each[:1]] + list(each[1:]) for each in sentences]


def _most_frequent(counts: Counter):
    """Of equally frequent ones the first in the alphabet, so that the order of the pairs decides nothing."""
    return min(counts, key=lambda each: (-counts[each], each))
