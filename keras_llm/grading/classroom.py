"""Grade the files of a class: a table, an overview, and the details of each student."""

import csv
import html
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import crc32

from keras_llm.errors import InputError
from keras_llm.grading.grade import Assignment, Graded, Report, grade, legible, refused
from keras_llm.grading.sandbox import stop_all
from keras_llm.outputs import write_text


def grade_class(assignment: Assignment, folder: Path, report: Path, jobs: int = 2) -> str:
    """Grade every submission in a folder.

    A file that was graded before by the same checks is not graded again, so that an interrupted run goes on where it
    stopped. A bad file is a row like any other.

    Args:
        assignment: the chapter's exercises.
        folder: ``NAME.py``, or ``NAME/anything.py``, for each student.
        report: the table, CSV. Beside it: the same name with ``.html``, an overview, and ``_students``, a folder with a
            JSON file a student.
        jobs: files that are graded at once.

    Returns:
        Where the reports are, for the teacher to read.

    Raises:
        InputError: when there is nothing to grade.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}: name the folder with the files of the class.")
    students = dict(submissions(folder))
    if not students:
        raise InputError(f"There are no Python files in {folder}: name the folder with the files of the class.")
    details = report.with_name(f"{report.stem}_students")
    details.mkdir(parents=True, exist_ok=True)

    def grade_one(student: str) -> tuple[dict[str, Any], bool]:
        kept = details / file_name(student)
        file = students[student]
        before = read_report(kept)
        if before and file and before["checks"] == assignment.fingerprint and before["sha256"] == digest(file):
            return before, True
        try:
            found = grade(assignment, file, [folder, details]) if file else none_of(assignment)
        except Exception as error:  # whatever a file can bring about, the others are graded
            found = none_of(assignment, legible(f"It could not be graded: {type(error).__name__}: {error}"))
        result = {"student": student, **found.to_json()}
        write_text(kept, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
        return result, False

    results: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(grade_one, student): student for student in students}
        try:
            for number, done in enumerate(as_completed(waiting), 1):
                student = waiting[done]
                results[student], was_kept = done.result()
                points = "{points:g} of {max_points:g}".format(**results[student])
                print(f"[{number}/{len(students)}] {student}: {points}{', as before' * was_kept}", flush=True)
        except BaseException:  # Ctrl-C: what is graded is kept
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            raise
    rows = [results[student] for student in students]
    write_text(report, table(rows))
    overview = report.with_suffix(".html")
    write_text(overview, page(assignment.chapter, rows))
    return f"{report}: the table; {overview}: the overview; {details}: a file for each of {len(rows)} students"


def submissions(folder: Path) -> Iterator[tuple[str, Path | None]]:
    """Student and file, by name; None where a folder holds no single Python file of its own."""
    names = set()
    for path in sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name)):
        if is_made(path.name):
            continue
        if path.is_dir():
            files = [each for each in sorted(path.rglob("*")) if is_python(each) and is_inside(each, path)]
            files = [each for each in files if not any(map(is_made, each.relative_to(path).parts))]
            name, file = path.name, files[0] if len(files) == 1 else None
        elif is_python(path):
            name, file = path.stem, path if is_inside(path, folder) else None
        else:
            print(f"Not graded, as it is no Python file: {legible(path.name)}")
            continue
        name = legible(name)
        while name in names:
            name += "_"
        names.add(name)
        yield name, file


def is_made(name: str) -> bool:
    """Whether a file is one that programs leave behind, and no student wrote."""
    return name.startswith((".", "__"))


def is_python(path: Path) -> bool:
    return path.suffix.lower() == ".py"


def file_name(student: str) -> str:
    """The name of a student's report: short, and different for each."""
    plain = re.sub(r"[^\w.-]", "_", student)
    return (
        f"{plain}.json" if plain == student and len(plain) < 60 else f"{plain[:40]}_{crc32(student.encode()):08x}.json"
    )


def is_inside(file: Path, folder: Path) -> bool:
    """Whether a file lies in the folder itself: a link could lead to the answers."""
    return file.is_file() and file.resolve().is_relative_to(folder.resolve())


def digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


NONE = "Hand in one Python file: there is none, or several, or a link to one elsewhere."


def none_of(assignment: Assignment, reason: str = NONE) -> Report:
    return Report(assignment.chapter, "", "", assignment.fingerprint, refused(assignment, reason))


def read_report(path: Path) -> dict[str, Any] | None:
    """An earlier report, None when there is none or it was not written to its end."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if {"checks", "sha256", "points", "max_points", "exercises"} <= set(found) else None
    except (OSError, ValueError, TypeError):
        return None


def short(reason: str) -> str:
    """A reason in a few words: what a stub says of itself would hide the mistakes of others."""
    return reason.split(" yet. ")[0]


def table(rows: list[dict[str, Any]]) -> str:
    """The class as CSV: a row a student, a column an exercise."""
    names = [each["name"] for each in rows[0]["exercises"]]
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["student", "file", "points", "max_points", *names, "remarks"])
    for row in rows:
        reasons = dict.fromkeys(short(each["reason"]) for each in row["exercises"] if each["reason"])
        cells = [row["student"], row["file"], row["points"], row["max_points"]]
        cells += [*(each["points"] for each in row["exercises"]), " | ".join(reasons)]
        # A spreadsheet would compute what begins so.
        writer.writerow([f"'{cell}" if str(cell).startswith(tuple("=+-@")) else cell for cell in cells])
    return file.getvalue()


def page(chapter: str, rows: list[dict[str, Any]]) -> str:
    """The overview: points, exercises and what failed most often."""
    names = [each["name"] for each in rows[0]["exercises"]]
    points = [row["points"] for row in rows]
    exercises, failures = [], defaultdict(list)
    for number, name in enumerate(names):
        graded = [Graded(**row["exercises"][number]) for row in rows]
        share = sum(each.points for each in graded) / (len(rows) * graded[0].max_points)
        full = sum(each.points == each.max_points for each in graded)
        bar = f'<div class="bar"><div style="width:{share:.0%}"></div></div>'
        exercises.append(f"<tr><td>{html.escape(name)}</td><td>{bar}</td><td>{share:.0%}</td><td>{full}</td></tr>")
        for row, each in zip(rows, graded, strict=True):
            for sentence in [short(each.reason)] if each.reason else [f"{title} {why}" for title, why in each.failed]:
                failures[name, sentence].append(row["student"])
    common = sorted(failures.items(), key=lambda item: -len(item[1]))[:30]
    told = [
        f"<tr><td>{len(who)}</td><td>{html.escape(name)}</td><td>{html.escape(sentence)}</td>"
        f"<td>{html.escape(', '.join(who[:5]))}{' …' * (len(who) > 5)}</td></tr>"
        for (name, sentence), who in common
    ]
    spread = Counter(points)
    scores = [f"<tr><td>{value:g}</td><td>{count}</td></tr>" for value, count in sorted(spread.items(), reverse=True)]
    return PAGE.format(
        title=html.escape(chapter),
        students=len(rows),
        mean=sum(points) / len(rows),
        most=rows[0]["max_points"],
        exercises="\n".join(exercises),
        failures="\n".join(told),
        scores="\n".join(scores),
    )


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font-family: sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
td, th {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ccc; vertical-align: top; }}
.bar {{ width: 12rem; background: #eee; }} .bar div {{ height: 1rem; background: #3b6ea5; }}
</style>
<h1>{title}</h1>
<p>{students} students, {mean:.1f} of {most:g} points on average.</p>
<h2>Exercises</h2>
<table><tr><th>exercise</th><th>points</th><th></th><th>all points</th></tr>
{exercises}
</table>
<h2>What failed most often</h2>
<table><tr><th>students</th><th>exercise</th><th>what</th><th>who</th></tr>
{failures}
</table>
<h2>Points</h2>
<table><tr><th>points</th><th>students</th></tr>
{scores}
</table>
</html>
"""
