"""A class of sixty: solutions, stubs, mistakes, tricks and broken files, graded in one run."""

import csv
import json
import os
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from keras_llm import book
from keras_llm.cli import main
from keras_llm.grading.classroom import grade_class
from keras_llm.grading.grade import Assignment, run_checks
from tests.mutants.ch04_attention import MUTANTS
from tests.test_grading_attacks import survivors

pytest_plugins = ["tests.command_line_fixtures"]

CHAPTER = "ch04_attention"
FOLDER = book.chapters()[CHAPTER]
SOLUTION = (FOLDER / "solutions.py").read_text(encoding="utf-8")
STUB = (FOLDER / "exercises.py").read_text(encoding="utf-8")
POINTS = 17


def with_answer(name: str, body: str) -> str:
    """The solutions, with another body for one function."""
    start = SOLUTION.index("# BEGIN SOLUTION", SOLUTION.index(f"def {name}("))
    return SOLUTION[:start] + body + "\n    " + SOLUTION[start:]


LONG = "s63_" + "n" * 240
KINDS = {
    # name: content, points
    "solution": (SOLUTION.encode(), POINTS),
    "solution_with_mark": (b"\xef\xbb\xbf" + SOLUTION.encode(), POINTS),
    "stub": (STUB.encode(), 0),
    "mask": (with_answer("causal_mask", "return np.tri(length, k=-1) > 0").encode(), POINTS - 2),
    "unscaled": (SOLUTION.replace(" / math.sqrt(queries.shape[-1])", "").encode(), POINTS - 5),
    "loop": (with_answer("causal_mask", "while True: pass").encode(), POINTS - 2),
    "exit": (with_answer("split_heads", "import os; os._exit(0)").encode(), POINTS - 2),
    "fork": (with_answer("split_heads", "import os; os.fork()").encode(), POINTS - 2),
    "patch": (with_answer("split_heads", "np.isclose = np.allclose").encode(), POINTS - 2),
    "exit_at_once": (b"import sys\nsys.exit(0)\n", 0),
    "syntax": (b"def causal_mask(:\n", 0),
    "empty": (b"", 0),
    "latin": ("# \xe4\n".encode("latin-1") + SOLUTION.encode(), 0),
    "utf16": (SOLUTION.encode("utf-16"), 0),
    "binary": (bytes(range(256)), 0),
}


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory) -> tuple[Path, dict[str, float]]:
    """Sixty files, and the points that each should get."""
    folder, expected = tmp_path_factory.mktemp("handed_in"), {}
    kinds = list(KINDS)
    for number in range(60):
        kind = kinds[number % len(kinds)]
        name = f"s{number:02}_{kind}"
        expected[name] = KINDS[kind][1]
        target = folder / f"{name}.py" if number % 2 else folder / name / "answers.py"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(KINDS[kind][0])
    (folder / "s60_two").mkdir()
    for name in ("a.py", "b.py"):
        (folder / "s60_two" / name).write_text(SOLUTION, encoding="utf-8")
    (folder / "s61_link.py").symlink_to(FOLDER / "solutions.py")
    (folder / "readme.txt").write_text("not a submission", encoding="utf-8")
    # Names and words that cannot be written as they are, and what platforms add to a student's folder.
    for name, body in (
        ("s62_words", 'raise ValueError("\\udc80 \\x1b[2J" + "x" * 10**5)'),
        ("s63_" + "n" * 240, "return 1"),
    ):
        (folder / f"{name}.py").write_text(with_answer("causal_mask", body), encoding="utf-8")
    (folder / os.fsdecode(b"s64_\xff.py")).write_text(SOLUTION, encoding="utf-8")
    (folder / "s65_学生 = 1" / "__MACOSX").mkdir(parents=True)
    (folder / "s65_学生 = 1" / "__MACOSX" / "._answers.py").write_bytes(b"\x00")
    (folder / "s65_学生 = 1" / "answers.PY").write_text(SOLUTION, encoding="utf-8")
    more = {"s62_words": POINTS - 2, LONG: POINTS - 2, "s64_?": POINTS, "s65_学生 = 1": POINTS}
    return folder, {**expected, "s60_two": 0, "s61_link": 0, **more}


def test_sixty_files_get_what_they_deserve(handed_in, tmp_path, capsys) -> None:
    folder, expected = handed_in
    table = tmp_path / "class.csv"
    main(["grade", "ch04", "--submissions", str(folder), "--report", str(table)])
    printed = capsys.readouterr().out
    assert "[66/66]" in printed and "Not graded, as it is no Python file: readme.txt" in printed
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    assert {row["student"]: float(row["points"]) for row in rows} == expected
    assert {row["max_points"] for row in rows} == {str(POINTS)}
    assert survivors() == []
    overview = (tmp_path / "class.html").read_text(encoding="utf-8")
    assert "66 students" in overview and "The division by √D is missing." in overview
    details = json.loads((tmp_path / "class_students" / "s04_unscaled.json").read_text(encoding="utf-8"))
    assert details["points"] == POINTS - 5 and details["exercises"][1]["failed"][0][1].startswith("The division")

    # Again: nothing is graded anew but what has changed, and the points are the same.
    again = folder / "s01_solution_with_mark.py"
    again.write_text(STUB, encoding="utf-8")
    first = table.read_text(encoding="utf-8")
    main(["grade", "ch04", "--submissions", str(folder), "--report", str(table)])
    printed = capsys.readouterr().out
    assert printed.count("as before") == 63  # 66 but for the changed one and the two without a file of their own
    changed = first.replace(*(f"s01_solution_with_mark,s01_solution_with_mark.py,{p}" for p in ("17.0", "0.0")))
    assert [row[:3] for row in csv.reader(changed.splitlines())] == [
        row[:3] for row in csv.reader(table.read_text(encoding="utf-8").splitlines())
    ]


def test_the_same_file_gets_the_same_points(tmp_path, capsys) -> None:
    reports = []
    file = tmp_path / "mine.py"
    file.write_text(KINDS["unscaled"][0].decode(), encoding="utf-8")
    for name in ("a.json", "b.json"):
        main(["grade", "ch04", "--file", str(file), "--json", str(tmp_path / name)])
        reports.append((tmp_path / name).read_text(encoding="utf-8"))
    assert reports[0] == reports[1]
    assert json.loads(reports[0])["points"] == POINTS - 5
    out = capsys.readouterr().out
    assert "✗ Without a mask" in out and "12 of 17 points by the public checks" in out


def test_hidden_checks_count_and_tell_nothing(tmp_path, capsys) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "ch04.py").write_text(
        "from keras_llm.grading import Exercise, holds\n"
        "causal_mask = Exercise('causal_mask', section='D3, section 4')\n"
        "@causal_mask.check(points=3)\n"
        "def secret(answer, random):\n"
        "    '''A secret.'''\n"
        "    holds(answer(9).sum() == 45, 'secret words')\n",
        encoding="utf-8",
    )
    file = tmp_path / "mine.py"
    file.write_text(SOLUTION, encoding="utf-8")
    main(["grade", "ch04", "--file", str(file), "--hidden", str(hidden)])
    assert "20 of 20 points, hidden checks included" in capsys.readouterr().out
    cheat = "return np.tri(length) > 0 if length < 7 else np.zeros((length, length), bool)"
    file.write_text(with_answer("causal_mask", cheat), encoding="utf-8")
    main(["grade", "ch04", "--file", str(file), "--hidden", str(hidden)])
    out = capsys.readouterr().out
    assert "0 of 1 hidden checks passed" in out and "17 of 20" in out and "secret" not in out.lower()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["grade", "ch04", "--file", "nothing.py"], "There is no file nothing.py"),
        (["grade", "ch04", "--submissions", "nowhere"], "There is no folder nowhere"),
        (["grade", "ch04", "--report", "class.csv"], "--report goes with --submissions"),
        (["grade", "ch04", "--file", "a.py", "--submissions", "."], "--file and --json go with a single file"),
        (["grade", "ch04", "--file", "x.py", "--hidden", "nowhere"], "There are no hidden checks at nowhere"),
        (["exercise", "ch99"], "There is no chapter 'ch99'"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_student_takes_the_exercises_and_hands_in(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    main(["exercise", "ch04"])
    assert "keras-llm grade ch04 --file my_work/ch04_attention.py" in capsys.readouterr().out
    file = tmp_path / "my_work" / "ch04_attention.py"
    assert file.read_text(encoding="utf-8") == STUB
    main(["grade", "ch04"])
    assert "0 of 17 points" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["exercise", "ch04"])
    assert "is there already" in capsys.readouterr().err


def test_an_interrupted_class_goes_on(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "handed_in"
    folder.mkdir()
    for name in ("a", "b", "c"):
        shutil.copyfile(FOLDER / "exercises.py", folder / f"{name}.py")
    assignment, report = Assignment.of(CHAPTER), tmp_path / "class.csv"
    from keras_llm.grading import classroom

    real, graded = classroom.grade, []

    def interrupted(assignment, file, closed):
        if len(graded) == 1:
            raise KeyboardInterrupt
        graded.append(file.stem)
        return real(assignment, file, closed)

    monkeypatch.setattr(classroom, "grade", interrupted)
    with pytest.raises(KeyboardInterrupt):
        grade_class(assignment, folder, report, jobs=1)
    assert not report.exists() and survivors() == []
    monkeypatch.setattr(classroom, "grade", lambda *given: graded.append(given[1].stem) or real(*given))
    grade_class(assignment, folder, report, jobs=1)
    assert sorted(graded) == ["a", "b", "c"] and report.exists()


def test_the_assignment_for_nbgrader_runs(tmp_path) -> None:
    nbformat = pytest.importorskip("nbformat")
    main(["exercise", "ch04", "--to", str(tmp_path), "--nbgrader"])
    notebook = nbformat.read(tmp_path / "source" / CHAPTER / f"{CHAPTER}.ipynb", as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    marks = [cell.metadata.get("nbgrader", {}) for cell in cells]
    assert sum(mark.get("points", 0) for mark in marks) == POINTS
    assert sum("### BEGIN SOLUTION" in cell.source and "### END SOLUTION" in cell.source for cell in cells) == len(
        MUTANTS
    )
    assert sum(mark.get("solution", False) for mark in marks) == len(MUTANTS)
    space: dict = {}
    for cell in cells:
        exec(cell.source, space)  # solutions pass
    space["causal_mask"].__code__ = (lambda length: np.tri(length, k=-1) > 0).__code__
    failing = [cell for cell in cells if cell.source.endswith(f"check({CHAPTER!r}, causal_mask, 1)")]
    with pytest.raises(AssertionError, match="No position sees itself"):
        exec(failing[0].source, space)


@pytest.mark.parametrize("guide", ["student.md", "teacher.md"])
def test_the_guides_name_commands_that_exist(guide, cli) -> None:
    text = (FOLDER.parent / guide).read_text(encoding="utf-8")
    commands = {" ".join(found.split()) for found in re.findall(r"`(keras-llm [^`]*)`", text)}
    assert commands
    for command in commands:
        answer = cli(*shlex.split(command)[1:], "--help")
        assert answer.code == 0, answer.err
        options = set(re.findall(r"--[a-z-]+", command))
        assert options <= set(re.findall(r"--[a-z-]+", answer.out)), command


def test_the_hidden_checks_of_the_guide_work(tmp_path, capsys) -> None:
    text = (FOLDER.parent / "teacher.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    (tmp_path / "ch04.py").write_text(code, encoding="utf-8")
    (tmp_path / "mine.py").write_text(SOLUTION, encoding="utf-8")
    main(["grade", "ch04", "--file", str(tmp_path / "mine.py"), "--hidden", str(tmp_path)])
    assert "18 of 18 points, hidden checks included" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["None", "'text'", "[]", "[[1], [1, 2]]", "{}", "float('nan')", "True", "(1, 2, 3)"])
def test_an_answer_of_another_form_stops_nothing(value, tmp_path) -> None:
    for chapter in book.chapters():
        if not (book.chapters()[chapter] / "checks.py").exists():
            continue
        for exercise in Assignment.of(chapter).exercises:
            graded = run_checks(exercise, lambda *_, **__: eval(value))
            assert graded.points == 0, (chapter, graded)
            assert all(sentence for _, sentence in graded.failed)
