"""Heat maps, decision boundaries and power laws: what stands in them, and what is refused."""

import warnings

import numpy as np
import pytest

from keras_llm.plots import plane, plot_boundaries, plot_comparison, plot_heatmap, plot_power_laws

NAMES = {"ylabel": "batch size", "xlabel": "learning rate", "label": "loss (nats)"}


@pytest.fixture(autouse=True)
def _warnings_fail():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- heat maps ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("best", "place"), [("min", (1, 0)), ("max", (0, 1))])
def test_a_heat_map_writes_each_number_and_frames_the_best(best, place) -> None:
    figure = plot_heatmap([[0.5, 0.75], [0.25, np.nan]], [32, 64], [0.1, 1.0], best=best, **NAMES)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.500", "0.750", "0.250", "not\nfinite"]
    (frame,) = axes.patches
    row, column = place
    assert (frame.get_x() + 0.5, frame.get_y() + 0.5) == (column, row)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["32", "64"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("learning rate", "batch size")


def test_a_fine_heat_map_has_no_numbers_and_fewer_names() -> None:
    figure = plot_heatmap(np.eye(48), range(48), range(48), numbers=False, **NAMES)
    axes = figure.axes[0]
    assert not axes.texts and not axes.patches
    assert [label.get_text() for label in axes.get_xticklabels()] == [str(i) for i in range(0, 48, 4)]
    assert axes.get_yticks().tolist() == list(range(0, 48, 4))


def test_a_heat_map_of_nothing_finite_has_no_frame() -> None:
    figure = plot_heatmap([[np.nan, np.inf]], [1], [1, 2], **NAMES)
    assert not figure.axes[0].patches


@pytest.mark.parametrize(
    ("values", "options", "says"),
    [([[1, 2]], {}, "1 rows and 1 columns"), ([[1]], {"best": "last"}, "'min' or 'max'")],
)
def test_what_is_no_heat_map_is_refused(values, options, says) -> None:
    with pytest.raises(ValueError, match=says):
        plot_heatmap(values, [1], [1], **NAMES, **options)


# --- boundaries -----------------------------------------------------------------------------------------------------

POINTS = np.array([[0.0, 0.0], [2.0, 1.0], [1.0, 3.0]])


def test_the_plane_reaches_beyond_the_points() -> None:
    grid = plane(POINTS, steps=5, margin=0.5)
    assert grid.shape == (25, 2)
    assert grid.min(axis=0).tolist() == [-1.0, -1.5]
    assert grid.max(axis=0).tolist() == [3.0, 4.5]


def test_the_line_lies_where_the_probability_is_one_half() -> None:
    grid = plane(POINTS)
    panels = {"tilted": grid[:, 0] / grid[:, 0].max(), "flat": np.full(len(grid), 0.9)}
    figure = plot_boundaries(POINTS, [0, 1, 1], grid, panels)
    tilted, flat = figure.axes[:2]
    assert (tilted.get_title(), flat.get_title()) == ("tilted", "flat")

    def lines(axes) -> list[np.ndarray]:
        segments = [path.vertices for each in axes.collections for path in each.get_paths()]
        return [line for line in segments if len(line) > 50]

    (line,) = lines(tilted)
    assert np.allclose(line[:, 0], grid[:, 0].max() / 2, atol=0.02)
    assert not lines(flat)


def test_a_grid_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="a grid made by plane"):
        plot_boundaries(POINTS, [0, 1, 1], plane(POINTS)[:-1], {"a": np.zeros(6560)})


# --- power laws -----------------------------------------------------------------------------------------------------


def test_a_power_law_is_drawn_with_its_line() -> None:
    x = np.arange(1, 5001)
    figure = plot_power_laws({"words": (x, 7 * x**0.5)}, {"words": (7.0, 0.5)}, xlabel="tokens", ylabel="types")
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    curve, fit = axes.lines
    assert fit.get_label() == "exponent 0.50"
    assert len(curve.get_xdata()) <= 200  # no more points than can be seen
    assert np.allclose(fit.get_ydata(), 7 * fit.get_xdata() ** 0.5)
    figure.draw_without_rendering()
    labels = {label.get_text() for label in axes.get_xticklabels()}
    assert {"1", "10", "100", "1,000"} <= labels and not any("$" in label for label in labels)


def test_a_short_axis_and_a_long_one_have_numbers_that_can_be_read() -> None:
    x = np.geomspace(1e9, 1e13, 5)
    (axes,) = plot_power_laws({"loss": (x, 12 * x**-0.07)}, xlabel="computation", ylabel="loss").axes
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert len([text for text in shown if text]) >= 3  # 1.5 to 2.8: no power of ten lies there
    assert {"10⁹", "10¹²"} <= {label.get_text() for label in axes.get_xticklabels()}
    assert axes.lines[0].get_marker() != "None"


@pytest.mark.parametrize(
    ("curves", "fits"),
    [({}, {}), ({"a": ([1, 2], [0, 1])}, {}), ({"a": ([1, 2], [1])}, {}), ({"a": ([1], [1])}, {"b": (1, 1)})],
)
def test_what_has_no_logarithm_or_no_curve_is_refused(curves, fits) -> None:
    with pytest.raises(ValueError, match=r"curve"):
        plot_power_laws(curves, fits, xlabel="x", ylabel="y")


# --- comparisons ----------------------------------------------------------------------------------------------------


def test_a_comparison_may_mark_an_epoch_and_leave_the_best_out() -> None:
    options = {"marked": (2, "D1 stops here"), "show_best": False, "xlabel": "step"}
    figure = plot_comparison({"a": {"loss": [3, 2, 1]}, "b": {"loss": [np.nan] * 3}}, "loss", **options)
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["a", "b: never finite", "D1 stops here"]
    assert list(axes.lines[-1].get_xdata()) == [2, 2]
    assert axes.get_xlabel() == "step"
