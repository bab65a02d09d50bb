"""Recording finished runs as ``expected.json``: figures, their spread over seeds, and what is no record."""

import json
from pathlib import Path

import pytest

from keras_llm import book, records
from keras_llm.errors import InputError
from keras_llm.printed import printed_of

ABOUT = {
    "chapter": "ch03_lstm_classifier",
    "preset": "cpu",
    "lesson": "0123456789abcdef",
    "seed": 0,
    "status": "done",
    "asked": {"data": None},
    "seconds": 300.0,
    "peak_memory_gb": 1.5,
    "versions": {"keras": "3"},
    "machine": {"processor": "abacus", "cores": 2},
    "speed": {"products": 1e11, "steps": 1e4},
    "stages": {"document": {"epochs": 3, "seconds": 40.0}},
}


def run(folder: Path, metrics: dict | str, **about) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({**ABOUT, **about}), encoding="utf-8")
    text = metrics if isinstance(metrics, str) else json.dumps(metrics)
    (folder / "metrics.json").write_text(text, encoding="utf-8")
    (folder / "printed.json").write_text('{"0": "Hello!"}', encoding="utf-8")
    return folder


@pytest.fixture
def three(tmp_path) -> list[Path]:
    """Three runs with test accuracies 0.80, 0.84 and 0.82."""
    return [
        run(tmp_path / str(seed), {"test_accuracy": value, "test_f1": 0.7}, seed=seed, seconds=60.0 * (seed + 1))
        for seed, value in enumerate((0.80, 0.84, 0.82))
    ]


def test_the_first_run_is_quoted_and_the_others_give_the_spread(three) -> None:
    content = records.record(three)
    accuracy = content["figures"]["test_accuracy"]
    assert accuracy["value"] == 0.80
    assert accuracy["over_seeds"] == [0.80, 0.84, 0.82]
    assert accuracy["mean"] == 0.82
    assert accuracy["standard_deviation"] == 0.02
    assert accuracy["tolerance"] == 0.04
    assert content["figures"]["test_f1"]["tolerance"] == 0.02  # never less
    assert (content["seed"], content["seeds"], content["minutes"]) == (0, [0, 1, 2], 1.0)
    assert content["stages"] == {"document": 40.0}
    assert content["headline"] in content["figures"]


def test_of_a_rounding_error_the_order_of_magnitude_is_expected(tmp_path) -> None:
    metrics = {"test_accuracy": 0.8, "train_gradient_error": 3e-10, "train_share": 0.0}
    figures = records.record([run(tmp_path / "run", metrics)])["figures"]
    assert figures["train_gradient_error"]["tolerance"] == pytest.approx(2.7e-9)
    assert figures["train_share"]["tolerance"] == 0


def test_a_large_figure_may_differ_by_a_share_of_itself(tmp_path) -> None:
    metrics = {"test_accuracy": 0.8, "test_perplexity": 50.0, "test_bleu": 20.0}
    figures = records.record([run(tmp_path / "run", metrics)])["figures"]
    assert figures["test_perplexity"]["tolerance"] == 1.0
    assert figures["test_bleu"]["tolerance"] == 2.0


def test_a_run_without_a_headline_is_no_record(tmp_path) -> None:
    with pytest.raises(InputError, match="none of the figures test_accuracy"):
        records.record([run(tmp_path / "run", {"test_f1": 0.7})])


def test_one_run_has_no_spread(three) -> None:
    assert records.record(three[:1])["figures"]["test_accuracy"]["standard_deviation"] == 0


@pytest.mark.parametrize(
    ("metrics", "about", "says"),
    [
        ({"test_accuracy": 0.8, "test_f1": 0.7}, {"status": "interrupted"}, "is not finished"),
        ({"test_accuracy": 0.8, "test_f1": 0.7}, {"preset": "smoke"}, "another chapter, preset or version"),
        ({"test_accuracy": 0.8}, {"seed": 4}, "another chapter, preset or version"),
        ({"test_accuracy": 0.8, "test_f1": 0.7}, {"seed": 1}, "have the same seed"),
        ({"test_accuracy": 0.8, "test_f1": 0.7}, {"asked": {"data": "ab12"}}, "own"),
        ({"test_accuracy": 0.8, "test_f1": 0.7}, {"asked": {"data": None, "dataset": "tweets"}}, "another dataset"),
        ({"test_f1": 0.7}, {}, "another chapter, preset or version"),
        ("{", {}, "cannot be read"),
        ("[0.8]", {}, "cannot be read"),
    ],
)
def test_what_is_no_record(three, tmp_path, metrics, about, says) -> None:
    with pytest.raises(InputError, match=says):
        records.record([*three, run(tmp_path / "other", metrics, **{"seed": 3, **about})])


def test_the_command_writes_the_file_and_says_the_headline(three, tmp_path, monkeypatch, capsys) -> None:
    folder = tmp_path / "chapter"
    folder.mkdir()
    monkeypatch.setattr(book, "chapters", lambda: {"ch03_lstm_classifier": folder})
    (three[0] / "summary.png").write_bytes(b"of the first run")
    (folder / "recorded").mkdir()
    (folder / "recorded" / "gone.png").touch()  # of an earlier record
    records.main([str(path) for path in three])
    assert {path.name for path in (folder / "recorded").iterdir()} == {"summary.png", "printed.json"}
    assert printed_of(folder)["cells"] == {"0": "Hello!"}
    assert "test_accuracy 0.82 ± 0.02 over [0, 1, 2]" in capsys.readouterr().out
    assert book.record_of(folder) == records.record(three)


def test_a_run_on_another_machine_widens_the_tolerance(three, tmp_path, monkeypatch, capsys) -> None:
    folder = tmp_path / "chapter"
    folder.mkdir()
    monkeypatch.setattr(book, "chapters", lambda: {"ch03_lstm_classifier": folder})
    records.main([str(path) for path in three])
    (folder / "recorded" / "kept.png").touch()
    known, rule = book.record_of(folder), {"processor": "slide rule"}
    again = run(tmp_path / "again", {"test_accuracy": 0.83, "test_f1": 0.8}, machine=rule)
    records.main([str(again), "--elsewhere"])
    record = book.record_of(folder)
    accuracy, f1 = (record["figures"][name] for name in ("test_accuracy", "test_f1"))
    assert accuracy["tolerance"] == 0.04 and f1["tolerance"] == pytest.approx(0.1)
    assert f1["value"] == 0.7 and f1["elsewhere"] == [0.8]
    assert (record["machine"], record["elsewhere"][0]["machine"]) == (known["machine"], rule)
    assert printed_of(folder)["machine"] == rule and (folder / "recorded" / "kept.png").exists()

    for metrics, about, says in (
        ({"test_accuracy": 0.9, "test_f1": 0.7}, {"machine": {}}, "not like the recorded one: test_accuracy 0.9"),
        ({"test_accuracy": 0.8, "test_f1": 0.7}, {"machine": {}, "seed": 1}, "another preset, seed, lesson or version"),
        ({"test_accuracy": 0.8}, {"machine": {"cores": 1}}, "another preset, seed, lesson or version than"),
        ({"test_accuracy": 0.8, "test_f1": 0.7}, {"machine": rule}, "a machine that is recorded already"),
    ):
        other = run(tmp_path / f"{says[:9]}{len(metrics)}", metrics, **about)
        with pytest.raises(SystemExit) as stop:
            records.main([str(other), "--elsewhere"])
        assert stop.value.code == 2 and says in capsys.readouterr().err
    assert book.record_of(folder) == record


@pytest.mark.parametrize("about", [{"status": "running"}, {"chapter": "ch99_gone"}])
def test_the_command_refuses_with_one_sentence(tmp_path, capsys, about) -> None:
    folder = run(tmp_path / "run", {"test_accuracy": 0.8}, **about)
    for arguments in ([str(folder)], [str(tmp_path / "nowhere")]):
        with pytest.raises(SystemExit) as stop:
            records.main(arguments)
        assert stop.value.code == 2
        assert capsys.readouterr().err.startswith("keras_llm.records: ")
