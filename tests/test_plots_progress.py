"""Losses over cost, and results as points: what the figures hold, and what is refused."""

import numpy as np
import pytest

from keras_llm.plots import plot_points, plot_progress, plot_spread, save

pytestmark = pytest.mark.usefixtures("fonts_as_in_a_new_process")


def test_curves_and_levels_stand_where_they_were_measured(tmp_path) -> None:
    figure = plot_progress(
        {"GPT": ([1, 2, 3], [3.0, 2.0, 1.5]), "a bigram": ([0.5, 1], [4.0, 3.9])},
        {"3-gram": 2.5},
        xlabel="seconds",
        ylabel="loss",
        title="The same text",
    )
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    assert [*lines] == ["GPT", "a bigram", "3-gram"]
    np.testing.assert_array_equal(lines["GPT"].get_ydata(), [3.0, 2.0, 1.5])
    assert set(lines["3-gram"].get_ydata()) == {2.5} and axes.get_xlim()[0] == 0
    assert len({(line.get_color(), line.get_marker(), line.get_linestyle()) for line in axes.lines}) == 3
    assert save(figure, tmp_path / "progress.png").stat().st_size > 5_000
    for wrong in ({}, {"x": ([1], [1, 2])}, {"x": ([], [])}):
        with pytest.raises(ValueError):
            plot_progress(wrong, xlabel="x", ylabel="y")


def test_each_point_has_a_name_and_a_look_of_its_own(tmp_path) -> None:
    points = {f"setting {i}": (i / 10, 10.0 ** (i % 3)) for i in range(11)}
    reference = list(points)[-1]
    figure = plot_points(points, xlabel="variety", ylabel="perplexity", reference=reference, log_y=True)
    (axes,) = figure.axes
    assert [tuple(each.get_offsets()[0]) for each in axes.collections] == list(points.values())
    assert axes.get_yscale() == "log"
    looks = {(tuple(e.get_facecolor()[0]), e.get_paths()[0].vertices.tobytes()) for e in axes.collections}
    assert len(looks) == 11
    across, along = axes.lines  # they cross in the reference
    assert (across.get_xdata()[0], along.get_ydata()[0]) == points[reference]
    assert np.argmax([each.get_sizes()[0] for each in axes.collections]) == 10
    assert save(figure, tmp_path / "points.png").stat().st_size > 5_000
    with pytest.raises(ValueError, match="at least one"):
        plot_points({}, xlabel="x", ylabel="y")
    with pytest.raises(ValueError, match="none of the points: a"):
        plot_points({"a": (1.0, 2.0)}, xlabel="x", ylabel="y", reference="b")


def test_a_spread_is_the_mean_and_all_that_was_measured(tmp_path) -> None:
    measured = {"full": {50: [0.7, 0.8], 200: [0.85]}, "counted words": {50: [0.55, 0.6, 0.59]}}
    figure = plot_spread(measured, xlabel="texts", ylabel="accuracy", log_x=True)
    (axes,) = figure.axes
    assert [line.get_ydata().round(3).tolist() for line in axes.lines] == [[0.75, 0.85], [0.58]]
    band = axes.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.7, 0.85)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["50", "200"]
    assert save(figure, tmp_path / "spread.png").stat().st_size > 5_000
    for wrong in ({}, {"x": {}}, {"x": {1: []}}):
        with pytest.raises(ValueError, match="at least one"):
            plot_spread(wrong, xlabel="x", ylabel="y")
