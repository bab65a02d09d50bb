"""How many steps go into one call of a program: enough that Python costs nothing, few enough that somebody can look."""

from typing import Any

import keras
import numpy as np
from keras.callbacks import Callback

from keras_llm.training.checkpoints import Checkpoint
from keras_llm.training.feed import stack_capacity
from keras_llm.training.logs import TrainingLog

MOST_STEPS = 128  # in one program: more would not be faster, and progress would come too rarely
SECONDS_A_PROGRAM = 0.5  # how long one call should take, so that the progress bar moves and Ctrl-C is heard


class Pace:
    """How many steps go into the next program.

    The stack has a fixed capacity, and the number of steps in it is an input of the program, so that finding the
    pace compiles nothing anew.
    """

    def __init__(self, steps_per_program: int | str, batch: Any, most: int | None, callbacks: list) -> None:
        """See ``fit``; ``most`` is the number of steps until somebody looks, None when it is not known."""
        self.learns = steps_per_program == "auto"
        if self.learns:
            wanted = 1 if any(sees_each_batch(callback) for callback in callbacks) else MOST_STEPS
            self.capacity = stack_capacity(batch, min(wanted, most or wanted))
            self.now = 1
        elif isinstance(steps_per_program, int | np.integer) and steps_per_program >= 1:
            self.capacity = min(steps_per_program, most or steps_per_program)
            self.now = self.capacity
        else:
            raise ValueError(f"steps_per_program={steps_per_program!r}: give a positive whole number or 'auto'.")
        self.most = 0

    def steps(self) -> int:
        return self.now

    def tell(self, steps: int, seconds: float) -> None:
        """Learn from a program that ran: ``steps`` in ``seconds``, 0.0 when it had to compile."""
        self.most = max(self.most, steps)
        if self.learns and seconds > 0:
            self.now = int(np.clip(steps * SECONDS_A_PROGRAM / seconds, 1, min(self.capacity, 4 * self.now)))


def sees_each_batch(callback: Callback) -> bool:
    """Whether a callback does something of its own with each training batch."""
    if isinstance(callback, keras.callbacks.TerminateOnNaN | keras.callbacks.ProgbarLogger | TrainingLog | Checkpoint):
        return False  # the mean loss stays NaN, and a line or a checkpoint may come at the end of a program
    if isinstance(callback, keras.callbacks.ModelCheckpoint | keras.callbacks.BackupAndRestore):
        return callback.save_freq != "epoch"
    if isinstance(callback, keras.callbacks.TensorBoard):
        return callback.update_freq != "epoch" or callback._should_trace  # it profiles some batches
    hooks = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
    return any(getattr(type(callback), hook) is not getattr(Callback, hook) or hook in vars(callback) for hook in hooks)
