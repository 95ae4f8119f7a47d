"""Bot cars: they drive on the lanes along the center line, whatever happens, and stop only after running into someone.

Sources: DeepRacer simapp, ``markov/agent_ctrl/bot_cars_agent_ctrl.py``, ``markov/track_geom/spline``.
"""

from __future__ import annotations

from typing import no_type_check

import warp as wp

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.sim.lanes import lane_point
from hotlap.sim.object_rules import locate
from hotlap.sim.scene import Scene, SceneData
from hotlap.sim.state import State

_PERIOD = wp.constant(CONTROL_PERIOD)


@wp.kernel
@no_type_check
def _drive_bots(scene: SceneData, goes_on: wp.array2d[wp.int32], num_steps: int, state: State):
    w = wp.tid()
    num_going = int(0)
    for c in range(goes_on.shape[1]):
        num_going += goes_on[w, c]
    if num_going == 0:
        return
    habits = scene.bots
    changes = habits.lane_change and habits.speed > 0.0
    if state.bot_pause[w] > 0.0:
        state.bot_pause[w] = state.bot_pause[w] - float(num_steps) * _PERIOD
        if state.bot_pause[w] <= 1.0e-4:
            state.bot_pause[w] = 0.0
    else:
        state.bot_steps[w] = state.bot_steps[w] + num_steps
    route = state.route[w]
    clock = float(state.bot_steps[w]) * _PERIOD
    for k in range(state.bots.shape[1]):
        bot = state.bots[w, k]
        if changes and clock >= bot.change_end:
            if bot.num_changes > 0:
                bot.lane = 1 - bot.lane
            draw = wp.rand_init(wp.int32(state.bot_seed[w]), state.bots.shape[1] * bot.num_changes + k)
            # The first one counts from the start, wherever the clock is when the episode begins.
            since = wp.where(bot.num_changes > 0, clock, 0.0)
            bot.change_begin = since + wp.lerp(
                habits.lower_lane_change_time, habits.upper_lane_change_time, wp.randf(draw)
            )
            bot.change_end = bot.change_begin + habits.lane_change_distance / habits.speed
            bot.num_changes += 1
            state.bots[w, k] = bot

        laps = (bot.start + habits.speed * clock) / scene.length[route]
        share = laps - wp.floor(laps)
        here = lane_point(scene.lane_table, 2 * route + bot.lane, scene.lane_intervals[route], share)
        if changes and clock > bot.change_begin:
            there = lane_point(scene.lane_table, 2 * route + 1 - bot.lane, scene.lane_intervals[route], share)
            done = wp.min(habits.speed * (clock - bot.change_begin) / habits.lane_change_distance, 1.0)
            across = there - here
            here += done * done * (3.0 - 2.0 * done) * across
            turn = 6.0 * done * (1.0 - done) / habits.lane_change_distance
            here[2] += turn * across[0]
            here[3] += turn * across[1]
        item = state.objects[w, scene.num_obstacles + k]
        item.x = here[0]
        item.y = here[1]
        item.yaw = wp.atan2(here[3], here[2])
        state.objects[w, scene.num_obstacles + k] = locate(scene, route, item)


def drive_bots(scene: Scene, state: State, goes_on: wp.array, num_steps: int) -> None:
    """Let the bot cars drive for ``num_steps`` control steps, or see to it that they are where they are (0).

    Args:
        scene: Tracks, and at least one bot car.
        state: Worlds.
        goes_on: Mask of the cars, int32 (num_worlds, num_cars): bots drive where any of them goes on.
        num_steps: 0 or 1.
    """
    inputs = [scene.data, goes_on, num_steps, state]
    wp.launch(_drive_bots, dim=len(state.route), inputs=inputs, device=scene.device)
