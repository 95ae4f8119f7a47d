"""Fixtures for tests of reports."""

from __future__ import annotations

import pytest

from hotlap.analysis.figures.style import png_of
from hotlap.analysis.report import report_writer
from hotlap.analysis.report.dark_page import turn_dark


@pytest.fixture
def drawn_once(monkeypatch):
    """Figures of the reports are drawn, but only once and not laid out, and pages show none of them."""

    def draw(card, folder):
        figure, path = card.draw(), folder / f"{card.name}.png"
        figure.set_layout_engine("none")
        turn_dark(figure)
        path.write_bytes(png_of(figure))
        return path, report_writer.Picture(b"", b"", 1, 1)

    monkeypatch.setattr(report_writer, "_draw", draw)
