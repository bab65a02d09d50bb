"""Who looks at whom: attention weights as heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_llm.plots.fonts import legible
from keras_llm.plots.style import figure_style, finish

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPACE = "␣"


@figure_style()
def plot_attention(
    maps: Mapping[str, tuple[np.ndarray, Sequence[str], Sequence[str]]],
    *,
    ylabel: str = "asks",
    xlabel: str = "is asked",
    title: str | None = None,
) -> Figure:
    """The weights of one or several attentions, a panel each: who asks downwards, who is asked to the right.

    Args:
        maps: for each panel, by its title, the weights ``(T, S)`` in [0, 1], the T tokens that ask and the S tokens
            that are asked; a text counts as its characters. All panels share one scale of colours, from 0 to 1.
        ylabel: what the rows are.
        xlabel: what the columns are.
        title: above all panels.

    Raises:
        ValueError: when there is no map, or tokens do not fit the shape of their weights.

    Example:
        >>> figure = plot_attention({"a head": (np.eye(2), ["I", "love"], ["I", "love"])})
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
        ['I', 'love']
    """
    from matplotlib.figure import Figure

    if not maps:
        raise ValueError("There is no attention to plot.")
    for name, (weights, queries, keys) in maps.items():
        if np.shape(weights) != (len(queries), len(keys)):
            raise ValueError(
                f"{name!r}: {len(queries)} and {len(keys)} tokens do not name {np.shape(weights)} weights."
            )
    columns = min(2, len(maps))
    rows = -(-len(maps) // columns)
    longest, most = (max(len(each[axis]) for each in maps.values()) for axis in (2, 1))
    size = (1.2 + columns * max(3.6, 0.9 + 0.17 * longest), 0.6 + rows * max(2.6, 0.9 + 0.26 * most))
    figure = Figure(figsize=size)
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, (name, (weights, queries, keys)) in zip(panels, maps.items(), strict=False):
        image = panel.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for tokens, set_ticks, turned in ((keys, panel.set_xticks, 90), (queries, panel.set_yticks, 0)):
            labels = [legible(token, "?", 12) or SPACE for token in map(str, tokens)]
            set_ticks(range(len(labels)), labels, rotation=turned if max(map(len, labels)) > 1 else 0)
        panel.set(title=legible(name), xlabel=legible(xlabel), ylabel=legible(ylabel))
        panel.tick_params(length=0)
        panel.grid(visible=False)
        panel.spines[:].set_visible(True)
    for empty in panels[len(maps) :]:
        empty.remove()
    bar = figure.colorbar(image, ax=list(panels[: len(maps)]), label="attention weight", fraction=0.03)
    bar.outline.set_visible(False)
    return finish(figure, title)
