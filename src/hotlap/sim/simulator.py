"""Many worlds in step: rules, drive, look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, no_type_check

import numpy as np
import warp as wp

from hotlap.deepracer.driving import MAX_SPEED, MIN_SPEED, STEERING_LIMIT_DEG
from hotlap.sim.bot_cars import drive_bots
from hotlap.sim.camera import DEEPRACER_CAMERA, CameraRenderer, PinholeCamera
from hotlap.sim.camera_objects import ObjectCameraRenderer
from hotlap.sim.light import sample_light
from hotlap.sim.object_rules import check_objects, locate_objects
from hotlap.sim.objects import BOT_DTYPE, OBJECT_DTYPE, place_bots, place_obstacles, start_pose
from hotlap.sim.race_rules import apply_rules
from hotlap.sim.scene import Scene
from hotlap.sim.state import Phase, State
from hotlap.sim.vehicle import VEHICLES, Motion, VehicleConstants, VehicleParams, advance
from hotlap.sim.vehicle_variation import sample_vehicle, step_period
from hotlap.tracks.ground import Ground, bake_ground
from hotlap.tracks.themes import find_theme
from hotlap.tracks.track import Track


@dataclass(frozen=True)
class Start:
    """Where and how an episode begins; all its randomness comes from ``seed``."""

    ndist: float = 0.0
    """Lap fraction of the start."""
    reverse: bool = False
    """Against the row order of the route file."""
    track: int = 0
    """Index in ``Scene.tracks``."""
    seed: int = 0
    prepared: bool = False
    """Skip the `prepare` step, as if it had been played already."""


@wp.kernel
@no_type_check
def _place(
    # In:
    world: wp.array(dtype=wp.int32),
    pose: wp.array(dtype=wp.vec3),
    vehicle_in: wp.array(dtype=VehicleConstants),
    jitter_seed_in: wp.array(dtype=wp.uint32),
    route_in: wp.array(dtype=wp.int32),
    start_ndist_in: wp.array(dtype=wp.float32),
    prepared: wp.array(dtype=wp.int32),
    # State out:
    motion: wp.array(dtype=Motion),
    vehicle: wp.array(dtype=VehicleConstants),
    jitter_seed: wp.array(dtype=wp.uint32),
    route: wp.array(dtype=wp.int32),
    track: wp.array(dtype=wp.int32),
    start_ndist: wp.array(dtype=wp.float32),
    phase: wp.array(dtype=wp.int32),
    active: wp.array(dtype=wp.int32),
    steps: wp.array(dtype=wp.int32),
    previous_progress: wp.array(dtype=wp.float32),
    origin_x: wp.array(dtype=wp.float32),
    origin_y: wp.array(dtype=wp.float32),
    still_count: wp.array(dtype=wp.int32),
    reverse_count: wp.array(dtype=wp.int32),
    resets: wp.array(dtype=wp.int32),
    laps: wp.array(dtype=wp.int32),
    pause_left: wp.array(dtype=wp.float32),
    pose_x: wp.array(dtype=wp.float32),
    pose_y: wp.array(dtype=wp.float32),
    pose_yaw: wp.array(dtype=wp.float32),
    terminated: wp.array(dtype=wp.int32),
    truncated: wp.array(dtype=wp.int32),
):
    k = wp.tid()
    i = world[k]
    x = pose[k][0]
    y = pose[k][1]
    yaw = pose[k][2]
    vehicle[i] = vehicle_in[k]
    motion[i] = at_rest(vehicle_in[k], x, y, yaw)
    jitter_seed[i] = jitter_seed_in[k]
    route[i] = route_in[k]
    track[i] = route_in[k] // 2
    start_ndist[i] = start_ndist_in[k]
    phase[i] = prepared[k]
    active[i] = 1
    steps[i] = prepared[k]
    previous_progress[i] = 0.0
    origin_x[i] = x
    origin_y[i] = y
    still_count[i] = 0
    reverse_count[i] = 0
    resets[i] = 0
    laps[i] = 0
    pause_left[i] = 0.0
    pose_x[i] = x
    pose_y[i] = y
    pose_yaw[i] = yaw
    terminated[i] = 0
    truncated[i] = 0


@wp.func
@no_type_check
def at_rest(car: VehicleConstants, x: float, y: float, yaw: float) -> Motion:
    """A standing car whose origin is at the given pose [m, rad]."""
    m = Motion()
    m.x = x - wp.cos(yaw) * car.origin_ahead
    m.y = y - wp.sin(yaw) * car.origin_ahead
    m.yaw = yaw
    return m


@wp.kernel
@no_type_check
def _drive(
    # State in:
    drives: wp.array(dtype=wp.int32),
    phase: wp.array(dtype=wp.int32),
    steps: wp.array(dtype=wp.int32),
    vehicle: wp.array(dtype=VehicleConstants),
    jitter_seed: wp.array(dtype=wp.uint32),
    pose_x: wp.array(dtype=wp.float32),
    pose_y: wp.array(dtype=wp.float32),
    pose_yaw: wp.array(dtype=wp.float32),
    # In:
    steering: wp.array(dtype=wp.float32),
    speed: wp.array(dtype=wp.float32),
    # State in and out:
    motion: wp.array(dtype=Motion),
    # State out:
    origin_x: wp.array(dtype=wp.float32),
    origin_y: wp.array(dtype=wp.float32),
):
    i = wp.tid()
    car = vehicle[i]
    if drives[i] != 0:
        steer = wp.radians(wp.clamp(steering[i], -_MAX_STEERING_DEG, _MAX_STEERING_DEG))
        dt = step_period(jitter_seed[i], steps[i])
        motion[i] = advance(car, motion[i], steer, wp.clamp(speed[i], _MIN_SPEED, _MAX_SPEED), dt)
    elif phase[i] == _PAUSE:
        motion[i] = at_rest(car, pose_x[i], pose_y[i], pose_yaw[i])
        origin_x[i] = pose_x[i]
        origin_y[i] = pose_y[i]


@wp.kernel
@no_type_check
def _aim_camera(
    # State in:
    motion: wp.array(dtype=Motion),
    vehicle: wp.array(dtype=VehicleConstants),
    # Out:
    x: wp.array(dtype=wp.float32),
    y: wp.array(dtype=wp.float32),
    yaw: wp.array(dtype=wp.float32),
):
    i = wp.tid()
    m = motion[i]
    x[i] = m.x + wp.cos(m.yaw) * vehicle[i].origin_ahead
    y[i] = m.y + wp.sin(m.yaw) * vehicle[i].origin_ahead
    yaw[i] = m.yaw


_MAX_STEERING_DEG = wp.constant(STEERING_LIMIT_DEG)
_MIN_SPEED = wp.constant(MIN_SPEED)
_MAX_SPEED = wp.constant(MAX_SPEED)
_PAUSE = wp.constant(int(Phase.PAUSE))


class Simulator:
    """``num_worlds`` cars on the tracks of a scene, each in a world of its own, with objects of its own.

    ``reset`` starts episodes, ``step`` advances all active worlds by one control step of 1/15 s: the rules see the
    present pose (``state``), the action moves the car, the camera looks (``images``). A world whose episode is over
    stands still and costs nothing until it is reset. An action that a rule forestalls moves nothing; one that the
    time limit meets still does.

    Args:
        scene: Tracks, rules and objects.
        num_worlds: How many worlds.
        vehicle: The car.
        variation: How far each episode's car differs from the nominal one: 0 not at all, 1 as much as the original's
            runs differ among themselves.
        camera: What looks; ``None`` renders nothing.
        theme: Color theme of all tracks; ``None``: each track's own.
        randomize_domain: Draw the lights and the objects' colors anew for every episode.
        grounds: Baked grounds of the scene's tracks, to share them between simulators.
    """

    def __init__(
        self,
        scene: Scene,
        num_worlds: int,
        *,
        vehicle: VehicleParams = VEHICLES["v5"],
        variation: float = 0.0,
        camera: PinholeCamera | None = DEEPRACER_CAMERA,
        theme: str | None = None,
        randomize_domain: bool = False,
        grounds: Sequence[Ground] | None = None,
    ) -> None:
        self.scene = scene
        self.num_worlds = num_worlds
        self.vehicle = vehicle
        self.variation = variation
        self.randomize_domain = randomize_domain
        self.device = scene.device
        self.state = State(
            num_worlds,
            num_objects=scene.num_objects,
            num_bots=scene.bots.number if scene.bots else 0,
            boxes=[box for *_, box in scene.boxes],
            device=self.device,
        )
        self._camera = camera or DEEPRACER_CAMERA
        self._camera_pose = [wp.zeros(num_worlds, dtype=wp.float32, device=self.device) for _ in range(3)]
        self.images: wp.array | None = None
        self.renderer: CameraRenderer | None = None
        if camera is not None:
            self.grounds = list(
                grounds or (bake_ground(track, find_theme(theme or track.theme)) for track in scene.tracks)
            )
            self.renderer = self._make_renderer(camera, color=False)
            self.images = wp.zeros(self.renderer.image_shape, dtype=wp.uint8, device=self.device)

    def reset(self, worlds: Sequence[int], starts: Sequence[Start]) -> None:
        """Begin an episode in each of ``worlds``; the others are left as they are."""
        device, state = self.device, self.state
        poses, cars, seeds, routes, placed = [], [], [], [], []
        for start in starts:
            route = self.scene.route(start.track, start.reverse)
            track = self.scene.routes[route]
            s = start.ndist * track.length
            if state.num_objects:
                placed.append(self._place_objects(track, start.seed))
                poses.append(start_pose(track, s, placed[-1][0]))
            else:
                poses.append(track.pose_at(s))
            rng = np.random.default_rng([start.seed, 1])
            cars.append(sample_vehicle(self.vehicle, rng, scale=self.variation))
            seeds.append(int(rng.integers(1, 2**32)) if self.variation > 0 else 0)
            routes.append(route)
        world: wp.array = wp.array(list(worlds), dtype=wp.int32, device=device)
        wp.launch(
            _place,
            dim=len(starts),
            inputs=[
                world,
                wp.array(np.asarray(poses, dtype=np.float32), dtype=wp.vec3, device=device),
                wp.array(np.stack(cars), dtype=VehicleConstants, device=device),
                wp.array(np.asarray(seeds, dtype=np.uint32), dtype=wp.uint32, device=device),
                wp.array(routes, dtype=wp.int32, device=device),
                wp.array([start.ndist for start in starts], dtype=wp.float32, device=device),
                wp.array([int(start.prepared) for start in starts], dtype=wp.int32, device=device),
            ],
            outputs=[
                state.motion,
                state.vehicle,
                state.jitter_seed,
                state.route,
                state.track,
                state.start_ndist,
                state.phase,
                state.active,
                state.steps,
                state.previous_progress,
                state.origin_x,
                state.origin_y,
                state.still_count,
                state.reverse_count,
                state.resets,
                state.laps,
                state.pause_left,
                state.pose_x,
                state.pose_y,
                state.pose_yaw,
                state.terminated,
                state.truncated,
            ],
            device=device,
        )
        if self.randomize_domain:
            self._color(worlds, starts)
        only_these = np.zeros(self.num_worlds, dtype=np.int32)
        only_these[list(worlds)] = 1
        mask: wp.array = wp.array(only_these, dtype=wp.int32, device=device)
        if state.num_objects:
            objects, bots, bot_seeds = map(list, zip(*placed, strict=True))
            _put(state.objects, worlds, objects)
            locate_objects(self.scene, state, world)
            if self.scene.bots:
                _put(state.bots, worlds, bots)
                _put(state.bot_seed, worlds, bot_seeds)
                _put(state.bot_steps, worlds, [int(start.prepared) for start in starts])
                _put(state.bot_pause, worlds, [0.0] * len(starts))
                drive_bots(self.scene, state, mask, 0)
        self._render(mask)

    def stop(self, worlds: Sequence[int]) -> None:
        """End the episodes of ``worlds`` at once."""
        for field, value in ((self.state.active, 0), (self.state.phase, int(Phase.DONE))):
            _put(field, worlds, value)

    def apply_rules(self) -> None:
        """The first half of ``step``: reward inputs, rules and phases for the present poses."""
        if self.state.num_objects:
            check_objects(self.scene, self.state, self._camera)
        apply_rules(self.scene, self.state)

    def drive(self) -> None:
        """The second half of ``step``: move by the commanded steering and speed, then look."""
        state = self.state
        wp.launch(
            _drive,
            dim=self.num_worlds,
            inputs=[
                state.drives,
                state.phase,
                state.steps,
                state.vehicle,
                state.jitter_seed,
                state.pose_x,
                state.pose_y,
                state.pose_yaw,
                state.steering,
                state.speed,
            ],
            outputs=[state.motion, state.origin_x, state.origin_y],
            device=self.device,
        )
        if self.scene.bots:
            drive_bots(self.scene, state, state.looks, 1)
        self._render(state.looks)

    def step(self) -> None:
        """Advance all active worlds by one control step with ``state.steering`` and ``state.speed`` as commands."""
        self.apply_rules()
        self.drive()

    def command(self, steering: np.ndarray, speed: np.ndarray) -> None:
        """Set the commands of the next step: steering [deg, left positive] and speed [m/s], each (num_worlds,)."""
        self.state.steering.assign(np.ascontiguousarray(steering, dtype=np.float32))
        self.state.speed.assign(np.ascontiguousarray(speed, dtype=np.float32))

    def look(self, renderer: CameraRenderer, images: wp.array, active: wp.array | None = None) -> None:
        """Render what the cars see now through another camera on the same mount.

        Args:
            renderer: The camera.
            images: What it writes, uint8 (num_worlds, height, width[, 3]).
            active: Mask of the worlds to render, int32 (num_worlds,); default all.
        """
        wp.launch(
            _aim_camera,
            dim=self.num_worlds,
            inputs=[self.state.motion, self.state.vehicle],
            outputs=self._camera_pose,
            device=self.device,
        )
        if active is None:
            active = wp.ones(self.num_worlds, dtype=wp.int32, device=self.device)
        x, y, yaw = self._camera_pose
        renderer.render(x, y, yaw, self.state.track, active, images)

    def color_camera(self, *, scale: int = 1) -> tuple[CameraRenderer, wp.array]:
        """A color camera at the place of the car's own, with ``scale`` times the pixels per row and column.

        Returns:
            The renderer, and the images for `look` to write, uint8 (num_worlds, height, width, 3).
        """
        assert self.renderer is not None
        own = self.renderer.camera
        camera = replace(own, width=own.width * scale, height=own.height * scale)
        renderer = self._make_renderer(camera, color=True)
        return renderer, wp.zeros(renderer.image_shape, dtype=wp.uint8, device=self.device)

    def _make_renderer(self, camera: PinholeCamera, *, color: bool) -> CameraRenderer:
        state = self.state
        lights = state.light if self.randomize_domain else None
        if not self.scene.boxes:
            return CameraRenderer(self.grounds, camera, self.num_worlds, self.device, color=color, lights=lights)
        return ObjectCameraRenderer(
            self.grounds,
            camera,
            self.num_worlds,
            self.device,
            color=color,
            lights=lights,
            boxes=[(number, box) for number, _, box in self.scene.boxes],
            objects=state.objects,
            box_colors=state.box_colors,
        )

    def _place_objects(self, track: Track, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
        """The objects of a new episode: rows of ``RaceObject`` and ``Bot``, and the seed of the bots."""
        rng = np.random.default_rng([seed, 3])
        objects, bots = np.zeros(0, dtype=OBJECT_DTYPE), np.zeros(0, dtype=BOT_DTYPE)
        if self.scene.obstacles:
            objects = place_obstacles(track, self.scene.obstacles, rng)
        if self.scene.bots:
            cars, bots = place_bots(track, self.scene.bots, rng)
            objects = np.concatenate([objects, cars])
        return objects, bots, int(rng.integers(2**32))

    def _color(self, worlds: Sequence[int], starts: Sequence[Start]) -> None:
        """Draw the lights and the objects' colors of new episodes."""
        paints = [paint for _, paint, _ in self.scene.boxes]
        lights, colors = [], []
        for start in starts:
            rng = np.random.default_rng([start.seed, 2])
            lights.append(sample_light(rng))
            colors.append(rng.uniform(0.0, 255.0, (len(paints), 3))[paints])
        _put(self.state.light, worlds, lights)
        _put(self.state.box_colors, worlds, colors)

    def _render(self, active: wp.array) -> None:
        if self.renderer is not None and self.images is not None:
            self.look(self.renderer, self.images, active)


def _put(field: wp.array, worlds: Sequence[int], values: Any) -> None:
    """Set a field's values in ``worlds``."""
    rows = field.numpy().copy()
    rows[list(worlds)] = values
    field.assign(rows)
