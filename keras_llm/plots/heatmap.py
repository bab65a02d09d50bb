"""One number for each pair of two settings: a grid of coloured cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_llm.plots.confusion import readable_on
from keras_llm.plots.fonts import legible
from keras_llm.plots.style import figure_style, finish

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@figure_style()
def plot_heatmap(
    values,
    rows: Sequence[object],
    columns: Sequence[object],
    *,
    ylabel: str,
    xlabel: str,
    label: str,
    best: str = "min",
    numbers: bool = True,
    title: str | None = None,
) -> Figure:
    """A grid of numbers, the best one framed.

    Args:
        values: floats ``(rows, columns)``; what is not finite stays white and says so.
        rows: names of the rows, from top to bottom.
        columns: names of the columns.
        ylabel: what the rows are.
        xlabel: what the columns are.
        label: what the numbers are, with their unit.
        best: "min" or "max": which number is framed and has the darkest cell.
        numbers: write each number into its cell; False for a grid too fine for it: then only the colours tell, nothing
            is framed, and not every row and column is named.
        title: above the grid.

    Raises:
        ValueError: when the shape does not fit the names, or ``best`` is neither.

    Example:
        >>> figure = plot_heatmap([[0.5, 0.2]], [32], [0.1, 1.0], ylabel="batch", xlabel="rate", label="loss (nats)")
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['0.500', '0.200']
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    values = np.asarray(values, "float64")
    if values.shape != (len(rows), len(columns)) or not values.size:
        raise ValueError(f"{len(rows)} rows and {len(columns)} columns do not name the shape {values.shape}.")
    if best not in ("min", "max"):
        raise ValueError(f"best={best!r}: give 'min' or 'max'.")
    finite = np.isfinite(values)

    size = (2.6 + 0.95 * len(columns), 1.8 + 0.6 * len(rows)) if numbers else (6.6, 5.6)
    figure = Figure(figsize=size)
    axes = figure.subplots()
    image = axes.imshow(np.where(finite, values, np.nan), cmap="Blues_r" if best == "min" else "Blues", aspect="auto")
    figure.colorbar(image, ax=axes, label=legible(label)).outline.set_visible(False)
    for names, set_ticks in ((columns, axes.set_xticks), (rows, axes.set_yticks)):
        named = range(0, len(names), 1 if numbers else max(1, len(names) // 12))
        set_ticks(named, [legible(str(names[i])) for i in named])
    axes.set(xlabel=legible(xlabel), ylabel=legible(ylabel))
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    if not numbers:
        return finish(figure, title)
    for (row, column), value in np.ndenumerate(values):
        shown = f"{value:.3f}" if finite[row, column] else "not\nfinite"
        colour = readable_on(image.cmap(image.norm(value))) if finite[row, column] else "black"
        axes.text(column, row, shown, color=colour, horizontalalignment="center", verticalalignment="center")
    if finite.any():
        place = (np.nanargmin if best == "min" else np.nanargmax)(np.where(finite, values, np.nan))
        row, column = np.unravel_index(place, values.shape)
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=2.5))
    return finish(figure, title)
