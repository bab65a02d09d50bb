"""Where the chapters are and what is recorded of them."""

import ast
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from keras_llm.errors import InputError


def chapter_package() -> str:
    """The package that holds the chapters: inside keras_llm when it is installed, beside it in a bare checkout."""
    return "keras_llm.chapters" if importlib.util.find_spec("keras_llm.chapters") else "chapters"


def chapters() -> dict[str, Path]:
    """Chapter name to folder, in order.

    Raises:
        InputError: when there is no chapter at all.
    """
    spec = importlib.util.find_spec(chapter_package())
    places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    found = {lesson.parent.name: lesson.parent for place in places for lesson in sorted(place.glob("ch*/lesson.py"))}
    if not found:
        raise InputError("The chapters are not here: install keras_llm, or run in its checkout.")
    return found


def record_of(folder: Path) -> dict[str, Any] | None:
    """The recorded run of a chapter (``expected.json``), None when there is none."""
    path = folder / "expected.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def code_digest(folder: Path) -> str:
    """What tells whether a lesson computes what it computed when it was recorded.

    Comments, text and what is printed may change, and so may the presets that nobody records.
    """
    tree = ast.parse((folder / "lesson.py").read_text(encoding="utf-8"))
    return hashlib.sha256(repr(_computing(tree)).encode()).hexdigest()[:16]


def _computing(node: Any) -> Any:
    """A syntax tree as nested tuples, the same in each version of Python, without what computes nothing."""
    if isinstance(node, list):
        return tuple(each for each in map(_computing, node) if each is not None)
    if not isinstance(node, ast.AST):
        return node
    if isinstance(node, ast.Expr):
        if isinstance(node.value, ast.Constant):
            return None
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in ("print", "run.sample"):
            return None
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        kept = [pair for pair in pairs if getattr(pair[0], "value", None) not in ("smoke", "full")]
        return ("Dict", *(tuple(map(_computing, pair)) for pair in kept))
    fields = ((name, _computing(value)) for name, value in ast.iter_fields(node) if name not in ("ctx", "kind"))
    return (type(node).__name__, *((name, value) for name, value in fields if value not in (None, ())))


def about(folder: Path) -> dict[str, str]:
    """A chapter's title and document sections, from its package docstring, and the recorded minutes and figure."""
    lines = (ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or "").splitlines()
    sections = [line.removeprefix("Reproduces: ") for line in lines if line.startswith("Reproduces: ")]
    facts = {"title": lines[0] if lines else "", "reproduces": "".join(sections), "minutes": "", "measured": ""}
    record = record_of(folder)
    if record:
        headline = record["headline"]
        facts["minutes"] = f"{record['minutes']:.0f}"
        facts["measured"] = f"{headline} {record['figures'][headline]['value']:.3f}"
    return facts
