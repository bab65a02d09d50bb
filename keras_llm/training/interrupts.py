"""Ctrl-C and a polite kill during a training: the first one waits for the checkpoint, the second one does not."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from keras_llm.training.state import Progress

WAIT = b"\nStopping after the running program, with a checkpoint; once more stops at once.\n"


@contextmanager
def first_signal_waits(progress: Progress) -> Iterator[None]:
    """While this lasts, the first SIGINT or SIGTERM sets ``progress.interrupted``; a later one stops at once.

    The handlers of before come back at the end. Nothing changes outside the main thread, and for ignored signals.

    Raises:
        KeyboardInterrupt: at the second signal, or at the end when nobody has acted on the first.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first = 0.0

    def handle(number: int, frame: object) -> None:
        nonlocal first
        if not progress.interrupted:
            progress.interrupted, first = True, time.monotonic()
            os.write(2, WAIT)  # print() could meet a print() that is under way
        elif time.monotonic() - first > 1:  # a wrapper may send a signal twice
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if progress.interrupted:
        raise KeyboardInterrupt
