"""All that a process needs to play episodes of a job: its races, each with its worker, and one policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from hotlap.rewards import guard
from hotlap.rl.policy import Policy
from hotlap.rollouts.model import RolloutSetup, build_guide, build_network
from hotlap.rollouts.request import CollectRequest
from hotlap.rollouts.worker import PlayedEpisode, RolloutWorker
from hotlap.sensors.kinds import register


class RolloutHost:
    """Plays planned episodes of all races of a job; a race is built when its first episode comes."""

    def __init__(self, setup: RolloutSetup) -> None:
        self.setup = setup
        for name, kind in setup.sensors.items():
            register(name, kind)
        guard.configure(limit_s=setup.reward_limit_s, job=[each.reward for each in setup.races])
        network = build_network(setup.metadata, setup.network, critic=setup.critic)
        self.policy = Policy(network, precision=setup.precision, exploration=setup.exploration)
        self.guide: Policy | None = None
        if setup.guide is not None:
            self.guide = Policy(build_guide(setup.metadata, setup.guide), precision=setup.precision)
        self.loading = False
        """Whether a race is being built, which may compile the simulator, at the moment."""
        self._workers: dict[int, RolloutWorker] = {}

    def worker(self, race: int) -> RolloutWorker:
        """The worker of a race, by the index of the race.

        Raises:
            HotlapError: If the race cannot be built.
        """
        if race not in self._workers:
            self.loading = True
            try:
                worker = RolloutWorker(
                    self.setup.races[race], self.policy, num_worlds=self.setup.num_worlds, guide=self.guide
                )
                # What only the first step loads or compiles belongs to the building.
                worker.warm_up()
            finally:
                self.loading = False
            self._workers[race] = worker
        return self._workers[race]

    def play(
        self, request: CollectRequest, *, on_step: Callable[[int, int], None] | None = None
    ) -> Iterator[PlayedEpisode]:
        """Play a request race by race, and give each episode when it ends; see `RolloutWorker.play`.

        Raises:
            HotlapError: If a race cannot be built, or its reward function fails.
        """
        num_races = len(self.setup.races)
        finished = steps = 0

        def count(done: int, played: int) -> None:
            if on_step is not None:
                on_step(finished + done, steps + played)

        for race in range(num_races):
            plans = [plan for plan in request.plans if plan.worker % num_races == race]
            if not plans:
                continue
            worker = self.worker(race)
            count(0, 0)
            played = 0
            for episode in worker.play(replace(request, plans=plans), on_step=count):
                played += episode.num_steps
                yield episode
            finished, steps = finished + len(plans), steps + played
