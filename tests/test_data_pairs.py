"""Sentence pairs: how they are split, cleaned and read from a user's file, and the named datasets."""

import gettext
import hashlib
import json
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_llm.cli import main
from keras_llm.data import PairPart, TranslationData, available, catalog, describe, from_files, load
from keras_llm.data.pairs import cleaned, pairs_of
from keras_llm.data.readers import PAIR_READERS
from keras_llm.data.splits import normalise
from keras_llm.errors import InputError
from tests.test_data_unpack import make_zip

PARTS = ("train", "validation", "test")


def numbered(count: int) -> list[tuple[str, str]]:
    return [(f"sentence {number}", f"Satz {number}") for number in range(count)]


def split(pairs: list[tuple[str, str]], **options) -> TranslationData:
    return pairs_of("toy", ("en", "de"), pairs, {"dataset": "toy"}, **options)


def contents(pairs: TranslationData) -> list[list[tuple[str, str]]]:
    return [list(zip(*getattr(pairs, part).sides, strict=True)) for part in PARTS]


def sources_of(pairs: TranslationData) -> list[set[str]]:
    return [set(map(normalise, getattr(pairs, part).sources)) for part in PARTS]


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "pairs.tsv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def lines(pairs: list[tuple[str, str]]) -> str:
    return "".join(f"{source}\t{target}\n" for source, target in pairs)


# --- the split -------------------------------------------------------------------------------------------------------


@given(
    pairs=st.lists(st.tuples(st.sampled_from(["a", "A!", "b", "b.", "c c", "d"]), st.sampled_from("xyz")), max_size=40),
    labels=st.lists(st.tuples(st.sampled_from(["a?", "sentence 3", "new"]), st.sampled_from("xyz")), max_size=9),
    seed=st.integers(0, 9),
)
def test_parts_share_no_source_and_every_pair_is_accounted_for(pairs, labels, seed) -> None:
    given = [*pairs, *numbered(25)]
    data = split(given, training_only=labels, seed=seed)
    train, validation, test = sources_of(data)
    assert not train & validation and not train & test and not validation & test
    assert train | validation | test == {normalise(source) for source, _ in [*given, *labels]}
    assert len(data.validation) == len(validation) and len(data.test) == len(test)  # each source once
    assert set().union(*contents(data)) <= {*given, *labels}
    facts = data.provenance
    dropped = ("dropped_duplicates", "dropped_held_out", "dropped_other_translations")
    assert facts["rows"] + sum(facts[name] for name in dropped) == len(given) + len(labels)


def test_the_split_hangs_on_the_seed_and_not_on_the_order() -> None:
    pairs = [*numbered(200), *((source, target + "!") for source, target in numbered(50))]
    parts = contents(split(pairs))
    assert parts == contents(split(pairs)) == contents(split(pairs[::-1]))
    order = sorted((source for source, _ in numbered(200)), key=lambda s: hashlib.sha256(f"0:{s}".encode()).digest())
    assert [source for source, _ in parts[1]] == order[:10]  # the same on every machine
    assert [source for source, _ in parts[2]] == order[10:60]
    assert parts != contents(split(pairs, seed=1))


def test_all_translations_of_a_source_fall_into_one_part() -> None:
    pairs = [(source, f"{target} {way}") for source, target in numbered(60) for way in range(3)]
    data = split(pairs, test_fraction=0.1)
    assert [len(getattr(data, part)) for part in PARTS] == [(60 - 3 - 6) * 3, 3, 6]
    assert data.provenance["dropped_other_translations"] == 2 * (3 + 6)
    assert data.provenance["warnings"] == ["18 pair(s) of toy left out: other translations of what is held out."]
    assert all(target.endswith("0") for target in data.test.targets)


def test_labels_serve_for_training_only() -> None:
    labels = [(f"Sentence {number}!", "x") for number in range(40)]
    data = split(numbered(40), training_only=labels)
    assert not any("!" in source for part in (data.validation, data.test) for source in part.sources)
    held = len(data.validation) + len(data.test)
    assert data.provenance["dropped_held_out"] == held and data.provenance["training_only"] == 40 - held


def test_fractions() -> None:
    sizes = [len(getattr(split(numbered(8000)), part)) for part in PARTS]
    assert sizes == [6600, 400, 1000]  # a test part of fewer than 1,000 would say little …
    data = split(numbered(400))
    assert [len(getattr(data, part)) for part in PARTS] == [280, 20, 100]  # … but no more than a quarter
    assert data.provenance["split"] == {"seed": 0, "validation": 0.05, "test": 0.25}
    assert len(split(numbered(400), test_fraction=0.1).test) == 40
    without = split(numbered(40), validation_fraction=0, test_fraction=0)
    assert [len(getattr(without, part)) for part in PARTS] == [40, 0, 0] and without.summary()
    for wrong in (-0.1, 1, 0.95):
        with pytest.raises(InputError, match="must lie in"):
            split(numbered(40), validation_fraction=wrong, test_fraction=0.05)
    with pytest.raises(InputError, match="toy: nothing is left to train on"):
        split(numbered(40), validation_fraction=0.85)


def test_too_few_pairs() -> None:
    with pytest.raises(InputError, match=r"here: 19 distinct source .* too few .* bring at least 20"):
        split([*numbered(19), *numbered(19)], where="here")


def test_take_is_a_fixed_sample_in_the_order_of_the_part() -> None:
    part = PairPart(*zip(*numbered(100), strict=True))
    few = part.take(10)
    assert few == part.take(10) != part.take(10, seed=1)
    rows = [part.sources.index(source) for source in few.sources]
    assert rows == sorted(rows) and 20 < sum(rows) / 10 < 80  # from all along, not the first ten
    assert few.targets == tuple(part.targets[row] for row in rows)
    assert part.take(None) is part.take(100) is part and len(part.take(0)) == 0
    with pytest.raises(ValueError, match="2 sources, but 1 targets"):
        PairPart(("a", "b"), ("c",))


def test_data_take_and_summary() -> None:
    data = split(numbered(400)).take(train=50, test=7)
    assert [len(getattr(data, part)) for part in PARTS] == [50, 20, 7]
    assert data.provenance["taken"] == {"train": 50, "validation": 20, "test": 7}
    head, _, train, validation, test = data.summary().splitlines()
    assert head == "toy (en → de)"
    assert [line.split()[:3] for line in (train, validation, test)] == [
        ["train", "50", "2.0"],
        ["validation", "20", "2.0"],
        ["test", "7", "2.0"],
    ]


# --- a program's catalog ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target", "where"),
    [
        ("The  door\nof {name} is open", " 门开着 ", "sentences"),
        ("The {name} door", "门", "labels"),  # a placeholder is no word
        ("Open", "打开", "labels"),
        ("Home Assistant", "home assistant", "untranslated"),
        ("Open the door", " ", "untranslated"),
        ("{value}%", "{value} %，", "no_letter"),
        ("", "头", "no_letter"),
        ("See the [site](https://x.org)", "请看", "markup"),
        ("Call `it` or <b>that</b>", "叫", "markup"),
        ("word " * 41, "词", "too_long"),
        ("Sign in with Google", "Google", "wrong_script"),
    ],
)
def test_what_of_a_catalog_is_kept(source, target, where) -> None:
    sentences, labels, dropped = cleaned([(source, target)], "zh")
    found = {"sentences": len(sentences), "labels": len(labels), **dropped}
    assert [name for name, count in found.items() if count] == [where]
    assert all(side == " ".join(side.split()) for pair in (*sentences, *labels) for side in pair)


def test_another_script_needs_no_chinese() -> None:
    assert cleaned([("Sign in with Google", "Mit Google anmelden")], "de")[0] == [
        ("Sign in with Google", "Mit Google anmelden")
    ]


def test_trees_of_keys(tmp_path) -> None:
    english = {"title": "Door", "state": {"on": "Open", "off": "Closed", "odd": 3}, "only": "English"}
    chinese = {"title": "门", "state": {"off": "关", "on": "开"}, "more": "多"}
    bundle = {
        "c/door/translations/en.json": english,
        "c/door/translations/zh-Hans.json": chinese,
        "c/alone/translations/en.json": english,
        "c/other/translations/zh-Hans.json": chinese,
    }
    path = tmp_path / "members.zip"
    path.write_bytes(make_zip({name: json.dumps(tree).encode() for name, tree in bundle.items()}))
    found = list(PAIR_READERS["json_trees"]({"members.zip": path}, "zh"))
    assert found == [("Door", "门"), ("Open", "开"), ("Closed", "关")]


def compiled(messages: dict[str, str]) -> bytes:
    """A ``.mo`` file: magic number, version, count, where the two tables are, the tables, the texts."""
    table, texts, start = {0: b"", 1: b""}, b"", 28 + 16 * len(messages)
    for side, words in enumerate((sorted(messages), [messages[key] for key in sorted(messages)])):
        for word in map(str.encode, words):
            table[side] += struct.pack("<2I", len(word), start + len(texts))
            texts += word + b"\0"
    count = len(messages)
    return struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0) + table[0] + table[1] + texts


def test_compiled_catalogs_lose_their_header_plurals_and_contexts(tmp_path) -> None:
    header = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n > 1);\n"
    messages = {"": header, "menu\x04Open": "Öffnen", "Close": "Schließen", "%1 cell\0%1 cells": "Zelle\0Zellen"}
    (tmp_path / "one.mo").write_bytes(compiled(messages))
    with (tmp_path / "one.mo").open("rb") as file:
        assert gettext.GNUTranslations(file).gettext("Close") == "Schließen"
    path = tmp_path / "members.zip"
    path.write_bytes(make_zip({"l/one.mo": (tmp_path / "one.mo").read_bytes()}))
    found = PAIR_READERS["gettext_catalogs"]({"members.zip": path}, "de")
    assert sorted(found) == [("Close", "Schließen"), ("Open", "Öffnen")]


# --- a user's own file -----------------------------------------------------------------------------------------------


def read(path: Path, *more, **options) -> TranslationData:
    return from_files(path, *more, task="translation", **options)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("head", ["", "\ufeff", "source\ttarget\n", "\ufeffSource\tTarget \n"])
def test_lines_of_source_and_target(write, newline, head) -> None:
    pairs = [(f"Where are the {number} cats?", f"{number}只猫在哪里？") for number in range(30)]
    text = head + lines(pairs).replace("Where are", " Where \u2003are ")
    data = read(write(text.replace("\n", newline)))
    assert {pair for part in contents(data) for pair in part} == set(pairs)
    assert (data.name, data.source_language, data.target_language) == ("pairs", "en", "zh")
    facts = data.provenance
    assert facts["rows"] == 30 and facts["warnings"] == [] and facts["files"]["train"]["rows"] == 30
    assert re.fullmatch("[0-9a-f]{64}", facts["files"]["train"]["sha256"])


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.NDJSON"])
def test_objects_of_source_and_target(write, name) -> None:
    rows = [json.dumps({"id": 1, "Source": source, "target": target}) for source, target in numbered(30)]
    assert contents(read(write("\n".join(rows) + "\n", name))) == contents(read(write(lines(numbered(30)))))


def test_duplicates_are_dropped_and_told(write) -> None:
    data = read(write(lines([*numbered(30), *numbered(3)])))
    assert data.provenance["warnings"] == ["3 pair(s) of pairs left out: they repeat an earlier one."]
    assert data.provenance["rows"] == 30


def test_a_test_file_stays_whole_and_training_loses_its_sources(write) -> None:
    tests = [("SENTENCE 1!", "x"), ("new", "y"), ("new", "y"), ("new", "z")]
    data = read(write(lines(numbered(40))), write(lines(tests), "test.tsv"))
    assert contents(data)[2] == tests
    train, validation, test = sources_of(data)
    assert not (train | validation) & test and len(train | validation) == 39
    assert data.provenance["warnings"] == ["1 source(s) of pairs left out: they stand in the test file."]
    assert data.provenance["files"]["test"]["rows"] == 4
    with pytest.raises(InputError, match=r"pairs\.tsv: 0 distinct .* that the test file lacks are too few"):
        read(write(lines(numbered(40))), write(lines(numbered(40)), "test.tsv"))


GOOD = "a\tb\n"
BAD_PAIRS = [
    ("", "r.tsv", "the file is empty"),
    ("\ufeff\n\n", "r.tsv", "the file is empty"),
    ("source\ttarget\n", "r.tsv", "has a header but no pairs"),
    (GOOD + "c\n", "r.tsv", r"line 2: the line has 1 field\(s\) instead of two; write source, tab, target"),
    (GOOD + "c\td\te\n", "r.tsv", r"line 2: the line has 3 field\(s\) instead of two; `cut -f1,2` keeps"),
    (GOOD + "\n" + GOOD, "r.tsv", "line 2: the line is empty; delete it"),
    (GOOD + " \td\n", "r.tsv", "line 2: the source is empty"),
    (GOOD + "c\t \n", "r.tsv", "line 2: the target is empty"),
    (GOOD, "r.txt", r"sentence pairs come as \.tsv"),
    (GOOD, "r.csv", r"sentence pairs come as \.tsv"),
    (GOOD * 30, "r.tsv", r"1 distinct source sentence\(s\) are too few"),
    ('{"source": "a", "target": "b"}\n{"source": "a"}\n', "r.jsonl", "line 2: .* no key 'target'"),
    ('{"source": "a", "target": 1}\n', "r.jsonl", "line 1: 'target' must be a string"),
    ('["a", "b"]\n', "r.jsonl", 'line 1: expected an object like {"source": "…", "target": "…"}'),
    ('{"source": "a", "target": "\\ud83d"}\n', "r.jsonl", "line 1: .*surrogate"),
    (GOOD.encode() + "中\t文\n".encode("gb18030"), "r.tsv", r"line 2: byte 4 .* not utf-8; .*--encoding gb18030"),
]


@pytest.mark.parametrize(("content", "name", "message"), BAD_PAIRS)
def test_bad_files_give_one_sentence(write, content, name, message) -> None:
    path = write(content, name)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_file(tmp_path) -> None:
    with pytest.raises(InputError, match=r"none\.tsv: there is no such file"):
        read(tmp_path / "none.tsv")
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(InputError, match="this is a folder"):
        read(tmp_path / "folder.tsv")


# --- the named datasets ----------------------------------------------------------------------------------------------

TRANSLATIONS = [name for name, entry in available().items() if entry.task == "translation"]
DROPPED = {
    "untranslated": "untranslated",
    "without a letter": "no_letter",
    "markup": "markup",
    "too long": "too_long",
    "wrong script": "wrong_script",
    "duplicates": "dropped_duplicates",
    "of a held-out source": "dropped_held_out",
    "other translations": "dropped_other_translations",
}


def stated(name: str, words: str) -> int:
    (number,) = re.findall(rf"^\| {words} \| ([0-9,]+) \|$", catalog.card(name), flags=re.MULTILINE)
    return int(number.replace(",", ""))


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_the_table_of_each_card_adds_up(name) -> None:
    entry = available()[name]
    assert entry.reader in PAIR_READERS and entry.language == "en" and name.endswith(f"_en_{entry.target_language}")
    assert not entry.classes and f"| **kept** | **{entry.rows:,}** (" in catalog.card(name)
    assert stated(name, "in the files") - sum(stated(name, f"{words}, left out") for words in DROPPED) == entry.rows


@pytest.mark.network
@pytest.mark.parametrize("name", TRANSLATIONS)
def test_each_dataset_has_the_pairs_of_its_catalog_and_card(name) -> None:
    data, entry = load(name), available()[name]
    assert isinstance(data, TranslationData)
    assert (data.source_language, data.target_language) == (entry.language, entry.target_language)
    train, validation, test = sources_of(data)
    assert not train & validation and not train & test and not validation & test
    facts = data.provenance | data.provenance["dropped"]
    assert facts["rows"] == sum(map(len, contents(data))) == entry.rows
    assert {words: facts[key] for words, key in DROPPED.items()} == {
        words: stated(name, f"{words}, left out") for words in DROPPED
    }
    sizes = " ".join(
        f"{len(getattr(data, part)):,} {words}"
        for part, words in zip(PARTS, ("pairs for training,", "for validation and", "for the test."), strict=True)
    )
    assert f"The default split has {sizes}" in catalog.card(name)
    shown = describe(name)
    assert json.dumps(shown) and [" → " in text for _, text in shown["examples"]] == [True] * 3


@pytest.mark.network
def test_pairs_are_shown_with_examples(capsys) -> None:
    main(["data", "fetch", "jupyterlab_en_de"])
    main(["data", "show", "jupyterlab_en_de"])
    said = capsys.readouterr().out
    assert "# jupyterlab_en_de: " in said and len(re.findall(r"\nExample:  .+ → .+", said)) == 3
