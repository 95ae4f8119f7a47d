"""Traces of every age are read back as they were driven; what is damaged is left out and counted."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_run import PERIOD, episode_rows, ring

from hotlap.analysis.read.episodes import Episodes, in_order
from hotlap.analysis.read.phases import num_episodes
from hotlap.deepracer.trace import TRACE_COLUMNS
from hotlap.errors import RecordError
from hotlap.records.sim_trace import format_csv
from hotlap.records.steps import Steps
from hotlap.records.trace_reader import read_trace


def rows() -> list[Steps]:
    rng = np.random.default_rng(1)
    return [
        episode_rows(number, length, track=ring(), clock=5.0 * number, rng=rng)
        for number, length in enumerate((12, 40, 3))
    ]


@pytest.fixture(scope="module")
def text() -> str:
    return format_csv(rows())


def read(text: str) -> Steps:
    trace = read_trace(text.encode(), source="trace", worker=2, iteration=7)
    assert trace.num_damaged == 0
    return in_order([trace.steps])


def test_what_was_written_is_read_back(text):
    steps = read(text)
    written = rows()
    np.testing.assert_array_equal(steps.x, np.concatenate([each.x for each in written]))
    np.testing.assert_array_equal(steps.steering_angle, np.concatenate([each.steering_angle for each in written]))
    np.testing.assert_array_equal(steps.action, np.concatenate([each.action for each in written]))
    np.testing.assert_array_equal(steps.nearest_waypoint, np.concatenate([each.nearest_waypoint for each in written]))
    np.testing.assert_array_equal(
        steps.all_wheels_on_track, np.concatenate([each.all_wheels_on_track for each in written])
    )
    np.testing.assert_array_equal(steps.episode, np.repeat([0, 1, 2], [12, 40, 3]))
    np.testing.assert_array_equal(steps.status, np.concatenate([each.status for each in written]))
    assert set(steps.worker) == {2}
    assert set(steps.iteration) == {7}


@pytest.mark.parametrize("num_columns", [16, 17, 18, 19])
def test_older_column_sets_say_the_same(text, num_columns):
    """Columns were added at the end: a trace of an older version is the same without them."""
    table = list(csv.reader(text.splitlines()))
    older = "\n".join(",".join(row[:num_columns]) for row in table)
    for name in (
        "x",
        "y",
        "heading",
        "steering_angle",
        "speed",
        "reward",
        "progress",
        "time",
        "status",
        "episode",
        "track_length",
    ):
        np.testing.assert_array_equal(getattr(read(older), name), getattr(read(text), name), err_msg=name)


def test_traces_of_2019_are_in_radians_and_their_endings_are_guessed(text):
    table = list(csv.DictReader(text.splitlines()))
    for row in table:
        row["yaw"], row["steer"] = (str(np.deg2rad(float(row[name]))) for name in ("yaw", "steer"))
    oldest = ",".join(list(TRACE_COLUMNS)[:15]) + "\n"
    oldest += "\n".join(",".join(row[name] for name in list(TRACE_COLUMNS)[:15]) for row in table)
    steps, new = read(oldest), read(text)
    np.testing.assert_allclose(steps.heading, new.heading, atol=1e-9)
    np.testing.assert_allclose(steps.steering_angle, new.steering_angle, atol=1e-9)
    np.testing.assert_array_equal(Episodes.of(steps).status, Episodes.of(new).status)


def test_logs_collected_backwards_are_turned_round(text):
    header, *lines = text.splitlines()
    backwards = [header, *[line for i in range(0, len(lines), 10) for line in lines[i : i + 10]][::-1]]
    np.testing.assert_array_equal(read("\n".join(backwards)).time, read(text).time)
    np.testing.assert_array_equal(read("\n".join(backwards)).step, read(text).step)


def test_laps_of_a_continuous_evaluation_are_told_apart():
    lap = rows()[1]
    twice = replace(Steps.joined([lap, lap]), episode=np.zeros(80), step=np.arange(1, 81), time=PERIOD * np.arange(80))
    episodes = Episodes.of(read(format_csv([twice])))
    assert episodes.complete.tolist() == [True, True]
    np.testing.assert_allclose(episodes.seconds, 40 * PERIOD)


@pytest.mark.parametrize(
    ("damage", "num_damaged"),
    [
        (lambda lines: [*lines, lines[-1][:20]], 1),
        (lambda lines: [*lines, "0,1,a" + ",1" * 16], 1),
        (lambda lines: [*lines, "", *lines[1:3]], 1),
        (lambda lines: [lines[0], *(line.replace("in_progress", "nonsense") for line in lines[1:])], 0),
        (lambda lines: [lines[0], lines[1].replace(lines[1].split(",")[2], "nan"), *lines[2:]], 1),
        (lambda lines: [lines[0], lines[1].replace(lines[1].split(",")[2], "1e300"), *lines[2:]], 1),
        (lambda lines: lines[:1], 0),
    ],
)
def test_damaged_rows_are_left_out_and_counted(text, damage, num_damaged):
    lines = damage(text.splitlines())
    trace = read_trace("\n".join(lines).encode(), source="trace")
    assert trace.num_damaged == num_damaged
    assert len(trace.steps) == len(lines) - 1 - num_damaged


@pytest.mark.parametrize("data", [b"", b"\n\n", b"episode,steps\n1,2\n", b"\x00\xff" * 500, b"PK\x03\x04"])
def test_files_that_are_no_traces_are_explained(data):
    with pytest.raises(RecordError, match="is no trace"):
        read_trace(data, source="training-simtrace/0-iteration.csv")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_file_makes_the_reader_fail_otherwise(data):
    """Whatever stands in a trace: steps come of it, or our error, and every number of the steps is a sound one."""
    text = data.draw(st.sampled_from([format_csv(rows()[2:]), ",".join(TRACE_COLUMNS) + "\n"]))
    place = data.draw(st.integers(0, len(text)))
    noise = data.draw(st.text(st.sampled_from('0123456789.,-eEnaif"\n\r\0 ;\u2028[]')) | st.text(max_size=20))
    mixed = text[:place] + noise + text[data.draw(st.integers(place, len(text))) :]
    with io.BytesIO(mixed.encode(errors="replace")) as file:
        try:
            trace = read_trace(file.read(), source="trace")
        except RecordError:
            return
    assert trace.num_damaged >= 0
    steps = in_order([trace.steps])
    for name in ("x", "y", "reward", "progress", "time", "speed"):
        assert np.isfinite(getattr(steps, name)).all()
    assert np.all(steps.nearest_waypoint >= 0)
    assert len(Episodes.of(steps)) == num_episodes(steps)


@pytest.mark.data
def test_all_recordings_of_the_original_are_read(reference_data):
    """As many rows and episodes as their index counts, in all versions."""
    for entry in csv.DictReader((reference_data / "logs" / "index.csv").open()):
        with gzip.open(reference_data / entry["file"], "rt") as file:
            trace = read_trace(file.read().encode(), source=entry["file"])
        steps = in_order([trace.steps])
        assert (len(steps), trace.num_damaged) == (int(entry["rows"]), 0)
        assert abs(num_episodes(steps) - int(entry["episodes"])) <= 0.02 * int(entry["episodes"]) + 1, entry["file"]


@pytest.mark.data
def test_verbatim_samples_of_each_version_are_read(reference_data):
    for path in sorted((reference_data / "formats").glob("simtrace_*.csv")):
        trace = read_trace(path.read_bytes(), source=path.name)
        steps = trace.steps
        assert trace.num_damaged == 0
        assert len(steps) == len(path.read_text().splitlines()) - 1
        assert bool((steps.action < 0).all()) == ("continuous" in path.name)
        assert np.isfinite(steps.wall_clock).all() == ("droa" in path.name)
