"""Episodes played by worker processes: the same as in this process, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from played_episodes import assert_same, training_plans, weights_of
from tiny_model import ROUND_AND_ROUND, write_model

from hotlap.config.model_folder import ModelFolder
from hotlap.errors import RewardError, TrainingError
from hotlap.rollouts.fleet import InProcessFleet
from hotlap.rollouts.model import rollout_setup
from hotlap.rollouts.plan import plan_evaluation
from hotlap.rollouts.ray_fleet import RayFleet
from hotlap.rollouts.request import CollectRequest
from hotlap.rollouts.worker import PlayedEpisode

# Does what files beside it say. Of several calls, in whichever processes, one takes a file `once-…`: renaming succeeds
# once. A file `always-…` is for all calls, a file `…-{pid}` for those in one process.
STEERED = """
import ctypes
import os
import pathlib
import time

HERE = pathlib.Path(__file__).parent


class Unforeseen(BaseException):
    pass


def asked_to(what):
    for name in (f"always-{what}", f"{what}-{os.getpid()}"):
        if (HERE / name).exists():
            return True
    try:
        os.rename(HERE / f"once-{what}", HERE / f"done-{what}")
    except OSError:
        return False
    return True


def reward_function(params):
    if params["steps"] > 4:
        if asked_to("crash"):
            ctypes.string_at(0)
        if asked_to("hang"):
            while True:
                time.sleep(0.01)
        if asked_to("hold"):
            ctypes.PyDLL(None).sleep(1000)  # keeps Python's lock
        if asked_to("surprise"):
            raise Unforeseen("nobody expects this")
        if asked_to("fail"):
            raise RuntimeError("as asked")
        while (HERE / "wait").exists():
            (HERE / f"waiting-{os.getpid()}").touch()
            time.sleep(0.01)
    return 1.0 - params["distance_from_center"] / params["track_width"]
"""
HANG_LINE = STEERED.splitlines().index("            while True:") + 1
FAIL_LINE = STEERED.splitlines().index('            raise RuntimeError("as asked")') + 1

pytestmark = pytest.mark.usefixtures("ray_cluster")


# What happens to workers


class Rig:
    """A fleet of two workers, its messages, and the files that steer its reward function."""

    def __init__(self, model: ModelFolder) -> None:
        self.folder = model.path
        self.setup = rollout_setup(model, model.job.updated(training={"workers": 2}))
        self.weights = weights_of(self.setup)
        self.plans = training_plans(4)
        self.expected = InProcessFleet(self.setup).start(CollectRequest(self.plans, self.weights)).result()
        self.messages: list[str] = []
        self.fleet = RayFleet(self.setup, 2, on_message=self.messages.append)

    def ask(self, what: str) -> None:
        (self.folder / what).touch()

    def forget(self) -> None:
        for path in self.folder.iterdir():
            if path.name.partition("-")[0] in ("once", "done", "always", "wait", "waiting", "fail"):
                path.unlink()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain; messages: {self.messages}"
            self.fleet.advance(0.1)

    def recover(self) -> None:
        """Wait until both workers are ready."""
        self.wait_until(lambda: all(worker.ready for worker in self.fleet.workers))

    def waiting(self) -> list[int]:
        """Process ids of workers that wait in the reward function."""
        return [int(path.name.partition("-")[2]) for path in self.folder.glob("waiting-*")]

    def play(self) -> list[PlayedEpisode]:
        return self.fleet.start(CollectRequest(self.plans, self.weights)).result()


@pytest.fixture(scope="module")
def shared_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(write_model(tmp_path_factory.mktemp("rig"), reward=STEERED, actions=ROUND_AND_ROUND))
    yield rig
    rig.fleet.close()


@pytest.fixture
def rig(shared_rig: Rig) -> Iterator[Rig]:
    """Both workers there, nothing asked for, nothing said."""
    shared_rig.recover()
    shared_rig.messages.clear()
    shared_rig.fleet.timeout_s = 60.0
    yield shared_rig
    shared_rig.forget()


def one_line_each(messages: Sequence[str]) -> bool:
    return all("\n" not in message and 0 < len(message) < 400 for message in messages)


def test_a_worker_killed_in_the_middle_costs_nothing(rig: Rig):
    """kill -9 while it plays: its episodes come from elsewhere, the same ones, each once; a new worker joins."""
    rig.ask("wait")
    batch = rig.fleet.start(CollectRequest(rig.plans, rig.weights))
    rig.wait_until(lambda: len(rig.waiting()) == 2)
    os.kill(rig.waiting()[0], signal.SIGKILL)
    (rig.folder / "wait").unlink()
    assert_same(batch.result(), rig.expected)
    rig.recover()
    assert len(rig.messages) == 2
    assert "killed" in rig.messages[0]
    assert "Planned again: episode" in rig.messages[0]
    assert rig.messages[1].endswith("joined.")
    assert one_line_each(rig.messages)


def test_a_worker_killed_while_idle_is_replaced(rig: Rig):
    """Nobody waited for it; the next episodes are planned again when it is found out."""
    victim = rig.fleet.workers[1].info
    assert victim is not None
    os.kill(victim.pid, signal.SIGKILL)
    assert_same(rig.play(), rig.expected)
    rig.recover()
    assert [f"process {victim.pid}" in message for message in rig.messages] == [True, False]


@pytest.mark.slow
def test_both_workers_killed_at_once(rig: Rig):
    """Nobody is left for a while; the episodes wait for the new ones."""
    rig.ask("wait")
    batch = rig.fleet.start(CollectRequest(rig.plans, rig.weights))
    rig.wait_until(lambda: len(rig.waiting()) == 2)
    for pid in rig.waiting():
        os.kill(pid, signal.SIGKILL)
    (rig.folder / "wait").unlink()
    assert_same(batch.result(), rig.expected)


def test_a_batch_behind_another_survives_a_kill(rig: Rig):
    """An evaluation waits behind a collection when both workers' processes are shot: both come, complete."""
    laps = plan_evaluation(job_seed=3, number=1, num_laps=2)
    expected = InProcessFleet(rig.setup).start(CollectRequest.evaluation(laps, rig.weights)).result()
    rig.ask("wait")
    collection = rig.fleet.start(CollectRequest(rig.plans, rig.weights))
    evaluation = rig.fleet.start(CollectRequest.evaluation(laps, rig.weights))
    rig.wait_until(lambda: len(rig.waiting()) == 2)
    os.kill(rig.waiting()[1], signal.SIGKILL)
    (rig.folder / "wait").unlink()
    assert_same(evaluation.result(), expected)
    assert_same(collection.result(), rig.expected)


def test_a_worker_that_crashes_once_is_replaced(rig: Rig):
    """A crash in compiled code."""
    rig.ask("once-crash")
    assert_same(rig.play(), rig.expected)
    assert (rig.folder / "done-crash").exists()
    assert "died" in rig.messages[0]
    assert not any("\n" in message for message in rig.messages)


def test_an_exception_that_ends_processes_ends_the_job(rig: Rig):
    """What is not an Exception is the function's own doing: named at once, not tried on another worker."""
    rig.ask("once-surprise")
    with pytest.raises(RewardError, match="Unforeseen: nobody expects this"):
        rig.play()


@pytest.mark.parametrize(("what", "said"), [("hang", "has made no step after"), ("hold", "has not answered")])
def test_a_reward_function_that_hangs_once(rig: Rig, what: str, said: str):
    """An endless loop, or compiled code that keeps Python's lock: the worker is ended, its episodes come anyway."""
    rig.fleet.timeout_s = 4.0
    rig.ask(f"once-{what}")
    assert_same(rig.play(), rig.expected)
    assert said in rig.messages[0]
    assert (f"line {HANG_LINE}" in rig.messages[0] or f"line {HANG_LINE + 1}" in rig.messages[0]) == (what == "hang")


@pytest.mark.slow
def test_a_reward_function_that_hangs_on_two_workers_is_to_blame(rig: Rig):
    """An error with file and line, not a third attempt."""
    rig.fleet.timeout_s = 4.0
    rig.ask("always-hang")
    with pytest.raises(RewardError, match=rf"reward_function.py, line ({HANG_LINE}|{HANG_LINE + 1}): .*not returned"):
        rig.play()
    rig.forget()
    assert_same(rig.play(), rig.expected)


def test_a_reward_function_that_fails_everywhere_stops_with_its_own_error(rig: Rig):
    """File, line, episode and step, as if it were played here; no worker is ended for it."""
    before = [worker.info for worker in rig.fleet.workers]
    rig.ask("always-fail")
    with pytest.raises(RewardError, match=rf"reward_function.py, line {FAIL_LINE}, episode \d, step 5: RuntimeError"):
        rig.play()
    rig.forget()
    assert [worker.info for worker in rig.fleet.workers] == before
    assert_same(rig.play(), rig.expected)


def test_a_reward_function_that_fails_on_one_worker_only(rig: Rig):
    """The other one plays on: what is wrong may be that machine's."""
    broken = rig.fleet.workers[0].info
    assert broken is not None
    rig.ask(f"fail-{broken.pid}")
    assert_same(rig.play(), rig.expected)
    assert f"process {broken.pid}" in rig.messages[0]
    assert "RuntimeError: as asked" in rig.messages[0]


def test_a_cancelled_batch_does_not_hinder_the_next(rig: Rig):
    """Workers leave off what they play of it."""
    rig.ask("wait")
    batch = rig.fleet.start(CollectRequest(rig.plans, rig.weights))
    rig.wait_until(lambda: len(rig.waiting()) == 2)
    batch.cancel()
    (rig.folder / "wait").unlink()
    assert_same(rig.play(), rig.expected)
    assert rig.messages == []


def test_two_fleets_share_a_cluster(rig: Rig):
    """Neither plays the other's episodes, and one may end while the other plays."""
    other = RayFleet(rig.setup, 1, on_message=rig.messages.append)
    try:
        weights = weights_of(rig.setup, seed=2)
        ours = rig.fleet.start(CollectRequest(rig.plans, rig.weights))
        theirs = other.start(CollectRequest(rig.plans, weights))
        expected = InProcessFleet(rig.setup).start(CollectRequest(rig.plans, weights)).result()
        assert_same(theirs.result(), expected)
    finally:
        other.close()
    assert_same(ours.result(), rig.expected)
    assert rig.messages == []


@pytest.mark.slow
def test_an_episode_that_every_worker_dies_with(rig: Rig):
    """Five workers, then an error: nobody tries for ever."""
    rig.ask("always-crash")
    with pytest.raises(TrainingError, match=r"episode \d could not be played to its end: 5 workers"):
        rig.play()
    rig.forget()
    assert_same(rig.play(), rig.expected)


# Workers that cannot be started


def test_what_is_wrong_with_the_reward_file_shows_before_any_episode(tmp_path: Path):
    """A file that cannot be loaded on a worker is the user's error, with file and line, and nothing is left behind."""
    reward = (
        f"import os\nassert os.getpid() == {os.getpid()}, 'not here'\ndef reward_function(params):\n    return 1.0\n"
    )
    model = write_model(tmp_path, reward=reward)
    with pytest.raises(RewardError, match=r"reward_function.py, line 2: .*not here"):
        RayFleet(rollout_setup(model, model.job), 2)


@pytest.mark.slow
def test_a_reward_file_that_never_ends_loading_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With the line where it is, instead of a training that never begins."""
    monkeypatch.setattr("hotlap.rollouts.ray_fleet.START_TIMEOUT_S", 20.0)
    model = write_model(tmp_path, reward="import time\nwhile True:\n    time.sleep(0.01)\n")
    with pytest.raises(
        RewardError, match=r"reward_function.py, line [23]: the reward function has not returned after \d+ s"
    ):
        RayFleet(rollout_setup(model, model.job), 2)


@pytest.mark.slow
def test_a_place_where_no_worker_starts_does_not_stop_the_others(tmp_path: Path):
    """Its processes die while they load; training begins with the others, and says so."""
    reward = """
import ctypes, os, pathlib
try:
    os.rename(pathlib.Path(__file__).parent / "good", pathlib.Path(__file__).parent / "taken")
except OSError:
    ctypes.string_at(0)
def reward_function(params):
    return 1.0
"""
    model = write_model(tmp_path, reward=reward, hyperparameters={"num_episodes_between_training": 1})
    job = model.job.updated(training={"eval_laps": 1})
    messages: list[str] = []
    with pytest.raises(TrainingError, match="3 attempts in a row failed"):
        RayFleet(rollout_setup(model, job), 2, on_message=messages.append)
    (tmp_path / "good").touch()
    fleet = RayFleet(rollout_setup(model, job), 2, on_message=messages.append)
    try:
        assert sum(worker.ready for worker in fleet.workers) == 1
        assert "Training goes on without it" in messages[-1]
        weights: Any = weights_of(fleet_setup := rollout_setup(model, job))
        assert fleet_setup.num_worlds == 1
        assert len(fleet.start(CollectRequest(training_plans(2), weights)).result()) == 2
    finally:
        fleet.close()
