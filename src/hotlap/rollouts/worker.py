"""Play episodes with a policy: the rollout worker, a plain class that runs anywhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import STATUS_NAMES
from hotlap.envs.race import Race, RaceConfig
from hotlap.records.steps import Steps
from hotlap.rl.episode import Episode
from hotlap.rl.policy import Policy
from hotlap.rollouts.disturbance import Disturbance
from hotlap.rollouts.noise import EpisodeNoise
from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.request import CollectRequest
from hotlap.rollouts.transcript import Transcript
from hotlap.sim.starts import Start

_COLUMNS = (  # of a race that are columns of `Steps`
    "x",
    "y",
    "heading",
    "steering_angle",
    "speed",
    "all_wheels_on_track",
    "progress",
    "nearest_waypoint",
    "status",
    "pause_duration",
)


@dataclass
class PlayedEpisode:
    """What came of an episode: what the learner needs, what the records need."""

    plan: EpisodePlan
    steps: Steps
    """All of them, the `prepare` step included. The laps of a continuous evaluation count as episodes."""
    actions: np.ndarray
    """What the policy chose at each: an index, (num_steps,), or the unclipped sample, float32 (num_steps, num_dims)."""
    experience: Episode | None
    """The steps to learn from; None in evaluations, and for episodes without any."""

    @property
    def track(self) -> int:
        """Index in the scene."""
        return self.plan.start.track

    @property
    def num_steps(self) -> int:
        """Control steps, the `prepare` step included."""
        return len(self.steps)

    @property
    def reward(self) -> float:
        """Sum of rewards."""
        return float(self.steps.reward.sum())

    @property
    def progress(self) -> float:
        """Progress when it ended [%]."""
        return float(self.steps.progress[-1])

    @property
    def status(self) -> str:
        """Name of the status of the last step."""
        return STATUS_NAMES[self.steps.status[-1]]

    @property
    def completed(self) -> bool:
        """Whether the lap was driven to its end."""
        return self.status == "lap_complete"


class RolloutWorker:
    """Plays planned episodes, many at a time, with the weights it is given.

    Args:
        config: The race.
        policy: Acts on observations; a request may bring other weights for it.
        num_worlds: How many episodes run side by side.
        guide: Drives guided episodes in its stead.
    """

    def __init__(self, config: RaceConfig, policy: Policy, *, num_worlds: int, guide: Policy | None = None) -> None:
        self.race = Race(config, num_worlds)
        self.policy, self.guide = policy, guide

    def collect(
        self, request: CollectRequest, *, on_step: Callable[[int, int], None] | None = None
    ) -> list[PlayedEpisode]:
        """The episodes of ``request`` in order of number, all played; see `play`."""
        return within_cap(self.play(request, on_step=on_step), request.step_cap)

    def play(
        self, request: CollectRequest, *, on_step: Callable[[int, int], None] | None = None
    ) -> Iterator[PlayedEpisode]:
        """Give each episode of ``request`` when it ends.

        Under a step cap, episodes are stopped that cannot be among those that `within_cap` keeps; some that it drops
        may come.

        Args:
            request: What to play; its weights are copied before the first episode begins.
            on_step: Called with (episodes finished, steps played) as they change.

        Raises:
            RewardError: If the reward function fails.
            ValueError: If the weights are those of another network.
        """
        if request.weights is not None:
            self.policy.load(request.weights)
        game = _Game(self.race, self.policy, self.guide, request)
        try:
            while len(worlds := game.worlds):
                for world in game.step(worlds):
                    yield game.finish(world)
                game.begin()
                if on_step is not None:
                    on_step(game.num_finished, int(game.steps.sum()))
        finally:
            self.race.stop(game.worlds.tolist())

    def warm_up(self) -> None:
        """Make the first step without asking the reward function, so that the first episode waits for no compiler."""
        world = np.zeros(1, dtype=np.int64)
        self.race.reset([0], [Start()])
        self.policy.act(_tensors(self.race.observe(world)), torch.zeros(1, 1, self.policy.noise_size), greedy=True)
        self.race.simulator.apply_rules()
        self.race.simulator.drive()
        self.race.stop([0])


class _Game:
    """The episodes of a request on their way through the worlds of a race, until all are played."""

    def __init__(self, race: Race, policy: Policy, guide: Policy | None, request: CollectRequest) -> None:
        self.race, self.policy, self.guide, self.request = race, policy, guide, request
        self.plans = request.plans
        self.steps = np.zeros(len(self.plans), dtype=np.int64)
        """Played so far of each plan."""
        self.num_finished = 0
        self._waiting = deque(range(len(self.plans)))
        self._plan_of = np.full(race.num_worlds, -1)  # index of the plan that a world plays; -1: none
        self._transcript = Transcript(race.num_worlds)
        self._noise = EpisodeNoise(race.num_worlds, policy.network.actions, policy.noise_size)
        self._disturbance = Disturbance(race.num_worlds, request.disturb) if request.disturb else None
        self._steps_before = np.array([plan.steps_before for plan in self.plans])
        self._pace = np.array([plan.pace for plan in self.plans])
        self._guided = np.array([plan.guided for plan in self.plans], dtype=bool)
        self._driven_again = np.array([plan.actions is not None for plan in self.plans], dtype=bool)
        self._final: tuple[np.ndarray, dict[str, np.ndarray]]
        self.begin()

    @property
    def worlds(self) -> np.ndarray:
        """Those in which an episode is played."""
        return np.flatnonzero(self._plan_of >= 0)

    def begin(self) -> None:
        """Let as many waiting episodes begin as worlds are free."""
        free = np.flatnonzero(self._plan_of < 0)[: len(self._waiting)]
        if not len(free):
            return
        numbers = [self._waiting.popleft() for _ in free]
        plans = [self.plans[number] for number in numbers]
        self.race.reset(
            free.tolist(),
            [plan.start for plan in plans],
            clocks=[plan.clock for plan in plans],
            episodes=[plan.number for plan in plans],
        )
        self._plan_of[free] = numbers
        self._transcript.begin(free)
        for world, plan in zip(free.tolist(), plans, strict=True):
            self._noise.begin(world, plan.start.seed)
            if self._disturbance is not None:
                self._disturbance.begin(world, plan.start.seed)

    def step(self, worlds: np.ndarray) -> list[int]:
        """Act in ``worlds``, all in which an episode is played; returns those where it ended, to be finished."""
        obs = self.race.observe(worlds)
        numbers = self._plan_of[worlds]
        seen = _tensors(obs)
        if self._disturbance is not None:
            seen = self._disturbance.of(worlds, seen)
        steps = self._transcript.num_steps(worlds)
        steps_taken = torch.from_numpy(self._steps_before[numbers] + self._pace[numbers] * steps)[:, None]
        noise = torch.from_numpy(self._noise.of(worlds, steps))[:, None]  # of one car in each world
        acted = self.policy.act(seen, noise, greedy=not self.request.explore, steps_taken=steps_taken)
        actions, log_probs = acted.action.numpy(), acted.log_prob.numpy()
        if (guided := self._guided[numbers]).any():
            assert self.guide is not None, "a guided episode needs a guide"
            actions[guided] = self.guide.act(seen, noise).action.numpy()[guided]
        for row in np.flatnonzero(self._driven_again[numbers]).tolist():
            actions[row, 0] = self.plans[numbers[row]].actions[steps[row]]
        found = self.race.step(worlds, actions)
        columns = {name: found.columns[name] for name in (*_COLUMNS, "steps", "sim_time")} | {
            "action": actions,
            "log_prob": log_probs,
            "reward": found.rewards,
            "running": found.running,
            "terminated": found.terminated,
            "truncated": found.truncated,
        }
        of_car = {name: column[:, 0] for name, column in columns.items()}
        self._transcript.write(
            worlds, of_car, {name: seen[:, 0] for name, seen in obs.items()} if self.request.learn else None
        )
        self.steps[numbers] += 1
        ended = worlds[of_car["terminated"] | of_car["truncated"]]
        if len(ended):
            self._final = ended, {name: seen[:, 0] for name, seen in self.race.observe(ended).items()}
        self._drop_beyond_cap(ended)
        return ended.tolist()

    def finish(self, world: int) -> PlayedEpisode:
        """The episode that ended in a world, which is free then."""
        plan = self.plans[self._plan_of[world]]
        self._plan_of[world] = -1
        self.num_finished += 1
        columns = self._transcript.read(world)
        actions, running = columns.pop("action"), columns.pop("running")
        terminated, truncated = columns.pop("terminated"), columns.pop("truncated")
        log_probs = columns.pop("log_prob")
        steps = Steps.of(
            step=columns.pop("steps"),
            action=actions if actions.ndim == 1 else -1,
            done=terminated | truncated,
            track_length=self.race.scene.tracks[plan.start.track].length,
            # The original stamps a row after the step, when the next frame has come.
            time=columns.pop("sim_time") + CONTROL_PERIOD,
            **columns,
        )
        steps = replace(steps, episode=plan.worker_number + steps.lap)
        # The action of a `prepare` step is not executed, so there is nothing to learn from it.
        run = np.flatnonzero(running)
        experience = None
        if self.request.learn and len(run):
            ended, final = self._final
            row = int(np.searchsorted(ended, world))
            experience = Episode(
                obs=self._transcript.observations(world, run),
                actions=actions[run],
                log_probs=log_probs[run],
                rewards=steps.reward[run].astype(np.float32),
                terminated=bool(terminated[-1]),
                truncated=bool(truncated[-1]),
                final_obs={sensor: seen[row] for sensor, seen in final.items()} if truncated[-1] else None,
            )
        return PlayedEpisode(plan, steps, actions, experience)

    def _drop_beyond_cap(self, ended: np.ndarray) -> None:
        """Stop episodes that cannot be below the step cap any more, by what the earlier ones have played so far."""
        cap = self.request.step_cap
        if cap is None:
            return
        beyond = np.cumsum(self.steps) > cap
        if not beyond.any():
            return
        dropped = [world for world in self.worlds.tolist() if beyond[self._plan_of[world]] and world not in ended]
        self.race.stop(dropped)
        self._plan_of[dropped] = -1
        self._waiting.clear()


def _tensors(obs: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {sensor: torch.from_numpy(values) for sensor, values in obs.items()}


def within_cap(episodes: Iterable[PlayedEpisode], step_cap: int | None) -> list[PlayedEpisode]:
    """Episodes in order of number, up to the one that would bring their steps over ``step_cap``.

    That one and all after it are dropped, as the original's trainer does.
    """
    kept: list[PlayedEpisode] = []
    total = 0
    for episode in sorted(episodes, key=lambda each: each.plan.number):
        total += episode.num_steps
        if step_cap is not None and total > step_cap:
            break
        kept.append(episode)
    return kept
