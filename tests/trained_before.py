"""What a process imports of which others are forked: all that a training needs, and it has trained once then."""

from __future__ import annotations

import gc
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from coarse_figures import draw_coarsely
from hotlap_process import Hotlap
from painted_grounds import paint_grounds_once
from tiny_model import write_model

from hotlap import unfinished

paint_grounds_once(pytest.MonkeyPatch())
draw_coarsely(pytest.MonkeyPatch())
with TemporaryDirectory() as folder:
    Hotlap(Path(folder)).call("train", write_model(Path(folder) / "model", training={"max_iterations": 1}).path)
unfinished._swept.clear()  # as in a process of its own
gc.freeze()  # or every fork would look through all that was imported, and so copy it
