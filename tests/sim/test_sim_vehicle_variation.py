"""Episodes differ as those of the original do, and are repeatable by their seeds."""

from collections import Counter

import numpy as np
import pytest
import warp as wp

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import Status
from hotlap.sim.vehicle import VEHICLES, drive, vehicle_constants
from hotlap.sim.vehicle_variation import FRAME_JITTER, sample_vehicle, sample_vehicle_params, step_period
from hotlap.validation.traces import read_index, read_trace


@wp.kernel(enable_backward=False)
def note_step_periods(seed: wp.array[wp.uint32], period_out: wp.array2d[float]):
    i, step = wp.tid()
    period_out[i, step] = step_period(seed[i], step)


def step_periods(seeds: np.ndarray, num_steps: int) -> np.ndarray:
    """Durations [s] of the first steps of episodes by their seeds, shape (len(seeds), num_steps)."""
    periods = wp.empty((len(seeds), num_steps), dtype=float, device="cpu")
    seed = wp.array(seeds.astype(np.uint32), dtype=wp.uint32, device="cpu")
    wp.launch(note_step_periods, dim=periods.shape, inputs=[seed], outputs=[periods], device="cpu")
    return periods.numpy()


@pytest.mark.parametrize("name", VEHICLES)
def test_scale_zero_is_exactly_the_nominal_car(name):
    car = VEHICLES[name]
    assert sample_vehicle_params(car, np.random.default_rng(0), scale=0.0) is car
    assert sample_vehicle(car, np.random.default_rng(0), scale=0.0) == vehicle_constants(car)


def test_seed_decides_the_car():
    sample = [sample_vehicle(VEHICLES["v5"], np.random.default_rng(seed)).tobytes() for seed in (5, 5, 6)]
    assert sample[0] == sample[1] != sample[2]


def test_small_scale_is_a_small_difference():
    cars = [sample_vehicle_params(VEHICLES["v5"], np.random.default_rng(7), scale=scale) for scale in (0.1, 1.0)]
    nominal = VEHICLES["v5"].lat_friction_mps2
    far, near = (np.log(car.lat_friction_mps2 / nominal) for car in reversed(cars))
    assert near == pytest.approx(0.1 * far)


def test_steps_without_seed_are_exact():
    assert np.all(step_periods(np.zeros(3), 10) == np.float32(CONTROL_PERIOD))


def test_steps_wander_around_the_regular_clock():
    periods = step_periods(np.arange(1, 501), 80)
    assert periods.min() > 0.02
    assert periods.max() < 0.12
    # The clock as a whole stays regular: after 80 steps it is off by two frame delays, not by the sum of 80.
    assert np.abs(periods.sum(axis=1) - 80 * CONTROL_PERIOD).max() < 6 * FRAME_JITTER
    assert periods.std() == pytest.approx(0.0118, rel=0.05)  # [s], as recorded
    assert np.corrcoef(periods[:, :-1].ravel(), periods[:, 1:].ravel())[0, 1] == pytest.approx(-0.5, abs=0.02)


def test_steps_depend_on_the_seed_alone():
    together, alone = step_periods(np.array([3, 4_000_000_000, 3]), 20), step_periods(np.array([4_000_000_000]), 20)
    assert np.array_equal(together[0], together[2])
    assert np.array_equal(together[1], alone[0])
    assert not np.array_equal(together[0], together[1])


def repeated_starts(logs, version, num_steps):
    """First actions from rest that occur more than once in a trace, with the number of pairs of episodes."""
    starts = []
    for file in read_index(logs / "index.csv"):
        if file.version != version:
            continue
        steps = read_trace(file.path).steps
        seen = Counter()
        for row in np.flatnonzero(steps.begins & (steps.status == Status.PREPARE)) + 1:
            rows = slice(row, row + num_steps)
            if steps.driving[rows].all() and not steps.begins[row : row + num_steps + 1].any():
                steering = np.deg2rad(steps.steering_angle[rows])
                seen[tuple(np.stack([steering, steps.speed[rows]]).ravel())] += 1
        starts += [(np.reshape(key, (2, num_steps)), n * (n - 1) // 2) for key, n in seen.items() if n > 1]
    return starts


def weighted_median(values, weights):
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return values[order][np.searchsorted(total, total[-1] / 2)]


@pytest.mark.data
@pytest.mark.parametrize(
    ("version", "num_steps", "distance", "heading_deg"),
    [
        ("v5", 5, 0.015, 1.4),
        ("v5", 8, 0.032, 1.9),
        ("v5", 10, 0.051, 2.4),
        ("v4", 5, 0.024, 2.2),
        ("v4", 8, 0.046, 2.8),
        ("v4", 10, 0.080, 3.1),
    ],
)
def test_episodes_drift_apart_as_recorded(reference_data, version, num_steps, distance, heading_deg):
    """Median distance of two runs of the same first actions, for the very actions of which the log has two runs."""
    starts = repeated_starts(reference_data / "logs", version, num_steps)
    runs = 40
    rng = np.random.default_rng(0)
    actions = np.repeat(np.stack([start for start, _ in starts]), 2 * runs, axis=0)
    cars = [sample_vehicle_params(VEHICLES[version], rng) for _ in actions]
    periods = step_periods(rng.integers(1, 2**32, len(actions)), num_steps)
    last = drive(cars, actions[:, 0], actions[:, 1], periods=periods)[:, -1].reshape(-1, 2)
    weights = np.repeat([pairs for _, pairs in starts], runs)
    apart = np.hypot(last["x"][:, 0] - last["x"][:, 1], last["y"][:, 0] - last["y"][:, 1])
    turned = np.degrees(np.abs(last["yaw"][:, 0] - last["yaw"][:, 1]))
    assert weighted_median(apart, weights) == pytest.approx(distance, rel=0.35)
    assert weighted_median(turned, weights) == pytest.approx(heading_deg, rel=0.35)
