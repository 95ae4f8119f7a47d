"""Bot cars: they drive on the lanes along the center line, whatever happens, and stop only after running into someone.

Sources: DeepRacer simapp, ``markov/agent_ctrl/bot_cars_agent_ctrl.py``, ``markov/track_geom/spline``.
"""

from __future__ import annotations

from functools import cache
from typing import Any, no_type_check

import warp as wp

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.track_objects import BotCars
from hotlap.sim.lanes import lane_point
from hotlap.sim.object_rules import locate
from hotlap.sim.objects import Bot, RaceObject
from hotlap.sim.scene import Scene
from hotlap.sim.segments import Segment
from hotlap.sim.state import State

_PERIOD = wp.constant(CONTROL_PERIOD)


@wp.struct
class _Habits:
    """How bot cars drive [m, s, m/s]; ``changes`` is 1 if they change lanes."""

    speed: float
    changes: int
    shortest: float
    longest: float
    change_distance: float


@wp.kernel
@no_type_check
def _drive_bots(
    # Scene:
    segments: wp.array2d(dtype=Segment),
    num_segments: wp.array(dtype=wp.int32),
    length: wp.array(dtype=wp.float32),
    closed: wp.array(dtype=wp.int32),
    ccw: wp.array(dtype=wp.int32),
    lane_table: wp.array2d(dtype=wp.vec4),
    lane_intervals: wp.array(dtype=wp.int32),
    habits: _Habits,
    num_obstacles: int,
    # State in:
    route_of: wp.array(dtype=wp.int32),
    bot_seed: wp.array(dtype=wp.uint32),
    # In:
    goes_on: wp.array(dtype=wp.int32),
    num_steps: int,
    # State in and out:
    bots: wp.array2d(dtype=Bot),
    bot_steps: wp.array(dtype=wp.int32),
    bot_pause: wp.array(dtype=wp.float32),
    objects: wp.array2d(dtype=RaceObject),
):
    i = wp.tid()
    if goes_on[i] == 0:
        return
    if bot_pause[i] > 0.0:
        bot_pause[i] = bot_pause[i] - float(num_steps) * _PERIOD
        if bot_pause[i] <= 1.0e-4:
            bot_pause[i] = 0.0
    else:
        bot_steps[i] = bot_steps[i] + num_steps
    route = route_of[i]
    clock = float(bot_steps[i]) * _PERIOD
    for k in range(bots.shape[1]):
        bot = bots[i, k]
        if habits.changes != 0 and clock >= bot.change_end:
            if bot.num_changes > 0:
                bot.lane = 1 - bot.lane
            draw = wp.rand_init(wp.int32(bot_seed[i]), bots.shape[1] * bot.num_changes + k)
            # The first one counts from the start, wherever the clock is when the episode begins.
            since = wp.where(bot.num_changes > 0, clock, 0.0)
            bot.change_begin = since + wp.lerp(habits.shortest, habits.longest, wp.randf(draw))
            bot.change_end = bot.change_begin + habits.change_distance / habits.speed
            bot.num_changes += 1
            bots[i, k] = bot

        laps = (bot.start + habits.speed * clock) / length[route]
        share = laps - wp.floor(laps)
        here = lane_point(lane_table, 2 * route + bot.lane, lane_intervals[route], share)
        if habits.changes != 0 and clock > bot.change_begin:
            there = lane_point(lane_table, 2 * route + 1 - bot.lane, lane_intervals[route], share)
            done = wp.min(habits.speed * (clock - bot.change_begin) / habits.change_distance, 1.0)
            across = there - here
            here += done * done * (3.0 - 2.0 * done) * across
            turn = 6.0 * done * (1.0 - done) / habits.change_distance
            here[2] += turn * across[0]
            here[3] += turn * across[1]
        item = objects[i, num_obstacles + k]
        item.x = here[0]
        item.y = here[1]
        item.yaw = wp.atan2(here[3], here[2])
        objects[i, num_obstacles + k] = locate(segments, route, num_segments[route], closed[route], ccw[route], item)


@cache
def _habits(rules: BotCars) -> Any:
    habits = _Habits()
    habits.speed = rules.speed
    habits.changes = int(rules.lane_change and rules.speed > 0.0)
    habits.shortest, habits.longest = rules.lower_lane_change_time, rules.upper_lane_change_time
    habits.change_distance = rules.lane_change_distance
    return habits


def drive_bots(scene: Scene, state: State, goes_on: wp.array, num_steps: int) -> None:
    """Let the bot cars drive for ``num_steps`` control steps, or see to it that they are where they are (0).

    Args:
        scene: Tracks, and how bot cars drive.
        state: Worlds with at least one bot car.
        goes_on: Mask of the worlds, int32 (num_worlds,).
        num_steps: 0 or 1.
    """
    rules = scene.bots
    assert rules is not None
    wp.launch(
        _drive_bots,
        dim=state.num_worlds,
        inputs=[
            scene.segments,
            scene.num_segments,
            scene.length,
            scene.closed,
            scene.ccw,
            scene.lane_table,
            scene.lane_intervals,
            _habits(rules),
            state.num_objects - rules.number,
            state.route,
            state.bot_seed,
            goes_on,
            num_steps,
        ],
        outputs=[state.bots, state.bot_steps, state.bot_pause, state.objects],
        device=scene.device,
    )
