"""The house as DESIGN describes it: who imports whom, what loads when, what stands where."""

import ast
import configparser
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARY = sorted((ROOT / "keras_llm").rglob("*.py"))
# What each package may import of keras_llm, beside itself and the errors.
MAY_IMPORT = {
    "data": set(),
    "text": set(),
    "layers": set(),
    "models": {"layers"},
    "training": set(),
    "generation": set(),
    "evaluation": set(),
    "plots": set(),
}
TOP_LEVEL = {"keras_llm", "chapters", "tests", "data", "setup.cfg", "pyproject.toml", "constraints.txt", "LICENSE"}
TOP_LEVEL |= {"README.md", "README.zh.md", "CHANGELOG.md"}
HEAVY = ("tensorflow", "keras", "keras_hub", "sklearn", "scipy", "matplotlib", "pyarrow", "tokenizers")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> set[str]:
    """Every module that a file names in an import, at its top or inside a function."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import; write it in full"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part(module: str) -> str:
    """``keras_llm.text.words`` → ``text``."""
    return module.split(".")[1]


def inside(name: str) -> list[str]:
    """The modules and packages of keras_llm that the files of one package import."""
    files = (ROOT / "keras_llm" / name).rglob("*.py")
    return sorted({part(m) for file in files for m in imports(file) if m.startswith("keras_llm.")})


@pytest.mark.parametrize("package", [p for p in MAY_IMPORT if (ROOT / "keras_llm" / p).is_dir()])
def test_packages_import_only_what_they_may(package) -> None:
    assert set(inside(package)) - {package, "errors"} <= MAY_IMPORT[package]


def test_each_package_has_its_rule() -> None:
    packages = {path.parent.name for path in (ROOT / "keras_llm").glob("*/__init__.py")}
    assert packages - {"grading"} <= MAY_IMPORT.keys()


def test_no_module_but_the_command_line_knows_a_chapter() -> None:
    for path in LIBRARY:
        if path.name.startswith("cli"):  # the command line, in several files
            continue
        assert not {name for name in imports(path) if name.split(".")[0] == "chapters"}, path
        tree = parsed(path)
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        examples = {ast.get_docstring(n, clean=False) for n in ast.walk(tree) if isinstance(n, documented)}
        strings = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        assert not [text for text in strings - examples if re.search(r"\bch\d\d", text)], path


def test_imports_make_no_circle() -> None:
    def name_of(path: Path) -> str:
        return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")

    names = {name_of(path): path for path in LIBRARY}
    # What a function imports when it runs makes no circle: only what stands at the top of a file.
    top = {
        name: {
            module
            for node in parsed(path).body
            if isinstance(node, ast.ImportFrom)
            for module in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
            if module in names and module != name
        }
        for name, path in names.items()
    }
    while leaves := [name for name, needed in top.items() if not needed & top.keys()]:
        for name in leaves:
            del top[name]
    assert not top


@pytest.mark.parametrize(
    "statement",
    [
        "import keras_llm",
        "import keras_llm.cli",
        "import keras_llm.cli; keras_llm.cli.main(['--help'])",
        "import keras_llm.cli; keras_llm.cli.main(['data', '--help'])",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(statement) -> None:
    code = f"""
import sys
try:
    {statement}
except SystemExit as end:
    assert not end.code, end.code
print("loaded:", *sorted({{name.split(".")[0] for name in sys.modules}} & {set(HEAVY)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["loaded:"]


def test_the_top_level_is_closed() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    first = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in first if not name.startswith(".")} <= TOP_LEVEL


def test_a_file_fits_in_one_sitting() -> None:
    lines = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in LIBRARY}
    assert not {path: count for path, count in lines.items() if count > 350}


def test_setup_lists_every_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    folders = {"keras_llm": "keras_llm", "keras_llm.catalog": "data", "keras_llm.chapters": "chapters"}
    expected = {
        ".".join([name, *init.parent.relative_to(ROOT / folder).parts])
        for name, folder in folders.items()
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert set(setup["options"]["packages"].split()) == expected


def test_every_layer_and_model_is_registered_and_documented() -> None:
    import keras

    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in LIBRARY if path.name[0] != "_"]
    modules = [importlib.import_module(name) for name in names]
    ours = {
        thing
        for module in modules
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, keras.Layer) and thing.__module__.startswith("keras_llm.")
    }
    assert len(ours) >= 4
    for thing in ours:
        name = keras.saving.get_registered_name(thing)
        assert name == f"keras_llm>{thing.__name__}" and keras.saving.get_registered_object(name) is thing
        options = inspect.signature(vars(thing).get("__init__", object)).parameters.keys() - {"self", "args", "kwargs"}
        assert all(re.search(rf"^ +{option}: ", thing.__doc__, re.MULTILINE) for option in options), thing
