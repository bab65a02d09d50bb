"""A live view of a run: TensorBoard, for this machine's own browser alone."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from keras_llm.errors import InputError
from keras_llm.layers import MultiHeadAttention
from keras_llm.training.schedules import rate_of_step

EVERY = 2.0  # seconds between two points of a curve, at least
FOLDER = "board"  # inside a run's own
TILE = 192  # pixels that a head's map has on its longer side, at least


def serve(folder: Path) -> str:
    """Start TensorBoard on a folder, for as long as this process lives.

    Returns:
        Its address, on the loopback interface.

    Raises:
        InputError: when TensorBoard is not installed.
    """
    try:
        from tensorboard import program
    except ImportError as error:
        raise InputError('--watch needs TensorBoard: pip install "tensorboard>=2.20".') from error
    board = program.TensorBoard()
    board.configure(argv=["tensorboard", "--logdir", str(folder), "--host", "127.0.0.1", "--port", "0"])
    return board.launch()


class Board(keras.callbacks.TensorBoard):
    """Keras's callback, with a point every few seconds of a long epoch, the loop's speed, and maps of attention.

    Before the training and after each epoch, each attention of the model shows its weights on one row of the validation
    part (or of the training part): that with the most tokens in the first batch.

    Args:
        folder: of the training's curves.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), write_graph=False)
        self.steps = tf.summary.create_file_writer(str(folder / "steps"))
        self.maps = tf.summary.create_file_writer(str(folder / "attention"))

    def on_train_begin(self, logs: dict | None = None) -> None:
        super().on_train_begin(logs)
        feeds = self.params["training"].feeds
        inputs = feeds.get("validation", feeds["training"]).first_batch()[0]
        self.example = longest_row(inputs) if attentions(self.model) else None
        self._draw(self.params["training"].epoch)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self.laps, self.written = self.model.history.meter.laps, time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        super().on_train_batch_end(batch, logs)
        if time.perf_counter() - self.written >= EVERY:
            self._write(logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        self._write({name: value for name, value in (logs or {}).items() if not name.startswith("val_")})
        self._draw(epoch + 1)

    def _draw(self, epochs: int) -> None:
        if self.example is None:
            return
        with self.maps.as_default():
            for name, weights in attention_weights(self.model, self.example).items():
                about = "One map a head: each row is a position that asks, each column one that is asked."
                tf.summary.image(name, tiles(weights)[None], step=epochs, description=about)
        self.maps.flush()

    def _write(self, logs: dict | None) -> None:
        step = int(self.model.optimizer.iterations)
        points = {**(logs or {}), "learning_rate": rate_of_step(self.model.optimizer, step - 1)}
        points |= self.model.history.meter.figures(self.laps)
        with self.steps.as_default():
            for name, value in points.items():
                if isinstance(value, int | float):
                    tf.summary.scalar(name, value, step=step)
        self.steps.flush()
        self.written = time.perf_counter()


def attentions(model: keras.Model) -> dict[str, MultiHeadAttention]:
    """The attentions inside a model, by where they stand in it."""
    layers = (layer for layer in model._flatten_layers(include_self=False) if isinstance(layer, MultiHeadAttention))
    return {layer.path: layer for layer in layers}


def attention_weights(model: keras.Model, inputs) -> dict[str, np.ndarray]:
    """The weights ``(H, T, S)`` of each attention of a built model, for the first row of some inputs."""
    seen: dict[str, np.ndarray] = {}

    @contextmanager
    def listening(name: str, layer: MultiHeadAttention) -> Iterator[None]:
        attend = layer.attend

        def heard(*args, **kwargs):
            outputs, weights = attend(*args, **kwargs)
            seen[name] = np.array(weights[0], "float32")
            return outputs, weights

        layer.attend = heard
        try:
            yield
        finally:
            del layer.attend

    with ExitStack() as stack:
        for name, layer in attentions(model).items():
            stack.enter_context(listening(name, layer))
        model(inputs, training=False)
    return seen


def longest_row(inputs):
    """Of a batch, the row with the fewest zeros (padding), as a batch of one."""
    parts = [np.asarray(each) for each in tree.flatten(inputs)]
    tokens = sum((part != 0).reshape(len(part), -1).sum(axis=1) for part in parts)
    row = int(np.argmax(tokens))
    return tree.map_structure(lambda part: np.asarray(part)[row : row + 1], inputs)


def tiles(weights: np.ndarray) -> np.ndarray:
    """Maps ``(H, T, S)`` side by side as one picture ``(height, width, 3)``, nearly white for 0, dark blue for 1."""
    from matplotlib import colormaps

    times = -(-TILE // max(weights.shape[1:]))
    large = weights.repeat(times, axis=1).repeat(times, axis=2)
    pictures = colormaps["Blues"](large, bytes=True)[..., :3]
    framed = np.pad(pictures, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=128)
    return np.concatenate(framed, axis=1)


def show_figure(folder: Path, figure: Path) -> None:
    """Put a PNG among the images of a run, such as a map of attention weights."""
    with tf.summary.create_file_writer(str(folder / "figures")).as_default():
        tf.summary.image(figure.stem, tf.io.decode_png(figure.read_bytes(), channels=3)[None], step=0)


def show_text(folder: Path, name: str, text: str) -> None:
    """Put a text among those of a run, such as what a model has written."""
    with tf.summary.create_file_writer(str(folder / "texts")).as_default():
        tf.summary.text(name, text, step=0)
