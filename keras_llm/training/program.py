"""The compiled programs: several training or test steps as one XLA program.

The step itself is Keras's own (``model.train_step``), so that losses, metrics, optimizers, sample weights and
overridden steps mean what they mean in ``model.fit``. What is new is the loop around it: it runs inside the program,
and Python is called once per stack of batches instead of once per batch.
"""

import math
import time
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from keras_llm.errors import WorkError
from keras_llm.training.feed import Stack
from keras_llm.training.flops import matrix_flops


class Programs:
    """The training, test and prediction program of one model.

    Args:
        model: a built and compiled model.
        jit_compile: compile with XLA; False runs the same loop op by op.

    Attributes:
        traces: how often each program was traced; it stays at one per shape of a batch.
        compile_seconds: time of the calls in which a trace happened.
    """

    def __init__(self, model: keras.Model, jit_compile: bool = True) -> None:
        # A proxy: the cache below is keyed by the model, and must not keep it alive.
        self.model = weakref.proxy(model)
        self.jit_compile = jit_compile
        self.traces = {"train": 0, "test": 0, "predict": 0}
        self.compile_seconds = 0.0
        self.log_shapes: dict[str, dict[str, tuple]] = {}
        self.train = self._loop("train")
        self.test = self._loop("test")

        @tf.function(jit_compile=jit_compile)
        def predict(batch):
            self.traces["predict"] += 1
            return self.model.predict_step(batch)

        self.predict = predict

    def _loop(self, kind: str) -> Callable:
        @tf.function(jit_compile=self.jit_compile)
        def program(arrays, steps):
            self.traces[kind] += 1
            one_step = self.model.train_step if kind == "train" else self.model.test_step
            capacity = tree.flatten(arrays)[0].shape[0]

            def body(step, logs):
                result = one_step(tree.map_structure(lambda array: array[step], arrays))
                result = {name: tf.cast(value, "float32") for name, value in result.items()}
                self.log_shapes[kind] = {name: tuple(value.shape) for name, value in result.items()}
                row = tf.concat([tf.reshape(value, [-1]) for value in result.values()], axis=0)
                return step + 1, logs.write(step, row)

            _, logs = tf.while_loop(
                lambda step, _: step < steps,
                body,
                (0, tf.TensorArray("float32", size=capacity, element_shape=None)),
                maximum_iterations=capacity,
            )
            return logs.stack()  # (capacity, numbers of all logs); rows from `steps` on mean nothing

        return program

    def run(self, kind: str, stack: Stack) -> tuple[dict[str, np.ndarray], float]:
        """Run one stack.

        Returns:
            The logs after each step, each ``(steps,)``, as Keras gives them: means since the epoch began (a metric
            with one number a class has ``(steps, classes)``); and the seconds, 0.0 when the call had to compile.

        Raises:
            WorkError: when XLA cannot compile the step.
        """
        program, traces, start = getattr(self, kind), self.traces[kind], time.perf_counter()
        values = self.compiled(program, stack.arrays, np.int32(stack.steps))
        seconds = time.perf_counter() - start
        if self.traces[kind] > traces:
            self.compile_seconds += seconds
            seconds = 0.0
        return self.table(kind, values.numpy()[: stack.steps]), seconds

    def table(self, kind: str, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The logs by name, from one row ``(numbers of all logs,)`` a step."""
        logs = self.log_shapes[kind]
        ends = np.cumsum([math.prod(shape) for shape in logs.values()])
        columns = np.split(rows, ends[:-1], axis=1)
        return {name: column.reshape(-1, *logs[name]) for name, column in zip(logs, columns, strict=True)}

    def compiled(self, program: Callable, *args):
        """Call a program; what XLA cannot compile becomes one sentence."""
        try:
            return program(*tree.map_structure(tf.convert_to_tensor, args))
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            if not self.jit_compile:
                raise
            reason = str(error).strip().splitlines()[0]
            raise WorkError(
                f"XLA cannot run a step of model {self.model.name!r} ({reason}): train it with jit_compile=False."
            ) from error

    def flops(self, kind: str, specs: Any) -> int | None:
        """Operations of the matrix products of one step; None when the graph does not tell them.

        Args:
            specs: a stack's arrays as ``tf.TensorSpec``.
        """
        traced = getattr(self, kind).get_concrete_function(specs, tf.TensorSpec((), "int32"))
        total, capacity = matrix_flops(traced.graph), tree.flatten(specs)[0].shape[0]
        return None if total is None else total // capacity  # the loop was counted with all the turns it can make

    def hlo(self, kind: str, stack: Stack, stage: str = "hlo") -> str:
        """The text of the compiled program, for a look inside; ``stage`` may be ``optimized_hlo``."""
        arguments = tree.map_structure(tf.convert_to_tensor, (stack.arrays, np.int32(stack.steps)))
        return getattr(self, kind).experimental_get_compiler_ir(*arguments)(stage=stage)


# Each model has programs of its own, which TensorFlow takes for one function that is traced again and again. Real
# retracing is what `Programs.traces` counts.
tf.get_logger().addFilter(lambda record: "triggered tf.function retracing" not in record.getMessage())

_CACHE: "weakref.WeakKeyDictionary[keras.Model, tuple[tuple, dict[bool, Programs]]]" = weakref.WeakKeyDictionary()


def programs_of(model: keras.Model, jit_compile: bool = True, kind: type[Programs] = Programs) -> Programs:
    """The programs of a model, made once; made anew after ``compile`` or a change of what is trainable."""
    # A model that was never compiled has no optimizer; it can predict all the same.
    parts = (getattr(model, "optimizer", None), model._compile_loss, model._compile_metrics, *model.trainable_variables)
    known, programs = _CACHE.get(model, ((), {}))
    if len(known) != len(parts) or any(a is not b for a, b in zip(known, parts, strict=True)):
        programs = {}
        _CACHE[model] = (parts, programs)
    if jit_compile not in programs:
        programs[jit_compile] = kind(model, jit_compile)
    return programs[jit_compile]
