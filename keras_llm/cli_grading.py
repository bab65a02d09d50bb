"""The commands of keras-llm for a class: exercise, grade."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keras_llm import book
from keras_llm.errors import InputError
from keras_llm.names import nearest

if TYPE_CHECKING:
    from keras_llm.grading.grade import Report

app = typer.Typer()


@app.command(
    epilog="Examples:  [bold]keras-llm exercise ch04[/]  ·  [bold]keras-llm exercise ch04 --to my_work[/]",
)
def exercise(
    chapter: Annotated[str, typer.Argument(help="Name of a chapter, or its beginning, as ch04.")],
    to: Annotated[Path, typer.Option(help="Folder of your own; made if it is not there.")] = Path("my_work"),
    nbgrader: Annotated[
        bool, typer.Option("--nbgrader", help="For teachers: an assignment with solutions and checks, as a notebook.")
    ] = False,
) -> None:
    """Put a chapter's exercises into a folder of your own."""
    name = nearest(chapter, list(book.chapters()), "chapter", "keras-llm list")
    source = book.chapters()[name] / "exercises.py"
    if not source.exists():
        raise InputError(f"Chapter {name} has no graded exercises.")
    if nbgrader:
        from keras_llm.grading.nbgrader import write_assignment

        print(f"{write_assignment(name, to)}: now, in {to}, nbgrader generate_assignment {name}")
        return
    file = to / f"{name}.py"
    if file.exists():
        raise InputError(f"{file} is there already: rename it, or name another folder with --to.")
    to.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, file)
    print(f"{file}: write your answers there, in any editor; then")
    print(f"    keras-llm grade {name.split('_')[0]} --file {file}")


@app.command(
    epilog="Examples:  [bold]keras-llm grade ch04 --file my_work/ch04_attention.py[/]  ·  "
    "[bold]keras-llm grade ch04 --submissions handed_in --report class.csv[/]"
)
def grade(
    chapter: Annotated[str, typer.Argument(help="Name of a chapter, or its beginning, as ch04.")],
    file: Annotated[Path | None, typer.Option(help="Your answers. Default: the chapter's file in my_work.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write the result to this file too.")] = None,
    submissions: Annotated[
        Path | None, typer.Option(help="Folder with the files of a class: NAME.py, or NAME/anything.py.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Table of the class, CSV; details and figure beside it.")] = None,
    hidden: Annotated[Path | None, typer.Option(help="Folder with checks of your own, as ch04.py.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Files that are graded at once.")] = 2,
) -> None:
    """Grade a file of answers, or those of a class."""
    from keras_llm.grading.grade import Assignment
    from keras_llm.grading.grade import grade as grade_file

    name = nearest(chapter, list(book.chapters()), "chapter", "keras-llm list")
    if submissions is None:
        if report is not None:
            raise InputError("--report goes with --submissions: name the folder with the files of the class.")
        if as_json is not None and not as_json.parent.is_dir():
            raise InputError(f"There is no folder {as_json.parent} for --json: make it, or name another place.")
        assignment = Assignment.of(name, hidden)
        result = grade_file(assignment, file or Path("my_work") / f"{name}.py")
        print_report(result)
        if as_json is not None:
            as_json.write_text(json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return
    if file is not None or as_json is not None:
        raise InputError("--submissions grades a class: --file and --json go with a single file.")
    from keras_llm.grading.classroom import grade_class

    print(grade_class(Assignment.of(name, hidden), submissions, report or Path("class.csv"), jobs))


def print_report(report: "Report") -> None:
    """What passed, what failed and why."""
    for each in report.exercises:
        print(f"{each.name}: {each.points:g} of {each.max_points:g} points")
        if each.reason:
            print(f"   ✗ {each.reason}")
        for title in each.passed:
            print(f"   ✓ {title}")
        for title, sentence in each.failed:
            print(f"   ✗ {title}\n     {sentence}")
        if each.hidden_passed + each.hidden_failed:
            print(f"   {each.hidden_passed} of {each.hidden_passed + each.hidden_failed} hidden checks passed")
    hidden = any(each.hidden_passed + each.hidden_failed for each in report.exercises)
    print(f"{report.points:g} of {report.max_points:g} points", end="" if hidden else " by the public checks\n")
    if hidden:
        print(", hidden checks included")
