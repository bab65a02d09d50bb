"""THE loop: ``fit``, ``evaluate`` and ``predict`` for any compiled Keras model, with the steps inside XLA programs.

model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
history = fit(model, (x_train, y_train), validation_data=(x_val, y_val), epochs=10)
"""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree
from keras.callbacks import Callback, CallbackList, History

from keras_llm.errors import WorkError
from keras_llm.training.checkpoints import Checkpoint
from keras_llm.training.distributed import DistributedPrograms, programs_for, take_over
from keras_llm.training.feed import NO_ROWS, Feed, ahead, stack_capacity
from keras_llm.training.interrupts import first_signal_waits
from keras_llm.training.logs import ProgressLine, TrainingLog
from keras_llm.training.meter import Meter
from keras_llm.training.pace import MOST_STEPS, Pace
from keras_llm.training.program import Programs
from keras_llm.training.schedules import rate_of_step
from keras_llm.training.state import Progress
from keras_llm.training.step import rows_of_parts


def fit(
    model: keras.Model,
    train: Any,
    validation_data: Any = None,
    epochs: int = 1,
    callbacks: Iterable[Callback] = (),
    steps_per_program: int | str = "auto",
    *,
    batch_size: int = 32,
    shuffle: bool = True,
    seed: int = 0,
    class_weight: Mapping[int, float] | None = None,
    sample_weight: np.ndarray | None = None,
    initial_epoch: int = 0,
    verbose: int | str = "auto",
    jit_compile: bool | str = "auto",
    gradient_accumulation_steps: int = 1,
) -> keras.callbacks.History:
    """Train a compiled model, several steps in one XLA program.

    Losses, metrics and weights are those of ``model.fit(jit_compile=True)`` on the same batches; only Python's part
    between the steps is gone. A model made inside ``strategy.scope()`` trains on all replicas of the strategy: see
    ``keras_llm.training.distributed``.

    Args:
        model: compiled with ``model.compile``; its ``jit_compile`` and ``steps_per_execution`` are not looked at.
        train: ``(x, y)`` or ``(x, y, sample_weight)`` arrays, or a ``tf.data.Dataset`` of such batches.
        validation_data: the same, scored after each epoch.
        epochs: number of passes over ``train``; the index of the last epoch when ``initial_epoch`` is given.
        callbacks: Keras callbacks. Hooks of a batch are called at a program's first and last step, as Keras does
            with ``steps_per_execution``.
        steps_per_program: training steps in one program. "auto" takes as many as run in about half a second, and one
            when a callback wants to see each batch.
        batch_size: rows a batch, for arrays. The last, smaller batch is not dropped.
        shuffle: shuffle arrays before each epoch; a Dataset shuffles itself.
        seed: decides the shuffling, together with the number of the epoch.
        class_weight: weight of each integer class in the loss.
        sample_weight: weight of each row, ``(n,)``, for arrays.
        initial_epoch: where to begin counting, to go on with an earlier training.
        verbose: as in Keras: 0 silent, 1 a line that moves, 2 a line an epoch; "auto" is 1 on a terminal, otherwise 2.
        jit_compile: True compiles whole steps with XLA. "clusters" leaves the matrix products to oneDNN and compiles
            what lies between them: faster in bfloat16 on a CPU. "update" compiles the optimizer alone: for trainings of
            a large model that are over before more would have been compiled. False runs the same loop op by op. "auto"
            is "clusters" for a model that computes in bfloat16 on a machine without a GPU, otherwise True.
        gradient_accumulation_steps: work through each batch in so many parts, one after the other, to need less
            memory. Gradient, loss and update are those of the whole batch, also when the parts have different numbers
            of real tokens (masks and weights count).

    Returns:
        Keras's History. Its attribute ``program`` says what ran: ``jit_compile``, ``steps_per_program`` (the most in
        one call), ``traces``, ``compile_seconds``; and how fast: the medians ``step_ms``, ``tokens_per_second`` (or
        ``rows_per_second``) and ``mfu``, see :class:`keras_llm.training.meter.Meter`; ``seconds`` says how many the
        steps spent waiting for input, in calls that compiled, and in other calls.

    Raises:
        ValueError: when the model is not compiled or the data cannot be batched.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; with a :class:`~keras_llm.training.Checkpoint`, when it is written.
        WorkError: when the loss is no longer finite, or XLA cannot compile a step. ``model.history`` keeps the
            epochs that were finished.

    Source: document D0, section 5.2 (``model.fit``); D1, section 3.2 (the training loop in words).
    """
    if not model.compiled:
        raise ValueError("Compile the model first: model.compile(optimizer=..., loss=...).")
    feed = Feed(train, batch_size, seed if shuffle else None, class_weight, sample_weight)
    validation = None if validation_data is None else Feed(validation_data, batch_size)
    first = feed.first_batch()
    take_over(model)
    model._symbolic_build(data_batch=first)  # what model.fit calls: weights, metrics and optimizer slots
    programs = programs_for(model, jit_compile, rows_of_parts(model, first, gradient_accumulation_steps))
    callbacks = list(callbacks)
    feeds = {"training": feed} if validation is None else {"training": feed, "validation": validation}
    settings = {"batch_size": batch_size, "seed": seed, "shuffle": shuffle, "jit_compile": programs.jit_compile}
    settings["gradient_accumulation_steps"] = gradient_accumulation_steps
    progress = Progress(feeds, settings, epoch=initial_epoch)
    if verbose == "auto":
        verbose = 1 if sys.stdout.isatty() or (keras.utils.is_interactive_logging_enabled() and in_notebook()) else 2
    if verbose and not any(isinstance(callback, keras.callbacks.ProgbarLogger) for callback in callbacks):
        callbacks.append(ProgressLine())
    calls = CallbackList(
        callbacks,
        add_history=True,
        model=model,
        verbose=verbose,
        epochs=epochs,
        steps=feed.num_batches,
        training=progress,
    )
    # A checkpoint holds what all others have made of the step or epoch, so it comes after them.
    calls.callbacks.sort(key=lambda callback: isinstance(callback, Checkpoint))
    progress.callbacks = calls.callbacks
    can_save = any(isinstance(callback, Checkpoint) for callback in calls.callbacks)
    # When nobody looks between two epochs, one program may hold the end of one and the begin of the next.
    watched = validation is not None or not all(type(each) in (History, ProgressLine) for each in calls.callbacks)
    pace = Pace(steps_per_program, first, feed.num_batches if watched or epochs == 1 else None, callbacks)
    history = model.history
    history.program = {"jit_compile": programs.jit_compile, "steps_per_program": 0, "traces": 0, "compile_seconds": 0.0}
    shown = bool(verbose) or any(isinstance(callback, TrainingLog) for callback in callbacks)
    history.meter = meter = Meter(model.compute_dtype, lambda specs: programs.flops("train", specs), shown)
    model.stop_training, model._initial_epoch = False, None
    with first_signal_waits(progress) if can_save else nullcontext():
        calls.on_train_begin()
        # A Checkpoint sets `progress` to where the training was; BackupAndRestore says its epoch by `_initial_epoch`.
        first_epoch = model._initial_epoch or progress.epoch
        if isinstance(programs, DistributedPrograms):
            given = {"epochs": (first_epoch, epochs), "batch_size": batch_size, "shuffle": shuffle, "seed": seed}
            data = (first, -1 if feed.num_batches is None else feed.num_batches)
            programs.agree({**given, "steps done": progress.step, "jit_compile": programs.jit_compile, "train": data})
            history.program["replicas"] = programs.num_replicas
        epoch_logs: dict[str, Any] = {}

        def end_epoch(logs: dict[str, Any]) -> None:
            epoch = progress.epoch
            progress.begin(epoch + 1)
            calls.on_epoch_end(epoch, logs)

        rest = range(first_epoch, epochs)
        for together in [range(epoch, epoch + 1) for epoch in rest] if watched else [rest] if rest else []:
            if model.stop_training:
                break
            if together[0] != progress.epoch:
                progress.begin(together[0])
            model.reset_metrics()
            calls.on_epoch_begin(together[0])
            epoch_logs = _train(model, programs, feed, progress, together, pace, meter, calls, end_epoch)
            if validation is not None and epoch_logs:
                scores = _evaluate(model, programs, validation, calls)
                epoch_logs |= {f"val_{name}": value for name, value in scores.items()}
            history.program |= {
                "steps_per_program": pace.most,
                "traces": programs.traces["train"],
                "compile_seconds": round(programs.compile_seconds, 2),
                "seconds": meter.spent(),
                **meter.figures(),
            }
            end_epoch(epoch_logs)
        if isinstance(model.optimizer, keras.optimizers.Optimizer) and epochs > 0:
            model.optimizer.finalize_variable_values(model.trainable_variables)
        calls.on_train_end(epoch_logs)
    return history


def _train(
    model: keras.Model,
    programs: Programs,
    feed: Feed,
    progress: Progress,
    epochs: range,
    pace: Pace,
    meter: Meter,
    calls: CallbackList,
    end_epoch: Callable[[dict], None],
) -> dict[str, Any]:
    """The rest of the epoch under way, and those that follow without a break; the logs of the last step."""
    asked = time.perf_counter()
    for stack in ahead(feed.stacks(epochs, pace.capacity, pace.steps, progress.step)):
        waited = time.perf_counter() - asked
        calls.on_train_batch_begin(progress.step)
        compiling = programs.compile_seconds
        table, seconds = programs.run("train", stack)
        pace.tell(stack.steps, seconds)
        meter.tell(stack, seconds, waited, programs.compile_seconds - compiling)
        for begin, end in pairwise(sorted({0, *stack.new_epochs, stack.steps})):  # each a part of one epoch
            if begin in stack.new_epochs:
                end_epoch(progress.logs)
                calls.on_epoch_begin(progress.epoch)
            progress.advance(end - begin, last(table, end))
            calls.on_train_batch_end(progress.step - 1, progress.logs)
            check_finite(model, table, begin, end, progress)
        if model.stop_training:
            break
        asked = time.perf_counter()
    return progress.logs


def check_finite(model: keras.Model, table: dict[str, np.ndarray], begin: int, end: int, progress: Progress) -> None:
    """Stop a training whose loss is no number any more; ``begin`` to ``end`` are the rows of the epoch under way."""
    bad = np.flatnonzero(~np.isfinite(table["loss"][begin:end])) if "loss" in table else []
    if model.stop_training or not len(bad):
        return
    row = begin + int(bad[0])
    step = int(model.optimizer.iterations) - len(table["loss"]) + row
    raise WorkError(
        f"The loss became {table['loss'][row]} at step {progress.step - end + row + 1} of epoch {progress.epoch + 1}, "
        f"with learning rate {rate_of_step(model.optimizer, step):.3g}: lower the learning rate, or clip the gradients "
        "(global_clipnorm=1.0)."
    )


def evaluate(
    model: keras.Model,
    data: Any,
    *,
    batch_size: int = 32,
    sample_weight: np.ndarray | None = None,
    callbacks: Iterable[Callback] = (),
    jit_compile: bool | str = "auto",
) -> dict[str, float]:
    """Loss and metrics of a compiled model on the whole of ``data``, in XLA programs.

    Args:
        model: compiled with ``model.compile``.
        data: ``(x, y)`` or ``(x, y, sample_weight)`` arrays, or a ``tf.data.Dataset`` of such batches.
        batch_size: rows a batch, for arrays.
        sample_weight: weight of each row, for arrays.
        callbacks: Keras callbacks with ``on_test_*`` hooks.
        jit_compile: as in :func:`fit`.

    Returns:
        Name to value, as ``model.evaluate(..., return_dict=True)``.

    Raises:
        ValueError: when the model is not compiled or the data cannot be batched.
    """
    if not model.compiled:
        raise ValueError("Compile the model first: model.compile(loss=..., metrics=...).")
    feed = Feed(data, batch_size, sample_weight=sample_weight)
    take_over(model)
    model._symbolic_build(data_batch=feed.first_batch())
    calls = CallbackList(list(callbacks), model=model, steps=feed.num_batches, epochs=1, verbose=0)
    return _evaluate(model, programs_for(model, jit_compile), feed, calls)


def _evaluate(model: keras.Model, programs: Programs, feed: Feed, calls: CallbackList) -> dict[str, Any]:
    model.reset_metrics()
    calls.on_test_begin()
    capacity = stack_capacity(feed.first_batch(), min(MOST_STEPS, feed.num_batches or MOST_STEPS))
    step, logs = 0, {}
    for stack in feed.stacks(range(1), capacity, lambda: capacity):
        calls.on_test_batch_begin(step)
        table, _ = programs.run("test", stack)
        step += stack.steps
        logs = last(table)
        calls.on_test_batch_end(step - 1, logs)
    calls.on_test_end(logs)
    return logs


def predict(model: keras.Model, x: Any, *, batch_size: int = 32, jit_compile: bool | str = "auto") -> Any:
    """The model's outputs for all rows of ``x``, compiled.

    Args:
        model: built; it need not be compiled.
        x: array ``(n, ...)``, or a dict or tuple of arrays, or a ``tf.data.Dataset`` of batches (labels are ignored).
        batch_size: rows a batch, for arrays. A smaller last batch is filled up and cut, so that nothing is compiled
            twice.
        jit_compile: as in :func:`fit`.

    Returns:
        Array ``(n, ...)``, or what the model returns with arrays as leaves.

    Raises:
        ValueError: when there are no rows.
    """
    feed = Feed(x if isinstance(x, tf.data.Dataset) else (x,), batch_size)
    programs = programs_for(model, jit_compile)
    outputs, full = [], None
    for batch in feed.batches(0):
        batch = batch[:1]
        rows = len(tree.flatten(batch)[0])
        full = max(full or 0, rows if feed.dataset is not None else batch_size)
        filled = tree.map_structure(lambda a: np.concatenate([a, np.repeat(a[-1:], full - rows, axis=0)]), batch)  # noqa: B023
        result = programs.compiled(programs.predict, filled)
        outputs.append(tree.map_structure(lambda a: a.numpy()[:rows], result))  # noqa: B023
    if not outputs:
        raise ValueError(NO_ROWS)
    return tree.map_structure(lambda *leaves: np.concatenate(leaves), *outputs)


def last(table: dict[str, np.ndarray], steps: int = 0) -> dict[str, Any]:
    """The logs after so many steps, or after the last: floats, or an array where a metric has one number a class."""
    rows = {name: values[steps - 1] for name, values in table.items()}
    return {name: row if row.ndim else float(row) for name, row in rows.items()}


def in_notebook() -> bool:
    return "ipykernel" in sys.modules
