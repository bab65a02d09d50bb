"""Running text: how it is parted, what is read of a file, the named corpora, and the memory that all that takes."""

import json
import os
import re
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_llm import data
from keras_llm.cli import main
from keras_llm.data import CorpusData, available, catalog, describe, from_files, load
from keras_llm.data.corpus import corpus_of
from keras_llm.data.readers import CORPUS_READERS
from keras_llm.data.splits import normalise
from keras_llm.errors import InputError
from tests.test_data_unpack import make_zip

PARTS = ("train", "validation", "test")


def split(texts: list[str], **options) -> CorpusData:
    return corpus_of("toy", "en", lambda: iter(texts), {"dataset": "toy"}, **options)


def contents(corpus: CorpusData) -> list[list[str]]:
    return [list(getattr(corpus, part)) for part in PARTS]


def documents_of(corpus: CorpusData) -> list[str]:
    return [text for part in contents(corpus) for text in part]


def numbered(count: int) -> list[str]:
    return [f"document number {number}" for number in range(count)]


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "text.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# --- the split -------------------------------------------------------------------------------------------------------


@given(
    texts=st.lists(st.text(st.sampled_from("ab 好!\n"), min_size=1, max_size=4), max_size=40), seed=st.integers(0, 9)
)
def test_parts_share_nothing_and_lose_only_repetitions(texts, seed) -> None:
    distinct = {normalise(text): text for text in reversed(texts)}  # the first of those that count as the same
    if len(distinct) < 3:
        with pytest.raises(InputError, match=rf"too short to be split: it has {len(distinct)} distinct"):
            split(texts, seed=seed)
        return
    corpus = split(texts, seed=seed)
    found = contents(corpus)
    assert all(found) and sorted(documents_of(corpus)) == sorted(distinct.values())
    for part, documents in zip(PARTS, found, strict=True):
        stated = getattr(corpus, part)
        assert len(stated) == stated.documents == len(documents) and stated.characters == sum(map(len, documents))
    facts = corpus.provenance
    assert facts["rows"] == len(distinct) and facts["characters"] == len("".join(documents_of(corpus)))
    assert facts["dropped_duplicates"] == len(texts) - len(distinct)
    assert len(facts["warnings"]) == (len(texts) > len(distinct))


def test_the_split_hangs_on_the_seed_and_not_on_the_order() -> None:
    texts = numbered(100)
    parts = [set(part) for part in contents(split(texts))]
    assert [len(part) for part in parts] == [90, 5, 5]
    assert [set(part) for part in contents(split(texts[::-1]))] == parts
    assert contents(split(texts, seed=1))[2] != contents(split(texts))[2]
    assert contents(split(texts))[0] == sorted(parts[0], key=texts.index)  # in the order of the corpus


def test_each_loop_reads_anew_and_stops_when_it_is_left() -> None:
    read = []

    def documents() -> Iterator[str]:
        for text in numbered(100):
            read.append(text)
            yield text

    corpus = corpus_of("toy", "en", documents, {})
    assert len(read) == 100  # once, for the split
    assert list(corpus.train) == list(corpus.train) and len(read) == 300
    assert len(list(islice(corpus.train, 3))) == 3 and len(read) < 320
    first, second = iter(corpus.train), iter(corpus.train)
    assert next(first) == next(second)  # two loops at once do not disturb each other


def test_a_corpus_that_changes_between_two_passes_is_noticed() -> None:
    texts = numbered(20)
    corpus = split(texts)
    texts.pop()
    with pytest.raises(ValueError, match="zip"):
        list(corpus.train)


def test_fractions() -> None:
    texts = numbered(40)
    assert [len(part) for part in contents(split(texts, validation_fraction=0.25, test_fraction=0.5))] == [10, 10, 20]
    assert [len(part) for part in contents(split(texts, test_fraction=0))] == [38, 2, 0]
    assert [len(part) for part in contents(split(["a"], validation_fraction=0, test_fraction=0))] == [1, 0, 0]
    for wrong in (
        {"validation_fraction": -0.1},
        {"test_fraction": 1},
        {"validation_fraction": 0.5, "test_fraction": 0.5},
    ):
        with pytest.raises(InputError, match=r"must lie in \[0, 1\) and leave something to train on"):
            split(texts, **wrong)


def test_take_is_spread_over_the_part() -> None:
    part = split([f"{number:010}" for number in range(200)], validation_fraction=0, test_fraction=0).train
    taken = part.take(205)
    assert sum(map(len, taken)) == 205 and len(set(taken)) == len(taken)
    numbers = [int(text) for text in taken if len(text) == 10]
    assert min(numbers) < 20 and max(numbers) > 180
    assert taken == part.take(205) and [len(text) for text in part.take(7)] == [7]
    assert part.take(None) == part.take(10_000) == list(part)
    assert sum(map(len, part.take(1_999))) == 1_999
    with pytest.raises(ValueError, match="at least 1"):
        part.take(0)


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=30), characters=st.integers(1, 1_500))
def test_take_gives_what_was_asked_for(lengths, characters) -> None:
    texts = [f"{number:02}".ljust(length + 2, "x") for number, length in enumerate(lengths)]
    part = split(texts, validation_fraction=0, test_fraction=0).train
    assert sum(map(len, part.take(characters))) == min(characters, part.characters)


def test_summary_names_parts_and_sizes() -> None:
    lines = split(numbered(1_000)).summary().split("\n")
    assert lines[0] == "toy (en)" and lines[2].split() == [
        "train",
        "900",
        f"{len(''.join(split(numbered(1_000)).train)):,}",
    ]


# --- a user's file ---------------------------------------------------------------------------------------------------


def everything(path: Path, **options) -> list[str]:
    """The documents of a file in its order, before any split."""
    return list(from_files(path, validation_fraction=0, test_fraction=0, **options).train)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_blank_lines_part_documents(write, newline, mark) -> None:
    text = mark + "\n \none\n  two  \n\n\n\t\nthree\u2028four\n\nfive"
    assert everything(write(text.replace("\n", newline))) == ["one\n  two  ", "three\u2028four", "five"]


def test_a_mark_parts_documents_and_is_no_text(write) -> None:
    text = "Once\n\nupon\n<|endoftext|>\n\nTwice\n<|endoftext|>\n"
    assert everything(write(text)) == ["Once\n\nupon", "Twice"]


def test_a_long_paragraph_is_cut_at_the_ends_of_lines(write) -> None:
    text = "".join(f"line {number:05}\n" for number in range(10_000))
    pieces = everything(write(text))
    assert "\n".join(pieces) == text.rstrip("\n") and len(pieces) == 20
    assert all(len(piece) <= len(text) // 20 for piece in pieces)


def test_a_text_without_line_breaks_is_cut_where_it_must_be(write) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 5_000)))
    corpus = from_files(write(text))
    assert corpus.language == "zh" and [len(part) for part in contents(corpus)] == [5, 1, 1]
    assert "".join(everything(write(text))) == text


def test_scripts_may_be_mixed(write) -> None:
    text = "\n\n".join(["Hello 世界", "Привет мир", "مرحبا", "👩‍👩‍👧 family", "नमस्ते", "x = 3", "한국어"])
    assert everything(write(text)) == text.split("\n\n")
    assert from_files(write(text)).language == "other"


def test_a_small_file_has_one_paragraph_in_each_part(write) -> None:
    corpus = from_files(write("One.\n\nTwo.\n\nThree."))
    assert sorted(documents_of(corpus)) == ["One.", "Three.", "Two."] and all(contents(corpus))


def test_where_it_is_from_is_told(write) -> None:
    path = write("\n\n".join([*numbered(40), "DOCUMENT, number 3"]))
    corpus = from_files(path, name="mine", seed=3)
    facts = corpus.provenance
    assert corpus.name == facts["dataset"] == "mine" and facts["rows"] == 40 and json.dumps(facts)
    assert facts["files"]["train"]["path"] == str(path) and facts["files"]["train"]["bytes"] == path.stat().st_size
    assert len(facts["files"]["train"]["sha256"]) == 64
    assert facts["split"] == {"seed": 3, "validation": 0.05, "test": 0.05}
    assert facts["warnings"] == ["1 document(s) of mine left out: they repeat an earlier one."]


def test_a_test_file_stays_whole_and_the_others_lose_its_documents(write) -> None:
    train, test = write("\n\n".join(numbered(40))), write("new\n\nnew\n\nDocument Number 7", "test.txt")
    corpus = from_files(train, test)
    assert contents(corpus)[2] == ["new", "new", "Document Number 7"]
    assert [len(part) for part in contents(corpus)] == [37, 2, 3]
    assert "document number 7" not in documents_of(corpus)
    assert corpus.provenance["dropped_overlap"] == 1 and "stand in the test file" in corpus.provenance["warnings"][0]
    assert set(corpus.provenance["files"]) == {"train", "test"}
    assert corpus.provenance["split"] == {"seed": 0, "validation": 0.05}
    with pytest.raises(InputError, match=r"0 distinct paragraph\(s\) that the test file lacks"):
        from_files(train, train)


BAD_FILES = [
    (b"", "no letter or digit"),
    (b" \n\t\r\n  \n", "no letter or digit"),
    ("\n\n".join("😀🎉👩‍👩‍👧").encode(), "no letter or digit"),
    (b"a", r"too short to be split: it has 1 distinct paragraph\(s\), and each part needs one"),
    (b"One.\n\nTwo.\n\nOne!", r"it has 2 distinct paragraph\(s\)"),
    (b"x" * 100_000, "too short to be split"),
    (b"one\n\n\0\0\0\0", r"line 3: the file holds NUL characters.*binary file"),
    (bytes(100_000), "line 1: the file holds NUL"),
    (b"\x89PNG\r\n\x1a\n", r"line 1: this is not utf-8; say which encoding it is, for instance --encoding gb18030"),
    ("one\n\ntwo\n\n中文\n".encode("gb18030"), "line 5: this is not utf-8.*--encoding gb18030"),
    (b"a line\n" * 30_000 + b"caf\xe9\n" + b"a line\n" * 30_000, "line 30001: this is not utf-8"),
    (b"a line\r\n" * 30_000 + b"caf\xe9\r\n", "line 30001: this is not utf-8"),
    ("one\n\ntwo".encode("utf-16"), "line 1: this is not utf-8.*--encoding utf-16"),
    (b"one\n\ntwo\n\nthr\xc3", "line 5: this is not utf-8"),
]


@pytest.mark.parametrize(("content", "message"), BAD_FILES)
def test_bad_files_give_one_sentence(write, content, message) -> None:
    path = write(content)
    with pytest.raises(InputError, match=message) as caught:
        from_files(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_encodings(write) -> None:
    text = "\n\n".join(f"第{number}段" for number in range(30))
    for encoding in ("gb18030", "utf-16", "big5"):
        path = write(text.encode(encoding))
        assert "\n\n".join(everything(path, encoding=encoding)) == text
    with pytest.raises(InputError, match="no encoding called 'klingon'"):
        from_files(path, encoding="klingon")
    with pytest.raises(InputError, match=r"line 1: this is not utf-16.*--encoding gb18030"):
        from_files(write(text.encode("gb18030")), encoding="utf-16")


def test_what_is_no_file(tmp_path) -> None:
    with pytest.raises(InputError, match=r"none\.txt: there is no such file"):
        from_files(tmp_path / "none.txt")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(InputError, match="this is a folder"):
        from_files(tmp_path / "folder.txt")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.txt")
        with pytest.raises(InputError, match="not a file that can be read twice"):
            from_files(tmp_path / "pipe.txt")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read(write) -> None:
    path = write("text")
    path.chmod(0)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)"):
        from_files(path)


def test_a_file_that_changes_or_goes_is_noticed(write) -> None:
    path = write("\n\n".join(numbered(40)))
    corpus = from_files(path)
    write("\n\n".join(numbered(41)))
    with pytest.raises(InputError, match="has changed since it was first read"):
        list(corpus.train)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        next(iter(corpus.validation))


def test_a_caller_may_want_only_one_task(write) -> None:
    text, table = write("One.\n\nTwo.\n\nThree."), write("text,label\n" + "a,x\nb,y\n" * 9, "rows.csv")
    with pytest.raises(InputError, match=r"a \.txt file is a corpus without labels.*\.csv, \.tsv, \.jsonl"):
        from_files(text, task="classification")
    for files in ((table,), (text, table)):
        with pytest.raises(InputError, match=r"rows\.csv: running text comes as \.txt"):
            from_files(*files, task="corpus")
    assert isinstance(from_files(text, task="corpus"), CorpusData)
    with pytest.raises(ValueError, match="task must be"):
        from_files(text, task="tagging")


def peak_of_a_large_file(path: Path, megabytes: int, end: str) -> float:
    """Megabytes of memory that loading such a file, and going through it, need at their peak."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(megabytes * 1_000):
            file.write((f"{number:09} " * 100)[: 1_000 - len(end)] + end)
    assert path.stat().st_size == megabytes * 10**6
    tracemalloc.start()
    try:
        corpus = from_files(path)
        assert sum(map(len, corpus.train)) == corpus.train.characters > 0.89 * path.stat().st_size
        corpus.train.take(1_000)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("end", ["\n\n", "\n", ""], ids=["paragraphs", "lines", "one_line"])
def test_a_file_is_never_in_memory(tmp_path, end) -> None:
    assert peak_of_a_large_file(tmp_path / "large.txt", 10, end) < 2.5


@pytest.mark.slow
@pytest.mark.parametrize("end", ["\n\n", ""], ids=["paragraphs", "one_line"])
def test_a_hundred_megabytes_are_never_in_memory(tmp_path, end) -> None:
    assert peak_of_a_large_file(tmp_path / "large.txt", 100, end) < 15


# --- the named corpora -----------------------------------------------------------------------------------------------


def test_readers_of_corpora(tmp_path) -> None:
    (tmp_path / "members.zip").write_bytes(make_zip({"s/a.txt": b"one\n\ntwo", "s/b.txt": "três".encode()}))
    (tmp_path / "list.json").write_text(json.dumps(["回 一\n\n  \n\t甲，\n\t乙\n", "丙"]), encoding="utf-8")
    documents = CORPUS_READERS["file_per_document"]({"members.zip": tmp_path / "members.zip"})
    assert list(documents) == ["one\n\ntwo", "três"]
    documents = CORPUS_READERS["list_of_documents"]({"list.json": tmp_path / "list.json"})
    assert list(documents) == ["回 一\n甲，\n乙", "丙"]


def test_newspaper_without_tags_and_by_article(tmp_path) -> None:
    lines = ["头条/n  新闻/n", "本报/r  记者/n", "字/n  " * 150 + "。/w", "“/w  字/n  ”/w", "字/n  " * 60 + "。/w"]
    lines += ["图片/n  ：/w", "短讯/n  １/２/m", "字/n  。/w", "另/d  一/m", "字/n  。/w"]
    (tmp_path / "p.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    first, second = CORPUS_READERS["tagged_newspaper"]({"p.txt": tmp_path / "p.txt"})
    assert first.split("\n") == ["头条新闻", "本报记者", "字" * 150 + "。", "“字”", "字" * 60 + "。", "图片："]
    assert second.split("\n") == ["短讯１/２", "字。", "另一", "字。"]  # too short to stand alone


CORPORA = [name for name, entry in available().items() if entry.task == "corpus"]


def test_catalog_of_corpora_is_complete() -> None:
    assert len(CORPORA) >= 3
    for name in CORPORA:
        entry = available()[name]
        assert entry.reader in CORPUS_READERS and entry.characters > 100_000 and not entry.classes
        assert f"| **kept** | **{entry.rows:,}** | **{entry.characters:,}** |" in catalog.card(name)


def test_the_list_has_documents_and_characters(monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    main(["data", "list"])
    assert re.search(r"three_kingdoms .* 120 \(0\.6 M chars\) ", capsys.readouterr().out)


@pytest.mark.network
def test_a_corpus_is_shown_with_examples(capsys) -> None:
    main(["data", "fetch", "three_kingdoms"])
    main(["data", "show", "three_kingdoms"])
    said = capsys.readouterr().out
    assert "# three_kingdoms: " in said and "In the cache: yes" in said
    assert said.count("\nExample:  第") == 3 and "Example:  第一回 宴桃园豪杰三结义 斩黄巾英雄首立功 滚滚长江" in said


@pytest.mark.network
@pytest.mark.parametrize("name", CORPORA)
def test_each_corpus_has_the_size_of_its_catalog_and_card(name) -> None:
    corpus, entry = load(name), available()[name]
    assert isinstance(corpus, CorpusData) and corpus.language == entry.language
    facts = corpus.provenance
    assert (facts["rows"], facts["characters"]) == (entry.rows, entry.characters) and facts["warnings"] == []
    assert {"dataset", "archive", "version", "sha256", "licence", "citation", "split"} <= set(facts)
    parts = contents(corpus)
    assert sum(map(len, parts)) == len(set(map(normalise, documents_of(corpus)))) == entry.rows
    assert 0.03 < corpus.test.characters / entry.characters < 0.1
    assert data.detect_language(parts[0][:200]) == entry.language
    shown = describe(name)
    assert shown["characters"] == entry.characters and json.dumps(shown)
    assert len(shown["examples"]) == 3 and all(
        not label and 100 < len(text) <= 200 for label, text in shown["examples"]
    )
    assert load(name, seed=1, test_fraction=0.2).test.documents == int(0.2 * entry.rows + 0.5)
