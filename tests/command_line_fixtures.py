"""Fixtures of the command line's tests; a test file asks for them with ``pytest_plugins``."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

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
def once(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """``once(name, make)``: a folder that ``make(folder)`` fills, one time for all processes of the test session."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder_of(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def finished_run(once) -> Callable[[str], Path]:
    """The folder of a chapter's smoke run on its own data, made once: ``finished_run("ch03_lstm_classifier")``."""

    def run(chapter: str) -> Path:
        def make(folder: Path) -> None:
            answer = shell(f"keras-llm run {chapter} --preset smoke --output run", folder, timeout=600)
            assert answer.code == 0, answer.err

        return once(f"smoke_{chapter}", make) / "run"

    return run


@pytest.fixture(scope="session")
def own_run(once) -> Path:
    """A smoke run with the options ``OWN``, by ``python -m chapters...``; its ``reviews.csv`` is two folders up."""

    def make(folder: Path) -> None:
        write_reviews(folder / "reviews.csv")
        command = [sys.executable, "-m", f"chapters.{CHAPTER}", *OWN, "--preset", "smoke"]
        answer = shell(command, folder, home=folder / "home")
        assert answer.code == 0, answer.err

    return once("own", make) / OWN[-1]


@pytest.fixture(scope="session")
def novel_run(once) -> Path:
    """A smoke run on a file of mixed scripts, without network and with an empty cache."""

    def make(folder: Path) -> None:
        write_novel(folder / "novel.txt")
        command = ["keras-llm", "run", TEXT_CHAPTER, *OWN_TEXT, "--preset", "smoke", "--output", "run"]
        answer = shell(command, folder, home=folder / "home")
        assert answer.code == 0, answer.err

    return once("novel", make) / "run"


@pytest.fixture(scope="session")
def pairs_run(once) -> Path:
    """A smoke run on made-up pairs, without network and with an empty cache."""

    def make(folder: Path) -> None:
        write_pairs(folder / "pairs.tsv")
        command = ["keras-llm", "run", PAIR_CHAPTER, *OWN_PAIRS, "--preset", "smoke"]
        answer = shell(command, folder, home=folder / "home")
        assert answer.code == 0, answer.err

    return once("pairs", make) / OWN_PAIRS[-1]
