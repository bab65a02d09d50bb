"""Each lesson as a notebook that runs from top to bottom."""

import nbformat
import pytest

from keras_llm import book
from keras_llm.notebooks import write_notebook

pytest_plugins = ["tests.command_line_fixtures"]

QUICK = "ch01_neural_network"


@pytest.mark.parametrize("chapter", book.chapters())
def test_a_notebook_is_the_lesson(chapter, tmp_path, cli) -> None:
    answer = cli("notebook", chapter, "--to", tmp_path / "mine", "--preset", "smoke")
    assert answer.code == 0, answer.err
    notebook = nbformat.read(tmp_path / "mine" / f"{chapter}.ipynb", as_version=4)
    nbformat.validate(notebook)
    lesson = (book.chapters()[chapter] / "lesson.py").read_text(encoding="utf-8")
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert "%pip install" in code[0] and 'preset="smoke"' in code[1]
    assert all(source in lesson for source in code[2:]) and len(code) == lesson.count("\n# %%\n") + 2
    assert notebook.cells[2].source.startswith("# Chapter ")
    assert "](solutions)" in lesson and not any("](solutions)" in cell.source for cell in notebook.cells)
    assert f"{chapter}.ipynb is there already" in cli("notebook", chapter, "--to", tmp_path / "mine").err


@pytest.mark.network
@pytest.mark.parametrize(
    "chapter", [name if name == QUICK else pytest.param(name, marks=pytest.mark.slow) for name in book.chapters()]
)
def test_a_notebook_runs_from_top_to_bottom(chapter, tmp_path) -> None:
    client = pytest.importorskip("nbclient")
    notebook = nbformat.read(write_notebook(chapter, tmp_path, "smoke"), as_version=4)
    client.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("Done in" in output.get("text", "") for output in outputs)
    assert list((tmp_path / "runs").glob("*/run.json"))
