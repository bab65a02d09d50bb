"""Measured scores of several models, each seed a dot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_llm.plots.fonts import legible
from keras_llm.plots.style import COLOURS, figure_style, finish

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@figure_style()
def plot_scores(
    scores: Mapping[str, float | Sequence[float]],
    *,
    xlabel: str,
    baseline: float | None = None,
    title: str | None = None,
) -> Figure:
    """A row for each model: its score, or that of each run (one a seed) with their mean, and the numbers beside it.

    Dots and not bars: a bar has to begin at 0, and on such a scale the differences that matter cannot be seen.

    Args:
        scores: one score, or one a run, for each model; the first model stands on top.
        xlabel: what was measured, with its unit and part, such as ``"test accuracy (share of texts)"``.
        baseline: the score to beat, a dashed line.
        title: above the axes.

    Raises:
        ValueError: when there is no model, or a model has no score.

    Example:
        >>> figure = plot_scores({"LSTM": [0.751, 0.763], "encoder": 0.858}, xlabel="test accuracy", baseline=0.782)
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['0.757 ± 0.008 (2 runs)', '0.858']
    """
    from matplotlib.figure import Figure

    if not scores:
        raise ValueError("There is no model whose score could be plotted.")
    figure = Figure(figsize=(7.6, 1.6 + 0.5 * len(scores)))
    axes = figure.subplots()
    for row, (name, values) in enumerate(scores.items()):
        values = np.atleast_1d(np.asarray(values, "float64"))
        if values.ndim != 1 or not len(values):
            raise ValueError(f"The model {name!r} has no score: give a number or a list of numbers.")
        text = f"{values.mean():.3f}"
        if len(values) > 1:
            text += f" ± {values.std(ddof=1):.3f} ({len(values)} runs)"
            axes.plot(
                values.mean(), row, "|", color=COLOURS[1], markersize=16, markeredgewidth=2.5, label="mean of runs"
            )
        axes.plot(values, np.full(len(values), row), "o", color=COLOURS[0], markersize=7, alpha=0.75, label="one run")
        # Right of the axes, in one column, no number can cover a dot.
        axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), verticalalignment="center_baseline")
    if baseline is not None:
        axes.axvline(baseline, color="black", linewidth=1.2, linestyle=(0, (6, 3)), label=f"baseline {baseline:.3f}")
    axes.set_yticks(range(len(scores)), [legible(name, f"model {i}", 40) for i, name in enumerate(scores)])
    axes.set_ylim(len(scores) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(legible(xlabel, "score"))
    handles = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))  # one of each kind
    if len(handles) > 1:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
    return finish(figure, title)
