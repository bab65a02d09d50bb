"""The workloads trained by ``keras_llm.training.fit``, with the library's layers and losses where it has them."""

import time
from collections.abc import Callable

import keras

from keras_llm.layers import LSTM, Dropout
from keras_llm.training import SparseCrossentropy, fit
from keras_llm.training.peak import matmul_peak as peak  # noqa: F401  (the worker asks for it)
from tests.benchmarks import peers_keras, workloads
from tests.benchmarks.workloads import WORKLOADS

VARIANTS = {
    "fit": "keras_llm fit (XLA)",
    "fit_bfloat16": "keras_llm fit, mixed_bfloat16 (clusters)",
}


def prepare(name: str, variant: str) -> tuple[Callable[[], dict], int]:
    """Build a workload's network from seed 0; see ``tests.benchmarks.worker``.

    Args:
        name: key of ``WORKLOADS``.
        variant: key of ``VARIANTS``.
    """
    peers_keras.LAYERS.update(dropout=Dropout, lstm=LSTM)  # the process is ours alone
    model = peers_keras.compiled(name, variant, loss_of(name))
    work, (x, y) = WORKLOADS[name], workloads.batches(name)
    epochs = work.epochs(len(y))

    def run() -> dict:
        start = time.perf_counter()
        history = fit(model, (x, y), epochs=epochs, batch_size=work.batch, shuffle=False, verbose=0)
        # The whole call: what our loop does before and after its steps counts.
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "loss": history.history["loss"][-1], "parts": history.program["seconds"]}

    return run, peers_keras.parameters(model)


def loss_of(name: str) -> str | keras.losses.Loss:
    if name in ("perceptron", "lstm"):
        return "binary_crossentropy"
    return SparseCrossentropy(0.1, ignore_class=0) if name == "translation" else SparseCrossentropy()
