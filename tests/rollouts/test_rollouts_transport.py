"""Episodes on their way between machines arrive as they left."""

from __future__ import annotations

import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hotlap_process import trained_before
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tiny_model import write_model

from hotlap.bench.transport_speed import FAR, HEAD, two_nodes
from hotlap.errors import MissingExtraError
from hotlap.rollouts.fleet import InProcessFleet
from hotlap.rollouts.model import RolloutSetup, build_network, rollout_setup
from hotlap.rollouts.plan import EpisodePlan, StartRule, plan_training
from hotlap.rollouts.request import CollectRequest
from hotlap.rollouts.transport import PackedEpisode, pack, unpack
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.sim.scene import RaceRules

pytest.importorskip("zstandard", reason="zstandard is not installed: pip install 'hotlap[cluster]'")


def weights(setup: RolloutSetup) -> dict[str, torch.Tensor]:
    values = build_network(setup.metadata, setup.network, seed=1).state_dict()
    return {name: value for name, value in values.items() if name.startswith("policy.")}


def plans(num_episodes: int) -> list[EpisodePlan]:
    return plan_training([StartRule()], job_seed=4, iteration=0, num_episodes=num_episodes, first_number=0)


def play(setup: RolloutSetup, num_episodes: int, *, explore: bool = True) -> list[PlayedEpisode]:
    return (
        InProcessFleet(setup)
        .start(CollectRequest(plans(num_episodes), weights(setup), explore, learn=explore))
        .result()
    )


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> RolloutSetup:
    folder = write_model(tmp_path_factory.mktemp("models") / "tiny")
    return rollout_setup(folder, folder.job)


@pytest.fixture(scope="module")
def episodes(setup: RolloutSetup) -> list[PlayedEpisode]:
    return play(setup, 3)


def assert_same(one: Any, other: Any, where: str = "episode") -> None:
    """Equal in every field, arrays to the byte."""
    assert type(one) is type(other), where
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape), where
        assert one.tobytes() == other.tobytes(), where
    elif isinstance(one, dict):
        assert list(one) == list(other), where
        for name in one:
            assert_same(one[name], other[name], f"{where}[{name!r}]")
    elif is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name), f"{where}.{field.name}")
    else:
        assert one == other, where


def test_an_episode_arrives_as_it_left(episodes):
    """Frames, trace, plan and all that is learned from are the same to the byte, after a pickle as Ray makes one."""
    for episode in episodes:
        assert_same(unpack(pickle.loads(pickle.dumps(pack(episode)))), episode)


def test_an_episode_that_was_cut_off_arrives_as_it_left(setup):
    """Its last observation is part of it."""
    limited = replace(setup, races=tuple(replace(race, rules=RaceRules(max_steps=6)) for race in setup.races))
    (episode,) = play(limited, 1)
    assert episode.experience.final_obs
    assert_same(unpack(pack(episode)), episode)


def test_an_episode_of_an_evaluation_arrives_as_it_left(setup):
    """It has no frames."""
    (episode,) = play(setup, 1, explore=False)
    assert episode.experience is None
    assert_same(unpack(pack(episode)), episode)


@settings(deadline=None, max_examples=50)
@given(
    frames=arrays.arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(1), st.integers(1, 30), st.integers(1, 30))),
    ranges=arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.just(8)), elements=st.floats(0, 12, width=32)),
)
def test_any_frames_arrive_as_they_left(episodes, frames, ranges):
    """Noise, flat grey, the smallest image; what is no camera beside them."""
    num_steps = min(len(frames), len(ranges))
    experience = replace(
        episodes[0].experience,
        # A view whose rows are apart in memory: what is packed need not be contiguous.
        obs={"CAMERA": np.repeat(frames[:num_steps], 2, axis=-1)[..., ::2], "LIDAR": ranges[:num_steps]},
        **{
            name: getattr(episodes[0].experience, name)[:1].repeat(num_steps)
            for name in ("actions", "log_probs", "rewards")
        },
    )
    episode = replace(episodes[0], experience=experience)
    arrived = unpack(pack(episode))
    assert_same(arrived, episode)
    assert arrived.experience.obs["LIDAR"] is experience.obs["LIDAR"]


def test_packing_makes_frames_smaller(episodes):
    """Two frames travel in the room of one, or it would not be worth the time."""
    raw = sum(frames.nbytes for episode in episodes for frames in episode.experience.obs.values())
    sent = sum(packed.data.nbytes for episode in episodes for packed in pack(episode).frames.values())
    assert sent < raw / 2
    left = sum(frames.nbytes for episode in episodes for frames in pack(episode).rest.experience.obs.values())
    assert left == 0


def test_what_was_not_packed_is_not_touched(episodes):
    """On one machine the trainer reads frames where the worker put them."""
    assert unpack(episodes[0]) is episodes[0]


def test_absence_of_zstandard_is_an_error_that_tells_the_way(episodes, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hotlap\[cluster\]'") as caught:
        pack(episodes[0])
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # it may come from a worker


@pytest.mark.skipif(sys.platform != "linux", reason="a machine has one loopback address elsewhere")
def test_a_fleet_packs_what_goes_from_machine_to_machine_and_nothing_else(setup):
    """With a worker on the trainer's node and one on another: the same episodes as in one process."""
    pytest.importorskip("ray", reason="ray is not installed: pip install 'hotlap[cluster]'")
    double = replace(setup, precision="float64")  # sums do not depend on who plays beside whom
    with ProcessPoolExecutor(1, mp_context=trained_before()) as pool:  # Ray keeps the settings of its first session
        episodes, packed = pool.submit(play_on_two_nodes, double, 6).result()
    assert_same(dict(enumerate(episodes)), dict(enumerate(play(double, 6))))
    assert packed == {HEAD: {False}, FAR: {True}}


def play_on_two_nodes(setup: RolloutSetup, num_episodes: int) -> tuple[list[PlayedEpisode], dict[str, set[bool]]]:
    """The episodes, and by address of the worker whether they came packed."""
    from hotlap.rollouts import ray_fleet

    came: dict[int, bool] = {}

    def unpack_and_tell(received: PlayedEpisode | PackedEpisode) -> PlayedEpisode:
        episode = unpack(received)
        came[episode.plan.number] = isinstance(received, PackedEpisode)
        return episode

    ray_fleet.unpack = unpack_and_tell
    with two_nodes(), closing(ray_fleet.RayFleet(setup, 2, cluster="auto")) as fleet:
        while not all(worker.ready for worker in fleet.workers):
            fleet.advance(0.1)
        batch = fleet.start(CollectRequest(plans(num_episodes), weights(setup)))
        tasks: dict[str, set[int]] = {}
        while len(tasks) < 2:  # one of them may be looked after at this moment, and gets its share a little later
            for worker in fleet.workers:
                if worker.tasks:
                    tasks.setdefault(worker.info.address, worker.tasks[0].outstanding.copy())
            if len(tasks) < 2:
                fleet.advance(0.01)
        episodes = batch.result()
    return episodes, {address: {came[number] for number in numbers} for address, numbers in tasks.items()}
