"""The grader's side of a student's process: start it, call functions in it, watch it, and leave nothing of it behind.

What it does not cover is said in the teacher's guide: it stops accidents and the tricks that students try, not a
determined attack on the machine, for which a container is the right wall.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from keras_llm.grading import frames
from keras_llm.grading.checks import Wrong, kind

WORKER = Path(__file__).with_name("worker.py")
MARK = "KERAS_LLM_GRADED"  # in the environment of a student's process and of all that it starts
ALIVE: weakref.WeakSet["Sandbox"] = weakref.WeakSet()
STARTING = threading.RLock()  # held while a process starts: until then nothing tells whose it is
EVERY = 0.02  # seconds between two looks at a process
PATIENCE = 3  # how many times its seconds a process may take by the clock: the machine has other work too


@dataclass(frozen=True)
class Limits:
    """What a student's process may take for one exercise.

    Attributes:
        seconds: of processor time, for loading the file and all calls; three times as many by the clock.
        memory_mb: beyond what Python and its libraries take.
        file_mb: of one file.
        printed_mb: of what it prints.
        answer_mb: of one returned value.
    """

    seconds: float = 10.0
    memory_mb: int = 512
    file_mb: int = 16
    printed_mb: int = 1
    answer_mb: int = 64


class Refused(Exception):
    """The exercise ends without points: the sentence says what the file did."""


@dataclass(eq=False)
class Sandbox:
    """A student's file in a process of its own.

    Args:
        file: its name, as the student knows it.
        source: its text.
        limits: of the process.
        closed: folders that it must not read.

    Example::

        with Sandbox("my.py", source) as sandbox:
            sandbox.call("softmax", np.zeros((2, 3)))
    """

    file: str
    source: str
    limits: Limits = field(default_factory=Limits)
    closed: Sequence[Path] = ()

    def __enter__(self) -> "Sandbox":
        adopt_orphans()
        self.mark = uuid.uuid4().hex
        self.process: subprocess.Popen | None = None
        self.reason: str | None = None
        # Bytes of memory and seconds of processor time before the student's code runs.
        self.at_first: tuple[int, float] | None = None
        self.watching = True
        self.deadline = time.monotonic() + 60  # Python's own start, and that of libraries
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.folder = Path(tempfile.mkdtemp(prefix="keras_llm_grade_"))
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        scratch = self.folder / "scratch"
        scratch.mkdir()
        self.printed = self.folder / "printed.txt"
        kept = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment |= {MARK: self.mark, "HOME": str(scratch), "TMPDIR": str(scratch), "KERAS_HOME": str(scratch)}
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        # Fonts that were found once are known; to look for them takes longer than an exercise may.
        fonts = os.environ.get("MPLCONFIGDIR") or str(Path.home() / ".cache" / "matplotlib")
        environment |= {"MPLBACKEND": "Agg", "MPLCONFIGDIR": fonts}
        with STARTING:
            ALIVE.add(self)
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-B", str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=scratch,
                env=environment,
                start_new_session=True,
            )
        self.watcher.start()
        order = {
            "file": self.file,
            "source": self.source,
            "scratch": str(scratch),
            "printed": str(self.printed),
            "closed": [str(folder) for folder in self.closed],
            "memory": self.limits.memory_mb * 2**20,
            "file_size": self.limits.file_mb * 2**20,
            "processor_seconds": int(self.limits.seconds) + 60,
        }
        self._send(order)
        self.isolated = self._receive().get("value")
        process = psutil.Process(self.process.pid)
        self.at_first = process.memory_info().rss, processor_seconds(process)
        self.deadline = time.monotonic() + PATIENCE * self.limits.seconds
        self._receive()  # the file is loaded

    def __exit__(self, *error: object) -> None:
        self.watching = False
        if self.watcher.is_alive():
            self.watcher.join()
        if self.process is not None:
            self._kill()
            ALIVE.discard(self)
            for stream in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(OSError):
                    stream.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """What the student's function returns.

        Functions among the arguments are called back here, when the student's code calls them.

        Raises:
            Wrong: when the function raises, or returns something that has no place in a frame.
            Refused: when the process did what it must not, or took too much.
        """
        functions: list[Callable] = []

        def number(function: Callable) -> int:
            functions.append(function)
            return len(functions) - 1

        call = {"name": name, "arguments": list(arguments), "options": options}
        self._write(frames.pack(call, number))
        while True:
            result = self._receive()
            if "function" not in result:
                return result.get("value")
            try:
                value = functions[result["function"]](*result["arguments"], **result["options"])
                self._send({"value": value})
            except Exception as error:  # called with what it cannot take: the student's code is told
                self._send({"raises": f"the function that you were given: {error}"})

    def _send(self, value: Any) -> None:
        self._write(frames.pack(value))

    def _write(self, frame: bytes) -> None:
        with contextlib.suppress(OSError):  # a process that has gone says why below
            self.process.stdin.write(frame)
            self.process.stdin.flush()

    def _receive(self) -> dict:
        """The next frame; only what has the shape of an answer passes."""
        try:
            parts = frames.read_parts(self.process.stdout, self.limits.answer_mb * 2**20)
            result = frames.unpack(parts)
            known = isinstance(result, dict) and {"value", "function", "error", "forbidden"} & set(result)
        except EOFError:
            raise Refused(self.reason or self._ended()) from None
        except frames.TooLarge:
            raise Refused(f"It returns more than {self.limits.answer_mb} MB.") from None
        except (ValueError, KeyError, TypeError, IndexError, RecursionError, MemoryError):
            known = False
        if not known:
            raise Refused("It writes to the line on which the grader waits for answers.")
        if "forbidden" in result:
            raise Refused(f"It {result['forbidden']}, which a solution has no need for.")
        if "error" in result:
            line = result.get("line")
            raise Wrong(self._sentence(str(result["error"]), str(result.get("text", "")), line))
        return result

    def _sentence(self, error: str, text: str, line: int | None) -> str:
        """What went wrong in the student's code.

        Raises:
            Refused: for what ends the whole exercise.
        """
        place = f"line {line}" if line else "its code"
        if error == "SystemExit":
            raise Refused(f"It ends the program in {place} instead of returning an answer.")
        if error == "MemoryError":
            raise Refused(f"It needs more than {self.limits.memory_mb} MB of memory in {place}.")
        if error == "NotImplementedError":
            raise Refused(f"Not answered yet. {text}")
        if error == "Missing":
            raise Refused(text)
        if error == "NoAnswer":
            return f"It returns {kind(text)}; numbers, texts, arrays, and lists and dicts of them can be checked."
        return f"{error} in {place}: {text}" if text else f"{error} in {place}"

    def _ended(self) -> str:
        """Why a process that was not killed has gone."""
        try:
            code = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "It closed the grader's line."
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            if self._prints_too_much():
                return f"It prints more than {self.limits.printed_mb} MB."
            known = {"SIGXFSZ": f"It writes more than {self.limits.file_mb} MB.", "SIGXCPU": self._late()}
            return known.get(name, f"Its process was ended by {name}.")
        return f"It ended the process itself (exit code {code}) instead of returning an answer."

    def _late(self) -> str:
        return f"It takes more than {self.limits.seconds:g} seconds: is there a loop that does not end?"

    # ------------------------------------------------------------ watching

    def _watch(self) -> None:
        """Look at the process again and again, and kill it when it takes too much."""
        while self.watching and self.process.poll() is None:
            with contextlib.suppress(psutil.Error, OSError):  # it may end while it is looked at
                self.reason = self._too_much(psutil.Process(self.process.pid))
            if self.reason is not None:
                self._kill()
                return
            time.sleep(EVERY)

    def _too_much(self, process: psutil.Process) -> str | None:
        if time.monotonic() > self.deadline:
            return self._late()
        if self._prints_too_much():
            return f"It prints more than {self.limits.printed_mb} MB."
        if self.at_first is None:  # the student's code does not run yet
            return None
        memory, seconds = self.at_first
        if processor_seconds(process) - seconds > self.limits.seconds:
            return self._late()
        if process.memory_info().rss - memory > self.limits.memory_mb * 2**20:
            return f"It needs more than {self.limits.memory_mb} MB of memory."
        if process.children():
            return "It starts another process, which a solution has no need for."
        return None

    def _prints_too_much(self) -> bool:
        return self.printed.exists() and self.printed.stat().st_size > self.limits.printed_mb * 2**20

    def _kill(self) -> None:
        """End the process and all that it started, however they were started."""
        for _ in range(100):
            with STARTING:
                children = psutil.Process().children(recursive=True)
                family = [each for each in children if each.pid not in self._others() and self._is_ours(each)]
                for each in family:
                    with contextlib.suppress(psutil.Error):
                        each.kill()
            if not family:
                break
            psutil.wait_procs(family, timeout=1)
        self.process.wait()
        others = self._others()
        for each in psutil.Process().children():  # of another session, and dead: orphans that we were left
            with contextlib.suppress(psutil.Error, OSError):
                if in_other_session(each.pid) and each.pid not in others and each.status() == psutil.STATUS_ZOMBIE:
                    os.waitpid(each.pid, os.WNOHANG)

    def _others(self) -> set[int]:
        """The processes of the other sandboxes."""
        return {each.process.pid for each in list(ALIVE) if each is not self and each.process is not None}

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            mark = process.environ().get(MARK)
            if process.pid == self.process.pid or mark is not None:
                return process.pid == self.process.pid or mark == self.mark
            # It may have thrown the mark away, but it stands in another session than the grader and its own children,
            # and is none that the grader has forked just now.
            here = psutil.Process()
            return in_other_session(process.pid) and process.cmdline() != here.cmdline()
        except (psutil.Error, OSError):
            return False


def processor_seconds(process: psutil.Process) -> float:
    """Seconds of processor time that a process has taken."""
    times = process.cpu_times()
    return times.user + times.system


def in_other_session(process: int) -> bool:
    return hasattr(os, "getsid") and os.getsid(process) != os.getsid(0)


def stop_all() -> None:
    """Kill the processes of all sandboxes that are open."""
    for sandbox in list(ALIVE):
        sandbox.deadline = 0.0


def adopt_orphans() -> None:
    """Become the parent of whatever loses its own, so that no process escapes by leaving its family (Linux)."""
    if sys.platform == "linux":
        set_child_subreaper = 36  # of prctl(2)
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)
