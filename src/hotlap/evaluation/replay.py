"""Drive a recorded episode again, to look at it: same seed, same actions, same poses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import MISHAPS, STATUS_NAMES, Status
from hotlap.envs.race import Race, RaceConfig
from hotlap.evaluation.laps import lap_steps
from hotlap.film.chase_view import ChaseView
from hotlap.records.drives import Drive
from hotlap.rollouts.worker import PlayedEpisode

if TYPE_CHECKING:
    from hotlap.film.pictures import Shot


def drive_of(episode: PlayedEpisode) -> Drive:
    """The line of an episode, for figures and films."""
    steps = episode.steps
    laps = lap_steps(steps)
    put_back = np.isin(steps.status, MISHAPS)
    put_back[-1] = False  # a mistake that ends the episode
    return Drive(
        x=steps.x,
        y=steps.y,
        yaw=np.deg2rad(steps.heading),
        speed=steps.speed,
        steer=steps.steering_angle,
        progress=steps.progress,
        time=np.concatenate([np.arange(1, len(lap) + 1) for lap in laps]) * CONTROL_PERIOD,
        lap=steps.lap + 1,
        status=episode.status,
        reward=np.concatenate([np.cumsum(steps.reward[lap]) for lap in laps]),
        resets=np.concatenate([np.cumsum(put_back[lap]) for lap in laps]),
        statuses=np.array(STATUS_NAMES)[steps.status],
    )


def trials_of(episode: PlayedEpisode, first: int, name: str = "") -> list[Drive]:
    """The laps of an episode as drives of their own, all of one name; ``first`` is the number of the first one."""
    whole, status = drive_of(episode), episode.steps.status
    # Where the action is not applied the policy is asked, and its speed is recorded, but nothing moves.
    whole = replace(whole, speed=np.where(episode.steps.driving, whole.speed, 0.0))
    return [
        replace(
            whole.part(steps),
            lap=number,
            name=name,
            status=STATUS_NAMES[Status.LAP_COMPLETE if whole.progress[steps[-1]] >= 100.0 else status[steps[-1]]],
        )
        for number, steps in enumerate(lap_steps(episode.steps), start=first)
    ]


def standing_objects(config: RaceConfig, episode: PlayedEpisode) -> np.ndarray:
    """Corners of the objects at the start of an episode [m], shape (num_objects, 4, 2)."""
    race = Race(replace(config, reward=None), 1)
    race.reset([0], [episode.plan.start])
    return race.footprints(np.zeros(1, dtype=np.int64))[0]


class Replay:
    """A race that is driven again.

    Args:
        config: The race in which the episodes were played.
        scale: Pixels of the film per row and column of the car's own camera.
    """

    def __init__(self, config: RaceConfig, *, scale: int = 4) -> None:
        self.race = Race(replace(config, reward=None), 1)
        self._camera, self._images = self.race.simulator.color_camera(scale=scale)

    def shots(self, episode: PlayedEpisode, steps: range) -> Iterator[Shot]:
        """What is seen at some consecutive steps of an episode.

        Args:
            episode: From any worker: the same seed and actions give the same poses.
            steps: Which ones; those before are driven, but not looked at.
        """
        # It draws with Matplotlib, which takes long to load.
        from hotlap.film.pictures import Shot

        race = self.race
        simulator = race.simulator
        race.reset([0], [episode.plan.start])
        world = np.zeros(1, dtype=np.int64)
        chase = ChaseView(simulator, self._camera)
        for step, action in enumerate(episode.actions[: steps.stop]):
            if step >= steps.start:
                simulator.look(self._camera, self._images)
                yield Shot(self._images.numpy()[0], chase.picture(), race.footprints(world)[0])
            race.step(world, action[None, None])
