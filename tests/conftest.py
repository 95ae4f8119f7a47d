"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Folder of real DeepRacer recordings; the test is skipped where they are absent."""
    given = os.environ.get("HOTLAP_REFERENCE_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real DeepRacer recordings at {folder}; set HOTLAP_REFERENCE_DATA to their folder")
    return folder
