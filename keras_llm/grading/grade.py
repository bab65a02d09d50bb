"""Grade one file of answers against the exercises of a chapter."""

import functools
import hashlib
import importlib
import importlib.util
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_llm import book
from keras_llm.errors import InputError
from keras_llm.grading.checks import Exercise, Scored, Wrong, exercises_of
from keras_llm.grading.sandbox import Limits, Refused, Sandbox

LARGEST = 200_000  # bytes of a file of answers
LONGEST = 400  # characters of a sentence about it


@dataclass
class Graded:
    """One exercise of one file.

    Attributes:
        name: of the exercise.
        points, max_points: what it got, and what it could have got.
        passed: titles of the public checks that passed.
        failed: title and sentence of each public check that failed.
        reason: why the exercise ended without points; empty if it was graded to its end.
        hidden_passed, hidden_failed: how many of the teacher's own checks did.
    """

    name: str
    points: float
    max_points: float
    passed: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    reason: str = ""
    hidden_passed: int = 0
    hidden_failed: int = 0


@dataclass
class Report:
    """A graded file.

    Attributes:
        chapter: name of the chapter.
        file: name of the file.
        sha256: of its bytes.
        checks: a fingerprint of the checks that it was graded by.
        exercises: in the chapter's order.
    """

    chapter: str
    file: str
    sha256: str
    checks: str
    exercises: list[Graded]

    @property
    def points(self) -> float:
        return sum(each.points for each in self.exercises)

    @property
    def max_points(self) -> float:
        return sum(each.max_points for each in self.exercises)

    def to_json(self) -> dict[str, Any]:
        return {"points": self.points, "max_points": self.max_points, **asdict(self)}


@dataclass(frozen=True)
class Assignment:
    """A chapter's exercises, ready to grade.

    Attributes:
        chapter: its name.
        exercises: in order, the teacher's hidden checks among theirs.
        closed: folders that no student's code may read.
        fingerprint: of all checks.
    """

    chapter: str
    exercises: tuple[Exercise, ...]
    closed: tuple[Path, ...]
    fingerprint: str

    @classmethod
    def of(cls, chapter: str, hidden: Path | None = None) -> "Assignment":
        """Load the checks of a chapter.

        Args:
            chapter: its whole name.
            hidden: a folder with ``chNN.py`` files, written as ``checks.py`` is, whose checks count too.

        Raises:
            InputError: when the chapter has no exercises, or the hidden checks do not fit.
        """
        folder = book.chapters()[chapter]
        files = [folder / "checks.py"]
        if not files[0].exists():
            raise InputError(f"Chapter {chapter} has no graded exercises.")
        public = importlib.import_module(f"{book.chapter_package()}.{chapter}.checks")
        exercises = tuple(exercises_of(public))
        closed = [folder.parent, Path(__file__).parent.parent]  # the chapters, and the library, hold the answers
        if hidden is not None:
            files.append(hidden / f"{chapter.split('_')[0]}.py")
            exercises = with_hidden(exercises, files[1])
            closed.append(hidden)
        text = b"".join(file.read_bytes() for file in files)
        return cls(chapter, exercises, tuple(closed), hashlib.sha256(text).hexdigest()[:16])


def with_hidden(exercises: Sequence[Exercise], file: Path) -> tuple[Exercise, ...]:
    """The exercises with a teacher's own checks behind the public ones."""
    if not file.is_file():
        raise InputError(f"There are no hidden checks at {file}: name a folder that holds {file.name}.")
    spec = importlib.util.spec_from_file_location("hidden_checks", file)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{file} cannot be loaded: {type(error).__name__}: {error}") from error
    more = {each.name: each for each in exercises_of(module)}
    unknown = set(more) - {each.name for each in exercises}
    if unknown:
        raise InputError(f"{file} has checks for {sorted(unknown)[0]!r}, which is no exercise of this chapter.")
    made = []
    for each in exercises:
        extra = more.get(each.name)
        hidden = [replace(check, public=False) for check in extra.checks] if extra else []
        seconds = each.seconds + (extra.seconds if extra else 0)
        made.append(replace(each, seconds=seconds, checks=[*each.checks, *hidden]))
    return tuple(made)


def grade(assignment: Assignment, file: Path, closed: Sequence[Path] = ()) -> Report:
    """Grade a file; the same file gets the same points.

    Args:
        assignment: see :class:`Assignment`.
        file: the student's, Python in UTF-8.
        closed: more folders that its code must not read, such as those of other students.

    Raises:
        InputError: when there is no such file.
    """
    if file.is_dir():
        raise InputError(f"{file} is a folder: name the file with your answers.")
    if not file.is_file():
        raise InputError(f"There is no file {file}: name the file with your answers.")
    content = file.read_bytes()
    source, reason = read(content)
    name = legible(file.name)
    all_closed = [*assignment.closed, *closed]
    if reason:
        graded = refused(assignment, reason)
    else:
        graded = [grade_exercise(each, name, source, all_closed) for each in assignment.exercises]
    digest = hashlib.sha256(content).hexdigest()
    return Report(assignment.chapter, name, digest, assignment.fingerprint, graded)


def refused(assignment: Assignment, reason: str) -> list[Graded]:
    """No points for any exercise, for one reason."""
    return [Graded(each.name, 0.0, each.points, reason=reason) for each in assignment.exercises]


def read(content: bytes) -> tuple[str, str]:
    """A file's source, and what is wrong with it as a whole, empty if nothing is."""
    if len(content) > LARGEST:
        return "", f"The file has more than {LARGEST // 1000} KB."
    if not content.strip():
        return "", "The file is empty."
    try:
        source = content.decode("utf-8-sig")
        with warnings.catch_warnings(action="ignore"):
            compile(source, "exercises.py", "exec", dont_inherit=True)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return "", f"Line {line} is not UTF-8: save the file in the encoding UTF-8."
    except SyntaxError as error:
        place = f"Line {error.lineno}" if error.lineno else "The file"
        return "", f"{place} is no Python: {error.msg}."
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return "", f"The file is no Python: {error or type(error).__name__}."
    return source, ""


def grade_exercise(exercise: Exercise, file: str, source: str, closed: Sequence[Path] = ()) -> Graded:
    """Grade one exercise in a process of its own."""
    limits = Limits(seconds=exercise.seconds, memory_mb=exercise.memory_mb)
    try:
        with Sandbox(file, source, limits, closed) as sandbox:
            return run_checks(exercise, functools.partial(sandbox.call, exercise.name))
    except Refused as refused:
        reason = str(refused)
    except Wrong as wrong:
        reason = f"The file does not load: {wrong}"
    return Graded(exercise.name, 0.0, exercise.points, reason=legible(reason))


def legible(text: str) -> str:
    """A sentence in which a student's own words may stand, fit for a terminal and a file."""
    text = text.encode("utf-8", "replace").decode()
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def seed_of(exercise: Exercise, check: Scored) -> int:
    """Of a check's draws: the same in each grading, another in each check."""
    return zlib.crc32(f"{exercise.name}: {check.title}".encode())


def run_checks(exercise: Exercise, answer: Callable) -> Graded:
    """Run the checks of an exercise on a function, with the same draws each time.

    Raises:
        Refused: when the function did what ends the exercise.
    """
    result = Graded(exercise.name, 0.0, exercise.points)
    for check in exercise.checks:
        try:
            check.look(answer, np.random.default_rng(seed_of(exercise, check)))
        except Refused:
            raise
        except Exception as error:
            said = str(error)
            if not isinstance(error, Wrong):  # a check that met what it did not expect
                said = f"It returns something of another form than is asked for ({type(error).__name__}: {error})."
            if check.public:
                result.failed.append((check.title, legible(said)))
            else:
                result.hidden_failed += 1
        else:
            result.points += check.points
            if check.public:
                result.passed.append(check.title)
            else:
                result.hidden_passed += 1
    return result
