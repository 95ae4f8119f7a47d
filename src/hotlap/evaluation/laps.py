"""From played episodes to laps: where each lap ends, what it cost, whether it was clean."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import MISHAPS, STATUS_NAMES, Status
from hotlap.evaluation.statistics import EvaluationReport, LapResult
from hotlap.records.steps import Steps
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.sim.scene import RaceRules


def lap_steps(steps: Steps) -> list[range]:
    """Which steps of an episode each of its laps has; the last lap may be unfinished."""
    cuts = [0, *(np.flatnonzero(np.diff(steps.lap)) + 1).tolist(), len(steps)]
    return [range(begin, end) for begin, end in itertools.pairwise(cuts)]


def laps_of(episodes: Iterable[PlayedEpisode], rules: RaceRules) -> EvaluationReport:
    """Cut episodes at every completed lap and count what happened in each.

    Lap time is simulation time from the reset, or from the lap before, penalties included. A clean lap is one completed
    without any mishap.
    """
    laps: list[LapResult] = []
    for episode in episodes:
        status, progress = episode.steps.status, episode.steps.progress
        for lap in lap_steps(episode.steps):
            begin, end = lap.start, lap.stop - 1
            complete = bool(progress[end] >= 100.0)
            counts = {mishap: int(np.sum(status[begin : end + 1] == mishap)) for mishap in MISHAPS}
            # The mishap that ends an attempt is not forgiven: nobody puts the car back, and no penalty is served.
            forgiven = {mishap: count - int(not complete and mishap == status[end]) for mishap, count in counts.items()}
            off_track = forgiven[Status.OFF_TRACK] + forgiven[Status.REVERSED]
            penalty = off_track * rules.off_track_penalty + forgiven[Status.CRASHED] * rules.collision_penalty
            laps.append(
                LapResult(
                    trial=len(laps) + 1,
                    time_ms=round((end + 1 - begin) * CONTROL_PERIOD * 1000),
                    completion_percentage=float(progress[end]),
                    status=STATUS_NAMES[Status.LAP_COMPLETE if complete else status[end]],
                    off_track_count=counts[Status.OFF_TRACK],
                    crash_count=counts[Status.CRASHED],
                    reversed_count=counts[Status.REVERSED],
                    immobilized_count=counts[Status.IMMOBILIZED],
                    reset_count=sum(forgiven.values()),
                    penalty_s=penalty,
                    clean=complete and not any(counts.values()),
                )
            )
    return EvaluationReport(tuple(laps))
