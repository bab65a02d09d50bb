"""keras-llm: list and run the chapters, fetch their data, try a trained model, look at the machine.

Nothing heavy is imported here before a command needs it, so that ``keras-llm --help`` answers at once.
"""

import contextlib
import math
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from keras_llm import book, cli_grading, cli_models
from keras_llm.errors import InputError, WorkError
from keras_llm.languages import LANGUAGES
from keras_llm.names import nearest

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
# What the parser of options raises. Older versions of typer take this class from click, newer ones have their own.
UsageError = typer.BadParameter.__base__


def main(arguments: list[str] | None = None) -> None:
    """The entry point: turns what goes wrong into one sentence on stderr and an exit code.

    Exit codes: 0 done, 1 the work failed, 2 the user's input was wrong, 130 interrupted.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot write Chinese shows "?"
    try:
        code = app(arguments, prog_name="keras-llm", standalone_mode=False)
    except UsageError as error:
        path = error.ctx.command_path if error.ctx else "keras-llm"
        reason = error.format_message().rstrip(".")  # empty when a group without a command has shown its help
        _fail(f"{reason}{'' if reason.endswith('?') else '.'} See '{path} --help'." if reason else "", 2)
    except InputError as error:
        _fail(f"{error}{_stop_run(resumable=True)}", 2)
    except WorkError as error:
        _fail(f"{error}{_stop_run(resumable=False)}", 1)
    except OSError as error:
        reason = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}."
        _fail(f"{reason}{_stop_run(resumable=True)}", 1)
    except (KeyboardInterrupt, typer.Abort):
        _fail("Interrupted.", 130)
    except Exception:  # a fault of ours: the traceback says more than a sentence would
        _stop_run(resumable=False)
        raise
    if code == 130:  # newer versions of typer turn Ctrl-C into this
        _fail("Interrupted.", 130)


@app.command("list")
def list_chapters() -> None:
    """The chapters: what each reproduces, how long it takes and what it measured."""
    facts = [(name, book.about(folder)) for name, folder in book.chapters().items()]
    rows = []
    for name, about in facts:
        sections = re.sub(r" \(([^()]|\([^()]*\))*\)", "", about["reproduces"])  # what they are about, the chapter says
        rows.append((name, about["title"], sections, about["minutes"], about["measured"].replace("_", " ")))
    _print_table("Chapters", ("chapter", "what", "reproduces", "minutes (cpu)", "measured"), rows)


@app.command(
    epilog="Examples:  [bold]keras-llm run ch03_lstm_classifier[/]  ·  "
    "[bold]keras-llm run ch03_lstm_classifier --preset smoke[/]  ·  "
    "[bold]keras-llm run ch03_lstm_classifier --data train.csv --test-data test.csv --output runs/mine[/]  ·  "
    "[bold]keras-llm run ch02_text_to_tensors --data novel.txt[/]  ·  "
    "[bold]keras-llm run ch05_transformer --dataset home_assistant_en_de[/]  ·  "
    "[bold]keras-llm run ch01_neural_network --language zh[/]"
)
def run(
    chapter: Annotated[str, typer.Argument(help="Name of a chapter, as in 'keras-llm list'.")],
    preset: Annotated[str, typer.Option(help="smoke: a minute or so; cpu: minutes; full: the documents' sizes.")] = (
        "cpu"
    ),
    data: Annotated[
        Path | None,
        typer.Option(
            help="Your own file: CSV, TSV or JSONL with the columns text and label, running text as .txt, or for a "
            "translation TSV or JSONL with a source and a target a line."
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Another dataset of 'keras-llm data list' instead of the chapter's own.")
    ] = None,
    test_data: Annotated[
        Path | None, typer.Option(help="Your own test file; without it, a part of --data is kept for the test.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Encoding of your files, for instance gb18030.")] = "utf-8",
    weights: Annotated[
        Path | None,
        typer.Option(help="Folder of another pretrained BERT or GPT-2, with config.json and model.safetensors."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for figures, history and model. Default: a new one in runs/.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Decides weights, shuffling and dropout.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the interrupted run in --output.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show the training in TensorBoard, in your browser.")] = False,
    language: Annotated[str, typer.Option(help="Of what it prints and of its figures: en or zh (中文).")] = "en",
) -> None:
    """Run a chapter's lesson: train its models, measure them, draw the figures."""
    from keras_llm import runs

    name = nearest(chapter, list(book.chapters()), "chapter", "keras-llm list")
    nearest(preset, runs.PRESETS, "preset", None)
    nearest(language, LANGUAGES, "language", None)
    if test_data is not None and data is None:
        raise InputError("--test-data goes with --data: name the training file too.")
    if encoding != "utf-8" and data is None:
        raise InputError("--encoding goes with --data: name the file that is in this encoding.")
    if dataset is not None and data is not None:
        raise InputError("--data and --dataset exclude each other: leave one of them away.")
    if preset == "smoke":
        os.environ.setdefault("XLA_FLAGS", runs.QUICK_COMPILATION)
    runs.request(
        runs.Options(preset, data, dataset, test_data, encoding, output, seed, resume, weights, watch, language)
    )
    run_lesson(name)


def run_lesson(name: str) -> None:
    """Run a chapter's lesson as a script, with Ctrl-C and a polite kill leaving what there is."""
    import runpy

    from keras_llm import runs
    from keras_llm.printed import Printed

    last, printed = -math.inf, Printed(sys.stdout, book.chapters()[name] / "lesson.py")

    def interrupt(number: int, frame: object) -> None:
        nonlocal last
        if time.monotonic() - last > 1:  # a wrapper may send a signal twice; the saving below must not be its victim
            last = time.monotonic()
            raise KeyboardInterrupt

    signals = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) != signal.SIG_IGN]
    for each in signals:
        signal.signal(each, interrupt)
    try:
        with contextlib.redirect_stdout(printed):
            runpy.run_module(f"{book.chapter_package()}.{name}.lesson", run_name="__main__")
    except KeyboardInterrupt:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)  # a second Ctrl-C must not stop the saving
        current = runs.active()
        _fail(current.interrupted() if current else "Interrupted before the run began; nothing was written.", 130)
    if current := runs.active():
        current.keep_printed(printed)


@app.command(
    epilog="Examples:  [bold]keras-llm notebook ch04 --to notebooks[/]  ·  "
    "[bold]keras-llm notebook ch04 --to notebooks --preset smoke[/]"
)
def notebook(
    chapter: Annotated[str, typer.Argument(help="Name of a chapter, or its beginning, as ch04.")],
    to: Annotated[Path, typer.Option(help="Folder of your own; made if it is not there.")] = Path("notebooks"),
    preset: Annotated[str, typer.Option(help="With which the notebook begins: smoke, cpu or full.")] = "cpu",
) -> None:
    """Write a chapter's lesson as a notebook."""
    from keras_llm import runs
    from keras_llm.notebooks import write_notebook

    name = nearest(chapter, list(book.chapters()), "chapter", "keras-llm list")
    nearest(preset, runs.PRESETS, "preset", None)
    print(f"{write_notebook(name, to, preset)}: open it with jupyter lab, or load it up to Colab")


@app.command("book", epilog="Example:  [bold]keras-llm book --to build/book[/]")
def build_book(
    to: Annotated[Path, typer.Option(help="Folder of the pages; made if it is not there.")] = Path("build/book"),
) -> None:
    """Build the course as web pages, in English and Chinese: lessons with recorded figures, exercises, solutions."""
    from keras_llm import pages

    start = time.perf_counter()
    print(f"Open {pages.build(to)} in a browser ({time.perf_counter() - start:.0f} s).")


app.add_typer(cli_models.app)  # predict, translate, generate, chat
app.add_typer(cli_grading.app)  # exercise, grade


@app.command(epilog="Examples:  [bold]keras-llm models[/]  ·  [bold]keras-llm models ~/models[/]")
def models(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders that hold pretrained models, beside the catalog.")
    ] = None,
) -> None:
    """Pretrained models to fine-tune, in the catalog and on this disk, and what a step of each would cost here."""
    from keras_llm import choosing

    found = choosing.candidates(folders or [])
    products = {}
    if any(each.operations for each in found):
        from keras_llm.training.peak import matmul_peak

        products = {dtype: matmul_peak(dtype) for dtype in choosing.USED}
    rows = []
    for each in found:
        costs = ("", "", "", "")
        if each.operations:
            steps = ", ".join(f"{each.seconds(speed, dtype):.2f}" for dtype, speed in products.items())
            costs = (f"{each.parameters / 1e6:,.1f} M", f"{each.full_gb:.1f}", f"{each.lora_gb:.1f}", steps)
        rows.append((each.name, each.about, each.languages, *costs))
    headings = ("name", "what", "languages", "parameters", "GB, full", "GB, LoRA", "s a step: float32, bfloat16")
    title = f"Pretrained models; a step is {choosing.BATCH} rows of {choosing.LENGTH} tokens"
    _print_table(title, headings, rows, whole_names=False)


@app.command()
def doctor() -> None:
    """Versions, cores and memory, whether XLA compiles, the cache, the fonts."""
    from keras_llm.doctor import examine

    if not examine():
        raise WorkError("Something that the course needs does not work: see the lines marked with ✗.")


@data_app.command("list")
def data_list() -> None:
    """The catalog: datasets and files, their size and licence, and whether they are in the cache."""
    from keras_llm.data import available, is_cached

    rows = []
    for name, entry in available().items():
        size = f"{entry.sources[0].archive.size / 1e6:.1f} MB"
        texts = f"{entry.rows:,}" if entry.rows else ""
        texts += f" ({entry.characters / 1e6:.1f} M chars)" if entry.characters else ""
        rows.append((name, entry.title, texts, size, entry.licence, "yes" if is_cached(name) else "no"))
    _print_table("Datasets and files", ("name", "what", "texts", "download", "licence", "in the cache"), rows)


@data_app.command("fetch")
def data_fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Names as in 'keras-llm data list'; without any: all.")] = (
        None
    ),
) -> None:
    """Download into the cache, so that later runs need no network."""
    from keras_llm.data import available, fetch

    names = [nearest(name, list(available()), "dataset", "keras-llm data list") for name in names or available()]
    for name in names:
        fetch(name)
        print(f"{name}: in the cache")


@data_app.command("show")
def data_show(name: Annotated[str, typer.Argument(help="Name as in 'keras-llm data list'.")]) -> None:
    """A dataset's card: rows, classes, licence, citation, known faults, examples."""
    from keras_llm.data import available, describe

    about = describe(nearest(name, list(available()), "dataset", "keras-llm data list"))
    print(about["card"])
    for package, version, size in about["archives"]:
        print(f"Archive: {package} {version}, {size / 1e6:.1f} MB")
    print(f"In the cache: {'yes' if about['cached'] else 'no'}")
    for label, text in about["examples"]:
        print("  ".join(filter(None, ("Example:", label, text))))


def _print_table(title: str, headings: tuple[str, ...], rows: list[tuple[str, ...]], whole_names: bool = True) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.HORIZONTALS)
    for number, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", no_wrap=whole_names and number == 0)  # to be copied as one word
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _stop_run(resumable: bool) -> str:
    """Mark the run under way, if any, as failed; a sentence on what is left of it."""
    runs = sys.modules.get("keras_llm.runs")
    run = runs.active() if runs is not None else None
    return run.failed(resumable) if run is not None else ""


def _fail(message: object, code: int) -> None:
    sys.stdout.flush()
    if message:
        print(f"keras-llm: {message}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
