"""How fast a training goes: time of a step, tokens a second, share of the machine's peak."""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from keras import tree

from keras_llm.training.feed import Stack
from keras_llm.training.peak import matmul_peak

MOST_LAPS = 10_000  # that are remembered for the median
WORTHWHILE = 10.0  # seconds of training before the peak is measured, which takes one or two


class Lap(NamedTuple):
    """One call of a program that did not have to compile."""

    steps: int
    seconds: float  # of the call and of the wait for its data
    tokens: int  # of a step
    shapes: tuple  # of the stack


class Meter:
    """The laps of one training, and what they say about its speed.

    A token is an element of the first integer input that has a time axis, padding included; a model without one is
    measured in rows. MFU, model FLOPs utilisation, is the share of the machine's measured peak (its fastest large
    matrix product, in the model's compute dtype) that the matrix products of the steps make; nothing else counts.

    Args:
        dtype: the model's compute dtype.
        flops_of: gives the operations of one step from a stack's arrays as ``tf.TensorSpec``, None when they cannot
            be told; asked once for each shape, when somebody wants to see MFU.
        shown: whether somebody looks at MFU; nothing is measured for nobody.

    Attributes:
        unit: ``"tokens"`` or ``"rows"``, known after the first lap.
        laps: number of laps so far.

    Source: Chowdhery et al. 2022 (PaLM), appendix B.
    """

    def __init__(self, dtype: str, flops_of: Callable[[Any], int | None], shown: bool) -> None:
        self.dtype, self.flops_of, self.shown = dtype, flops_of, shown
        self.unit, self.laps, self.seconds = "rows", 0, 0.0
        self._input = self._compile = self._compute = 0.0  # seconds of all laps, and of the calls that compiled
        self._last: deque[Lap] = deque(maxlen=MOST_LAPS)
        self._specs: dict[tuple, Any] = {}
        self._flops: dict[tuple, int | None] = {}

    def tell(self, stack: Stack, seconds: float, waited: float = 0.0, compiling: float = 0.0) -> None:
        """Note a program that ran.

        Args:
            stack: what it ran on.
            seconds: of the call, 0.0 when it had to compile.
            waited: seconds until its data were there.
            compiling: seconds of a call that had to compile, its first run included.
        """
        self._input, self._compile = self._input + waited, self._compile + compiling
        self._compute += seconds
        if seconds <= 0:
            return
        self.unit, tokens = tokens_of(stack)
        shapes = tuple(leaf.shape for leaf in tree.flatten(stack.arrays))
        if shapes not in self._specs:
            self._specs[shapes] = tree.map_structure(lambda leaf: tf.TensorSpec(leaf.shape, leaf.dtype), stack.arrays)
        self._last.append(Lap(stack.steps, seconds + waited, tokens, shapes))
        self.laps += 1
        self.seconds += seconds + waited

    def spent(self) -> dict[str, float]:
        """Seconds spent waiting for data, in calls that compiled and in other calls: where the time went."""
        return {
            "input": round(self._input, 3),
            "compile": round(self._compile, 3),
            "compute": round(self._compute, 3),
        }

    def figures(self, since: int = 0) -> dict[str, float | None]:
        """Medians over the steps of the laps from number ``since`` on.

        Returns:
            ``step_ms``, ``tokens_per_second`` (or ``rows_per_second``) and ``mfu`` in [0, 1]; each is None when it is
            not known: before the first lap, and MFU also for a short training or one that nobody looks at.
        """
        laps = list(self._last)[-min(self.laps - since, MOST_LAPS) :] if self.laps > since else []
        figures: dict[str, Any] = dict.fromkeys(("step_ms", f"{self.unit}_per_second", "mfu"))
        if laps:
            steps, seconds, tokens = (np.array(column) for column in list(zip(*laps, strict=True))[:3])
            each = seconds / steps  # seconds of a step
            figures["step_ms"] = round(1e3 * _median(each, steps), 4)
            figures[f"{self.unit}_per_second"] = round(_median(tokens / each, steps), 1)
            if self.shown and self.seconds >= WORTHWHILE:
                flops = [self._flops_of(lap.shapes) for lap in laps]
                if all(flops):
                    figures["mfu"] = round(_median(np.array(flops) / each, steps) / matmul_peak(self.dtype), 4)
        return figures

    def _flops_of(self, shapes: tuple) -> int | None:
        if shapes not in self._flops:
            self._flops[shapes] = self.flops_of(self._specs[shapes])
        return self._flops[shapes]


def tokens_of(stack: Stack) -> tuple[str, int]:
    """What is counted, ``"tokens"`` or ``"rows"``, and how many a step has."""
    leaves = tree.flatten(stack.arrays[0])  # each (capacity, batch, ...)
    integers = [leaf for leaf in leaves if leaf.dtype.kind in "iu" and leaf.ndim > 2]
    return ("tokens", integers[0][0].size) if integers else ("rows", leaves[0].shape[1])


def _median(values: np.ndarray, steps: np.ndarray) -> float:
    return float(np.median(np.repeat(values, steps)))
