"""The folder of a run: what a finished and a failed run leave, and which run cannot go on."""

import json
from pathlib import Path

import numpy as np
import pytest

from keras_llm import book, runs
from keras_llm.errors import InputError, WorkError
from keras_llm.machine import MemoryPeak
from keras_llm.plots import fonts
from tests.command_line import CHAPTER, about, go_online, history, write_reviews

pytest_plugins = ["tests.command_line_fixtures"]
RUN = ("run", CHAPTER, "--preset", "smoke", "--data", "reviews.csv", "--output", "mine")


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
    assert {"step_ms", "tokens_per_second", "mfu"} <= stage["program"].keys()
    log = [json.loads(line) for line in (own_run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["epoch"] for line in log if line["event"] == "epoch"] == [int(r["epoch"]) for r in history(own_run)]
    assert {line["stage"] for line in log} == facts["stages"].keys()
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
    for status in ("running", "interrupted", "done"):
        run = runs.Run(CHAPTER, runs.Options("smoke"))
        run.folder()
        run.write_about(status)
    again = runs.Run(CHAPTER, runs.Options("smoke", resume=True))
    assert again.output == Path("runs") / f"{CHAPTER}-smoke-seed0-2"


def test_a_row_of_the_same_epoch_takes_the_place_of_the_old_one(cli) -> None:
    run = runs.Run(CHAPTER, runs.Options("smoke", output=Path("mine")))
    for loss in (0.7, 0.6):
        run.add_row(stage="a", epoch=1, loss=loss, seconds=0.1)
    run.add_row(stage="b", epoch=1, loss=0.5, seconds=0.1)
    assert [(row["stage"], row["loss"]) for row in history(Path("mine"))] == [("a", "0.6"), ("b", "0.5")]
    again = runs.Run(CHAPTER, runs.Options("smoke", output=Path("mine"), resume=True))
    again.add_row(stage="a", epoch=1, loss=0.4, seconds=0.1)
    assert sorted(row["loss"] for row in history(Path("mine"))) == ["0.4", "0.5"]


def test_a_result_is_measured_once(cli) -> None:
    options = {"preset": "smoke", "output": Path("mine")}
    run = runs.Run(CHAPTER, runs.Options(**options))
    assert run.once("a", lambda: {"accuracy": 0.8}) == {"accuracy": 0.8}
    with pytest.raises(ZeroDivisionError):
        run.once("b", lambda: 1 / 0)
    again = runs.Run(CHAPTER, runs.Options(**options, resume=True))
    assert again.once("a", lambda: pytest.fail("measured again")) == {"accuracy": 0.8}
    assert again.once("b", lambda: [1]) == [1]


def test_weights_for_a_chapter_without_any(cli) -> None:
    answer = cli("run", CHAPTER, "--weights", "somewhere")
    assert answer.code == 2 and "begins with no pretrained weights" in answer.err and not Path("runs").exists()


def test_a_resume_with_other_weights(cli) -> None:
    weights = Path("bert")
    weights.mkdir()
    (weights / "model.safetensors").write_bytes(b"one")
    options = {"preset": "smoke", "output": Path("mine"), "weights": weights}
    runs.Run(CHAPTER, runs.Options(**options)).folder()
    assert "--weights bert" in runs.Run(CHAPTER, runs.Options(**options, resume=True)).resume_command()
    (weights / "model.safetensors").write_bytes(b"two")
    with pytest.raises(InputError, match="another weights"):
        runs.Run(CHAPTER, runs.Options(**options, resume=True))


def test_the_peak_of_memory_is_that_of_the_block() -> None:
    with MemoryPeak() as small:
        pass
    with MemoryPeak() as large:
        block = np.ones(50_000_000)
    del block
    if large.gb is None:
        pytest.skip("this system does not tell it")
    assert 0.3 < large.gb - small.gb < 0.6


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
    assert lines["test_accuracy"].split() == ["test_accuracy", "0.795", "0.8", "0.01"]
    assert "outside" not in lines["test_accuracy"]
    assert lines["test_f1"].endswith("outside")
    assert len(lines["new_figure"].split()) == 2
    run.preset = "smoke"
    run.compare_with_record()
    assert "outside" not in capsys.readouterr().out


# --- Chinese ------------------------------------------------------------------------------------------------------


def write_chinese(path: Path, rows: int, encoding: str) -> Path:
    """A TSV of made-up reviews in two Chinese classes."""
    words = {"好评": ("好看", "精彩", "感人", "有趣", "难忘"), "差评": ("难看", "无聊", "拖沓", "失望", "糟糕")}
    lines = ["text\tlabel"]
    for row in range(rows):
        label = ("好评", "差评")[row % 2]
        lines.append(f"这部第{row}号电影真{words[label][row // 2 % 5]}，我看了{row * 7}分钟。\t{label}")
    path.write_text("\n".join(lines), encoding=encoding)
    return path


@pytest.mark.network
def test_chinese_classes_in_gb18030(cli, monkeypatch, recwarn) -> None:
    go_online(monkeypatch)  # for the font
    train, test = write_chinese(Path("评论.tsv"), 100, "gb18030"), write_chinese(Path("测试.tsv"), 20, "gb18030")
    test.write_bytes(test.read_bytes().replace("电影".encode("gb18030"), "片子".encode("gb18030")))
    fonts.chinese_font.cache_clear()
    fonts._warn_of_missing_font.cache_clear()
    files = ("--data", train, "--test-data", test, "--encoding", "gb18030")
    answer = cli("run", CHAPTER, "--preset", "smoke", *files, "--output", "结果")
    assert answer.code == 0, answer.err
    assert [str(each.message) for each in recwarn if "font" in str(each.message) or "Glyph" in str(each.message)] == []
    assert "1 row(s)" not in answer.out
    classes = json.loads((Path("结果") / "classifier.json").read_text(encoding="utf-8"))["classes"]
    assert classes == ["好评", "差评"]
    assert about(Path("结果"))["asked"]["encoding"] == "gb18030"
    assert (Path("结果") / "confusion.png").stat().st_size > 5_000
    assert cli("predict", "结果", "这部电影真好看。").out[:2] in classes


def test_without_a_chinese_font_figures_do_without(cli, monkeypatch, capsys) -> None:
    monkeypatch.setattr("keras_llm.plots.chinese_font", lambda: None)
    run = runs.Run(CHAPTER, runs.Options("smoke"))
    run.use_font_for(["good", "déjà vu"])
    assert capsys.readouterr().out == ""
    run.use_font_for(["好评"])
    assert capsys.readouterr().out.startswith("Note: figures do without Chinese text: cannot fetch noto_sans_cjk")


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


def test_resume_with_another_dataset(cli) -> None:
    first = runs.Run(CHAPTER, runs.Options("smoke", dataset="tweets"))
    first.folder()
    assert first.output == Path("runs") / f"{CHAPTER}-tweets-smoke-seed0"
    assert "--dataset tweets " in first.resume_command()
    words = ("run", CHAPTER, "--preset", "smoke", "--output", first.output, "--resume")
    for change, says in (((), "dataset (tweets, not None)"), (("--dataset", "movie_reviews"), "not movie_reviews)")):
        answer = cli(*words, *change)
        assert answer.code == 2
        assert says in answer.sentence
        assert answer.sentence.endswith(f"go on with: {first.resume_command()}")


def test_a_run_on_another_dataset_is_not_compared_with_the_record(cli, monkeypatch) -> None:
    monkeypatch.setattr(book, "record_of", lambda folder: {"preset": "smoke"})
    assert runs.Run(CHAPTER, runs.Options("smoke"))._comparable_record()
    for options in ({"dataset": "tweets"}, {"data": Path("reviews.csv")}):
        assert runs.Run(CHAPTER, runs.Options("smoke", **options))._comparable_record() is None


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


def test_a_refused_run_leaves_the_one_before_alone(begun) -> None:
    runs.request(runs.Options("smoke", output=Path("first")))
    runs.begin(CHAPTER).folder()
    answer = begun(*RUN)
    assert "holds another run" in answer.sentence
    assert "so far" not in answer.sentence
    assert about(Path("first"))["status"] == "running"


def test_resume_without_a_run(begun) -> None:
    answer = begun(*RUN[:-1], "empty", "--resume")
    assert answer.code == 2
    assert "holds no run to resume" in answer.sentence
    assert not Path("empty").exists()
