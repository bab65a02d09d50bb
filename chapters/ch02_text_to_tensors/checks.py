"""What the grader runs for the exercises of chapter 2; T and V as there."""

import re
import unicodedata
from collections import Counter
from itertools import pairwise

import numpy as np

from keras_llm.grading import Exercise, array, close, holds, same, several

frequent_pair = Exercise("most_frequent_pair", section="D0, section 3")


def counts_of(words, times) -> Counter:
    counts = Counter()
    for word, n in zip(words, times, strict=True):
        for pair in pairwise(word):
            counts[pair] += n
    return counts


def best_of(counts: Counter, *, sign: int = -1) -> list:
    best = min(counts, key=lambda pair: (sign * counts[pair], pair))
    return [list(best), counts[best]]


def pair_mistakes(words, times) -> dict:
    """What known mistakes give; one that hits the right pair by chance is left to the sentence about its count."""
    counts = counts_of(words, times)
    once = counts_of(words, [1] * len(words))
    in_words = Counter(
        {pair: sum(n for w, n in zip(words, times, strict=True) if pair in pairwise(w)) for pair in counts}
    )
    stream = [token for word, n in zip(words, times, strict=True) for _ in range(n) for token in word]
    right = best_of(counts)
    first, last = max(counts, key=counts.get), max(counts, key=lambda pair: (counts[pair], pair))
    return {
        "Each word is counted once; a pair occurs as often as its word does, given in times.": best_of(once),
        "The pair is right, but its count is not weighed with how often its words occur.": [
            right[0],
            once[tuple(right[0])],
        ],
        "A pair that occurs twice in a word counts twice for each time that the word occurs.": best_of(in_words),
        "Pairs cross from a word to the next; only neighbours inside a word count.": best_of(counts_of([stream], [1])),
        "This is the first pair in the alphabet, however rare it is; the alphabet decides among equals only.": [
            list(min(counts)),
            counts[min(counts)],
        ],
        "This is the rarest pair.": best_of(counts, sign=1),
        "Among equally frequent pairs the first in the alphabet is wanted, not the first that was met.": [
            list(first),
            counts[first],
        ],
        "Among equally frequent pairs the first in the alphabet is wanted, not the last.": [list(last), counts[last]],
        "The parts have changed places: the pair comes first, then its count.": right[::-1],
    }


def compare_pair(answer, words, times) -> None:
    found = several(answer(words, times), 2, "Return the pair, and its count.")
    why = "Count each pair of neighbours as often as its word occurs, and take the highest count."
    same(found, best_of(counts_of(words, times)), why, pair_mistakes(words, times))


@frequent_pair.check(points=2)
def counts_all_pairs(answer, random):
    """The pair that occurs most often in the whole text, with its count."""
    compare_pair(
        answer, [list(word) for word in ("low", "lower", "newest", "widest", "add", "lot")], [9, 8, 3, 2, 5, 1]
    )
    compare_pair(answer, [list("abab"), list("cd"), ["c"]], [3, 4, 9])
    compare_pair(answer, [["a", "b"], ["b", "a"], ["th", "e"]], [5, 2, 6])
    for _ in range(4):
        words = ["".join(random.choice(list("abcd"), size=random.integers(1, 7))) for _ in range(8)]
        words = [list(word) for word in dict.fromkeys([*words, "da"])]
        compare_pair(answer, words, random.integers(1, 60, size=len(words)).tolist())


@frequent_pair.check(points=1)
def settles_equals(answer, random):
    """Among equally frequent pairs the first in the alphabet."""
    compare_pair(answer, [list("newest"), list("widest"), list("low")], [6, 3, 7])
    compare_pair(answer, [["z", "a"], ["b", "c"], ["b", "a"], ["y", "y"]], [4, 4, 4, 2])


merging = Exercise("merge_pair", section="D0, section 3")


def merged_by(tokens: list[str], pair: tuple[str, str], rule) -> list[str]:
    """The given function with another rule in its missing line."""
    merged, place = [], 0
    while place < len(tokens):
        found = rule(tokens[place : place + 2], *pair)
        merged.append("".join(pair) if found else tokens[place])
        place += 2 if found else 1
    return merged


def compare_merge(answer, tokens: list[str], pair: tuple[str, str]) -> None:
    rules = {
        "It finds the pair where only its left token stands: the right one must follow.": lambda two, left, right: (
            two[0] == left
        ),
        "It finds the pair where only its right token stands: left must come first.": lambda two, left, right: (
            two[-1] == right and len(two) == 2
        ),
        "One of the two is enough for it; both must stand there.": lambda two, left, right: (
            two[0] == left or two[-1] == right
        ),
        "It never finds the pair.": lambda two, left, right: False,
        "It finds right before left: the order counts.": lambda two, left, right: two == [right, left],
        "It compares the joined text, but other tokens of the same letters, such as l + ow for lo + w, are no pair.": (
            lambda two, left, right: "".join(two) == left + right
        ),
        "Both tokens of the pair stand there, but in any order; left must come first.": lambda two, left, right: (
            sorted(two) == sorted([left, right])
        ),
    }
    right = merged_by(tokens, pair, lambda two, left, right: two == [left, right])
    why = f"Of {tokens}, join each {pair[0]!r} and the {pair[1]!r} right behind it."
    same(answer(tokens, pair), right, why, {each: merged_by(tokens, pair, rule) for each, rule in rules.items()})


@merging.check(points=2)
def joins_each_occurrence(answer, random):
    """Left and, right behind it, right become one token, everywhere."""
    for pair in (("a", "b"), ("b", "b"), ("c", "a")):
        for length in (9, 30):
            # The end is checked below: an x there keeps an index inside the list.
            drawn = random.choice(list("abc"), size=length).tolist()
            compare_merge(answer, [*drawn, "x", *pair[::-1], "x", *pair, "x"], pair)


@merging.check(points=1)
def ends_and_long_tokens(answer, random):
    """The end of a word, tokens of several letters, a word without the pair."""
    compare_merge(answer, ["lo", "w", "l", "ow", "low", "lo", "w"], ("lo", "w"))
    compare_merge(answer, ["a", "a", "a"], ("a", "a"))
    compare_merge(answer, ["b", "a", "b", "a"], ("a", "b"))
    compare_merge(answer, ["a", "b"], ("a", "b"))
    compare_merge(answer, ["a"], ("a", "b"))


vocabulary = Exercise("build_vocabulary", section="D0, section 3")
SPECIAL = ["<pad>", "<unk>"]


def compare_vocabulary(answer, texts: list[list[str]], size: int) -> None:
    counts = Counter(token for text in texts for token in text)
    in_texts = Counter(token for text in texts for token in set(text))
    kinds = sorted(counts, key=lambda token: (-counts[token], token))
    met = [token for token, _ in counts.most_common()]
    room = size - 2
    mistakes = {
        "The two special tokens count, too: the list has V entries at most.": SPECIAL + kinds[:size],
        "<pad> and <unk> are missing at the beginning.": kinds[:size],
        "<pad> and <unk> are missing at the beginning, though there is room for them.": kinds[:room],
        "<pad> and <unk> stand at the end; their ids are 0 and 1.": kinds[:room] + SPECIAL,
        "<unk> stands before <pad>; the id of padding is 0.": SPECIAL[::-1] + kinds[:room],
        "Equally frequent tokens stand in the order in which they were met; the alphabet is to decide.": SPECIAL
        + met[:room],
        "Equally frequent tokens stand in the order of the alphabet turned round.": SPECIAL
        + sorted(counts, key=lambda token: (counts[token], token), reverse=True)[:room],
        "The tokens stand in alphabetical order; the most frequent come first.": SPECIAL + sorted(counts)[:room],
        "These are the right tokens in alphabetical order; the most frequent come first.": SPECIAL
        + sorted(kinds[:room]),
        "The tokens stand as they were met; the most frequent come first.": SPECIAL + list(counts)[:room],
        "The rarest tokens come first; the most frequent must.": SPECIAL
        + sorted(counts, key=lambda token: (counts[token], token))[:room],
        "It counts in how many texts a token is, not how often it occurs.": SPECIAL
        + sorted(in_texts, key=lambda token: (-in_texts[token], token))[:room],
        "All tokens are in it: V is the length at most.": SPECIAL + kinds,
    }
    why = "After <pad> and <unk> come the tokens by falling frequency, equals by the alphabet; V entries at most."
    same(answer(texts, size), SPECIAL + kinds[:room], why, mistakes)


@vocabulary.check(points=2)
def takes_the_most_frequent(answer, random):
    """<pad>, <unk>, then the most frequent tokens; V in all."""
    for size in (6, 3, 20):
        # No two are equally often there, and none is most often in the first text or in most texts.
        copies = {"the": 9, "of": 7, "sea": 6, "a": 4, "wind": 3, "old": 2, "zoo": 1}
        stream = random.permutation([token for token, n in copies.items() for _ in range(n)]).tolist()
        compare_vocabulary(answer, [["zoo"], ["wind", "old"], ["zoo", "old"], ["zoo", "old"], stream], size)


@vocabulary.check(points=1)
def settles_equal_tokens(answer, random):
    """Equally frequent tokens stand in alphabetical order, whatever came first."""
    compare_vocabulary(answer, [["d", "b", "c"], ["e", "e", "c", "b"], ["d", "a"]], 5)
    compare_vocabulary(answer, [["n", "o", "w"], ["o", "n"], ["w"]], 10)


encoding = Exercise("encode_and_pad", section="D0, section 3")


def compare_rows(answer, texts: list[list[str]], words: list[str], length: int) -> None:
    id_of = {word: i for i, word in enumerate(words)}

    def rows(*, unknown=1, padding=0, left=False, tail=False, shift=0) -> np.ndarray:
        made = np.full((len(texts), length), padding)
        for row, text in zip(made, texts, strict=True):
            ids = [id_of[token] + shift if token in id_of else unknown for token in text]
            ids = [token_id for token_id in ids if token_id is not None]
            ids = (ids[-length:] if tail else ids[:length]) if ids else []
            if ids:
                row[slice(length - len(ids), None) if left else slice(0, len(ids))] = ids
        return made

    mistakes = {
        "An unknown token gets the id of padding, 0; its id is 1.": rows(unknown=0),
        "Unknown tokens are left out; each is a token with the id 1.": rows(unknown=None),
        "An unknown token gets -1, which is no id; its id is 1.": rows(unknown=-1),
        "Rows are filled up with 1, the id of unknown tokens; padding is 0.": rows(padding=1),
        "The ids of padding and unknown have changed places: padding is 0.": rows(padding=1, unknown=0),
        "The padding stands at the beginning of the rows; it belongs at the end.": rows(left=True),
        "Of a text that is too long the beginning is cut off; the first T tokens stay.": rows(tail=True),
        "Padding and cut are at the beginning of the rows; both belong at the end.": rows(left=True, tail=True),
        "The ids are one too high: a token's place in the list counts from 0.": rows(shift=1),
        "The ids are two too high: the special tokens are in the list already.": rows(shift=2),
    }
    found = answer(texts, words, length)
    why = "A row holds the ids of a text's first T tokens, 1 for an unknown one, and 0 in all places behind."
    close(found, rows(), why, mistakes)
    holds(np.asarray(found).dtype.kind in "iu", "The ids are no integers: an embedding looks rows up by whole numbers.")


WORDS = ["<pad>", "<unk>", "the", "sea", "is", "old", "and", "wind"]


@encoding.check(points=2)
def looks_up_and_fills(answer, random):
    """Known and unknown tokens, short and long texts."""
    texts = [["the", "sea", "grew", "old"], ["wind"], ["the", "old", "sea", "is", "the", "wind", "and", "sea"]]
    compare_rows(answer, texts, WORDS, 5)
    for length in (3, 7):
        texts = [random.choice([*WORDS[2:], "fog"], size=random.integers(1, 10)).tolist() for _ in range(4)]
        compare_rows(answer, texts, WORDS, length)


@encoding.check(points=1)
def empty_and_full(answer, random):
    """An empty text, one that fits exactly, and rows of one place."""
    compare_rows(answer, [[], ["sea", "is", "old"], ["fog", "sea", "fog"]], WORDS, 3)
    compare_rows(answer, [["wind", "the"], [], ["fog", "sea"]], WORDS, 1)


windows = Exercise("next_token_windows", section="D4, section 3")


def compare_windows(answer, ids: list[int], length: int) -> None:
    rows = (len(ids) - 1) // length
    stream = np.array(ids)
    inputs = stream[: rows * length].reshape(rows, length)
    labels = stream[1 : rows * length + 1].reshape(rows, length)
    found, told = several(answer(ids, length), 2, "Return two arrays: the inputs, and the labels.")
    given = f"{len(ids)} ids and T = {length}"
    if np.ndim(found) == 2 and np.shape(found)[1] == length:
        count = len(found)
        holds(
            count != rows + 1,
            f"There is a row too many for {given}: behind its last place there is no id left to be the label.",
        )
        holds(
            count == rows or count not in (len(ids) - length, len(ids) - length + 1),
            f"There are {count} rows for {given}: they overlap; each begins where the one before ends.",
        )
        why = f"For {given}, {rows} rows are wanted, not {count}: only what fills no row and its labels is dropped."
        holds(count >= rows, why)
    mistakes = {
        "These are the labels; the inputs begin with the first id.": labels,
        "The rows run down the columns: cut the stream into (rows, T).": inputs.reshape(length, rows).T,
    }
    close(found, inputs, "The rows are the stream, cut into pieces of T ids.", mistakes)
    before = np.roll(stream, 1)[: rows * length].reshape(rows, length)
    ended, turned = labels.copy(), np.roll(inputs, -1, axis=1)
    if rows:
        ended[:, -1] = 0
    wrapped = np.roll(inputs.ravel(), -1).reshape(rows, length)
    mistakes = {
        "The labels are the inputs: a label is the id one place later.": inputs,
        "The labels are one place earlier; what comes next is wanted.": before,
        "The last label of a row is 0; it is the first id of the next row.": ended,
        "The last label of each row is its own first id; it is the first id of the next row.": turned,
        "The last label is the first id of the stream: the stream is no ring.": wrapped,
    }
    if len(ids) >= rows * length + 2:
        later = stream[2 : rows * length + 2].reshape(rows, length)
        mistakes["The labels are two places later; the id right behind the input is wanted."] = later
    close(told, labels, "Each label is the id that follows its input in the stream.", mistakes)


@windows.check(points=2)
def cuts_and_shifts(answer, random):
    """Rows side by side, and the next id of each place."""
    for count, length in ((15, 4), (101, 7), (24, 5)):
        compare_windows(answer, random.integers(2, 90, size=count).tolist(), length)


@windows.check(points=1)
def drops_what_has_no_label(answer, random):
    """The last row counts only when its last place has a label."""
    for count, length in ((8, 4), (9, 4), (4, 4), (5, 4), (6, 1)):
        compare_windows(answer, random.permutation(np.arange(2, 60))[:count].tolist(), length)


split = Exercise("split_without_leaks", section="D4, section 3")
KINDS = 40
SHARE = 0.25


def identity(text: str) -> str:
    return " ".join(text.lower().split())


def collected(random) -> tuple[list[str], list[str]]:
    """Texts with copies among them, and the first of each kind."""
    letters = list("abcdefghij")
    kinds: dict[str, str] = {}
    while len(kinds) < KINDS:
        words = ["".join(random.choice(letters, size=3)) for _ in range(4)]
        kinds[" ".join(words)] = " ".join(words)

    def copy(text: str) -> str:
        forms = (text, text.upper(), text.capitalize(), text.replace(" ", "  "), f" {text}\n", text.title())
        return forms[random.integers(len(forms))]

    texts = [copy(text) for text in kinds] + [copy(text) for text in list(kinds) * 2 if random.random() < 0.6]
    texts = [texts[i] for i in random.permutation(len(texts))]
    first: dict[str, str] = {}
    for text in texts:
        first.setdefault(identity(text), text)
    return texts, list(first.values())


def both_parts(answer, texts: list[str], seed: int) -> tuple[list[str], list[str]]:
    parts = several(answer(texts, SHARE, seed), 2, "Return two lists of texts: the training part, and the test part.")
    parts = [part.tolist() if isinstance(part, np.ndarray) else part for part in parts]
    texts_only = all(isinstance(part, list | tuple) and all(isinstance(text, str) for text in part) for part in parts)
    holds(texts_only, "Return two lists of texts: the training part, and the test part.")
    return list(parts[0]), list(parts[1])


@split.check(points=2)
def shares_nothing(answer, random):
    """No text is in both parts, none twice in one, and none is lost."""
    for seed in (1, 2):
        texts, first = collected(random)
        train, test = both_parts(answer, texts, seed)
        holds(bool(train and test), "One of the parts is empty.")
        why = "The same text is in both parts: drop the copies before you split."
        holds(not set(train) & set(test), why)
        names = [{identity(text) for text in part} for part in (train, test)]
        why = "Texts that differ only in case or in white space are in both parts: compare them by their identity."
        holds(not names[0] & names[1], why)
        why = "A part holds the same text more than once, perhaps in other case or white space: keep one of each."
        holds(len(names[0]) == len(train) and len(names[1]) == len(test), why)
        missing = {identity(text) for text in first} - names[0] - names[1]
        holds(not missing, f"{len(missing)} of the {KINDS} different texts are in neither part: keep one of each.")


@split.check(points=1)
def keeps_the_first_as_it_is(answer, random):
    """Of equal texts the first stays, as it was written."""
    texts, first = collected(random)
    train, test = both_parts(answer, texts, 5)
    found = sorted(train + test)
    why = "The texts come back in lower case, or with other white space: compare by that, but keep them as they are."
    altered = [text for text in found if text not in texts]
    holds(not altered, why if {identity(text) for text in found} <= set(map(identity, texts)) else "Texts are made up.")
    last = sorted({identity(text): text for text in texts}.values())
    holds(found != last, "Of equal texts the last is kept; the first is wanted.")
    holds(found == sorted(first), f"The parts do not hold the first of each of the {KINDS} different texts, once each.")


@split.check(points=1)
def draws_the_test_part(answer, random):
    """The test part has its share, and is drawn by the seed."""
    texts, _ = collected(random)
    size = round(SHARE * KINDS)
    train, test = both_parts(answer, texts, 3)
    given = f"{KINDS} different texts and a share of {SHARE}"
    holds(len(train) != size, f"The parts have changed places: for {given}, the second has {size} texts.")
    holds(len(test) == size, f"For {given}, the test part has {size} texts, not {len(test)}.")
    holds(len(train) == KINDS - size, f"For {given}, the training part has {KINDS - size} texts, not {len(train)}.")
    again, other = both_parts(answer, texts, 3), both_parts(answer, texts, 4)
    same([train, test], again, "Two calls with the same seed differ: make the generator from the seed.")
    why = "Another seed gives the same test part: shuffle by the seed before you cut."
    holds(set(test) != set(other[1]), why)


cleaning = Exercise("clean_for_language_model", section="D4, section 3")


def cleaned(
    text: str, *, form="NFC", drop=lambda each: each in "\u200b\ufeff" or unicodedata.category(each) == "Cc"
) -> str:
    text = unicodedata.normalize(form, text) if form else text
    text = "".join(each for each in text if each in "\n\t" or not drop(each))
    lines = re.sub(r"[ \t]+", " ", text).split("\n")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip(" ") for line in lines)).strip("\n")


@cleaning.check(points=1)
def keeps_what_was_written(answer, random):
    """Case, punctuation, digits and single line breaks stay."""
    number = random.integers(1000, 9999)
    text = f"Dr. Smith  said: “No!”\nIn {number} he left (for good).\n\nIt's 5 o'clock; WHY?"
    right = text.replace("  ", " ")
    marks = re.compile(r"[^\w\s]")
    mistakes = {
        "Upper case is gone: a model that never reads it cannot write it.": right.lower(),
        "Punctuation is gone: a model that never reads it cannot write it.": marks.sub("", right),
        "Upper case and punctuation are gone, as in D4: a model that never reads them cannot write them.": marks.sub(
            "", right
        ).lower(),
        "The line breaks are gone: they count as white space for split() and \\s, and must stay.": " ".join(
            text.split()
        ),
        "The line breaks are gone.": right.replace("\n", ""),
        "Single line breaks are gone; only where there are three or more do two stay.": right.replace("\n\n", "\0")
        .replace("\n", " ")
        .replace("\0", "\n\n"),
        "An empty line between paragraphs is gone: two line breaks stay two.": right.replace("\n\n", "\n"),
        "Nothing has changed, though there are two spaces between words.": text,
    }
    same(answer(text), right, "Only white space may change in this text.", mistakes)


@cleaning.check(points=2)
def tidies_white_space(answer, random):
    """One space between words, two line breaks between paragraphs, none at the ends."""
    blanks = ["".join(random.choice(list(" \t"), size=n)) for n in (1, 2, 5, 3)]
    texts = (
        f"\n\n  one\ttwo{blanks[2]}three {blanks[0]}\n{blanks[1]}four \n\n\n\nfive\n{blanks[3]}\n \n six \t\n ",
        "a\tb",
        " \n\t\n",
        "",
    )
    for text in texts:
        right = cleaned(text)
        squeezed = re.sub(r"[ \t]+", " ", text)
        lines = [line.strip(" ") for line in squeezed.split("\n")]
        mistakes = {
            "All line breaks became spaces: only runs of spaces and tabs become one space.": " ".join(text.split()),
            "Line breaks and tabs are of the category Cc, too, but stay in step 2.": cleaned(
                re.sub(r"[\t\n]", "", text)
            ),
            "Tabs are removed; they are white space between words, and become a space.": cleaned(
                text.replace("\t", "")
            ),
            "Spaces are left at the beginning or the end of lines.": re.sub(r"\n{3,}", "\n\n", squeezed).strip("\n"),
            "Spaces are left at the beginning or the end of lines; only those of the whole text are gone.": re.sub(
                r"\n{3,}", "\n\n", squeezed
            ).strip(),
            "Three or more line breaks are left as they are; they become two.": "\n".join(lines).strip("\n"),
            "Line breaks are left at the ends of the text.": re.sub(r"\n{3,}", "\n\n", "\n".join(lines)),
            "Empty lines are gone; two line breaks, the end of a paragraph, stay.": re.sub(
                r"\n+", "\n", "\n".join(lines)
            ).strip("\n"),
            "Line breaks are counted before the spaces between them are gone, so three are left.": "\n".join(
                line.strip(" ") for line in re.sub(r"\n{3,}", "\n\n", squeezed).split("\n")
            ).strip("\n"),
        }
        same(answer(text), right, "Check steps 3 and 4.", mistakes)


@cleaning.check(points=1)
def repairs_characters(answer, random):
    """NFC, no control characters, and no more than those."""
    text = "\ufeffcafe\u0301 \u00fcber e\u0301te\u0301\r\nx² ﬁnd\x00 zero\u200bwidth \u200b end\x85 "
    text += "👨\u200d👩\u200d👧 电影\x1b"
    mistakes = {
        "The text is not in NFC: e and an accent of its own are still two characters.": cleaned(text, form=None),
        "This is NFD, which takes letters and accents apart; NFC puts them together.": cleaned(text, form="NFD"),
        "This is NFKC, which also rewrites x² as x2 and ﬁ as fi; NFC leaves them.": cleaned(text, form="NFKC"),
        "Control characters (category Cc, such as \\r or \\x00) are left.": cleaned(
            text, drop=lambda each: each in "\u200b\ufeff"
        ),
        "U+200B and U+FEFF, which nobody sees, are left: their category is not Cc.": cleaned(
            text, drop=lambda each: unicodedata.category(each) == "Cc"
        ),
        "All of the category Cf is gone, and with it U+200D, so that a family falls apart into three people.": cleaned(
            text, drop=lambda each: unicodedata.category(each) in ("Cc", "Cf")
        ),
        "All that is not ASCII is gone, and with it é, Chinese and emoji.": cleaned(text, drop=lambda each: each > "~"),
        "Control characters become spaces; they are to be removed.": cleaned(
            "".join(
                " " if each not in "\n\t" and (unicodedata.category(each) == "Cc" or each in "\u200b\ufeff") else each
                for each in text
            )
        ),
        "Spaces are squeezed before the invisible characters between them are gone.": cleaned(text).replace(
            "width end", "width  end"
        ),
    }
    mistakes["Line breaks and tabs are of the category Cc, too, but stay in step 2."] = cleaned(
        "".join(each for each in text if unicodedata.category(each) != "Cc"), drop=lambda each: each in "\u200b\ufeff"
    )
    mistakes["The line break is gone; only \\r is to be removed from \\r\\n."] = cleaned(text).replace("\n", " ")
    same(answer(text), cleaned(text), "Check steps 1 and 2.", mistakes)


heaps = Exercise("heaps_law", section="D0, section 3", seconds=10)
MEASURED = "Return three things: the places n, how many different tokens the first n hold, and β."


def zipf_stream(random, count: int, kinds: int, exponent: float) -> list[str]:
    """Tokens drawn by Zipf's law."""
    shares = np.arange(1.0, kinds + 1) ** -exponent
    return [f"w{i}" for i in random.choice(kinds, size=count, p=shares / shares.sum())]


def growth_of(tokens: list[str]) -> np.ndarray:
    seen: set[str] = set()
    return np.array([len(seen) for token in tokens if seen.add(token) is None])


def measured(answer, tokens: list[str]) -> tuple[np.ndarray, np.ndarray, float]:
    """Places, kinds and β of an answer that has the right form."""
    places, kinds, beta = several(answer(tokens), 3, MEASURED)
    many = len(places) if isinstance(places, list | tuple | np.ndarray) and np.ndim(places) == 1 else 0
    holds(many >= 10, "The places are 10 or more whole numbers, in a list.")
    places = array(places, (many,), "The places are whole numbers.")
    kinds = array(kinds, (many,), "There is a number of different tokens for each place.")
    beta = array(beta, (), "β is a number.")
    why = "The places are whole numbers from 1 to the length of the stream: how many tokens have been read."
    holds(bool((places == places.round()).all() and places[0] >= 1 and places[-1] <= len(tokens)), why)
    holds(bool((np.diff(places) > 0).all()), "The places must rise, without repetitions.")
    return places.astype(int), kinds, float(beta)


@heaps.check(points=1)
def counts_kinds(answer, random):
    """How many different tokens the first n hold."""
    for count, exponent in ((1_000, 1.0), (6_000, 1.3)):
        tokens = zipf_stream(random, count, 2_000, exponent)
        places, kinds, _ = measured(answer, tokens)
        growth = growth_of(tokens)
        after = np.append(growth, growth[-1])
        mistakes = {
            "It counts the token behind each place, too: the first n tokens end before index n.": after[places],
            "This is the number of tokens read, not of different ones.": places,
            "It counts one token too few: the first n tokens end with index n − 1.": np.append(0, growth)[places - 1],
            "These are the new kinds since the place before; all kinds so far are wanted.": np.diff(
                growth[places - 1], prepend=0
            ),
        }
        close(kinds, growth[places - 1], "Count the different tokens among the first n.", mistakes)


@heaps.check(points=1)
def chooses_places(answer, random):
    """The places lie evenly on a logarithmic scale, from 5% of the stream or before to its end."""
    for count in (1_000, 6_000):
        places, kinds, _ = measured(answer, zipf_stream(random, count, 2_000, 1.1))
        holds(places[-1] == count, f"The last place is {places[-1]:,}; the stream ends at {count:,}.")
        holds(places[0] <= 0.05 * count, f"The first place is {places[0]:,}, which is more than 5% of {count:,}.")
        holds(kinds[-1] > kinds[0], "The number of different tokens does not grow, though the stream brings new ones.")
        lower = np.mean(places < np.sqrt(places[0] * places[-1]))
        why = (
            f"{lower:.0%} of the places lie below the middle of the logarithmic scale, so one end decides the line: "
            "multiply from place to place, instead of adding."
        )
        holds(0.3 <= lower <= 0.7, why)


@heaps.check(points=2)
def fits_the_exponent(answer, random):
    """β is the slope of the line through the logarithms of the points, on each stream its own."""
    streams = [zipf_stream(random, 5_000, 3_000, exponent) for exponent in (0.8, 1.5)]
    streams += [[f"w{i}" for i in range(1_500)], ["again"] * 1_200]
    betas = []
    for tokens in streams:
        places, kinds, beta = measured(answer, tokens)
        holds(kinds.min() >= 1, "The first n tokens hold one different token or more.")
        n, k = np.log(places), np.log(kinds)
        right, factor = np.polyfit(n, k, 1)
        mistakes = {
            "The line is fitted to the numbers themselves; fit it to their logarithms.": np.polyfit(places, kinds, 1)[
                0
            ],
            "Only the number of kinds is a logarithm; the places must be one, too.": np.polyfit(places, k, 1)[0],
            "Only the places are logarithms; the number of kinds must be one, too.": np.polyfit(n, kinds, 1)[0],
            "This is K, or its logarithm; β is the slope.": factor,
            "This is K; β is the slope.": np.exp(factor),
            "The sign is wrong: kinds grow with n, so β is not below 0.": -right,
            "This is the slope between the first point and the last; the line goes through all of them as well as it "
            "can (least squares).": (k[-1] - k[0]) / (n[-1] - n[0]),
            "The line is forced through the origin, as if K were 1: fit its height, too.": (n * k).sum()
            / (n * n).sum(),
        }
        if np.ptp(k) > 0:
            mistakes["The axes have changed places: n goes to the right, kinds go up."] = np.polyfit(k, n, 1)[0]
        close(beta, right, "β is the least-squares slope through your own points.", mistakes, rtol=1e-3, atol=1e-4)
        betas.append(beta)
    low, high = sorted(betas[:2])
    holds(low + 0.05 < high, "β is the same for two streams that grow differently: measure each.")
    why = "β does not follow the stream: where nothing repeats it is 1, where one token repeats for ever 0."
    holds(abs(betas[2] - 1) < 0.01 and abs(betas[3]) < 0.01, why)
