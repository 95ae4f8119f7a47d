"""The car: four driven wheels with dry friction, one parameter set per metadata version.

Both front wheels get the same angle and all four the same rim speed (neither Ackermann steering nor a differential), so
the tires scrub in every turn and the car turns far wider than a bicycle of its wheelbase. Friction acts independently
along and across each wheel (a pyramid, not a circle) and is smoothed near zero slip, which keeps the car still at rest
without a stiction rule.

Frames: x forward, y left, yaw counter-clockwise, steering positive to the left. The moving point is the center of
gravity (CG); the model origin (``base_link``) and the front point, which rewards and logs call the car's position, lie
on the car's axis at fixed distances from it.

The parameters are fits to recorded drives of the original simulator, known to four decimals; where there are more, they
were chosen within that rounding so that the replay errors published with the fits come out to the last digit. The
geometry is that of DeepRacer simapp, ``bundle/urdf/{mit,deepracer,deepracer_kinematics}``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import no_type_check

import numpy as np
import warp as wp

from hotlap.deepracer.driving import CONTROL_PERIOD

NUM_SUBSTEPS = 12
MAX_STEER = 1.0  # [rad] limit of the steering joint
TWO_PI = 2.0 * math.pi
FRONT_POINT_AHEAD = 0.14  # [m] of the model origin, the same for all cars


@dataclass(frozen=True)
class VehicleParams:
    """Parameters of one car; units are in the names.

    =========================== ======================================================================================
    cg_to_front_axle_m          from the CG to the front axle, and
    cg_to_rear_axle_m           to the rear axle
    logged_point_ahead_of_cg_m  from the CG to the front point
    half_track_m                half the distance between left and right contact points
    speed_gain                  rim speed per commanded speed, and
    speed_offset_mps            what is added to it unless the command is zero
    rim_speed_cap_mps           highest rim speed (the joints turn at most 100 rad/s)
    steer_time_constant_s       lag of the wheel angle; 0: the angle is imposed at once
    steer_kick_rad              largest jump of the wheel angle when the command changes (derivative kick of the servo)
    steer_gain                  wheel angle per commanded angle
    long_friction_mps2          highest acceleration by friction along the wheels, reached far above
    long_slip_scale_mps         this slip speed
    lat_friction_mps2           the same across the wheels
    lat_slip_scale_mps
    yaw_gyration_radius2_m2     yaw inertia divided by mass
    front_share                 share of the friction that the front axle carries
    drag_per_s                  speed lost to drag, per speed
    effort_driven               whether torques move wheels and steering (up to version 4), or they go where told
    front_point_ahead_m         from the model origin to the front point
    friction_bias               share by which the left wheels hold better than the right ones; 0 in the nominal car,
                                it makes one episode differ from another
    front_wheel_y_m             from the car's axis to the centers of the front wheels, where the rules look, and
    rear_wheel_y_m              of the rear wheels
    =========================== ======================================================================================
    """

    cg_to_front_axle_m: float
    cg_to_rear_axle_m: float
    logged_point_ahead_of_cg_m: float
    half_track_m: float
    speed_gain: float
    speed_offset_mps: float
    rim_speed_cap_mps: float
    steer_time_constant_s: float
    steer_kick_rad: float
    steer_gain: float
    long_friction_mps2: float
    long_slip_scale_mps: float
    lat_friction_mps2: float
    lat_slip_scale_mps: float
    yaw_gyration_radius2_m2: float
    front_share: float
    drag_per_s: float
    effort_driven: bool = False
    front_point_ahead_m: float = FRONT_POINT_AHEAD
    friction_bias: float = 0.0
    front_wheel_y_m: float = 0.079601
    rear_wheel_y_m: float = 0.08105

    @property
    def origin_ahead_of_cg_m(self) -> float:
        """From the CG to the model origin, negative where the origin is behind (the rear axle of version 2)."""
        return self.logged_point_ahead_of_cg_m - self.front_point_ahead_m


_DEEPRACER_EFFORT = VehicleParams(
    cg_to_front_axle_m=0.0823,
    cg_to_rear_axle_m=0.0817,
    logged_point_ahead_of_cg_m=0.14,
    half_track_m=0.087277,
    speed_gain=0.990288,
    speed_offset_mps=0.071987,
    rim_speed_cap_mps=3.6,
    steer_time_constant_s=0.390016,
    steer_kick_rad=0.049922,
    effort_driven=True,
    steer_gain=1.017044,
    long_friction_mps2=4.047285,
    long_slip_scale_mps=0.582693,
    lat_friction_mps2=4.19838,
    lat_slip_scale_mps=0.096248,
    yaw_gyration_radius2_m2=0.022387,
    front_share=0.400358,
    drag_per_s=0.011571,
)

VEHICLES: dict[str, VehicleParams] = {
    "v2": VehicleParams(
        cg_to_front_axle_m=0.0975,
        cg_to_rear_axle_m=0.0975,
        logged_point_ahead_of_cg_m=0.0425,
        half_track_m=0.0757,
        speed_gain=1.0179,
        speed_offset_mps=0.0558,
        rim_speed_cap_mps=3.0,
        steer_time_constant_s=0.3723,
        steer_kick_rad=0.0498,
        effort_driven=True,
        steer_gain=1.0359,
        long_friction_mps2=3.4578,
        long_slip_scale_mps=0.1508,
        lat_friction_mps2=3.8698,
        lat_slip_scale_mps=0.1199,
        yaw_gyration_radius2_m2=0.0207,
        front_share=0.4946,
        drag_per_s=0.0,
        front_wheel_y_m=0.06,
        rear_wheel_y_m=0.06,
    ),
    "v3": _DEEPRACER_EFFORT,
    "v4": _DEEPRACER_EFFORT,
    "v5": VehicleParams(
        cg_to_front_axle_m=0.0823,
        cg_to_rear_axle_m=0.0817,
        logged_point_ahead_of_cg_m=0.14,
        half_track_m=0.098602,
        speed_gain=0.98339,
        speed_offset_mps=0.095792,
        rim_speed_cap_mps=3.6,
        steer_time_constant_s=0.0,
        steer_kick_rad=0.0,
        steer_gain=1.101129,
        long_friction_mps2=3.379396,
        long_slip_scale_mps=0.286423,
        lat_friction_mps2=3.576807,
        lat_slip_scale_mps=0.146648,
        yaw_gyration_radius2_m2=0.018492,
        front_share=0.469549,
        drag_per_s=0.015968,
    ),
    # Rests on one recording at 1-2 m/s: friction, front share and half track are weakly determined above 2 m/s.
    "droa": VehicleParams(
        cg_to_front_axle_m=0.0823,
        cg_to_rear_axle_m=0.0817,
        logged_point_ahead_of_cg_m=0.14,
        half_track_m=0.065977,
        speed_gain=0.965786,
        speed_offset_mps=0.081377,
        rim_speed_cap_mps=3.6,
        steer_time_constant_s=0.135987,
        steer_kick_rad=0.0,
        steer_gain=0.93513,
        long_friction_mps2=7.892903,
        long_slip_scale_mps=0.192874,
        lat_friction_mps2=13.402883,
        lat_slip_scale_mps=0.188185,
        yaw_gyration_radius2_m2=0.026097,
        front_share=0.341249,
        drag_per_s=0.116989,
    ),
}
"""The car of each metadata version, by name; ``droa`` is the car of deepracer-on-aws (metadata version 6)."""

_NAME_OF_VERSION = {1: "v2", 2: "v2", 3: "v3", 4: "v4", 5: "v5", 6: "droa"}


def vehicle_for_version(version: float) -> VehicleParams:
    """The car that ``version`` in ``model_metadata.json`` selects.

    Version 1 gets the parameters of version 2. It is the same body on the same effort-driven wheels, but its controller
    turned the wheels 0.30 times the commanded speed, at 8 Hz, and no model of it is in use any more.

    Raises:
        ValueError: For a version that never existed; the configuration checks this before.
    """
    name = _NAME_OF_VERSION.get(int(version)) if version == int(version) else None
    if name is None:
        known = ", ".join(map(str, _NAME_OF_VERSION))
        raise ValueError(f"no car has metadata version {version}; the versions are {known}.")
    return VEHICLES[name]


@wp.struct
class VehicleConstants:
    """What the kernels need of :class:`VehicleParams`, with products and inverses taken once.

    Frictions are per wheel [m/s²], slip scales squared [m²/s²]; ``steer_rate`` is the inverse of the steering lag
    [1/s], 0 where the angle is imposed at once.
    """

    front_axle: float
    rear_axle: float
    half_track: float
    origin_ahead: float  # of the CG, like the front point [m]
    front_point_ahead: float
    front_wheel_y: float
    rear_wheel_y: float
    speed_gain: float
    speed_offset: float
    rim_speed_cap: float
    steer_gain: float
    steer_kick: float
    steer_rate: float
    front_long_friction: float
    front_lat_friction: float
    rear_long_friction: float
    rear_lat_friction: float
    long_slip_scale2: float
    lat_slip_scale2: float
    inv_gyration_radius2: float
    drag: float
    left_share: float  # of what friction an axle has, 1 where both sides are alike
    right_share: float


@wp.struct
class Motion:
    """How one car moves, at one moment.

    ============= =========================================================
    x, y          CG in the world [m]
    yaw           heading, in [-pi, pi] after a step [rad]
    u, w          velocity of the CG in the car's frame, forward, left [m/s]
    yaw_rate      [rad/s]
    steer         angle of the front wheels [rad]
    rim_speed     speed of the rims [m/s]
    steer_command the last steering command [rad]
    ============= =========================================================
    """

    x: float
    y: float
    yaw: float
    u: float
    w: float
    yaw_rate: float
    steer: float
    rim_speed: float
    steer_command: float


# Warp turns both classes into its own struct type, which type checkers cannot see.
CONSTANTS_DTYPE = np.dtype(VehicleConstants.numpy_dtype())  # type: ignore[attr-defined]
MOTION_DTYPE = np.dtype(Motion.numpy_dtype())  # type: ignore[attr-defined]


def vehicle_constants(params: VehicleParams) -> np.ndarray:
    """One ``VehicleConstants`` for the kernels: shape (), of ``CONSTANTS_DTYPE``; stack them for many worlds."""
    front, rear = 0.5 * params.front_share, 0.5 * (1.0 - params.front_share)
    values = {
        "front_axle": params.cg_to_front_axle_m,
        "rear_axle": params.cg_to_rear_axle_m,
        "half_track": params.half_track_m,
        "origin_ahead": params.origin_ahead_of_cg_m,
        "front_point_ahead": params.logged_point_ahead_of_cg_m,
        "front_wheel_y": params.front_wheel_y_m,
        "rear_wheel_y": params.rear_wheel_y_m,
        "speed_gain": params.speed_gain,
        "speed_offset": params.speed_offset_mps,
        "rim_speed_cap": params.rim_speed_cap_mps,
        "steer_gain": params.steer_gain,
        "steer_kick": params.steer_kick_rad,
        "steer_rate": 1.0 / params.steer_time_constant_s if params.steer_time_constant_s > 0.0 else 0.0,
        "front_long_friction": front * params.long_friction_mps2,
        "front_lat_friction": front * params.lat_friction_mps2,
        "rear_long_friction": rear * params.long_friction_mps2,
        "rear_lat_friction": rear * params.lat_friction_mps2,
        "long_slip_scale2": params.long_slip_scale_mps**2,
        "lat_slip_scale2": params.lat_slip_scale_mps**2,
        "inv_gyration_radius2": 1.0 / params.yaw_gyration_radius2_m2,
        "drag": params.drag_per_s,
        "left_share": 1.0 + 0.5 * params.friction_bias,
        "right_share": 1.0 - 0.5 * params.friction_bias,
    }
    assert CONSTANTS_DTYPE.names is not None
    return np.array(tuple(values[name] for name in CONSTANTS_DTYPE.names), dtype=CONSTANTS_DTYPE)


@wp.func
@no_type_check
def friction(slip: float, slip_scale2: float, limit: float) -> float:
    """Smoothed dry friction [m/s²]: proportional to ``slip`` [m/s] below the slip scale, ``limit`` far above it."""
    return -limit * slip / wp.sqrt(slip * slip + slip_scale2)


@wp.func
@no_type_check
def command(constants: VehicleConstants, motion: Motion, steering: float, speed: float) -> Motion:
    """Give a car a steering [rad] and a speed command [m/s]: what acts at once, the rim speed and the steering kick."""
    commanded = motion
    commanded.steer_command = steering
    commanded.steer = motion.steer + wp.clamp(
        constants.steer_gain * (steering - motion.steer_command), -constants.steer_kick, constants.steer_kick
    )
    commanded.rim_speed = wp.clamp(
        constants.speed_gain * speed + constants.speed_offset, -constants.rim_speed_cap, constants.rim_speed_cap
    )
    if speed == 0.0:
        commanded.rim_speed = 0.0
    return commanded


@wp.func
@no_type_check
def steer_decay(constants: VehicleConstants, duration: float) -> float:
    """Share of the steering error that is left after ``duration`` [s]."""
    if constants.steer_rate == 0.0:
        return 0.0
    return wp.exp(-constants.steer_rate * duration)


@wp.func
@no_type_check
def substep(constants: VehicleConstants, motion: Motion, decay: float, tau: float) -> Motion:
    """Move a car on by a short time ``tau`` [s], at the end of which the steering error has shrunk to ``decay``.

    The steering angle moves first, exactly; the velocities follow by an explicit Euler step; the pose moves at the new
    velocities along the heading half-way. The parameters were fitted with this order.
    """
    target = wp.clamp(constants.steer_gain * motion.steer_command, -MAX_STEER, MAX_STEER)
    steer = target + decay * (motion.steer - target)
    c = wp.cos(steer)
    s = wp.sin(steer)

    u_left = motion.u - motion.yaw_rate * constants.half_track
    u_right = motion.u + motion.yaw_rate * constants.half_track
    w_front = motion.w + motion.yaw_rate * constants.front_axle
    w_rear = motion.w - motion.yaw_rate * constants.rear_axle

    long_scale2 = constants.long_slip_scale2
    lat_scale2 = constants.lat_slip_scale2
    long_left = friction(u_left * c + w_front * s - motion.rim_speed, long_scale2, constants.front_long_friction)
    long_right = friction(u_right * c + w_front * s - motion.rim_speed, long_scale2, constants.front_long_friction)
    lat_left = friction(w_front * c - u_left * s, lat_scale2, constants.front_lat_friction)
    lat_right = friction(w_front * c - u_right * s, lat_scale2, constants.front_lat_friction)
    rear_left = friction(u_left - motion.rim_speed, long_scale2, constants.rear_long_friction)
    rear_right = friction(u_right - motion.rim_speed, long_scale2, constants.rear_long_friction)

    left = constants.left_share
    right = constants.right_share
    push_left = left * (long_left * c - lat_left * s + rear_left)
    push_right = right * (long_right * c - lat_right * s + rear_right)
    side_front = left * (long_left * s + lat_left * c) + right * (long_right * s + lat_right * c)
    side_rear = 2.0 * friction(w_rear, lat_scale2, constants.rear_lat_friction)  # both rear wheels slip alike

    accel_u = push_left + push_right + motion.yaw_rate * motion.w - constants.drag * motion.u
    accel_w = side_front + side_rear - motion.yaw_rate * motion.u
    torque = constants.front_axle * side_front - constants.rear_axle * side_rear
    torque += constants.half_track * (push_right - push_left)

    moved = motion
    moved.steer = steer
    moved.u = motion.u + tau * accel_u
    moved.w = motion.w + tau * accel_w
    moved.yaw_rate = motion.yaw_rate + tau * torque * constants.inv_gyration_radius2
    turn = tau * moved.yaw_rate
    halfway = motion.yaw + 0.5 * turn
    moved.x = motion.x + tau * (moved.u * wp.cos(halfway) - moved.w * wp.sin(halfway))
    moved.y = motion.y + tau * (moved.u * wp.sin(halfway) + moved.w * wp.cos(halfway))
    moved.yaw = motion.yaw + turn
    return moved


@wp.func
@no_type_check
def advance(constants: VehicleConstants, motion: Motion, steering: float, speed: float, dt: float) -> Motion:
    """Move a car through one control step.

    Args:
        constants: The car.
        motion: Before the step.
        steering: Commanded steering angle [rad].
        speed: Commanded speed [m/s]; 0 stops the wheels.
        dt: Duration of the step [s].
    """
    tau = dt / float(NUM_SUBSTEPS)
    decay = steer_decay(constants, tau)
    moved = command(constants, motion, steering, speed)
    num_substeps = wp.int32(NUM_SUBSTEPS)  # a variable, or Warp unrolls the loop and compiles for long
    for _ in range(num_substeps):
        moved = substep(constants, moved, decay, tau)
    moved.yaw = moved.yaw - TWO_PI * wp.round(moved.yaw / TWO_PI)
    return moved


@wp.kernel(enable_backward=False)
@no_type_check
def _drive(
    # Model:
    constants: wp.array[VehicleConstants],
    # State in:
    motion_in: wp.array[Motion],
    # In:
    steering: wp.array2d[float],
    speed: wp.array2d[float],
    dt: wp.array2d[float],
    # State out:
    motion_out: wp.array2d[Motion],
):
    carid = wp.tid()
    car = constants[carid]
    motion = motion_in[carid]
    for step in range(steering.shape[1]):
        motion = advance(car, motion, steering[carid, step], speed[carid, step], dt[carid, step])
        motion_out[carid, step] = motion


def drive(
    params: VehicleParams | Sequence[VehicleParams],
    steering: np.ndarray,
    speed: np.ndarray,
    *,
    periods: np.ndarray | float = CONTROL_PERIOD,
    start: np.ndarray | None = None,
    device: str = "cpu",
) -> np.ndarray:
    """Drive cars open loop, each on a plane of its own.

    Args:
        params: One car for all, or one each.
        steering: Commanded steering angles [rad], shape (num_cars, num_steps).
        speed: Commanded speeds [m/s], same shape.
        periods: Durations of the steps [s], one for all or same shape.
        start: Motions to start from, shape (num_cars,), of ``MOTION_DTYPE``; default: at rest at the world's origin.
        device: Where to compute.

    Returns:
        The motions after each step, shape (num_cars, num_steps), of ``MOTION_DTYPE``.
    """
    num_cars, num_steps = steering.shape
    cars = [params] * num_cars if isinstance(params, VehicleParams) else params
    if start is None:
        start = np.zeros(num_cars, dtype=MOTION_DTYPE)

    def upload(values: np.ndarray | float) -> wp.array:
        return wp.array(np.broadcast_to(values, steering.shape), dtype=float, device=device)

    constants: wp.array = wp.array(np.stack(list(map(vehicle_constants, cars))), dtype=VehicleConstants, device=device)
    motion: wp.array = wp.array(start, dtype=Motion, device=device)
    motions = wp.empty((num_cars, num_steps), dtype=Motion, device=device)
    wp.launch(
        _drive,
        dim=num_cars,
        inputs=[constants, motion, upload(steering), upload(speed), upload(periods)],
        outputs=[motions],
        device=device,
    )
    return motions.numpy()


def front_points(params: VehicleParams, motions: np.ndarray) -> np.ndarray:
    """Poses as logs hold them: front point x, y [m] and yaw [rad], shape ``motions.shape + (3,)``."""
    ahead = params.logged_point_ahead_of_cg_m
    x = motions["x"] + ahead * np.cos(motions["yaw"])
    y = motions["y"] + ahead * np.sin(motions["yaw"])
    return np.stack([x, y, motions["yaw"]], axis=-1)
