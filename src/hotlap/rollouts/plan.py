"""Which episodes an iteration plays: numbers, seeds, starts and workers, before anyone plays them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hotlap.sim.starts import Start


@dataclass(frozen=True)
class EpisodePlan:
    """One episode to play; everything random in it follows from ``start.seed``."""

    number: int
    """0-based number of the episode in the job."""
    start: Start
    clock: float = 0.0
    """Simulation clock at the start [s]."""
    worker: int = 0
    """Index of the worker whose race it is, whichever process plays it."""
    worker_number: int = 0
    """0-based number among the episodes of that worker."""
    steps_before: int = 0
    """Policy steps of the job before this episode, for exploration that fades."""
    pace: int = 1
    """Policy steps of the job for each of this episode: with the others that are played at the same time."""
    guided: bool = False
    """Whether the guide of the setup drives instead of the policy."""
    actions: tuple[Any, ...] | None = None
    """What to do in each step; None: whatever drives chooses."""


@dataclass(frozen=True)
class StartRule:
    """Where the episodes of a worker start; ``evenly`` is ours, the others are the original's."""

    evenly: bool = True
    """Space the starts of an iteration evenly over the lap, at a new offset each iteration."""
    change_start_position: bool = True
    """Otherwise advance the start by ``advance`` after each episode of the worker, round robin."""
    offset: float = 0.0
    """Lap fraction of the first start."""
    advance: float = 0.05
    """Lap fraction between the starts of consecutive episodes of a worker, round robin."""
    reverse: bool = False
    """Drive against the row order of the route."""
    alternate_direction: bool = False
    """Turn the direction around after each episode of the worker."""
    closed: tuple[bool, ...] = (True,)
    """Of each track to train on, whether it is a loop. On an open track every episode starts at ``offset``: it has no
    lap to share out."""


def episode_seed(job_seed: int, iteration: int, number: int, *, purpose: int = 0) -> int:
    """Seed of an episode, the same whichever worker plays it; ``purpose`` separates training from evaluation."""
    return int(np.random.SeedSequence([job_seed, iteration, number, purpose]).generate_state(1, np.uint64)[0] >> 1)


def draw_track(seed: int, num_tracks: int) -> int:
    """Index of the track of an episode with this seed."""
    return int(np.random.default_rng([seed, 4]).integers(num_tracks)) if num_tracks > 1 else 0


def plan_training(
    rules: Sequence[StartRule],
    *,
    job_seed: int,
    iteration: int,
    num_episodes: int,
    first_number: int,
    num_workers: int = 1,
    earlier: Sequence[int] | None = None,
    clock: float = 0.0,
    steps_before: int = 0,
    guided_share: float = 0.0,
) -> list[EpisodePlan]:
    """The episodes of a training iteration, interleaved over the workers: worker k plays k, k + n, k + 2n, …

    Args:
        rules: Where they start: one rule per worker, or one for all.
        job_seed: Seed of the job.
        iteration: Number of the iteration.
        num_episodes: How many.
        first_number: Number of the first episode in the job.
        num_workers: Workers that share them, at most ``num_episodes``.
        earlier: Episodes that each worker has played before.
        clock: Simulation clock when the iteration begins [s].
        steps_before: Policy steps of the job before the iteration.
        guided_share: Share of the episodes in which the guide drives, evenly among them.
    """
    earlier = earlier or [0] * num_workers
    plans = []
    # The golden ratio scatters the offsets of successive iterations without a period.
    shift = (iteration * 0.6180339887498949) % 1.0 / num_episodes
    for k in range(num_episodes):
        number, worker = first_number + k, k % num_workers
        worker_number = earlier[worker] + k // num_workers
        rule = rules[worker % len(rules)]
        seed = episode_seed(job_seed, iteration, number)
        track = draw_track(seed, len(rule.closed))
        if not rule.closed[track] or not (rule.evenly or rule.change_start_position):
            ndist = rule.offset
        elif rule.evenly:
            ndist = (rule.offset + shift + k / num_episodes) % 1.0
        else:
            ndist = (rule.offset + rule.advance * worker_number) % 1.0
        start = Start(
            ndist=ndist,
            reverse=rule.reverse ^ (rule.alternate_direction and worker_number % 2 == 1),
            track=track,
            seed=seed,
        )
        plans.append(
            EpisodePlan(
                number=number,
                start=start,
                clock=clock,
                worker=worker,
                worker_number=worker_number,
                steps_before=steps_before,
                pace=num_episodes,
                guided=int((k + 1) * guided_share) > int(k * guided_share),
            )
        )
    return plans


EVALUATION, SELECTION = 1, 2  # purposes of episodes: who measures a chosen model drives other cars than chose it


def plan_evaluation(
    *,
    job_seed: int,
    number: int,
    num_laps: int,
    reverse: Sequence[bool] = (False,),
    tracks: Sequence[Sequence[int]] = ((0,),),
    purpose: int = EVALUATION,
) -> list[EpisodePlan]:
    """Laps that all begin at the start line; they differ by the car's small differences from run to run.

    Where a race has several tracks, its laps take turns on them, and the next set goes on where this one ends.

    Args:
        job_seed: Seed of the job.
        number: Of the set of cars; the same set for every checkpoint that is compared.
        purpose: `SELECTION` of a checkpoint in training, or `EVALUATION` of the chosen one.
        num_laps: How many.
        reverse: Driving direction in each race; the races take turns.
        tracks: Indices of the tracks of each race.
    """
    num_races = len(reverse)
    plans = []
    for k in range(num_laps):
        race, lap = k % num_races, k // num_races
        own = tracks[race % len(tracks)]
        start = Start(
            reverse=reverse[race],
            track=own[(number * (num_laps // num_races) + lap) % len(own)],
            seed=episode_seed(job_seed, number, k, purpose=purpose),
        )
        plans.append(EpisodePlan(number=k, start=start, worker=race, worker_number=lap))
    return plans
