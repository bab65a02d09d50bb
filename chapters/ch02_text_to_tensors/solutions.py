"""Exercises of chapter 2: from raw text to tensors, with NumPy and the standard library.

Write what is missing, one function at a time, in any order: none calls another. Then

    keras-llm grade ch02 --file ch02_text_to_tensors.py

says what is right, and why the rest is not. All of it takes seconds and little memory on any machine;
each exercise names its limits.

T = tokens in a row, V = tokens in the vocabulary. The ids 0 and 1 stand for padding and for unknown tokens.
"""

import random
import re
import unicodedata
from collections import Counter
from itertools import pairwise

import numpy as np


def most_frequent_pair(words: list[list[str]], times: list[int]) -> tuple[tuple[str, str], int]:
    """What byte-pair encoding merges next: the pair of neighbours that a text holds most often.

    Deliver: the pair, and how often it occurs in the whole text; among equals the first in the alphabet.

    Args:
        words: the different words of a text, each a list of tokens; one of them has two tokens or more.
        times: how often each of these words occurs, in the same order.

    Returns:
        The pair ``(left, right)``, and its count.

    Hint: ``itertools.pairwise`` gives the neighbours in a word; no pair crosses from a word to another. Strings and
        tuples of strings compare in alphabetical order, so ``min()`` with a key of two parts settles equals.
    Budget: 1 second, 10 MB.
    Source: Sennrich et al. 2016, section 3.2; document D0, section 3.2.1 (segment); lesson, section 3.
    Small machines: "low" five times and "lower" twice: count by hand before you run it.
    """
    # BEGIN SOLUTION: count all pairs, each as often as its word occurs, and take the highest count
    counts: Counter[tuple[str, str]] = Counter()
    for word, n in zip(words, times, strict=True):
        for pair in pairwise(word):
            counts[pair] += n
    best = min(counts, key=lambda pair: (-counts[pair], pair))
    return best, counts[best]
    # END SOLUTION


def merge_pair(tokens: list[str], pair: tuple[str, str]) -> list[str]:
    """One merge of byte-pair encoding: each occurrence of a pair becomes one token, from left to right.

    Deliver: the one line that is missing: whether the pair begins at this place.

    Args:
        tokens: of a word.
        pair: two neighbours, ``(left, right)``.

    Returns:
        The tokens after the merge: ``["a", "a", "a"]`` and ``("a", "a")`` give ``["aa", "a"]``.

    Hint: the last token has no neighbour on its right: a slice beyond the end of a list is shorter, an index an error.
    Budget: 1 second, 10 MB.
    Source: Sennrich et al. 2016, algorithm 1; document D0, section 3.2.1 (segment); lesson, section 3.
    Small machines: four tokens show all cases; let one of them be a pair at the very end.
    """
    left, right = pair
    merged, place = [], 0
    while place < len(tokens):
        # BEGIN SOLUTION: True where left and, right behind it, right stand
        found = tokens[place : place + 2] == [left, right]
        # END SOLUTION
        merged.append(left + right if found else tokens[place])
        place += 2 if found else 1
    return merged


def build_vocabulary(texts: list[list[str]], vocabulary_size: int) -> list[str]:
    """Which tokens get an id: the most frequent ones of the training part.

    Deliver: a list in which a token's place is its id.

    Args:
        texts: the tokens of each text of the training part; none of them is ``"<pad>"`` or ``"<unk>"``.
        vocabulary_size: V, the length of the list at most, the two special tokens included; 3 or more.

    Returns:
        ``["<pad>", "<unk>", …]``: after the special tokens the others, the most frequent first, equally frequent ones
        in alphabetical order; all of them when there are fewer.

    Hint: ``Counter.most_common`` leaves equals in the order in which they came, so the ids would depend on the order of
        the texts. ``sorted()`` with a key of two parts does not.
    Budget: 1 second, 10 MB.
    Source: document D0, section 3.2.1 (encode); lesson, section 2.
    Small machines: "banana" cut into letters has three kinds of tokens.
    """
    # BEGIN SOLUTION: count, sort by falling count and then by the alphabet, and cut behind the special tokens
    counts = Counter(token for text in texts for token in text)
    kinds = sorted(counts, key=lambda token: (-counts[token], token))
    return ["<pad>", "<unk>", *kinds[: vocabulary_size - 2]]
    # END SOLUTION


def encode_and_pad(texts: list[list[str]], vocabulary: list[str], length: int) -> np.ndarray:
    """A full rectangle of ids from texts of all lengths.

    Deliver: each token as its id, rows cut at their end or filled up at their end.

    Args:
        texts: the tokens of each text.
        vocabulary: ``["<pad>", "<unk>", …]``; a token's place is its id, and each token that is missing is unknown.
        length: T, of each row.

    Returns:
        int ``(texts, T)``; 0 is padding, 1 an unknown token.

    Hint: a dict from token to id is fast, and its ``get()`` knows what to give for an unknown token; ``list.index``
        walks through the vocabulary for each token. Begin with an array full of padding.
    Budget: 1 second, 10 MB.
    Source: document D0, section 3.2.1 (encode, serialise); document D2, FAQ on new words; lesson, sections 6 and 9.
    Small machines: three texts, one too short, one too long and one empty, show all cases.
    """
    # BEGIN SOLUTION: look each token up, and write the first T ids of each text into a row of zeros
    id_of = {token: token_id for token_id, token in enumerate(vocabulary)}
    rows = np.zeros((len(texts), length), "int32")
    for row, text in zip(rows, texts, strict=True):
        ids = [id_of.get(token, 1) for token in text[:length]]
        row[: len(ids)] = ids
    return rows
    # END SOLUTION


def next_token_windows(ids: list[int], length: int) -> tuple[np.ndarray, np.ndarray]:
    """What a language model learns from: rows of a long stream, and behind each place the id that comes next.

    Deliver: rows side by side that do not overlap, as many as have all their labels; what is left over is dropped.

    Args:
        ids: one long stream of token ids.
        length: T, of each row.

    Returns:
        The inputs and the labels, both int ``(rows, T)``: a label is the id that follows its input in the stream.

    Hint: labels are the stream one place later, also at the end of a row, where they come from the next one. So R rows
        need R·T + 1 ids. How many rows do n ids make?
    Budget: 1 second, 10 MB.
    Source: Radford et al. 2018, section 3.1; document D4, section 3.1; lesson, section 7 (windows).
    Small machines: the ids 0 to 8 with T = 4 make two rows, 0 to 7 only one: print both.
    """
    # BEGIN SOLUTION: the number of whole rows, and the stream cut into them twice, the second time one place later
    rows = (len(ids) - 1) // length
    stream = np.array(ids[: rows * length + 1], "int64")
    return stream[:-1].reshape(rows, length), stream[1:].reshape(rows, length)
    # END SOLUTION


def split_without_leaks(texts: list[str], test_share: float, seed: int) -> tuple[list[str], list[str]]:
    """A training and a test part that share no text: otherwise the test asks what was learned by heart.

    Deliver: each different text once, as it was met first, drawn into one of the two parts.

    Args:
        texts: as collected; two count as the same when they differ in upper and lower case or in white space only.
        test_share: of the different texts, for the test part.
        seed: of the draw; the same seed gives the same parts.

    Returns:
        The training part and the test part; the test part has ``round(test_share * number of different texts)`` texts.

    Hint: a text's identity is ``" ".join(text.lower().split())``. First keep the first text of each identity, then
        shuffle, then cut; in another order copies end up on both sides.
    Budget: 1 second, 10 MB.
    Source: Lee et al. 2022; document D4, section 3.1.3, step 1; lesson, section 1.
    Small machines: ten texts, four of them copies, are enough to see it.
    """
    # BEGIN SOLUTION: drop what repeats an earlier text, shuffle by the seed, and cut the test part off
    first: dict[str, str] = {}
    for text in texts:
        first.setdefault(" ".join(text.lower().split()), text)
    kept = list(first.values())
    random.Random(seed).shuffle(kept)
    size = round(test_share * len(kept))
    return kept[size:], kept[:size]
    # END SOLUTION


def clean_for_language_model(text: str) -> str:
    """Cleaning that takes away what nobody wrote, and nothing that a model has to write.

    Deliver: these steps, in this order:

    1. Unicode NFC: an e with an accent is one character, however it was typed.
    2. Remove control characters (category Cc) but line breaks ``\\n`` and tabs, and the two invisible characters U+200B
       and U+FEFF. All others stay, such as U+200D, which joins emoji.
    3. Each run of spaces and tabs becomes one space; none is left at the beginning or the end of a line.
    4. Three or more line breaks in a row become two, which end a paragraph; none is left at the ends of the text.

    Case, punctuation, digits and single line breaks stay.

    Args:
        text: any string.

    Returns:
        The cleaned text, perhaps empty.

    Hint: ``unicodedata.normalize`` and ``unicodedata.category``; then ``re.sub``. What is white space for ``\\s`` or
        for ``split()`` includes line breaks, which must stay.
    Budget: 1 second, 10 MB.
    Source: document D4, section 3.1.3, step 2, which lower-cases and drops punctuation; lesson, section 7.
    Small machines: print ``repr(text)``, which shows what is invisible.
    """
    # BEGIN SOLUTION: the four steps, one after the other
    text = unicodedata.normalize("NFC", text)
    controls = {each for each in text if unicodedata.category(each) == "Cc"} - {"\n", "\t"}
    text = "".join(each for each in text if each not in controls | {"\u200b", "\ufeff"})
    text = re.sub(r"[ \t]+", " ", text)
    text = "\n".join(line.strip(" ") for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")
    # END SOLUTION


def heaps_law(tokens: list[str]) -> tuple[list[int], list[int], float]:
    """Reading on, one never stops meeting new words: measure how fast, and fit Heaps' law, kinds = K · nᵝ.

    Deliver: choose places n in the stream, count how many different tokens the first n hold, and fit β: the slope of
    the least-squares line through the logarithms of your own points.

    Args:
        tokens: a stream of 1,000 tokens or more.

    Returns:
        The places n, how many different tokens the first n hold, and β. There are 10 places or more, rising, the first
        at 5% of the stream or before, the last at its end; evenly on a logarithmic scale, so that about as many lie
        below the middle of that scale as above.

    Hint: ``np.geomspace``, rounded, without repetitions. Walk through the stream once with a set, instead of counting
        anew for each place. ``np.polyfit`` finds the line.
    Budget: 2 seconds, 50 MB.
    Source: Manning, Raghavan and Schütze 2008, section 5.1.1; document D0, section 3.2.1; lesson, section 5.
    Small machines: on a stream without any repetition β is 1, on one token that repeats for ever 0.
    """
    # BEGIN SOLUTION: places evenly on a logarithmic scale, the kinds at each, and the slope of their logarithms
    places = np.unique(np.geomspace(min(100, len(tokens) // 20), len(tokens), 40).round().astype(int))
    growth, seen = [], set()
    for token in tokens:
        seen.add(token)
        growth.append(len(seen))
    kinds = np.array(growth)[places - 1]
    beta, _ = np.polyfit(np.log(places), np.log(kinds), 1)
    return places.tolist(), kinds.tolist(), float(beta)
    # END SOLUTION
