"""What a trace was recorded with and on, found out from the trace itself.

The version comes from the metadata, else from the columns and stamps; the route from the logged track length, the way
driven, and the waypoint numbers, which count the rows of the route file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from hotlap.errors import DataError, TrackError
from hotlap.records.steps import Steps
from hotlap.records.trace_reader import Trace
from hotlap.tracks.catalog import list_tracks, load_track
from hotlap.tracks.route_file import read_route
from hotlap.tracks.track import Track
from hotlap.validation.traces import LENGTH_TOLERANCE, DrivenRoute, driven_route

METADATA_VERSIONS = {"1": "v1", "2": "v2", "3": "v3", "4": "v4", "5": "v5", "6": "droa"}
"""The versions by their numbers in model_metadata.json."""

_SAMPLE = 1000  # rows that are looked up on each route
_ON_ROAD = 0.95  # share of the rows on the track whose point must lie on the road
_BESIDE = 0.25  # [m] from the car's front point, which is logged, to its outermost wheel, and a little
_AGREES = 0.9  # share of rows with the logged waypoint number; rounding moves some by one
_AS_GOOD = 0.02  # shares that differ by less tell no two routes apart


@dataclass(frozen=True)
class Candidate:
    """A route that a trace may have been driven on, and the share of its waypoint numbers that are the logged ones."""

    route: DrivenRoute
    reversed: bool
    agreement: float


def versions_of(trace: Trace) -> tuple[str, ...]:
    """The versions that log these columns with such stamps; more than one where they cannot be told apart."""
    if "status" not in trace.columns:
        return ("v1",) if trace.in_radians else ("v1", "v2")
    if "wall_clock" in trace.columns:
        return ("droa",)
    if "obstacle_crash_counter" in trace.columns:
        return ("v4", "v5", "droa")  # simulators of 2023 and later, whatever the model asks for
    if trace.on_wall_clock:
        return ("v2", "v3")
    # Continuous actions began with version 4.
    return ("v4", "v5") if "pause_duration" in trace.columns else ("v3", "v4")


def routes_of(steps: Steps, tracks: Path | None = None, track: str | None = None) -> list[Candidate]:
    """The routes that fit a trace, the best first.

    Args:
        steps: What it recorded.
        tracks: A folder of route files that are looked at too.
        track: Only this one.
    """
    logged = float(np.median(steps.track_length))
    points = np.stack([steps.x, steps.y], axis=-1)
    rows = np.flatnonzero(steps.all_wheels_on_track)
    if not len(rows):
        return []
    rows = rows[np.linspace(0, len(rows) - 1, min(_SAMPLE, len(rows))).astype(np.int64)]
    found: list[Candidate] = []
    for path in _paths(tracks, track):
        try:
            road = _road(path)
        except TrackError:
            continue  # one that cannot be read is none of the candidates
        if abs(road.length - logged) > LENGTH_TOLERANCE:
            continue
        place = road.locate(points[rows])
        if np.mean(place.distance <= 0.5 * place.width + _BESIDE) < _ON_ROAD:
            continue
        route, backwards = driven_route(road, path, steps)
        agreement = _agreement(route, points[rows], steps.nearest_waypoint[rows])
        found.append(Candidate(route, backwards, agreement))
    return sorted(found, key=lambda each: -each.agreement)


def the_route(candidates: Sequence[Candidate], source: str, length: float, direction: str | None) -> DrivenRoute:
    """The one that fits.

    Raises:
        DataError: If none does, or more than one.
    """
    sound = [each for each in candidates if each.agreement >= _AGREES] or list(candidates)
    if direction is not None:
        sound = [each for each in sound if each.reversed == (direction == "reversed")]
    if not sound:
        raise DataError(
            f"{source}: no known track is {length:.2f} m long and leads where the car drove"
            f"{f' {direction}' if direction else ''}. Name its route file with --track FILE.npy or its folder with "
            "--tracks DIR, or add it with `hotlap tracks add FILE.npy`."
        )
    best = [each for each in sound if each.agreement > sound[0].agreement - _AS_GOOD]
    different = [best[0]]
    for each in best[1:]:
        if not any(_same(each.route, other.route) for other in different):
            different.append(each)
    if len(different) > 1:
        names = ", ".join(each.route.name for each in different[:6])
        same_file = len({each.route.name.removesuffix(" (reversed)") for each in different}) == 1
        option = "--direction as_is or reversed" if same_file else "--track"
        raise DataError(f"{source}: it may have been driven on {names}. Say which with {option}.")
    return best[0].route


@lru_cache(maxsize=1000)
def _road(path: Path) -> Track:
    """The route in a file; checking each anew for every trace would take seconds."""
    return read_route(path)


def _paths(tracks: Path | None, track: str | None) -> Iterable[Path]:
    if track is not None and track.endswith(".npy"):
        return [Path(track)]
    own = sorted(tracks.glob("*.npy")) if tracks is not None else []
    every = [*own, *(entry.path for entry in list_tracks())]
    if track is None:
        return list({path.stem: path for path in reversed(every)}.values())[::-1]
    stem = track.removesuffix("_ccw").removesuffix("_cw")
    # Older simulators had but one route for both directions, and the endings have been mixed up.
    named = [path for path in every if path.stem in (track, stem, f"{stem}_cw", f"{stem}_ccw")]
    if not named:
        load_track(track)  # says which there are
    return named


def _agreement(route: DrivenRoute, points: np.ndarray, logged: np.ndarray) -> float:
    around = route.track.closest_waypoints(points)
    away = np.hypot(*np.moveaxis(route.track.center[around] - points[:, None], -1, 0))
    is_next = (away[:, 1] < away[:, 0]).astype(np.int64)
    nearest = around[np.arange(len(points)), is_next]
    # As the previous waypoint a repeated point counts with its last row, as the next one with its first.
    return float(np.mean(route.file_rows[nearest, 1 - is_next] == logged))


def _same(one: DrivenRoute, other: DrivenRoute) -> bool:
    """Whether two routes are the same rows under two names."""
    return one.file_rows.shape == other.file_rows.shape and np.array_equal(one.track.to_rows(), other.track.to_rows())
