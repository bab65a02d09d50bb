"""A run with options that change what one sees: watched in TensorBoard, and in Chinese; its results stay the same."""

import contextlib
import io
import json
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
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


def test_attention_is_drawn_while_a_model_learns(tmp_path) -> None:
    import keras
    import tensorflow as tf
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from keras_llm.models import GPT
    from keras_llm.training import SparseCrossentropy, fit
    from keras_llm.watching import Board

    ids = np.random.default_rng(0).integers(1, 9, (8, 6))
    ids[:7, 4:] = 0
    model = GPT(9, 6, hidden_dim=8, num_heads=2, num_layers=2, name="gpt")
    model.compile(keras.optimizers.Adam(0.1), SparseCrossentropy())
    fit(model, (ids, ids), epochs=2, callbacks=[Board(tmp_path)], jit_compile=False, verbose=0)
    board = EventAccumulator(str(tmp_path / "attention"))
    board.Reload()
    assert board.Tags()["tensors"] == ["gpt/block_1/self_attention", "gpt/block_2/self_attention"]
    drawn = board.Tensors("gpt/block_1/self_attention")
    assert [each.step for each in drawn] == [0, 1, 2]
    pictures = [tf.io.decode_png(each.tensor_proto.string_val[2]).numpy() for each in drawn]
    assert not np.array_equal(pictures[0], pictures[2])
    height, half = pictures[0].shape[0], pictures[0].shape[1] // 2
    places = np.arange(6) * (height - 4) // 6 + 2 + (height - 4) // 12  # the middle of each cell
    for head in (pictures[2][:, :half], pictures[2][:, half:]):
        blue = head[np.ix_(places, places)].min(axis=-1) < 245
        np.testing.assert_array_equal(blue, np.tri(6, dtype=bool))  # causal, and the row without padding


def test_weights_of_a_decoder_and_of_lora_are_those_of_the_layers() -> None:
    from keras_llm.layers import LoRA
    from keras_llm.models import GPT, Transformer
    from keras_llm.watching import attention_weights

    ids = {"source_ids": np.array([[3, 4, 0]]), "target_ids": np.array([[1, 5]])}
    model = Transformer(8, hidden_dim=8, num_heads=2, intermediate_dim=8, num_layers=1)
    model(ids)
    weights = attention_weights(model, ids)
    _, cross = model.decode(ids["target_ids"], model.encode(ids["source_ids"]), ids["source_ids"], return_weights=True)
    assert len(weights) == 3
    assert any(each.shape == (2, 2, 3) and np.allclose(each, cross[0], atol=1e-6) for each in weights.values())
    gpt, ids = GPT(9, 4, hidden_dim=8, num_heads=2, num_layers=1), np.array([[1, 2, 3]])
    gpt(ids)
    plain, adapted = attention_weights(gpt, ids), attention_weights(LoRA(gpt, rank=2), ids)
    assert [each.shape for each in adapted.values()] == [each.shape for each in plain.values()] == [(2, 3, 3)]


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
