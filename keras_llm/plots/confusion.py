"""Which class is taken for which: the confusion matrix as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_llm.plots.fonts import legible
from keras_llm.plots.style import figure_style, finish

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_COUNTED = 30  # with more classes than this, numbers in the cells could not be read


@figure_style()
def plot_confusion_matrix(
    matrix, classes: Sequence[str], *, normalize: bool = True, title: str | None = None
) -> Figure:
    """The confusion matrix, true classes downwards, predicted ones to the right, counts in the cells.

    Args:
        matrix: ints ``(classes, classes)``; rows are the true classes, columns the predicted ones.
        classes: their names, in that order.
        normalize: colour a cell by its share of the true class (of its row), so that a rare class is as visible as a
            frequent one; else by its count.
        title: above the matrix.

    Raises:
        ValueError: when the matrix is not square, has negative or other than whole numbers, or not one row a class.

    Example:
        >>> figure = plot_confusion_matrix([[8, 2], [1, 9]], ["negative", "positive"])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['8', '2', '1', '9']
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    matrix, size = np.asarray(matrix), len(classes)
    if matrix.shape != (size, size) or size == 0:
        raise ValueError(f"A confusion matrix of {size} classes has the shape ({size}, {size}), not {matrix.shape}.")
    if np.any(matrix < 0) or np.any(matrix != np.round(matrix)):
        raise ValueError("A confusion matrix holds counts, and some of these numbers are no counts.")
    matrix = matrix.astype("int64")
    # A class without a text in this part has no shares; its row stays empty.
    shown = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1) if normalize else matrix

    side = min(max(4.4, 2.2 + 0.58 * size), 14.0)
    figure = Figure(figsize=(side + 0.9, side), layout="compressed")  # the cells are square: leave no holes
    axes = figure.subplots()
    # Blues grows darker evenly: in grey print and for colour-blind readers the order stays.
    image = axes.imshow(shown, cmap="Blues", vmin=0, vmax=1 if normalize else max(1, matrix.max()))
    bar = figure.colorbar(image, ax=axes, label="share of the true class" if normalize else "texts")
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=not normalize))
    if normalize:
        bar.ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    bar.outline.set_visible(False)

    names = [legible(name, f"class {i}", 24) for i, name in enumerate(classes)]
    upright = max(map(len, names)) * size <= 24
    turned = {} if upright else {"rotation": 45, "horizontalalignment": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(size), names, **turned)
    axes.set_yticks(range(size), names)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    if size <= MOST_COUNTED:
        for (row, column), count in np.ndenumerate(matrix):
            style = {
                "color": readable_on(image.cmap(image.norm(shown[row, column]))),
                "fontsize": 12 if size <= 5 else 10 if size <= 15 else 8,
            }
            axes.text(column, row, str(count), horizontalalignment="center", verticalalignment="center", **style)
    return finish(figure, title)


def readable_on(background: Sequence[float]) -> str:
    """Black or white, whichever is easier to read on a colour of red, green and blue in [0, 1]."""
    luminance = np.dot(np.power(background[:3], 2.2), (0.2126, 0.7152, 0.0722))
    # Equal contrast by formula is at 0.18, but on a middle blue the eye still prefers white.
    return "black" if luminance > 0.25 else "white"
