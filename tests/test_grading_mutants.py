"""The exercises of every chapter: all solutions pass, all stubs fail, and planted mistakes are caught and explained."""

import ast
import importlib
import textwrap
from pathlib import Path

import pytest

from keras_llm import book
from keras_llm.grading import regions
from keras_llm.grading.grade import Assignment, grade, run_checks
from keras_llm.grading.sandbox import Refused

FOLDERS = {name: folder for name, folder in book.chapters().items() if (folder / "solutions.py").exists()}
CHAPTERS = list(FOLDERS)
SECTIONS = ("Deliver:", "Hint:", "Budget:", "Source:", "Small machines:")


def functions(chapter: str) -> dict[str, tuple[ast.FunctionDef, str]]:
    source = (FOLDERS[chapter] / "solutions.py").read_text(encoding="utf-8")
    found = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {node.name: (node, ast.get_source_segment(source, node)) for node in found}


def mutants(chapter: str) -> dict[str, list[tuple[str, str, str]]]:
    return importlib.import_module(f"tests.mutants.{chapter}").MUTANTS


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_exercises_are_made_from_the_solutions(chapter: str) -> None:
    source = (FOLDERS[chapter] / "solutions.py").read_text(encoding="utf-8")
    points = {each.name: each.points for each in Assignment.of(chapter).exercises}
    made = (FOLDERS[chapter] / "exercises.py").read_text(encoding="utf-8")
    again = "run `python -m keras_llm.grading.regions`"
    assert made == regions.MADE + regions.exercises(source, points), again
    for name in points:
        text = functions(chapter)[name][1]
        answer = text.split("# BEGIN SOLUTION")[1].split("\n", 1)[1].split("# END SOLUTION")[0].strip()
        assert answer not in made


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_exercise_says_what_to_deliver(chapter: str) -> None:
    exercises = {each.name: each for each in Assignment.of(chapter).exercises}
    assert 5 <= len(exercises) <= 8
    assert list(exercises) == [name for name, (_, text) in functions(chapter).items() if "BEGIN SOLUTION" in text]
    assert sum(each.seconds for each in exercises.values()) <= 55  # with the start of each process, under a minute
    for name, each in exercises.items():
        node = functions(chapter)[name][0]
        documentation = ast.get_docstring(node) or ""
        assert [part for part in SECTIONS if part not in documentation] == [], name
        assert all(argument.annotation for argument in node.args.args) and node.returns, f"{name}: no types"
        assert each.section[0] == "D" and each.section.split(",")[0] in documentation, f"{name}: {each.section}"
        called = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        assert not called & (set(exercises) - {name}), f"{name} calls another exercise"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_all_solutions_pass_and_all_stubs_fail(chapter: str) -> None:
    assignment = Assignment.of(chapter)
    report = grade(assignment, FOLDERS[chapter] / "solutions.py")
    assert [(each.name, each.failed, each.reason) for each in report.exercises if each.points < each.max_points] == []
    report = grade(assignment, FOLDERS[chapter] / "exercises.py")
    assert report.points == 0 and report.max_points > 0
    for each in report.exercises:
        assert each.reason.startswith(f"Not answered yet. {each.name}() is yours to write: "), each.reason


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # some overflow, as they should
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_planted_mistakes_are_caught_and_explained(chapter: str) -> None:
    path = FOLDERS[chapter] / "solutions.py"
    source, planted = path.read_text(encoding="utf-8"), mutants(chapter)
    missed = []
    for exercise in Assignment.of(chapter).exercises:
        assert len(planted[exercise.name]) >= 3, exercise.name
        text = functions(chapter)[exercise.name][1]
        for old, new, message in planted[exercise.name]:
            assert old in text, f"{exercise.name}: {old!r} is not in the solution"
            module = {"__name__": "exercises"}
            exec(compile(source.replace(text, text.replace(old, new)), str(path), "exec"), module)
            said = said_about(exercise, module[exercise.name])
            if message not in said:
                missed.append(f"{exercise.name}, {old!r} -> {new!r}: {said or 'not caught'}")
    assert missed == []


def said_about(exercise, function) -> str:
    """What the checks say of a function in this process, where an error of its own counts as a failed check."""

    def answer(*arguments, **options):
        try:
            return function(*arguments, **options)
        except Exception as error:
            raise Refused(f"{type(error).__name__}: {error}") from error

    try:
        return " ".join(sentence for _, sentence in run_checks(exercise, answer).failed)
    except Refused as refused:
        return str(refused)


def test_a_region_is_closed_and_inside_a_function() -> None:
    source = textwrap.dedent(
        '''
        def one(x):
            """Text."""
            y = 1
            # BEGIN SOLUTION: add "both"
            y = y + x
            # END SOLUTION
            return y
        '''
    )
    made = regions.exercises(source, {"one": 1.5})
    assert 'raise NotImplementedError("one() is yours to write: add \\"both\\".")' in made
    assert "y + x" not in made and "return y" in made and "# 1.5 points\ndef one(x):" in made
    with pytest.raises(regions.InputError, match="not closed"):
        regions.exercises(source.replace("# END SOLUTION", ""), {})
    with pytest.raises(regions.InputError, match="outside a function"):
        regions.exercises("# BEGIN SOLUTION: x\nx = 1\n# END SOLUTION\n", {})


def test_no_mutants_of_chapters_that_are_gone() -> None:
    files = {path.stem for path in (Path(__file__).parent / "mutants").glob("ch*.py")}
    assert files == set(CHAPTERS)
