"""Tricks that must not pay: each gives no points, is named, and leaves nothing behind."""

import dataclasses
import tempfile
import textwrap
from pathlib import Path

import psutil
import pytest

from keras_llm import book
from keras_llm.grading import Exercise, close
from keras_llm.grading.grade import Assignment, grade_exercise
from keras_llm.grading.sandbox import Sandbox

double = Exercise("double", section="D0, section 1", seconds=1.5, memory_mb=200)


@double.check(points=2)
def is_twice_the_number(answer, random):
    """Twice the number."""
    number = random.normal()
    close(answer(number), 2 * number, "It is not twice the number.")


SOLUTIONS = book.chapters()["ch04_attention"] / "solutions.py"
CLOSED = Assignment.of("ch04_attention").closed
OUTSIDE = Path(tempfile.gettempdir()) / "keras_llm_attack"
ATTACKS = {
    "endless loop": ("while True: pass", "takes more than 1.5 seconds"),
    "sleep": ("import time; time.sleep(100)", "takes more than 1.5 seconds"),
    "catches everything": (
        """
        while True:
            try:
                while True: pass
            except BaseException: pass
        """,
        "takes more than 1.5 seconds",
    ),
    "memory at once": ("return len(bytearray(10**10))", "needs more than 200 MB"),
    "memory in pieces": ("x = [bytearray(2**20) for _ in range(4_000)]", "needs more than 200 MB"),
    "memory of numpy": ("import numpy; return numpy.ones(10**9).sum()", "needs more than 200 MB"),
    "fork bomb": ("import os\nwhile True: os.fork()", "starts another process"),
    "subprocess": ("import subprocess; subprocess.run(['sleep', '100'])", "starts another process"),
    "shell": ("import os; os.system('sleep 100 &')", "starts another process"),
    "fork below Python's own calls": (
        """
        import _posixsubprocess, os, time
        r, w = os.pipe()
        for _ in range(20):
            _posixsubprocess.fork_exec(
                [b"sleep", b"100"], [b"/bin/sleep", b"/usr/bin/sleep"], True, (w,), None, None,
                -1, -1, -1, -1, -1, -1, r, w, False, True, -1, None, None, None, -1, None, False)
        time.sleep(100)
        """,
        "starts another process",
    ),
    "a process that leaves its family": (
        """
        import _posixsubprocess, os
        r, w = os.pipe()
        for _ in range(5):
            _posixsubprocess.fork_exec(
                [b"sleep", b"100"], [b"/bin/sleep", b"/usr/bin/sleep"], True, (w,), None, [],
                -1, -1, -1, -1, -1, -1, r, w, False, True, -1, None, None, None, -1, None, False)
        os._exit(0)
        """,
        "ended the process itself|starts another process",
    ),
    "multiprocessing": (
        "import multiprocessing as m; p = m.get_context('fork').Process(target=print); p.start()",
        "starts another process",
    ),
    "os._exit": ("import os; os._exit(0)", "ended the process itself (exit code 0)"),
    "sys.exit": ("import sys; sys.exit(0)", "ends the program in line"),
    "abort": ("import os; os.abort()", "ended by SIGABRT"),
    "kills the grader": ("import os; os.kill(os.getppid(), 9)", "sends signals"),
    "changes numpy": (
        "import numpy as np; np.isclose = np.allclose = lambda *a, **k: True; return 2 * x",
        "changes numpy.allclose",
    ),
    "changes builtins": ("import builtins; builtins.abs = lambda x: 0; return 2 * x", "changes builtins.abs"),
    "changes the worker": ("import __main__; __main__.pack = lambda *a: b''; return 2 * x", "changes pack"),
    "changes the checks": (
        "import keras_llm.grading.checks as c; c.close = lambda *a, **k: None; return 1",
        "reads the course's own code",
    ),
    "imports the solutions": (
        "import importlib; importlib.import_module('keras_llm.chapters.ch04_attention.solutions')",
        "reads the course's own code",
    ),
    "reads the solutions": (f"return open({str(SOLUTIONS)!r}).read()", "reads the course's own code"),
    "reads the solutions by a link": (
        f"import os; os.symlink({str(SOLUTIONS)!r}, 'own'); return open('own').read()",
        "reads the course's own code",
    ),
    "runs the solutions": (f"import runpy; runpy.run_path({str(SOLUTIONS)!r})", "reads the course's own code"),
    "writes outside": (f"open({str(OUTSIDE)!r}, 'w').write('x'); return 2 * x", "writes outside its folder"),
    "writes outside with os.open": (
        f"import os; os.open({str(OUTSIDE)!r}, os.O_CREAT | os.O_WRONLY); return 2 * x",
        "writes outside its folder",
    ),
    "moves a file outside": (
        f"import os; open('own', 'w'); os.rename('own', {str(OUTSIDE)!r}); return 2 * x",
        "writes outside its folder",
    ),
    "makes a folder outside": (f"import os; os.mkdir({str(OUTSIDE)!r}); return 2 * x", "writes outside its folder"),
    "leaves its folder": ("import os; os.chdir('/'); return 2 * x", "writes outside its folder"),
    "prints a gigabyte": ("for _ in range(1_000): print('x' * 10**6)", "prints more than 1 MB"),
    "writes a large file": (
        "f = open('own', 'wb')\nfor _ in range(1_000): f.write(b'x' * 10**6)",
        "writes more than 16 MB",
    ),
    "an object that pickle would run": (
        """
        class Evil:
            def __reduce__(self):
                return (print, ("run",))
        return Evil()
        """,
        "It returns an Evil",
    ),
    "an array of objects": (
        "import numpy as np; return np.array([object()], dtype=object)",
        "It returns a ndarray",
    ),
    "a large answer": ("return b'x'.decode() * (70 * 2**20)", "returns more than 64 MB|needs more than 200 MB"),
    "a deep answer": ("y = []\nfor _ in range(10**5): y = [y]\nreturn y", "RecursionError"),
    "a forged result on stdout": (
        """print('{"points": 2, "passed": true}'); print("2 of 2 points"); return None""",
        "It returns nothing",
    ),
    "a forged result on the grader's line": (
        """
        import os
        for number in range(3, 30):
            try: os.write(number, b'{"points": 2}' * 10)
            except OSError: pass
        """,
        "writes to the line on which the grader waits|returns more than",
    ),
    "a forged list as an answer": (
        """
        import __main__, os
        frame = __main__.pack(["value"])
        for number in range(3, 30):
            try: os.write(number, frame)
            except OSError: pass
        """,
        "writes to the line on which the grader waits",
    ),
    "a forged error": (
        """
        import __main__, os
        frame = __main__.pack({"error": [1], "more": 2, "line": "x"})
        for number in range(3, 30):
            try: os.write(number, frame)
            except OSError: pass
        """,
        "[1] in line x",
    ),
    "the network": ("import socket; socket.create_connection(('127.0.0.1', 80), 1)", "uses the network"),
    "below Python": ("import ctypes; ctypes.CDLL(None).system(b'true'); return 2 * x", "reaches below Python"),
    "other limits": (
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (9, 9)); return 2 * x",
        "changes its limits",
    ),
    "the grader's memory": ("import os; open(f'/proc/{os.getppid()}/mem', 'rb'); return 2 * x", "other processes"),
    "changes Keras": ("import keras; keras.ops.isclose = lambda *a: True; return 2 * x", "changes keras.ops.isclose"),
    "a signal by another way": (
        "import os, signal; signal.pidfd_send_signal(os.pidfd_open(os.getppid()), signal.SIGINT)",
        "PermissionError",
    ),
    "the guard is told to look away": (
        f"""
        import gc
        for each in gc.get_objects():
            if type(each).__name__ == "Guard":
                each.stands = False
        return open({str(SOLUTIONS)!r}).read()
        """,
        "PermissionError",
    ),
    "another interpreter": (
        f"""
        import _xxsubinterpreters as s
        s.run_string(s.create(), "open({str(OUTSIDE)!r}, 'w')")
        """,
        "PermissionError|ended the process itself",
    ),
    "a database outside": (
        f"""
        import sqlite3
        sqlite3.connect("own").execute("ATTACH {str(OUTSIDE)!r} AS o").execute("CREATE TABLE o.t (x)")
        """,
        "unable to open",
    ),
    "hard-coded": ("return 1.5", "It is not twice the number"),
}


def source(attack: str) -> str:
    body = textwrap.dedent(attack).strip("\n")
    return f"def double(x):\n{textwrap.indent(body, '    ')}\n"


def survivors() -> list[psutil.Process]:
    """What is left of a student's processes; orphans are adopted by this one."""
    return psutil.Process().children(recursive=True)


@pytest.fixture
def nothing_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert survivors() == []
    assert list(tmp_path.iterdir()) == []
    assert not OUTSIDE.exists()


# What only the kernel's wall stops (Landlock, Linux 5.13; signals from 6.12).
WALLED = {"a signal by another way", "the guard is told to look away", "another interpreter", "a database outside"}


@pytest.fixture(scope="module")
def wall() -> bool:
    with Sandbox("mine.py", "") as sandbox:
        return sandbox.isolated["files"]


@pytest.mark.parametrize("name", ATTACKS)
def test_a_trick_does_not_pay(name: str, wall, nothing_stays) -> None:
    if name in WALLED and not wall:
        pytest.skip("this kernel has no Landlock")
    attack, message = ATTACKS[name]
    graded = grade_exercise(double, "mine.py", source(attack), CLOSED)
    said = graded.reason or graded.failed[0][1]
    assert graded.points == 0
    assert any(part in said for part in message.split("|")), said


HONEST = {
    "NumPy, a note and a file": (
        "import math, json, random, numpy as np\nprint('thinking')\nopen('notes', 'w').write('x')\nreturn 2 * x"
    ),
    "a plot": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('own.png')\nreturn 2 * x",
    "scikit-learn": "import sklearn.linear_model\nreturn 2 * x",
    "Keras": "import keras\nreturn keras.ops.add(x, x)",
    "a class and a thread": """
        import dataclasses, threading
        @dataclasses.dataclass
        class Number:
            value: float
        numbers = []
        thread = threading.Thread(target=lambda: numbers.append(Number(2 * x)))
        thread.start()
        thread.join()
        return numbers[0].value
    """,
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_answer_gets_its_points(name: str, nothing_stays) -> None:
    graded = grade_exercise(dataclasses.replace(double, seconds=10), "mine.py", source(HONEST[name]), CLOSED)
    assert graded.points == 2, graded


def test_a_busy_machine_costs_no_points(nothing_stays) -> None:
    """What counts is the processor's time: a process may wait longer than its seconds by the clock."""
    graded = grade_exercise(double, "mine.py", source("import time; time.sleep(1.2 * 1.5)\nreturn 2 * x"), CLOSED)
    assert graded.points == 2, graded


def test_a_sandbox_that_ends_leaves_the_others_alone(monkeypatch, nothing_stays) -> None:
    """Also while nothing tells whose process one is: it has neither mark nor name between fork and exec."""
    answer = source("return 2 * x")
    with Sandbox("one.py", answer) as one:
        with Sandbox("other.py", answer):
            monkeypatch.setattr(Sandbox, "_is_ours", lambda self, process: True)
        assert one.call("double", 2.0) == 4.0


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ("while True: pass", "takes more than 1.5 seconds"),
        ("raise SystemExit", "ends the program in line 1"),
        ("import nothing_of_this_name", "The file does not load: ModuleNotFoundError in line 1"),
        ("import os; os._exit(0)", "ended the process itself"),
        ("class double: pass", "TypeError"),
        ("double = 3", "There is no function double in the file"),
        ("pass", "There is no function double in the file"),
    ],
)
def test_a_file_that_does_not_load(top: str, message: str, nothing_stays) -> None:
    graded = grade_exercise(double, "mine.py", top)
    assert graded.points == 0
    assert message in (graded.reason or graded.failed[0][1])


def test_a_function_of_the_check_is_called_back() -> None:
    apply = Exercise("apply", section="D0, section 1")

    @apply.check(points=1)
    def calls(answer, random):
        """Calls f."""
        close(answer(lambda x, add=0: 2 * x + add, 3), 7, "Return f(x, add=1).")

    right = "def apply(f, x): return f(x, add=1)"
    assert grade_exercise(apply, "mine.py", right).points == 1
    for wrong in ('f("three", add=1)', "f()", "f(x, nothing=1)"):
        graded = grade_exercise(apply, "mine.py", f"def apply(f, x): return {wrong}")
        assert graded.points == 0
        assert "in line 1" in graded.failed[0][1] or "in its code" in graded.failed[0][1], graded.failed
