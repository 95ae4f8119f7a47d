"""The view of a camera that follows the car from behind and above, as people watch races.

Like the original's follow camera it stays 1.5 m behind along its view axis, looks 18° down and glides after the car.
Source: DeepRacer simapp, ``markov/cameras/handlers/follow_car_camera.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import warp as wp

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.film.car_mesh import AXLES, HALF_LENGTH, HALF_WIDTH, WHEEL_Y, car_paint, car_trim, car_wheel
from hotlap.film.mesh import Mesh, box
from hotlap.film.mesh_renderer import FOOTPRINT_DTYPE, PLACEMENT_DTYPE, MeshRenderer
from hotlap.sim.camera import SKY, CameraRenderer, PinholeCamera
from hotlap.sim.objects import SHAPES, Shape, shapes_of
from hotlap.sim.simulator import Simulator
from hotlap.tracks.ground import Ground
from hotlap.tracks.themes import RGB

FOLLOW_CAMERA = PinholeCamera(forward_m=0.0, height_m=0.98, pitch_rad=0.314, hfov_rad=1.13, width=640, height=480)
"""Two centimeters lower than the original's, whose walls are as high as its camera: ours must stay below their tops."""
BEHIND = 1.5 * math.cos(FOLLOW_CAMERA.pitch_rad)  # [m]
TURN_RATE = 2.0  # [1/s] share of its lag in heading that the camera makes up for
GLIDE_RATE = 4.0  # [1/s] and of its lag in place
JUMP = 0.5  # [m] in one step: put back on the track, perhaps behind the camera; no car is so fast

DAY_SKY: RGB = (156, 182, 198)
"""Instead of black, which the car's camera hardly ever sees."""
RED: RGB = (224, 26, 37)
CAR_HEIGHT = 0.10  # [m] of what casts the car's shadow
BLINK = 0.5  # [s] a car that serves a penalty is pale and solid for so long, in turn
PALE = 0.3  # opacity
_INSIDE = 0.02  # [m] from a wall, beyond which the camera never is
_WHITE: RGB = (255, 255, 255)
_CAR = (car_paint, car_trim, *[car_wheel] * 4)


class FollowCamera:
    """Where the camera is: x, y [m] and yaw [rad], from the poses of the car one control step after another.

    Args:
        ground: Its walls hold the camera.
    """

    def __init__(self, ground: Ground) -> None:
        x_min, y_min, x_max, y_max = ground.rectangle
        self._low = np.array([x_min + _INSIDE, y_min + _INSIDE])
        self._high = np.array([x_max - _INSIDE, y_max - _INSIDE])
        self._car: np.ndarray | None = None
        self._place = np.zeros(2)
        self._yaw = 0.0

    def follow(self, x: float, y: float, yaw: float) -> tuple[float, float, float]:
        """The camera's pose when the car is at a pose; at first, and after a jump, it is behind the car at once."""
        car = np.array([x, y])
        jumped = self._car is None or math.dist(car, self._car) > JUMP
        self._car = car
        if jumped:
            self._yaw = yaw
        lag = (yaw - self._yaw + math.pi) % (2.0 * math.pi) - math.pi
        self._yaw += lag * min(TURN_RATE * CONTROL_PERIOD, 1.0)
        goal = car - BEHIND * np.array([math.cos(self._yaw), math.sin(self._yaw)])
        if jumped:
            self._place = goal
        self._place = self._place + (goal - self._place) * min(GLIDE_RATE * CONTROL_PERIOD, 1.0)
        place = np.clip(self._place, self._low, self._high)
        ahead = car - place
        return float(place[0]), float(place[1]), math.atan2(ahead[1], ahead[0])


class _SecondCamera(CameraRenderer):
    """Another camera on the same grounds as a renderer in color, whose textures it shares."""

    def __init__(self, other: CameraRenderer, camera: PinholeCamera, simulator: Simulator) -> None:
        self._other = other
        lights = simulator.state.light if simulator.randomize_domain else None
        super().__init__(simulator.grounds, camera, 1, simulator.device, color=True, lights=lights)

    def _upload(self, grounds: Iterable[Ground]) -> None:
        other = self._other
        self._fields, self._levels = other._fields, other._levels
        self._texels = other._texels
        colors = other._colors.numpy().copy()
        colors[(colors[:, int(SKY)] == 0).all(axis=1), int(SKY)] = DAY_SKY
        self._colors = wp.array(colors, dtype=wp.uint16, device=self.device)


class ChaseView:
    """Color pictures of a simulator's only world, as its only car moves on.

    Args:
        simulator: Of one world, in which an episode has begun.
        textures: A color camera of it, whose textures are shared.
    """

    def __init__(self, simulator: Simulator, textures: CameraRenderer) -> None:
        state, device = simulator.state, simulator.device
        self._simulator = simulator
        self._follow = FollowCamera(simulator.grounds[int(state.track.numpy()[0])])
        self._ground = _SecondCamera(textures, FOLLOW_CAMERA, simulator)
        self._image = wp.zeros(self._ground.image_shape, dtype=wp.uint8, device=device)
        self._pose = wp.zeros((1, 1), dtype=wp.vec3, device=device)
        self._active = wp.ones((1, 1), dtype=wp.int32, device=device)
        scene = simulator.scene
        standing = shapes_of(scene.obstacles) if scene.obstacles else []
        self._shapes = [*standing, *[SHAPES["bot_car"]] * (scene.num_objects - len(standing))]
        bodies = [part() for part in _CAR]
        for shape in self._shapes:
            bodies += _bodies(shape)
        self._bodies = MeshRenderer(FOLLOW_CAMERA, bodies)
        self._pause = 0

    def picture(self) -> np.ndarray:
        """What the camera sees now, uint8 (480, 640, 3); valid until the next call, which is one control step later."""
        state = self._simulator.state
        motion, vehicle = state.motion.numpy()[0, 0], state.vehicle.numpy()[0, 0]
        ahead = 0.5 * (vehicle["front_axle"] - vehicle["rear_axle"])  # from the center of gravity
        yaw = float(motion["yaw"])
        x = float(motion["x"] + ahead * np.cos(yaw))
        y = float(motion["y"] + ahead * np.sin(yaw))
        pose = self._follow.follow(x, y, yaw)
        self._pose.fill_(wp.vec3(*pose))
        self._ground.render(self._pose, state.track, self._active, self._image)
        image = self._image.numpy()[0]

        self._pause = self._pause + 1 if state.pause_left.numpy()[0, 0] > 0.0 else 0
        opacity = PALE if self._pause and (self._pause * CONTROL_PERIOD) % (2.0 * BLINK) <= BLINK else 1.0
        placements = [_car_placements(x, y, yaw, float(motion["steer"]), RED, opacity)]
        footprints = [(x, y, yaw, HALF_LENGTH, HALF_WIDTH, CAR_HEIGHT, opacity)]
        colors = state.box_colors.numpy()[0]
        boxes = self._simulator.scene.boxes
        for number, (row, shape) in enumerate(zip(state.objects.numpy()[0], self._shapes, strict=True)):
            place = float(row["x"]), float(row["y"]), float(row["yaw"])
            own = [k for k, (of, *_) in enumerate(boxes) if of == number]
            placements.append(_placements(place, shape, colors[own]))
            low = shape.boxes[0]
            length, width = (HALF_LENGTH, HALF_WIDTH) if _is_car(shape) else (low.half_length, low.half_width)
            footprints.append((*place, length, width, low.top, 1.0))
        self._bodies.paint(
            image,
            pose,
            state.light.numpy()[0],
            np.concatenate(placements),
            np.array(footprints, dtype=FOOTPRINT_DTYPE),
        )
        return image


def _is_car(shape: Shape) -> bool:
    return shape is SHAPES["bot_car"]


def _bodies(shape: Shape) -> list[Mesh]:
    """What an object on the track is made of."""
    if _is_car(shape):
        return [part() for part in _CAR]
    return [
        box(
            (each.ahead - each.half_length, each.ahead + each.half_length),
            each.half_width,
            (each.bottom, each.top),
            _WHITE,
        )
        for each in shape.boxes
    ]


def _placements(place: tuple[float, float, float], shape: Shape, colors: np.ndarray) -> np.ndarray:
    """Those of the bodies of an object whose boxes have these colors, (num_boxes, 3)."""
    if _is_car(shape):
        return _car_placements(*place, 0.0, tuple(colors[-1]), 1.0)
    rows: np.ndarray = np.zeros(len(colors), dtype=PLACEMENT_DTYPE)
    rows["x"], rows["y"], rows["yaw"] = place
    rows["opacity"], rows["tint"] = 1.0, colors / 255.0
    return rows


def _car_placements(x: float, y: float, yaw: float, steer: float, paint: RGB, opacity: float) -> np.ndarray:
    """Those of a car's paint, trim, rear and front wheels, from its pose [m, rad] and its steering [rad]."""
    rows: np.ndarray = np.zeros(len(_CAR), dtype=PLACEMENT_DTYPE)
    wheels = np.array([(along, side * WHEEL_Y) for along in AXLES for side in (-1.0, 1.0)])
    local = np.concatenate([np.zeros((2, 2)), wheels])
    rows["x"] = x + local[:, 0] * np.cos(yaw) - local[:, 1] * np.sin(yaw)
    rows["y"] = y + local[:, 0] * np.sin(yaw) + local[:, 1] * np.cos(yaw)
    rows["yaw"] = yaw
    rows["yaw"][-2:] += steer
    rows["opacity"], rows["tint"] = opacity, 1.0
    rows["tint"][0] = np.array(paint) / 255.0
    return rows
