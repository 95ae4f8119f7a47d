"""The dictionary that a reward function is called with: 27 keys, of exactly the original's types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np

from hotlap.deepracer.reward_inputs import KEYS, OF_OBJECTS, OF_TRACK, REWARD_INPUTS

_FLOATS = tuple(key for key, each in REWARD_INPUTS.items() if each.kind == "float" and key not in OF_TRACK)
_BOOLS = tuple(key for key, each in REWARD_INPUTS.items() if each.kind == "bool" and key not in OF_OBJECTS)

COLUMNS: Final = (*_FLOATS, *_BOOLS, "closest_waypoints", "route")
"""The arrays that `RewardParams` wants: (n,) each, `closest_waypoints` (n, 2); units as in the dictionary."""

_OBJECT_FLOATS = tuple(key for key in OF_OBJECTS if REWARD_INPUTS[key].kind == "floats")


class Route(Protocol):
    """What a dictionary tells of a track in its driving direction; every `Track` is one."""

    @property
    def center(self) -> np.ndarray:
        """(N, 2) m; on loops the last row repeats the first."""

    @property
    def length(self) -> float:
        """m"""


class RewardParams:
    """Makes the dictionaries of a batch of worlds.

    Each call of a reward function gets a dictionary and lists of its own, so what it does to them stays without effect.
    Floats are those of the columns: give `speed` and `steering_angle` as float64 from the metadata, or a comparison
    such as ``speed == 0.6`` fails on the rounding of float32. `heading` and `steering_angle` are degrees.

    Args:
        routes: The tracks, in driving direction, that the column `route` counts through.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._waypoints = [[(x, y) for x, y in route.center.tolist()] for route in routes]
        self._lengths = [float(route.length) for route in routes]
        self._centers = [np.asarray(route.center, dtype=np.float64) for route in routes]

    def rows(self, columns: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
        """One fresh dictionary per row of the columns (see `COLUMNS`, `OF_OBJECTS`), in order."""
        alone = self._rows_alone(columns)
        return _with_objects(alone, columns) if "objects_location" in columns else alone

    def _rows_alone(self, columns: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
        """The rows without anything on the track."""
        floats = (np.asarray(columns[key], dtype=np.float64).tolist() for key in _FLOATS)
        bools = (np.asarray(columns[key], dtype=bool).tolist() for key in _BOOLS)
        closest = columns["closest_waypoints"].tolist()
        routes = columns["route"].tolist()
        all_waypoints, lengths = self._waypoints, self._lengths
        # Written out because this runs for every car and step: a loop over the keys takes several times as long.
        for (
            x, y, heading, distance_from_center, projection_distance, progress, steps, speed, steering_angle,
            track_width, sim_time, all_wheels_on_track, is_left_of_center, is_reversed, is_crashed, is_offtrack,
            closest_waypoints, route,
        ) in zip(*floats, *bools, closest, routes, strict=True):  # fmt: skip
            yield {
                "all_wheels_on_track": all_wheels_on_track,
                "x": x,
                "y": y,
                "heading": heading,
                "distance_from_center": distance_from_center,
                "projection_distance": projection_distance,
                "progress": progress,
                "steps": steps,
                "speed": speed,
                "steering_angle": steering_angle,
                "track_width": track_width,
                "track_length": lengths[route],
                "waypoints": all_waypoints[route].copy(),
                "closest_waypoints": closest_waypoints,
                "is_left_of_center": is_left_of_center,
                "is_reversed": is_reversed,
                "closest_objects": [0, 0],
                "objects_location": [],
                "objects_left_of_center": [],
                "object_in_camera": False,
                "objects_speed": [],
                "objects_heading": [],
                "objects_distance_from_center": [],
                "objects_distance": [],
                "is_crashed": is_crashed,
                "is_offtrack": is_offtrack,
                "sim_time": sim_time,
            }

    def batches(self, columns: Mapping[str, np.ndarray]) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        """For `reward_function_batch`: per route, the rows on it and one dictionary of arrays.

        Yields:
            Row indices (k,), and the 27 keys with arrays (k,) for numbers and bools, (k, 2) for `closest_waypoints` and
            `closest_objects`, `waypoints` as (N, 2), `track_length` as a float, and `objects_…` as (k, m) or (k, m, 2).
        """
        route_of_row = np.asarray(columns["route"])
        for route in np.unique(route_of_row).tolist():
            rows = np.flatnonzero(route_of_row == route)
            k = len(rows)
            values: dict[str, Any] = {key: np.asarray(columns[key], dtype=np.float64)[rows] for key in _FLOATS}
            values |= {key: np.asarray(columns[key], dtype=bool)[rows] for key in _BOOLS}
            if "objects_location" in columns:
                values |= {key: np.asarray(columns[key])[rows] for key in OF_OBJECTS}
            else:
                values |= {key: np.zeros((k, 0)) for key in _OBJECT_FLOATS}
                values["objects_location"] = np.zeros((k, 0, 2))
                values["objects_left_of_center"] = np.zeros((k, 0), dtype=bool)
                values["object_in_camera"] = np.zeros(k, dtype=bool)
                values["closest_objects"] = np.zeros((k, 2), dtype=np.int64)
            values["closest_waypoints"] = np.asarray(columns["closest_waypoints"])[rows]
            values["waypoints"] = self._centers[route].copy()
            values["track_length"] = self._lengths[route]
            yield rows, {key: values[key] for key in KEYS}


_DTYPES: Final = {"float": np.float64, "points": np.float64, "floats": np.float64, "ints": np.int64}  # else bool


def batch_of_one(params: Mapping[str, Any]) -> dict[str, Any]:
    """What `RewardParams.batches` gives for a world alone, from its row."""
    values: dict[str, Any] = {}
    for key, value in params.items():
        kind = REWARD_INPUTS[key].kind
        if key == "track_length":
            values[key] = value
            continue
        column = np.array([value], dtype=_DTYPES.get(kind, np.bool_))
        if kind == "points":
            column = column.reshape(1, -1, 2)  # also where there is none
        values[key] = column[0] if key == "waypoints" else column
    return values


def _with_objects(rows: Iterator[dict[str, Any]], columns: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """The rows with what there is to say of the objects."""
    values = [np.asarray(columns[key]).tolist() for key in OF_OBJECTS]
    for params, *each in zip(rows, *values, strict=True):
        params.update(zip(OF_OBJECTS, each, strict=True))
        yield params
