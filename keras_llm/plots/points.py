"""One point a result, named in the legend: what is won against what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from keras_llm.plots.fonts import legible
from keras_llm.plots.style import COLOURS, GREY, MARKERS, figure_style, finish, label_logarithmic

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@figure_style()
def plot_points(
    points: Mapping[str, tuple[float, float]],
    *,
    xlabel: str,
    ylabel: str,
    reference: str | None = None,
    log_y: bool = False,
    title: str | None = None,
) -> Figure:
    """Results by two measures; colour and marker name them in the legend.

    Args:
        points: x and y of each.
        xlabel, ylabel: the measures.
        reference: name of the point that the others are compared with: lines cross in it.
        log_y: a logarithmic scale upwards.
        title: above the axes.

    Raises:
        ValueError: when there is no point, or none with the name of the reference.

    Example:
        >>> figure = plot_points({"greedy": (0.2, 3.0), "by lot": (0.9, 40.0)}, xlabel="variety", ylabel="perplexity")
        >>> len(figure.axes[0].collections)
        2
    """
    from matplotlib.figure import Figure

    if not points:
        raise ValueError("Give at least one point.")
    if reference is not None and reference not in points:
        raise ValueError(f"reference={reference!r} is none of the points: {', '.join(points)}.")
    figure = Figure(figsize=(7.6, 4.2 + 0.16 * len(points)))
    axes = figure.subplots()
    for i, (name, (x, y)) in enumerate(points.items()):
        style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[(i + i // len(MARKERS)) % len(MARKERS)]}
        if name == reference:
            axes.axvline(x, color=GREY, linestyle="--", linewidth=1)
            axes.axhline(y, color=GREY, linestyle="--", linewidth=1)
        axes.scatter(
            [x], [y], s=180 if name == reference else 70, label=legible(name, f"point {i}", 40), zorder=3, **style
        )
    axes.set(xlabel=legible(xlabel), ylabel=legible(ylabel))
    if log_y:
        axes.set_yscale("log")
        label_logarithmic(axes.yaxis)
    figure.legend(loc="outside lower center", ncols=3)
    return finish(figure, title)
