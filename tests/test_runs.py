"""The folder of a run: what a finished, an interrupted and a killed run leave, and how they go on."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keras_llm import book, runs
from keras_llm.errors import WorkError
from tests.command_line import CHAPTER, Answer, environment, files_below, shell, write_reviews

pytest_plugins = ["tests.command_line_fixtures"]
RUN = ("run", CHAPTER, "--preset", "smoke", "--data", "reviews.csv", "--output", "mine")
# keras-llm, but it stands still in the second epoch of a training until somebody stops it.
STANDS_STILL = """
import sys, time
from keras_llm import recorder
from keras_llm.cli import main

def stand_still(self, epoch, logs=None):
    if epoch == 2:
        print("standing still", flush=True)
        time.sleep(120)

recorder.Recorder.on_epoch_begin = stand_still
recorder.Recorder.epoch_start = 0.0
main(sys.argv[1:])
"""


def about(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def history(folder: Path) -> list[dict[str, str]]:
    """The rows of ``history.csv`` without the seconds, which no run repeats."""
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def stop(folder: Path, *signals: int) -> Answer:
    """Start the run on made-up reviews in ``folder``, and send it signals in its third epoch."""
    write_reviews(folder / "reviews.csv")
    process = subprocess.Popen(
        [sys.executable, "-c", STANDS_STILL, *RUN],
        cwd=folder,
        env=environment(folder / "home"),
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
    rest, err = process.communicate(timeout=120)
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


# --- a run that ends well -----------------------------------------------------------------------------------------


def test_a_run_on_own_data_says_all(own_run) -> None:
    facts = about(own_run)
    assert facts["status"] == "done"
    assert (facts["chapter"], facts["preset"], facts["seed"]) == (CHAPTER, "smoke", 0)
    assert {"python", "keras", "tensorflow", "numpy"} <= facts["versions"].keys()
    assert facts["machine"]["cores"] >= 1
    assert facts["seconds"] > 0
    assert facts["data"][0]["files"]["train"]["rows"] == 160
    (stage,) = facts["stages"].values()
    assert stage["program"]["jit_compile"] is True
    assert stage["program"]["traces"] == 1
    assert stage["epochs"] == len(history(own_run))
    assert {"metrics.json", "history.csv", "model.keras", "tokenizer.json", "classifier.json"} <= {
        path.name for path in own_run.iterdir()
    }


def test_without_output_each_run_gets_a_new_folder(cli) -> None:
    stem = Path("runs") / f"{CHAPTER}-smoke-seed0"
    assert runs.Run(CHAPTER, runs.Options("smoke")).output == stem
    stem.mkdir(parents=True)
    assert runs.Run(CHAPTER, runs.Options("smoke")).output == Path(f"{stem}-2")
    assert runs.Run(CHAPTER, runs.Options("smoke", seed=3)).output == Path("runs") / f"{CHAPTER}-smoke-seed3"
    assert [path for path in Path().rglob("*") if path.is_file()] == []


def test_resume_without_output_takes_the_last_unfinished_run(cli) -> None:
    begun = [runs.Run(CHAPTER, runs.Options("smoke")) for _ in range(3) if _begin()]
    for run, status in zip(begun, ("running", "interrupted", "done"), strict=True):
        run.write_about(status)
    assert runs.Run(CHAPTER, runs.Options("smoke", resume=True)).output == begun[1].output


def _begin() -> bool:
    return bool(runs.Run(CHAPTER, runs.Options("smoke")).folder())


def test_a_row_of_the_same_epoch_takes_the_place_of_the_old_one(cli) -> None:
    run = runs.Run(CHAPTER, runs.Options("smoke", output=Path("mine")))
    for loss in (0.7, 0.6):
        run.add_row(stage="a", epoch=1, loss=loss, seconds=0.1)
    run.add_row(stage="b", epoch=1, loss=0.5, seconds=0.1)
    assert [(row["stage"], row["loss"]) for row in history(Path("mine"))] == [("a", "0.6"), ("b", "0.5")]
    again = runs.Run(CHAPTER, runs.Options("smoke", output=Path("mine"), resume=True))
    again.add_row(stage="a", epoch=1, loss=0.4, seconds=0.1)
    assert sorted(row["loss"] for row in history(Path("mine"))) == ["0.4", "0.5"]


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(cli, monkeypatch) -> None:
    run = runs.Run(CHAPTER, runs.Options("smoke", output=Path("mine")))
    run.record(test_accuracy=0.5)
    before = (run.output / "metrics.json").read_text()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        run.record(test_accuracy=0.6)
    assert (run.output / "metrics.json").read_text() == before
    assert {path.name for path in run.output.iterdir()} == {"metrics.json", "run.json"}


def test_figures_outside_the_tolerance_are_named(cli, monkeypatch, capsys) -> None:
    figures = {name: {"value": 0.8, "tolerance": 0.01} for name in ("test_accuracy", "test_f1")}
    monkeypatch.setattr(book, "record_of", lambda folder: {"preset": "cpu", "figures": figures})
    run = runs.Run(CHAPTER, runs.Options())
    run.metrics = {"test_accuracy": 0.795, "test_f1": 0.75, "new_figure": 1.0}
    run.compare_with_record()
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "0.8000" in lines["test_accuracy"]
    assert "outside" not in lines["test_accuracy"]
    assert lines["test_f1"].endswith("outside")
    assert len(lines["new_figure"].split()) == 2
    run.preset = "smoke"
    run.compare_with_record()
    assert "outside" not in capsys.readouterr().out


# --- a run that is stopped ----------------------------------------------------------------------------------------


def test_ctrl_c_keeps_what_there_is_and_the_printed_command_goes_on(tmp_path, own_run) -> None:
    answer = stop(tmp_path, signal.SIGINT, signal.SIGINT)  # the second one must not stop the saving
    assert answer.code == 130, answer.err
    assert answer.sentence.startswith("keras-llm: Interrupted in 'improved' after 2 of 6 epochs. ")
    folder = tmp_path / "mine"
    assert about(folder)["status"] == "interrupted"
    assert history(folder) == history(own_run)[:2]
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
def test_many_interruptions_change_nothing(tmp_path, own_run) -> None:
    """Ctrl-C at whatever moment, again and again, until the run is through."""
    write_reviews(tmp_path / "reviews.csv")
    (tmp_path / "mine").mkdir()
    for seconds in (0.3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 60):
        resume = ["--resume"] if (tmp_path / "mine" / "run.json").exists() else []
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
            process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
        if process.returncode == 0:
            break
        assert process.returncode == 130, f"after {seconds} s: {err}"
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


# --- a run that fails ---------------------------------------------------------------------------------------------


def test_a_full_disk_says_how_to_go_on(cli, monkeypatch) -> None:
    write, full = runs.write_text, False

    def write_until_full(path: Path, text: str) -> None:
        nonlocal full
        full = full or path.name == "history.csv" or (path.name == "metrics.json")
        if full:
            raise OSError(28, "No space left on device", str(path))
        write(path, text)

    monkeypatch.setattr(runs, "write_text", write_until_full)
    write_reviews(Path("reviews.csv"))
    answer = cli(*RUN)
    assert answer.code == 1
    assert "No space left on device: mine/metrics.json. What there is so far is in mine" in answer.sentence
    assert answer.sentence.endswith("--output mine --resume")
    assert about(Path("mine"))["status"] == "running"  # there was no room for "failed" either


def test_a_training_that_fails_is_marked(cli, monkeypatch) -> None:
    def diverge(run, **metrics):
        run.folder()
        raise WorkError("The loss became nan.")

    monkeypatch.setattr(runs.Run, "record", diverge)
    write_reviews(Path("reviews.csv"))
    answer = cli(*RUN)
    assert answer.code == 1
    assert answer.sentence == "keras-llm: The loss became nan. What there is so far is in mine."
    assert about(Path("mine"))["status"] == "failed"


# --- a run that cannot go on --------------------------------------------------------------------------------------


@pytest.fixture
def begun(cli):
    """A run in the folder ``mine`` that was begun and killed."""
    write_reviews(Path("reviews.csv"))
    write_reviews(Path("other.csv"), rows=100)
    runs.Run(CHAPTER, runs.Options("smoke", data=Path("reviews.csv"), output=Path("mine"))).folder()
    return cli


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("--seed", "1"), "seed (0, not 1)"),
        (("--preset", "cpu"), "preset (smoke, not cpu)"),
        (("--data", "other.csv"), "data (another file"),
        (("--test-data", "other.csv"), "test-data (another file"),
        (("--encoding", "latin-1"), "encoding (utf-8, not latin-1)"),
    ],
)
def test_resume_with_other_options(begun, change, says) -> None:
    answer = begun(*RUN, "--resume", *change)
    assert answer.code == 2
    assert says in answer.sentence
    assert "keras-llm run" in answer.sentence.partition("go on with: ")[2]
    assert about(Path("mine"))["status"] == "running"


def test_resume_of_a_finished_run(begun) -> None:
    text = (Path("mine") / "run.json").read_text(encoding="utf-8")
    (Path("mine") / "run.json").write_text(text.replace('"running"', '"done"'), encoding="utf-8")
    answer = begun(*RUN, "--resume")
    assert answer.code == 2
    assert "finished: there is nothing to resume" in answer.sentence


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", "{"),
        ("run.json", "[]"),
        ("run.json", "{}"),
        ("metrics.json", "{"),
        ("metrics.json", "[1]"),
        ("history.csv", "stage,epoch,seconds\na,one,0.1\n"),
        ("history.csv", "stage\na\n"),
    ],
)
def test_resume_of_a_damaged_run(begun, name, content) -> None:
    (Path("mine") / name).write_text(content, encoding="utf-8")
    answer = begun(*RUN, "--resume")
    assert answer.code == 2
    assert answer.sentence.startswith("keras-llm: The run in mine cannot be read")
    assert (Path("mine") / name).read_text(encoding="utf-8") == content


def test_resume_without_a_run(begun) -> None:
    answer = begun(*RUN[:-1], "empty", "--resume")
    assert answer.code == 2
    assert "holds no run to resume" in answer.sentence
    assert not Path("empty").exists()
