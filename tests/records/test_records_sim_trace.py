"""Traces: the original's own rows come out as they went in, and the community's library reads ours."""

from __future__ import annotations

import ast
import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from episode_records import episode_record

from hotlap.deepracer.statuses import STATUS_NAMES, Status
from hotlap.deepracer.trace import TRACE_COLUMNS
from hotlap.records.folder import Folder
from hotlap.records.metrics import TRAINING_METRICS, TrainingMetrics
from hotlap.records.sim_trace import (
    evaluation_trace_key,
    format_csv,
    format_log_lines,
    training_trace_key,
    write_trace,
)
from hotlap.records.steps import Steps


def episode(number: int = 0, num_steps: int = 12, *, continuous: bool = False) -> Steps:
    rng = np.random.default_rng(number)
    status = [Status.PREPARE] + [Status.IN_PROGRESS] * (num_steps - 2) + [Status.OFF_TRACK]
    steer, speed = rng.uniform(-30, 30, num_steps), rng.uniform(0.5, 4, num_steps)
    return Steps.of(
        episode=number,
        step=np.arange(1, num_steps + 1),
        x=rng.normal(size=num_steps).astype(np.float32),
        y=rng.normal(size=num_steps),
        heading=rng.uniform(-180, 180, num_steps),
        steering_angle=steer,
        speed=speed,
        action=-1 if continuous else rng.integers(0, 5, num_steps),
        reward=rng.uniform(0, 1, num_steps),
        done=np.arange(num_steps) == num_steps - 1,
        all_wheels_on_track=rng.random(num_steps) < 0.8,
        progress=np.linspace(0.5, 40, num_steps),
        nearest_waypoint=np.arange(num_steps),
        track_length=17.709159380834848,
        time=100.0 * number + np.arange(num_steps) / 15,
        status=status,
    )


def rows_of(table: list[dict[str, str]]) -> Steps:
    """One episode of an original file, in the types that a simulator would hand over."""

    def column(name: str, dtype: type = float) -> np.ndarray:
        return np.array([dtype(row[name]) for row in table])

    def boolean(name: str) -> np.ndarray:
        return np.array([row[name] == "True" for row in table])

    return Steps.of(
        episode=int(table[0]["episode"]),
        step=column("steps"),
        x=column("X"),
        y=column("Y"),
        heading=column("yaw"),
        steering_angle=column("steer"),
        speed=column("throttle"),
        action=-1 if table[0]["action"].startswith("[") else column("action", int),
        reward=column("reward"),
        done=boolean("done"),
        all_wheels_on_track=boolean("all_wheels_on_track"),
        progress=column("progress"),
        nearest_waypoint=column("closest_waypoint", int),
        track_length=column("track_len"),
        time=column("tstamp"),
        status=[STATUS_NAMES.index(row["episode_status"]) for row in table],
        pause_duration=column("pause_duration") if "pause_duration" in table[0] else 0.0,
        obstacle_crash_counter=column("obstacle_crash_counter", int) if "obstacle_crash_counter" in table[0] else 0,
        wall_clock=column("wall_clock") if "wall_clock" in table[0] else np.nan,
    )


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.data
@pytest.mark.parametrize("name", ["droa", "droa_continuous", "v3", "v4"])
def test_original_traces_are_reproduced_to_the_byte(reference_data, name):
    """Every column that the original had, row by row, in the original's own text."""
    text = (reference_data / "formats" / f"simtrace_{name}_0-iteration_head.csv").read_text()
    table = read(text)
    numbers = sorted({int(row["episode"]) for row in table})
    ours = format_csv(rows_of([row for row in table if int(row["episode"]) == number]) for number in numbers)
    width = len(table[0])
    assert [",".join(line.split(",")[:width]) for line in ours.splitlines()] == text.splitlines()


@pytest.mark.data
def test_original_log_lines_are_reproduced_to_the_byte(reference_data):
    """The lines carry rounded numbers, and the original's text of them must come back."""
    lines = (reference_data / "formats" / "sim_trace_log_lines_v5.txt").read_text().splitlines()
    for line in lines:
        values = line.removeprefix("SIM_TRACE_LOG:").split(",")
        row = dict(zip(TRACE_COLUMNS, values, strict=False))
        (ours,) = format_log_lines(rows_of([row]))
        assert ours.split(",")[: len(values)] == line.split(",")


def test_log_line_of_the_current_original():
    """The example in the description of the format: 19 values, no spaces."""
    text = "0,2,3.1998,0.6831,0.1850,-10.00,2.00,5,1.0000,False,True,0.7912,1,17.71,27.864,in_progress,0.00,0"
    row = dict(zip(TRACE_COLUMNS, f"{text},1718000000.1234".split(","), strict=True))
    assert format_log_lines(rows_of([row])) == [f"SIM_TRACE_LOG:{text},1718000000.1234"]


@pytest.mark.parametrize("continuous", [False, True])
def test_csv_carries_the_values(continuous):
    """Double precision exactly, single precision to its own resolution."""
    rows = episode(3, continuous=continuous)
    table = read(format_csv([rows]))
    assert tuple(table[0]) == tuple(TRACE_COLUMNS)
    assert [row["steps"] for row in table[:2]] == ["1.0", "2.0"]
    np.testing.assert_array_equal([float(row["Y"]) for row in table], rows.y)
    np.testing.assert_allclose([float(row["X"]) for row in table], rows.x, atol=5e-7)
    assert [ast.literal_eval(row["done"]) for row in table] == rows.done.tolist()
    if continuous:
        pairs = [[float(value) for value in row["action"][1:-1].split(" ")] for row in table]
        np.testing.assert_array_equal(pairs, np.stack([rows.steering_angle, rows.speed], axis=1))


def test_wall_clock_is_the_simulation_clock_unless_given():
    rows = read(format_csv([episode()]))
    assert [row["wall_clock"] for row in rows] == [row["tstamp"] for row in rows]


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="column y has 3 rows, step has 12"):
        replace(episode(), y=np.zeros(3))


@pytest.mark.parametrize("continuous", [False, True])
def test_deepracer_utils_reads_our_folder(tmp_path, continuous):
    """The community's library finds the traces and metrics of a training and an evaluation, and their values."""
    logs = pytest.importorskip("deepracer.logs")
    folder = Folder(tmp_path)
    metrics = TrainingMetrics(folder)
    for iteration in range(2):
        episodes = [episode(3 * iteration + number, continuous=continuous) for number in range(3)]
        write_trace(folder, training_trace_key(iteration), episodes)
        metrics.add([episode_record(progress=40.9, status="off_track")] * 3)
    metrics.set_evaluation([episode_record("evaluation", progress=100.0, status="lap_complete")])
    metrics.save()
    write_trace(folder, evaluation_trace_key("20260102030405"), [episode(0, continuous=continuous)])

    log = logs.DeepRacerLog(model_folder=str(tmp_path))
    log.load_training_trace()
    frame = log.dataframe()
    assert len(frame) == 2 * 3 * 12
    assert sorted(frame["iteration"].unique()) == [0, 1]
    assert sorted(frame["episode"].unique()) == [0, 1, 2, 3, 4, 5]
    first = frame[frame["episode"] == 4].sort_values("steps")
    np.testing.assert_allclose(first["y"], episode(4).y, rtol=1e-15)
    assert first["episode_status"].iloc[-1] == "off_track"
    log.load_evaluation_trace(force=True)
    assert len(log.dataframe()) == 12

    table = logs.TrainingMetrics("", fname=str(tmp_path / TRAINING_METRICS), region="us-east-1")
    assert table.getTraining()["completion"].tolist() == [40] * 6
    assert table.getTraining()["iteration"].tolist() == [0, 0, 0, 1, 1, 1]
    assert table.getEvaluation()["complete"].tolist() == [1]
