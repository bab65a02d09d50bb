"""The book's pages from their sources: a lesson with what was recorded of it, and its exercises with their solutions.

Sphinx calls :func:`read` for each Python file of the book (``nb_custom_formats`` in ``chapters/conf.py``). Nothing is
trained for a page: figures and numbers are those of the recorded run.
"""

import ast
import re
import tomllib
from typing import Any

from keras_llm import book

FIGURE = re.compile(r"run\.figure\(\s*(?:(?P<f>f?)\"(?P<name>[^\"]+)\"|(?P<variable>\w+))")
REGION = re.compile(r" *# (BEGIN|END) SOLUTION.*\n?")


def read(text: str) -> Any:
    """A page as a notebook, from the text of a ``lesson.py`` or a ``solutions.py``."""
    if "# BEGIN SOLUTION" in text:
        return exercises_page(text)
    return lesson_page(text)


def captions(chapter: str) -> dict[str, str]:
    """What each recorded figure of a chapter shows, by its name, from ``figures.toml``."""
    path = book.chapters()[chapter].parent / "figures.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))[chapter]


def lesson_page(text: str) -> Any:
    """A lesson, with each recorded figure behind the cell that draws it, and the recorded numbers at its end."""
    import jupytext
    from nbformat.v4 import new_markdown_cell

    notebook = jupytext.reads(text, fmt="py:percent")
    chapter = re.search(r'runs\.begin\("(\w+)"', text).group(1)
    figures, cells = captions(chapter), []
    drawn = figures_of([cell.source if cell.cell_type == "code" else "" for cell in notebook.cells], list(figures))
    for cell, names in zip(notebook.cells, drawn, strict=True):
        cells.append(cell)
        for name in names:
            caption = figures[name]
            shown = f":::{{figure}} recorded/{name}.png\n:alt: {caption}\n\n{caption}\n:::"
            cells.append(new_markdown_cell(shown))
        if cell.cell_type == "code" and "run.compare_with_record()" in cell.source:
            cells.append(new_markdown_cell(recorded_table(chapter)))
    notebook.cells = cells
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "python"}
    return notebook


def recorded_figures() -> dict[str, dict[str, str]]:
    """The recorded figures of each chapter, ``ch03`` and so on, as they stand in running text."""
    records = {name.split("_")[0]: book.record_of(folder) for name, folder in book.chapters().items()}
    return {
        chapter: {name: shown(each["value"]) for name, each in record["figures"].items()}
        for chapter, record in records.items()
        if record
    }


def shown(value: float) -> str:
    """A number as running text has it: shares with three places, larger ones with fewer."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def figures_of(sources: list[str], names: list[str]) -> list[list[str]]:
    """Which of the recorded figures each cell draws: by name, by a name with gaps, or, last, whatever is left."""
    drawn: list[list[str]] = [[] for _ in sources]
    left = list(names)
    for exact in ("name", "f", "variable"):
        for number, source in enumerate(sources):
            for match in FIGURE.finditer(source):
                kind = "variable" if match["variable"] else "f" if match["f"] else "name"
                if kind != exact:
                    continue
                pattern = re.sub(r"\\\{.*?\\\}", ".+", re.escape(match["name"] or "{}"))
                found = [name for name in left if re.fullmatch(pattern, name)]
                drawn[number] += found
                left = [name for name in left if name not in found]
    return drawn


def recorded_table(chapter: str) -> str:
    """What was recorded of a chapter, and where."""
    record = book.record_of(book.chapters()[chapter])
    machine, versions = record["machine"], record["versions"]
    rows = [f"| `{name}` | {each['value']:.4g} | {each['tolerance']:.2g} |" for name, each in record["figures"].items()]
    seeds = ", ".join(map(str, record["seeds"]))
    return "\n".join(
        [
            f"Recorded with the preset {record['preset']}, seeds {seeds}, in {record['minutes']:.0f} minutes on "
            f"{machine['processor']} ({machine['cores']} cores, {machine['memory_gb']:.0f} GB), TensorFlow "
            f"{versions['tensorflow']}, Keras {versions['keras']}:",
            "",
            "| figure | value | tolerance |",
            "|---|---|---|",
            *rows,
        ]
    )


def exercises_page(text: str) -> Any:
    """The exercises of a chapter: what is asked, and behind a fold the solution."""
    from nbformat.v4 import new_markdown_cell, new_notebook

    tree = ast.parse(text)
    first, *others = ast.get_docstring(tree).split("\n\n")
    title, _, about = first.partition(": ")
    cells = [f"# {title}", f"{about[:1].upper()}{about[1:]}", *others]
    lines = text.splitlines(keepends=True)
    nodes = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    for node in nodes:
        documentation = ast.get_docstring(node)
        title = documentation.split("\n")[0].rstrip(".")
        start, body = node.lineno - 1, node.body[1].lineno - 1
        end = next((index for index in range(body, len(lines)) if "# END SOLUTION" in lines[index]), node.end_lineno)
        asked = "".join(lines[start:body])
        asked = re.sub(r" *# BEGIN SOLUTION.*\n", "", asked).rstrip()
        answer = REGION.sub("", "".join(lines[node.body[0].end_lineno : end + 1])).rstrip()
        cells.append(f"## {title}\n\n```python\n{asked}\n```")
        cells.append(f"::::{{admonition}} Solution\n:collapsible: closed\n\n```python\n{answer}\n```\n::::")
    return new_notebook(cells=[new_markdown_cell(cell) for cell in cells])
