"""A translator without a network, learned from the same pairs: a word-aligned dictionary of phrases.

It was the state of the art of its time, and is what a translation model has to beat. Three steps: which word goes with
which (IBM Model 1, in both directions), which phrases go with which (all that the links allow), and a walk over the
sentence that takes the longest known phrase each time. It never reorders and knows no grammar.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import regex

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}"
_LETTER = rf"[[\p{{L}}\p{{N}}\p{{M}}_]--[{_UNSPACED}]]"
# Placeholders such as {name}; words with inner marks; characters of scripts without spaces, and other marks.
_TOKEN = regex.compile(rf"\{{[^{{}}]*\}}|{_LETTER}+(?:['’.-]{_LETTER}+)*|\S", regex.V1)
_JOINS = regex.compile(rf"[{_UNSPACED}\p{{P}}]")  # a character that wants no space beside it, in those scripts
UNSPACED_LANGUAGES = {"zh", "ja"}
ROUNDS = 8  # of expectation and maximisation; the likelihood hardly moves after five
LONGEST = 4  # words of a phrase


class DictionaryBaseline:
    """Phrases and their most frequent translation.

    Args:
        target_language: ``"zh"`` and ``"ja"`` are written without spaces, by character.

    Attributes:
        phrases: source phrase, lower case, to the tokens of its translation.
        likelihoods: log-likelihood of the training targets after each round of Model 1; it never falls.

    Example:
        >>> pairs = {"the house": "das Haus", "the dog": "das Tier", "a dog": "ein Tier"}
        >>> DictionaryBaseline("de").fit([*pairs], [*pairs.values()]).translate(["a house"])
        ['ein Haus']

    Source: Brown et al. 1993, section 4.2 (Model 1); Koehn, Och and Marcu 2003, section 3 (phrases, grow-diag).
    """

    def __init__(self, target_language: str) -> None:
        self.unspaced = target_language in UNSPACED_LANGUAGES
        self.phrases: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.likelihoods: list[float] = []

    def fit(self, sources: Sequence[str], targets: Sequence[str]) -> "DictionaryBaseline":
        """Learn from the training pairs; a second or two for ten thousand.

        Raises:
            ValueError: when there are no pairs, or their numbers differ.
        """
        if not sources or len(sources) != len(targets):
            raise ValueError(f"needs a target a source, at least one; got {len(sources)} and {len(targets)}.")
        left, right = ([_TOKEN.findall(text.lower()) for text in sources], [_TOKEN.findall(text) for text in targets])
        there, self.likelihoods = model_1(left, right)
        back, _ = model_1(right, left)
        counts: defaultdict[tuple[str, ...], Counter] = defaultdict(Counter)
        for source, target, forward, backward in zip(left, right, there, back, strict=True):
            links = grown({(i, j) for j, i in enumerate(forward) if i >= 0}, set(enumerate(backward)))
            for start, end, first, last in phrase_pairs(links, len(source)):
                counts[tuple(source[start:end])][tuple(target[first:last])] += 1
        # Of equally frequent translations the first in the alphabet, so that the order of the pairs decides nothing.
        self.phrases = {
            source: min(found, key=lambda target: (-found[target], target)) for source, found in counts.items()
        }
        return self

    def translate(self, sources: Iterable[str]) -> list[str]:
        """One translation a source: the longest known phrase first, from left to right; unknown words are copied."""
        return [self._joined(self._walk(source)) for source in sources]

    def _walk(self, source: str) -> list[str]:
        written, words = _TOKEN.findall(source), _TOKEN.findall(source.lower())
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
        text = regex.sub(r" ([.,;:!?)\]’])", r"\1", " ".join(tokens))
        return regex.sub(r"([(\[]) ", r"\1", text)


def model_1(left: Sequence[Sequence[str]], right: Sequence[Sequence[str]]) -> tuple[list[list[int]], list[float]]:
    """IBM Model 1: each right word comes from one left word, or from none; which, is learned from co-occurrence.

    Args:
        left, right: sentences as words; pair k is ``left[k]``, ``right[k]``.

    Returns:
        For each pair, for each right word, the index of its left word, -1 for none; and the log-likelihood of the
        right sides after each round, without the constant of the lengths.
    """
    left_ids, right_ids = _numbered(left, 1), _numbered(right, 0)  # 0 on the left is the word "none"
    words = 1 + max(int(ids.max(initial=0)) for ids in right_ids)
    # Every (left word, right word) of every pair in one long row, the left ones of a right word side by side.
    sides = [(np.append(0, a), b) for a, b in zip(left_ids, right_ids, strict=True)]
    keys = np.concatenate([(a[None, :] * words + b[:, None]).ravel() for a, b in sides])
    lengths = np.concatenate([np.full(len(b), len(a)) for a, b in sides])  # left words of each right word
    entries, place = np.unique(keys, return_inverse=True)
    target = np.repeat(np.arange(len(lengths)), lengths)  # the right word that each place belongs to
    _, left_of = np.unique(entries // words, return_inverse=True)
    table = np.ones(len(entries))
    likelihoods = []
    for _ in range(ROUNDS):
        table = table / np.bincount(left_of, table)[left_of]  # p(right | left) adds up to 1
        given = table[place]
        total = np.bincount(target, given)
        likelihoods.append(float(np.log(total / lengths).sum()))
        table = np.bincount(place, given / total[target])  # how often each entry was used, in expectation
    given, links, here = (table / np.bincount(left_of, table)[left_of])[place], [], 0
    for a, b in sides:
        best = given[here : here + len(a) * len(b)].reshape(len(b), len(a)).argmax(axis=1)
        links.append((best - 1).tolist())
        here += len(a) * len(b)
    return links, likelihoods


def _numbered(sentences: Sequence[Sequence[str]], first: int) -> list[np.ndarray]:
    ids: dict[str, int] = {}
    return [np.array([ids.setdefault(word, len(ids) + first) for word in words], dtype=np.int64) for words in sentences]


def grown(forward: set[tuple[int, int]], backward: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Links (left, right) on which both directions agree, then their neighbours on which one insists."""
    backward = {(i, j) for i, j in backward if j >= 0}
    links, either = forward & backward, forward | backward
    while True:
        lefts, rights = {i for i, _ in links}, {j for _, j in links}
        new = {
            (i, j)
            for i, j in either - links
            if (i not in lefts or j not in rights)
            and any((i + di, j + dj) in links for di in (-1, 0, 1) for dj in (-1, 0, 1))
        }
        if not new:
            return links
        links |= new


def phrase_pairs(links: set[tuple[int, int]], length: int) -> Iterable[tuple[int, int, int, int]]:
    """The spans ``(start, end, first, last)`` that are linked to one another and to nothing outside.

    Args:
        links: (left, right) word indices.
        length: words of the left sentence.
    """
    for start in range(length):
        for end in range(start + 1, min(start + LONGEST, length) + 1):
            inside = [j for i, j in links if start <= i < end]
            if not inside:
                continue
            first, last = min(inside), max(inside) + 1
            if all(start <= i < end for i, j in links if first <= j < last):
                yield start, end, first, last
