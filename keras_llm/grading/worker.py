"""The student's side of the grader: a process that holds the student's file and answers calls, and holds no check.

It runs on its own (``python -I worker.py``) and imports nothing of keras_llm, which holds the answers. Frames on stdin
and stdout, see :func:`pack`; what the student prints goes into a file. The grader, outside, compares the answers: a
process that has changed numpy, or this module, has changed nothing but itself. What is forbidden here ends it at once;
the grader reads the reason and gives no points.
"""

import ast
import builtins
import contextlib
import importlib.util
import math
import os
import re
import signal
import sys
import threading
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def sibling(name: str) -> types.ModuleType:
    """A module beside this one, which Python does not look for in a process of its own."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


frames, wall = sibling("frames"), sibling("wall")
pack, unpack, read_parts = frames.pack, frames.unpack, frames.read_parts

# What a program that only computes never asks Python for (names or beginnings of audit events).
PROCESSES = ("os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "pty.", "subprocess.")
FORBIDDEN = {
    **dict.fromkeys(PROCESSES, "starts another process"),
    "socket.": "uses the network",
    "ctypes.": "reaches below Python with ctypes",
    "os.kill": "sends signals to processes",
    "resource.": "changes its limits",
    "sys.addaudithook": "listens to the grader",
}
# Events that change files, and how many of their arguments are paths.
WRITES = {
    **dict.fromkeys(("os.chmod", "os.chown", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.utime"), 1),
    **dict.fromkeys(("os.link", "os.rename", "os.symlink"), 2),
    **dict.fromkeys(("os.chdir", "os.fchdir", "os.mkfifo", "os.mknod", "sqlite3.connect"), 1),
}


class Missing(Exception):
    """The file does not have a function."""


# ---------------------------------------------------------------- the guard


class Guard:
    """Ends the process, with a reason, when the student's code does what a solution has no need for.

    Args:
        scratch: the only folder to write to.
        closed: folders that must not be read: the chapters, other students' files, hidden checks.
        tell: sends the reason to the grader.
    """

    def __init__(self, scratch: str, closed: list[str], tell: Callable[[dict], None]) -> None:
        self.scratch, self.closed, self.tell = os.path.realpath(scratch), [os.path.realpath(c) for c in closed], tell
        self.stands = False
        self.here = threading.local()  # its "judging" is True while this guard itself asks the system

    def end(self, reason: str) -> None:
        self.stands = False
        self.tell({"forbidden": reason})
        os._exit(3)

    def inside(self, path: Any, folders: list[str]) -> bool:
        real = os.path.realpath(os.fsdecode(path))
        return any(real == folder or real.startswith(folder + os.sep) for folder in folders)

    def __call__(self, event: str, arguments: tuple) -> None:
        if not self.stands or getattr(self.here, "judging", False):
            return
        self.here.judging = True
        try:
            self.judge(event, arguments)
        finally:
            self.here.judging = False

    def judge(self, event: str, arguments: tuple) -> None:
        for beginning, reason in FORBIDDEN.items():
            if event.startswith(beginning):
                self.end(reason)
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path, mode, flags = arguments
            # This file, a student's own traceback may show.
            if self.inside(path, self.closed) and not self.inside(path, [os.path.realpath(__file__)]):
                self.end("reads the course's own code, or files of others")
            if re.match(rf"/proc/(?!{os.getpid()}/)\d+/", os.path.realpath(os.fsdecode(path))):
                self.end("looks into other processes")
            writing = any(letter in (mode or "") for letter in "wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR)
            # A folder that is open can be written to by paths that this guard does not see.
            if (writing or Path(os.fsdecode(path)).is_dir()) and not self.inside(path, [self.scratch, os.devnull]):
                self.end("writes outside its folder")
        for path in arguments[: WRITES.get(event, 0)]:
            if isinstance(path, str | bytes | os.PathLike) and self.inside(path, self.closed):
                self.end("reads the course's own code, or files of others")
            if not isinstance(path, str | bytes | os.PathLike) or not self.inside(path, [self.scratch]):
                self.end("writes outside its folder")


def fingerprint() -> dict[str, int]:
    """Which objects stand behind the public names of the libraries, and behind the names of this module."""
    modules = [builtins, math, np, np.linalg, np.random, sys.modules[__name__]]
    modules += [sys.modules[name] for name in ("keras", "keras.ops", "tensorflow") if name in sys.modules]
    names = ((module, name) for module in modules for name in list(vars(module)) if not name.startswith("__"))
    return {f"{module.__name__}.{name}": id(vars(module).get(name)) for module, name in names}


def changed(before: dict[str, int]) -> str | None:
    """A name that stands for something else than before."""
    now = fingerprint()
    # A library may fill in a name when it is first asked for; only what was there counts.
    found = (name for name, number in before.items() if (name in now and now[name] != number) or name not in now)
    return next(found, None)


# ---------------------------------------------------------------- the process


def preload(names: set[str]) -> None:
    """Import the libraries that the file asks for, before the guard stands: some look for fonts or load with ctypes."""
    for name in sorted(names):
        first = name.split(".")[0]
        if first and first not in sys.stdlib_module_names and not first.startswith(("keras_llm", "chapters")):
            with contextlib.suppress(Exception):  # the student's own import says what is missing
                importlib.import_module(name)


def fault(error: BaseException, file: str) -> dict[str, Any]:
    """What went wrong in the student's code, and in which line of the file."""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    try:
        text = str(error)
    except Exception:  # a student's own exception may fail here too
        text = ""
    return {"error": type(error).__name__, "text": text[:500], "line": lines[-1] if lines else None}


def main() -> None:
    """Read the order, load the student's file, and answer until the grader closes the line."""
    receive, send = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")

    def tell(value: Any, pack: Callable = pack) -> None:  # as it is now, whatever the student's code makes of it
        send.write(pack(value))
        send.flush()

    order = unpack(read_parts(receive))
    printed = os.open(order["printed"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    os.chdir(order["scratch"])

    file, source = order["file"], order["source"]
    tree = ast.parse(source, file)
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    heavy = any(name.split(".")[0] in ("keras", "tensorflow") for name in names)
    preload(names)
    if hasattr(signal, "SIGXFSZ"):
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python would turn it into an error that can be caught
    isolated = {"network": wall.leave_network(), "files": wall.build_wall(order["scratch"], __file__)}
    # TensorFlow's threads reserve gigabytes of addresses that they never fill; the grader looks at what is filled.
    wall.limit(order["memory"] + heavy * 4 * 2**30, order["file_size"], order["processor_seconds"])
    before = fingerprint()
    guard = Guard(order["scratch"], order["closed"], tell)
    sys.addaudithook(guard)
    guard.stands = True

    def call_back(number: int) -> Callable:
        def function(*arguments: Any, **options: Any) -> Any:
            tell({"function": number, "arguments": list(arguments), "options": options})
            result = unpack(read_parts(receive))
            if "raises" in result:
                raise ValueError(result["raises"])
            return result["value"]

        return function

    def answer(work: Callable[[], Any]) -> None:
        """Do it, and tell the result, or what went wrong."""
        try:
            result = {"value": work()}
        except BaseException as error:  # SystemExit too
            result = fault(error, file)
        name = changed(before)
        if name is not None:
            guard.end(f"changes {name.removeprefix('__main__.')}")
        try:
            frame = pack(result)
        except Exception as error:  # also what a student's own __array__ raises
            frame = pack(fault(error, file))
        send.write(frame)
        send.flush()

    module = types.ModuleType("exercises")  # so that what asks "is this the main program?" is told no
    module.__file__, sys.modules["exercises"] = file, module

    def called(name: str, arguments: list, options: dict) -> Any:
        function = getattr(module, name, None)
        if not callable(function):
            raise Missing(f"There is no function {name} in the file.")
        return function(*arguments, **options)

    tell({"value": isolated})
    answer(lambda: exec(compile(tree, file, "exec"), vars(module)))
    while True:
        try:
            call = unpack(read_parts(receive), call_back)
        except EOFError:
            os._exit(0)
        answer(lambda: called(**call))  # noqa: B023


if __name__ == "__main__":
    main()
