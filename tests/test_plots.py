"""keras_llm.plots: what stands in a figure, what is refused, and that no text becomes empty boxes."""

import itertools
import subprocess
import sys
import threading
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import font_manager

from keras_llm.errors import InputError
from keras_llm.plots import (
    chinese_font,
    fonts,
    plot_comparison,
    plot_confusion_matrix,
    plot_history,
    plot_scores,
    register_font,
    save,
)

pytestmark = pytest.mark.usefixtures("fonts_as_in_a_new_process")
NAN = float("nan")
HISTORY = {
    "loss": [0.69, 0.50, 0.30, 0.10],
    "val_loss": [0.68, 0.55, 0.60, 0.80],
    "accuracy": [0.50, 0.70, 0.85, 0.95],
    "val_accuracy": [0.52, 0.71, 0.74, 0.73],
    "learning_rate": [0.001] * 4,
}


@pytest.fixture
def no_chinese_font(monkeypatch):
    monkeypatch.setattr(fonts, "CHINESE_FAMILIES", ())


def any_chinese_font_file() -> str:
    if chinese_font() is None:
        pytest.skip("no installed font has Chinese characters")
    return font_manager.findfont(font_manager.FontProperties(family=[chinese_font()]), fallback_to_default=False)


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def legend(figure) -> list[str]:
    """The texts of every legend of a figure."""
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    return [text.get_text() for each in legends for text in each.get_texts()]


def drawn_size(figure, path: Path) -> tuple[int, int]:
    pixels = matplotlib.image.imread(save(figure, path))
    assert pixels.std() > 0.01, "the picture is empty"
    return pixels.shape[1], pixels.shape[0]


def test_a_history_gets_a_panel_a_metric_with_units_and_the_best_epoch(tmp_path):
    figure = plot_history(HISTORY, title="A run", baseline=0.72)
    loss, accuracy = figure.axes
    assert loss.get_ylabel() == "cross-entropy (nats)"
    assert accuracy.get_ylabel() == "accuracy (share of texts)"
    training, validation = loss.lines[:2]
    assert training.get_xdata().tolist() == [1, 2, 3, 4]
    assert training.get_ydata().tolist() == HISTORY["loss"]
    assert validation.get_ydata().tolist() == HISTORY["val_loss"]
    assert training.get_marker() != validation.get_marker()
    assert training.get_linestyle() != validation.get_linestyle()
    # The best epoch is that of val_loss on every panel, though accuracy was best one later.
    assert "best epoch 2: 0.550" in [text.get_text() for text in loss.get_legend().get_texts()]
    names = [text.get_text() for text in accuracy.get_legend().get_texts()]
    assert "at epoch 2: 0.710" in names
    assert "baseline 0.720" in names
    assert figure.get_suptitle() == "A run"
    assert drawn_size(figure, tmp_path / "h.png")[0] > 1000


def test_another_monitor_is_maximised_unless_it_is_a_loss():
    assert "best epoch 3: 0.740" in legend(plot_history(HISTORY, monitor="val_accuracy"))
    assert "best epoch 4: 0.100" in legend(plot_history(HISTORY, monitor="loss"))


def test_epochs_are_whole_numbers_from_one():
    for epochs in (1, 2, 3, 7, 60):
        axes = plot_history({"loss": np.linspace(1, 0.5, epochs)}).axes[0]
        ticks = axes.get_xticks()
        assert 1 <= min(ticks) <= max(ticks) <= epochs
        assert all(tick == int(tick) for tick in ticks)
        assert all(
            label.get_text() == str(int(tick)) for tick, label in zip(ticks, axes.get_xticklabels(), strict=True)
        )


def test_a_single_epoch_is_a_visible_marker(tmp_path):
    figure = plot_history({"loss": [0.6], "val_loss": [0.7]})
    assert figure.axes[0].lines[0].get_marker() not in ("", "None", None)
    drawn_size(figure, tmp_path / "one.png")


def test_nan_leaves_a_gap_and_is_named(tmp_path):
    figure = plot_history({"loss": [0.7, NAN, 0.6, float("inf"), NAN], "val_loss": [0.7, 0.6, NAN, NAN, NAN]})
    axes = figure.axes[0]
    assert np.isnan(axes.lines[0].get_ydata()).tolist() == [False, True, False, True, True]
    assert "loss not finite in 2, 4–5" in axes.get_xlabel()
    assert "best epoch 2: 0.600" in legend(figure)
    drawn_size(figure, tmp_path / "nan.png")


def test_a_run_that_was_never_finite_can_still_be_drawn(tmp_path):
    figure = plot_history({"loss": [NAN, NAN], "val_loss": [NAN, NAN]})
    assert not any("best" in text for text in legend(figure))
    drawn_size(figure, tmp_path / "nan.png")


def test_validation_every_second_epoch_stands_at_its_epochs():
    validation = plot_history({"loss": [5, 4, 3, 2, 1], "val_loss": [4.5, 2.5]}).axes[0].lines[1]
    assert validation.get_xdata().tolist() == [2, 4]
    assert validation.get_ydata().tolist() == [4.5, 2.5]
    with pytest.raises(ValueError, match="val_loss has 1 values for 5 epochs"):
        plot_history({"loss": [5, 4, 3, 2, 1], "val_loss": [4.5]})


def test_an_object_with_a_history_is_read_like_keras_does_it():
    class History:
        history = HISTORY

    assert len(plot_history(History()).axes) == 2
    assert len(plot_history(History(), metrics=["accuracy"]).axes) == 1


def test_more_panels_than_a_row_holds_leave_no_empty_one():
    many = {name: [1.0, 2.0] for name in ("loss", "a", "b", "c")}
    assert [axes.get_ylabel() for axes in plot_history(many).axes] == ["cross-entropy (nats)", "a", "b", "c"]


def test_an_axis_label_can_be_given():
    assert plot_history({"loss": [1.0]}, labels={"loss": "squared error"}).axes[0].get_ylabel() == "squared error"


@pytest.mark.parametrize(
    ("history", "options", "message"),
    [
        ({}, {}, "empty"),
        ({"loss": []}, {}, "empty"),
        ([0.5, 0.4], {}, "not list"),
        (HISTORY, {"metrics": ["f1"]}, "no metric 'f1'"),
        (HISTORY, {"monitor": "val_f1"}, "no 'val_f1'"),
        ({"loss": [1.0]}, {"baseline": 0.8}, "accuracy panel"),
    ],
)
def test_a_history_that_does_not_fit_is_refused(history, options, message):
    with pytest.raises(ValueError, match=message):
        plot_history(history, **options)


def test_eight_runs_differ_without_their_colours(tmp_path):
    runs = {f"run {i}": {"val_accuracy": [0.5, 0.6 + i / 100, 0.55]} for i in range(8)}
    figure = plot_comparison(runs, baseline=0.61, title="Eight runs")
    lines = figure.axes[0].lines[:8]
    assert len({line.get_marker() for line in lines}) == 8
    assert len({line.get_color() for line in lines}) == 8
    assert figure.axes[0].get_ylabel() == "validation accuracy (share of texts)"
    assert "run 7: best 0.670" in legend(figure)
    assert "baseline 0.610" in legend(figure)
    drawn_size(figure, tmp_path / "c.png")


def test_a_comparison_takes_the_lowest_loss_and_runs_of_different_length():
    figure = plot_comparison({"short": {"val_loss": [0.6, 0.5]}, "long": {"val_loss": [0.6, 0.4, 0.7]}}, "val_loss")
    assert legend(figure) == ["short: best 0.500", "long: best 0.400"]
    with pytest.raises(ValueError, match="'short' has no metric 'val_f1'"):
        plot_comparison({"short": {"val_loss": [0.6]}}, "val_f1")
    with pytest.raises(ValueError, match="no run"):
        plot_comparison({})


def test_scores_show_every_run_their_mean_and_their_spread(tmp_path):
    figure = plot_scores({"LSTM": [0.75, 0.77], "encoder": 0.858}, xlabel="test accuracy", baseline=0.782)
    axes = figure.axes[0]
    assert texts(axes) == ["0.760 ± 0.014 (2 runs)", "0.858"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["LSTM", "encoder"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first model on top
    assert sorted(legend(figure)) == ["baseline 0.782", "mean of runs", "one run"]
    drawn_size(figure, tmp_path / "s.png")
    with pytest.raises(ValueError, match="'LSTM' has no score"):
        plot_scores({"LSTM": []}, xlabel="accuracy")
    with pytest.raises(ValueError, match="no model"):
        plot_scores({}, xlabel="accuracy")


def test_a_confusion_matrix_shows_counts_and_colours_shares(tmp_path):
    figure = plot_confusion_matrix([[90, 10], [4, 1]], ["negative", "positive"], title="Test part")
    axes, bar = figure.axes
    assert texts(axes) == ["90", "10", "4", "1"]
    assert np.asarray(axes.images[0].get_array()) == pytest.approx(np.array([[0.9, 0.1], [0.8, 0.2]]))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert bar.get_ylabel() == "share of the true class"
    assert [text.get_color() for text in axes.texts] == ["white", "black", "white", "black"]
    drawn_size(figure, tmp_path / "m.png")
    counts = plot_confusion_matrix([[90, 10], [4, 1]], ["negative", "positive"], normalize=False)
    assert counts.axes[0].images[0].get_array().tolist() == [[90, 10], [4, 1]]


def test_twelve_long_names_are_turned_and_overlap_nothing(tmp_path):
    names = [f"a long class name, {i}" for i in range(12)]
    matrix = np.diag(range(12))  # the first class has no text at all
    figure = plot_confusion_matrix(matrix, names)
    assert figure.axes[0].get_xticklabels()[0].get_rotation() == 45
    drawn_size(figure, tmp_path / "m.png")
    figure.draw_without_rendering()  # saving used another resolution
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(below.y1 <= above.y0 for above, below in itertools.pairwise(boxes))
    assert min(box.x0 for box in boxes) >= 0


@pytest.mark.parametrize("matrix", [[[1, 2]], [[1, 2], [3, 4], [5, 6]], [[1, -1], [0, 1]], [[0.5, 0.5], [0, 1]]])
def test_what_is_no_confusion_matrix_is_refused(matrix):
    with pytest.raises(ValueError, match="confusion matrix"):
        plot_confusion_matrix(matrix, ["a", "b"])


def test_without_a_chinese_font_labels_become_neutral_and_one_warning_says_what_to_do(no_chinese_font, tmp_path):
    assert chinese_font() is None
    with pytest.warns(UserWarning, match="keras-llm data fetch noto_sans_cjk") as caught:
        matrix = plot_confusion_matrix([[1, 0], [0, 1]], ["负面", "good"], title="测试 test")
        scores = plot_scores({"循环网络": 0.5}, xlabel="准确率")
        runs = plot_comparison({"注意力": HISTORY})
    assert len(caught) == 1
    assert [label.get_text() for label in matrix.axes[0].get_yticklabels()] == ["class 0", "good"]
    assert matrix.get_suptitle() == "test"
    assert [label.get_text() for label in scores.axes[0].get_yticklabels()] == ["model 0"]
    assert legend(runs) == ["run 0: best 0.740"]
    for figure in (matrix, scores, runs):  # a missing glyph would raise here
        drawn_size(figure, tmp_path / "x.png")


def test_with_a_chinese_font_the_characters_are_drawn(tmp_path):
    any_chinese_font_file()
    figure = plot_confusion_matrix([[1, 0], [0, 1]], ["负面", "正面 good"], title="测试集 test")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["负面", "正面 good"]
    assert figure.get_suptitle() == "测试集 test"
    drawn_size(figure, tmp_path / "zh.png")


def test_a_registered_font_is_used_from_then_on(monkeypatch):
    path = any_chinese_font_file()
    monkeypatch.setattr(fonts, "CHINESE_FAMILIES", ())
    chinese_font.cache_clear()
    assert chinese_font() is None
    family = register_font(path)
    assert chinese_font() == family
    assert register_font(path) == family
    assert plot_scores({"循环网络": 0.5}, xlabel="准确率").axes[0].get_xlabel() == "准确率"


def test_a_font_counts_only_with_its_glyphs(monkeypatch):
    monkeypatch.setattr(fonts, "CHINESE_FAMILIES", ("DejaVu Serif", "A family that nobody has"))
    assert chinese_font() is None


def test_what_is_no_font_file_is_an_input_error(tmp_path):
    broken = tmp_path / "broken.otf"
    broken.write_bytes(b"no font")
    with pytest.raises(InputError, match="no font that can be read"):
        register_font(broken)
    with pytest.raises(InputError, match="There is no font file"):
        register_font(tmp_path / "absent.otf")


def test_labels_are_text_and_not_formulas(tmp_path):
    figure = plot_confusion_matrix([[1, 0], [0, 1]], ["$100", "$\\frac$"], title="two\nlines $")
    assert figure.get_suptitle() == "two lines $"
    drawn_size(figure, tmp_path / "dollar.png")


def test_save_replaces_the_file_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "a.png"
    assert save(plot_scores({"a": 1.0}, xlabel="x"), path) == path
    before = path.read_bytes()
    assert before.startswith(b"\x89PNG")

    class Broken:
        def savefig(self, file, **_):
            Path(file).write_bytes(b"half a picture")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save(Broken(), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(InputError, match=r"must end in \.png"):
        save(plot_scores({"a": 1.0}, xlabel="x"), tmp_path / "a.pdf")


def test_figures_leave_the_settings_alone_also_from_threads(tmp_path):
    before, failures = dict(matplotlib.rcParams), []

    def draw(i: int) -> None:
        try:
            save(plot_history(HISTORY), tmp_path / f"{i}.png")
        except Exception as error:  # a thread's own failure would go unseen
            failures.append(error)

    threads = [threading.Thread(target=draw, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert dict(matplotlib.rcParams) == before
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1  # and all four look alike


def test_importing_is_light_and_plotting_needs_no_pyplot():
    code = """
import sys
import keras_llm.plots as plots
assert not {"matplotlib", "tensorflow", "keras_llm.data"} & set(sys.modules)
plots.plot_scores({"a": 1.0}, xlabel="x")
assert not {"matplotlib.pyplot", "tensorflow", "keras_llm.data"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
