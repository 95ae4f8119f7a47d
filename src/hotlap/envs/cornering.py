"""The greatest speed at which a car can hold the road through a track's tightest bends.

A car that steers as far as it can drives a circle; the faster, the wider. From a point of the road and a heading there,
no path turns more than that circle does, ahead as well as behind. So where both arcs leave the road on the outside of a
bend from every point and every heading at its apex, nobody gets round at that speed. The answer errs on the side of the
car: it may have all but one wheel off the road, arrive and leave as it likes, and turn a little more than it can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import shapely

from hotlap.config.job import Job
from hotlap.config.metadata import DiscreteActionSpace, ModelMetadata
from hotlap.deepracer.driving import MAX_SPEED, MIN_SPEED, STEERING_LIMIT_DEG
from hotlap.envs.race_tracks import tracks_of
from hotlap.errors import TrackError
from hotlap.sim.vehicle import VehicleParams, drive, vehicle_for_version
from hotlap.tracks.track import Track

WHEEL_REACH: Final = 0.12  # [m] from the center of gravity to the farthest wheel's center
DOUBT: Final = 0.85  # of a circle's radius: what a slide may do for a moment
SETTLING: Final = 90  # control steps until the car has driven its circle
CIRCLING: Final = 30  # of them, in which it is measured
NUM_BENDS: Final = 12
MAX_RADIUS: Final = 8.0  # [m] wider than the car's circle at any speed
_SPEEDS: Final = np.linspace(MIN_SPEED, MAX_SPEED, 40)
_ANGLES: Final = np.linspace(0.0, 0.5 * math.pi, 25)[1:]
_SHARES: Final = np.linspace(0.0, 1.0, 11)
_HEADINGS: Final = np.radians(np.linspace(-40.0, 40.0, 17))


def turning_radii(vehicle: VehicleParams, steering_deg: float, speeds: Sequence[float]) -> np.ndarray:
    """Radii [m] of the tightest circles that a car's center of gravity can drive at commanded speeds [m/s].

    The steering angle is at most ``steering_deg``, or as much less as keeps the car from spinning.
    """
    angles = np.radians(np.linspace(0.1, 1.0, 10) * steering_deg)
    speed, steering = (grid.ravel() for grid in np.meshgrid(speeds, angles, indexing="ij"))
    ones = np.ones((1, SETTLING))
    motion = drive(vehicle, steering[:, None] * ones, speed[:, None] * ones)[:, -CIRCLING:]
    course = np.unwrap(motion["yaw"] + np.arctan2(motion["w"], motion["u"]))
    driven = np.hypot(np.diff(motion["x"]), np.diff(motion["y"])).sum(axis=1)
    radii = driven / np.maximum(np.abs(course[:, -1] - course[:, 0]), 1e-6)
    radii[(np.abs(motion["w"]) > motion["u"]).any(axis=1)] = np.inf  # it slides sideways
    return radii.reshape(len(speeds), len(angles)).min(axis=1)


def widest_radius(track: Track) -> float:
    """Radius [m] of the tightest circle that a lap of a loop asks for on the best line; at most ``MAX_RADIUS``.

    Infinite for open tracks.
    """
    if not track.closed:
        return math.inf
    return _widest_radius(*(line.tobytes() for line in (track.center, track.inner, track.outer)))


@lru_cache(maxsize=256)
def _widest_radius(*lines: bytes) -> float:
    """Once for a loop, which many model folders may share."""
    center, inner_line, outer_line = (np.frombuffer(line).reshape(-1, 2) for line in lines)
    track = Track("", center, inner_line, outer_line, closed=True)
    inner = shapely.Polygon(track.inner).buffer(-WHEEL_REACH)
    outer = shapely.Polygon(track.outer).buffer(0).buffer(WHEEL_REACH)
    for area in (inner, outer):
        shapely.prepare(area)

    def beyond(points: np.ndarray, on_left: bool) -> np.ndarray:
        """Whether points lie off the road to its left or right."""
        if on_left == track.ccw:
            return shapely.contains_xy(inner, points[..., 0], points[..., 1])
        return ~shapely.contains_xy(outer, points[..., 0], points[..., 1])

    return min(_radius_at(track, bend, beyond) for bend in _tightest(track))


def greatest_speed(track: Track, vehicle: VehicleParams, steering_deg: float) -> float:
    """Greatest speed [m/s] that a car may be commanded in a track's tightest bend; ``MAX_SPEED`` where any will do.

    0 where the car turns too wide at any speed.
    """
    needed = widest_radius(track)
    if needed >= MAX_RADIUS:
        return MAX_SPEED
    fits = DOUBT * _radii_at_speeds(vehicle, min(steering_deg, STEERING_LIMIT_DEG)) <= needed
    slow_enough = _SPEEDS[np.logical_and.accumulate(fits)]
    return float(slow_enough[-1]) if len(slow_enough) else 0.0


@lru_cache(maxsize=16)
def _radii_at_speeds(vehicle: VehicleParams, steering_deg: float) -> np.ndarray:
    """Of the tightest circles [m]; the same on every track."""
    return turning_radii(vehicle, steering_deg, _SPEEDS.tolist())


class ActionLimits(NamedTuple):
    """What a car does at most by the actions of a model, as they are executed."""

    slowest: float
    """[m/s]"""
    fastest: float
    steering_deg: float
    """To either side."""


def action_limits(metadata: ModelMetadata) -> ActionLimits:
    """The slowest and fastest speed of an action space, and its greatest steering angle, as they are executed."""
    space = metadata.action_space
    if isinstance(space, DiscreteActionSpace):
        speeds = [action.speed for action in space.actions]
        angles = [abs(action.steering_angle) for action in space.actions]
    else:
        speeds = [space.speed.low, space.speed.high]
        angles = [abs(space.steering_angle.low), abs(space.steering_angle.high)]
    slowest, fastest = (min(max(speed, MIN_SPEED), MAX_SPEED) for speed in (min(speeds), max(speeds)))
    return ActionLimits(slowest, fastest, min(max(angles), STEERING_LIMIT_DEG))


def speed_doubts(job: Job, metadata: ModelMetadata) -> list[str]:
    """A sentence for each race with a track whose tightest bend is too tight for every action; a policy can brake for
    others."""
    slowest, _, steering = action_limits(metadata)
    vehicle = vehicle_for_version(metadata.version)
    found: dict[str, None] = {}
    for race in job.races:
        try:
            pool = tracks_of(race, seed=job.training.seed)
        except TrackError:
            continue  # which whoever needs the track says
        # Where the car can follow the middle of the road there is no need to look for a better line.
        circle = DOUBT * np.interp(slowest, _SPEEDS, _radii_at_speeds(vehicle, steering))
        tight = [track for track in pool.tracks if track.min_radius < circle]
        speeds = [(greatest_speed(track, vehicle, steering), track.name) for track in tight]
        forbidden = sorted(each for each in speeds if slowest > each[0])
        if forbidden:
            greatest, name = forbidden[0]
            more, num_tracks = len(forbidden) - 1, len(pool.tracks)
            others = f", nor on {more} more of {num_tracks} tracks" if more else ""
            found[
                f"the slowest action drives {slowest:g} m/s, but at more than {greatest:.1f} m/s no car with "
                f"{steering:g}° of steering holds the road through the tightest bend of {name}: no lap can be "
                f"clean{others}. {_remedy(greatest, steering)}"
            ] = None
    return list(found)


def _remedy(greatest: float, steering: float) -> str:
    """What to change where every action is too fast."""
    ways = []
    if greatest >= MIN_SPEED:
        ways.append(f'lower "speed" of some actions to {greatest:.1f} or less')
    if steering < STEERING_LIMIT_DEG:
        ways.append(f'raise "steering_angle" to up to {STEERING_LIMIT_DEG:g}')
    way = " or ".join(ways)
    return f"{way[0].upper()}{way[1:]} in model_metadata.json." if way else "Choose another track."


def _tightest(track: Track) -> list[int]:
    """Waypoints in the tightest bends, a meter or more apart."""
    chosen: list[int] = []
    for point in np.argsort(-np.abs(track.curvature)):
        apart = np.abs(track.arc[chosen] - track.arc[point])
        if len(chosen) < NUM_BENDS and (np.minimum(apart, track.length - apart) > 1.0).all():
            chosen.append(int(point))
    return chosen


def _radius_at(track: Track, point: int, beyond: Callable[[np.ndarray, bool], np.ndarray]) -> float:
    """The largest radius with which a car gets past a waypoint in a bend."""
    turn = 1.0 if track.curvature[point] > 0.0 else -1.0  # to the left
    across = track.outer[point] - track.inner[point]
    across = across / np.hypot(*across) * WHEEL_REACH
    begin, end = track.inner[point] - across, track.outer[point] + across
    yaw = float(track.pose_at(track.arc[point])[2])
    places, headings = np.meshgrid(_SHARES, yaw + _HEADINGS, indexing="ij")
    starts = begin + places[..., None] * (end - begin)

    def passes(radius: float) -> bool:
        free = np.ones(headings.shape, dtype=bool)
        for way in (1.0, -1.0):
            turned = headings[..., None] + way * turn * _ANGLES
            x = starts[..., :1] + turn * radius * (np.sin(turned) - np.sin(headings)[..., None])
            y = starts[..., 1:] - turn * radius * (np.cos(turned) - np.cos(headings)[..., None])
            points = np.stack([x, y], axis=-1)
            outside, inside = beyond(points, turn < 0.0), beyond(points, turn > 0.0)
            # What comes after the arc has cut the inside is no matter: the car may turn less.
            before = ~np.logical_or.accumulate(inside, axis=-1)
            free &= ~(outside & before).any(axis=-1)
        return bool(free.any())

    low, high = 0.1, MAX_RADIUS
    if passes(high):
        return high
    for _ in range(8):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if passes(middle) else (low, middle)
    return high
