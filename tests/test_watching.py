"""A run that is watched: TensorBoard on the loopback interface, with curves, figures and texts."""

import urllib.request

import pytest

pytest_plugins = ["tests.command_line_fixtures"]
pytest.importorskip("tensorboard")


def test_a_watched_run_shows_curves_figures_and_texts(cli, monkeypatch, tmp_path) -> None:
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    from keras_llm import runs, watching

    monkeypatch.setattr(watching, "EVERY", 0.0)
    answer = cli("run", "ch01_neural_network", "--preset", "smoke", "--watch", "--output", tmp_path / "run")
    assert answer.code == 0, answer.err
    address = next(line.split()[1] for line in answer.out.splitlines() if line.startswith("TensorBoard: "))
    assert address.startswith(("http://127.0.0.1:", "http://localhost:"))
    assert b"TensorBoard" in urllib.request.urlopen(address).read()

    runs.active().sample("a text", "once upon a time")
    board = EventMultiplexer()
    board.AddRunsFromDirectory(str(tmp_path / "run" / watching.FOLDER))
    board.Reload()
    tags = {name: found["tensors"] for name, found in board.Runs().items()}
    assert "perceptron" in tags["figures"] and tags["texts"] == ["a text"]
    steps = [found for name, found in tags.items() if name.endswith("/steps")]
    assert steps and all({"loss", "learning_rate"} <= set(found) for found in steps)
    assert any("rows_per_second" in found for found in steps)
    assert any("epoch_loss" in found for found in tags.values())


def test_a_run_that_nobody_watches_writes_no_board(own_run) -> None:
    assert not (own_run / "board").exists()
