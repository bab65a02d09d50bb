"""Curves that are straight lines on paper with two logarithmic scales: Zipf's law, Heaps' law, scaling laws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from keras_llm.plots.fonts import legible
from keras_llm.plots.style import COLOURS, LINE_STYLES, MARKERS, figure_style, finish, label_logarithmic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW = 20  # points of a curve that are marked one by one


@figure_style()
def plot_power_laws(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    fits: Mapping[str, tuple[float, float]] | None = None,
    *,
    xlabel: str,
    ylabel: str,
    title: str | None = None,
) -> Figure:
    """Measured curves on two logarithmic scales, each with the line of its power law.

    Args:
        curves: x and y of each curve, both ``(n,)`` and above 0.
        fits: for some of the curves, ``factor`` and ``exponent`` of y = factor · x^exponent; the exponent stands in
            the legend.
        xlabel, ylabel: what was counted.
        title: above the axes.

    Raises:
        ValueError: when there is no curve, a number is not above 0, or a fit has no curve.

    Example:
        >>> x = np.array([1.0, 10.0, 100.0])
        >>> figure = plot_power_laws({"words": (x, 3 * x**0.5)}, {"words": (3.0, 0.5)}, xlabel="tokens", ylabel="types")
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['words', 'exponent 0.50']
    """
    from matplotlib.figure import Figure

    fits = fits or {}
    if not curves or fits.keys() - curves.keys():
        raise ValueError("Give at least one curve, and fits of these curves alone.")
    figure = Figure(figsize=(7.6, 4.2 + 0.25 * len(curves)))
    axes = figure.subplots()
    for i, (name, pair) in enumerate(curves.items()):
        x, y = (np.asarray(values, "float64") for values in pair)
        if x.shape != y.shape or not len(x) or min(x.min(), y.min()) <= 0:
            raise ValueError(f"The curve {name!r} needs as many x as y, all above 0.")
        # A hundred thousand ranks in one corner would only make the file large: as many points as can be seen.
        shown = np.unique(np.geomspace(1, len(x), 200).astype(int)) - 1
        style = {"color": COLOURS[i % len(COLOURS)]}
        marker = MARKERS[i % len(MARKERS)] if len(x) <= FEW else None
        axes.plot(x[shown], y[shown], linewidth=2.2, marker=marker, label=legible(name, f"curve {i}", 40), **style)
        if name in fits:
            factor, exponent = fits[name]
            style["linestyle"] = LINE_STYLES[1 + i % 3]
            line = factor * x[shown] ** exponent
            seen = (line >= y.min() / 3) & (line <= y.max() * 3)  # a fit of one part must not stretch the axes
            axes.plot(x[shown][seen], line[seen], linewidth=1.0, label=f"exponent {exponent:.2f}", **style)
    axes.set(xscale="log", yscale="log", xlabel=legible(xlabel), ylabel=legible(ylabel))
    for axis in (axes.xaxis, axes.yaxis):
        label_logarithmic(axis)
    figure.legend(loc="outside lower center", ncols=2, handlelength=3.4)
    return finish(figure, title)
