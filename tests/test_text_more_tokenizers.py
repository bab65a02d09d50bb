"""Characters, bytes, WordPiece and unigram: what holds for all of them, and what for each."""

import doctest
import importlib
import pkgutil
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_llm import text as text_package
from keras_llm.errors import InputError
from keras_llm.text import (
    ByteTokenizer,
    CharacterTokenizer,
    SubwordTokenizer,
    UnigramTokenizer,
    WordPieceTokenizer,
    load_tokenizer,
)

TEXTS = [
    "The lowest of the low, the widest of the wide: newer and newest, lower and wider.",
    "这部电影很好看，我喜欢。这部电影不好看，我不喜欢！",
    "Größe, naïveté and a café; 1,024 things.\n\nA second paragraph.",
] * 8
TRAINED = [CharacterTokenizer, WordPieceTokenizer, UnigramTokenizer]
MAKE = {cls: (lambda cls=cls: cls.train(TEXTS, vocabulary_size=160)) for cls in TRAINED} | {
    ByteTokenizer: ByteTokenizer
}
MADE = {cls: make() for cls, make in MAKE.items()}


@pytest.fixture(scope="module", params=MADE, ids=lambda cls: cls.__name__)
def tokenizer(request):
    return MADE[request.param]


# --- all of them ----------------------------------------------------------------------------------------------------


def test_many_texts_get_the_ids_of_each(tokenizer) -> None:
    texts = [*TEXTS[:3], "", "unseen ✓ 字"]
    assert tokenizer.encode_all(texts) == [tokenizer.encode(text) for text in texts]
    assert tokenizer.encode("") == []
    with pytest.raises(TypeError, match="not one string"):
        tokenizer.encode_all("a text")


@settings(max_examples=100, deadline=None)
@given(text=st.text())
def test_any_text_has_ids_of_the_vocabulary_and_none_is_padding(tokenizer, text) -> None:
    ids = tokenizer.encode(text)
    assert all(0 < token_id < tokenizer.vocabulary_size for token_id in ids)
    assert len(tokenizer.tokens(text)) == len(ids)


def test_the_ids_are_of_int_and_padding_is_dropped(tokenizer) -> None:
    ids = tokenizer.encode(TEXTS[0])
    assert all(type(token_id) is int for token_id in ids)
    assert tokenizer.decode([*ids, 0, 0]) == tokenizer.decode(ids)
    with pytest.raises(ValueError, match="outside the vocabulary"):
        tokenizer.decode([tokenizer.vocabulary_size])


def test_a_saved_one_comes_back_identical(tokenizer, tmp_path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert type(again) is type(tokenizer)
    assert again.fingerprint == tokenizer.fingerprint
    assert again.vocabulary == tokenizer.vocabulary
    assert again.encode_all(TEXTS) == tokenizer.encode_all(TEXTS)


def test_the_asked_size_is_not_exceeded(tokenizer) -> None:
    assert tokenizer.vocabulary_size <= 257
    if not isinstance(tokenizer, ByteTokenizer):
        assert 40 < tokenizer.vocabulary_size <= 160
        assert tokenizer.vocabulary[1] == "<unk>" and tokenizer.unknown_id == 1


@pytest.mark.parametrize("cls", TRAINED)
def test_training_refuses_what_teaches_nothing(cls) -> None:
    with pytest.raises(TypeError, match="not one string"):
        cls.train("a text")
    for nothing in ([], [""]):
        with pytest.raises(InputError, match="give texts"):
            cls.train(nothing)
    with pytest.raises(InputError, match="leaves no room"):
        cls.train(TEXTS, vocabulary_size=2)


@pytest.mark.parametrize("cls", TRAINED)
def test_one_text_of_one_character_is_enough(cls) -> None:
    tokenizer = cls.train(["好"], 100)
    assert tokenizer.decode(tokenizer.encode("好")) == "好"


@pytest.mark.parametrize("cls", TRAINED)
def test_a_vocabulary_smaller_than_the_alphabet_takes_the_frequent_characters(cls) -> None:
    texts = ["的" * 50 + "好" * 30 + "".join(map(chr, range(0x4E00, 0x4E00 + 300)))] * 3
    tokenizer = cls.train(texts, 40)
    assert tokenizer.vocabulary_size <= 40
    assert tokenizer.unknown_id not in tokenizer.encode("的好")
    assert tokenizer.unknown_id in tokenizer.encode(chr(0x4E00 + 299))


def test_another_process_learns_the_same() -> None:
    code = (
        "from tests.test_text_more_tokenizers import *\nprint(*[cls.train(TEXTS, 160).fingerprint for cls in TRAINED])"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": s}
        )
        for s in ("1", "2")
    ]
    assert runs[0].stdout.split() == runs[1].stdout.split() == [cls.train(TEXTS, 160).fingerprint for cls in TRAINED]


@pytest.mark.parametrize("cls", TRAINED)
def test_the_order_of_the_texts_does_not_matter(cls) -> None:
    shuffled = random.Random(0).sample(TEXTS, len(TEXTS))
    assert cls.train(shuffled, 160).fingerprint == cls.train(TEXTS, 160).fingerprint


@pytest.mark.parametrize("cls", [WordPieceTokenizer, UnigramTokenizer, SubwordTokenizer])
def test_a_lone_surrogate_is_named(cls) -> None:
    trained = cls.train(TEXTS, vocabulary_size=300)
    byte = ByteTokenizer()
    for refused in (
        trained.encode,
        lambda text: trained.encode_all(["", text]),
        lambda text: cls.train([text]),
        byte.encode,
        lambda text: byte.encode_all([text]),
    ):
        with pytest.raises(InputError, match=r"Character 1 of a text is '\\ud800', a lone surrogate"):
            refused("a\ud800b")


MODULES = [each.name for each in pkgutil.iter_modules(text_package.__path__) if each.name != "subword_layer"]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_are_right(module) -> None:
    assert not doctest.testmod(importlib.import_module(f"keras_llm.text.{module}")).failed


# --- each of them ---------------------------------------------------------------------------------------------------


@given(st.text())
def test_bytes_lose_nothing(text) -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.unknown_id is None


def test_parts_of_characters_are_shown_by_their_bytes() -> None:
    assert ByteTokenizer().tokens("a好") == ["a", r"\xe5", r"\xa5", r"\xbd"]
    bytes_alone = SubwordTokenizer.train(["a"], vocabulary_size=259)
    assert bytes_alone.tokens("a好 ") == ["a", r"\xe5", r"\xa5", r"\xbd", " "]
    assert SubwordTokenizer.train(["好 好 好"], vocabulary_size=300).tokens("好 好") == ["好", " 好"]


def test_characters_go_by_frequency_and_unknown_ones_are_named() -> None:
    tokenizer = CharacterTokenizer.train(["banana"])
    assert tokenizer.vocabulary == ["<pad>", "<unk>", "a", "n", "b"]
    assert tokenizer.decode(tokenizer.encode("bad")) == "ba<unk>"
    assert CharacterTokenizer.train(["banana"], 4).vocabulary == ["<pad>", "<unk>", "a", "n"]


def test_word_pieces_go_on_with_two_marks() -> None:
    tokenizer = WordPieceTokenizer.train(["low lower lowest wide wider widest"] * 4, 40)
    start, *rest = tokenizer.tokens("lowestwid")
    assert start in ("low", "lowe", "lower", "lowest") and rest
    assert start + "".join(token.removeprefix("##") for token in rest) == "lowestwid"
    assert all(token.startswith("##") for token in rest)
    assert tokenizer.decode(tokenizer.encode("widest,\n lowest")) == "widest <unk> lowest"
    assert tokenizer.tokens("xlow low") == ["<unk>", "low"]  # one unknown letter loses the word


LETTERS = sorted({character for text in TEXTS for character in text})
KNOWN = st.lists(st.sampled_from([*LETTERS, " ", "\n", "the", "widest"])).map("".join)


@settings(max_examples=200, deadline=None)
@given(text=st.one_of(KNOWN, st.text()))
def test_decoded_word_pieces_encode_to_the_same_ids(text) -> None:
    tokenizer = MADE[WordPieceTokenizer]
    ids = tokenizer.encode(text)
    if tokenizer.unknown_id not in ids:
        assert tokenizer.encode(tokenizer.decode(ids)) == ids


def test_all_characters_have_a_word_piece_when_there_is_room() -> None:
    characters = list(map(chr, range(0x4E00, 0x4E00 + 90)))
    tokenizer = WordPieceTokenizer.train(["".join(characters)], vocabulary_size=100)
    assert tokenizer.tokens("".join(characters)) == characters


def test_word_pieces_take_chinese_characters_one_by_one() -> None:
    tokenizer = MADE[WordPieceTokenizer]
    assert tokenizer.tokens("电影好看") == ["电", "影", "好", "看"]


@settings(max_examples=200, deadline=None)
@given(text=KNOWN)
def test_unigram_loses_nothing_that_is_known(text) -> None:
    tokenizer = MADE[UnigramTokenizer]
    assert tokenizer.unknown_id not in tokenizer.encode(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_unigram_knows_line_breaks() -> None:
    tokenizer = UnigramTokenizer.train(["the low\n\nthe wide"] * 4, 30)
    assert tokenizer.tokens("\nlow\n")[1:] == ["\n", *tokenizer.tokens("low")[1:], "\n"]
    assert tokenizer.encode("a\nb").count(tokenizer.unknown_id) == 2  # a and b


def test_unigram_keeps_the_spaces_between_words() -> None:
    tokenizer = MADE[UnigramTokenizer]
    text = "the  wide low, the newest"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.tokens(text)[0].startswith("▁")
    assert any(len(token) > 1 for token in tokenizer.tokens("这部电影很好看"))  # Chinese words, without a segmenter


def test_a_damaged_unigram_model_is_named(tmp_path) -> None:
    with pytest.raises(ValueError, match="no SentencePiece model"):
        UnigramTokenizer("AAAA")
    (tmp_path / "tokenizer.json").write_text('{"kind": "unigram", "model": "%"}', encoding="utf-8")
    with pytest.raises(InputError, match="damaged unigram tokenizer"):
        load_tokenizer(tmp_path / "tokenizer.json")
