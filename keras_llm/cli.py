"""keras-llm: list and run the chapters, fetch their data, try a trained model, look at the machine.

Nothing heavy is imported here before a command needs it, so that ``keras-llm --help`` answers at once.
"""

import difflib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from keras_llm import book
from keras_llm.errors import InputError, WorkError

app = typer.Typer(
    name="keras-llm",
    help="How large language models are trained: run the chapters, on their data or on yours.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="The datasets of the course.", no_args_is_help=True)
app.add_typer(data_app, name="data")


def main(arguments: list[str] | None = None) -> None:
    """The entry point: turns the course's errors into one sentence and an exit code (see DESIGN's table)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        app(arguments)
    except InputError as error:
        _fail(error, 2)
    except WorkError as error:
        _mark_failed()
        _fail(error, 1)
    except KeyboardInterrupt:
        _fail("Interrupted.", 130)
    except OSError as error:
        _mark_failed()
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}.", 1)


@app.command("list")
def list_chapters() -> None:
    """The chapters: what each reproduces, how long it takes and what it measured."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Chapters", title_justify="left")
    for heading in ("chapter", "what", "reproduces", "minutes (cpu)", "measured"):
        table.add_column(heading, overflow="fold")
    for name, folder in book.chapters().items():
        about = book.about(folder)
        table.add_row(name, about["title"], about["reproduces"], about["minutes"], about["measured"])
    Console().print(table)


@app.command(
    epilog="Examples:  [bold]keras-llm run ch03_lstm_classifier[/]  ·  "
    "[bold]keras-llm run ch03_lstm_classifier --preset smoke[/]  ·  "
    "[bold]keras-llm run ch03_lstm_classifier --data train.csv --test-data test.csv --output runs/mine[/]"
)
def run(
    chapter: Annotated[str, typer.Argument(help="Name of a chapter, as in 'keras-llm list'.")],
    preset: Annotated[str, typer.Option(help="smoke: under a minute; cpu: minutes; full: the documents' sizes.")] = (
        "cpu"
    ),
    data: Annotated[
        Path | None, typer.Option(help="Your own CSV, TSV or JSONL with the columns text and label.")
    ] = None,
    test_data: Annotated[
        Path | None, typer.Option(help="Your own test file; without it, a fifth of --data is kept for the test.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Encoding of your files, for instance gb18030.")] = "utf-8",
    output: Annotated[
        Path | None, typer.Option(help="Folder for figures, history and model. Default: a new one in runs/.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides weights, shuffling and dropout.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the interrupted run in --output.")] = False,
) -> None:
    """Run a chapter's lesson: train its models, measure them, draw the figures."""
    from keras_llm import runs

    name = nearest(chapter, list(book.chapters()), "chapter", "keras-llm list")
    nearest(preset, runs.PRESETS, "preset", None)
    if test_data is not None and data is None:
        raise InputError("--test-data goes with --data: name the training file too.")
    runs.request(runs.Options(preset, data, test_data, encoding, output, seed, resume))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill saves as Ctrl-C does
    run_lesson(name)


def run_lesson(name: str) -> None:
    """Run a chapter's lesson as a script, with Ctrl-C leaving what there is."""
    import runpy

    from keras_llm import runs

    try:
        runpy.run_module(f"{book.chapter_package()}.{name}.lesson", run_name="__main__")
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not stop the saving
        current = runs.active()
        _fail(current.interrupted() if current else "Interrupted before the run began; nothing was written.", 130)


@app.command(epilog='Example:  [bold]keras-llm predict runs/mine "A film that I will not forget."[/]')
def predict(
    folder: Annotated[Path, typer.Argument(help="Output folder of a finished run.")],
    sentences: Annotated[list[str] | None, typer.Argument(help="Sentences; without any, one a line is read.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Classify sentences with the model of a run."""
    if sentences is None and sys.stdin.isatty():
        print("Type a sentence and press Enter; Ctrl-D ends.", file=sys.stderr)
    from keras_llm.classifier import Classifier

    classifier = Classifier.load(folder)
    for sentence in sentences if sentences is not None else (line.rstrip("\n") for line in sys.stdin):
        if not sentence.strip():
            raise InputError("The sentence is empty: type some words.")
        probabilities = classifier.probabilities([sentence])[0]
        best = int(probabilities.argmax())
        if as_json:
            scores = {label: round(float(p), 6) for label, p in zip(classifier.classes, probabilities, strict=True)}
            answer = {"text": sentence, "label": classifier.classes[best], "probabilities": scores}
            print(json.dumps(answer, ensure_ascii=False), flush=True)
        else:
            print(f"{classifier.classes[best]}  {probabilities[best]:.1%}  {sentence}", flush=True)


@app.command()
def doctor() -> None:
    """Versions, cores and memory, whether XLA compiles, the cache, the fonts."""
    from keras_llm.doctor import examine

    if not examine():
        raise WorkError("Something that the course needs does not work: see the lines marked with ✗.")


@data_app.command("list")
def data_list() -> None:
    """The catalog: datasets and files, their size and licence, and whether they are in the cache."""
    from rich.console import Console
    from rich.table import Table

    from keras_llm.data import available, describe, is_cached

    table = Table(title="Datasets and files", title_justify="left")
    for heading in ("name", "what", "rows", "licence", "in the cache"):
        table.add_column(heading, overflow="fold")
    for name in available():
        about = describe(name, examples=0)
        cached = "yes" if is_cached(name) else "no"
        table.add_row(name, about["title"], f"{about['rows']:,}" if about.get("rows") else "", about["licence"], cached)
    Console().print(table)


@data_app.command("fetch")
def data_fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Names as in 'keras-llm data list'; without any: all.")] = (
        None
    ),
) -> None:
    """Download into the cache, so that later runs need no network."""
    from keras_llm.data import available, fetch

    for name in names or available():
        fetch(name)
        print(f"{name}: in the cache")


@data_app.command("show")
def data_show(name: Annotated[str, typer.Argument(help="Name as in 'keras-llm data list'.")]) -> None:
    """A dataset's card: rows, classes, licence, citation, known faults, examples."""
    from keras_llm.data import describe

    print(describe(name)["text"])


def nearest(name: str, known, kind: str, where: str | None) -> str:
    """``name`` if it is known, or the only one that it begins (ch03 for ch03_lstm_classifier).

    Raises:
        InputError: naming the nearest known one.
    """
    if name in known:
        return name
    begins = [candidate for candidate in known if kind == "chapter" and candidate.startswith(name)] if name else []
    if len(begins) == 1:
        return begins[0]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}."
    raise InputError(f"There is no {kind} {name!r}: {hint}" + (f" ('{where}' shows all.)" if where else ""))


def _mark_failed() -> None:
    runs = sys.modules.get("keras_llm.runs")
    if runs is not None and runs.active() is not None:
        runs.active().failed()


def _fail(message: object, code: int) -> None:
    print(f"keras-llm: {message}", file=sys.stderr)
    sys.stdout.flush()
    raise SystemExit(code)


if __name__ == "__main__":
    main()
