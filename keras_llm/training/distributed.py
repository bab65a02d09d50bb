"""Several workers: ``fit`` on a model that was made inside the scope of a ``tf.distribute`` strategy.

Each replica computes the gradient of its share of every batch in a compiled program; the gradients are added up
outside XLA; a second compiled program, the same everywhere, updates weights and metrics with the sum.
"""

import json
import os
import time
import zlib
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from keras_llm.errors import InputError, WorkError
from keras_llm.training.feed import Stack
from keras_llm.training.program import Programs, programs_of, way_to_compile
from keras_llm.training.step import gradient_of

SEED_STRIDE = 0x9E3779B9  # odd: the random generators of 2³² replicas begin at different seeds
LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError, tf.errors.CancelledError)


def multi_worker_strategy() -> tf.distribute.MultiWorkerMirroredStrategy:
    """The strategy of this process as one of several, described by the environment variable ``TF_CONFIG``.

    Call it before anything else of TensorFlow. It waits until all workers are there.

    Raises:
        InputError: when ``TF_CONFIG`` is missing or does not describe a worker.

    Example: ``TF_CONFIG='{"cluster": {"worker": ["localhost:2221", "localhost:2222"]}, "task": {"type": "worker",
    "index": 0}}'`` for the first of two workers on one machine, index 1 for the second.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        workers, task = config["cluster"]["worker"], config["task"]
        known = task["type"] == "worker" and 0 <= task["index"] < len(workers)
    except (ValueError, KeyError, TypeError, AttributeError):
        known = False
    if not known:
        raise InputError(
            f"TF_CONFIG={text!r} does not say which worker this is: set it to "
            '{"cluster": {"worker": ["localhost:2221", "localhost:2222"]}, "task": {"type": "worker", "index": 0}}, '
            "with another index for each process."
        )
    ring = tf.distribute.experimental.CommunicationOptions(
        implementation=tf.distribute.experimental.CommunicationImplementation.RING
    )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=ring)
    except RuntimeError as error:
        raise InputError(f"Make the strategy first, before any other use of TensorFlow ({error}).") from error
    except tf.errors.UnknownError as error:
        address = workers[task["index"]]
        raise InputError(f"TF_CONFIG: cannot listen at {address} ({error.message}): choose a free port.") from error


def programs_for(model: keras.Model, jit_compile: bool | str = True, part_rows: int | None = None) -> Programs:
    """The programs of a model, wherever it was made; see ``DistributedPrograms`` for one made inside a scope."""
    take_over(model)
    kind = Programs if model._distribute_strategy is None else DistributedPrograms
    return programs_of(model, way_to_compile(model, jit_compile), part_rows, kind)


def take_over(model: keras.Model) -> None:
    """Put plain variables, those of this process's first device, in place of the strategy's mirrored ones.

    Mirrored variables cannot be written inside an XLA program. The strategy keeps its say in ``DistributedPrograms``.

    Raises:
        ValueError: inside the scope of a strategy, where Keras would scale losses and mirror new variables.
    """
    if tf.distribute.has_strategy():
        raise ValueError("Make and compile the model inside strategy.scope(), and call this after the with block.")
    if model._distribute_strategy is None:
        return
    for variable in all_variables(model):
        mirrored = variable._value
        if isinstance(mirrored, tf.distribute.DistributedValues):
            variable._value = model._distribute_strategy.experimental_local_results(mirrored)[0]
            variable.mirrored = mirrored  # an optimizer knows its variables by it, and TensorFlow holds it weakly
    optimizer = getattr(model, "optimizer", None)
    while optimizer is not None:
        optimizer._distribution_strategy = tf.distribute.get_strategy()
        optimizer = getattr(optimizer, "inner_optimizer", None)


def all_variables(model: keras.Model) -> list[keras.Variable]:
    optimizer = getattr(model, "optimizer", None)
    return [*model.variables, *model.metrics_variables, *(optimizer.variables if optimizer is not None else ())]


class DistributedPrograms(Programs):
    """The programs of a model that was made inside the scope of a strategy: each batch is divided over the replicas.

    What holds, for ``MultiWorkerMirroredStrategy`` (one device a process) and ``MirroredStrategy``:

    * ``batch_size`` is that of the joint batch, and each worker is given the whole data, in the same order. A share
      counts by what its loss averages over (rows, or elements that mask and sample weights leave), so that losses,
      metrics and weights are those of one process up to float rounding; the last, smaller batch too.
    * After each step all workers have the same bits in weights, optimizer and metrics. History, early stopping and
      a restored checkpoint are therefore the same everywhere; let one worker write files.
    * Each replica draws zeros of its own in dropout, so a training with dropout is not that of one process. The
      stored state of the generators is the same on all workers.
    * Validation, ``evaluate`` and ``predict`` run on the whole data in each process, on its first device.
    * There is one exchange a step; ``steps_per_program`` only decides how often callbacks are called.
    * ``MirroredStrategy`` keeps optimizer and metrics on the first device and copies the weights to the others.

    What does not hold: batch normalisation normalises with its share's statistics (its moving averages are the
    mean over the workers). Metrics must be sums over rows underneath, as Keras's own are. Losses that layers add
    count by the same weight as the main loss. A model with a ``compute_loss`` of its own counts by rows. An own
    ``train_step``, a loss that is not a mean, several losses with masks, other strategies: a ValueError.
    """

    def __init__(self, model: keras.Model, jit_compile: bool | str = True, part_rows: int | None = None) -> None:
        super().__init__(model, jit_compile)
        if part_rows is not None:
            raise ValueError("gradient_accumulation_steps does not go with a strategy: give more workers instead.")
        self.strategy = strategy = model._distribute_strategy
        several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self.devices = list(strategy.extended.worker_devices)
        if not (several or isinstance(strategy, tf.distribute.MirroredStrategy)) or (several and len(self.devices) > 1):
            raise ValueError(
                f"{type(strategy).__name__} with {len(self.devices)} devices in this process: use MirroredStrategy, "
                "or MultiWorkerMirroredStrategy with one device a process."
            )
        if self.own_step:
            raise ValueError(f"Model {model.name!r} has a train_step of its own: train it without a strategy.")
        self.num_replicas = strategy.num_replicas_in_sync
        self.first = 0  # rank of this process's first replica
        if several:
            rank = tf.function(lambda: tf.distribute.get_replica_context().replica_id_in_sync_group)
            self.first = int(strategy.run(rank))
        self.copies: list[list[tf.Variable]] = []  # what each replica but the first of this process works with
        self.gradients = [self._gradient(self.first + i) for i in range(len(self.devices))]
        self.update_all = tf.function(self._update_all, jit_compile=self.whole, autograph=False)

        @tf.function
        def add_up(vector):
            # Outside XLA, which has no collective operations between processes on a CPU.
            def everywhere(part):
                return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(part))

            return strategy.run(everywhere, args=(vector,)) if several else vector

        self._add_up = add_up

    def _replicated(self) -> list[keras.Variable]:
        scale = getattr(self.model.optimizer, "dynamic_scale", None)  # what LossScaleOptimizer multiplies losses with
        return [*self.model.variables, *self.model.metrics_variables, *([] if scale is None else [scale])]

    def _states(self) -> list[keras.Variable]:
        """What a step changes beside weights and metrics, as the moving averages of batch normalisation."""
        layers = self.model._flatten_layers()
        return [v for layer in layers for v in layer._non_trainable_variables if "float" in v.dtype]

    def _refresh(self) -> None:
        """Give the other replicas of this process what the first has. Before each step, and before any replica runs."""
        values = [v._value for v in self._replicated()]
        for copies in self.copies:
            for copy, value in zip(copies, values, strict=True):
                copy.assign(value)
        for device in self.devices[len(self.copies) + 1 :]:
            with tf.device(device):
                self.copies.append([tf.Variable(value) for value in values])

    @contextmanager
    def _replica(self, index: int):
        """Within it, the model's variables are those of a replica of this process."""
        variables = self._replicated()
        values = [v._value for v in variables]
        for variable, value in zip(variables, [values, *self.copies][index], strict=True):
            variable._value = value
        try:
            with tf.device(self.devices[index]):
                yield
        finally:
            for variable, value in zip(variables, values, strict=True):
                variable._value = value

    def _gradient(self, rank: int):
        """The program of one replica: a share of a batch in, one vector to be added up out."""

        @tf.function(jit_compile=self.whole, autograph=False)
        def gradient(share, has_rows):
            self.traces["train"] += 1
            model = self.model
            rows = float(tree.flatten(share)[0].shape[0])
            metrics, states = model.metrics_variables, self._states()
            seeds = [v for v in model.variables if v.path.endswith("seed_generator_state")]
            offset = tf.constant([rank * SEED_STRIDE % 2**32, 0], tf.uint32)
            before = [tf.identity(v.value) for v in (*metrics, *states)]
            for v in metrics:
                v.assign(tf.zeros_like(v.value))
            for v in seeds:
                v.assign(v.value + tf.cast(offset, v.dtype))
            with self.scope():
                loss, gradients, weight = gradient_of(model, share)
            self.used = [g is not None for g in gradients]
            parts = [g * tf.cast(weight, g.dtype) for g in gradients if g is not None]
            parts += [tf.identity(v.value) for v in metrics] + [v.value * tf.cast(rows, v.dtype) for v in states]
            parts += [loss * tf.cast(weight, loss.dtype), weight, rows]
            for v, value in zip((*metrics, *states), before, strict=True):
                v.assign(value)
            for v in seeds:
                v.assign(v.value - tf.cast(offset, v.dtype))
            vector = tf.concat([tf.reshape(tf.cast(p, keras.config.floatx()), [-1]) for p in parts], axis=0)
            return tf.where(has_rows, vector, tf.zeros_like(vector))

        return gradient

    def _update_all(self, vector):
        """The program that follows: the sum of all vectors in, the logs after the step out."""
        self.traces["train"] += 1
        model = self.model
        metrics, states = model.metrics_variables, self._states()
        weights = [v for v, used in zip(model.trainable_weights, self.used, strict=True) if used]
        sizes = [int(np.prod(v.shape)) for v in (*weights, *metrics, *states)]
        *parts, loss, weight, rows = tf.split(vector, [*sizes, 1, 1, 1])
        parts = [tf.reshape(p, v.shape) for p, v in zip(parts, (*weights, *metrics, *states), strict=True)]
        gradients = [tf.math.divide_no_nan(p, weight[0]) for p in parts[: len(weights)]]
        model.optimizer.apply_gradients([(tf.cast(g, v.dtype), v) for g, v in zip(gradients, weights, strict=True)])
        parts = parts[len(weights) :]
        for v, part in zip(metrics, parts, strict=False):
            v.assign_add(tf.cast(part, v.dtype))
        for v, part in zip(states, parts[len(metrics) :], strict=True):
            v.assign(tf.cast(part / rows[0], v.dtype))
        model._loss_tracker.update_state(tf.math.divide_no_nan(loss[0], weight[0]), sample_weight=rows[0])
        result = {name: tf.cast(value, "float32") for name, value in model.get_metrics_result().items()}
        self.log_shapes["train"] = {name: tuple(value.shape) for name, value in result.items()}
        return tf.concat([tf.reshape(value, [-1]) for value in result.values()], axis=0)

    def run(self, kind: str, stack: Stack) -> tuple[dict[str, np.ndarray], float]:
        if kind != "train":
            return super().run(kind, stack)
        traces, start, rows = self.traces["train"], time.perf_counter(), []
        for step in range(stack.steps):
            batch = tree.map_structure(lambda array: array[step], stack.arrays)  # noqa: B023
            if step in stack.new_epochs:
                self.model.reset_metrics()
            vectors = []
            self._refresh()
            for i, gradient in enumerate(self.gradients):
                share, has_rows = self.share_of(batch, self.first + i)
                with self._replica(i):
                    vectors.append(self.compiled(gradient, share, has_rows))
            with tf.device(self.devices[0]):
                rows.append(self.compiled(self.update_all, self.add_up(tf.add_n(vectors))).numpy())
            if not np.isfinite(rows[-1]).all():
                break  # on all workers at the same step: none waits for another that gave up
        seconds = time.perf_counter() - start
        if self.traces["train"] > traces:
            self.compile_seconds += seconds
            seconds = 0.0
        return self.table("train", np.stack(rows)), seconds

    def share_of(self, batch: Any, rank: int) -> tuple[Any, bool]:
        """The rows of a replica; one row that must not count, and False, when there are too few."""
        rows = len(tree.flatten(batch)[0])
        begin, end = (rows * r // self.num_replicas for r in (rank, rank + 1))
        return tree.map_structure(lambda array: array[begin : max(end, begin + 1)], batch), end > begin

    def add_up(self, vector):
        """The sum over all processes."""
        try:
            return self._add_up(vector)
        except LOST as error:
            raise WorkError(f"Another worker is gone ({type(error).__name__}): start all of them again.") from error

    def agree(self, settings: dict[str, Any]) -> None:
        """Compare what the workers are about to do.

        Raises:
            InputError: when they differ, with the names of what does.
        """
        settings = settings | {"weights": [np.array(v) for v in all_variables(self.model)]}
        mine = [zlib.crc32(b"".join(np.asarray(leaf).tobytes() for leaf in tree.flatten(v))) for v in settings.values()]
        table = np.zeros((self.num_replicas // len(self.devices), len(mine)), "int64")  # a row for each process
        table[self.first // len(self.devices)] = mine
        table = self.add_up(tf.constant(table)).numpy()
        different = [name for name, column in zip(settings, table.T, strict=True) if len(set(column)) > 1]
        if different:
            raise InputError(f"The workers differ in {', '.join(different)}: start all of them with the same.")
