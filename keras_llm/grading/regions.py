"""One source for the exercises of a chapter: ``solutions.py``, whose regions are cut out to make ``exercises.py``.

A region stands in the body of a function, and its first line says in words what the student has to write::

    # BEGIN SOLUTION: divide by the sum over the last axis
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
    # END SOLUTION

``python -m keras_llm.grading.regions`` writes the exercises of all chapters anew.
"""

import ast
import json
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

from keras_llm import book
from keras_llm.errors import InputError
from keras_llm.grading.grade import Assignment

REGION = re.compile(r"^(?P<indent> *)# BEGIN SOLUTION: (?P<words>.+)\n(?P<answer>(?:.*\n)*?) *# END SOLUTION\n", re.M)
WIDTH = 120
MADE = "# Made from solutions.py by `python -m keras_llm.grading.regions`: change that file, not this one.\n"


def exercises(solutions: str, points: Mapping[str, float], file: str = "solutions.py") -> str:
    """The text of ``exercises.py``: each answer replaced by a sentence that says what is missing.

    Args:
        solutions: the text of ``solutions.py``.
        points: of each exercise, by the name of its function.
        file: name of the source, for messages.

    Raises:
        InputError: when a region is not closed, or stands outside a function.
    """
    functions = [node for node in ast.parse(solutions).body if isinstance(node, ast.FunctionDef)]

    def stub(match: re.Match) -> str:
        line = solutions.count("\n", 0, match.start()) + 1
        name = next((each.name for each in functions if each.lineno <= line <= each.end_lineno), None)
        if name is None:
            raise InputError(f"{file}, line {line}: a solution stands outside a function.")
        return match["indent"] + "# Your answer in place of what follows.\n" + missing(name, **match.groupdict())

    made = REGION.sub(stub, solutions)
    for name, worth in points.items():
        made = made.replace(f"\ndef {name}(", f"\n# {worth:g} point{'s' * (worth != 1)}\ndef {name}(")
    left = re.search(r"# (BEGIN|END) SOLUTION", made)
    if left:
        line = made.count("\n", 0, left.start()) + 1
        raise InputError(f"{file}: a region is not closed, or says nothing behind BEGIN SOLUTION (near line {line}).")
    return made


def missing(name: str, indent: str, words: str, **_: str) -> str:
    """The statement that stands where an answer is to be written."""
    sentence = f"{name}() is yours to write: {words.rstrip('.')}."
    line = f"{indent}raise NotImplementedError({json.dumps(sentence, ensure_ascii=False)})\n"
    if len(line) <= WIDTH + 1:
        return line
    pieces = textwrap.wrap(sentence, WIDTH - len(indent) - 6, drop_whitespace=False)
    strings = "".join(f"{indent}    {json.dumps(piece, ensure_ascii=False)}\n" for piece in pieces)
    return f"{indent}raise NotImplementedError(\n{strings}{indent})\n"


def write_exercises() -> list[Path]:
    """Make ``exercises.py`` of each chapter that has solutions."""
    written = []
    for folder in book.chapters().values():
        source = folder / "solutions.py"
        if source.exists():
            target = folder / "exercises.py"
            points = {each.name: each.points for each in Assignment.of(folder.name).exercises}
            text = exercises(source.read_text(encoding="utf-8"), points, str(source))
            target.write_text(MADE + text, encoding="utf-8")
            written.append(target)
    return written


if __name__ == "__main__":
    for path in write_exercises():
        print(path)
