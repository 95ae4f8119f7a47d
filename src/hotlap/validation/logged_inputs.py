"""Reward inputs and off-track rule of the simulator against those that the original logged.

Every logged episode becomes a world of the simulator. Row by row the cars are put on their logged poses and seen by
the very rules of training, which then carry progress and phases to the next row by themselves. Nothing but the poses is
taken from the log, except what it does not tell: the lap fraction at which an episode started, which follows from the
progress of its first row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hotlap.deepracer.statuses import Status
from hotlap.records.steps import Steps
from hotlap.sim.race_rules import rules_of
from hotlap.sim.scene import RaceRules, Scene
from hotlap.sim.state import Phase, make_state
from hotlap.sim.vehicle import MOTION_DTYPE, VEHICLES, vehicle_constants
from hotlap.validation.traces import DrivenRoute

PROGRESS_TOLERANCE = 0.005  # [%] logged positions are rounded to 0.1 mm, progress to 0.0001 %
LENGTH_TOLERANCE = 0.0051  # [m] logged lengths have two decimals
INPUTS = ("progress", "closest_waypoint", "all_wheels_on_track", "off_track", "track_length")

DIFFERENCES = {
    "v1": "2019: angles in radians; no status, so off the track is where an episode ended with a wheel beside it; "
    "progress never fell; driven as version 2, whose body it had",
    "v2": "2020: the same definitions, but physics ran on while a step was computed (as in v3), so the wheels "
    "had moved a few millimeters on from the logged pose",
}
"""What sets older logs apart."""


@dataclass(frozen=True, eq=False)
class ComputedRows:
    """What the simulator makes of the rows of a trace; every array has shape (num_rows,)."""

    progress: np.ndarray
    """[%]"""
    closest_waypoint: np.ndarray
    """The nearer of the previous and the next, counted as in the route file, repeated points included."""
    all_wheels_on_track: np.ndarray
    off_track: np.ndarray
    """Whether the off-track rule ended the episode there."""


def compute_rows(steps: Steps, version: str, route: DrivenRoute, *, device: str = "cpu") -> ComputedRows:
    """Compute the inputs of every row of a trace in the order logged, all its episodes at once."""
    car = VEHICLES["v2" if version == "v1" else version]
    track = route.track
    first = np.flatnonzero(steps.begins)
    length = np.diff(np.append(first, len(steps)))
    num_worlds, num_steps = len(first), int(length.max())

    scene = Scene([track], RaceRules(), device=device)
    state = make_state(scene, num_worlds)
    state.vehicle.assign(np.full((num_worlds, 1), vehicle_constants(car)))
    in_prepare = steps.status[first] == Status.PREPARE
    state.phase.assign(np.where(in_prepare, int(Phase.PREPARE), int(Phase.RUN)).astype(np.int32)[:, None])
    fraction = track.project(np.stack([steps.x, steps.y], axis=-1)[first]) / track.length
    state.start_ndist.assign(np.mod(fraction - 0.01 * steps.progress[first], 1.0).astype(np.float32)[:, None])
    # A log that begins in the middle of an episode has its first progress to go on from.
    before = np.where(steps.step[first] > 2, steps.progress[first], 0.0)
    state.previous_progress.assign(before.astype(np.float32)[:, None])

    yaw = np.deg2rad(steps.heading)
    motion: np.ndarray = np.zeros(len(steps), dtype=MOTION_DTYPE)
    motion["x"] = steps.x - car.logged_point_ahead_of_cg_m * np.cos(yaw)
    motion["y"] = steps.y - car.logged_point_ahead_of_cg_m * np.sin(yaw)
    motion["yaw"] = yaw
    progress, off_track = np.zeros(len(steps)), np.zeros(len(steps), dtype=bool)
    nearest, previous = np.zeros((2, len(steps)), dtype=np.int64)
    all_wheels = np.zeros(len(steps), dtype=bool)
    rules = rules_of(scene, state)
    for step in range(num_steps):
        rows = first + np.minimum(step, length - 1)
        present = step < length
        state.motion.assign(motion[rows, None])
        # The log decides how long an episode lasts: a rule that ends it early shall cost one row, not the rest.
        state.active.assign(present.astype(np.int32)[:, None])
        if step > 0:
            state.phase.fill_(int(Phase.RUN))
        rules.launch()
        now = rows[present]
        progress[now] = state.progress.numpy()[present, 0]
        nearest[now] = state.nearest_waypoint.numpy()[present, 0]
        previous[now] = state.closest_waypoints.numpy()[present, 0, 0]
        all_wheels[now] = state.all_wheels_on_track.numpy()[present, 0]
        off_track[now] = state.status.numpy()[present, 0] == int(Status.OFF_TRACK)
    return ComputedRows(
        progress=progress,
        # As the previous waypoint a repeated point counts with its last row, as the next one with its first.
        closest_waypoint=route.file_rows[nearest, np.where(nearest != previous, 0, 1)],
        all_wheels_on_track=all_wheels,
        off_track=off_track,
    )


def rows_agree(steps: Steps, version: str, route: DrivenRoute, *, device: str = "cpu") -> dict[str, float]:
    """Share of the rows of a trace for which the simulator and the log agree, by input."""
    computed = compute_rows(steps, version, route, device=device)
    agree = {
        "progress": np.abs(computed.progress - steps.progress) <= PROGRESS_TOLERANCE,
        "closest_waypoint": computed.closest_waypoint == steps.nearest_waypoint,
        "all_wheels_on_track": computed.all_wheels_on_track == steps.all_wheels_on_track,
        "off_track": computed.off_track == (steps.status == Status.OFF_TRACK),
        "track_length": np.abs(route.track.length - steps.track_length) <= LENGTH_TOLERANCE,
    }
    return {name: float(np.mean(agree[name])) for name in INPUTS}
