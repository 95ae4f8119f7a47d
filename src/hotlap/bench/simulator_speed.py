"""How fast one core (or a GPU) simulates cars that really drive.

The cars are first driven along the center line by a controller, and their commands are recorded; what is timed is the
same drive again, from the same starts with the recorded commands, so that nothing but the simulator is in it. Each
figure is the best of several such drives, with the median beside it; drives of all kinds take turns, so that a busy
machine slows all of them alike. Only worlds whose episode is not over are counted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from hotlap.bench.machine import provenance
from hotlap.bench.recipe import STOCK_REWARD, stock_metadata
from hotlap.deepracer.driving import DEFAULT_TRACK, STEERING_LIMIT_DEG
from hotlap.envs.race import Race, RaceConfig
from hotlap.errors import ConfigError
from hotlap.rewards.params import RewardParams
from hotlap.sim.simulator import Simulator
from hotlap.sim.starts import Start
from hotlap.tracks.track import Track

DRIVE_STEPS = 150  # ten seconds: no car completes a lap that soon
DRIVE_SPEED = 1.0  # [m/s]
LOOKAHEAD = 0.7  # [m] to the point that the controller steers for
WHEELBASE = 0.164  # [m]
MIN_ACTIVE = 0.75  # a drive is cut off where fewer of its worlds are still active
REWARD_WINDOW_S = 0.1


@dataclass(frozen=True)
class Drive:
    """A drive of all worlds that can be driven again without a driver."""

    starts: list[Start]
    commands: list[tuple[wp.array, wp.array]]
    """Per step: steering [deg] and speed [m/s] of all cars, on the device."""
    num_frames: int
    """Camera frames of active worlds."""


def bench_sim(
    *, track: str = DEFAULT_TRACK, batch: int = 64, seconds: float = 5.0, device: str = "cpu"
) -> dict[str, Any]:
    """Measure the simulator: 160×120 grey images, physics, race rules and reward inputs of ``batch`` cars.

    Args:
        track: Name or route file.
        batch: Worlds in step.
        seconds: How long the drives with a camera are timed altogether; the rest takes about as long.
        device: ``cpu`` (one core) or ``cuda``.

    Returns:
        JSON-ready: ``camera_frames_per_s_per_core``, ``physics_steps_per_s_per_core`` (everything but the camera),
        ``reward_calls_per_s`` (making the dictionary and calling the shipped center-line reward), ``device``,
        ``batch``; ``median`` with the medians of the first three, ``stage_us`` with the cost per frame of ``rules``,
        ``drive`` and ``render`` [us], ``core_share`` (of the core's time that the process got while frames were timed;
        well below 1 on a busy machine), ``num_drives``, ``track``, ``seconds``, ``pinned`` and ``machine``.

    Raises:
        ConfigError: If ``batch``, ``seconds`` or ``device`` cannot be had.
        TrackError: If the track cannot be loaded.
    """
    if batch < 1 or seconds <= 0.0:
        raise ConfigError(f"--batch must be at least 1 and --seconds positive, got {batch} and {seconds:g}.")
    try:
        wp.get_device(device)
    except (ValueError, RuntimeError):
        known = ", ".join(str(each) for each in wp.get_devices())
        raise ConfigError(f"--device {device!r} is not on this machine; it has {known}.") from None
    config = RaceConfig(metadata=stock_metadata(), reward=STOCK_REWARD, tracks=(track,), device=device)
    with one_core() as pinned:
        seeing, blind = Race(config, batch), Race(config, batch, camera=False)
        drive = record_drive(seeing)
        reward = _RewardCalls(seeing)
        seeing_s: list[float] = []
        blind_s: list[float] = []
        reward_s: list[float] = []
        rules_s: list[float] = []
        drive_s: list[float] = []
        for race in (seeing, blind):
            _drive_again(race.simulator, drive)
        core_shares: list[float] = []
        while sum(seeing_s) < seconds or len(seeing_s) < 3:
            begin, busy = time.perf_counter(), time.thread_time()
            seeing_s.append(_drive_again(seeing.simulator, drive))
            core_shares.append((time.thread_time() - busy) / (time.perf_counter() - begin))
            blind_s.append(_drive_again(blind.simulator, drive))
            rules, moving = _drive_by_stages(blind.simulator, drive)
            rules_s.append(rules)
            drive_s.append(moving)
            reward_s.append(reward.seconds_per_call())
    frames = drive.num_frames
    per_frame = 1e6 / frames
    return {
        "camera_frames_per_s_per_core": frames / min(seeing_s),
        "physics_steps_per_s_per_core": frames / min(blind_s),
        "reward_calls_per_s": 1.0 / min(reward_s),
        "device": device,
        "batch": batch,
        "median": {
            "camera_frames_per_s_per_core": frames / float(np.median(seeing_s)),
            "physics_steps_per_s_per_core": frames / float(np.median(blind_s)),
            "reward_calls_per_s": 1.0 / float(np.median(reward_s)),
        },
        "stage_us": {
            "rules": min(rules_s) * per_frame,
            "drive": min(drive_s) * per_frame,
            "render": (min(seeing_s) - min(blind_s)) * per_frame,
        },
        "core_share": float(np.median(core_shares)),
        "num_drives": len(seeing_s),
        "track": seeing.scene.tracks[0].name,
        "seconds": sum(seeing_s),
        "pinned": pinned,
        "machine": provenance(device),
    }


@contextmanager
def one_core() -> Iterator[bool]:
    """Keep this thread on one core for a while; yields whether the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield False
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield True
    finally:
        os.sched_setaffinity(0, before)


def center_line_steering(track: Track, poses: np.ndarray) -> np.ndarray:
    """Steering [deg] of cars that aim at the center line `LOOKAHEAD` ahead of them.

    Args:
        track: In driving direction.
        poses: Front points [m] and headings [rad], shape (n, 3).
    """
    goal = track.point_at(track.project(poses[:, :2]) + LOOKAHEAD)
    dx, dy = goal[:, 0] - poses[:, 0], goal[:, 1] - poses[:, 1]
    bearing = np.arctan2(dy, dx) - poses[:, 2]
    steering = np.degrees(np.arctan2(2.0 * WHEELBASE * np.sin(bearing), np.hypot(dx, dy)))
    return np.clip(steering, -STEERING_LIMIT_DEG, STEERING_LIMIT_DEG)


def record_drive(race: Race) -> Drive:
    """Drive all cars of ``race`` along the center line from starts all round the lap, and note their commands.

    Raises:
        ConfigError: If the cars do not stay on this track, so that there is nothing to measure.
    """
    simulator, num_worlds = race.simulator, race.num_worlds
    track = race.scene.tracks[0]
    # An open track is driven from its first half only, or it would be over at once.
    share = 1.0 if track.closed else 0.5
    starts = [Start(ndist=share * k / num_worlds, seed=k, prepared=True) for k in range(num_worlds)]
    worlds = np.arange(num_worlds)
    speed = np.full(num_worlds, DRIVE_SPEED)
    simulator.reset(worlds.tolist(), starts)
    commands: list[tuple[wp.array, wp.array]] = []
    num_frames = 0
    for _ in range(DRIVE_STEPS):
        simulator.command(center_line_steering(track, race.poses(worlds)[:, 0]), speed)
        pair = wp.clone(simulator.state.steering), wp.clone(simulator.state.speed)
        simulator.step()
        num_active = len(race.active)
        if num_active < MIN_ACTIVE * num_worlds:
            break
        commands.append(pair)
        num_frames += num_active
    if not commands:
        raise ConfigError(f"the cars cannot drive along the center line of {track.name!r}; measure on another track.")
    return Drive(starts, commands, num_frames)


def _drive_again(simulator: Simulator, drive: Drive) -> float:
    """Wall-clock of a drive [s]."""
    _start_again(simulator, drive)
    begin = time.perf_counter()
    for steering, speed in drive.commands:
        _command(simulator, steering, speed)
        simulator.step()
    wp.synchronize_device(simulator.device)
    return time.perf_counter() - begin


def _drive_by_stages(simulator: Simulator, drive: Drive) -> tuple[float, float]:
    """Wall-clock of a drive's rules with its reward inputs, and of its motion [s]."""
    _start_again(simulator, drive)
    in_rules = driving = 0.0
    for steering, speed in drive.commands:
        _command(simulator, steering, speed)
        begin = time.perf_counter()
        simulator.apply_rules()
        wp.synchronize_device(simulator.device)
        between = time.perf_counter()
        simulator.drive()
        wp.synchronize_device(simulator.device)
        driving += time.perf_counter() - between
        in_rules += between - begin
    return in_rules, driving


def _start_again(simulator: Simulator, drive: Drive) -> None:
    simulator.reset(range(simulator.num_worlds), drive.starts)
    wp.synchronize_device(simulator.device)


def _command(simulator: Simulator, steering: wp.array, speed: wp.array) -> None:
    wp.copy(simulator.state.steering, steering)
    wp.copy(simulator.state.speed, speed)


class _RewardCalls:
    """Calls the reward functions of a race for one step of all worlds, again and again."""

    def __init__(self, race: Race) -> None:
        worlds = np.arange(race.num_worlds)
        starts = [Start(ndist=0.5 * k / len(worlds), seed=k, prepared=True) for k in range(len(worlds))]
        race.reset(worlds.tolist(), starts)
        for _ in range(2):  # the second step has moved
            active = race.active
            actions = np.full((len(active), race.num_cars), race.decoder.num_actions or 0) // 2
            columns = race.step(active, actions).columns
        self.columns = {name: column.reshape(-1, *column.shape[2:]) for name, column in columns.items()}
        self.params: RewardParams = race.reward_params
        self.rewards = race.rewards

    def seconds_per_call(self) -> float:
        num_calls = 0
        begin = time.perf_counter()
        while (elapsed := time.perf_counter() - begin) < REWARD_WINDOW_S:
            rows = self.params.rows(self.columns)
            for reward, params in zip(self.rewards, rows, strict=False):
                reward(params)
                num_calls += 1
        return elapsed / num_calls
