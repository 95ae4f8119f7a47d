"""How far the simulated car drifts from recorded drives when it repeats their actions, open loop.

The metric. A window starts at a row with 15 driving rows before it and n after it. The car repeats the 15 warm-up
steps, during which its velocities are corrected towards the recorded ones; is put on the recorded pose; and then
repeats the next n actions without seeing another pose. Position error is the distance of the front points [m], heading
error the difference of the yaws [deg]; horizons are 8, 15, 30 and 75 steps of exactly 1/15 s, "0.5", "1", "2" and "5"
seconds for short.

The car is the simulator's own: commands, substeps and parameters are those that drive in training. Beside it runs a
naive bicycle, which turns about its wheelbase and obeys every command at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import no_type_check

import numpy as np
import warp as wp

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import Status
from hotlap.records.steps import Steps
from hotlap.sim.vehicle import (
    MOTION_DTYPE,
    NUM_SUBSTEPS,
    VEHICLES,
    Motion,
    VehicleConstants,
    VehicleParams,
    advance,
    command,
    drive,
    front_points,
    steer_decay,
    substep,
    vehicle_constants,
)
from hotlap.validation.traces import Recording

WARM_UP = 15  # steps
HORIZONS = {"0.5": 8, "1": 15, "2": 30, "5": 75}  # seconds, roughly, and steps
STRIDE = 15  # rows between the starts of windows
SHORTEST_STEP, LONGEST_STEP = 0.02, 0.16  # [s] between the poses of two rows without a break
LONGEST_JUMP = 0.6  # [m]
_MOTION = ("x", "y", "yaw", "steering", "speed")
GROUPS = ("v2", "v3", "v4", "v5", "droa")


@dataclass(frozen=True)
class ObserverGains:
    """Share of the difference between recorded and simulated velocity that a warm-up step takes over."""

    u: float
    w: float
    yaw_rate: float


OBSERVER_GAINS = {
    "v2": ObserverGains(0.1446, 0.999, 0.6557),
    "v3": ObserverGains(0.080791, 0.999694, 1.04595),
    "v4": ObserverGains(0.080791, 0.999694, 1.04595),
    "v5": ObserverGains(0.152528, 0.595177, 0.723107),
    "droa": ObserverGains(0.0, 0.991158, 0.368125),
}
"""Fitted together with the parameters of the cars; they matter to the metric alone, not to the simulator."""


@dataclass(frozen=True)
class Bicycle:
    """A kinematic bicycle that obeys at once."""

    wheelbase_m: float
    logged_point_ahead_of_rear_axle_m: float


BICYCLES = {"v2": Bicycle(0.195, 0.14)} | {name: Bicycle(0.164, 0.2217) for name in ("v3", "v4", "v5", "droa")}


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows cut out of traces of one kind of car.

    Arrays have one row per window and ``WARM_UP + 1 + horizon`` columns, for the longest horizon; what lies beyond a
    window's own horizon is NaN.
    """

    x: np.ndarray
    y: np.ndarray
    yaw: np.ndarray
    steering: np.ndarray
    speed: np.ndarray
    horizon: np.ndarray
    """Steps that a window has after the warm-up, shape (num_windows,)."""

    def __len__(self) -> int:
        return len(self.horizon)


def find_windows(steps: Steps) -> list[tuple[int, int]]:
    """First row and horizon of the windows of a trace, one every 15 rows of a stretch without a break.

    A break is a new episode, a missing step, a row whose action is not applied, a pose time difference outside 0.02 to
    0.16 s, and a jump of more than 0.6 m.
    """
    longest = max(HORIZONS.values())
    jump = np.hypot(np.diff(steps.x), np.diff(steps.y))
    driving = steps.driving[1:] & steps.driving[:-1]
    joined = ~steps.begins[1:] & (np.diff(steps.step) == 1) & (jump <= LONGEST_JUMP) & driving
    # The pose of a row was taken at the stamp of the row before; that of an episode's first row is unknown.
    joined &= ~steps.begins[:-1]
    period = np.diff(steps.time)[:-1]
    joined[1:] &= (period >= SHORTEST_STEP) & (period <= LONGEST_STEP)
    breaks = np.flatnonzero(~joined) + 1
    windows = []
    for start, end in zip(np.concatenate(([0], breaks)), np.concatenate((breaks, [len(steps)])), strict=True):
        for row in range(int(start), int(end), STRIDE):
            fits = [length for length in HORIZONS.values() if row + WARM_UP + length < end]
            if fits:
                windows.append((row, min(max(fits), longest)))
    return windows


def cut_windows(pieces: Sequence[tuple[Steps, Sequence[tuple[int, int]]]]) -> Windows:
    """Cut windows, given by first row and horizon, out of their traces."""
    count = sum(len(windows) for _, windows in pieces)
    columns = WARM_UP + 1 + max(HORIZONS.values())
    cut = {name: np.full((count, columns), np.nan) for name in _MOTION}
    horizon = np.zeros(count, dtype=np.int64)
    number = 0
    for steps, windows in pieces:
        motion = _motion(steps)
        for row, each in windows:
            length = WARM_UP + 1 + each
            for name, values in cut.items():
                values[number, :length] = motion[name][row : row + length]
            horizon[number] = each
            number += 1
    return Windows(**cut, horizon=horizon)


def _motion(steps: Steps) -> dict[str, np.ndarray]:
    """Poses and commands in the simulator's units: x, y [m], yaw, steering [rad], speed [m/s]."""
    yaw, steering = np.deg2rad(steps.heading), np.deg2rad(steps.steering_angle)
    return dict(zip(_MOTION, (steps.x, steps.y, yaw, steering, steps.speed), strict=True))


@wp.func
@no_type_check
def body_velocity(
    car: VehicleConstants, x0: float, y0: float, yaw0: float, x1: float, y1: float, yaw1: float
) -> wp.vec3:
    """Mean velocity of the CG between two front points: forward, left [m/s] at the heading half-way; yaw rate."""
    full_turn = 2.0 * wp.pi
    turn = yaw1 - yaw0
    turn -= full_turn * wp.round(turn / full_turn)
    dx = x1 - x0 - car.front_point_ahead * (wp.cos(yaw1) - wp.cos(yaw0))
    dy = y1 - y0 - car.front_point_ahead * (wp.sin(yaw1) - wp.sin(yaw0))
    c = wp.cos(yaw0 + 0.5 * turn)
    s = wp.sin(yaw0 + 0.5 * turn)
    return wp.vec3(dx * c + dy * s, dy * c - dx * s, turn) / CONTROL_PERIOD


@wp.kernel(enable_backward=False)
@no_type_check
def _replay(
    # Model:
    constants: wp.array[VehicleConstants],
    gain_u: float,
    gain_w: float,
    gain_yaw_rate: float,
    # In:
    x: wp.array2d[float],
    y: wp.array2d[float],
    yaw: wp.array2d[float],
    steering: wp.array2d[float],
    speed: wp.array2d[float],
    horizon: wp.array[wp.int32],
    # Out:
    motion_out: wp.array2d[Motion],
):
    i = wp.tid()
    car = constants[0]
    tau = CONTROL_PERIOD / float(NUM_SUBSTEPS)
    decay = steer_decay(car, tau)
    num_substeps = wp.int32(NUM_SUBSTEPS)
    warm_up = wp.int32(WARM_UP)

    motion = Motion()
    motion.steer_command = steering[i, 0]
    motion.steer = car.steer_gain * steering[i, 0]
    for step in range(warm_up):
        measured = body_velocity(
            car, x[i, step], y[i, step], yaw[i, step], x[i, step + 1], y[i, step + 1], yaw[i, step + 1]
        )
        if step == 0:
            motion.u = measured[0]
            motion.yaw_rate = measured[2]
        motion = command(car, motion, steering[i, step], speed[i, step])
        simulated = wp.vec3()
        for _ in range(num_substeps):
            motion = substep(car, motion, decay, tau)
            simulated += wp.vec3(motion.u, motion.w, motion.yaw_rate) / float(NUM_SUBSTEPS)
        motion.u += gain_u * (measured[0] - simulated[0])
        motion.w += gain_w * (measured[1] - simulated[1])
        motion.yaw_rate += gain_yaw_rate * (measured[2] - simulated[2])

    motion.yaw = yaw[i, warm_up]
    motion.x = x[i, warm_up] - car.front_point_ahead * wp.cos(motion.yaw)
    motion.y = y[i, warm_up] - car.front_point_ahead * wp.sin(motion.yaw)
    for step in range(horizon[i]):
        row = warm_up + step
        motion = advance(car, motion, steering[i, row], speed[i, row], CONTROL_PERIOD)
        motion_out[i, step] = motion


def replay(windows: Windows, car: VehicleParams, gains: ObserverGains, *, device: str = "cpu") -> np.ndarray:
    """Repeat the actions of all windows with a simulated car.

    Returns:
        Front points x, y [m] and yaw [rad] after each step behind the warm-up, shape (num_windows, 75, 3); NaN beyond
        a window's horizon.
    """
    num_steps = windows.x.shape[1] - WARM_UP - 1
    unknown: np.ndarray = np.zeros((len(windows), num_steps), dtype=MOTION_DTYPE)
    unknown["x"] = unknown["y"] = unknown["yaw"] = np.nan
    motions: wp.array = wp.array(unknown, dtype=Motion, device=device)
    constants: wp.array = wp.array(vehicle_constants(car)[None], dtype=VehicleConstants, device=device)

    def upload(values: np.ndarray) -> wp.array:
        return wp.array(np.nan_to_num(values), dtype=float, device=device)

    wp.launch(
        _replay,
        dim=len(windows),
        inputs=[
            constants,
            gains.u,
            gains.w,
            gains.yaw_rate,
            *map(upload, (windows.x, windows.y, windows.yaw, windows.steering, windows.speed)),
            wp.array(windows.horizon, dtype=wp.int32, device=device),
        ],
        outputs=[motions],
        device=device,
    )
    return front_points(car, motions.numpy())


def replay_bicycle(windows: Windows, bicycle: Bicycle) -> np.ndarray:
    """Like ``replay``, with a bicycle that runs on circles at the commanded speed and steering angle."""
    ahead = bicycle.logged_point_ahead_of_rear_axle_m
    yaw = windows.yaw[:, WARM_UP]
    rear = (windows.x[:, WARM_UP] - ahead * np.cos(yaw)) + 1j * (windows.y[:, WARM_UP] - ahead * np.sin(yaw))
    poses = []
    for step in range(WARM_UP, windows.x.shape[1] - 1):
        way = windows.speed[:, step] * CONTROL_PERIOD
        turn = way * np.tan(windows.steering[:, step]) / bicycle.wheelbase_m
        rear = rear + way * np.sinc(turn / (2.0 * np.pi)) * np.exp(1j * (yaw + turn / 2.0))  # the chord of the arc
        yaw = yaw + turn
        point = rear + ahead * np.exp(1j * yaw)
        poses.append(np.stack([point.real, point.imag, yaw], axis=-1))
    return np.stack(poses, axis=1)


def replay_errors(windows: Windows, poses: np.ndarray) -> dict[str, dict[str, float]]:
    """Medians and 90th percentiles of the errors of replayed ``poses``, by horizon; see ``validate_replay``."""
    errors: dict[str, dict[str, float]] = {name: {} for name in ("median_m", "p90_m", "heading_deg", "heading_p90_deg")}
    for name, steps in HORIZONS.items():
        reached = windows.horizon >= steps
        if not np.any(reached):
            continue
        row, pose = WARM_UP + steps, poses[reached, steps - 1]
        distance = np.hypot(pose[:, 0] - windows.x[reached, row], pose[:, 1] - windows.y[reached, row])
        turned = np.degrees(np.abs(np.angle(np.exp(1j * (pose[:, 2] - windows.yaw[reached, row])))))
        errors["median_m"][name] = float(np.median(distance))
        errors["p90_m"][name] = float(np.percentile(distance, 90))
        errors["heading_deg"][name] = float(np.median(turned))
        errors["heading_p90_deg"][name] = float(np.percentile(turned, 90))
    return errors


def from_rest_errors(
    drives: Sequence[Steps], car: VehicleParams, *, device: str = "cpu"
) -> dict[str, dict[str, float]]:
    """Like ``replay_errors``, from the first driving row of every episode that begins with a ``prepare`` row.

    There all speeds are zero and the wheels straight, so nothing has to be observed. Horizons up to a second only.
    """
    longest = HORIZONS["1"]
    starts = []
    for steps in drives:
        for row in np.flatnonzero(steps.begins & (steps.status == Status.PREPARE)) + 1:
            end = row + longest
            if end < len(steps) and steps.driving[row : end + 1].all() and not steps.begins[row : end + 1].any():
                starts.append((_motion(steps), int(row)))
    if not starts:
        return {}

    def rows(name: str) -> np.ndarray:
        return np.stack([motion[name][row : row + longest + 1] for motion, row in starts])

    x, y, yaw = rows("x"), rows("y"), rows("yaw")
    still: np.ndarray = np.zeros(len(starts), dtype=MOTION_DTYPE)
    still["x"] = x[:, 0] - car.logged_point_ahead_of_cg_m * np.cos(yaw[:, 0])
    still["y"] = y[:, 0] - car.logged_point_ahead_of_cg_m * np.sin(yaw[:, 0])
    still["yaw"] = yaw[:, 0]
    commands = rows("steering")[:, :-1], rows("speed")[:, :-1]
    poses = front_points(car, drive(car, *commands, start=still, device=device))
    errors: dict[str, dict[str, float]] = {"median_m": {}, "heading_deg": {}}
    for name in ("0.5", "1"):
        step = HORIZONS[name]
        pose = poses[:, step - 1]
        distance = np.hypot(pose[:, 0] - x[:, step], pose[:, 1] - y[:, step])
        turned = np.degrees(np.abs(np.angle(np.exp(1j * (pose[:, 2] - yaw[:, step])))))
        errors["median_m"][name] = float(np.median(distance))
        errors["heading_deg"][name] = float(np.median(turned))
    return errors


def is_reference(file: Recording) -> bool:
    """Whether the replay error of a trace counts: it was not used in the fit.

    ``droa`` has but one long trace, so for it the fitted trace is the reference. Traces without a role all count.
    """
    return file.role in ("", "fit" if file.version == "droa" else "check")


def why_no_replay(files: Sequence[Recording]) -> str:
    """Why traces of one version have no replay errors, in a sentence."""
    version = files[0].version
    if version not in GROUPS:
        return f"no car of {version} is simulated: it is judged by the body of v2, which it had."
    if not any(map(is_reference, files)):
        roles = " and ".join(sorted({file.role for file in files}))
        return f"index.csv gives these recordings the role {roles}, whose errors do not count for {version}."
    steps = WARM_UP + 1 + min(HORIZONS.values())
    return (
        f"no {steps} steps follow each other without a break: a missing row, a jump, or time stamps that are not "
        f"{SHORTEST_STEP:g} to {LONGEST_STEP:g} s apart."
    )


def validate_replay(drives: Sequence[tuple[Recording, Steps]], *, device: str = "cpu") -> dict[str, dict[str, object]]:
    """Replay errors of all reference traces, by group (``v2`` … ``droa``); a group without windows is left out.

    Returns:
        For each group ``role`` and ``windows`` (number of windows, by horizon), then ``median_m``, ``p90_m`` (position
        error), ``heading_deg``, ``heading_p90_deg`` (heading error: median, 90th percentile), each a number for
        horizons "0.5", "1", "2" and "5"; ``bicycle`` with the same four of the naive bicycle; and ``from_rest`` with
        ``median_m`` and ``heading_deg`` of the first half second and second of the episodes of all traces, empty where
        the log does not show the start.
    """
    result: dict[str, dict[str, object]] = {}
    for group in GROUPS:
        ours = [(file, steps) for file, steps in drives if file.version == group and is_reference(file)]
        windows = cut_windows([(steps, find_windows(steps)) for _, steps in ours])
        if len(windows) == 0:
            continue
        poses = replay(windows, VEHICLES[group], OBSERVER_GAINS[group], device=device)
        result[group] = {
            "role": next((file.role for file, _ in ours if file.role), ""),
            "windows": {name: int(np.sum(windows.horizon >= steps)) for name, steps in HORIZONS.items()},
            **replay_errors(windows, poses),
            "bicycle": replay_errors(windows, replay_bicycle(windows, BICYCLES[group])),
            "from_rest": from_rest_errors(
                [steps for file, steps in drives if file.version == group], VEHICLES[group], device=device
            ),
        }
    return result
