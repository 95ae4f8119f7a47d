"""Recorded traces: reading them, judging their rows, repeating their drives."""

import csv
import gzip
import json
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from hotlap.cli import validate
from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.errors import DataError
from hotlap.records.steps import Steps
from hotlap.sim.vehicle import MOTION_DTYPE, VEHICLES, drive, front_points
from hotlap.validation.drift import (
    BICYCLES,
    HORIZONS,
    OBSERVER_GAINS,
    WARM_UP,
    cut_windows,
    find_windows,
    is_reference,
    replay,
    replay_bicycle,
    replay_errors,
    validate_replay,
)
from hotlap.validation.logged_inputs import INPUTS, rows_agree
from hotlap.validation.recordings import open_traces
from hotlap.validation.traces import find_route, read_index, read_trace

# Errors of the four-wheel model that the parameters were published with: median m, 90 % m, median deg, 90 % deg, for
# 8, 15, 30 and 75 steps.
PUBLISHED = {
    "v2": (0.036, 0.076, 2.7, 6.8, 0.071, 0.155, 3.5, 9.0, 0.153, 0.353, 4.9, 12.8, 0.415, 1.187, 7.8, 21.9),
    "v3": (0.027, 0.049, 2.1, 5.3, 0.052, 0.095, 3.6, 8.4, 0.113, 0.233, 6.4, 14.2, 0.439, 0.912, 14.6, 28.2),
    "v4": (0.038, 0.089, 3.3, 8.1, 0.082, 0.224, 4.8, 13.8, 0.193, 0.583, 7.7, 20.0, 0.756, 1.781, 14.7, 29.8),
    "v5": (0.041, 0.104, 2.7, 8.3, 0.092, 0.258, 4.5, 12.2, 0.238, 0.748, 6.7, 18.6, 0.864, 2.524, 13.4, 28.8),
    "droa": (0.041, 0.093, 2.8, 7.7, 0.080, 0.210, 4.1, 10.9, 0.191, 0.482, 6.2, 16.4, 0.670, 1.205, 9.9, 24.4),
}
PUBLISHED_BICYCLE = {  # medians [m]
    "v2": (0.284, 0.544, 1.079, 2.109),
    "v3": (0.124, 0.224, 0.439, 1.144),
    "v4": (0.550, 1.189, 1.936, 3.633),
    "v5": (0.708, 1.528, 2.711, 5.934),
    "droa": (0.258, 0.534, 1.507, 3.850),
}

HEADER = (
    "episode,steps,X,Y,yaw,steer,throttle,action,reward,done,all_wheels_on_track,progress,closest_waypoint,track_len,"
    "tstamp,episode_status"
)


def driven_trace(car, steering, speed) -> Steps:
    """What a log would hold of a drive from rest: the poses before each action."""
    num_steps = len(steering)
    motions = drive(car, steering[None], speed[None])[0, :-1]
    start = np.zeros(1, dtype=MOTION_DTYPE)
    x, y, yaw = front_points(car, np.concatenate([start, motions])).T.astype(np.float64)
    count = np.arange(num_steps)
    return Steps.of(
        step=count + 1,
        x=x,
        y=y,
        heading=np.rad2deg(yaw),
        steering_angle=np.rad2deg(steering),
        speed=speed,
        done=count == num_steps - 1,
        all_wheels_on_track=True,
        progress=count.astype(float),
        nearest_waypoint=count,
        track_length=10.0,
        time=count * CONTROL_PERIOD,
    )


@pytest.mark.parametrize("name", VEHICLES)
def test_replay_repeats_what_the_simulator_drove(name):
    """The observer finds the velocities of a drive made by the car itself, and then nothing is left to be wrong.

    It cannot see the wheel angle, so the steering has settled before the warm-up begins.
    """
    rng = np.random.default_rng(0)
    steering = np.concatenate([np.full(60, 0.2), np.repeat(rng.uniform(-0.3, 0.3, 8), 15)])
    speed = np.concatenate([np.full(60, 1.2), np.repeat(rng.uniform(1.0, 1.8, 8), 15)])
    trace = driven_trace(VEHICLES[name], steering, speed)
    windows = cut_windows([(trace, [(31, 75), (38, 75), (44, 75)])])
    errors = replay_errors(windows, replay(windows, VEHICLES[name], OBSERVER_GAINS[name]))
    assert errors["p90_m"]["0.5"] < 0.005
    assert errors["p90_m"]["2"] < 0.02
    assert errors["heading_p90_deg"]["2"] < 1.0


def test_windows_hold_the_rows_of_their_trace():
    trace = driven_trace(VEHICLES["v5"], np.zeros(60), np.full(60, 1.0))
    windows = cut_windows([(trace, [(3, 8), (18, 15)])])
    assert windows.horizon.tolist() == [8, 15]
    assert windows.x[1, : WARM_UP + 16].tolist() == trace.x[18 : 18 + WARM_UP + 16].tolist()
    assert np.isnan(windows.x[0, WARM_UP + 9 :]).all()


def test_windows_stop_at_a_break():
    trace = driven_trace(VEHICLES["v5"], np.zeros(120), np.full(120, 1.0))
    assert find_windows(trace)[0] == (1, 75)  # the time of the first pose is unknown
    for damage in ("step", "time", "x"):
        values = getattr(trace, damage).astype(float).copy()
        values[61:] += 1.0
        broken = replace(trace, **{damage: values})
        for row, steps in find_windows(broken):
            assert row + WARM_UP + steps < 62 or row >= 61


def test_bicycle_runs_on_circles():
    """The rear axle turns about a point wheelbase / tan(steer) to its left."""
    steer, speed, steps = 0.3, 1.5, 75
    trace = driven_trace(VEHICLES["v5"], np.full(200, steer), np.full(200, speed))
    windows = cut_windows([(trace, [(1, steps)])])
    bicycle = BICYCLES["v5"]
    poses = replay_bicycle(windows, bicycle)[0]
    radius = bicycle.wheelbase_m / np.tan(steer)
    ahead = bicycle.logged_point_ahead_of_rear_axle_m
    rear = poses[:, 0] + 1j * poses[:, 1] - ahead * np.exp(1j * poses[:, 2])
    center = rear + radius * 1j * np.exp(1j * poses[:, 2])
    np.testing.assert_allclose(center, center[0], atol=1e-9)
    turned = poses[:, 2] - windows.yaw[0, WARM_UP]
    np.testing.assert_allclose(turned, np.arange(1, steps + 1) * speed * CONTROL_PERIOD / radius, atol=1e-9)


# Reading


def write_trace(folder, rows, header=HEADER, name="trace.csv"):
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def find_traces(paths, **known):
    with open_traces(paths, **known) as found:
        return found.files


ROW = "0,1.0,3.2,0.68,90.0,-30.0,1.0,2,0.0,False,True,0.79,1,17.71,6.9,prepare"


def test_reading_converts_units(tmp_path):
    rows = [ROW, ROW.replace(",1.0,3.2", ",2.0,3.2"), *[ROW.replace(",1.0,3.2", f",{k}.0,3.2") for k in range(3, 60)]]
    steps = read_trace(write_trace(tmp_path, rows)).steps
    windows = cut_windows([(steps, [(0, 8)])])
    assert windows.yaw[0, 0] == pytest.approx(np.pi / 2)
    assert windows.steering[0, 0] == pytest.approx(-np.pi / 6)
    assert steps.step[:2].tolist() == [1, 2]
    assert steps.driving[:2].tolist() == [False, False]
    assert steps.begins[:2].tolist() == [True, False]


def test_continuous_action_with_a_comma_is_one_value(tmp_path):
    trace = read_trace(write_trace(tmp_path, [ROW.replace(",2,0.0,", ",[-30.0, 1.0],0.0,")]))
    assert trace.steps.progress[0] == 0.79


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ([ROW], HEADER.replace("yaw", "heading"), "lacks the columns yaw"),
        ([ROW.replace("0.68", "north")], HEADER, r"no sound rows \(1 are damaged\)"),
        ([ROW + ",1"], HEADER, r"no sound rows \(1 are damaged\)"),
        ([], HEADER, "no sound rows"),
    ],
)
def test_damaged_traces_are_refused(tmp_path, rows, header, message):
    with pytest.raises(DataError, match=message):
        read_trace(write_trace(tmp_path, rows, header))


def test_truncated_gzip_is_refused(tmp_path):
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEADER, *[ROW] * 500]).encode())[:-20])
    with pytest.raises(DataError, match="cut short"):
        read_trace(path)


def test_what_cannot_be_found_out_is_asked_in_a_sentence(tmp_path):
    """A track that nobody knows, a place with nothing in it."""
    path = write_trace(tmp_path, [ROW])
    with pytest.raises(DataError, match=r"no known track is 17\.71 m long.*--track FILE"):
        find_traces([path])
    with pytest.raises(DataError, match="no such file"):
        find_traces([tmp_path / "absent"])
    with pytest.raises(DataError, match="no such file"):
        find_traces([tmp_path / "*.log"])
    with pytest.raises(DataError, match="versions are v1, v2"):
        find_traces([path], version="v9", track="reinvent_base")
    with pytest.raises(DataError, match="as_is or reversed"):
        find_traces([path], direction="left")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no traces in it"):
        find_traces([tmp_path / "empty"])


def test_index_names_the_traces(tmp_path):
    write_trace(tmp_path, [ROW])
    (tmp_path / "index.csv").write_text("file,version,role,track\nlogs/trace.csv,v4,check,oval\n")
    assert find_traces([tmp_path]) == find_traces([tmp_path / "trace.csv"])
    (tmp_path / "index.csv").write_text("file,version,role,track\nlogs/other.csv,v4,check,oval\n")
    with pytest.raises(DataError, match=r"lists 'logs/other\.csv'"):
        find_traces([tmp_path])


# Against the recordings


@pytest.mark.data
def test_windows_are_those_of_the_published_errors(reference_data):
    listed = defaultdict(set)
    with gzip.open(reference_data / "logs" / "replay_windows.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            listed[row["file"].split("/")[-1]].add((int(row["row0"]), int(row["max_horizon"])))
    names = (
        "v3_rayg-20200831.csv.gz",
        "v4_drfc1-eval-20220709200242.csv.gz",
        "v5_kngqw8.csv.gz",
        "droa_spain-train.csv.gz",
    )
    for name in names:
        assert set(find_windows(read_trace(reference_data / "logs" / name).steps)) == listed[name]


@pytest.mark.data
def test_replay_errors_are_at_most_the_published_ones(reference_data):
    files = [file for file in read_index(reference_data / "logs" / "index.csv") if is_reference(file)]
    result = validate_replay([(file, read_trace(file.path).steps) for file in files])
    assert set(result) == set(PUBLISHED)
    for group, errors in result.items():
        digits = {"median_m": 3, "p90_m": 3, "heading_deg": 1, "heading_p90_deg": 1}
        ours = [round(errors[key][horizon], digits[key]) for horizon in HORIZONS for key in digits]
        assert np.all(np.array(ours) <= PUBLISHED[group]), (group, ours)
        bicycle = [errors["bicycle"]["median_m"][horizon] for horizon in HORIZONS]
        np.testing.assert_allclose(bicycle, PUBLISHED_BICYCLE[group], atol=0.0016)


@pytest.mark.data
@pytest.mark.parametrize(
    "name", ["v3_rayg-20200831", "v4_drfc1-eval-20220709200242", "v5_mh77xx", "v5_august-open", "droa_continuous-train"]
)
def test_reward_inputs_agree_with_the_log(reference_data, name):
    (file,) = find_traces([reference_data / "logs" / f"{name}.csv.gz"])
    steps = read_trace(file.path).steps
    shares = rows_agree(steps, file.version, find_route(file, steps))
    assert min(shares.values()) >= 0.995, shares


@pytest.mark.data
def test_command_prints_one_json_object(reference_data, tmp_path):
    paths = [str(reference_data / "logs" / f"{name}.csv.gz") for name in ("v5_kngqw8", "droa_spain-train")]
    figure = tmp_path / "paths.png"
    app = typer.Typer()
    app.command()(validate.logs)
    outcome = CliRunner().invoke(app, [*paths, "--json", "--figure", str(figure)])
    assert outcome.exit_code == 0, outcome.output
    result = json.loads(outcome.stdout)
    assert set(result) >= {"logs", "rows_agree", "rows_agree_version", "differences", "replay"}
    assert set(result["rows_agree"]["v5_kngqw8"]) == set(INPUTS)
    assert set(result["replay"]["v5"]) >= {"windows", "median_m", "p90_m", "heading_deg", "heading_p90_deg", "bicycle"}
    assert set(result["replay"]["v5"]["median_m"]) <= set(HORIZONS)
    assert figure.read_bytes().startswith(b"\x89PNG")
