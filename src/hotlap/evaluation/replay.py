"""Drive a recorded episode again, to look at it: same seed, same actions, same poses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hotlap.analysis.drives import Drive
from hotlap.envs.race import Race, RaceConfig
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.sim.vehicle import CONTROL_PERIOD


def drive_of(episode: PlayedEpisode, *, camera: np.ndarray | None = None, objects: np.ndarray | None = None) -> Drive:
    """The line of an episode, for figures and videos."""
    trace = episode.trace
    finished = np.cumsum(trace["progress"] >= 100.0)
    lap = 1 + np.concatenate([[0], finished[:-1]])
    steps = np.arange(len(lap))
    begins = np.concatenate([[0], np.flatnonzero(np.diff(lap)) + 1])
    return Drive(
        x=trace["x"],
        y=trace["y"],
        yaw=np.deg2rad(trace["heading"]),
        speed=trace["speed"],
        steer=trace["steering_angle"],
        progress=trace["progress"],
        time=(steps - begins[lap - 1] + 1) * CONTROL_PERIOD,
        lap=lap,
        status=episode.status,
        name=f"trial {episode.plan.number + 1}",
        camera=camera,
        objects=objects,
    )


def film(config: RaceConfig, episode: PlayedEpisode, *, scale: int = 3) -> Drive:
    """The drive of an episode with what its car saw, in color, and the objects on the track.

    Args:
        config: The race it was played in.
        episode: From any worker: the same seed and actions give the same poses.
        scale: Pixels of the film per row and column of the car's own camera.
    """
    race = Race(replace(config, reward=_no_reward), 1)
    renderer, images = race.simulator.color_camera(scale=scale)
    race.reset([0], [episode.plan.start])
    world = np.zeros(1, dtype=np.int64)
    frames = np.empty((episode.num_steps, *images.shape[1:]), dtype=np.uint8)
    objects = np.empty((episode.num_steps, race.scene.num_objects, 4, 2))
    for step, action in enumerate(episode.trace["action"]):
        race.simulator.look(renderer, images)
        frames[step] = images.numpy()[0]
        objects[step] = race.footprints(world)[0]
        race.step(world, action[None])
    return drive_of(episode, camera=frames, objects=objects)


def _no_reward(params: dict[str, object]) -> float:
    return 0.0
