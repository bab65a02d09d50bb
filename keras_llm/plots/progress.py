"""Losses of several trainings over what they cost: seconds, tokens, operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_llm.plots.fonts import legible
from keras_llm.plots.style import COLOURS, GREY, LINE_STYLES, MARKERS, figure_style, finish

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@figure_style()
def plot_progress(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    levels: Mapping[str, float] | None = None,
    *,
    xlabel: str,
    ylabel: str,
    title: str | None = None,
) -> Figure:
    """One curve a training, and horizontal lines for what needs none.

    Args:
        curves: x and y of each curve, both ``(n,)``.
        levels: height of each horizontal line, for instance a baseline.
        xlabel, ylabel: what it cost, and what came of it.
        title: above the axes.

    Raises:
        ValueError: when there is no curve, or one has no point or not as many x as y.

    Example:
        >>> figure = plot_progress({"GPT": ([1, 2], [3.0, 2.0])}, {"3-gram": 2.5}, xlabel="s", ylabel="loss")
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['GPT', '3-gram']
    """
    from matplotlib.figure import Figure

    if not curves:
        raise ValueError("Give at least one curve.")
    levels = levels or {}
    figure = Figure(figsize=(7.6, 4.0 + 0.15 * (len(curves) + len(levels))))
    axes = figure.subplots()
    for i, (name, pair) in enumerate(curves.items()):
        x, y = (np.asarray(values, "float64") for values in pair)
        if x.shape != y.shape or not x.size:
            raise ValueError(f"The curve {name!r} needs as many x as y, at least one.")
        style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
        axes.plot(x, y, label=legible(name, f"curve {i}", 60), **style)
    for i, (name, height) in enumerate(levels.items()):
        axes.axhline(height, color=GREY, linestyle=LINE_STYLES[1 + i % 3], label=legible(name, f"level {i}", 60))
    axes.set(xlabel=legible(xlabel), ylabel=legible(ylabel), xlim=(0, None))
    figure.legend(loc="outside lower center", ncols=2, handlelength=3.4)
    return finish(figure, title)
