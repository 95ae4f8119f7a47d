"""What else may be on the track, with the original's defaults.

Source: DeepRacer simapp, ``markov/agent_ctrl/{obstacles,bot_cars}_agent_ctrl.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

BoxKind = Literal["box_obstacle", "deepracer_box_obstacle", "amazon_box_obstacle"]
BOX_KINDS: Final[tuple[BoxKind, ...]] = get_args(BoxKind)


@dataclass(frozen=True)
class Obstacles:
    """Boxes or parked cars that stand on the lanes."""

    number: int = 6
    """How many, unless ``positions`` says."""
    min_distance: float = 2.0
    """From the start of the lap to the first, and between neighbors where places are random [m]."""
    randomize: bool = False
    """Random places and lanes in every episode, instead of even ones on alternate lanes."""
    kind: BoxKind = "box_obstacle"
    bot_car: bool = False
    """Parked cars instead of boxes."""
    positions: tuple[tuple[float, float], ...] = ()
    """Fixed places: lap fraction and lane, -1 for the outer one."""

    def __len__(self) -> int:
        return len(self.positions) or self.number


@dataclass(frozen=True)
class BotCars:
    """Cars that drive on the lanes, as far along the center line in the same time everywhere."""

    number: int = 3
    min_distance: float = 2.0
    """As of obstacles [m]."""
    randomize: bool = False
    """As of obstacles."""
    speed: float = 0.2
    """Along the center line [m/s]."""
    lane_change: bool = False
    lower_lane_change_time: float = 3.0
    """From one change of lane to the next, at least, and
    """
    upper_lane_change_time: float = 5.0
    """at most [s]."""
    lane_change_distance: float = 1.0
    """How far a change of lane takes along the center line [m]."""
    penalty: float = 5.0
    """How long all of them stop after one ran into the racing car [s]."""
