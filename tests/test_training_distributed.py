"""Several workers end where one process ends that is given the joint batch; two real processes on loopback."""

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_llm.errors import InputError
from keras_llm.training import evaluate, fit, multi_worker_strategy, predict
from keras_llm.training.step import loss_weight
from tests import distributed_worker
from tests.distributed_worker import SECONDS
from tests.examples import X, Y, perceptron

ROOT = Path(__file__).parent.parent


def start(kind: str, output: Path, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.distributed_worker", kind, str(output)]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ends_of(processes: list[subprocess.Popen]) -> list[str]:
    """What they printed. A process that takes too long says where it stood (``distributed_worker``) and ends."""
    try:
        with ThreadPoolExecutor() as pool:
            ends = list(pool.map(lambda process: process.communicate(timeout=2 * SECONDS), processes))
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(e[-4000:] for _, e in ends)
    return [out for out, _ in ends]


def free_ports(count: int) -> list[int]:
    """Below 32768, where no outgoing connection, not even one to the port itself, takes them in the meantime."""
    found, draw = [], random.SystemRandom()  # Keras seeds `random` itself
    while len(found) < count:
        port = draw.randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.create_server(("localhost", port)):
            found.append(port)
    return found


@pytest.fixture(scope="module")
def alone() -> dict[str, np.ndarray]:
    works = (distributed_worker.weighted, distributed_worker.masked, lambda: distributed_worker.noisy(copies=1))
    names = ("weighted", "masked", "noisy")
    return {
        f"{name} {key}": v
        for name, work in zip(names, works, strict=True)
        for key, v in distributed_worker.train(work).items()
    }


def assert_the_same(results: dict[str, np.ndarray], alone: dict[str, np.ndarray]) -> None:
    assert results.keys() == alone.keys()
    for name, expected in alone.items():
        if name == "noisy history loss":
            assert np.abs(results[name] - expected).min() > 0.01  # the second replica drew other zeros
        else:
            np.testing.assert_allclose(results[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_two_processes_end_where_one_ends(alone, tmp_path) -> None:
    workers = [f"localhost:{port}" for port in free_ports(2)]
    configs = [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": i}} for i in range(2)]
    files = [tmp_path / f"{i}.npz" for i in range(2)]
    printed = ends_of([start("worker", f, TF_CONFIG=json.dumps(c)) for f, c in zip(files, configs, strict=True)])
    first, second = (dict(np.load(file)) for file in files)
    assert_the_same(first, alone)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)  # the same bits
    refused = "refused: The workers differ in batch_size, seed, train: start all of them with the same.\n"
    assert printed[1].endswith(refused)
    assert refused + "failed: Another worker is gone" in printed[0]


def test_two_devices_of_one_process_end_where_one_ends(alone, tmp_path) -> None:
    ends_of([start("mirrored", tmp_path / "mirrored.npz")])
    assert_the_same(dict(np.load(tmp_path / "mirrored.npz")), alone)


SPARSE = keras.losses.SparseCategoricalCrossentropy


@pytest.mark.parametrize("weights", [None, "rows", "tokens"])
@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize(
    "loss",
    [SPARSE(True), SPARSE(True, ignore_class=3), SPARSE(True, reduction="mean_with_sample_weight")],
    ids=["mean", "ignored class", "mean with weights"],
)
def test_parts_with_their_weights_make_the_loss_of_the_whole(loss, masks, weights, token_ids) -> None:
    if weights == "rows" and loss.reduction == "sum_over_batch_size" and masks:
        pytest.skip("Keras itself does not join weights of rows with a mask of tokens")
    model = keras.Sequential([keras.layers.Embedding(20, 4, mask_zero=masks), keras.layers.Dense(20)])
    model.compile("sgd", loss)
    shape = {"rows": (40, 1), "tokens": (40, 6)}.get(weights, ())
    sample_weight = None if weights is None else np.random.default_rng(2).uniform(size=shape).astype("float32")

    def part(rows: slice) -> tuple[float, float]:
        y, weight = token_ids[rows], None if sample_weight is None else sample_weight[rows]
        y_pred = model(token_ids[rows])
        value = model.compute_loss(None, y, y_pred, weight)
        return float(value), float(loss_weight(model, y, y_pred, weight, float(len(y))))

    whole, parts = part(slice(0, 40)), [part(slice(0, 7)), part(slice(7, 40))]
    assert sum(value * weight for value, weight in parts) / whole[1] == pytest.approx(whole[0], rel=1e-5)
    assert sum(weight for _, weight in parts) == pytest.approx(whole[1], rel=1e-5)


# Mistakes


@pytest.mark.parametrize(
    "config",
    [None, "{", "[]", '{"cluster": {}}', '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'],
)
def test_a_tf_config_that_names_no_worker_is_refused(config, monkeypatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(InputError, match=r"TF_CONFIG=.* which worker"):
        multi_worker_strategy()


class OwnStep(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


@pytest.mark.parametrize(
    ("strategy", "options", "message"),
    [
        (tf.distribute.OneDeviceStrategy("CPU:0"), {}, "OneDeviceStrategy .* use MirroredStrategy"),
        (tf.distribute.MirroredStrategy(["CPU:0"]), {"own_step": True}, "train_step of its own"),
        (tf.distribute.MirroredStrategy(["CPU:0"]), {"loss": keras.losses.MeanSquaredError("sum")}, "use a mean"),
    ],
    ids=["another strategy", "own train_step", "a sum for a loss"],
)
def test_what_cannot_be_divided_is_refused(strategy, options, message) -> None:
    with strategy.scope():
        model = perceptron(loss=options.get("loss", "mse"))
        if "own_step" in options:
            model = OwnStep(model.inputs, model.outputs)
            model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=message) as caught:
        fit(model, (X, Y), batch_size=8, verbose=0)
    assert "\n" not in str(caught.value)


def test_the_scope_is_left_before_training_and_scores_need_no_training(model) -> None:
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        scoped = perceptron()
        for work in (lambda: fit(scoped, (X, Y)), lambda: evaluate(scoped, (X, Y)), lambda: predict(scoped, X)):
            with pytest.raises(ValueError, match="after the with block"):
                work()
    np.testing.assert_allclose(predict(scoped, X, batch_size=8), predict(model, X, batch_size=8), rtol=1e-5)
    assert evaluate(scoped, (X, Y), batch_size=8) == pytest.approx(evaluate(model, (X, Y), batch_size=8))
