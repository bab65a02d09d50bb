"""Who looks at whom: attention weights as a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_llm.plots.fonts import legible
from keras_llm.plots.style import figure_style, finish

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@figure_style()
def plot_attention(
    weights: Mapping[str, np.ndarray],
    queries: Sequence[Sequence[str]],
    keys: Sequence[Sequence[str]],
    *,
    title: str | None = None,
) -> Figure:
    """temporary"""
    from matplotlib.figure import Figure

    columns = 2 if len(weights) > 1 else 1
    rows = -(-len(weights) // columns)
    figure = Figure(figsize=(5.6 * columns, 3.9 * rows + 0.6))
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, (name, values), q, k in zip(panels, weights.items(), queries, keys, strict=False):
        image = panel.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        panel.set_xticks(range(len(k)), [legible(str(t), "?") if str(t).strip() else "␣" for t in k])
        panel.set_yticks(range(len(q)), [legible(str(t), "?") for t in q])
        panel.set_title(legible(name))
        panel.tick_params(length=0)
        panel.grid(visible=False)
    for empty in panels[len(weights) :]:
        empty.remove()
    figure.colorbar(image, ax=list(panels[: len(weights)]), label="attention weight").outline.set_visible(False)
    return finish(figure, title)
