"""What a chapter's ``checks.py`` is made of: exercises, their checks, and sentences that teach.

A check calls the student's function with small inputs and looks at what it returns, never at what it prints::

    softmax = Exercise("softmax", section="D3, section 4", seconds=5)

    @softmax.check(points=2)
    def rows_sum_to_one(answer, random):
        '''Each row sums to 1.'''
        close(answer(random.normal(size=(2, 3))).sum(axis=-1), np.ones(2), "Divide by the sum over the last axis.")

``answer`` stands for the function, which runs in a process of its own; ``random`` is a NumPy generator with a seed of
this check. Nothing here loads TensorFlow, or knows a chapter.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

Check = Callable[[Callable, np.random.Generator], None]


class Wrong(Exception):
    """A check failed; the message is one sentence, or two, that teach."""


@dataclass(frozen=True)
class Scored:
    """One check of an exercise: what it looks at, and its points."""

    title: str
    points: float
    look: Check
    public: bool = True


@dataclass
class Exercise:
    """One exercise of a chapter.

    Args:
        name: of the function that the student writes.
        section: of the document that it belongs to.
        seconds: that all its checks may take.
        memory_mb: that it may take.
    """

    name: str
    section: str
    seconds: float = 5.0
    memory_mb: int = 512
    checks: list[Scored] = field(default_factory=list)

    @property
    def points(self) -> float:
        return sum(check.points for check in self.checks)

    def check(self, points: float = 1.0) -> Callable[[Check], Check]:
        """Add a function as a check; its docstring is its title."""

        def add(function: Check) -> Check:
            title = " ".join((function.__doc__ or function.__name__).split())
            self.checks.append(Scored(title, points, function))
            return function

        return add


def exercises_of(module: ModuleType) -> Iterator[Exercise]:
    """The exercises that a module defines, in their order."""
    return (value for value in vars(module).values() if isinstance(value, Exercise))


# ---------------------------------------------------------------- what a check says


def close(
    found: Any,
    expected: Any,
    why: str,
    mistakes: Mapping[str, Any] | None = None,
    *,
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> None:
    """Hold numbers against the right ones.

    Args:
        found: what the student's function returned.
        expected: array or number.
        why: the sentence for a wrong answer.
        mistakes: sentence to what a known mistake gives; the first that fits is told instead of ``why``.
        rtol, atol: as in ``numpy.isclose``.

    Raises:
        Wrong: with a sentence.
    """
    right = np.asarray(expected, "float64")
    numbers = array(found, right.shape, why, finite=False)
    good = np.isclose(numbers, right, rtol, atol, equal_nan=True)
    if good.all():
        return
    for sentence, wrong in (mistakes or {}).items():
        wrong = np.asarray(wrong, "float64")
        # A mistake that makes no difference here explains nothing.
        if wrong.shape == right.shape and np.allclose(numbers, wrong, rtol, atol, equal_nan=True):
            raise Wrong(sentence)
    if np.isnan(numbers).any() and not np.isnan(right).any():
        raise Wrong(f"There is NaN (not a number) in the answer. {why}")
    place = tuple(int(index) for index in np.argwhere(~good)[0]) if right.ndim else ()
    where = f"at {list(place)} it is" if place else "It is"
    raise Wrong(f"{why} ({where} {numbers[place]:.5g} instead of {right[place]:.5g})".replace("(It", "(it"))


def same(found: Any, expected: Any, why: str, mistakes: Mapping[str, Any] | None = None) -> None:
    """Hold texts, integers, or lists and dicts of them against the right ones.

    Lists and tuples count as equal, and so do arrays of the same numbers. Arguments and errors as in :func:`close`.
    """
    if plain(found) == plain(expected):
        return
    for sentence, wrong in (mistakes or {}).items():
        if plain(found) == plain(wrong):
            raise Wrong(sentence)
    raise Wrong(f"{why} (it is {shown(found)} instead of {shown(expected)})")


def holds(condition: bool, why: str) -> None:
    """A property that must hold.

    Raises:
        Wrong: with the sentence ``why``.
    """
    if not condition:
        raise Wrong(why)


def array(found: Any, shape: tuple[int, ...], why: str, *, finite: bool = True) -> np.ndarray:
    """What was returned as numbers of a shape, float64; the shape () is a single number.

    Raises:
        Wrong: when it is something else, or not finite.
    """
    try:
        numbers = np.asarray(found)
    except ValueError:  # rows of several lengths
        numbers = np.asarray(None)
    if numbers.dtype.kind not in "biuf":
        raise Wrong(f"It returns {kind_of(found)} where {'an array' if shape else 'a number'} is wanted. {why}")
    if numbers.shape != shape:
        raise Wrong(f"It returns the shape {numbers.shape} where {shape} is wanted. {why}")
    if finite and not np.isfinite(numbers).all():
        raise Wrong(f"The answer holds NaN or infinity. {why}")
    return numbers.astype("float64")


def several(found: Any, count: int, why: str) -> list:
    """The parts of an answer that has so many: a tuple, a list, or the rows of an array.

    Raises:
        Wrong: when it has not.
    """
    listed = isinstance(found, tuple | list) or (isinstance(found, np.ndarray) and found.ndim > 0)
    parts = list(found) if listed else []
    holds(len(parts) == count, f"{count} values are wanted. {why}")
    return parts


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    if value is None:
        return "nothing (None: is there a return?)"
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of the shape {value.shape}"
    return kind(type(value).__name__)


def kind(name: str) -> str:
    """A type's name with its article."""
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


def plain(value: Any) -> Any:
    """A value with arrays and tuples as lists."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value


def shown(value: Any) -> str:
    text = repr(plain(value))
    return text if len(text) <= 80 else text[:77] + "..."
