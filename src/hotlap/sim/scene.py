"""The fixed part of a simulation: routes, race rules, what else is on the track, on one device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np
import warp as wp

from hotlap.deepracer.track_objects import BotCars, Obstacles
from hotlap.sim.lanes import lane_tables
from hotlap.sim.objects import SHAPES, shapes_of
from hotlap.sim.road import RoadData, upload_road
from hotlap.sim.segments import SEGMENT_DTYPE, Segment, segments_of
from hotlap.tracks.track import Track

if TYPE_CHECKING:  # as type checkers see it, `wp.array2d` has no methods (Warp 1.19)
    from warp import array as array2d
else:
    from warp import array2d

# Lines of a route in `SceneData.segments`, in this order; the caps close the road of an open track at both ends.
CENTER, INNER, OUTER, INNER_LANE, OUTER_LANE, CAPS = range(6)
LINES_PER_ROUTE = 6


@dataclass(frozen=True)
class RaceRules:
    """What happens when a car leaves the track, and when a race is over.

    The defaults are those of training: the first mishap ends the episode. Source: DeepRacer simapp,
    ``markov/reset`` and ``markov/agent_ctrl``.
    """

    number_of_resets: int = 0
    """Mishaps per episode after which the car is put back; one more ends the episode."""
    off_track_penalty: float = 0.0
    """Pause after leaving the track or driving backwards [s]."""
    collision_penalty: float = 0.0
    """Pause after a crash [s]."""
    number_of_laps: int = 1
    """Laps of an episode; more than one is the original's continuous race."""
    reverse_count: int = 15
    """Steps in a row of falling progress that count as driving backwards."""
    max_steps: int = 100_000
    """Time limit of an episode [steps]; reaching it truncates."""


def _numbers_of(settings: type) -> Any:
    """A Warp struct of the numbers and flags of a dataclass, by their names there."""
    return wp.struct(type(settings.__name__, (), {"__annotations__": get_type_hints(settings)}))


if TYPE_CHECKING:
    _RaceRules = RaceRules
    _BotCars = BotCars
else:
    _RaceRules = _numbers_of(RaceRules)
    _BotCars = _numbers_of(BotCars)


@wp.struct
class SceneData:
    """What kernels need of a scene, on its device.

    Each track gives two routes: ``2 * track`` in file order, ``2 * track + 1`` in reversed row order. A route has the
    lines CENTER, INNER, OUTER, INNER_LANE, OUTER_LANE and CAPS, line ``k`` of a route in row
    ``LINES_PER_ROUTE * route + k``.

    ============== =============================================== ===========================
    field          meaning                                         shape
    ============== =============================================== ===========================
    segments       pieces of all lines                             (6 num_routes, most pieces)
    num_segments   pieces of the five long lines of a route        (num_routes,)
    length         centre-line length [m]                          (num_routes,)
    closed         1 for a loop                                    (num_routes,)
    ccw            1 where the inner border is to the left         (num_routes,)
    lane_table     curves of the lanes, for bot cars: ``lanes``    (2 num_routes, most points)
    lane_intervals number of intervals between those points        (num_routes,)
    num_obstacles  objects before the bot cars                     one number
    rules          ``RaceRules``                                   a struct
    bots           ``BotCars``; all 0 where there are none         a struct
    ============== =============================================== ===========================
    """

    segments: array2d[Segment]
    num_segments: wp.array[wp.int32]
    length: wp.array[wp.float32]
    closed: wp.array[wp.int32]
    ccw: wp.array[wp.int32]
    lane_table: array2d[wp.vec4]
    lane_intervals: wp.array[wp.int32]
    num_obstacles: int
    rules: _RaceRules
    bots: _BotCars


class Scene:
    """Routes of one or more tracks, race rules and objects; every world of a simulator races on one of the routes.

    Every world has the same objects, obstacles before bot cars: ``num_objects``, of them ``num_bots``. ``boxes`` are
    those of all objects in turn, with the number of the object and that of its paint; what has one paint has one color.
    ``data`` is what kernels take.

    Args:
        tracks: In file order.
        rules: Default: those of training.
        obstacles: What stands on the track.
        bots: Who drives by a script.
        num_cars: How many cars in each world learn or race; they do not meet.
        device: Where to compute.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        rules: RaceRules | None = None,
        *,
        obstacles: Obstacles | None = None,
        bots: BotCars | None = None,
        num_cars: int = 1,
        device: str = "cpu",
    ) -> None:
        self.tracks = tuple(tracks)
        self.rules = rules or RaceRules()
        self.obstacles = obstacles
        self.bots = bots if bots and bots.number else None
        self.num_cars = num_cars
        self.device = device
        standing = shapes_of(obstacles) if obstacles else []
        self.num_bots = bots.number if bots else 0
        self.num_objects = len(standing) + self.num_bots
        # The original draws one color for an obstacle as a whole, and one for each part of a bot car.
        self.boxes = tuple(
            (number, number, box) for number, shape in enumerate(standing) for box in shape.boxes
        ) + tuple(
            (number, len(standing) + 2 * k + box.paint, box)
            for k, number in enumerate(range(len(standing), self.num_objects))
            for box in SHAPES["bot_car"].boxes
        )
        self.routes = tuple(route for track in self.tracks for route in (track, track.reversed()))
        self.data = self._upload()

    @cached_property
    def road(self) -> RoadData:
        """The center lines of all routes at even distances; made when somebody asks for it."""
        return upload_road(self.routes, self.device)

    @staticmethod
    def route(track: int, reverse: bool) -> int:
        """Number of the route of ``track`` in file order, or against it."""
        return 2 * track + int(reverse)

    def _upload(self) -> SceneData:
        num_segments = [len(route.center) - 1 for route in self.routes]
        rows = np.zeros((LINES_PER_ROUTE * len(self.routes), max(num_segments)), dtype=SEGMENT_DTYPE)
        for number, route in enumerate(self.routes):
            caps = np.array([route.inner[0], route.outer[0], route.outer[-1], route.inner[-1]])
            lines = [
                route.center,
                route.inner,
                route.outer,
                (route.inner + route.center) / 2,
                (route.outer + route.center) / 2,
            ]
            for line, points in enumerate(lines):
                rows[LINES_PER_ROUTE * number + line, : num_segments[number]] = segments_of(points)
            rows[LINES_PER_ROUTE * number + CAPS, :2] = segments_of(caps)[[0, 2]]
        table, intervals = lane_tables(self.routes) if self.bots else (np.zeros((0, 0, 4)), np.zeros(0))
        device, data = self.device, SceneData()
        data.segments = wp.array(rows, dtype=Segment, device=device)
        data.num_segments = wp.array(num_segments, dtype=wp.int32, device=device)
        data.length = wp.array([route.length for route in self.routes], dtype=wp.float32, device=device)
        data.closed = wp.array([int(route.closed) for route in self.routes], dtype=wp.int32, device=device)
        ccw = [int(track.ccw) ^ flipped for track in self.tracks for flipped in (0, 1)]
        data.ccw = wp.array(ccw, dtype=wp.int32, device=device)
        data.lane_table = wp.array(table, dtype=wp.vec4, device=device)
        data.lane_intervals = wp.array(intervals, dtype=wp.int32, device=device)
        data.num_obstacles = self.num_objects - self.num_bots
        for kernels, settings in ((data.rules, self.rules), (data.bots, self.bots)):
            for name, value in asdict(settings).items() if settings else ():
                setattr(kernels, name, value)
        return data
