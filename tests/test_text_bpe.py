"""Byte-pair encoding from scratch: what it learns, and that it is what Hugging Face's trainer learns."""

import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import trainers

from keras_llm import data
from keras_llm.errors import InputError
from keras_llm.text.bpe import BYTE_ORDER, PIECE, BytePairEncoding, merge
from keras_llm.text.subwords import BYTES, byte_level_bpe

TEXTS = [
    "low lower lowest, newer newest; wide wider widest. It's what they've said: 10,000 times!",
    "这部电影很好看，电影院里的人都说好看。",
    "  indented\n\n\ttabs  and   spaces \r\n",
    "Übermäßig schöne Straßen, naïve façades 🎬🎬🎬🇨🇳",
    "aaaa aaaaa aaaaaa abababab bababa",
]


def library_merges(texts: list[str], vocabulary_size: int, min_frequency: int = 2) -> list[tuple[str, str]]:
    """What Hugging Face's trainer learns from the same texts and settings, as pairs of byte-level strings."""
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size, min_frequency=min_frequency, initial_alphabet=BYTES, show_progress=False
    )
    learner = byte_level_bpe({}, [])
    learner.train_from_iterator(texts, trainer)
    return [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]


def own_merges(bpe: BytePairEncoding) -> list[tuple[str, str]]:
    letters = dict(zip(BYTE_ORDER, BYTES, strict=True))
    spelled = ["".join(letters[byte] for byte in token) for token in bpe.tokens]
    return [(spelled[left], spelled[right]) for left, right in bpe.merges]


@pytest.fixture(scope="module")
def trained() -> BytePairEncoding:
    return BytePairEncoding.train(TEXTS, vocabulary_size=400)


@given(st.text())
@settings(max_examples=500, deadline=None)
def test_any_text_comes_back(trained, text) -> None:
    assert trained.decode(trained.encode(text)) == text


@given(st.text())
@settings(max_examples=500, deadline=None)
def test_the_pieces_are_the_text(text) -> None:
    assert "".join(PIECE.findall(text)) == text


# Not yet assigned code points are left out: whether they are letters depends on the Unicode version of each library.
ASSIGNED = st.text(st.characters(exclude_categories=("Cn", "Cs")))


@given(st.lists(ASSIGNED, min_size=1), st.integers(1, 3), st.integers(256, 300))
@settings(max_examples=200, deadline=None)
def test_the_merges_of_any_texts_are_those_of_the_library(texts, min_frequency, vocabulary_size) -> None:
    texts = [text * 3 for text in texts if text] or ["a"]
    ours = BytePairEncoding.train(texts, vocabulary_size, min_frequency)
    assert own_merges(ours) == library_merges(texts, vocabulary_size, min_frequency)


def test_the_merges_of_a_made_up_language_are_those_of_the_library() -> None:
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdé好 ", k=draw.randint(1, 9))) for _ in range(300)]
    texts = [" ".join(draw.choices(words, k=40)) for _ in range(200)]
    ours = BytePairEncoding.train(texts, 900)
    assert len(ours.merges) > 400
    assert own_merges(ours) == library_merges(texts, 900)
    library = byte_level_bpe(
        {"".join(p): i for i, p in enumerate([*BYTES, *map("".join, library_merges(texts, 900))])},
        [" ".join(pair) for pair in library_merges(texts, 900)],
    )
    for text in (*texts[:20], *TEXTS):
        assert [t.encode() for t in spelled(ours, text)] == [t.encode() for t in library.encode(text).tokens]


@pytest.mark.parametrize("min_frequency", [1, 2, 3])
@pytest.mark.parametrize("vocabulary_size", [256, 270, 330, 1_000])
@pytest.mark.parametrize(
    "texts",
    [
        ["the cat sat on the mat, the rat sat on the hat. It isn't what they'd said, it's 12,345!"] * 2,
        ["改革开放以来，我国经济发展很快。", "我国经济改革，开放发展！"] * 2,
        ["🎬🎬🎬 👩‍👩‍👧 🇨🇳🇨🇳🇨🇳🇨🇳", "👩‍👩‍👧👩‍👩‍👧"],
        ["电影good看12345 ÉTÉ été\u0301 сюжет\r\n\n\t ", *TEXTS],
        ["ab ba cd dc ac ca bd db", "ad da bc cb"],  # all pairs are equally frequent
        ["aaaaaaa aaaa aa a aaaaa", "abababab babab", "xxyxxyxxx"],  # occurrences that overlap
    ],
    ids=["English", "Chinese", "emoji", "mixed", "ties", "overlaps"],
)
def test_merges_and_ids_are_those_of_the_library(texts, vocabulary_size, min_frequency) -> None:
    ours = BytePairEncoding.train(texts, vocabulary_size, min_frequency)
    merges = library_merges(texts, vocabulary_size, min_frequency)
    assert own_merges(ours) == merges
    names = [*BYTES, *map("".join, merges)]
    library = byte_level_bpe({name: i for i, name in enumerate(names)}, map(" ".join, merges))
    for text in (*texts, *TEXTS):
        assert [names[i] for i in library.encode(text).ids] == spelled(ours, text)


def spelled(bpe: BytePairEncoding, text: str) -> list[str]:
    letters = dict(zip(BYTE_ORDER, BYTES, strict=True))
    return ["".join(letters[byte] for byte in bpe.tokens[token_id]) for token_id in bpe.encode(text)]


def test_the_most_frequent_pair_comes_first_and_the_lowest_ids_among_equals() -> None:
    bpe = BytePairEncoding.train(["bd", "ef", "bd", "ac", "ef", "ac", "bd"], 259, min_frequency=1)
    assert [bpe.tokens[i] for i in bpe.merges.values()] == [b"bd", b"ac", b"ef"]


def test_no_merge_crosses_a_piece() -> None:
    bpe = BytePairEncoding.train(["of the of the of the of the"] * 9, 400)
    assert all(b" " not in token[1:] for token in bpe.tokens)
    assert b" the" in bpe.tokens


def test_a_pair_that_is_rare_is_not_merged() -> None:
    assert not BytePairEncoding.train(["abc"], 300).merges
    assert len(BytePairEncoding.train(["abc"], 300, min_frequency=1).merges) == 2


def test_merges_can_be_given_and_make_the_same_ids(trained) -> None:
    again = BytePairEncoding(trained.merges)
    assert again.tokens == trained.tokens
    assert all(again.encode(text) == trained.encode(text) for text in TEXTS)


def test_a_merge_replaces_from_left_to_right() -> None:
    assert merge([1, 1, 1, 1, 1], (1, 1), 9) == [9, 9, 1]
    assert merge([], (1, 1), 9) == []


def test_cut_characters_become_a_replacement(trained) -> None:
    assert BytePairEncoding().decode(BytePairEncoding().encode("好")[:2]) == "�"


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(InputError, match="use 256 or more"):
        BytePairEncoding.train(["a"], 255)
    with pytest.raises(InputError, match="texts are empty"):
        BytePairEncoding.train(iter([""]))
    with pytest.raises(TypeError, match="not one string"):
        BytePairEncoding.train("a text")
    with pytest.raises(ValueError, match="before one of them is made"):
        BytePairEncoding([(300, 5)])
    with pytest.raises(ValueError, match="the same token"):
        BytePairEncoding([(1, 2), (1, 2)])


def test_a_lone_surrogate_is_no_text() -> None:
    for refused in (lambda text: BytePairEncoding.train([text]), BytePairEncoding().encode):
        with pytest.raises(InputError, match=r"Character 2 of a text is '\\ud800', a lone surrogate"):
            refused("a \ud800")


@pytest.mark.slow
@pytest.mark.network
def test_the_whole_english_corpus_in_two_minutes_with_the_merges_of_the_library() -> None:
    speeches = list(data.load("state_of_the_union").train)  # 12 million characters
    start = time.perf_counter()
    ours = BytePairEncoding.train(speeches, 8_000)
    assert time.perf_counter() - start < 120
    assert own_merges(ours) == library_merges(speeches, 8_000)
