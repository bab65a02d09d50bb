"""The common look of all figures, readable in print, and how one is saved."""

from __future__ import annotations

import math
import os
import textwrap
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from keras_llm.errors import InputError
from keras_llm.plots.fonts import font_families, legible

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

DPI = 150
# The colours that Okabe and Ito chose to be told apart by colour-blind readers, the darkest first; grey stands for
# their yellow, which white paper swallows. Marker and line style differ too, for print without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINE_STYLES = ("-", "--", "-.", ":")
GREY = "#595959"

_RC = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "figure.constrained_layout.use": True,
    "figure.titlesize": 13,
    "font.size": 11,
    "grid.color": "#E0E0E0",
    "grid.linewidth": 0.7,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "text.parse_math": False,  # a "$" in the name of a class is a dollar sign
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}
# matplotlib keeps its settings in one dictionary for the whole process. Two threads that both set and restore it
# would leave the one's settings behind, so they take turns.
_lock = threading.RLock()


@contextmanager
def figure_style() -> Iterator[None]:
    """The settings of all figures while the block, or the decorated function, runs; the caller's ones afterwards."""
    import matplotlib

    with _lock, matplotlib.rc_context({**_RC, "font.family": font_families()}):
        yield


def finish(figure: Figure, title: str | None) -> Figure:
    """Adds the title and lays the figure out, so that nothing of it is made later under other settings."""
    if title and (title := legible(title, max_length=200)):
        figure.suptitle(textwrap.fill(title, width=int(figure.get_figwidth() * 9)))
    figure.draw_without_rendering()
    return figure


def label_logarithmic(axis: Axis) -> None:
    """Numbers that can be read at a logarithmic axis: 1,000, 10⁹, or 1.6 and 1.8 where no power of ten is in sight."""
    from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

    least, most = axis.get_view_interval()

    def in_words(value: float, _: int) -> str:
        power = math.floor(math.log10(value)) if value > 0 else 0
        if most < 1e6 or power < 3:
            return f"{value:,.10g}"
        times = "" if math.isclose(value, 10.0**power) else f"{value / 10.0**power:.3g}·"
        return f"{times}10" + str(power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))

    if most < 10 * least:
        axis.set_major_locator(MaxNLocator(5))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(in_words)  # matplotlib's own are formulas, which are off here
    axis.set_minor_formatter(NullFormatter())


def save(figure: Figure, path: str | os.PathLike) -> Path:
    """Writes the figure as a PNG of 150 dots an inch, whole or not at all.

    Args:
        figure: any matplotlib figure.
        path: a file that ends in ``.png``; its folder is made when missing, an older file is replaced.

    Returns:
        The path.

    Raises:
        InputError: when the path does not end in ``.png``.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise InputError(f"A figure is saved as PNG, so {path} must end in .png.")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with figure_style():
            figure.savefig(unfinished, format="png", dpi=DPI)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
