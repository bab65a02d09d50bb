"""Curves whose points were measured several times: the mean, and how far the measurements lie apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_llm.plots.fonts import legible
from keras_llm.plots.style import COLOURS, MARKERS, figure_style, finish

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@figure_style()
def plot_spread(
    curves: Mapping[str, Mapping[float, Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str,
    log_x: bool = False,
    title: str | None = None,
) -> Figure:
    """The mean of several measurements at each place, and a band from the lowest to the highest.

    Args:
        curves: of each name, the measurements by place: ``{"LSTM": {50: [0.61, 0.58, 0.64], 200: [0.7, 0.69]}}``. Two
            curves may have been measured at different places; a single measurement has no band.
        xlabel, ylabel: what the places are, and what was measured.
        log_x: a logarithmic scale of places.
        title: above the axes.

    Raises:
        ValueError: when there is no curve, or one without measurements.

    Example:
        >>> figure = plot_spread({"LSTM": {50: [0.61, 0.58], 200: [0.7]}}, xlabel="texts", ylabel="accuracy")
        >>> figure.axes[0].lines[0].get_ydata().round(3).tolist()
        [0.595, 0.7]
    """
    from matplotlib.figure import Figure

    if not curves or not all(points and all(len(values) for values in points.values()) for points in curves.values()):
        raise ValueError("Give at least one curve, and at least one measurement for each place.")
    figure = Figure(figsize=(7.6, 4.2 + 0.12 * len(curves)))
    axes = figure.subplots()
    for i, (name, points) in enumerate(curves.items()):
        x = np.array(sorted(points), "float64")
        low, mean, high = (np.array([of(points[place]) for place in sorted(points)]) for of in (min, np.mean, max))
        style = {"color": COLOURS[i % len(COLOURS)]}
        label = legible(name, f"curve {i}", 40)
        axes.plot(x, mean, marker=MARKERS[i % len(MARKERS)], linewidth=2.0, label=label, **style)
        axes.fill_between(x, low, high, alpha=0.18, linewidth=0, **style)
    axes.set(xlabel=legible(xlabel), ylabel=legible(ylabel))
    if log_x:
        places = sorted({place for points in curves.values() for place in points})
        axes.set_xscale("log")
        axes.set_xticks(places, [f"{place:,.0f}" for place in places], minor=False)
        axes.minorticks_off()
    figure.legend(loc="outside lower center", ncols=2)
    return finish(figure, title)
