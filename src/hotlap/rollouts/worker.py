"""Play episodes with a policy: the rollout worker, a plain class that runs anywhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import STATUS_NAMES
from hotlap.envs.race import Race, RaceConfig, RaceStep
from hotlap.records.steps import Steps
from hotlap.rl.episode import Episode
from hotlap.rl.policy import Policy
from hotlap.rl.specs import DiscreteActions
from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.request import CollectRequest
from hotlap.sim.starts import Start

_NOISE_BLOCK = 256  # steps of random numbers drawn at once per episode
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


@dataclass
class _Recording:
    """An episode being played: growing columns."""

    plan: EpisodePlan
    rng: np.random.Generator
    noise: np.ndarray
    rows: list[tuple[RaceStep, tuple[int, int]]] = field(default_factory=list)
    """Steps of the race, and the world and car in each that are this episode's."""
    actions: list[np.ndarray] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    obs: list[dict[str, np.ndarray]] = field(default_factory=list)


class RolloutWorker:
    """Plays planned episodes, many at a time, with the weights it is given.

    Args:
        config: The race.
        policy: Acts on observations; a request may bring other weights for it.
        num_worlds: How many episodes run side by side.
    """

    def __init__(self, config: RaceConfig, policy: Policy, *, num_worlds: int) -> None:
        self.race = Race(config, num_worlds)
        self.policy = policy

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
        race = self.race
        waiting = deque(request.plans)
        playing: dict[int, _Recording] = {}
        finished: dict[int, int] = {}  # steps by number
        steps_played = 0
        try:
            self._start(range(race.num_worlds), waiting, playing)
            while playing:
                worlds = np.array(sorted(playing))
                ended = self._step(worlds, [playing[world] for world in worlds], request)
                steps_played += len(worlds)
                if len(ended):
                    final = race.observe(ended)
                    for row, world in enumerate(ended.tolist()):
                        recording = playing.pop(world)
                        finished[recording.plan.number] = len(recording.rows)
                        yield self._finish(recording, _row(final, (row, 0)), learn=request.learn)
                    self._start(ended.tolist(), waiting, playing)
                if request.step_cap is not None:
                    self._drop_beyond(request.step_cap, request.plans, waiting, playing, finished)
                if on_step is not None:
                    on_step(len(finished), steps_played)
        finally:
            race.stop(list(playing))

    def warm_up(self) -> None:
        """Make the first step without asking the reward function, so that the first episode waits for no compiler."""
        world = np.zeros(1, dtype=np.int64)
        self.race.reset([0], [Start()])
        self.policy.act(_tensors(self.race.observe(world)), torch.zeros(1, 1, self.policy.noise_size), greedy=True)
        self.race.simulator.apply_rules()
        self.race.simulator.drive()
        self.race.stop([0])

    def _step(self, worlds: np.ndarray, recordings: Sequence[_Recording], request: CollectRequest) -> np.ndarray:
        """Act in ``worlds`` and record what comes of it; returns the worlds whose episodes ended."""
        obs = self.race.observe(worlds)
        noise = np.stack([self._noise(recording) for recording in recordings])[:, None]  # of one car in each world
        steps_taken = [each.plan.steps_before + each.plan.pace * len(each.rows) for each in recordings]
        acted = self.policy.act(
            _tensors(obs),
            torch.from_numpy(noise),
            greedy=not request.explore,
            steps_taken=torch.tensor(steps_taken)[:, None],
        )
        actions = acted.action.numpy()
        log_probs = acted.log_prob.numpy()
        found = self.race.step(worlds, actions)
        for number, recording in enumerate(recordings):
            row = number, 0
            recording.rows.append((found, row))
            recording.actions.append(actions[row])
            if request.learn:
                recording.obs.append(_row(obs, row))
                recording.log_probs.append(float(log_probs[row]))
        return worlds[(found.terminated | found.truncated)[:, 0]]

    def _start(self, worlds: Sequence[int], waiting: deque[EpisodePlan], playing: dict[int, _Recording]) -> None:
        pairs = [(world, waiting.popleft()) for world in worlds[: len(waiting)]]
        if not pairs:
            return
        starting, plans = zip(*pairs, strict=True)
        self.race.reset(
            starting,
            [plan.start for plan in plans],
            clocks=[plan.clock for plan in plans],
            episodes=[plan.number for plan in plans],
        )
        for world, plan in pairs:
            rng = np.random.Generator(np.random.Philox(key=plan.start.seed))
            playing[world] = _Recording(plan=plan, rng=rng, noise=np.empty((0, 0)))

    def _noise(self, recording: _Recording) -> np.ndarray:
        """Random numbers of the episode's next step; they depend on nothing but its seed."""
        step = len(recording.rows) % _NOISE_BLOCK
        if step == 0:
            shape = (_NOISE_BLOCK, self.policy.noise_size)
            discrete = isinstance(self.policy.network.actions, DiscreteActions)
            recording.noise = recording.rng.random(shape) if discrete else recording.rng.standard_normal(shape)
        return recording.noise[step]

    def _finish(self, recording: _Recording, final_obs: dict[str, np.ndarray], *, learn: bool) -> PlayedEpisode:
        plan, rows = recording.plan, recording.rows

        def column(name: str) -> np.ndarray:
            return np.array([found.columns[name][row] for found, row in rows])

        actions = np.array(recording.actions)
        steps = Steps.of(
            step=column("steps"),
            action=actions if actions.ndim == 1 else -1,
            reward=[found.rewards[row] for found, row in rows],
            done=[found.terminated[row] or found.truncated[row] for found, row in rows],
            track_length=self.race.scene.tracks[plan.start.track].length,
            # The original stamps a row after the step, when the next frame has come.
            time=column("sim_time") + CONTROL_PERIOD,
            **{name: column(name) for name in _COLUMNS},
        )
        steps = replace(steps, episode=plan.worker_number + steps.lap)
        # The action of a `prepare` step is not executed, so there is nothing to learn from it.
        run = np.flatnonzero([found.running[row] for found, row in rows])
        last, row = rows[-1]
        experience = None
        if learn and len(run):
            truncated = bool(last.truncated[row])
            experience = Episode(
                obs={sensor: np.stack([recording.obs[k][sensor] for k in run]) for sensor in final_obs},
                actions=actions[run],
                log_probs=np.array([recording.log_probs[k] for k in run], dtype=np.float32),
                rewards=steps.reward[run].astype(np.float32),
                terminated=bool(last.terminated[row]),
                truncated=truncated,
                final_obs=final_obs if truncated else None,
            )
        return PlayedEpisode(plan, steps, actions, experience)

    def _drop_beyond(
        self,
        step_cap: int,
        plans: Sequence[EpisodePlan],
        waiting: deque[EpisodePlan],
        playing: dict[int, _Recording],
        finished: Mapping[int, int],
    ) -> None:
        """Stop episodes that cannot fit under the cap any more; what the earlier ones have played so far is known."""
        steps = dict(finished) | {each.plan.number: len(each.rows) for each in playing.values()}
        total = 0
        beyond: set[int] = set()
        for plan in plans:
            total += steps.get(plan.number, 0)
            if total > step_cap:
                beyond.add(plan.number)
        if not beyond:
            return
        dropped = [world for world, recording in playing.items() if recording.plan.number in beyond]
        self.race.stop(dropped)
        for world in dropped:
            del playing[world]
        waiting.clear()


def _row(obs: dict[str, np.ndarray], row: tuple[int, int]) -> dict[str, np.ndarray]:
    return {sensor: values[row] for sensor, values in obs.items()}


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
