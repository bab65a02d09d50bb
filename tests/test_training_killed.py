"""Real processes that are killed with SIGKILL, again and again, in the middle of a checkpoint too."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLACES = ("arrays", "rename", "prune", "pruning")


class Training:
    """``tests.train_and_be_killed`` in a process."""

    def __init__(self, folder: Path, *options: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.train_and_be_killed", str(folder), *map(str, options)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def kill_after(self, lines: int, seconds: float) -> bool:
        """Kill it so many seconds after its so many-th line of progress; False when it had ended before."""
        for line in self.process.stdout:
            lines -= line.startswith("step ")
            if lines <= 0:
                break
        time.sleep(seconds)
        self.process.send_signal(signal.SIGKILL)
        return self.wait_for_death()

    def wait_for_death(self) -> bool:
        _, err = self.process.communicate(timeout=120)
        assert self.process.returncode in (0, -signal.SIGKILL), err
        return self.process.returncode != 0

    def result(self) -> dict:
        """What it ended in."""
        out, err = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, err
        return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict:
    """The end of the training that nobody kills."""
    return Training(tmp_path_factory.mktemp("whole")).result()


def kill(folder: Path, draw: random.Random, place: str, *options: object) -> bool:
    """Start the training, or go on with it, and kill it: from outside ("signal") or in the writing of a checkpoint."""
    if place == "signal":
        lines, seconds = draw.randint(1, 6), draw.uniform(0, 0.03)
        print(f"kill {seconds * 1000:.0f} ms after program {lines}")
        return Training(folder, *options).kill_after(lines, seconds)
    number = draw.randint(1, 3)
    print(f"kill at {place} of checkpoint {number}")
    return Training(folder, *options, "--die", f"{place}:{number}").wait_for_death()


def test_the_same_seed_gives_the_same_bits_in_every_process(whole, tmp_path) -> None:
    assert whole["best epoch"] == whole["epochs"][-1] - 2 >= 1  # early stopping has stopped it
    assert Training(tmp_path).result() == whole


def test_killed_at_random_moments_it_ends_in_the_same_bits(whole, tmp_path) -> None:
    draw = random.Random(7)
    assert Training(tmp_path).kill_after(1, 0.0)  # most likely before any checkpoint
    kills = 1 + sum(kill(tmp_path, draw, place) for place in ("rename", "signal", "arrays"))
    assert kills == 4
    assert Training(tmp_path).result() == whole


@pytest.mark.slow
def test_killed_two_dozen_times_it_ends_in_the_same_bits(tmp_path_factory) -> None:
    seed = int(os.environ.get("KILL_SEED", "0"))
    draw, folder = random.Random(seed), tmp_path_factory.mktemp("killed")
    more = ("--epochs", 24, "--patience", 24)
    expected = Training(tmp_path_factory.mktemp("whole"), *more).result()
    kills = {place: 0 for place in ("signal", *PLACES)}
    while sum(kills.values()) < 24:
        place = draw.choice(("signal", "signal", "signal", *PLACES))
        if not kill(folder, draw, place, *more):
            break
        kills[place] += 1
        names = sorted(path.name for path in folder.iterdir())
        print(f"  {names}")
        assert all(re.match(r"step-|partial\.|best\.json", name) for name in names)
    print(f"seed {seed}: {sum(kills.values())} kills {kills}")
    assert Training(folder, *more).result() == expected
    assert sum(kills.values()) >= 20
