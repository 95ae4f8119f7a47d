"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def jobs_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep trainings of tests, also those in processes of their own, out of the user's list of jobs."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HOTLAP_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Folder of real DeepRacer recordings; the test is skipped where they are absent."""
    given = os.environ.get("HOTLAP_REFERENCE_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real DeepRacer recordings at {folder}; set HOTLAP_REFERENCE_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A Ray cluster on this machine, started once, with room for eight workers, that fleets of this process use."""
    from hotlap.rollouts.ray_session import connect

    os.environ.setdefault("RAY_worker_niceness", "0")  # workers are what is tested, not what may wait
    session = connect(None, num_workers=8, store_bytes=0)
    yield
    session.close()
