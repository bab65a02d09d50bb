"""Figures from a training history, from scores and from arrays of results, and nothing else.

    figure = plot_history(history, baseline=0.782)
    save(figure, "run/history.png")

Each function returns a ``matplotlib.figure.Figure`` that belongs to nobody but the caller: pyplot is not involved, so
the functions work without a display and in threads, and no figure has to be closed. matplotlib is imported when the
first of them runs.
"""

from keras_llm.plots.attention import plot_attention
from keras_llm.plots.boundary import plane, plot_boundaries
from keras_llm.plots.confusion import plot_confusion_matrix
from keras_llm.plots.fonts import chinese_font, register_font
from keras_llm.plots.heatmap import plot_heatmap
from keras_llm.plots.history import plot_comparison, plot_history
from keras_llm.plots.points import plot_points
from keras_llm.plots.power_laws import plot_power_laws
from keras_llm.plots.progress import plot_progress
from keras_llm.plots.scores import plot_scores
from keras_llm.plots.spread import plot_spread
from keras_llm.plots.style import save

__all__ = [
    "chinese_font",
    "plane",
    "plot_attention",
    "plot_boundaries",
    "plot_comparison",
    "plot_confusion_matrix",
    "plot_heatmap",
    "plot_history",
    "plot_points",
    "plot_power_laws",
    "plot_progress",
    "plot_scores",
    "plot_spread",
    "register_font",
    "save",
]
