"""The commands of keras-llm that try a trained model: predict, translate, generate, chat."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from keras_llm.errors import InputError

if TYPE_CHECKING:
    from keras_llm.text_model import TextModel

    Model = TypeVar("Model", bound=TextModel)

app = typer.Typer()


@app.command(epilog='Example:  [bold]keras-llm predict runs/mine "A film that I will not forget."[/]')
def predict(
    folder: Annotated[Path, typer.Argument(help="Output folder of a finished run.")],
    sentences: Annotated[list[str] | None, typer.Argument(help="Sentences; without any, one a line is read.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Classify sentences with the model of a run."""
    from keras_llm.classifier import Classifier

    classifier = _loaded(Classifier, folder)
    for sentence in _checked(sentences):
        probabilities = classifier.probabilities([sentence])[0]
        best = int(probabilities.argmax())
        if as_json:
            scores = {label: round(float(p), 6) for label, p in zip(classifier.classes, probabilities, strict=True)}
            answer = {"text": sentence, "label": classifier.classes[best], "probabilities": scores}
            print(json.dumps(answer, ensure_ascii=False), flush=True)
        else:
            print(f"{classifier.classes[best]}  {probabilities[best]:.1%}  {sentence}", flush=True)


@app.command(epilog='Example:  [bold]keras-llm translate runs/mine "The light is on."[/]')
def translate(
    folder: Annotated[Path, typer.Argument(help="Output folder of a finished run of a translator.")],
    sentences: Annotated[list[str] | None, typer.Argument(help="Sentences; without any, one a line is read.")] = None,
    beams: Annotated[int, typer.Option(min=1, max=64, help="Beginnings kept side by side; 1 is greedy.")] = 4,
) -> None:
    """Translate sentences with the model of a run."""
    from keras_llm.translator import Translator

    translator = _loaded(Translator, folder)
    for sentence in _checked(sentences):
        print(translator.translate([sentence], num_beams=beams)[0], flush=True)


# The settings of a draw, as options of each command that writes.
Temperature = Annotated[float, typer.Option(min=0.0, help="0: always the most probable token; 1: by its odds.")]
TopK = Annotated[int | None, typer.Option(min=1, help="Draw among the k most probable tokens only.")]
TopP = Annotated[float, typer.Option(help="Draw among the most probable tokens that have this probability together.")]
MinP = Annotated[float, typer.Option(help="Draw among tokens at least so many times as probable as the best.")]
Penalty = Annotated[float, typer.Option(help="Above 1: tokens that were there become rarer.")]
MaxTokens = Annotated[int, typer.Option(min=1, help="Tokens to write at most.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The same seed writes the same text.")]


@app.command(
    epilog='Example:  [bold]keras-llm generate runs/mine "My fellow citizens" --temperature 0.8 --top-p 0.95[/]'
)
def generate(
    folder: Annotated[Path, typer.Argument(help="Output folder of a finished run of a language model.")],
    prompts: Annotated[list[str] | None, typer.Argument(help="Beginnings; without any, one a line is read.")] = None,
    max_tokens: MaxTokens = 200,
    temperature: Temperature = 0.8,
    top_k: TopK = None,
    top_p: TopP = 1.0,
    min_p: MinP = 0.0,
    repetition_penalty: Penalty = 1.0,
    seed: Seed = 0,
) -> None:
    """Go on with a text, token by token, with the language model of a run."""
    from keras_llm.language_model import LanguageModel

    sampling = _sampling(repetition_penalty, temperature, top_k, top_p, min_p)
    model = _loaded(LanguageModel, folder)
    for prompt in _checked(prompts):
        print(prompt, end="", flush=True)
        for piece in model.stream(prompt, max_tokens, sampling, seed):
            print(piece, end="", flush=True)
        print("\n", flush=True)


@app.command(epilog="Example:  [bold]keras-llm chat runs/mine[/]")
def chat(
    folder: Annotated[Path, typer.Argument(help="Output folder of a finished run of a model that answers.")],
    max_tokens: MaxTokens = 60,
    temperature: Temperature = 0.3,
    top_k: TopK = None,
    top_p: TopP = 0.9,
    min_p: MinP = 0.0,
    repetition_penalty: Penalty = 1.0,
    seed: Seed = 0,
) -> None:
    """Talk with the model of a run. Ctrl-C stops a reply, or at the prompt the talk; /new forgets what was said."""
    from keras_llm.chat import Conversation
    from keras_llm.language_model import LanguageModel

    sampling = _sampling(repetition_penalty, temperature, top_k, top_p, min_p)
    talk = Conversation(_loaded(LanguageModel, folder), sampling, seed, max_tokens)
    for line in _turns():
        if line == "/new":
            talk.turns.clear()
        else:
            try:
                for piece in talk.reply(line):
                    print(piece, end="", flush=True)
            except KeyboardInterrupt:
                print(" …", end="")
            print(flush=True)


def _loaded(kind: "type[Model]", folder: Path) -> "Model":
    """The model of a run; what it cannot be expected to do is said beside its answers."""
    model = kind.load(folder)
    with contextlib.suppress(OSError, ValueError, KeyError):  # a model that was saved by hand has no run.json
        about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if about["status"] != "done":
            print(f"Note: this run is not finished; go on with: {about['resume']}", file=sys.stderr)
        elif about["preset"] == "smoke":
            print("Note: a model of the smoke preset has learned nothing; --preset cpu trains it.", file=sys.stderr)
    return model


def _turns() -> Iterator[str]:
    """What the user says, line by line: at a prompt with the arrow keys in a terminal, or from a file or a pipe."""
    if not sys.stdin.isatty():
        yield from map(str.strip, _typed_lines())
        return
    with contextlib.suppress(ImportError):  # Windows has none
        import readline  # noqa: F401  (gives input() a history)
    print("Type something and press Enter; /new begins anew, Ctrl-D ends.", file=sys.stderr)
    with contextlib.suppress(EOFError):
        while True:
            if line := input("> ").strip():
                yield line
    print()


def _sampling(repetition_penalty: float, temperature: float, top_k: int | None, top_p: float, min_p: float):
    from keras_llm.generation import Sampling

    try:
        return Sampling(repetition_penalty, temperature, top_k, top_p, min_p)
    except ValueError as error:
        raise InputError(f"--{str(error).replace('_', '-', 1).replace('=', ' ')}") from error


def _checked(sentences: list[str] | None) -> Iterator[str]:
    """The sentences of the command line, or else those that are typed.

    Raises:
        InputError: one is empty, or not in the terminal's encoding.
    """
    if sentences is None and sys.stdin.isatty():
        print("Type a sentence and press Enter; Ctrl-D ends.", file=sys.stderr)
    for number, sentence in enumerate(_typed_lines() if sentences is None else sentences, 1):
        if not sentence.strip():
            raise InputError(f"Sentence {number} is empty: type some words.")
        if any("\ud800" <= character <= "\udfff" for character in sentence):
            raise InputError(f"Sentence {number} is not {sys.getfilesystemencoding()}: type it in this encoding.")
        yield sentence


def _typed_lines() -> Iterator[str]:
    try:
        for line in sys.stdin:
            if line.strip():  # blank lines between sentences say nothing
                yield line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"The sentences on standard input are not {error.encoding}: convert them first.") from error
