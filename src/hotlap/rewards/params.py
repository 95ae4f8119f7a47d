"""What a reward function is called with: a dictionary of 27 keys, of exactly the original's types."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np

from hotlap.deepracer.reward_inputs import KEYS, OF_OBJECTS, OF_TRACK, REWARD_INPUTS

COLUMNS: Final = (*(key for key in KEYS if key not in (*OF_TRACK, *OF_OBJECTS)), "route")
"""The arrays that `RewardParams` wants: (n,) each, `closest_waypoints` (n, 2); units as in the dictionary."""

_OF_KIND: Final = {
    **dict.fromkeys(("float", "floats", "points"), np.float64),
    **dict.fromkeys(("bool", "bools"), np.bool_),
    "ints": np.int64,
}
_DTYPES: Final = {key: _OF_KIND[each.kind] for key, each in REWARD_INPUTS.items()} | {"route": np.int64}
_WITHOUT_OBJECTS: Final = {"bool": (), "ints": (2,), "points": (0, 2), "bools": (0,), "floats": (0,)}
"""By kind, the shape of an input about objects where there are none."""


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
        keys = COLUMNS + OF_OBJECTS if "objects_location" in columns else COLUMNS
        lists = [np.asarray(columns[key], dtype=_DTYPES[key]).tolist() for key in keys]
        return _written_out(keys)(zip(*lists, strict=True), self._waypoints, self._lengths)

    def batches(self, columns: Mapping[str, np.ndarray]) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        """For `reward_function_batch`: per route, the rows on it and one dictionary of arrays.

        Yields:
            Row indices (k,), and the 27 keys with arrays (k,) for numbers and bools, (k, 2) for `closest_waypoints` and
            `closest_objects`, `waypoints` as (N, 2), `track_length` as a float, and `objects_…` as (k, m) or (k, m, 2).
        """
        count = len(columns["route"])
        arrays: dict[str, np.ndarray] = {
            key: np.asarray(columns[key], dtype=_DTYPES[key])
            if key in columns or key not in OF_OBJECTS
            else np.zeros((count, *_WITHOUT_OBJECTS[each.kind]), dtype=_DTYPES[key])
            for key, each in REWARD_INPUTS.items()
            if key not in OF_TRACK
        }
        for route in np.unique(columns["route"]).tolist():
            rows = np.flatnonzero(columns["route"] == route)
            values: dict[str, Any] = {key: array[rows] for key, array in arrays.items()}
            values["waypoints"], values["track_length"] = self._centers[route].copy(), self._lengths[route]
            yield rows, {key: values[key] for key in KEYS}


@functools.cache
def _written_out(keys: tuple[str, ...]) -> Callable[..., Iterator[dict[str, Any]]]:
    """Makes the dictionaries of rows of ``keys``, waypoints and lengths.

    By a literal with all 27 keys: this runs for every car and step, and ``dict(zip(…))`` takes a third longer.
    """
    nothing = {"bool": "False", "ints": "[0, 0]"}
    texts = {key: key if key in keys else nothing.get(each.kind, "[]") for key, each in REWARD_INPUTS.items()}
    texts |= {"waypoints": "waypoints[route].copy()", "track_length": "lengths[route]"}
    literal = ", ".join(f"{key!r}: {text}" for key, text in texts.items())
    function: Callable[..., Iterator[dict[str, Any]]] = eval(
        f"lambda rows, waypoints, lengths: ({{{literal}}} for {', '.join(keys)} in rows)"
    )
    return function


def copy_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `RewardParams` that shares nothing with this one which a function could change.

    As `copy.deepcopy` makes it, which takes far longer for the waypoints.
    """
    return {
        key: [each.copy() if isinstance(each, list) else each for each in value] if isinstance(value, list) else value
        for key, value in params.items()
    }


def batch_of_one(params: Mapping[str, Any]) -> dict[str, Any]:
    """What `RewardParams.batches` gives for a world alone, from its row."""
    values: dict[str, Any] = {}
    for key, value in params.items():
        column: np.ndarray = np.array([value], dtype=_DTYPES[key])
        if REWARD_INPUTS[key].kind == "points":
            column = column.reshape(1, -1, 2)  # also where there is none
        values[key] = {"waypoints": column[0], "track_length": value}.get(key, column)
    return values
