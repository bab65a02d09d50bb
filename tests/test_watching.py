"""A run with options that change what one sees: watched in TensorBoard, and in Chinese; its results stay the same."""

import contextlib
import io
import json
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["tests.command_line_fixtures"]
pytest.importorskip("tensorboard")
CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Iterator[tuple[Path, str]]:
    """A smoke run of chapter 1 with ``--watch`` and ``--language zh``: its folder, and what it printed."""
    from keras_llm import cli, languages, runs, watching

    folder, out = tmp_path_factory.mktemp("watched") / "run", io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    options = ["--preset", "smoke", "--watch", "--language", "zh", "--output", str(folder)]
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(out):
        patched.setattr(watching, "EVERY", 0.0)
        cli.main(["run", "ch01_neural_network", *options])
    languages.speak(None)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    yield folder, out.getvalue()
    runs.request(runs.Options())


def test_a_watched_run_shows_curves_figures_and_texts(watched) -> None:
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    from keras_llm import runs, watching

    folder, out = watched
    address = next(line.split()[1] for line in out.splitlines() if line.startswith("TensorBoard: "))
    assert address.startswith(("http://127.0.0.1:", "http://localhost:"))
    assert b"TensorBoard" in urllib.request.urlopen(address).read()

    runs.active().sample("a text", "once upon a time")
    board = EventMultiplexer()
    board.AddRunsFromDirectory(str(folder / watching.FOLDER))
    board.Reload()
    tags = {name: found["tensors"] for name, found in board.Runs().items()}
    assert "perceptron" in tags["figures"] and tags["texts"] == ["a text"]
    steps = [found for name, found in tags.items() if name.endswith("/steps")]
    assert steps and all({"loss", "learning_rate"} <= set(found) for found in steps)
    assert any("rows_per_second" in found for found in steps)
    assert any("epoch_loss" in found for found in tags.values())


def test_a_run_in_chinese_gives_the_same_results(watched, finished_run) -> None:
    folder, out = watched
    english = finished_run("ch01_neural_network")
    assert {path.name for path in folder.iterdir()} == {path.name for path in english.iterdir()} | {"board"}
    known, metrics = (json.loads((Path(each) / "metrics.json").read_text("utf-8")) for each in (english, folder))
    assert metrics == pytest.approx(known, rel=1e-3, abs=1e-5)
    said = [line for line in out.splitlines() if re.search(r"[^\W\d_]{4}", line) and not re.match(r"\w+_\w+ ", line)]
    assert sum(bool(CHINESE.search(line)) for line in said) > 0.7 * len(said), out
    assert "完成，用时" in out and "Done in" not in out


def test_a_run_that_nobody_watches_writes_no_board(own_run) -> None:
    assert not (own_run / "board").exists()
