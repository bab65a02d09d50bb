"""Learning curves: one run with its training and validation part, or several runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_llm.plots.fonts import legible
from keras_llm.plots.style import COLOURS, GREY, LINE_STYLES, MARKERS, figure_style, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What a history may record beside losses and metrics.
NOT_METRICS = frozenset({"epoch", "step", "steps", "learning_rate", "lr", "seconds", "time"})
LOWER_IS_BETTER = ("loss", "perplexity", "crossentropy", "error", "mse", "mae")
UNITS = {"loss": "cross-entropy (nats)", "accuracy": "accuracy (share of texts)"}


@figure_style()
def plot_history(
    history,
    *,
    metrics: Sequence[str] | None = None,
    monitor: str = "val_loss",
    baseline: float | None = None,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Figure:
    """The curves of one training run, a panel for each metric, with the best epoch marked.

    Args:
        history: a Keras ``History``, or a dictionary from names (``loss``, ``val_loss``, ``accuracy`` …) to one value
            an epoch. NaN and infinity leave a gap and are named below the panel.
        metrics: which panels, by the names without ``val_``; by default all that the history has.
        monitor: the series whose best value makes the best epoch; the lowest if it is a loss or an error, else the
            highest. Without validation, ``val_loss`` is missing and nothing is marked.
        baseline: accuracy to beat, in [0, 1]: a dashed line on the accuracy panel.
        labels: axis labels with units for panels whose default does not fit, such as ``{"loss": "squared error"}``.
        title: above all panels.

    Raises:
        ValueError: when a named metric or monitor is not in the history, or a baseline has no accuracy panel.

    Example:
        >>> figure = plot_history({"loss": [0.69, 0.41], "val_loss": [0.66, 0.52]})
        >>> len(figure.axes)
        1
    """
    from matplotlib.figure import Figure

    series = curves(history)
    recorded = list(dict.fromkeys(name.removeprefix("val_") for name in series))
    recorded.sort(key=lambda name: name != "loss")  # the loss first, the others as they came
    metrics = [name.removeprefix("val_") for name in metrics or recorded]
    for name in metrics:
        if name not in recorded:
            raise ValueError(f"The history has no metric {name!r}, only {', '.join(recorded)}.")
    if monitor not in series and monitor != "val_loss":
        raise ValueError(f"The history has no {monitor!r} to monitor, only {', '.join(series)}.")
    if baseline is not None and not any("acc" in name for name in metrics):
        raise ValueError("A baseline needs an accuracy panel, and this history has no accuracy.")
    best = best_epoch(series[monitor], monitor) if monitor in series else None

    columns = min(len(metrics), 3)
    rows = -(-len(metrics) // columns)
    figure = Figure(figsize=(max(5.6, 4.6 * columns), 4.0 * rows))
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, name in zip(panels, metrics, strict=False):
        _draw_panel(panel, name, series)
        if best is not None:
            monitored = name == monitor.removeprefix("val_")
            values = series[monitor] if monitored else series.get(f"val_{name}", series.get(name))
            where = f"best epoch {best}" if monitored else f"at epoch {best}"
            _mark_epoch(panel, best, values[best - 1], f"{where}: {number(values[best - 1])}")
        _draw_baseline(panel, baseline if "acc" in name else None)
        # Above the panel, where it covers no curve.
        style = {"ncols": 2, "handlelength": 2.6, "columnspacing": 1.2, "borderaxespad": 0.2}
        panel.legend(loc="lower left", bbox_to_anchor=(0, 1.0), **style)
        panel.set_ylabel(legible((labels or {}).get(name) or axis_label(name)))
    for empty in panels[len(metrics) :]:
        empty.remove()
    return finish(figure, title)


@figure_style()
def plot_comparison(
    histories: Mapping[str, object],
    metric: str = "val_accuracy",
    *,
    baseline: float | None = None,
    label: str | None = None,
    xlabel: str = "epoch",
    marked: tuple[int, str] | None = None,
    show_best: bool = True,
    title: str | None = None,
) -> Figure:
    """One metric of several runs on the same axes, for up to about eight runs.

    Args:
        histories: a history (see :func:`plot_history`) for each name of a run.
        metric: the series to compare, ``val_`` included.
        baseline: value to beat, a dashed line.
        label: axis label with its unit, when the default does not fit.
        xlabel: what the values were counted in.
        marked: an epoch to draw a dotted line at, and what to write in the legend about it.
        show_best: whether each run's best value stands in the legend.
        title: above the axes.

    Raises:
        ValueError: when there is no run, or a run has not recorded the metric.

    Example:
        >>> runs = {"LSTM": {"val_accuracy": [0.70, 0.76]}, "encoder": {"val_accuracy": [0.81, 0.85]}}
        >>> [line.get_label() for line in plot_comparison(runs).axes[0].lines]
        ['LSTM: best 0.760', 'encoder: best 0.850']
    """
    from matplotlib.figure import Figure

    if not histories:
        raise ValueError("There is no run to compare.")
    legend_rows = len(histories) // 2 + 1
    figure = Figure(figsize=(7.6, 3.9 + 0.25 * legend_rows))
    axes = figure.subplots()
    longest = 1
    for i, (name, history) in enumerate(histories.items()):
        series = curves(history)
        if metric not in series:
            raise ValueError(f"The run {name!r} has no metric {metric!r}, only {', '.join(series)}.")
        values = series[metric]
        best = best_epoch(values, metric)
        name = legible(name, f"run {i}", max_length=40)
        if best is None:
            name = f"{name}: never finite"
        elif show_best:
            name = f"{name}: best {number(values[best - 1])}"
        # Beyond eight runs a colour comes back, with another line style.
        style = {"linestyle": LINE_STYLES[(i + i // len(COLOURS)) % len(LINE_STYLES)], "marker": MARKERS[i % 8]}
        style |= {"color": COLOURS[i % len(COLOURS)], "label": name}
        _draw_curve(axes, values, sparse=metric.startswith("val_"), **style)
        longest = max(longest, len(values))
    _draw_baseline(axes, baseline)
    if marked is not None:
        axes.axvline(marked[0], color=GREY, linestyle=":", label=legible(marked[1]))
    _set_epochs(axes, longest)
    axes.set_xlabel(legible(xlabel))
    what = axis_label(metric.removeprefix("val_"))
    axes.set_ylabel(legible(label or (f"validation {what}" if metric.startswith("val_") else f"training {what}")))
    figure.legend(loc="outside lower center", ncols=2 if len(histories) > 1 else 1, handlelength=3.4)
    return finish(figure, title)


def curves(history) -> dict[str, np.ndarray]:
    """The losses and metrics of a history, each as floats ``(epochs,)``; what is not finite becomes NaN.

    A validation series that is shorter than its training series (Keras's ``validation_freq``) gets NaN in the epochs
    without validation.

    Raises:
        ValueError: when nothing was recorded, or it cannot be told which epochs a shorter series is from.
    """
    recorded = getattr(history, "history", history)
    if not isinstance(recorded, Mapping):
        raise ValueError(f"A history is a Keras History or a dictionary of lists, not {type(history).__name__}.")
    series = {name: np.asarray(values, "float64") for name, values in recorded.items() if name not in NOT_METRICS}
    epochs = max((len(values) for values in series.values()), default=0)
    if epochs == 0:
        raise ValueError("The history is empty: no epoch was recorded.")
    for name, values in series.items():
        if len(values) != epochs:
            every = [n for n in range(2, epochs + 1) if epochs // n == len(values)]
            if len(every) != 1:
                raise ValueError(f"{name} has {len(values)} values for {epochs} epochs; set the missing ones to NaN.")
            series[name] = np.full(epochs, np.nan)
            series[name][every[0] - 1 :: every[0]] = values
    return {name: np.where(np.isfinite(values), values, np.nan) for name, values in series.items()}


def best_epoch(values: np.ndarray, name: str) -> int | None:
    """The epoch, counted from 1, of the best finite value, the first of equals; None when there is none."""
    if np.isnan(values).all():
        return None
    return int(np.nanargmin(values) if name.endswith(LOWER_IS_BETTER) else np.nanargmax(values)) + 1


def axis_label(metric: str) -> str:
    """The metric in words, with its unit where it has one."""
    return UNITS.get("accuracy" if metric.endswith(("acc", "accuracy")) else metric, metric.replace("_", " "))


def number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"


def _draw_panel(axes: Axes, name: str, series: Mapping[str, np.ndarray]) -> None:
    for part, key in enumerate((name, f"val_{name}")):
        if key in series:
            style = {"color": COLOURS[part], "marker": MARKERS[part], "linestyle": LINE_STYLES[part]}
            _draw_curve(axes, series[key], sparse=part == 1, label=("training", "validation")[part], **style)
            _set_epochs(axes, len(series[key]))
    # Only the training part says that a run broke: validation has gaps where nobody asked for it.
    broken = np.flatnonzero(np.isnan(series.get(name, []))) + 1
    if len(broken):
        axes.set_xlabel(f"epoch ({legible(name.replace('_', ' '))} not finite in {_ranges(broken)})")


def _draw_curve(axes: Axes, values: np.ndarray, sparse: bool, **style) -> None:
    """The values over the epochs: a gap where one is NaN, unless it is ``sparse``, measured every n epochs only."""
    epochs, known = np.arange(1, len(values) + 1), ~np.isnan(values)
    distances = np.diff(np.flatnonzero(known))
    if sparse and len(distances) and distances.min() == distances.max() > 1:
        epochs, values = epochs[known], values[known]
    axes.plot(epochs, values, markevery=max(1, len(values) // 20), **style)


def _mark_epoch(axes: Axes, epoch: int, value: float, label: str) -> None:
    axes.axvline(epoch, color=GREY, linewidth=1, linestyle=":", zorder=1)
    ring = {"marker": "o", "markersize": 13, "markerfacecolor": "none", "markeredgecolor": "black"}
    axes.plot(epoch, value, linestyle="none", label=label, **ring)


def _draw_baseline(axes: Axes, baseline: float | None) -> None:
    if baseline is not None:
        axes.axhline(baseline, color="black", linewidth=1.2, linestyle=(0, (6, 3)), label=f"baseline {baseline:.3f}")


def _set_epochs(axes: Axes, epochs: int) -> None:
    from matplotlib.ticker import MaxNLocator

    margin = max(0.4, 0.03 * epochs)
    axes.set_xlim(1 - margin, epochs + margin)
    ticks = MaxNLocator(nbins=10, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1).tick_values(1, epochs)
    axes.set_xticks([int(tick) for tick in ticks if 1 <= tick <= epochs])
    axes.set_xlabel("epoch")


def _ranges(epochs: np.ndarray) -> str:
    """``[1, 3, 4, 5]`` as ``"1, 3–5"``."""
    runs = np.split(epochs, np.flatnonzero(np.diff(epochs) > 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)
