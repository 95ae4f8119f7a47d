"""Figures for tests that look at something else."""

from __future__ import annotations

from typing import Any

import pytest


def draw_coarsely(patches: pytest.MonkeyPatch) -> None:
    """From now on figures have a twentieth of their points and no scales, and nothing in them makes room for others."""
    from hotlap.analysis.figures import style

    png_of = style.png_of

    def coarse_png_of(figure: Any) -> bytes:
        figure.set_dpi(30)
        figure.set_layout_engine("none")
        for axes in figure.axes:
            axes.set_axis_off()
        return png_of(figure)

    patches.setattr(style, "png_of", coarse_png_of)
