"""The student's side of the grader: a process that holds the student's file and answers calls, and holds no check.

It runs on its own (``python -I worker.py``) and imports nothing of keras_llm, which holds the answers. Frames on stdin
and stdout, see :func:`pack`; what the student prints goes into a file. The grader, outside, compares the answers: a
process that has changed numpy, or this module, has changed nothing but itself. What is forbidden here ends it at once;
the grader reads the reason and gives no points.
"""

import ast
import builtins
import contextlib
import ctypes
import importlib
import io
import json
import math
import os
import re
import signal
import struct
import sys
import threading
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None

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


# ---------------------------------------------------------------- values as bytes, without pickle


class Missing(Exception):
    """The file does not have a function."""


class NoAnswer(Exception):
    """A value of a type that is not sent."""


def pack(value: Any, function_number: Callable[[Callable], int] | None = None) -> bytes:
    """A value as a frame: numbers, texts, arrays, and lists, tuples, sets and dicts of them.

    Args:
        value: what is sent.
        function_number: gives a function a number by which the other side calls back; None: functions are refused.

    Raises:
        NoAnswer: naming a type that has no place in a frame.
    """
    arrays: list[bytes] = []

    def tree(value: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item() if value.dtype != object else value
        if isinstance(value, int) and value.bit_length() > 1_000:
            raise NoAnswer("int of more than 300 digits")
        if value is None or isinstance(value, bool | int | float | str):
            return value
        for name, kind in (("list", list), ("tuple", tuple), ("set", set | frozenset)):
            if isinstance(value, kind):
                return {name: [tree(each) for each in value]}
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, bool | int | float | str | tuple | np.generic | None):
                    raise NoAnswer(f"dict with {type(key).__name__} keys")
            return {"dict": [[tree(key), tree(each)] for key, each in value.items()]}
        if callable(value) and function_number is not None:
            return {"function": function_number(value)}
        if hasattr(value, "__array__"):  # of numpy, Keras or TensorFlow
            array = np.asarray(value)
            if array.dtype.kind in "biufcSU" or array.dtype.name == "bfloat16":
                file = io.BytesIO()
                plain = array if array.dtype.kind in "biufcSU" else array.astype("float32")
                np.save(file, plain, allow_pickle=False)
                arrays.append(file.getvalue())
                return {"array": len(arrays) - 1}
        raise NoAnswer(type(value).__name__)

    head = json.dumps(tree(value)).encode()
    parts = [head, *arrays]
    return b"".join([struct.pack(">Q", len(parts)), *(struct.pack(">Q", len(part)) + part for part in parts)])


def unpack(parts: list[bytes], function: Callable[[int], Callable] | None = None) -> Any:
    """The value of a frame's parts; ``function`` makes one that calls back."""

    def value(tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        ((kind, content),) = tree.items()
        if kind == "array":
            return np.load(io.BytesIO(parts[1 + content]), allow_pickle=False)
        if kind == "dict":
            return {value(key): value(each) for key, each in content}
        if kind == "function" and function is not None:
            return function(content)
        return {"list": list, "tuple": tuple, "set": frozenset}[kind](value(each) for each in content)

    return value(json.loads(parts[0]))


class TooLarge(Exception):
    """A frame has too many bytes."""


def read_parts(stream: BinaryIO, at_most: int = 2**31) -> list[bytes]:
    """The parts of the next frame.

    Raises:
        EOFError: the other side has gone.
        TooLarge: when they have more bytes than ``at_most``.
        ValueError: when this is no frame.
    """

    def exactly(count: int) -> bytes:
        found = stream.read(count)
        if found is None or len(found) < count:
            raise EOFError
        return found

    (count,) = struct.unpack(">Q", exactly(8))
    if not 0 < count < 1_000:
        raise ValueError("no frame")
    parts = []
    for _ in range(count):
        (size,) = struct.unpack(">Q", exactly(8))
        at_most -= size
        if at_most < 0:
            raise TooLarge
        parts.append(exactly(size))
    return parts


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


def limit(memory: int, file_size: int, seconds: int) -> None:
    """Limit this process: bytes of memory beyond what it has now, bytes of a file, seconds of processor time."""
    if resource is None:
        return
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory,) * 2)
    except (OSError, ValueError):  # no /proc, as on macOS: the grader looks at the memory from outside
        pass
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def preload(names: set[str]) -> None:
    """Import the libraries that the file asks for, before the guard stands: some look for fonts or load with ctypes."""
    for name in sorted(names):
        first = name.split(".")[0]
        if first and first not in sys.stdlib_module_names and not first.startswith(("keras_llm", "chapters")):
            with contextlib.suppress(Exception):  # the student's own import says what is missing
                importlib.import_module(name)


def build_wall(scratch: str) -> bool:
    """Let the kernel refuse what the guard might miss (Landlock, Linux 5.13 and later; signals from 6.12).

    From here on this process reads Python and its libraries, but not keras_llm, writes nothing outside its scratch
    folder, starts no program, and sends no signal to others.

    Returns:
        Whether the wall stands.
    """
    if sys.platform != "linux":
        return False
    create, add, restrict, no_new_privileges = 444, 445, 446, 38
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(create, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    read_file, read_folder = 1 << 2, 1 << 3
    everything = (1 << 13) - 1 | (version >= 2) << 13 | (version >= 3) << 14
    rules = struct.pack("=QQQ", everything, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    wall = libc.syscall(create, rules, ctypes.c_size_t(size), ctypes.c_uint32(0))
    if wall < 0:
        return False

    def allow(path: str | Path, access: int) -> None:
        try:
            number = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:  # not on this machine
            return
        if not Path(path).is_dir():
            access &= read_file | 1 << 1 | 1 << 14 & everything
        libc.syscall(add, wall, 1, struct.pack("=Qi", access, number), ctypes.c_uint32(0))
        os.close(number)

    allow(scratch, everything & ~1)  # without running programs
    allow(os.devnull, read_file | 1 << 1)
    for path in ("/usr/lib", "/usr/lib64", "/usr/share", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime"):
        allow(path, read_file | read_folder)
    for path in (
        "/dev/urandom",
        "/proc/self",
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/proc/stat",
        "/sys/devices/system/cpu",
    ):
        allow(path, read_file | read_folder)
    allow(__file__, read_file)  # a student's own traceback may show it
    for folder in map(Path, sys.path):
        if folder.is_dir():
            allow(folder, read_folder)
            for entry in folder.iterdir():
                if not entry.name.startswith(("keras_llm", "__editable__", "site-packages", "dist-packages")):
                    allow(entry, read_file | read_folder)
    libc.prctl(no_new_privileges, 1, 0, 0, 0)
    return libc.syscall(restrict, wall, ctypes.c_uint32(0)) == 0


def leave_network() -> bool:
    """Move into a network of one's own, with nothing in it, where Linux lets us."""
    new_user, new_network = 0x10000000, 0x40000000
    unshare = getattr(ctypes.CDLL(None), "unshare", None) if sys.platform == "linux" else None
    return unshare is not None and (unshare(new_network) == 0 or unshare(new_user | new_network) == 0)


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
    isolated = {"network": leave_network(), "files": build_wall(order["scratch"])}
    # TensorFlow's threads reserve gigabytes of addresses that they never fill; the grader looks at what is filled.
    limit(order["memory"] + heavy * 4 * 2**30, order["file_size"], order["processor_seconds"])
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
