"""The compiled programs: several training or test steps as one XLA program.

The step itself is Keras's own (``model.train_step``), so that losses, metrics, optimizers, sample weights and
overridden steps mean what they mean in ``model.fit``. What is new is the loop around it: it runs inside the program,
and Python is called once per stack of batches instead of once per batch.
"""

import math
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from keras_llm.errors import WorkError
from keras_llm.training.feed import Stack
from keras_llm.training.flops import matrix_flops
from keras_llm.training.step import train_step

CLUSTERS, UPDATE = "clusters", "update"
# What stays outside XLA in clusters: products and transpositions, which oneDNN does faster, and what holds state.
# Measured with AMX: a product at 2048³ in bfloat16 runs at 1430 GFLOP/s in oneDNN and at 290 in XLA; a step of an
# encoder-decoder 4+4 × 256 takes 475 ms in clusters, 740 op by op and 827 in one XLA program (float32).
OUTSIDE = {"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "Conv2D", "Transpose"}
# So do reductions, which XLA:CPU is slow at. With 32 rows of 192 tokens through the catalog's encoder, in runs one
# after the other, a step took 2,190 ms with all in XLA, 1,910 without softmax, 1,570 without sums and bias gradients.
OUTSIDE |= {"Softmax", "Sum", "BiasAddGrad"}
OUTSIDE |= {"While", "StatelessWhile", "If", "StatelessIf", "PartitionedCall", "StatefulPartitionedCall"}
OUTSIDE |= {"ReadVariableOp", "AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"}
ALL_REDUCE = "_all_reduce_sum_gradients"  # of Keras's optimizers on TensorFlow


class Programs:
    """The training, test and prediction program of one model.

    Args:
        model: a built and compiled model.
        jit_compile: True makes each program one XLA program. "clusters" leaves matrix products to oneDNN and compiles
            what lies between them, and the optimizer, with XLA. "update" compiles the optimizer alone, which takes
            a few seconds. False runs the same loop op by op.
        part_rows: most rows of a batch that are worked through at once, see ``keras_llm.training.step``.

    Attributes:
        traces: how often each program was traced; it stays at one per shape of a batch.
        compile_seconds: time of the calls in which a trace happened.
    """

    def __init__(self, model: keras.Model, jit_compile: bool | str = True, part_rows: int | None = None) -> None:
        # A proxy: the cache below is keyed by the model, and must not keep it alive.
        self.model = weakref.proxy(model)
        self.jit_compile, self.part_rows = jit_compile, part_rows
        # Keras overrides count: a step of its own is taken as it is.
        self.own_step = type(model).train_step is not keras.Model.train_step
        self.traces = {"train": 0, "test": 0, "predict": 0}
        self.compile_seconds = 0.0
        self.log_shapes: dict[str, dict[str, tuple]] = {}
        self.train = self._loop("train")
        self.test = self._loop("test")

        @tf.function(jit_compile=self.whole, autograph=False)
        def predict(batch):
            self.traces["predict"] += 1
            with self.scope():
                return self.model.predict_step(batch)

        self.predict = predict

        # Op by op, an optimizer would read and write each variable several times over.
        self.update_in_xla = tf.function(self.update, jit_compile=True, autograph=False)

    @property
    def whole(self) -> bool:
        """Whether a program is one XLA program."""
        return self.jit_compile is True

    def update(self, gradients: list) -> None:
        """Update the trainable weights; those without a gradient stay."""
        pairs = [(g, w) for g, w in zip(gradients, self.model.trainable_weights, strict=True) if g is not None]
        self.model.optimizer.apply([g for g, _ in pairs], [w for _, w in pairs])

    def scope(self):
        """Within it, what is not in OUTSIDE goes into XLA clusters, if that is how this model is compiled."""
        if self.jit_compile != CLUSTERS:
            return nullcontext()
        return tf.xla.experimental.jit_scope(compile_ops=lambda node: node.op not in OUTSIDE)

    def train_step(self, batch: Any) -> dict[str, Any]:
        """One training step: the model's own, or Keras's, taken apart where that is of use."""
        apart = self.jit_compile in (CLUSTERS, UPDATE)
        with without_all_reduce(self.model.optimizer):
            if self.own_step or (self.part_rows is None and not apart):
                return self.model.train_step(batch)
            update = self.update_in_xla if apart else self.update
            return train_step(self.model, batch, self.part_rows, update, self.scope)

    def _loop(self, kind: str) -> Callable:
        @tf.function(jit_compile=self.whole, autograph=False)
        def program(arrays, steps, new_epoch):
            self.traces[kind] += 1
            one_step = self.train_step if kind == "train" else self.model.test_step
            capacity = tree.flatten(arrays)[0].shape[0]

            def body(step, logs):
                batch = tree.map_structure(lambda array: array[step], arrays)
                tf.cond(new_epoch[step], self._reset_metrics, lambda: None)
                with self.scope():
                    result = one_step(batch)
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
        values = self.compiled(program, *self.arguments(stack))
        seconds = time.perf_counter() - start
        if self.traces[kind] > traces:
            self.compile_seconds += seconds
            seconds = 0.0
        return self.table(kind, values.numpy()[: stack.steps]), seconds

    def arguments(self, stack: Stack) -> tuple:
        """What a program takes: the arrays, the number of real steps, and which of them begin a further epoch."""
        new_epoch = np.zeros(len(tree.flatten(stack.arrays)[0]), bool)
        new_epoch[list(stack.new_epochs)] = True
        return stack.arrays, np.int32(stack.steps), new_epoch

    def _reset_metrics(self) -> None:
        for metric in self.model.metrics:
            metric.reset_state()

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
        capacity = tree.flatten(specs)[0].shape[0]
        others = tf.TensorSpec((), "int32"), tf.TensorSpec((capacity,), "bool")
        total = matrix_flops(getattr(self, kind).get_concrete_function(specs, *others).graph)
        return None if total is None else total // capacity  # the loop was counted with all the turns it can make

    def hlo(self, kind: str, stack: Stack, stage: str = "hlo") -> str:
        """The text of the compiled program, for a look inside; ``stage`` may be ``optimized_hlo``."""
        arguments = tree.map_structure(tf.convert_to_tensor, self.arguments(stack))
        return getattr(self, kind).experimental_get_compiler_ir(*arguments)(stage=stage)


@contextmanager
def without_all_reduce(optimizer: Any) -> Iterator[None]:
    """In here an optimizer is traced without the sum of its gradients over replicas, where there is one replica.

    TensorFlow registers a gradient of that sum, for ever, and with it the traced graph and all variables in it: each
    training would leave its weights and its optimizer in memory.
    """
    changed = []
    while optimizer is not None and not tf.distribute.has_strategy():
        if hasattr(optimizer, ALL_REDUCE):
            vars(optimizer)[ALL_REDUCE] = lambda pairs: pairs
            changed.append(optimizer)
        optimizer = getattr(optimizer, "inner_optimizer", None)
    try:
        yield
    finally:
        for each in changed:
            del vars(each)[ALL_REDUCE]


# Each model has programs of its own, which TensorFlow takes for one function that is traced again and again. Real
# retracing is what `Programs.traces` counts.
tf.get_logger().addFilter(lambda record: "triggered tf.function retracing" not in record.getMessage())

_CACHE: "weakref.WeakKeyDictionary[keras.Model, tuple[tuple, dict[tuple, Programs]]]" = weakref.WeakKeyDictionary()


def programs_of(
    model: keras.Model,
    jit_compile: bool | str = True,
    part_rows: int | None = None,
    kind: type[Programs] = Programs,
) -> Programs:
    """The programs of a model, made once; made anew after ``compile`` or a change of what is trainable."""
    # A model that was never compiled has no optimizer; it can predict all the same.
    parts = (getattr(model, "optimizer", None), model._compile_loss, model._compile_metrics, *model.trainable_variables)
    known, programs = _CACHE.get(model, ((), {}))
    if len(known) != len(parts) or any(a is not b for a, b in zip(known, parts, strict=True)):
        programs = {}
        _CACHE[model] = (parts, programs)
    key = (jit_compile, part_rows)
    if key not in programs:
        programs[key] = kind(model, jit_compile, part_rows)
    return programs[key]


def way_to_compile(model: keras.Model, jit_compile: bool | str) -> bool | str:
    """What "auto" means for this model on this machine: True, or "clusters". The other values stand for themselves.

    Whole steps in XLA are fastest in float32. In bfloat16 on a CPU they are not, because XLA's products there do not
    use the processor's instructions for it, and oneDNN's do.

    Raises:
        ValueError: for a value that is none.
    """
    if jit_compile in (True, False, CLUSTERS, UPDATE):
        return jit_compile
    if jit_compile != "auto":
        raise ValueError(f"jit_compile={jit_compile!r}: give True, False, 'clusters', 'update' or 'auto'.")
    half = any(layer.compute_dtype == "bfloat16" for layer in model._flatten_layers())
    return CLUSTERS if half and not tf.config.list_physical_devices("GPU") else True
