"""Who looks at whom: attention weights as heat maps."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_llm.plots.confusion import readable_on
from keras_llm.plots.fonts import legible
from keras_llm.plots.style import figure_style, finish

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPACE = "␣"
MOST_WRITTEN = 8  # tokens on each side; in more cells, numbers could not be read
TOLERANCE = 1e-3  # a softmax in half precision may round to just above 1
Map = tuple[np.ndarray, Sequence[str], Sequence[str]]  # weights (T, S), T queries, S keys


@figure_style()
def plot_attention(
    weights,
    keys: Sequence[str] | None = None,
    queries: Sequence[str] | None = None,
    *,
    title: str | None = None,
    panels: Sequence[str] | None = None,
    label: str = "share of attention",
    ylabel: str = "query",
    xlabel: str = "key",
) -> Figure:
    """The weights of one or several attentions, a panel each: queries downwards, keys to the right.

    All panels share one scale of colours, from 0 to 1. Nothing is normalised: a row that does not add up to 1 is shown
    as it is. A single panel of at most 8 × 8 tokens has its numbers in the cells.

    Args:
        weights: floats in [0, 1], ``(T, S)`` for one panel or ``(H, T, S)`` for one a head. For texts of their own in
            each panel, a mapping from the panel's title to its ``(weights (T, S), T queries, S keys)``.
        keys: the S tokens that are looked at; a text counts as its characters.
        queries: the T tokens that look.
        title: above all panels.
        panels: titles of the H panels; by default ``head 1`` to ``head H``, and none for ``(T, S)``.
        label: what the weights are.
        ylabel: what the queries are.
        xlabel: what the keys are.

    Raises:
        ValueError: when there is no panel, tokens or titles do not fit the shape, or a weight is outside [0, 1].

    Example:
        >>> figure = plot_attention(np.eye(2), ["I", "love"], ["ich", "liebe"])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['1.00', '0.00', '0.00', '1.00']
    """
    from matplotlib.figure import Figure

    maps = _checked(weights if isinstance(weights, Mapping) else _heads(weights, keys, queries, panels))
    most, longest = np.max([values.shape for values, _, _ in maps.values()], axis=0)
    widest = max(_width(token) for _, queries, keys in maps.values() for token in (*queries, *keys))
    alike = len({(tuple(queries), tuple(keys)) for _, queries, keys in maps.values()}) == 1
    written = len(maps) == 1 and max(most, longest) <= MOST_WRITTEN
    # Inches: of a cell, of the longest name, of a panel without names.
    cell = 0.55 if written else 0.34 if len(maps) == 1 else 0.24 if widest > 1 else 0.18
    room, wide, high = 0.09 * widest, max(1.8, 0.4 + cell * longest), max(1.6, 0.4 + cell * most)
    columns = len(maps) if len(maps) < 4 else 2 if len(maps) == 4 else 4
    columns = max(1, min(columns, int(14 / wide)))
    rows = -(-len(maps) // columns)
    width = 1.6 + (1 if alike else columns) * room + columns * wide
    height = 1.0 + (1 if alike else rows) * room + rows * high
    figure = Figure(figsize=(min(width, 16.0), min(height, 16.0)))
    grid = figure.subplots(rows, columns, squeeze=False)
    for number, (name, (values, queries, keys)) in enumerate(maps.items()):
        axes = grid.flat[number]
        image = axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        top, left = not alike or number < columns, not alike or number % columns == 0
        upright = max(map(_width, keys)) * 0.1 < cell or widest == 1
        _name_ticks(axes, queries if left else [], keys if top else [], upright, 10 if len(maps) == 1 else 8)
        axes.set(title=legible(name), xlabel=legible(xlabel) if top else "", ylabel=legible(ylabel) if left else "")
        if written:
            for (row, column), value in np.ndenumerate(values):
                colour = readable_on(image.cmap(image.norm(value)))
                place = {"horizontalalignment": "center", "verticalalignment": "center"}
                axes.text(column, row, f"{value:.2f}", color=colour, fontsize=10, **place)
    for empty in grid.flat[len(maps) :]:
        empty.remove()
    bar = figure.colorbar(image, ax=list(grid.flat[: len(maps)]), label=legible(label), fraction=0.03, aspect=30)
    bar.outline.set_visible(False)
    return finish(figure, title)


def _heads(weights, keys, queries, panels) -> dict[str, Map]:
    """The mapping that an array ``(T, S)`` or ``(H, T, S)`` stands for."""
    weights = np.asarray(weights, "float64")
    if weights.ndim not in (2, 3) or keys is None or queries is None:
        raise ValueError(f"Give weights (T, S) or (heads, T, S) with their keys and queries, not {weights.shape}.")
    heads = weights if weights.ndim == 3 else weights[None]
    if panels is None:
        panels = [f"head {i}" for i in range(1, len(heads) + 1)] if weights.ndim == 3 else [""]
    if len(panels) != len(heads) or len(set(panels)) != len(panels):
        raise ValueError(f"{len(heads)} panels need as many different titles, not {list(panels)}.")
    return {name: (head, queries, keys) for name, head in zip(panels, heads, strict=True)}


def _checked(maps: Mapping[str, Map]) -> dict[str, Map]:
    if not maps:
        raise ValueError("There is no attention to plot.")
    checked = {}
    for name, (weights, queries, keys) in maps.items():
        weights = np.asarray(weights, "float64")
        if weights.shape != (len(queries), len(keys)) or not weights.size:
            raise ValueError(f"{name!r}: {len(queries)} and {len(keys)} tokens do not name {weights.shape} weights.")
        if not np.all((weights >= -TOLERANCE) & (weights <= 1 + TOLERANCE)):
            raise ValueError(f"{name!r}: not every weight is in [0, 1]; NaN, or scores before the softmax?")
        checked[name] = (weights, [str(token) for token in queries], [str(token) for token in keys])
    return checked


def _shown(token: str) -> str:
    return legible(token, "?", 18) or SPACE


def _width(token: str) -> int:
    """Columns of a token as it is shown; a Chinese character takes two."""
    shown = _shown(token)
    return len(shown) + sum(unicodedata.east_asian_width(character) in "WF" for character in shown)


def _name_ticks(axes, queries: Sequence[str], keys: Sequence[str], upright: bool, size: int) -> None:
    """Names the rows at the left and the columns on top, where reading begins."""
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0, labelsize=size)
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    axes.set_yticks(range(len(queries)), [_shown(query) for query in queries])
    slanted = {"rotation": 55, "horizontalalignment": "left", "rotation_mode": "anchor"}
    # Slanted names are easier to read than those that stand on end, but need width.
    turned = {} if upright else slanted if len(keys) <= 16 else {"rotation": 90}
    axes.set_xticks(range(len(keys)), [_shown(key) for key in keys], **turned)
