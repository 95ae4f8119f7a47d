"""The report of one run, or of several side by side: one page that needs nothing else, and its figures as PNGs."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from hotlap.analysis.figures.question import Card
from hotlap.analysis.figures.style import png_of
from hotlap.analysis.read.run_data import Run
from hotlap.analysis.report.chapters import chapters
from hotlap.analysis.report.dark_page import turn_dark
from hotlap.analysis.report.report_page import Picture, page_of
from hotlap.errors import RecordError
from hotlap.unfinished import write_whole

MAX_MODELS = 6  # as many as there are colors


@dataclass(frozen=True)
class Report:
    """What was written."""

    page: Path
    figures: tuple[Path, ...]
    """PNGs, in the order of the page."""


def write_report(
    runs: Sequence[Run], page: str | Path, *, on_figure: Callable[[int, int], None] | None = None
) -> Report:
    """Write the report of one run, or of several side by side.

    Equal runs give equal bytes.

    Args:
        runs: With different names, at most six.
        page: HTML file to write. The PNGs go into a folder beside it that is called as the file without its ending.
        on_figure: Called with the number of figures that are drawn and how many there are.

    Raises:
        RecordError: If it cannot be written.
    """
    page = Path(page)
    assert 0 < len(runs) <= MAX_MODELS
    assert len({run.name for run in runs}) == len(runs)
    folder = page.with_suffix("")
    if folder == page:
        raise RecordError(f"{page} has no ending, and its figures need a folder of that name. Call it {page}.html.")
    parts = chapters(runs)
    total = sum(len(chapter.cards) for chapter in parts)
    pictures: dict[str, Picture] = {}
    paths: list[Path] = []
    try:
        # Before anything is drawn, which takes long.
        folder.mkdir(parents=True, exist_ok=True)
        if page.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        for chapter in parts:
            for card in chapter.cards:
                path, pictures[card.name] = _draw(card, folder)
                paths.append(path)
                if on_figure:
                    on_figure(len(paths), total)
        write_whole(page, page_of(runs, parts, pictures).encode())
    except OSError as error:
        raise RecordError(
            f"The report {page} could not be written ({error.strerror or error}). The run itself is untouched; name "
            "another place with --output, such as --output report.html."
        ) from error
    return Report(page, tuple(paths))


def _draw(card: Card, folder: Path) -> tuple[Path, Picture]:
    """Draw a figure, write its PNG, and pack it for the page in its light and its dark form."""
    figure, path = card.draw(), folder / f"{card.name}.png"
    light = png_of(figure)
    write_whole(path, light)
    figure.set_layout_engine("none")  # what is laid out stays where it is
    turn_dark(figure)
    return path, Picture(_packed(light), _packed(png_of(figure)), *_size(figure))


def _packed(png: bytes) -> bytes:
    """The picture with 256 colors: a third of the bytes, and no difference that shows."""
    buffer = BytesIO()
    Image.open(BytesIO(png)).convert("RGB").quantize(256).save(buffer, "PNG")
    return buffer.getvalue()


def _size(figure: Figure) -> tuple[int, int]:
    width, height = figure.get_size_inches() * figure.dpi
    return round(width), round(height)
