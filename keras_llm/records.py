"""Record finished runs of a chapter: their figures as its ``expected.json``, the first run's pictures as ``recorded/``.

    python -m keras_llm.records runs/ch03_lstm_classifier-cpu-seed0 runs/ch03_lstm_classifier-cpu-seed1 ...

The first run gives the figures that ``keras-llm run`` makes again, and what the cells of the lesson printed; the others
show how far the figures move with the seed. With ``--printed`` one more run gives what its cells printed and nothing
else, when its figures are within the tolerance of the recorded ones.
"""

import argparse
import json
import re
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

from keras_llm import book
from keras_llm.errors import InputError
from keras_llm.outputs import write_text
from keras_llm.printed import FILE

# The figure that speaks for a chapter: the first that it has.
HEADLINES = ("test_accuracy", "test_bits_per_character", "test_bleu", "test_exact_match", "test_reply_loss")
ABOUT = {"chapter", "preset", "seed", "status", "asked", "seconds", "peak_memory_gb", "versions", "machine"}
ABOUT |= {"speed", "stages", "lesson"}
ROUNDING = 1e-4  # a figure below this is what rounding left


def record(folders: list[Path]) -> dict[str, Any]:
    """The content of ``expected.json`` for runs of one chapter and preset that differ in their seeds.

    The tolerance of a figure is twice its standard deviation over the seeds, at least 0.02 (of BLEU and chrF 2, of
    numbers above 1, such as perplexities, 2%): another processor rounds differently, and training carries that on.
    A figure below that may double, and of a rounding error itself only the order of magnitude is expected.

    Raises:
        InputError: when a folder holds no finished run, or the runs are not of one kind.
    """
    runs = [(_read(folder / "run.json", ABOUT), _read(folder / "metrics.json", set())) for folder in folders]
    first, figures = runs[0]
    headline = next((name for name in HEADLINES if name in figures), None)
    if headline is None:
        raise InputError(f"The run in {folders[0]} has none of the figures {', '.join(HEADLINES)}: record another one.")
    for folder, (about, metrics) in zip(folders, runs, strict=True):
        if about["status"] != "done":
            raise InputError(
                f"The run in {folder} is not finished (its status is {about['status']!r}): resume it, or leave it out."
            )
        if about["asked"].get("data") or about["asked"].get("dataset"):
            raise InputError(
                f"The run in {folder} is about a file of somebody's own or another dataset: record one on the "
                "chapter's data."
            )
        same = all(about[name] == first[name] for name in ("chapter", "preset", "lesson"))
        if not same or metrics.keys() != figures.keys():
            raise InputError(
                f"The run in {folder} is of another chapter, preset or version than the one in {folders[0]}."
            )
    seeds = [about["seed"] for about, _ in runs]
    if len(set(seeds)) != len(seeds):
        raise InputError(f"Two of the runs have the same seed ({seeds}): run the chapter with other seeds.")
    recorded = {}
    for name, value in figures.items():
        values = [metrics[name] for _, metrics in runs]
        mean, spread = statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0
        share = 2.0 if re.search("bleu|chrf", name) else 0.02 * max(1.0, abs(mean))  # those two are percentages
        least = min(share, abs(mean)) if abs(mean) > ROUNDING else 9 * abs(mean)
        recorded[name] = {
            "value": value,
            "tolerance": _short(max(least, 2 * spread)),
            "over_seeds": values,
            "mean": _short(mean),
            "standard_deviation": _short(spread),
        }
    return {
        "chapter": first["chapter"],
        "preset": first["preset"],
        "lesson": first["lesson"],
        "seed": first["seed"],
        "seeds": seeds,
        "headline": headline,
        "minutes": round(first["seconds"] / 60, 1),
        "stages": {name: stage["seconds"] for name, stage in first["stages"].items()},
        "peak_memory_gb": first["peak_memory_gb"],
        "versions": first["versions"],
        "machine": first["machine"],
        "speed": first["speed"],
        "figures": recorded,
    }


def printed(folder: Path) -> str:
    """The content of a chapter's ``recorded/printed.json``: what the cells printed in a run, and which run that was.

    Raises:
        InputError: when the folder holds no finished run.
    """
    about, cells = _read(folder / "run.json", ABOUT), _read(folder / FILE, set())
    kept = {name: about[name] for name in ("preset", "seed", "lesson", "versions", "machine")}
    return json.dumps({**kept, "cells": cells}, ensure_ascii=False, indent=1) + "\n"


def outside(folder: Path, known: dict[str, Any]) -> list[str]:
    """The figures of a run that are not within the tolerance of the recorded ones, with both values."""
    metrics = _read(folder / "metrics.json", set(known["figures"]))
    return [
        f"{name} {metrics[name]:.4g} for {figure['value']:.4g}"
        for name, figure in known["figures"].items()
        if abs(metrics[name] - figure["value"]) > figure["tolerance"]
    ]


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m keras_llm.records", description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs, the one to quote first")
    parser.add_argument("--printed", action="store_true", help="take only what the cells printed, of one run")
    asked = parser.parse_args(arguments)
    folders = asked.runs
    try:
        content = record(folders)
        known = book.chapters()
        if content["chapter"] not in known:
            raise InputError(f"There is no chapter {content['chapter']!r} here: there are: {', '.join(known)}.")
        chapter, text = known[content["chapter"]], printed(folders[0])
        if asked.printed:
            _check_same_work(folders, content, book.record_of(chapter))
    except InputError as error:
        print(f"keras_llm.records: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    kept = chapter / "recorded"
    kept.mkdir(exist_ok=True)
    write_text(kept / FILE, text)
    if asked.printed:
        print(f"{kept / FILE}: from {folders[0]}")
        return
    for old in kept.glob("*.png"):
        old.unlink()
    for figure in folders[0].glob("*.png"):
        shutil.copy(figure, kept)
    path = chapter / "expected.json"
    write_text(path, json.dumps(content, indent=2) + "\n")
    headline = content["figures"][content["headline"]]
    print(
        f"{path}: {content['headline']} {headline['mean']} ± {headline['standard_deviation']} over {content['seeds']}"
    )


def _check_same_work(folders: list[Path], content: dict[str, Any], known: dict[str, Any] | None) -> None:
    if len(folders) != 1 or known is None:
        raise InputError("--printed takes one run of a chapter that is recorded.")
    if any(content[name] != known[name] for name in ("preset", "seed", "lesson")):
        raise InputError(f"The run in {folders[0]} has another preset, seed or lesson than the recorded one.")
    if differing := outside(folders[0], known):
        raise InputError(f"The run in {folders[0]} is not like the recorded one: {', '.join(differing)}.")


def _read(path: Path, needed: set[str]) -> dict[str, Any]:
    try:
        content = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error}): give the folder of a finished run.") from error
    if missing := needed - content.keys():
        raise InputError(f"{path} lacks {', '.join(sorted(missing))}: give the folder of a finished run.")
    return content


if __name__ == "__main__":
    main()
