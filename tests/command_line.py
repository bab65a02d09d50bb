"""What the tests of the command line share: a made-up file of reviews, and ``keras-llm`` in a process of its own."""

import csv
import json
import os
import random
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
CHAPTER = "ch03_lstm_classifier"
OWN = ("--data", "reviews.csv", "--output", "runs/mine")  # as the README has it
TEXT_CHAPTER = "ch02_text_to_tensors"
OWN_TEXT = ("--data", "novel.txt")  # the same
WRITING_CHAPTERS = ("ch06_pretraining", "ch08_generation")
PAIR_CHAPTER = "ch05_transformer"
OWN_PAIRS = ("--data", "pairs.tsv", "--output", "runs/pairs")  # the same
OFFLINE = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple"}  # nobody listens there
ONLINE = {name: os.environ.get(name) for name in ("KERAS_LLM_HOME", *OFFLINE)}
WORDS = {
    "bad": ("dull", "tedious", "flat", "weak", "stale", "clumsy", "hollow", "boring", "lifeless", "messy"),
    "good": ("moving", "bright", "tender", "funny", "fresh", "gripping", "warm", "clever", "vivid", "joyful"),
}

SENTENCES = (
    "The old man of number {} walked to the sea. ",
    "It rained, and {} boats stayed in the harbour! ",
    "那天下了{}个小时的雨，渔船都没有出海。",
    "Что делать с {} лодками? ",
    "🎬 {} films 🎬 ",
)


class Answer(NamedTuple):
    """What a call of ``keras-llm`` gave."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The last line on stderr; TensorFlow may have talked before it."""
        return self.err.rstrip("\n").rpartition("\n")[2]


def script() -> list[str]:
    """``keras-llm`` as a list of words: the installed script, or the module in a checkout without one."""
    path = Path(sys.executable).with_name("keras-llm")
    return [str(path)] if path.exists() else [sys.executable, "-m", "keras_llm"]


def shell(command: str | list[str], folder: Path, home: Path | None = None, timeout: float = 300) -> Answer:
    """Run one command in ``folder``; with ``home``, without network and with that folder as the cache."""
    words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    if words[0] == "keras-llm":
        words[:1] = script()
    done = subprocess.run(
        words, cwd=folder, env=environment(home), capture_output=True, encoding="utf-8", timeout=timeout, check=False
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def environment(home: Path | None) -> dict[str, str]:
    """Without ``home`` the user's own cache and network, also where the fixture ``cli`` has taken them away."""
    place = ONLINE if home is None else {"KERAS_LLM_HOME": str(home), **OFFLINE}
    values = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **place}
    return {name: value for name, value in values.items() if value is not None}


def go_online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the user's cache and network back to a test with the fixture ``cli``."""
    for name, value in ONLINE.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)


def write_reviews(path: Path, rows: int = 160, header: str = "text,label", encoding: str = "utf-8") -> Path:
    """A file of made-up English reviews that a classifier can learn, as CSV or, by its suffix, TSV."""
    draw, lines = random.Random(0), [header]
    for row in range(rows):
        label = ("bad", "good")[row % 2]
        text = f"a {draw.choice(WORDS[label])} and {draw.choice(WORDS[label])} film with number {row}"
        lines.append(f"{text},{label}" if path.suffix == ".csv" else f"{text}\t{label}")
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def write_novel(path: Path, paragraphs: int = 150) -> Path:
    """A made-up text in three scripts and with emoji, its paragraphs parted by blank lines."""
    draw = random.Random(0)
    text = ("".join(draw.choice(SENTENCES).format(draw.randrange(1000)) for _ in range(5)) for _ in range(paragraphs))
    path.write_text("\n\n".join(text) + "\n", encoding="utf-8")
    return path


NOUNS = {"light": "lampo", "door": "pordo", "house": "domo", "cat": "kato", "dog": "hundo", "tree": "arbo"}
ADJECTIVES = {"red": "ruĝa", "small": "eta", "old": "malnova", "good": "bona", "new": "nova"}
VERBS = {"sees": "vidas", "wants": "volas", "opens": "malfermas"}


def write_pairs(path: Path) -> Path:
    """450 English sentences of made-up sense with their translation, in which nouns come before adjectives."""
    lines = [
        f"the {adjective} {noun} {verb} {{name}}\tla {NOUNS[noun]} {ADJECTIVES[adjective]} {VERBS[verb]} {{name}}"
        for noun in NOUNS
        for adjective in ADJECTIVES
        for verb in VERBS
    ]
    lines += [line.replace("{name}", "me").replace("la ", "tiu ") for line in lines]
    lines += [f"{a} and {b}\t{NOUNS[a]} kaj {NOUNS[b]}" for a in NOUNS for b in NOUNS]
    lines += [f"is {a} {b}\tĉu {ADJECTIVES[a]} {NOUNS[b]}" for a in ADJECTIVES for b in NOUNS]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def files_below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def about(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def history(folder: Path) -> list[dict[str, str]]:
    """The rows of ``history.csv`` without the seconds, which no run repeats."""
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
