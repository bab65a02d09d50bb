"""A user's own files: what is read, and the one sentence for each defect."""

import json
from pathlib import Path

import pytest

from keras_llm.data import detect_language, from_files
from keras_llm.data.tables import read_table
from keras_llm.errors import InputError


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "rows.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def rows(count: int = 20, classes: tuple[str, ...] = ("no", "yes")) -> str:
    return "text,label\n" + "".join(f"word {row},{classes[row % len(classes)]}\n" for row in range(count))


def test_csv_quotes_commas_newlines_and_other_columns(write) -> None:
    table = read_table(write('id, Text ,LABEL\n1,"a, ""b""\nc", x \n2,plain "q" here,y\n'))
    assert table.texts == ['a, "b"\nc', 'plain "q" here'] and table.labels == ["x", "y"] and table.lines == [2, 4]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_mark_do_not_matter(write, newline, mark) -> None:
    content = mark + 'text,label\n"one\ntwo",x\n三,y\n\n'.replace("\n", newline)
    assert read_table(write(content)) == ([2, 4], ["one\ntwo", "三"], ["x", "y"])


def test_tsv_with_bare_quotes_is_read_line_by_line(write) -> None:
    table = read_table(write('text\tlabel\n"hello\t0\nworld"\t1\n"all ""of"" it"\t0\n"a" or "b"\t1\n', "r.tsv"))
    assert table.texts == ['"hello', 'world"', 'all "of" it', '"a" or "b"'] and table.labels == ["0", "1", "0", "1"]


def test_tsv_with_quoted_tabs_and_newlines(write) -> None:
    table = read_table(write('text\tlabel\n"one\ntwo\tthree"\tx\nfour\ty\n', "r.tsv"))
    assert table == ([2, 4], ["one\ntwo\tthree", "four"], ["x", "y"])


@pytest.mark.parametrize("name", ["r.jsonl", "r.ndjson", "r.JSONL"])
def test_jsonl(write, name) -> None:
    lines = [{"text": "a\nb", "label": 1, "id": 7}, {"Text": "中", "LABEL": "2"}, {"text": "c", "label": False}]
    table = read_table(write("\n".join(map(json.dumps, lines)) + "\n", name))
    assert table == ([1, 2, 3], ["a\nb", "中", "c"], ["1", "2", "False"])


def test_long_text_is_no_error(write) -> None:
    assert len(read_table(write(f'text,label\n"{"x" * 200_000}",a\n')).texts[0]) == 200_000


BAD_ROWS = [
    ("", "r.csv", r"r\.csv: the file is empty"),
    ("\ufeff\n\n", "r.csv", "the file is empty"),
    ("text,label\n", "r.csv", "has a header but no rows"),
    ("review,sentiment\na,b\n", "r.csv", "line 1: the header must name .* found 'review', 'sentiment'"),
    ("text,text,label\na,b,c\n", "r.csv", "line 1: the header must name one column 'text'"),
    ("text;label\na;b\n", "r.csv", "found 'text;label'"),
    ("text,label\na,x\nb,c,y\n", "r.csv", r"line 3: the row has 3 field\(s\), the header has 2"),
    ('text,label\n"a\nb",x\nc\n', "r.csv", r"line 4: the row has 1 field\(s\)"),
    ("text,label\na,x\n\nb,y\n", "r.csv", "line 3: the line is empty"),
    ("text,label\na,x\n  ,y\n", "r.csv", "line 3: the text is empty"),
    ("text,label\na,x\nb, \n", "r.csv", "line 3: the label is missing"),
    ('text,label\na,x\n"b,y\nc,x\n', "r.csv", "line 3: a quoted field opens here"),
    ('id,text,label\n"1\n2","b,y\nc,x\n', "r.csv", "line 3: a quoted field opens here"),
    ('text,label\n"a "b" c",x\n', "r.csv", "line 2: a quoted field opens here"),
    ("text\tlabel\na\tx\nb\n", "r.tsv", r"line 3: the row has 1 field\(s\), the header has 2"),
    ('text\tlabel\na\tx\n"b\ty\tz\n', "r.tsv", r"line 3: the row has 3 field\(s\)"),
    ('{"text": "a", "label": 1}\n{"text": "b", "label"}\n', "r.jsonl", "line 2: this is not valid JSON"),
    ("[" * 100_000, "r.jsonl", "line 1: this is not valid JSON"),
    ('["a", "b"]\n', "r.jsonl", "line 1: expected an object"),
    ('{"text": "a", "label": 1}\n{"txt": "b", "label": 2}\n', "r.jsonl", "line 2: .* no key 'text'; its keys: 'txt'"),
    ('{"text": "a"}\n', "r.jsonl", "line 1: .* no key 'label'"),
    ('{"text": 5, "label": 1}\n', "r.jsonl", "line 1: 'text' must be a string"),
    ('{"text": "a", "label": null}\n', "r.jsonl", "line 1: the label is missing"),
    ('{"text": "a", "label": [1]}\n', "r.jsonl", "line 1: 'label' must be a word or an integer"),
    ('{"text": "\\ud83d", "label": 1}\n', "r.jsonl", "line 1: .*surrogate"),
    ('{"text": "a", "label": 1}\n\n{"text": "b", "label": 2}\n', "r.jsonl", "line 2: the line is empty"),
    ("x", "r.xlsx", r"'\.xlsx' is not a known kind of table"),
    ("text,label\n" + "".join(f"w{i},x\n" for i in range(9)), "r.csv", "all rows bear the label 'x'"),
    ("text,label\na,x\nb,y\nc,x\nd,x\n", "r.csv", r"the class 'y' has only 1 distinct row\(s\).*at least 3"),
]


@pytest.mark.parametrize(("content", "name", "message"), BAD_ROWS)
def test_bad_files_give_one_sentence(write, content, name, message) -> None:
    path = write(content, name)
    with pytest.raises(InputError, match=message) as caught:
        from_files(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: there is no such file"):
        from_files(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="this is a folder"):
        from_files(tmp_path / "folder.csv")


def test_encodings(write) -> None:
    content = "text,label\n" + "".join(f"电影{row}好看,{'坏好'[row % 2]}\n" for row in range(20))
    path = write(content.encode("gb18030"))
    with pytest.raises(InputError, match=r"line 2: byte 11 of the file is not utf-8; .*--encoding gb18030"):
        from_files(path)
    data = from_files(path, encoding="gb18030")
    assert data.language == "zh" and data.classes == ("坏", "好")
    with pytest.raises(InputError, match=r"line 1: byte 0 .*--encoding utf-16"):
        from_files(write(content.encode("utf-16")))
    assert from_files(write(content.encode("utf-16")), encoding="utf-16").language == "zh"
    with pytest.raises(InputError, match="no encoding called 'klingon'"):
        from_files(path, encoding="klingon")


def test_classes_are_sorted_as_numbers_or_as_text(write) -> None:
    assert from_files(write(rows(60, ("10", "9", "-1")))).classes == ("-1", "9", "10")
    assert from_files(write(rows(60, ("10", "9", "b")))).classes == ("10", "9", "b")
    data = from_files(write(rows(40, (" yes", "no "))))
    assert data.classes == ("no", "yes")
    both = list(zip(data.test.texts, data.test.labels.tolist(), strict=True))
    assert all(label == 1 - int(text.split()[1]) % 2 for text, label in both)


def test_split_without_a_test_file(write) -> None:
    data = from_files(write(rows(100)), name="mine")
    assert (len(data.train), len(data.validation), len(data.test)) == (70, 10, 20)
    assert data.name == "mine" and data.provenance["warnings"] == []
    assert data.provenance["files"]["train"]["rows"] == 100


def test_what_is_dropped_is_told(write) -> None:
    data = from_files(write(rows(40) + "Word 0!,no\nword 2,yes\n"))
    assert (data.provenance["dropped_duplicates"], data.provenance["dropped_ambiguous"]) == (1, 2)
    assert data.provenance["rows"] == 39
    repeats, ambiguous = data.provenance["warnings"]
    assert repeats.startswith("1 row(s) of rows.csv") and "repeat" in repeats
    assert ambiguous.startswith("2 row(s) of rows.csv") and "different labels" in ambiguous


def test_a_test_file_stays_whole_and_training_loses_its_texts(write) -> None:
    train = write(rows(40))
    test = write("text,label\nWORD 1,yes\nnew,no\nnew,no\n", "test.csv")
    data = from_files(train, test)
    assert data.test.texts == ("WORD 1", "new", "new") and data.test.labels.tolist() == [1, 0, 0]
    assert "word 1" not in data.train.texts + data.validation.texts
    assert (len(data.train), len(data.validation)) == (35, 4)
    assert data.provenance["dropped_overlap"] == 1 and "1 row(s) of rows.csv" in data.provenance["warnings"][0]


def test_bad_test_files(write) -> None:
    train = write(rows(40))
    with pytest.raises(InputError, match=r"test\.csv, line 3: the label 'maybe' does not occur in .*rows\.csv"):
        from_files(train, write("text,label\na,no\nb,maybe\n", "test.csv"))
    with pytest.raises(InputError, match="nothing is left to train on"):
        from_files(train, train)
    with pytest.raises(InputError, match=r"test\.tsv, line 2"):
        from_files(train, write("text\tlabel\nb\n", "test.tsv"))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("An ordinary sentence, with 3 numbers: 1 2 3 😀.", "en"),
        ("这部电影很好看 really good", "zh"),
        ("Größe und Wärme sind schön", "other"),
        ("これはとてもいい映画です、ありがとう", "other"),
        ("12 :-)", "other"),
    ],
)
def test_detect_language(text, language) -> None:
    assert detect_language([text] * 3) == language
