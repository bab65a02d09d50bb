"""Cleaning, the word tokenizer, the choice of a tokenizer, and the file it is saved to."""

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_llm.errors import InputError
from keras_llm.text import SubwordTokenizer, WordTokenizer, clean, load_tokenizer, split_words, train_tokenizer

REVIEWS = ["It's a good film, isn't it?", "A good, good film!", "Don't watch it… boring."]
# Markup, entities and apostrophes in all mixtures: where a cleaner or a splitter goes wrong.
SNIPPETS = [
    "&",
    "amp;",
    "&lt;",
    "&#60;",
    "<",
    ">",
    "/",
    "br",
    "b ",
    " ",
    "\x00",
    "\u0301",
    "\u0338",
    "\u200b",
    "e",
    "3",
]
TRICKY = st.lists(st.sampled_from(SNIPPETS)).map("".join)
WORDY = st.lists(
    st.sampled_from([*"ant's.-<>5,电ÉΣ \u0301", "n't", "'ll", "’s", "<unk>", "<pad>", "3.5", "..", "…", "ก็"])
).map("".join)


@pytest.fixture(scope="module")
def words() -> WordTokenizer:
    return WordTokenizer.train(REVIEWS)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("great<br /><br/>film</p>", "great film"),
        ("&lt;i&gt;so&lt;/i&gt; good", "so good"),
        ("a < b and c > d", "a < b and c > d"),
        ("I <3 it, he </3 it", "I <3 it, he </3 it"),
        ("tab\tline\r\n\x00 end\u3000", "tab line end"),
        ("\ufeffcafe\u0301", "café"),
        ("Keeps CASE, and marks!", "Keeps CASE, and marks!"),
        ("bad \ud800 half", "bad half"),
        ("", ""),
    ],
)
def test_clean(raw: str, expected: str) -> None:
    assert clean(raw) == expected


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), TRICKY))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't", ["do", "n't"]),
        ("can’t", ["ca", "n't"]),
        ("It's", ["it", "'s"]),
        ("couldn't've", ["could", "n't", "'ve"]),
        ("O'Clock O'Sullivan, actors'", ["o'clock", "o'sullivan", ",", "actors", "'"]),
        ("Wow!! (8.5/10)…", ["wow", "!", "!", "(", "8.5", "/", "10", ")", "..."]),
        ("the 80s cost 1,000.", ["the", "80s", "cost", "1,000", "."]),
        ("这film好看。", ["这", "film", "好", "看", "。"]),
        ("हिन्दी", ["हिन्दी"]),
        ("cafe\u0301", ["cafe\u0301"]),
        ("a <pad> b", ["a", "<", "pad", ">", "b"]),
        (" \n", []),
    ],
)
def test_split_words(text: str, expected: list[str]) -> None:
    assert split_words(text) == expected


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), WORDY))
def test_split_words_are_stable(text: str) -> None:
    tokens = split_words(text)
    assert split_words(" ".join(tokens)) == tokens


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), WORDY, st.lists(st.sampled_from(REVIEWS)).map(" ".join)))
def test_decoded_words_encode_to_the_same_ids(text: str) -> None:
    words = WordTokenizer.train([*REVIEWS, "a'n't 电 3.5 ก็ … n't"])
    ids = words.encode(text)
    assert 0 not in ids
    assert words.encode(words.decode(ids)) == ids


def test_vocabulary_goes_by_frequency_then_alphabet() -> None:
    tokenizer = WordTokenizer.train(["b a c c", "d c a b e"], vocabulary_size=6)
    assert tokenizer.vocabulary == ["<pad>", "<unk>", "c", "a", "b", "d"]  # "e" found no room
    assert tokenizer.vocabulary_size == 6
    assert WordTokenizer.train(["d c a b e", "b a c c"], vocabulary_size=6).fingerprint == tokenizer.fingerprint


def test_known_words_survive_and_unknown_ones_get_id_1(words: WordTokenizer) -> None:
    ids = words.encode("A GOOD zebra film!")
    assert ids.count(1) == 1
    assert words.decode(ids) == "a good <unk> film !"
    assert words.decode([*ids, 0, 0]) == words.decode(ids)  # padding is dropped


def test_the_literal_unk_is_unknown_and_never_a_word() -> None:
    tokenizer = WordTokenizer.train(["<unk> <unk> a"])
    assert tokenizer.vocabulary == ["<pad>", "<unk>", "a"]
    assert tokenizer.encode("<unk> a") == [1, 2]


def test_encode_all_equals_encode(words: WordTokenizer) -> None:
    assert words.encode_all([*REVIEWS, ""]) == [*map(words.encode, REVIEWS), []]
    assert words.encode("") == []


@pytest.mark.parametrize("wrong", [-1, 10_000])
def test_decode_refuses_ids_outside_the_vocabulary(words: WordTokenizer, wrong: int) -> None:
    with pytest.raises(ValueError, match=str(wrong)):
        words.decode([2, wrong])


@pytest.mark.parametrize("train", [WordTokenizer.train, SubwordTokenizer.train, lambda x: train_tokenizer(x, "en")])
def test_training_refuses_a_string_and_empty_texts(train) -> None:
    with pytest.raises(TypeError, match="list"):
        train("one string")
    for empty in ([], [""]):
        with pytest.raises(InputError, match="texts"):
            train(empty)


def test_training_refuses_a_vocabulary_without_room() -> None:
    with pytest.raises(InputError, match="vocabulary_size=2"):
        WordTokenizer.train(REVIEWS, vocabulary_size=2)
    with pytest.raises(InputError, match="259"):
        SubwordTokenizer.train(REVIEWS, vocabulary_size=258)


@pytest.mark.parametrize(
    ("texts", "language", "kind"),
    [
        (REVIEWS, "en", "word"),
        (["Das ist ein außergewöhnlich schöner Film."], "de", "word"),
        (["这部电影很好看，我喜欢。"], "zh", "subword"),
        (["这 部 电影"], "zh-CN", "subword"),
        (["这部电影很好看，我喜欢。"], "unknown", "subword"),  # no language code, but no spaces either
    ],
)
def test_train_tokenizer_chooses_by_spaces(texts: list[str], language: str, kind: str) -> None:
    assert train_tokenizer(texts, language, vocabulary_size=300).kind == kind


@pytest.mark.parametrize("cls", [WordTokenizer, SubwordTokenizer])
def test_a_saved_tokenizer_comes_back_identical(cls, tmp_path) -> None:
    tokenizer = cls.train([*REVIEWS, "好看的电影，好看"], vocabulary_size=300)
    path = tmp_path / "run" / "tokenizer.json"
    tokenizer.save(path)
    loaded = load_tokenizer(path)
    assert type(loaded) is cls
    assert loaded.vocabulary == tokenizer.vocabulary
    assert loaded.fingerprint == tokenizer.fingerprint
    assert loaded.encode_all(REVIEWS) == tokenizer.encode_all(REVIEWS)
    assert [file.name for file in path.parent.iterdir()] == ["tokenizer.json"]  # no temporary file is left


def test_fingerprints_differ_with_the_ids(words: WordTokenizer) -> None:
    assert len(words.fingerprint) == 64
    assert words.fingerprint != WordTokenizer([*words.vocabulary, "more"]).fingerprint


def test_a_failed_save_keeps_the_old_file(words: WordTokenizer, tmp_path, monkeypatch) -> None:
    path = tmp_path / "tokenizer.json"
    words.save(path)
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        WordTokenizer.train(["other words"]).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_load_names_a_missing_file_or_folder(tmp_path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InputError, match="Cannot read the tokenizer"):
            load_tokenizer(path)


@pytest.mark.parametrize("cls", [WordTokenizer, SubwordTokenizer])
def test_load_refuses_a_cut_off_file(cls, tmp_path) -> None:
    path = tmp_path / "tokenizer.json"
    cls.train(REVIEWS, vocabulary_size=300).save(path)
    whole = path.read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"tokenizer\.json is not a complete tokenizer file"):
            load_tokenizer(path)


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"kind": "sentence"},
        {"kind": ["word"]},
        {"kind": "word"},
        {"kind": "word", "vocabulary": None},
        {"kind": "word", "vocabulary": ["a", "b"]},
        {"kind": "word", "vocabulary": ["<pad>", "<unk>", "a", "a"]},
        {"kind": "word", "vocabulary": ["<pad>", "<unk>", 3]},
        {"kind": "subword", "vocabulary": ["<pad>", "<s>", "</s>"], "merges": []},
        {"kind": "subword", "vocabulary": ["<pad>", "<s>", "</s>"]},
    ],
)
def test_load_refuses_other_files_in_one_sentence(content, tmp_path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"tokenizer\.json is") as caught:
        load_tokenizer(path)
    assert "\n" not in str(caught.value)


def test_importing_the_package_loads_no_tensorflow() -> None:
    code = "import keras_llm.text, sys; sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras', 'keras_hub')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
