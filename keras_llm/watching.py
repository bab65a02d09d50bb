"""A live view of a run: TensorBoard, for this machine's own browser alone."""

import time
from pathlib import Path

import keras
import tensorflow as tf

from keras_llm.errors import InputError
from keras_llm.training.schedules import rate_of_step

EVERY = 2.0  # seconds between two points of a curve, at least
FOLDER = "board"  # inside a run's own


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
    """Keras's callback, with a point every few seconds of a long epoch, and with the loop's speed.

    Args:
        folder: of the training's curves.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), write_graph=False)
        self.steps = tf.summary.create_file_writer(str(folder / "steps"))

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


def show_figure(folder: Path, figure: Path) -> None:
    """Put a PNG among the images of a run, such as a map of attention weights."""
    with tf.summary.create_file_writer(str(folder / "figures")).as_default():
        tf.summary.image(figure.stem, tf.io.decode_png(figure.read_bytes(), channels=3)[None], step=0)


def show_text(folder: Path, name: str, text: str) -> None:
    """Put a text among those of a run, such as what a model has written."""
    with tf.summary.create_file_writer(str(folder / "texts")).as_default():
        tf.summary.text(name, text, step=0)
