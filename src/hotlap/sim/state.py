"""The changing part of a simulation: worlds, and the cars that race in them."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import warp as wp

from hotlap.sim.light import DAYLIGHT, Light
from hotlap.sim.objects import Bot, RaceObject
from hotlap.sim.scene import Scene, array2d
from hotlap.sim.vehicle import Motion, VehicleConstants


class Phase(IntEnum):
    """What an episode is doing; see DeepRacer simapp, ``markov/agent_ctrl`` (agent phases)."""

    PREPARE = 0
    RUN = 1
    PAUSE = 2
    DONE = 3


@wp.struct
class State:
    """Everything that changes, as device arrays of ``num_worlds`` rows, made by `make_state`; kernels take it whole.

    Down to ``box_colors`` they are of a world, (num_worlds,) or as told; the others are of a car,
    (num_worlds, num_cars).

    ======================== ===================================================================== ======
    field                    meaning [unit]                                                        set by
    ======================== ===================================================================== ======
    route                    where it races: ``Scene.route``                                       reset
    track                    index in ``Scene.tracks``                                             reset
    light                    ``Light`` of the world                                                reset
    objects                  ``RaceObject``: (num_worlds, num_objects)                             drive
    bots                     ``Bot``, for the last of the objects: (num_worlds, num_bots)          drive
    bot_seed                 seed of the bot cars' changes of lane                                 reset
    bot_steps                steps that the bot cars have driven                                   drive
    bot_pause                time that they still stand [s]                                        rules
    box_colors               colors of the objects' boxes, 0 to 255: (num_worlds, num_boxes)       reset
    motion                   ``Motion``: pose and velocities of its centre of gravity              drive
    vehicle                  ``VehicleConstants`` of this episode's car                            reset
    jitter_seed              seed of the car's step-to-step randomness                             reset
    steering                 commanded steering angle [deg, left positive]                         caller
    speed                    commanded speed [m/s]                                                 caller
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
    closest_waypoints        reward input, previous and next                                       rules
    nearest_waypoint         the nearer of the two                                                 rules
    is_left_of_center        reward input, 1 for True                                              rules
    all_wheels_on_track      reward input, 1 for True                                              rules
    is_offtrack              reward input, 1 for True                                              rules
    is_crashed               reward input, 1 for True                                              rules
    crashed_into             number of the object, where the car has crashed                       rules
    closest_objects          reward input, behind and ahead                                        rules
    object_in_camera         reward input, 1 for True                                              rules
    pause_duration           penalty still to serve after the step [s]                             rules
    ======================== ===================================================================== ======
    """

    route: wp.array[wp.int32]
    track: wp.array[wp.int32]
    light: wp.array[Light]
    objects: array2d[RaceObject]
    bots: array2d[Bot]
    bot_seed: wp.array[wp.uint32]
    bot_steps: wp.array[wp.int32]
    bot_pause: wp.array[wp.float32]
    box_colors: array2d[wp.vec3]

    motion: array2d[Motion]
    vehicle: array2d[VehicleConstants]
    jitter_seed: array2d[wp.uint32]
    steering: array2d[wp.float32]
    speed: array2d[wp.float32]
    phase: array2d[wp.int32]
    active: array2d[wp.int32]
    drives: array2d[wp.int32]
    looks: array2d[wp.int32]
    steps: array2d[wp.int32]
    start_ndist: array2d[wp.float32]
    previous_progress: array2d[wp.float32]
    origin_x: array2d[wp.float32]
    origin_y: array2d[wp.float32]
    still_count: array2d[wp.int32]
    reverse_count: array2d[wp.int32]
    resets: array2d[wp.int32]
    laps: array2d[wp.int32]
    pause_left: array2d[wp.float32]
    pose_x: array2d[wp.float32]
    pose_y: array2d[wp.float32]
    pose_yaw: array2d[wp.float32]
    # What the rules found in a step; valid until the next one.
    status: array2d[wp.int32]
    running: array2d[wp.int32]
    terminated: array2d[wp.int32]
    truncated: array2d[wp.int32]
    x: array2d[wp.float32]
    y: array2d[wp.float32]
    heading: array2d[wp.float32]
    distance_from_center: array2d[wp.float32]
    projection_distance: array2d[wp.float32]
    progress: array2d[wp.float32]
    track_width: array2d[wp.float32]
    closest_waypoints: array2d[wp.vec2i]
    nearest_waypoint: array2d[wp.int32]
    is_left_of_center: array2d[wp.int32]
    all_wheels_on_track: array2d[wp.int32]
    is_offtrack: array2d[wp.int32]
    is_crashed: array2d[wp.int32]
    crashed_into: array2d[wp.int32]
    closest_objects: array2d[wp.vec2i]
    object_in_camera: array2d[wp.int32]
    pause_duration: array2d[wp.float32]


def make_state(scene: Scene, num_worlds: int) -> State:
    """Worlds in which no episode has begun; ``numpy()`` of a field is a view on the CPU, a copy on a GPU."""
    columns = {"objects": scene.num_objects, "bots": scene.num_bots, "box_colors": len(scene.boxes)}
    state = State()
    for name, field in State.vars.items():  # type: ignore[attr-defined]  # of Warp's struct type
        shape = (num_worlds, columns.get(name, scene.num_cars))[: field.type.ndim]
        setattr(state, name, wp.zeros(shape, dtype=field.type.dtype, device=scene.device))
    state.phase.fill_(int(Phase.DONE))
    state.light.assign(np.full(num_worlds, DAYLIGHT))
    colors = np.array([box.color for *_, box in scene.boxes], dtype=np.float32).reshape(-1, 3)
    state.box_colors.assign(np.tile(colors, (num_worlds, 1, 1)))
    return state


class Fields:
    """The fields of a state by name, as numpy arrays: on the CPU views of them, made once, as making a view takes
    longer than reading a few numbers; on a GPU copies of the moment."""

    def __init__(self, state: State, device: str | wp.Device) -> None:
        self._state, self._is_cpu = state, wp.get_device(device).is_cpu
        self._views: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        found = self._views.get(name)
        if found is None:
            found = getattr(self._state, name).numpy()
            if self._is_cpu:
                self._views[name] = found
        return found

    def write(self, name: str, values: np.ndarray) -> None:
        """Set a whole field."""
        if self._is_cpu:
            self[name][...] = values
        else:
            getattr(self._state, name).assign(values)
