"""Where a classifier of points in the plane draws its line, at one moment or at several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from keras_llm.plots.fonts import legible
from keras_llm.plots.style import COLOURS, MARKERS, figure_style, finish

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plane(points, steps: int = 81, margin: float = 0.15) -> np.ndarray:
    """A grid over the rectangle around some points, to ask a classifier about.

    Args:
        points: floats ``(n, 2)``.
        steps: points of the grid along each side.
        margin: room around the points, as a share of each side.

    Returns:
        ``(steps * steps, 2)`` float32, row by row from below.
    """
    points = np.asarray(points)
    low, high = points.min(axis=0), points.max(axis=0)
    room = margin * np.maximum(high - low, 1e-6)
    sides = [np.linspace(a, b, steps) for a, b in zip(low - room, high + room, strict=True)]
    return np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2).astype("float32")


@figure_style()
def plot_boundaries(
    points, labels, grid, probabilities: Mapping[str, np.ndarray], *, title: str | None = None
) -> Figure:
    """The probability of class 1 over the plane as colour, a line where it is one half, and the points upon it.

    Args:
        points: floats ``(n, 2)``.
        labels: their classes, 0 or 1, ``(n,)``.
        grid: what :func:`plane` gave, ``(steps * steps, 2)``.
        probabilities: for each panel, by its title, the probability of class 1 at the points of the grid.
        title: above all panels.

    Raises:
        ValueError: when there is no panel, or the grid is not square.

    Example:
        >>> points = np.array([[0.0, 0.0], [1.0, 1.0]])
        >>> grid = plane(points)
        >>> figure = plot_boundaries(points, [0, 1], grid, {"a straight line": grid.mean(axis=1)})
        >>> figure.axes[0].get_title()
        'a straight line'
    """
    from matplotlib.figure import Figure

    points, labels, grid = np.asarray(points), np.asarray(labels).reshape(-1), np.asarray(grid)
    steps = round(len(grid) ** 0.5)
    if not probabilities or steps * steps != len(grid):
        raise ValueError("Give at least one panel, and a grid made by plane().")
    x, y = (grid[:, axis].reshape(steps, steps) for axis in (0, 1))
    columns = min(3, len(probabilities))
    rows = -(-len(probabilities) // columns)
    figure = Figure(figsize=(max(4.6, 3.3 * columns), 2.9 * rows + 0.6))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flatten()
    for panel, (name, values) in zip(panels, probabilities.items(), strict=False):
        values = np.asarray(values).reshape(steps, steps)
        image = panel.pcolormesh(
            x, y, values, cmap="RdBu_r", vmin=0, vmax=1, shading="auto", alpha=0.6, rasterized=True
        )
        if values.min() < 0.5 < values.max():
            panel.contour(x, y, values, levels=[0.5], colors="black", linewidths=1.8)
        for label in (0, 1):
            chosen = points[labels == label]
            style = {
                "s": 14,
                "marker": MARKERS[label],
                "color": COLOURS[label],
                "edgecolors": "white",
                "linewidths": 0.4,
            }
            panel.scatter(*chosen.T, **style, label=f"class {label}")
        panel.set_title(legible(name))
        panel.grid(visible=False)
    for empty in panels[len(probabilities) :]:
        empty.remove()
    figure.colorbar(image, ax=list(panels[: len(probabilities)]), label="probability of class 1")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return finish(figure, title)
