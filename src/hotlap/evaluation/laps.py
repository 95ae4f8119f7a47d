"""From played episodes to laps: where each lap ends, what it cost, whether it was clean."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import MISHAPS
from hotlap.evaluation.statistics import EvaluationReport, LapResult
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.sim.scene import RaceRules


def lap_steps(episode: PlayedEpisode) -> list[range]:
    """The steps of each lap of an episode, the last of which may be unfinished."""
    status = episode.trace["status"]
    ends = np.flatnonzero((episode.trace["progress"] >= 100.0) & (status != "prepare")) + 1
    cuts = [0, *ends.tolist()]
    if cuts[-1] != len(status):
        cuts.append(len(status))
    return [range(begin, end) for begin, end in itertools.pairwise(cuts)]


def laps_of(episodes: Iterable[PlayedEpisode], rules: RaceRules) -> EvaluationReport:
    """Cut episodes at every completed lap and count what happened in each.

    Lap time is simulation time from the reset, or from the lap before, penalties included. A clean lap is one completed
    without any mishap.
    """
    laps: list[LapResult] = []
    for episode in episodes:
        status = episode.trace["status"]
        progress = episode.trace["progress"]
        for lap in lap_steps(episode):
            begin, end = lap.start, lap.stop - 1
            complete = bool(progress[end] >= 100.0)
            counts = {mishap: int(np.sum(status[begin : end + 1] == mishap)) for mishap in MISHAPS}
            # The mishap that ends an attempt is not forgiven: nobody puts the car back, and no penalty is served.
            forgiven = {name: count - (not complete and name == status[end]) for name, count in counts.items()}
            off_track = forgiven["off_track"] + forgiven["reversed"]
            penalty = off_track * rules.off_track_penalty + forgiven["crashed"] * rules.collision_penalty
            laps.append(
                LapResult(
                    trial=len(laps) + 1,
                    time_ms=round((end + 1 - begin) * CONTROL_PERIOD * 1000),
                    completion_percentage=float(progress[end]),
                    status="lap_complete" if complete else str(status[end]),
                    off_track_count=counts["off_track"],
                    crash_count=counts["crashed"],
                    reversed_count=counts["reversed"],
                    immobilized_count=counts["immobilized"],
                    reset_count=sum(forgiven.values()),
                    penalty_s=penalty,
                    clean=complete and not any(counts.values()),
                )
            )
    return EvaluationReport(tuple(laps))
