"""Many worlds in step: rules, drive, look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import no_type_check

import numpy as np
import warp as wp

from hotlap.deepracer.driving import MAX_SPEED, MIN_SPEED, STEERING_LIMIT_DEG
from hotlap.sim.bot_cars import drive_bots
from hotlap.sim.camera import DEEPRACER_CAMERA, CameraRenderer, PinholeCamera
from hotlap.sim.camera_objects import ObjectCameraRenderer
from hotlap.sim.object_rules import check_objects, locate_objects
from hotlap.sim.race_rules import rules_of
from hotlap.sim.scene import Scene
from hotlap.sim.starts import Start, StartTable, draw_starts
from hotlap.sim.state import Fields, Phase, State, make_state
from hotlap.sim.vehicle import VEHICLES, Motion, VehicleConstants, VehicleParams, advance
from hotlap.sim.vehicle_variation import step_period
from hotlap.tracks.ground import Ground, bake_ground
from hotlap.tracks.themes import find_theme

_MAX_STEERING_DEG = wp.constant(STEERING_LIMIT_DEG)
_MIN_SPEED = wp.constant(MIN_SPEED)
_MAX_SPEED = wp.constant(MAX_SPEED)
_PAUSE, _DONE = wp.constant(int(Phase.PAUSE)), wp.constant(int(Phase.DONE))


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
def _begin(table: StartTable, begins: wp.array2d[wp.int32], state: State):
    row, c = wp.tid()
    world = table.worlds[row]
    w = world.world
    begins[w, c] = 1
    if c == 0:
        state.route[w] = world.route
        state.track[w] = world.route // 2
        state.light[w] = world.light
        state.bot_seed[w] = world.bot_seed
        state.bot_steps[w] = world.prepared
        state.bot_pause[w] = 0.0
        for k in range(state.objects.shape[1]):
            state.objects[w, k] = table.objects[row, k]
        for k in range(state.bots.shape[1]):
            state.bots[w, k] = table.bots[row, k]
        for k in range(state.box_colors.shape[1]):
            state.box_colors[w, k] = table.box_colors[row, k]
    car = table.cars[row, c]
    x = car.pose[0]
    y = car.pose[1]
    yaw = car.pose[2]
    state.vehicle[w, c] = car.vehicle
    state.motion[w, c] = at_rest(car.vehicle, x, y, yaw)
    state.jitter_seed[w, c] = car.jitter_seed
    state.start_ndist[w, c] = car.start_ndist
    state.steering[w, c] = 0.0
    state.speed[w, c] = 0.0
    state.phase[w, c] = car.prepared
    state.active[w, c] = 1
    state.steps[w, c] = car.prepared
    state.previous_progress[w, c] = 0.0
    state.origin_x[w, c] = x
    state.origin_y[w, c] = y
    state.still_count[w, c] = 0
    state.reverse_count[w, c] = 0
    state.resets[w, c] = 0
    state.laps[w, c] = 0
    state.pause_left[w, c] = 0.0
    state.pose_x[w, c] = x
    state.pose_y[w, c] = y
    state.pose_yaw[w, c] = yaw
    state.terminated[w, c] = 0
    state.truncated[w, c] = 0


@wp.kernel
@no_type_check
def _stop(worlds: wp.array[wp.int32], state: State):
    row, c = wp.tid()
    w = worlds[row]
    state.active[w, c] = 0
    state.running[w, c] = 0
    state.phase[w, c] = _DONE


@wp.kernel
@no_type_check
def _drive(state: State):
    w, c = wp.tid()
    car = state.vehicle[w, c]
    if state.drives[w, c] != 0:
        steer = wp.radians(wp.clamp(state.steering[w, c], -_MAX_STEERING_DEG, _MAX_STEERING_DEG))
        speed = wp.clamp(state.speed[w, c], _MIN_SPEED, _MAX_SPEED)
        dt = step_period(state.jitter_seed[w, c], state.steps[w, c])
        state.motion[w, c] = advance(car, state.motion[w, c], steer, speed, dt)
    elif state.phase[w, c] == _PAUSE:
        state.motion[w, c] = at_rest(car, state.pose_x[w, c], state.pose_y[w, c], state.pose_yaw[w, c])
        state.origin_x[w, c] = state.pose_x[w, c]
        state.origin_y[w, c] = state.pose_y[w, c]


@wp.kernel
@no_type_check
def _aim_cameras(state: State, poses: wp.array2d[wp.vec3]):
    w, c = wp.tid()
    m = state.motion[w, c]
    ahead = state.vehicle[w, c].origin_ahead
    poses[w, c] = wp.vec3(m.x + wp.cos(m.yaw) * ahead, m.y + wp.sin(m.yaw) * ahead, m.yaw)


class Simulator:
    """``num_worlds`` worlds of a scene, each with ``scene.num_cars`` cars on one of its tracks and objects of its own.

    ``reset`` starts episodes, ``step`` advances all active worlds by one control step of 1/15 s: the rules see the
    present poses (``state``), the actions move the cars, the cameras look (``images``). A car whose episode is over
    stands still and costs nothing until its world is reset. An action that a rule forestalls moves nothing; one that
    the time limit meets still does.

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
        self.num_worlds, self.num_cars = num_worlds, scene.num_cars
        self.vehicle = vehicle
        self.variation = variation
        self.randomize_domain = randomize_domain
        self.device = scene.device
        self.state = make_state(scene, num_worlds)
        self.fields = Fields(self.state, self.device)
        cars = (num_worlds, scene.num_cars)
        self._rules = rules_of(scene, self.state)
        self._drive = wp.launch(_drive, dim=cars, inputs=[self.state], device=self.device, record_cmd=True)
        self._begins = wp.zeros(cars, dtype=wp.int32, device=self.device)
        self._camera = camera or DEEPRACER_CAMERA
        self._camera_poses = wp.zeros(cars, dtype=wp.vec3, device=self.device)
        self.images: wp.array | None = None
        self.renderer: CameraRenderer | None = None
        self.theme = theme
        if grounds:
            self.grounds = list(grounds)
        if camera is not None:
            self.renderer = self._make_renderer(camera, color=False)
            self.images = wp.zeros(self.renderer.image_shape, dtype=wp.uint8, device=self.device)

    @cached_property
    def grounds(self) -> list[Ground]:
        """The ground of each track, painted when somebody asks for it."""
        return list(self._paint())

    def _paint(self) -> Iterator[Ground]:
        tracks = self.scene.tracks
        for track in tracks:
            yield bake_ground(track, find_theme(self.theme or track.theme), num_grounds=len(tracks))

    def reset(self, worlds: Sequence[int], starts: Sequence[Start]) -> None:
        """Begin an episode in each of ``worlds``, with one start per car; the others are left as they are."""
        table = draw_starts(
            self.scene,
            worlds,
            starts,
            vehicle=self.vehicle,
            variation=self.variation,
            randomize_domain=self.randomize_domain,
        )
        self._begins.zero_()
        wp.launch(_begin, dim=table.cars.shape, inputs=[table, self._begins, self.state], device=self.device)
        if self.scene.num_objects:
            locate_objects(self.scene, self.state, self._begins)
        if self.scene.bots:
            drive_bots(self.scene, self.state, self._begins, 0)
        self._render(self._begins)

    def stop(self, worlds: Sequence[int]) -> None:
        """End the episodes of ``worlds`` at once."""
        numbers: wp.array = wp.array(list(worlds), dtype=wp.int32, device=self.device)
        wp.launch(_stop, dim=(len(worlds), self.num_cars), inputs=[numbers, self.state], device=self.device)

    def apply_rules(self) -> None:
        """The first half of ``step``: reward inputs, rules and phases for the present poses."""
        if self.scene.num_objects:
            check_objects(self.scene, self.state, self._camera)
        self._rules.launch()

    def drive(self) -> None:
        """The second half of ``step``: move by the commanded steering and speed, then look."""
        state = self.state
        self._drive.launch()
        if self.scene.bots:
            drive_bots(self.scene, state, state.looks, 1)
        self._render(state.looks)

    def step(self) -> None:
        """Advance all active worlds by one control step with ``state.steering`` and ``state.speed`` as commands."""
        self.apply_rules()
        self.drive()

    def command(self, steering: np.ndarray, speed: np.ndarray) -> None:
        """Set the commands of the next step: steering [deg, left positive] and speed [m/s], one per car."""
        shape = self.state.steering.shape
        for name, values in (("steering", steering), ("speed", speed)):
            self.fields.write(name, np.asarray(values, dtype=np.float32).reshape(shape))

    def look(self, renderer: CameraRenderer, images: wp.array, active: wp.array | None = None) -> None:
        """Render what the cars see now through another camera on the same mount.

        Args:
            renderer: The camera.
            images: What it writes, uint8 (num_worlds * num_cars, height, width[, 3]).
            active: Mask of the cars to render, int32 (num_worlds, num_cars); default all.
        """
        poses = self._camera_poses
        wp.launch(_aim_cameras, dim=poses.shape, inputs=[self.state], outputs=[poses], device=self.device)
        if active is None:
            active = wp.ones(poses.shape, dtype=wp.int32, device=self.device)
        renderer.render(poses, self.state.track, active, images)

    def color_camera(self, *, scale: int = 1) -> tuple[CameraRenderer, wp.array]:
        """A color camera at the place of the car's own, with ``scale`` times the pixels per row and column.

        Returns:
            The renderer, and the images for `look` to write, uint8 (num_worlds * num_cars, height, width, 3).
        """
        assert self.renderer is not None
        own = self.renderer.camera
        camera = replace(own, width=own.width * scale, height=own.height * scale)
        renderer = self._make_renderer(camera, color=True)
        return renderer, wp.zeros(renderer.image_shape, dtype=wp.uint8, device=self.device)

    def _make_renderer(self, camera: PinholeCamera, *, color: bool) -> CameraRenderer:
        state = self.state
        make: Callable[..., CameraRenderer] = CameraRenderer
        if self.scene.boxes:
            make = partial(
                ObjectCameraRenderer,
                boxes=[(number, box) for number, _, box in self.scene.boxes],
                objects=state.objects,
                box_colors=state.box_colors,
            )
        # Of many tracks each picture is dropped when it is uploaded: together they would take gigabytes.
        keep = len(self.scene.tracks) == 1 or "grounds" in vars(self)
        return make(
            self.grounds if keep else self._paint(),
            camera,
            self.num_worlds,
            self.device,
            color=color,
            lights=state.light if self.randomize_domain else None,
            num_cars=self.num_cars,
        )

    def _render(self, active: wp.array) -> None:
        if self.renderer is not None and self.images is not None:
            self.look(self.renderer, self.images, active)
