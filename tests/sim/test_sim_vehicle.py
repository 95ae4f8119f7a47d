"""The car: laws of its motion, and a float64 reference of its equations."""

from dataclasses import fields

import numpy as np
import pytest

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.sim.vehicle import (
    MOTION_DTYPE,
    NUM_SUBSTEPS,
    VEHICLES,
    Motion,
    VehicleParams,
    drive,
    front_points,
    vehicle_constants,
    vehicle_for_version,
)

NAMES = tuple(VEHICLES)


def constant(value, num_steps, num_cars=1):
    return np.full((num_cars, num_steps), value)


def reference_drive(car: VehicleParams, steering, speed, start) -> np.ndarray:
    """The equations of the car in float64, wheel by wheel; one row of x, y, yaw, u, w, r per step."""
    x, y, yaw, u, w, r, d, old = (
        float(start[name]) for name in ("x", "y", "yaw", "u", "w", "yaw_rate", "steer", "steer_command")
    )
    front, rear = car.front_share / 2, (1 - car.front_share) / 2
    a, b, h = car.cg_to_front_axle_m, car.cg_to_rear_axle_m, car.half_track_m
    tau = CONTROL_PERIOD / NUM_SUBSTEPS
    rows = []
    for sc, vc in zip(steering, speed, strict=True):
        target = car.steer_gain * sc
        d += np.clip(car.steer_gain * (sc - old), -car.steer_kick_rad, car.steer_kick_rad)
        old = sc
        rim = 0.0 if vc == 0 else min(car.speed_gain * vc + car.speed_offset_mps, car.rim_speed_cap_mps)
        for _ in range(NUM_SUBSTEPS):
            if car.steer_time_constant_s > 0:
                d = target + (d - target) * np.exp(-tau / car.steer_time_constant_s)
            else:
                d = target
            fx = fy = torque = 0.0
            for xi, yi, angle, share in ((a, h, d, front), (a, -h, d, front), (-b, h, 0.0, rear), (-b, -h, 0.0, rear)):
                side = 1 + np.sign(yi) * car.friction_bias / 2
                ux, uy = u - r * yi, w + r * xi
                lon = ux * np.cos(angle) + uy * np.sin(angle) - rim
                lat = -ux * np.sin(angle) + uy * np.cos(angle)
                push = -share * side * car.long_friction_mps2 * lon / np.hypot(lon, car.long_slip_scale_mps)
                hold = -share * side * car.lat_friction_mps2 * lat / np.hypot(lat, car.lat_slip_scale_mps)
                if xi < 0:  # the rear wheels slip sideways alike, and hold together what they hold
                    hold /= side
                wheel_x = push * np.cos(angle) - hold * np.sin(angle)
                wheel_y = push * np.sin(angle) + hold * np.cos(angle)
                fx, fy, torque = fx + wheel_x, fy + wheel_y, torque + xi * wheel_y - yi * wheel_x
            u, w, r = (
                u + tau * (fx + r * w - car.drag_per_s * u),
                w + tau * (fy - r * u),
                r + tau * torque / car.yaw_gyration_radius2_m2,
            )
            half = yaw + tau * r / 2
            x += tau * (u * np.cos(half) - w * np.sin(half))
            y += tau * (u * np.sin(half) + w * np.cos(half))
            yaw += tau * r
        rows.append((x, y, yaw, u, w, r))
    return np.array(rows)


@pytest.mark.parametrize("name", NAMES)
def test_kernel_agrees_with_float64_reference(name):
    """Six digits in float32, over three seconds of wild driving."""
    rng = np.random.default_rng(3)
    steering = rng.uniform(-0.5, 0.5, (4, 45))
    speed = rng.uniform(0.3, 4.0, (4, 45))
    start = np.zeros(4, dtype=MOTION_DTYPE)
    for field, spread in (("x", 5), ("y", 5), ("yaw", 3), ("u", 2), ("w", 0.5), ("yaw_rate", 2), ("steer", 0.3)):
        start[field] = rng.uniform(-spread, spread, 4)
    motions = drive(VEHICLES[name], steering, speed, start=start)
    for k in range(4):
        expected = reference_drive(VEHICLES[name], steering[k], speed[k], start[k])
        ours = np.stack([motions[k][field] for field in ("x", "y", "yaw", "u", "w", "yaw_rate")], axis=-1)
        difference = ours - expected
        difference[:, 2] = np.angle(np.exp(1j * difference[:, 2]))
        # Errors of the last float32 digit grow where the car spins.
        assert np.abs(difference).max() < 2e-3
        assert np.abs(difference[:8]).max() < 2e-5


def test_uneven_friction_agrees_with_float64_reference():
    car = VehicleParams(**(vars(VEHICLES["v5"]) | {"friction_bias": 0.2}))
    start = np.zeros(1, dtype=MOTION_DTYPE)
    motions = drive(car, constant(0.2, 15), constant(2.0, 15))[0]
    expected = reference_drive(car, constant(0.2, 15)[0], constant(2.0, 15)[0], start[0])
    np.testing.assert_allclose(
        np.stack([motions["x"], motions["y"], motions["yaw"]], axis=-1), expected[:, :3], atol=1e-5
    )


@pytest.mark.parametrize("name", NAMES)
def test_straight_ahead_is_straight(name):
    motions = drive(VEHICLES[name], constant(0.0, 60), constant(2.0, 60))[0]
    assert np.all(motions["y"] == 0.0)
    assert np.all(motions["yaw"] == 0.0)
    assert np.all(np.diff(motions["x"]) > 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_mirrored_steering_gives_the_mirrored_path(name):
    rng = np.random.default_rng(0)
    steering, speed = rng.uniform(-0.5, 0.5, (1, 60)), rng.uniform(0.5, 4.0, (1, 60))
    left, right = (drive(VEHICLES[name], sign * steering, speed)[0] for sign in (1, -1))
    for field, sign in (("x", 1), ("y", -1), ("yaw", -1), ("u", 1), ("w", -1), ("yaw_rate", -1), ("steer", -1)):
        np.testing.assert_allclose(left[field], sign * right[field], atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_motion_does_not_depend_on_where_the_car_stands(name):
    rng = np.random.default_rng(1)
    steering, speed = rng.uniform(-0.4, 0.4, (1, 30)), rng.uniform(0.5, 3.0, (1, 30))
    start = np.zeros(1, dtype=MOTION_DTYPE)
    start["x"], start["y"], start["yaw"] = 3.0, -2.0, 2.5
    here = drive(VEHICLES[name], steering, speed)[0]
    there = drive(VEHICLES[name], steering, speed, start=start)[0]
    turned = (here["x"] + 1j * here["y"]) * np.exp(2.5j) + 3.0 - 2.0j
    np.testing.assert_allclose(there["x"] + 1j * there["y"], turned, atol=1e-4)
    np.testing.assert_allclose(np.exp(1j * there["yaw"]), np.exp(1j * (here["yaw"] + 2.5)), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "speed", "steer_deg", "low", "high"),
    # Measured on the recordings of the original, at the model origin; droa's single value gets 15 % either way. The
    # lagging steering of versions 2 to 4 rarely settles while driving, so their radii are not those of steady turns.
    [("v5", 1.0, 30, 0.68, 0.84), ("droa", 1.5, 15, 1.0, 1.35)],
)
def test_steady_turn_has_the_recorded_radius(name, speed, steer_deg, low, high):
    car = VEHICLES[name]
    last = drive(car, constant(np.radians(steer_deg), 150), constant(speed, 150))[0, -1]
    side = last["w"] + car.origin_ahead_of_cg_m * last["yaw_rate"]
    assert low < np.hypot(last["u"], side) / last["yaw_rate"] < high


@pytest.mark.parametrize("speed", [1.5, 2.5, 4.0])
def test_launch_covers_the_recorded_distance(speed):
    """7.9 mm in the first step from rest (version 5), whatever the command: the wheels spin."""
    first = drive(VEHICLES["v5"], constant(0.0, 1), constant(speed, 1))[0, 0]["x"]
    assert first == pytest.approx(0.0079, rel=0.05)


@pytest.mark.parametrize(("name", "top"), [("v2", 3.0), ("v3", 3.6), ("v4", 3.6), ("v5", 3.6), ("droa", 3.6)])
def test_top_speed_is_that_of_the_wheel_joints(name, top):
    assert drive(VEHICLES[name], constant(0.0, 150), constant(4.0, 150))[0, -1]["u"] == pytest.approx(top, rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_a_standing_car_stands(name):
    motions = drive(VEHICLES[name], constant(0.0, 45), constant(0.0, 45))
    assert all(np.all(motions[field] == 0.0) for field in MOTION_DTYPE.names)


@pytest.mark.parametrize("name", NAMES)
def test_zero_speed_command_brings_the_car_to_rest(name):
    fast = drive(VEHICLES[name], constant(0.5, 45), constant(4.0, 45))[:, -1]
    last = drive(VEHICLES[name], constant(0.0, 120), constant(0.0, 120), start=fast)[0, -1]
    assert max(abs(last["u"]), abs(last["w"]), abs(last["yaw_rate"])) < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_extreme_commands_stay_finite(name):
    """Nobody drives like this, but a diverging network may ask for it."""
    rng = np.random.default_rng(2)
    motions = drive(VEHICLES[name], rng.uniform(-1e4, 1e4, (8, 200)), rng.uniform(-1e4, 1e4, (8, 200)))
    for field in MOTION_DTYPE.names:
        assert np.all(np.isfinite(motions[field]))
    assert np.abs(motions["u"]).max() < 5.0
    assert np.abs(motions["yaw"]).max() <= np.pi + 1e-5
    assert np.abs(motions["steer"]).max() <= 1.0 + 0.06  # the joint's limit, and a kick


def test_a_batch_equals_its_cars_one_by_one():
    rng = np.random.default_rng(4)
    cars = [VEHICLES[NAMES[k % len(NAMES)]] for k in range(64)]
    steering, speed = rng.uniform(-0.5, 0.5, (64, 20)), rng.uniform(0.1, 4.0, (64, 20))
    together = drive(cars, steering, speed)
    for k, car in enumerate(cars):
        alone = drive(car, steering[k : k + 1], speed[k : k + 1])
        assert alone.tobytes() == together[k : k + 1].tobytes()


def test_front_point_is_ahead_of_the_model_origin():
    motion = np.zeros(1, dtype=MOTION_DTYPE)
    motion["x"], motion["yaw"] = 1.0, np.pi / 2
    for car in VEHICLES.values():
        x, y, _ = front_points(car, motion)[0]
        origin_y = car.origin_ahead_of_cg_m
        assert (x, y) == pytest.approx((1.0, origin_y + 0.14), abs=1e-6)
    assert VEHICLES["v2"].origin_ahead_of_cg_m == pytest.approx(-0.0975)  # on the rear axle
    assert VEHICLES["v5"].origin_ahead_of_cg_m == pytest.approx(0.0)


@pytest.mark.parametrize(("version", "name"), [(1, "v2"), (2, "v2"), (3, "v3"), (4, "v4"), (5.0, "v5"), (6, "droa")])
def test_metadata_version_selects_the_car(version, name):
    assert vehicle_for_version(version) is VEHICLES[name]


@pytest.mark.parametrize("version", [0, 7, 2.5, -1])
def test_unknown_version_is_refused(version):
    with pytest.raises(ValueError, match="versions are 1, 2, 3, 4, 5, 6"):
        vehicle_for_version(version)


def test_docstrings_list_the_fields_in_order():
    lines = [
        line.split()[0].rstrip(",")
        for line in VehicleParams.__doc__.splitlines()
        if line.startswith("    ") and line.strip()
    ]
    names = [field.name for field in fields(VehicleParams)]
    assert [word for word in lines if word in names] == names
    table = [word.rstrip(",") for line in Motion.cls.__doc__.splitlines() for word in line[:18].split()]
    assert [word for word in table if word in MOTION_DTYPE.names] == list(MOTION_DTYPE.names)


def test_constants_of_two_cars_stack():
    rows = np.stack([vehicle_constants(VEHICLES["v2"]), vehicle_constants(VEHICLES["droa"])])
    assert rows.shape == (2,)
    assert rows["steer_rate"][1] == pytest.approx(1.0 / VEHICLES["droa"].steer_time_constant_s)
