"""A chapter's exercises as an assignment for nbgrader: the same regions, the same checks."""

import ast
import importlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_llm import book
from keras_llm.errors import InputError
from keras_llm.grading.checks import Wrong, exercises_of
from keras_llm.grading.grade import Assignment, seed_of


def write_assignment(chapter: str, to: Path) -> Path:
    """Write ``to/source/CHAPTER/CHAPTER.ipynb``, from which nbgrader makes what students get.

    Each exercise is a cell with its solution between the markers that nbgrader cuts out, and a locked cell for each
    check, with its points.

    Raises:
        InputError: when nbformat is not installed, or the notebook is there already.
    """
    try:
        from nbformat import v4, write
    except ImportError as error:
        raise InputError('Notebooks need nbformat: pip install -c constraints.txt -e ".[book]".') from error
    target = to / "source" / chapter / f"{chapter}.ipynb"
    if target.exists():
        raise InputError(f"{target} is there already: remove it, or name another folder with --to.")
    source = (book.chapters()[chapter] / "solutions.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    lines = source.splitlines()
    ends = [*(node.lineno - 1 for node in tree.body[1:]), len(lines)]  # a region's last mark stands behind its function
    imports = "\n".join(
        ast.get_source_segment(source, node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)
    )
    exercises = {each.name: each for each in Assignment.of(chapter).exercises}
    cells = [v4.new_markdown_cell(f"# {chapter}\n\n{notebook_words(ast.get_docstring(tree) or '')}")]
    cells.append(v4.new_code_cell(f"{imports}\n\nfrom keras_llm.grading.nbgrader import check"))
    for node, end in zip(tree.body, ends, strict=True):
        if not isinstance(node, ast.Assign | ast.FunctionDef):
            continue
        piece = "\n".join(lines[node.lineno - 1 : end]).strip()
        cell = v4.new_code_cell(re.sub("# (BEGIN|END) SOLUTION", r"### \1 SOLUTION", piece))
        cells.append(cell)
        if not isinstance(node, ast.FunctionDef) or node.name not in exercises:
            continue
        cell.metadata["nbgrader"] = {**graded(node.name), "solution": True}
        for number, each in enumerate(exercises[node.name].checks, 1):
            cell = v4.new_code_cell(f"# {each.title}\ncheck({chapter!r}, {node.name}, {number})")
            name = f"{node.name}_{number}"
            cell.metadata["nbgrader"] = {**graded(name), "grade": True, "locked": True, "points": each.points}
            cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    target.parent.mkdir(parents=True, exist_ok=True)
    write(v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), target)
    return target


def graded(name: str) -> dict:
    """nbgrader's metadata of a cell."""
    return {
        "cell_type": "code",
        "grade": False,
        "grade_id": name,
        "locked": False,
        "schema_version": 3,
        "solution": False,
        "task": False,
    }


def notebook_words(text: str) -> str:
    """What a file of exercises begins with, without how it is graded: its first paragraph, and what letters mean."""
    first, *others = text.split("\n\n")
    return "\n\n".join([first, *(part for part in others if " = " in part)])


def check(chapter: str, function: Callable, number: int) -> None:
    """Run one check of an exercise on a function of this notebook; silent when it passes.

    Args:
        chapter: name of the chapter.
        function: the student's; its name is the exercise's.
        number: of the check, from 1.

    Raises:
        AssertionError: with the sentence that explains what is wrong.
    """
    module = importlib.import_module(f"{book.chapter_package()}.{chapter}.checks")
    exercise = next(each for each in exercises_of(module) if each.name == function.__name__)
    each = exercise.checks[number - 1]
    try:
        each.look(function, np.random.default_rng(seed_of(exercise, each)))
    except Wrong as wrong:
        raise AssertionError(str(wrong)) from None
