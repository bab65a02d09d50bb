"""The benchmarks' own arithmetic, on made-up times: no speed is asserted, and neither PyTorch nor JAX is needed."""

import dataclasses
import functools
import math
from typing import ClassVar

import keras
import pytest
import tensorflow as tf

from tests.benchmarks import __main__ as command
from tests.benchmarks import goals, peers_keras, peers_own, race, report, workloads
from tests.benchmarks.goals import Goal, judge
from tests.benchmarks.race import Row
from tests.benchmarks.report import Result

PEAK = {"float32": 100e9, "bfloat16": 200e9}
TINY = {"batch": 2, "length": 3, "vocabulary": 11, "layers": 2, "heads": 2, "width": 8, "hidden": 6}


def made_up(peer: str, variant: str, *seconds: float, parts: dict | None = None) -> Row:
    def answer(s: float) -> dict:
        return {"seconds": s, "loss": 0.25, "memory_gb": 1.0, "parts": parts or {}}

    return Row(peer, variant, f"{peer} {variant}", 41, [answer(10.0), answer(1.0)], [answer(s) for s in seconds])


@pytest.fixture
def rows() -> list[Row]:
    """Ours is twice as fast as Keras in each round but the last, which something disturbed."""
    return [
        made_up("own", "fit", 1.0, 2.0, 1.0, 2.0, 1.0, parts={"input": 0.25, "compute": 0.75}),
        made_up("keras", "fit", 2.0, 4.0, 2.0, 4.0, 9.0),
        made_up("torch", "compile_bfloat16", 1.5, 3.0, 1.5, 3.0, 1.5),
    ]


@pytest.fixture
def result(rows) -> Result:
    about = {"processor": "P", "cores": 2, "memory_gb": 8.0, "system": "S"}
    peak = {"own": PEAK, "torch": {"float32": 120e9, "bfloat16": 300e9}}
    failed = {"gpt": {"Keras Model.fit": "killed"}}
    return Result(about, {"keras": "3"}, 2, peak, {"jax": "jax"}, {"gpt": rows}, failed)


def test_the_readme_shows_the_recorded_run(tmp_path) -> None:
    result = report.read(report.RECORDED / "benchmark.json")
    assert (report.RECORDED / "benchmark.md").read_text(encoding="utf-8") == report.markdown(result)
    readme = (race.ROOT / "README.md").read_text(encoding="utf-8")
    assert all(line in readme for line in report.goals(result)[2:])
    assert list(result.rows) == list(workloads.WORKLOADS) and not any(result.failed.values())


def test_a_run_is_put_into_the_readme_between_the_marks(result, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(report, "RECORDED", tmp_path / "recorded")
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nan old table\n{report.END}\nafter\n", encoding="utf-8")
    for _ in range(2):
        report.record(result, readme)
    lines = readme.read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["before", report.BEGIN, ""] and lines[-2:] == [report.END, "after"]
    assert "an old table" not in lines and sum(line.startswith("| (d) GPT") for line in lines) == 1
    assert {file.suffix for file in (tmp_path / "recorded").iterdir()} == {".json", ".md", ".png"}


@pytest.mark.parametrize("name", workloads.WORKLOADS)
def test_operations_are_those_of_the_traced_network(name, monkeypatch) -> None:
    tiny = {} if name == "perceptron" else TINY
    work = dataclasses.replace(workloads.WORKLOADS[name], **tiny)
    monkeypatch.setitem(workloads.WORKLOADS, name, work)
    keras.config.set_dtype_policy("float32")
    monkeypatch.setitem(peers_keras.LAYERS, "lstm", functools.partial(keras.layers.LSTM, unroll=True))
    model = peers_keras.NETWORKS[name](work)
    inputs = {x.name: tf.TensorSpec((work.batch, *x.shape[1:]), x.dtype) for x in model.inputs}
    graph = tf.function(lambda arrays: model(arrays)).get_concrete_function(inputs).graph
    assert workloads.operations(name) == 3 * sum(map(products, graph.get_operations()))


def products(operation: tf.Operation) -> int:
    """Operations of one matrix product; 0 of anything else."""
    if operation.type == "Einsum":
        factors, _, result = operation.get_attr("equation").decode().partition("->")
        letters, sizes = factors.replace(",", ""), [size for tensor in operation.inputs for size in tensor.shape]
        # Without a letter that is summed over it is no matrix product.
        return 2 * math.prod(dict(zip(letters, sizes, strict=True)).values()) if set(letters) - set(result) else 0
    if "MatMul" in operation.type:
        left = operation.inputs[0].shape
        flipped = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
        return 2 * operation.outputs[0].shape.num_elements() * left[-2 if flipped else -1]
    return 0


def test_a_round_of_our_loop_and_of_keras(monkeypatch) -> None:
    monkeypatch.setattr(peers_keras, "LAYERS", dict(peers_keras.LAYERS))  # ours puts its own there
    short = dataclasses.replace(workloads.WORKLOADS["perceptron"], steps=6)
    monkeypatch.setitem(workloads.WORKLOADS, "perceptron", short)
    answers = []
    for peer in (peers_own, peers_keras):
        run, parameters = peer.prepare("perceptron", "fit")
        assert parameters == 2 * 10 + 10 + 10 + 1
        answers.append(run())
        assert answers[-1]["seconds"] > 0
    assert answers[0]["loss"] == pytest.approx(answers[1]["loss"], rel=1e-5)  # one seed, one network, one loss


def test_ratios_are_taken_round_by_round(rows) -> None:
    mine, other, _ = rows
    assert race.ratios(other, mine) == [2, 2, 2, 2, 9]
    assert mine.compile_seconds == 10.0 - 1.0


def test_a_goal_is_held_against_the_fastest_of_the_peers_it_names(rows) -> None:
    assert judge(Goal("gpt", 1.9, ("keras",)), rows, PEAK).met
    assert not judge(Goal("gpt", 2.1, ("keras",)), rows, PEAK).met
    beside_all = judge(Goal("gpt", 1.9), rows, PEAK)
    assert (beside_all.rival, beside_all.ratio, beside_all.met) == ("torch compile_bfloat16", 1.5, False)
    assert judge(Goal("gpt", 1.9, ("jax",)), rows, PEAK).met is None


def test_a_share_of_the_peak_will_do_instead_of_a_ratio(rows) -> None:
    step = workloads.operations("gpt") * workloads.WORKLOADS["gpt"].steps
    assert goals.share_of_peak("gpt", rows[0], PEAK) == pytest.approx(step / 1.0 / 100e9)
    assert goals.share_of_peak("gpt", rows[2], PEAK) == pytest.approx(step / 1.5 / 200e9)
    for share, met in ((step / 101e9, True), (step / 99e9, False)):
        assert judge(Goal("gpt", 3, share=share), rows, PEAK).met is met


def test_the_report_says_all_that_was_measured(result, tmp_path) -> None:
    report.write(result, tmp_path)
    text = (tmp_path / "benchmark.md").read_text(encoding="utf-8")
    # 2048 tokens a step, 3 steps a round.
    ours = next(line for line in text.splitlines() if line.startswith("| own fit |"))
    assert ours.split("|")[2:5] == [" 333 (333–667) ", " 6,144 ", " 1.00 (1.00–1.00) "]
    keras_row = next(line for line in text.splitlines() if line.startswith("| keras fit |"))
    assert " 2.00 (2.00–9.00) " in keras_row
    assert keras_row.endswith(" 0.2500 | +0.0% |")
    assert "Keras Model.fit failed: killed" in text
    assert "Peer jax did not run" in text
    assert "| gpt, own fit | 0.2500 | 0.7500 | 1.0000 |" in text  # where the time of our loop goes
    assert text.count("(d) GPT 6 x 384") == 2  # its table and its goal
    assert (tmp_path / "benchmark.png").stat().st_size > 10_000
    assert report.read(tmp_path / "benchmark.json") == result


def test_networks_of_different_size_do_not_race(rows) -> None:
    race.same_parameters("gpt", rows)
    rows[1].parameters = 40
    with pytest.raises(ValueError, match=r"keras fit: 40\b"):
        race.same_parameters("gpt", rows)


class FakeWorker:
    """Notes whose turn it was; the variant "broken" ends at its third round."""

    turns: ClassVar[list[str]] = []

    def __init__(self, peer: str, variant: str, workload: str) -> None:
        self.variant = variant

    def answer(self) -> dict:
        return {"parameters": 1}

    def ask(self) -> dict:
        self.turns.append(self.variant)
        if self.variant == "broken" and self.turns.count("broken") == 3:
            raise race.WorkerFailed("out of memory")
        return {"seconds": 1.0}

    def stop(self) -> None:
        self.turns.append(f"{self.variant} stops")


def test_the_variants_take_turns_and_a_failure_is_told(monkeypatch) -> None:
    monkeypatch.setattr(race, "Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "turns", [])
    offers = {"own": {"workloads": ["gpt"], "variants": {"a": "A", "broken": "B", "c": "C"}}, "jax": {"workloads": []}}
    rows, failed = race.run("gpt", offers, rounds=2, warm_up=2, say=lambda _: None)
    warm_up = ["a", "a", "broken", "broken", "c", "c"]
    assert FakeWorker.turns == [*warm_up, "a", "broken", "c", "a", "c", "a stops", "broken stops", "c stops"]
    assert failed == {"B": "out of memory"}
    assert [(row.title, len(row.warm_up), len(row.rounds)) for row in rows] == [("A", 2, 2), ("C", 2, 2)]


def test_bfloat16_races_only_where_the_workload_has_it() -> None:
    offers = {"own": {"workloads": list(workloads.WORKLOADS), "variants": {"fit": "F", "fit_bfloat16": "B"}}}
    assert [variant for _, variant, _ in race.entrants("lstm", offers)] == ["fit"]
    assert [variant for _, variant, _ in race.entrants("gpt", offers)] == ["fit", "fit_bfloat16"]


def test_a_real_worker_tells_what_is_missing_and_why_it_died() -> None:
    assert race.about("nothing") == {"missing": "tests.benchmarks.peers_nothing"}
    worker = race.Worker("one", "argument", "too", "many")
    with pytest.raises(race.WorkerFailed, match="TypeError"):
        worker.ask()
    worker.stop()
    assert worker.process.returncode


@pytest.mark.parametrize("words", [["--workloads", "gtp"], ["--peers", ","], ["--rounds", "0"], ["--from", "nowhere"]])
def test_wrong_options_end_with_one_sentence(words, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", *words])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert f"{words[0]}" in capsys.readouterr().err.splitlines()[-1]
