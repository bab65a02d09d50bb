"""The web book, and its pages from their sources: lessons with what was recorded of them, exercises with solutions.

Sphinx calls :func:`read` for each Python file of the book (``nb_custom_formats`` in ``chapters/conf.py``). Nothing is
trained for a page: figures and numbers are those of the recorded run.
"""

import ast
import re
import textwrap
import tomllib
from pathlib import Path
from typing import Any

from keras_llm import book, languages
from keras_llm.errors import InputError, WorkError
from keras_llm.grading.regions import REGION
from keras_llm.printed import printed_of

FIGURE = re.compile(r"run\.figure\(\s*(?:(?P<f>f?)\"(?P<name>[^\"]+)\"|(?P<variable>\w+))")
MARK = re.compile(r" *# (BEGIN|END) SOLUTION.*\n?")
FIELD = re.compile(r"^([A-Z][a-z ]+):(?: |\n|$)", re.MULTILINE)  # of an exercise's docstring: "Hint: …"


BOOKS = {"en": "", "zh_CN": "zh"}  # each language's folder in the built book


def build(target: Path) -> Path:
    """Build the web book in both languages, the Chinese one in the folder ``zh``.

    Args:
        target: folder of the book; what an earlier build left there is used again.

    Returns:
        The first page.

    Raises:
        InputError: when Sphinx is not installed, or the sources of the book are not here.
        WorkError: when a page cannot be built.
    """
    try:
        from sphinx.cmd.build import main as sphinx_build
    except ImportError as error:
        raise InputError('The book needs Sphinx: pip install -c constraints.txt -e ".[book]".') from error
    source = next(iter(book.chapters().values())).parent
    if not (source / "conf.py").exists():
        raise InputError(
            "The book is built in a checkout of keras_llm: its pages are not part of an installed package."
        )
    for language, folder in BOOKS.items():
        trees = target / ".doctrees" / language
        options = ["-q", "-W", "--keep-going", "-b", "html", "-D", f"language={language}", "-d", str(trees)]
        if sphinx_build([*options, str(source), str(target / folder)]):
            raise WorkError(f"The book's pages in {language} have the mistakes that are named above.")
    return target / "index.html"


def read(text: str, language: str = "en") -> Any:
    """A page as a notebook, from the text of a ``lesson.py`` or a ``solutions.py``; what was printed in a language."""
    if "# BEGIN SOLUTION" in text:
        return exercises_page(text)
    return lesson_page(text, language)


def captions(chapter: str) -> dict[str, str]:
    """What each recorded figure of a chapter shows, by its name, from ``figures.toml``."""
    path = book.chapters()[chapter].parent / "figures.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))[chapter]


def lesson_page(text: str, language: str = "en") -> Any:
    """A lesson, with what each cell printed and drew in a recorded run, and the recorded numbers at its end."""
    import jupytext
    from nbformat.v4 import new_markdown_cell, new_output

    notebook = jupytext.reads(re.sub(r" *# noqa.*", "", text), fmt="py:percent")
    chapter = re.search(r'runs\.begin\("(\w+)"', text).group(1)
    printed = (printed_of(book.chapters()[chapter]) or {}).get("cells", {})
    spoken = languages.translation(language[:2], chapter)
    figures, cells = captions(chapter), []
    drawn = figures_of([cell.source if cell.cell_type == "code" else "" for cell in notebook.cells], list(figures))
    number = -1
    for cell, names in zip(notebook.cells, drawn, strict=True):
        cells.append(cell)
        if len(cells) == 1:
            cells.append(new_markdown_cell(f"{documents_of(chapter)}\n\n{seen_here(chapter)}"))
        compares = "run.compare_with_record()" in cell.source
        if cell.cell_type == "code":
            number += 1
            output = printed.get(str(number), "")
            if output and not compares:
                translated = spoken.text(output) if spoken else output
                cell.outputs = [new_output("stream", name="stdout", text=wrapped(translated))]
        for name in names:
            caption = figures[name]
            shown = f":::{{figure}} recorded/{name}.png\n:alt: {caption}\n\n{caption}\n:::"
            cells.append(new_markdown_cell(shown))
        if cell.cell_type == "code" and compares:
            cells.append(new_markdown_cell(recorded_table(chapter)))
    notebook.cells = cells
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "python"}
    return notebook


def wrapped(output: str, columns: int = 100) -> str:
    """Printed lines, the long ones in several: sentences at a space, but no line of a table."""
    lines = output.split("\n")
    whole = [len(line) <= columns or re.search(r"\S {2,}\S", line) for line in lines]
    return "\n".join(
        line if w else textwrap.fill(line, columns, break_on_hyphens=False)
        for line, w in zip(lines, whole, strict=True)
    )


def documents_of(chapter: str) -> str:
    """A line that leads from a chapter to its documents, as ``documents.md`` has them."""
    table = (book.chapters()[chapter].parent / "documents.md").read_text(encoding="utf-8")
    parts = re.split(r"^\(d(\d)\)=$", table, flags=re.MULTILINE)[1:]
    found = [number for number, part in zip(parts[::2], parts[1::2], strict=True) if f"({chapter}/lesson)" in part]
    links = ", ".join(f"[D{number}](#d{number})" for number in found)
    return f"**What the documents say, and what was measured**, section by section: {links}."


def seen_here(chapter: str) -> str:
    """A paragraph on where the figures and the printed lines of a page come from."""
    shown = "Figures and the last table are those of the recorded run. "
    if printed_of(book.chapters()[chapter]) is None:
        return f"{shown}What a cell prints is seen when you run it."
    return shown + (
        "What stands below a cell was printed by a run with the preset {{ RUN.preset }} and seed {{ RUN.seed }} on "
        "{{ RUN.machine }}."
    ).replace("RUN", f"printed_{chapter.split('_')[0]}")


def processor(machine: dict[str, Any]) -> str:
    return f"{machine['processor']} ({machine['cores']} CPUs, {machine['memory_gb']:.0f} GB)"


def recorded_figures() -> dict[str, dict[str, str]]:
    """What was recorded of each chapter, as it stands in running text.

    Returns:
        The figures as ``ch03`` and so on, each by its name; how they were recorded, as ``recorded_ch03``; and which run
        gave what the cells printed, as ``printed_ch03``.
    """
    found = {}
    for name, folder in book.chapters().items():
        record, short = book.record_of(folder), name.split("_")[0]
        if record:
            machine, versions = record["machine"], record["versions"]
            found[short] = {figure: shown(each["value"]) for figure, each in record["figures"].items()}
            found[f"recorded_{short}"] = {
                "preset": record["preset"],
                "seeds": ", ".join(map(str, record["seeds"])),
                "minutes": f"{record['minutes']:.0f}" if record["minutes"] >= 1.5 else f"{record['minutes']:.1f}",
                "machine": processor(machine),
                "tensorflow": versions["tensorflow"],
                "keras": versions["keras"],
            }
        if about := printed_of(folder):
            found[f"printed_{short}"] = {**about, "machine": processor(about["machine"])}
    return found


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
    return [sorted(found, key=names.index) for found in drawn]


def recorded_table(chapter: str) -> str:
    """What was recorded of a chapter, and where."""
    short, record = chapter.split("_")[0], book.record_of(book.chapters()[chapter])
    several = len(record["seeds"]) > 1
    rows = []
    for name, each in record["figures"].items():
        spread = f" {each['mean']:.4g} ± {each['standard_deviation']:.2g} |" if several else ""
        rows.append(f"| `{name}` | {each['value']:.4g} |{spread} {each['tolerance']:.2g} |")
    told = (
        "Recorded with the preset {{ RUN.preset }}, seed {{ RUN.seeds }}, in {{ RUN.minutes }} minutes on "
        "{{ RUN.machine }}, TensorFlow {{ RUN.tensorflow }}, Keras {{ RUN.keras }}. A run on another machine should "
        "stay within the tolerance:"
    ).replace("RUN", f"recorded_{short}")
    heading = ["measure", f"seed {record['seed']}", *(["mean ± deviation"] if several else []), "tolerance"]
    lines = [f"| {' | '.join(heading)} |", "|---" * len(heading) + "|", *rows]
    return "\n".join([told.replace("seed {{", "seeds {{") if several else told, "", *lines])


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
        title, _, asked = ast.get_docstring(node).partition("\n")
        start, documentation, body = node.lineno - 1, node.body[0].lineno - 1, node.body[0].end_lineno
        end = node.end_lineno + ("# END SOLUTION" in "".join(lines[node.end_lineno : node.end_lineno + 1]))
        signature, whole = "".join(lines[start:documentation]).rstrip(), "".join(lines[body:end])
        given = REGION.sub(r"\g<indent>...  # yours: \g<words>\n", whole)
        if "\n" not in given.strip():
            given = ""  # all of it is to be written
        asking = f"{signature}\n{given}".rstrip()
        answer = textwrap.dedent(MARK.sub("", whole)).strip("\n")
        cells.append(f"## {title.rstrip('.')}\n\n```python\n{asking}\n```\n\n{exercise_prose(asked)}")
        cells.append(f"::::{{admonition}} Solution\n:collapsible: closed\n\n```python\n{answer}\n```\n::::")
    return new_notebook(cells=[new_markdown_cell(cell) for cell in cells])


def exercise_prose(documentation: str) -> str:
    """What a docstring says of an exercise, as Markdown: a point for each of its fields, and one for each argument."""
    points: list[str] = []
    names = [match for match in FIELD.finditer(documentation)]
    ends = [*(match.start() for match in names[1:]), len(documentation)]
    for match, end in zip(names, ends, strict=True):
        content = documentation[match.end() : end]
        if match[1] == "Args":
            points.append("* **Arguments:**")
            arguments = re.split(r"\n    (?=\S)", "\n" + content.strip("\n"))[1:]
            for name, _, about in (argument.partition(": ") for argument in arguments):
                points.append(f"  * `{name}`: {' '.join(about.split())}")
        else:
            points.append(f"* **{match[1]}:** {' '.join(content.split())}")
    return "\n".join(points)
