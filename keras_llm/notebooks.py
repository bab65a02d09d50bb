"""A chapter's lesson as a notebook, for Jupyter and Colab. The lesson is the source; nothing made here is edited."""

import re
from pathlib import Path

from keras_llm import book
from keras_llm.errors import InputError

INSTALL = """\
# Installs the course where it is missing, as on Colab.
import importlib.util

if importlib.util.find_spec("keras_llm") is None:
    %pip install -q keras_llm"""
OPTIONS = """\
# "smoke" goes through everything in a minute or so, "cpu" takes the minutes that the lesson says, "full" wants a GPU.
from keras_llm import runs

runs.request(runs.Options(preset="{preset}"))"""


def write_notebook(chapter: str, to: Path, preset: str = "cpu") -> Path:
    """Write ``to/CHAPTER.ipynb``, which runs from top to bottom.

    Args:
        chapter: name of the chapter.
        to: folder; made if it is not there.
        preset: that the notebook begins with; its second cell says how to choose another.

    Raises:
        InputError: when jupytext is not installed, or the notebook is there already.
    """
    try:
        import jupytext
        from nbformat.v4 import new_code_cell
    except ImportError as error:
        raise InputError('Notebooks need jupytext: pip install -c constraints.txt -e ".[book]".') from error
    target = to / f"{chapter}.ipynb"
    if target.exists():
        raise InputError(f"{target} is there already: rename it, or name another folder with --to.")
    notebook = jupytext.read(book.chapters()[chapter] / "lesson.py", fmt="py:percent")
    notebook.cells = [new_code_cell(INSTALL), new_code_cell(OPTIONS.format(preset=preset)), *notebook.cells]
    for cell in notebook.cells:  # a link to another page of the book
        cell.source = re.sub(r"\[([^\]]+)\]\(solutions\)", r"the web book, *\1*", cell.source)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    to.mkdir(parents=True, exist_ok=True)
    jupytext.write(notebook, target)
    return target
