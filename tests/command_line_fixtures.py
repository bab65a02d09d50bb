"""Fixtures of the command line's tests; a test file asks for them with ``pytest_plugins``."""

import functools
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command_line import (
    CHAPTER,
    OFFLINE,
    OWN,
    OWN_PAIRS,
    OWN_TEXT,
    PAIR_CHAPTER,
    TEXT_CHAPTER,
    Answer,
    shell,
    write_novel,
    write_pairs,
    write_reviews,
)


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys) -> Iterator[Callable[..., Answer]]:
    """Calls ``keras-llm`` in this process, in an empty folder, with an empty cache and no network."""
    from keras_llm import runs
    from keras_llm.cli import main

    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("KERAS_LLM_HOME", str(tmp_path / "home"))
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def call(*arguments: object) -> Answer:
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        return Answer(code, *capsys.readouterr())

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)
    runs.request(runs.Options())
    monkeypatch.setattr(runs, "_active", None)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Callable[[str], Path]:
    """The folder of a chapter's smoke run on its own data, made once: ``finished_run("ch03_lstm_classifier")``."""

    @functools.cache
    def run(chapter: str) -> Path:
        folder = tmp_path_factory.mktemp("smoke")
        answer = shell(f"keras-llm run {chapter} --preset smoke --output run", folder, timeout=600)
        assert answer.code == 0, answer.err
        return folder / "run"

    return run


@pytest.fixture(scope="session")
def own_run(tmp_path_factory) -> Path:
    """A smoke run with the options ``OWN``, by ``python -m chapters...``; its ``reviews.csv`` is two folders up."""
    folder = tmp_path_factory.mktemp("own")
    write_reviews(folder / "reviews.csv")
    command = [sys.executable, "-m", f"chapters.{CHAPTER}", *OWN, "--preset", "smoke"]
    answer = shell(command, folder, home=folder / "home")
    assert answer.code == 0, answer.err
    return folder / OWN[-1]


@pytest.fixture(scope="session")
def novel_run(tmp_path_factory) -> Path:
    """A smoke run on a file of mixed scripts, without network and with an empty cache."""
    folder = tmp_path_factory.mktemp("novel")
    write_novel(folder / "novel.txt")
    command = ["keras-llm", "run", TEXT_CHAPTER, *OWN_TEXT, "--preset", "smoke", "--output", "run"]
    answer = shell(command, folder, home=folder / "home")
    assert answer.code == 0, answer.err
    return folder / "run"


@pytest.fixture(scope="session")
def pairs_run(tmp_path_factory) -> Path:
    """A smoke run on made-up pairs, without network and with an empty cache."""
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder / "pairs.tsv")
    command = ["keras-llm", "run", PAIR_CHAPTER, *OWN_PAIRS, "--preset", "smoke"]
    answer = shell(command, folder, home=folder / "home")
    assert answer.code == 0, answer.err
    return folder / OWN_PAIRS[-1]
