"""A run that is stopped: what it leaves, and that it goes on to the same end, to the last digit."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keras_llm import runs
from tests.command_line import (
    CHAPTER,
    Answer,
    about,
    environment,
    files_below,
    history,
    shell,
    write_novel,
    write_reviews,
)

pytest_plugins = ["tests.command_line_fixtures"]
RUN = ("run", CHAPTER, "--preset", "smoke", "--data", "reviews.csv", "--output", "mine")
# keras-llm, but it stands still in one of its epochs, counted over all trainings, until somebody has sent the signals.
STANDS_STILL = """
import sys
from keras_llm import recorder
from keras_llm.cli import main

epochs = iter(range(1, 1000))

def stand_still(self, epoch, logs=None):
    if next(epochs) == int(sys.argv[1]):
        print("standing still", flush=True)
        sys.stdin.readline()

recorder.Recorder.on_epoch_begin = stand_still
recorder.Recorder.epoch_start = 0.0
main(sys.argv[2:])
"""


def stop(folder: Path, *signals: int, run: tuple[str, ...] = RUN, epoch: int = 3) -> Answer:
    """Start a run, by default on made-up reviews, in ``folder``, and send it signals in one of its epochs."""
    write_reviews(folder / "reviews.csv")
    process = subprocess.Popen(
        [sys.executable, "-c", STANDS_STILL, str(epoch), *run],
        cwd=folder,
        env=environment(folder / "home"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    out = ""
    for line in process.stdout:
        out += line
        if "standing still" in line:
            break
    for number in signals:
        process.send_signal(number)
    rest, err = process.communicate("\n", timeout=120)
    return Answer(process.returncode, out + rest, err)


def assert_same_run(folder: Path, other: Path) -> None:
    """The figures and the history of both runs are the same to the last digit."""
    assert (folder / "metrics.json").read_text() == (other / "metrics.json").read_text()
    assert history(folder) == history(other)


def assert_finishes(command: str, folder: Path, own_run: Path) -> None:
    """The command goes on with the run in ``folder``, and it ends as the run that nobody stopped."""
    answer = shell(command, folder, home=folder / "home")
    assert answer.code == 0, answer.err
    assert_same_run(folder / "mine", own_run)
    assert about(folder / "mine")["status"] == "done"
    assert {path.name for path in (folder / "mine").iterdir()} == {path.name for path in own_run.iterdir()}


def test_ctrl_c_keeps_what_there_is_and_the_printed_command_goes_on(tmp_path, own_run) -> None:
    answer = stop(tmp_path, signal.SIGINT, signal.SIGINT)  # the second one must not stop the saving
    assert answer.code == 130, answer.err
    assert answer.sentence.startswith("keras-llm: Interrupted in 'improved' after 3 of 6 epochs. ")
    folder = tmp_path / "mine"
    assert about(folder)["status"] == "interrupted"
    assert history(folder) == history(own_run)[:3]  # the epoch under way is one program, and ends
    assert (folder / runs.INTERRUPTED).read_bytes().startswith(b"\x89PNG")

    classified = shell("keras-llm predict mine --json 'a dull film'", tmp_path, home=tmp_path / "home")
    assert classified.code == 0, classified.err
    assert json.loads(classified.out)["label"] in ("bad", "good")

    command = answer.sentence.partition("go on with: ")[2]
    assert shlex.split(command)[-1] == "--resume"
    assert about(folder)["resume"] == command
    assert_finishes(command, tmp_path, own_run)


@pytest.mark.slow
def test_sigterm_is_as_polite_as_ctrl_c(tmp_path, own_run) -> None:
    answer = stop(tmp_path, signal.SIGTERM, signal.SIGTERM, signal.SIGINT)
    assert answer.code == 130, answer.err
    assert (tmp_path / "mine" / "model.keras").exists()
    assert_finishes(answer.sentence.partition("go on with: ")[2], tmp_path, own_run)


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path, own_run) -> None:
    answer = stop(tmp_path, signal.SIGKILL)
    assert answer.code == -signal.SIGKILL
    facts = about(tmp_path / "mine")
    assert facts["status"] == "running"
    assert facts["seconds"] > 1  # of the epochs until then
    assert_finishes(facts["resume"], tmp_path, own_run)


@pytest.mark.slow
def test_a_pretraining_that_was_killed_between_its_models_goes_on(tmp_path) -> None:
    run = ("run", "ch06_pretraining", "--preset", "smoke", "--data", "novel.txt", "--output", "mine")
    (tmp_path / "whole").mkdir()
    for folder in (tmp_path, tmp_path / "whole"):
        write_novel(folder / "novel.txt")
    whole = shell(["keras-llm", *run], tmp_path / "whole", home=tmp_path / "home", timeout=600)
    assert whole.code == 0, whole.err
    # Two epochs each: D4's code and D4's formula are trained, the GPT is in its second.
    assert stop(tmp_path, signal.SIGKILL, run=run, epoch=6).code == -signal.SIGKILL
    assert len(history(tmp_path / "mine")) == 5
    assert_finishes(about(tmp_path / "mine")["resume"], tmp_path, tmp_path / "whole" / "mine")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_many_interruptions_change_nothing(tmp_path, own_run, number) -> None:
    """A signal at whatever moment, again and again, until the run is through."""
    write_reviews(tmp_path / "reviews.csv")
    begun = False
    for seconds in (0.3, 1, 2, 3, 4, 5, 7, 9, 11, 13, 120):
        resume = ["--resume"] if begun else []
        process = subprocess.Popen(
            [sys.executable, "-m", "keras_llm", *RUN, *resume],
            cwd=tmp_path,
            env=environment(tmp_path / "home"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        err = process.communicate(timeout=60)[1]
        begun = (tmp_path / "mine" / "run.json").exists()
        if begun and about(tmp_path / "mine")["status"] == "done":  # a signal may still hit the end of the process
            break
        # Python itself dies of SIGINT when the signal meets it while it compiles a string, for instance a dataclass.
        assert process.returncode in (130, -number), f"after {seconds} s: {err}"
        assert "Traceback" not in err, f"after {seconds} s: {err}"
    assert_same_run(tmp_path / "mine", own_run)


def test_interrupted_before_anything_was_written(cli, monkeypatch) -> None:
    def interrupt(run, dataset, rows_at_least):
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(runs.Run, "use_data", interrupt)
    write_reviews(Path("reviews.csv"))
    answer = cli(*RUN)
    assert answer.code == 130
    assert answer.sentence.endswith("nothing was written.")
    assert files_below(Path()) == {Path("reviews.csv")}
