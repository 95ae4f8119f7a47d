"""The changing part of a simulation: one row per world."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import warp as wp

from hotlap.sim.light import DAYLIGHT, Light
from hotlap.sim.objects import Bot, Box, RaceObject
from hotlap.sim.vehicle import Motion, VehicleConstants


class Phase(IntEnum):
    """What an episode is doing; see DeepRacer simapp, ``markov/agent_ctrl`` (agent phases)."""

    PREPARE = 0
    RUN = 1
    PAUSE = 2
    DONE = 3


_FIELDS: dict[str, tuple[type, int]] = {
    # name: (type, columns)
    "steering": (wp.float32, 1),
    "speed": (wp.float32, 1),
    "bot_steps": (wp.int32, 1),
    "bot_pause": (wp.float32, 1),
    "route": (wp.int32, 1),
    "track": (wp.int32, 1),
    "phase": (wp.int32, 1),
    "active": (wp.int32, 1),
    "drives": (wp.int32, 1),
    "looks": (wp.int32, 1),
    "steps": (wp.int32, 1),
    "start_ndist": (wp.float32, 1),
    "previous_progress": (wp.float32, 1),
    "origin_x": (wp.float32, 1),
    "origin_y": (wp.float32, 1),
    "still_count": (wp.int32, 1),
    "reverse_count": (wp.int32, 1),
    "resets": (wp.int32, 1),
    "laps": (wp.int32, 1),
    "pause_left": (wp.float32, 1),
    "pose_x": (wp.float32, 1),
    "pose_y": (wp.float32, 1),
    "pose_yaw": (wp.float32, 1),
    # What the rules found in a step; valid until the next step.
    "status": (wp.int32, 1),
    "running": (wp.int32, 1),
    "terminated": (wp.int32, 1),
    "truncated": (wp.int32, 1),
    "x": (wp.float32, 1),
    "y": (wp.float32, 1),
    "heading": (wp.float32, 1),
    "distance_from_center": (wp.float32, 1),
    "projection_distance": (wp.float32, 1),
    "progress": (wp.float32, 1),
    "track_width": (wp.float32, 1),
    "closest_waypoints": (wp.int32, 2),
    "nearest_waypoint": (wp.int32, 1),
    "is_left_of_center": (wp.int32, 1),
    "all_wheels_on_track": (wp.int32, 1),
    "is_offtrack": (wp.int32, 1),
    "is_crashed": (wp.int32, 1),
    "crashed_into": (wp.int32, 1),
    "closest_objects": (wp.int32, 2),
    "object_in_camera": (wp.int32, 1),
    "pause_duration": (wp.float32, 1),
}


class State:
    """Everything that changes, as device arrays of ``num_worlds`` rows.

    ======================== ===================================================================== ======
    field                    meaning [unit]                                                        set by
    ======================== ===================================================================== ======
    motion                   ``Motion`` of the car: pose and velocities of its centre of gravity   drive
    vehicle                  ``VehicleConstants`` of this world's car                              reset
    jitter_seed              seed of the car's step-to-step randomness (uint32)                    reset
    light                    ``Light`` of the world                                                reset
    objects                  ``RaceObject``: (num_worlds, num_objects)                             drive
    bots                     ``Bot``, for the last of the objects: (num_worlds, num_bots)          drive
    bot_seed                 seed of the bot cars' changes of lane (uint32)                        reset
    box_colors               colors of the objects' boxes, 0 to 255: (num_worlds, num_boxes) vec3  reset
    steering                 commanded steering angle [deg, left positive]                         caller
    speed                    commanded speed [m/s]                                                 caller
    bot_steps                steps that the bot cars have driven                                   drive
    bot_pause                time that they still stand [s]                                        rules
    route                    where it races: ``Scene.route``                                       reset
    track                    index in ``Scene.tracks``                                             reset
    phase                    ``Phase``                                                             rules
    active                   1 until the episode is over                                           rules
    drives                   1 if the action takes effect in this step                             rules
    looks                    1 if the camera looks after this step                                 rules
    steps                    steps of the episode so far                                           rules
    start_ndist              lap fraction at which the episode starts                              reset
    previous_progress        progress at the step before [%]                                       rules
    origin_x, origin_y       position of the car's origin at the step before [m]                   rules
    still_count              steps in a row without motion                                         rules
    reverse_count            steps in a row with falling progress                                  rules
    resets                   mishaps forgiven                                                      rules
    laps                     laps completed                                                        rules
    pause_left               penalty still to serve [s]                                            rules
    pose_x, pose_y, pose_yaw pose of the origin during prepare and pause [m, rad]                  rules
    status                   ``Status`` of the step                                                rules
    running                  1 if the step counts for the reward function                          rules
    terminated               1 if a rule ended the episode                                         rules
    truncated                1 if the time limit ended it                                          rules
    x, y, heading            reward inputs of that name [m, deg], as the reward function gets them rules
    distance_from_center     reward input [m]                                                      rules
    projection_distance      reward input [m]                                                      rules
    progress                 reward input [%]                                                      rules
    track_width              reward input [m]                                                      rules
    closest_waypoints        reward input, previous and next: (num_worlds, 2)                      rules
    nearest_waypoint         the nearer of the two                                                 rules
    is_left_of_center        reward input, 1 for True                                              rules
    all_wheels_on_track      reward input, 1 for True                                              rules
    is_offtrack              reward input, 1 for True                                              rules
    is_crashed               reward input, 1 for True                                              rules
    crashed_into             number of the object, where the car has crashed                       rules
    closest_objects          reward input, behind and ahead: (num_worlds, 2)                       rules
    object_in_camera         reward input, 1 for True                                              rules
    pause_duration           penalty still to serve after the step [s]                             rules
    ======================== ===================================================================== ======
    """

    # For type checkers: the arrays are made in a loop from the table above.
    motion: wp.array
    vehicle: wp.array
    jitter_seed: wp.array
    light: wp.array
    objects: wp.array
    bots: wp.array
    bot_seed: wp.array
    box_colors: wp.array

    def __init__(
        self,
        num_worlds: int,
        *,
        num_objects: int = 0,
        num_bots: int = 0,
        boxes: Sequence[Box] = (),
        device: str = "cpu",
    ) -> None:
        self.num_worlds = num_worlds
        self.num_objects = num_objects
        self.device = device
        self.motion = wp.zeros(num_worlds, dtype=Motion, device=device)
        self.vehicle = wp.zeros(num_worlds, dtype=VehicleConstants, device=device)
        self.jitter_seed = wp.zeros(num_worlds, dtype=wp.uint32, device=device)
        self.light = wp.array(np.full(num_worlds, DAYLIGHT), dtype=Light, device=device)
        self.objects = wp.zeros((num_worlds, num_objects), dtype=RaceObject, device=device)
        self.bots = wp.zeros((num_worlds, num_bots), dtype=Bot, device=device)
        self.bot_seed = wp.zeros(num_worlds, dtype=wp.uint32, device=device)
        colors = np.array([box.color for box in boxes], dtype=np.float32).reshape(-1, 3)
        self.box_colors = wp.array(np.tile(colors, (num_worlds, 1, 1)), dtype=wp.vec3, device=device)
        for name, (dtype, columns) in _FIELDS.items():
            shape: int | tuple[int, int] = num_worlds if columns == 1 else (num_worlds, columns)
            setattr(self, name, wp.zeros(shape, dtype=dtype, device=device))
        self.phase.fill_(int(Phase.DONE))

    def __getattr__(self, name: str) -> wp.array:
        raise AttributeError(f"State has no field {name!r}; it has {', '.join(_FIELDS)}")

    def host(self, name: str) -> np.ndarray:
        """Field ``name`` on the host: a view valid until the next step on the CPU, a copy on a GPU."""
        return getattr(self, name).numpy()
