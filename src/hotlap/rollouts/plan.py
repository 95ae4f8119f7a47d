"""Which episodes an iteration plays: numbers, seeds and starts, before anyone plays them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hotlap.sim.simulator import Start


@dataclass(frozen=True)
class EpisodePlan:
    """One episode to play; everything random in it follows from ``start.seed``."""

    number: int
    """0-based number of the episode in the job."""
    start: Start
    clock: float = 0.0
    """Simulation clock at the start [s]."""


@dataclass(frozen=True)
class StartRule:
    """Where episodes start; the first is ours, the others are the original's."""

    spread: bool = True
    """Spread the starts of an iteration evenly over the lap, at a new offset each iteration."""
    change_start_position: bool = True
    """Without spreading: advance the start by ``advance`` after each episode, round robin."""
    offset: float = 0.0
    """Lap fraction of the first start."""
    advance: float = 0.05
    """Lap fraction between the starts of consecutive episodes, round robin."""
    reverse: bool = False
    """Drive against the row order of the route."""
    alternate_direction: bool = False
    """Turn the direction around after each episode."""


def episode_seed(job_seed: int, iteration: int, number: int, *, purpose: int = 0) -> int:
    """Seed of an episode, the same whichever worker plays it; ``purpose`` separates training from evaluation."""
    return int(np.random.SeedSequence([job_seed, iteration, number, purpose]).generate_state(1, np.uint64)[0] >> 1)


def plan_training(
    rule: StartRule,
    *,
    job_seed: int,
    iteration: int,
    num_episodes: int,
    first_number: int,
    num_tracks: int = 1,
    open_tracks: bool = False,
    clock: float = 0.0,
) -> list[EpisodePlan]:
    """The episodes of a training iteration.

    Args:
        rule: Where they start.
        job_seed: Seed of the job.
        iteration: Number of the iteration.
        num_episodes: How many.
        first_number: Number of the first episode in the job.
        num_tracks: Tracks of the scene; episodes take turns on them.
        open_tracks: Start every episode at the beginning of the track, which has no lap to spread over.
        clock: Simulation clock when the iteration begins [s].
    """
    plans = []
    # The golden ratio spreads the offsets of successive iterations without a period.
    shift = (iteration * 0.6180339887498949) % 1.0 / num_episodes
    for k in range(num_episodes):
        number = first_number + k
        if open_tracks or not (rule.spread or rule.change_start_position):
            ndist = rule.offset
        elif rule.spread:
            ndist = (rule.offset + shift + k / num_episodes) % 1.0
        else:
            ndist = (rule.offset + rule.advance * number) % 1.0
        start = Start(
            ndist=ndist,
            reverse=rule.reverse ^ (rule.alternate_direction and number % 2 == 1),
            track=number % num_tracks,
            seed=episode_seed(job_seed, iteration, number),
        )
        plans.append(EpisodePlan(number=number, start=start, clock=clock))
    return plans


def plan_evaluation(
    *, job_seed: int, iteration: int, num_laps: int, reverse: bool = False, offset: float = 0.0, num_tracks: int = 1
) -> list[EpisodePlan]:
    """Laps that all begin at the start line; they differ by the car's small differences from run to run."""
    return [
        EpisodePlan(
            number=k,
            start=Start(
                ndist=offset,
                reverse=reverse,
                track=k % num_tracks,
                seed=episode_seed(job_seed, iteration, k, purpose=1),
            ),
        )
        for k in range(num_laps)
    ]
