"""How our figures look: one set of colors, so that a color means the same thing in each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hotlap.errors import RecordError
from hotlap.unfinished import write_whole

INK, GRAY, GRID = "#20242b", "#5b6270", "#e4e7ec"
TRAINING, EVALUATION, BEST = "#8794a8", "#1769d1", "#e0591b"
GOOD, BAD = "#2e9e5b", "#d43c33"
UPDATE = "#7a55c7"

# From dark to light, so that it also reads without color, and bright throughout: it is drawn on dark roads.
SPEED_COLORS = LinearSegmentedColormap.from_list("speed", ["#3d8bff", "#37d0c8", "#a9ee74", "#fff36a"])
REWARD_COLORS = LinearSegmentedColormap.from_list("reward", ["#8a5cd6", "#e0639a", "#ffb46b", "#fff0b8"])
SHARE_COLORS = LinearSegmentedColormap.from_list("share", ["#f3f6fa", "#9cc3ef", "#1769d1", "#0c2c61"])

MODELS = (EVALUATION, BEST, GOOD, "#8a5cd6", "#c2930a", "#0f9aa8")
"""Colors of models that are compared, in their order."""

CARD_WIDTH = 5.6  # [inch] a figure that a phone shows at its full width, with letters that can still be read
_CARD_DPI = 165

WHITE_BOX = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1}
"""Behind words that stand on lines."""


def new_figure(width: float, height: float, title: str, subtitle: str = "") -> Figure:
    """A figure of a size [inches] that belongs to no window, with a title at its top left."""
    figure = _figure(width, height, dpi=130, pads=(0.12, 0.08))
    figure.suptitle(title, x=0.015, ha="left", fontsize=17, fontweight="bold", color=INK)
    if subtitle:
        figure.supxlabel(subtitle, x=0.015, ha="left", fontsize=10, color=GRAY)
    return figure


def new_card(title: str, height: float = 3.3, *, pads: tuple[float, float] = (0.09, 0.07)) -> tuple[Figure, Axes]:
    """A small figure of one chart, for reports, and its axes; its height and the pads around axes are in inches."""
    figure, axes = new_cards([title], height, pads=pads)
    return figure, axes[0]


def new_cards(
    titles: Sequence[str], height: float, *, pads: tuple[float, float] = (0.09, 0.07)
) -> tuple[Figure, list[Axes]]:
    """A small figure of several charts, one above the other with a common horizontal axis; see `new_card`."""
    figure = _figure(CARD_WIDTH, height, dpi=_CARD_DPI, pads=pads)
    axes = figure.subplots(len(titles), 1, sharex=True, squeeze=False)[:, 0].tolist()
    for each, title in zip(axes, titles, strict=True):
        tidy(each, title)
    return figure, axes


def _figure(width: float, height: float, *, dpi: int, pads: tuple[float, float]) -> Figure:
    figure = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
    figure.set_layout_engine("constrained", h_pad=pads[0], w_pad=pads[1])
    FigureCanvasAgg(figure)
    return figure


def name_axes(axes: Axes, x: str = "", y: str = "") -> None:
    """Name the axes."""
    axes.set_xlabel(x, color=GRAY, fontsize=9.5)
    axes.set_ylabel(y, color=GRAY, fontsize=9.5)


def whole_numbers(axis: Axis) -> None:
    """Mark only whole numbers on an axis, such as iterations."""
    axis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def say_instead(axes: Axes, text: str) -> None:
    """Write a sentence where there is nothing to draw."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GRAY, fontsize=9.5)
    axes.grid(False)
    # Not the ticks themselves, which other axes may share.
    axes.tick_params(labelbottom=False, labelleft=False)


def color_bar(figure: Figure, axes: Axes, colors: ScalarMappable, label: str) -> None:
    """A slim scale of colors beside the axes."""
    bar = figure.colorbar(colors, ax=axes, pad=0.012, aspect=32, shrink=0.9)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(colors=GRAY, labelsize=9, length=0)
    bar.set_label(label, color=GRAY, fontsize=9.5)


def legend(on: Axes | Figure, *entries: Any, **placement: Any) -> None:
    """Say what curves and bars mean; ``entries`` are their handles and labels, by default those of the axes."""
    on.legend(*entries, frameon=False, labelcolor=GRAY, **{"fontsize": 8.5} | placement)


def legend_above(axes: Axes, num_columns: int) -> None:
    """Say what curves mean at the upper right, within the axes."""
    legend(axes, ncols=num_columns, loc="upper right", borderaxespad=0)


def legend_below(axes: Axes) -> None:
    """Say under a map what its marks mean, where that covers nothing."""
    below = {"loc": "upper left", "bbox_to_anchor": (0.0, 0.0), "ncols": 3, "borderaxespad": 0.5}
    legend(axes, **below, handletextpad=0.3, columnspacing=1.4)


def percent_axis(axes: Axes) -> None:
    """Let the vertical axis show 0 to 100 %."""
    axes.set_ylim(-3, 103)
    axes.yaxis.set_major_formatter("{x:.0f} %")


def thousands(value: float, _: object = None) -> str:
    """A number as on a scale: 12k instead of 12000."""
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"


def tidy(axes: Axes, title: str) -> None:
    """Axes with a title in words, a light grid and no frame."""
    axes.set_title(title, loc="left", fontsize=11.5, fontweight="bold", color=INK, pad=8)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=GRAY, labelsize=9, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def label_ends(axes: Axes, labels: Iterable[tuple[str, str, float, float]], *, gap: float = 0.075) -> None:
    """Write names of curves beside the right end of all of them, in their colors, apart from each other.

    Args:
        axes: Where the curves are; its limits must be final.
        labels: Text, color, and the end's position in data coordinates; those without text are left out.
        gap: Smallest distance between labels, as a share of the axes' height.
    """
    bottom, top = axes.get_ylim()
    ordered = sorted((label for label in labels if label[0]), key=lambda label: label[3])
    right = max((x for _, _, x, _ in ordered), default=0.0)
    heights = [(y - bottom) / (top - bottom) for *_, y in ordered]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    # Above the axes stands their title.
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], 1.0 - gap * (len(heights) - 1 - i))
    for (text, color, *_), height in zip(ordered, heights, strict=True):
        axes.annotate(
            text,
            (right, bottom + height * (top - bottom)),
            xytext=(5, 0),
            textcoords="offset points",
            color=color,
            fontsize=9,
            fontweight="bold",
            va="center",
            annotation_clip=False,
        )


def smoothed(values: Sequence[float] | np.ndarray, window: int) -> np.ndarray:
    """Mean over up to ``window`` neighbors on either side; shorter, but centered, at the ends. NaN is left out.

    A point without any value around it stays NaN.
    """
    data = np.asarray(values, dtype=np.float64)
    result = np.full(len(data), np.nan)
    for i in range(len(data)):
        half = min(window, i, len(data) - 1 - i)
        around = data[i - half : i + half + 1]
        if np.isfinite(around).any():
            result[i] = np.nanmean(around)
    return result


def png_of(figure: Figure) -> bytes:
    """A figure as PNG; equal figures give equal bytes."""
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # `savefig` would draw it twice
    return buffer.getvalue()


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG.

    Raises:
        RecordError: If it cannot be written.
    """
    path = Path(path)
    try:
        write_whole(path, png_of(figure))
    except OSError as error:
        raise RecordError(
            f"The figure {path} could not be written ({error.strerror or error}). The run itself is untouched; "
            "free space or choose a writable folder, then draw it again."
        ) from error
    return path
