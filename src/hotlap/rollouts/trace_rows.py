"""A played episode as rows of the simulation trace."""

from __future__ import annotations

import numpy as np

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.records.sim_trace import TraceRows
from hotlap.rollouts.worker import PlayedEpisode


def trace_rows(episode: PlayedEpisode, track_length: float) -> TraceRows:
    """The trace of an episode on a track of ``track_length`` [m]."""
    trace = episode.trace
    finished = np.cumsum((trace["progress"] >= 100.0) & (trace["status"] != "prepare"))
    return TraceRows(
        # The laps of a continuous evaluation are counted on, as if each were an episode.
        episode=episode.plan.worker_number + np.concatenate([[0], finished[:-1]]),
        steps=trace["steps"],
        x=trace["x"],
        y=trace["y"],
        yaw=trace["heading"],
        steer=trace["steering_angle"],
        throttle=trace["speed"],
        # Of a continuous action the original logs what it means, not what the network said.
        action=trace["action"]
        if trace["action"].ndim == 1
        else np.stack([trace["steering_angle"], trace["speed"]], axis=1),
        reward=trace["reward"],
        done=trace["done"],
        all_wheels_on_track=trace["all_wheels_on_track"],
        progress=trace["progress"],
        closest_waypoint=trace["nearest_waypoint"],
        track_len=track_length,
        # The original stamps a row after the step, when the next frame has come.
        tstamp=trace["sim_time"] + CONTROL_PERIOD,
        episode_status=trace["status"],
        pause_duration=trace["pause_duration"],
    )
