"""Fixtures for all tests."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coarse_figures import draw_coarsely
from hypothesis import settings
from painted_grounds import paint_grounds_once
from s3_server import S3Server, hide_aws_settings, serve

gc.disable()  # until everything is imported: see pytest_collection_finish
RAY = re.compile(r'ray_cluster|importorskip\("ray"')  # what a file of tests says that starts Ray or joins it
# Files of tests that take a quarter of a minute or more: with one of them begun last, the others' cores would be idle.
LONG = (
    *("test_rewards_check", "test_training_bucket", "test_training_selection_kills", "test_training_trainer"),
    *("test_analysis_report", "test_analysis_notebook", "test_analysis_deepracer_utils", "test_cli_jobs"),
    *("test_cli_evaluate", "test_training_course", "test_fuzz_readers"),
)
settings.register_profile("untimed", deadline=None)  # how long an example takes is the machine's business
settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """What was imported stays: to look through its million objects for garbage, again and again, takes seconds."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with files that start Ray: they wait for it while other processes of the run can work. Then long ones."""
    starts_ray = {path: bool(RAY.search(path.read_text())) for path in {item.path for item in items}}
    items.sort(key=lambda item: (not starts_ray[item.path], item.path.stem not in LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give whole files to the processes of a run, and to one of them all that share `ray_cluster`: it starts once."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "ray_cluster" if "ray_cluster" in (config.rootpath / file).read_text() else file

    config.option.loadscopereorder = False  # in the order above, not by the number of their tests
    return Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def jobs_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep trainings of tests, also those in processes of their own, out of the user's list of jobs."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HOTLAP_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def modules_for_processes() -> Iterator[None]:
    """Let processes that tests start, and Ray's, find the small network of the tests, and our modules compiled."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # each would compile them for itself
        environment.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session", autouse=True)
def grounds_painted_once() -> Iterator[None]:
    """Paint the ground of a track once in a process: seconds of work, which the tests of grounds look at themselves."""
    with pytest.MonkeyPatch.context() as patches:
        paint_grounds_once(patches)
        yield


@pytest.fixture(scope="module")
def slim_networks() -> Iterator[None]:
    """Let the built-in networks have 16 features instead of 128 or 512: the same layers, a thirtieth of the weights.

    In this process; those that a test starts have the whole ones.
    """
    from hotlap.rl.architectures import ARCHITECTURES

    with pytest.MonkeyPatch.context() as patches:
        for name, architecture in ARCHITECTURES.items():
            slim = replace(architecture, middleware=(16,) * len(architecture.middleware))
            patches.setitem(ARCHITECTURES, name, slim)
        yield


@pytest.fixture(scope="module")
def short_run_offs() -> Iterator[None]:
    """Let the best checkpoints of trainings drive against one another at the end for three sets of cars, not five."""
    from hotlap.training import ranking

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(ranking, "MAX_FINAL_SETS", ranking.MAX_SETS + 1)
        yield


@pytest.fixture(scope="module")
def coarse_figures() -> Iterator[None]:
    """Draw figures coarsely: most of the time goes into painting them and into placing their parts."""
    with pytest.MonkeyPatch.context() as patches:
        draw_coarsely(patches)
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
    pytest.importorskip("ray", reason="several workers need hotlap[cluster]")
    from hotlap.rollouts.ray_session import connect

    os.environ.setdefault("RAY_worker_niceness", "0")  # workers are what is tested, not what may wait
    session = connect(None, num_workers=8, store_bytes=0)
    yield
    session.close()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server that tests may share; the one that the user gives, or one of ours."""
    server = serve(tmp_path_factory.mktemp("s3"))
    yield server
    server.stop()


@pytest.fixture
def s3_bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bucket of this test's own, on the server that the environment names; the user's AWS files are hidden."""
    name = f"hotlap-{tmp_path_factory.mktemp('bucket').name}-{os.getpid()}"
    s3_server.client().create_bucket(Bucket=name)
    hide_aws_settings(monkeypatch)
    for variable, value in s3_server.environment.items():
        monkeypatch.setenv(variable, value)
    return name


@pytest.fixture(autouse=True)
def _own_ray_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet on this machine keeps Ray on loopback by a variable; what another test starts must not inherit it."""
    monkeypatch.delenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", raising=False)
