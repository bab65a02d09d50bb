"""The README keeps its word: each command in it is run or checked, each name and file in it exists."""

import io
import re
import shlex
import shutil

import pytest

from keras_llm import book
from tests.command_line import CHAPTER, OWN, OWN_PAIRS, OWN_TEXT, PAIR_CHAPTER, ROOT, TEXT_CHAPTER, go_online

pytest_plugins = ["tests.command_line_fixtures"]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """The single commands of all bash blocks: lines joined at a backslash, cut at ``&&``, without comments."""
    lines = "\n".join(blocks("bash")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [part.strip() for line in words if line for part in shlex.join(line).split("'&&'")]


def inline_commands() -> set[str]:
    """``keras-llm ...`` in running text and tables."""
    text = re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    return {" ".join(found.split()) for found in re.findall(r"`(keras-llm [^`]*)`", text)}


@pytest.fixture
def mine(cli, own_run, tmp_path):
    """``runs/mine`` and ``reviews.csv`` in the working folder, as a reader has them after the README's run."""
    shutil.copytree(own_run, "runs/mine")
    return cli


@pytest.mark.network
@pytest.mark.parametrize("command", commands())
def test_each_command_works(request, monkeypatch, command) -> None:
    words = shlex.split(command)
    if words[:2] == ["pip", "install"]:
        assert words[2:5] == ["-c", "constraints.txt", "-e"]
        assert (ROOT / "constraints.txt").is_file()
        assert words[5] in (".", ".[test]")
    elif words == ["pytest"]:
        assert any(".[test]" in other for other in commands())
    elif words == ["keras-llm", "run", CHAPTER]:
        assert (request.getfixturevalue("finished_run")(CHAPTER) / "run.json").exists()
    elif words == ["keras-llm", "run", CHAPTER, *OWN]:
        assert (request.getfixturevalue("own_run") / "run.json").exists()
    elif words == ["keras-llm", "run", TEXT_CHAPTER, *OWN_TEXT]:
        assert (request.getfixturevalue("novel_run") / "run.json").exists()
    elif words == ["keras-llm", "run", PAIR_CHAPTER, *OWN_PAIRS]:
        assert (request.getfixturevalue("pairs_run") / "run.json").exists()
    elif words[:2] == ["keras-llm", "translate"]:
        call = request.getfixturevalue("cli")
        shutil.copytree(request.getfixturevalue("pairs_run"), "runs/pairs")
        answer = call(*words[1:])
        assert answer.code == 0, answer.err
        assert answer.out.strip()
    elif words[:2] in (["keras-llm", "generate"], ["keras-llm", "chat"]):
        call = request.getfixturevalue("cli")
        chapter, _, _ = words[2].removeprefix("runs/").partition("-")
        shutil.copytree(request.getfixturevalue("finished_run")(chapter), words[2])
        monkeypatch.setattr("sys.stdin", io.StringIO("Hello!\n"))
        answer = call(*words[1:])
        assert answer.code == 0, answer.err
        # The chat of a smoke run has heard each dialogue twice, and may have nothing to say.
        assert answer.out.endswith("\n") if words[1] == "chat" else answer.out.strip()
    elif words[:2] == ["keras-llm", "predict"]:
        answer = request.getfixturevalue("mine")(*words[1:])
        assert answer.code == 0, answer.err
        assert words[-1] in answer.out
    elif words[:2] == ["keras-llm", "book"]:
        assert words[2:] == ["--to", "build/book"]  # tests/test_book.py builds it
    elif words[:3] in (["keras-llm", "exercise", "ch04"], ["keras-llm", "grade", "ch04"]):
        call = request.getfixturevalue("cli")
        for folder in ("my_work", "handed_in") if words[1] == "grade" else ():
            call("exercise", "ch04", "--to", folder)
        answer = call(*words[1:])
        assert answer.code == 0, answer.err
        assert "ch04_attention" in answer.out if "--file" not in words else "0 of 17 points" in answer.out
    elif words[0] == "keras-llm" and words[1] in ("list", "data", "models", "doctor"):
        call = request.getfixturevalue("cli")
        go_online(monkeypatch)
        answer = call(*words[1:])
        assert answer.code == 0, answer.err
        assert answer.out.strip()
    else:
        pytest.fail(f"no test covers the README's command: {command}")


@pytest.mark.parametrize("command", sorted(inline_commands()))
def test_each_command_in_running_text_exists(cli, command) -> None:
    words = shlex.split(command)[1:]
    answer = cli(*words, "--help")
    assert answer.code == 0, answer.err
    if words[:1] == ["run"]:
        assert set(words[1:2]) <= book.chapters().keys()
    for name in words[2:] if words[:2] in (["data", "fetch"], ["data", "show"]) else []:
        assert cli("data", "show", name).code == 0


def test_the_gate_finds_the_test_command() -> None:
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    pattern = re.search(r"grep -m 1 '(.+)' README\.md", gate).group(1)
    lines = [line for line in TEXT.splitlines() if re.search(pattern, line)]
    assert lines == [line for line in TEXT.splitlines() if line.startswith("pip install") and "pytest" in line]
    assert len(lines) == 1


@pytest.mark.network
@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_examples_run(code, finished_run, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    for name in re.findall(r'"runs/([^"]*)"', code):
        chapter = "ch03_lstm_classifier" if name == "mine" else name.partition("-")[0]
        code = code.replace(f"runs/{name}", str(finished_run(chapter)))
    names: dict = {}
    exec(compile(code.replace("epochs=2", "epochs=1"), "README.md", "exec"), names)
    if "history" in names:
        assert names["history"].history["val_accuracy"][-1] > 0.6  # two classes, and it has learned something
    else:
        printed = capsys.readouterr().out
        assert "negative" in printed if "Classifier" in code else len(printed) > 20


def test_the_options_of_the_text_exist(cli) -> None:
    commands = ("run", "predict", "generate", "exercise", "grade", "notebook")
    known = {option for command in commands for option in OPTION.findall(cli(command, "--help").out)}
    prose = re.sub(r"`(pip|python|pytest)[^`]*`|<!--.*?-->", "", TEXT)
    assert set(OPTION.findall(prose)) <= known


def test_the_links_and_folders_exist() -> None:
    recorded = all(book.record_of(folder) for folder in book.chapters().values())
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        if not re.match(r"[a-z]+:", target) and (recorded or "/recorded/" not in target):
            assert (ROOT / target).exists(), target
    for folder in re.findall(r"^\| `([a-z_]+/)`", TEXT, flags=re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder


@pytest.mark.parametrize("chapter", book.chapters())
def test_the_table_of_chapters_agrees_with_the_record(chapter) -> None:
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| {chapter} |"))
    _, reproduces, command, minutes, measured = (cell.strip() for cell in row.strip("|").split("|"))
    assert command == f"`keras-llm run {chapter}`"
    assert set(re.findall(r"D\d §[\d.]+|§[\d.]+", reproduces)) <= set(
        re.findall(r"D\d §[\d.]+|§[\d.]+", book.about(book.chapters()[chapter])["reproduces"])
    )
    record = book.record_of(book.chapters()[chapter])
    if record is None:
        pytest.skip("no recorded run yet")
    assert float(re.search(r"[\d.]+", minutes).group()) == pytest.approx(record["minutes"], abs=0.5)
    numbers = re.findall(r"\d+\.\d+", measured)
    headline = record["figures"][record["headline"]]
    assert float(numbers[0]) in {_rounded(headline[kind], numbers[0]) for kind in ("value", "mean")}
    for number in numbers:
        known = {_rounded(figure[kind], number) for figure in record["figures"].values() for kind in ("value", "mean")}
        assert float(number) in known, number


def _rounded(value: float, like: str) -> float:
    return round(value, len(like.partition(".")[2]))


def test_the_chinese_readme_says_the_same() -> None:
    chinese = (ROOT / "README.zh.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^```bash\n(.*?)^```", chinese, re.MULTILINE | re.DOTALL)) <= set(
        re.findall(r"^```bash\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    )
    assert {found for found in re.findall(r"`(keras-llm [^`]*)`", chinese)} <= inline_commands() | set(
        re.findall(r"`(keras-llm [^`]*)`", TEXT)
    )

    def rows(text: str) -> list[list[str]]:
        lines = [line for line in text.splitlines() if line.startswith("| ") and "`keras-llm run ch" in line]
        return [re.findall(r"\d+\.\d+", line.split("|", 4)[-1]) for line in lines]

    assert rows(chinese) == rows(TEXT) and len(rows(TEXT)) == len(book.chapters())
    for target in re.findall(r"\]\(([^)#]+)\)", chinese):
        assert (ROOT / target).exists(), target
