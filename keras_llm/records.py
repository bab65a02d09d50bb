"""Record finished runs of a chapter: their figures as its ``expected.json``, the first run's pictures as ``recorded/``.

    python -m keras_llm.records runs/ch03_lstm_classifier-cpu-seed0 runs/ch03_lstm_classifier-cpu-seed1 ...

The first run gives the figures that ``keras-llm run`` makes again, and what the cells of the lesson printed; the others
show how far the figures move with the seed. With ``--elsewhere`` a run with the recorded seed on another machine shows
how far they move with the machine, and gives what its cells printed; all else that is recorded stays.
"""

import argparse
import json
import re
import shutil
import statistics
import sys
from collections.abc import Sequence
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
        recorded[name] = {
            "value": value,
            "tolerance": tolerance(name, values),
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


def tolerance(name: str, values: Sequence[float]) -> float:
    """How far a figure may be from the recorded one, the first of its values over seeds and machines.

    Twice the standard deviation, and as far as any value was; at least 0.02 (of BLEU and chrF 2, of numbers above 1,
    such as perplexities, 2%): another processor rounds differently, and training carries that on. A figure below that
    may double, and of a rounding error itself only the order of magnitude is expected.
    """
    mean, spread = abs(statistics.mean(values)), statistics.stdev(values) if len(values) > 1 else 0.0
    share = 2.0 if re.search("bleu|chrf", name) else 0.02 * max(1.0, mean)  # those two are percentages
    least = min(share, mean) if mean > ROUNDING else 9 * mean
    farthest = max(abs(value - values[0]) for value in values)
    return _short(max(least, 2 * spread, farthest))


def with_another_machine(known: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """A record with one more run, of the same work on another machine: the tolerances hold it too.

    Args:
        known: the record.
        found: that of the one run.

    Raises:
        InputError: when the run is of other work, its machine is known already, or its headline is not the recorded
            one's, within the tolerance.
    """
    same = all(found[name] == known[name] for name in ("preset", "seed", "lesson"))
    if not same or found["figures"].keys() != known["figures"].keys():
        raise InputError("The run has another preset, seed, lesson or version than the recorded one.")
    others = known.get("elsewhere", [])
    if found["machine"] in [known["machine"], *(other["machine"] for other in others)]:
        raise InputError("The run is of a machine that is recorded already.")
    headline, value = known["figures"][known["headline"]], found["figures"][known["headline"]]["value"]
    if abs(value - headline["value"]) > headline["tolerance"]:
        raise InputError(
            f"The run is not like the recorded one: {known['headline']} {value:.4g} for "
            f"{headline['value']:.4g}. Look for what is wrong, or record new runs."
        )
    figures = {}
    for name, figure in known["figures"].items():
        elsewhere = [*figure.get("elsewhere", []), found["figures"][name]["value"]]
        allowed = tolerance(name, [*figure["over_seeds"], *elsewhere])
        figures[name] = {**figure, "tolerance": allowed, "elsewhere": elsewhere}
    machine = {name: found[name] for name in ("machine", "versions")}
    return {**known, "elsewhere": [*others, machine], "figures": figures}


def printed(folder: Path) -> str:
    """The content of a chapter's ``recorded/printed.json``: what the cells printed in a run, and which run that was.

    Raises:
        InputError: when the folder holds no finished run.
    """
    about, cells = _read(folder / "run.json", ABOUT), _read(folder / FILE, set())
    kept = {name: about[name] for name in ("preset", "seed", "lesson", "versions", "machine")}
    return json.dumps({**kept, "cells": cells}, ensure_ascii=False, indent=1) + "\n"


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m keras_llm.records", description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs, the one to quote first")
    parser.add_argument("--elsewhere", action="store_true", help="add one run on another machine to the recorded ones")
    asked = parser.parse_args(arguments)
    folders = asked.runs
    try:
        content = record(folders)
        known = book.chapters()
        if content["chapter"] not in known:
            raise InputError(f"There is no chapter {content['chapter']!r} here: there are: {', '.join(known)}.")
        chapter, text = known[content["chapter"]], printed(folders[0])
        if asked.elsewhere:
            recorded = book.record_of(chapter)
            if len(folders) != 1 or recorded is None:
                raise InputError("--elsewhere takes one run of a chapter that is recorded.")
            content = with_another_machine(recorded, content)
    except InputError as error:
        print(f"keras_llm.records: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    kept = chapter / "recorded"
    kept.mkdir(exist_ok=True)
    write_text(kept / FILE, text)
    if not asked.elsewhere:
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
