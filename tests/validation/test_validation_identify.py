"""Version, route and direction of a recording are found in it; what two would fit is asked for in a sentence."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from hotlap.cli.validate import logs
from hotlap.deepracer.trace import TRACE_COLUMNS
from hotlap.errors import DataError
from hotlap.records.trace_reader import Trace
from hotlap.records.trace_reader import read_trace as read
from hotlap.sim.vehicle import VEHICLES, drive, front_points
from hotlap.tracks.catalog import list_tracks, load_track, user_folder
from hotlap.tracks.route_file import write_route
from hotlap.tracks.track import Track
from hotlap.validation.identify import routes_of, the_route, versions_of
from hotlap.validation.logs import validate_logs
from hotlap.validation.recordings import open_traces
from hotlap.validation.traces import find_route, read_index, read_trace

LAST_COLUMN = {"v1": 15, "v3": 16, "v5": 17, "droa": 19}


def lap(track: Track, *, num_columns: int = 17, wall: bool = False, radians: bool = False, num_steps: int = 300) -> str:
    """A lap along the middle of a track as a trace of some version would log it."""
    s = np.linspace(0.001, 0.999, num_steps) * track.length
    x, y, yaw = track.pose_at(s)
    points = np.stack([x, y], axis=-1)
    around = track.closest_waypoints(points)
    away = np.hypot(*np.moveaxis(track.center[around] - points[:, None], -1, 0))
    nearest = around[np.arange(num_steps), np.argmin(away, axis=1)]
    lines = [",".join(list(TRACE_COLUMNS)[:num_columns])]
    for step in range(num_steps):
        stamp = step / 15 + (1.6e9 if wall else 5.0)
        angles = (yaw[step], 0.52) if radians else (np.degrees(yaw[step]), 30.0)
        values = (0, step + 1, x[step], y[step], *angles, 1.0, 3, 1.0, False, True, 100 * s[step] / track.length)
        values += (nearest[step], track.length, stamp, "in_progress", 0.0, 0, 1.7e9 + stamp)
        lines.append(",".join(map(str, values[:num_columns])))
    return "\n".join(lines) + "\n"


def trace(text: str) -> Trace:
    return read(text.encode(), source="trace")


@pytest.fixture(autouse=True)
def own_tracks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOTLAP_TRACKS", str(tmp_path / "tracks"))
    (tmp_path / "tracks").mkdir()
    return tmp_path / "tracks"


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("name", [entry.name for entry in list_tracks() if entry.built_in][:4])
def test_the_route_and_the_way_it_was_driven(name: str, backwards: bool):
    """Among all tracks, in both directions."""
    track = load_track(name)
    if not track.closed:
        pytest.skip("an open track is driven one way")
    found = routes_of(trace(lap(track.reversed() if backwards else track)).steps)
    route = the_route(found, "trace", track.length, None)
    assert route.name == (f"{name} (reversed)" if backwards else name)
    assert found[0].agreement > 0.97


def test_waypoints_tell_routes_of_one_length_apart(own_tracks: Path):
    """The same road that begins elsewhere has the same length; only its numbers differ."""
    track = load_track("first_lap")
    turned = np.concatenate([track.to_rows()[40:-1], track.to_rows()[:41]])
    np.save(own_tracks / "begins_later.npy", turned)
    for name in ("first_lap", "begins_later"):
        found = routes_of(trace(lap(load_track(name))).steps)
        assert {each.route.name for each in found} == {"first_lap", "begins_later"}
        assert the_route(found, "trace", track.length, None).name == name


def test_two_that_fit_are_asked_for(own_tracks: Path):
    """Two roads of one center line; the same rows under two names need no question."""
    track = load_track("first_lap")
    np.save(own_tracks / "copy.npy", track.to_rows())
    assert the_route(routes_of(trace(lap(track)).steps), "trace", track.length, None).name in ("copy", "first_lap")
    rows = track.to_rows()
    rows[:, 2:] = rows[:, :2].repeat(2, axis=0).reshape(len(rows), 4) + 1.05 * (rows[:, 2:] - np.tile(rows[:, :2], 2))
    np.save(own_tracks / "wider.npy", rows)
    with pytest.raises(DataError, match=r"may have been driven on .*wider.*Say which with --track"):
        the_route(routes_of(trace(lap(track)).steps), "trace", track.length, None)
    only = routes_of(trace(lap(track)).steps, track="wider")
    assert the_route(only, "trace", track.length, None).name == "wider"
    with pytest.raises(DataError, match="no known track is"):
        the_route(only, "trace", track.length, "reversed")


@pytest.mark.parametrize(
    ("options", "versions"),
    [
        ({"num_columns": 15, "wall": True, "radians": True}, ("v1",)),
        ({"num_columns": 16, "wall": True}, ("v2", "v3")),
        ({"num_columns": 17}, ("v4", "v5")),
        ({"num_columns": 18}, ("v4", "v5", "droa")),
        ({"num_columns": 19}, ("droa",)),
    ],
)
def test_columns_and_stamps_tell_the_version(options: dict, versions: tuple[str, ...]):
    assert versions_of(trace(lap(load_track("first_lap"), num_steps=40, **options))) == versions


def test_metadata_tells_the_version_also_in_an_archive(tmp_path: Path):
    run = tmp_path / "run"
    (run / "training-simtrace").mkdir(parents=True)
    for iteration in (0, 1):
        (run / "training-simtrace" / f"{iteration}-iteration.csv").write_text(lap(load_track("first_lap")))
    with open_traces([run]) as found:
        assert "the cars of versions v4 and v5 log alike" in found.taken[-1]
    (run / "model_metadata.json").write_text(json.dumps({"version": "4"}))
    with tarfile.open(tmp_path / "export", "w:gz") as archive:
        archive.add(run, "some-job")
    for place in (run, tmp_path / "export"):
        with open_traces([place]) as found:
            (file,) = found.files
            assert (file.version, file.track) == ("v4", "first_lap")
            assert len(file.parts) == 1
            assert found.taken == [f"Took training traces of 1 worker from {place}: version v4 on first_lap."]


def drive_round(version: str, folder: Path, *, num_steps: int) -> Path:
    """A trace of a car that drives round a ring, which is added to the tracks."""
    car = VEHICLES[version]
    rng = np.random.default_rng(0)
    steering = np.full(num_steps + 1, 0.2)
    speed = np.repeat(rng.uniform(1.0, 2.0, num_steps // 15 + 1), 15)[: num_steps + 1]
    motions = drive(car, steering[None], speed[None])[0, :-1]
    x, y, yaw = front_points(car, motions).T.astype(np.float64)
    middle = np.array([(x.min() + x.max()) / 2, (y.min() + y.max()) / 2])
    radius = float(np.hypot(x - middle[0], y - middle[1]).mean())
    angle = np.linspace(0, 2 * np.pi, 121)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    circle[-1] = circle[0]
    rows = [middle + each * circle for each in (radius, radius - 0.6, radius + 0.6)]
    ring = Track("ring", *rows, closed=True)
    write_route(ring, user_folder() / "ring.npy")
    points = np.stack([x, y], axis=-1)
    s = ring.project(points)
    around = ring.closest_waypoints(points)
    away = np.hypot(*np.moveaxis(ring.center[around] - points[:, None], -1, 0))
    nearest = around[np.arange(num_steps), np.argmin(away, axis=1)]
    lines = [",".join(list(TRACE_COLUMNS)[:17])]
    for step in range(num_steps):
        values = (0, step + 1, x[step], y[step], np.degrees(yaw[step]), np.degrees(steering[step + 1]), speed[step + 1])
        values += (3, 1.0, False, True, 100 * s[step] / ring.length, nearest[step], ring.length, 5 + step / 15)
        lines.append(",".join(map(str, (*values, "in_progress", 0.0))))
    path = folder / "drive.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_of_cars_that_log_alike_the_one_that_repeats_the_drive_is_taken(tmp_path: Path, version: str):
    path = drive_round(version, tmp_path, num_steps=390)
    with open_traces([path]) as found:
        assert [file.version for file in found.files] == [version]
    assert "versions v4 and v5 log alike; when they repeat a second" in found.taken[-1]
    assert found.taken[-1].endswith(f"So it was {version}.")


def test_where_the_drive_is_too_short_each_car_is_compared(tmp_path: Path):
    """Under names of their own; whoever knows which it was says so, by name or number."""
    path = drive_round("v4", tmp_path, num_steps=90)
    with open_traces([path]) as found:
        assert [(file.name, file.version) for file in found.files] == [("drive as v4", "v4"), ("drive as v5", "v5")]
        result = validate_logs(found.files)
    assert found.taken[-1].endswith("If you know which it was: `--version v4` or `--version v5`.")
    assert set(result["replay"]) == {"v4", "v5"}
    assert set(result["rows_agree"]) == {"drive as v4", "drive as v5"}
    for words in ("v5", "5", "V5"):
        with open_traces([path], version=words) as known:
            assert [(file.name, file.version) for file in known.files] == [("drive", "v5")]


def test_tables_fit_a_narrow_terminal_and_empty_ones_are_explained(tmp_path: Path):
    app = typer.Typer()
    app.command()(logs)
    lines = drive_round("v5", tmp_path, num_steps=90).read_text().splitlines()
    path = tmp_path / "a-very-long-name-of-a-recording-of-the-car-on-the-ring.csv"
    for num_steps, told in ((90, "Replay of recorded actions"), (15, "No replay of v5: no 24 steps follow each other")):
        path.write_text("\n".join(lines[: num_steps + 1]))
        done = CliRunner().invoke(app, [str(path), "--version", "5"], env={"COLUMNS": "80"})
        assert done.exit_code == 0, done.output
        assert "…" not in done.stdout
        assert ("Replay of recorded actions" in done.stdout) == (num_steps == 90)
        assert told in done.stdout


def test_what_can_be_compared_is_and_the_rest_is_listed(tmp_path: Path):
    """Also where a trace in a folder is broken, or was driven nobody knows where; nothing at all is an error."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "good.csv").write_text(lap(load_track("first_lap")))
    stranger = lap(load_track("first_lap")).replace(f",{load_track('first_lap').length},", ",99.0,")
    (run / "stranger.csv").write_text(stranger)
    (tmp_path / "notes.txt").write_text("no trace")
    with open_traces([run / "good.csv", run / "stranger.csv", tmp_path / "notes.txt"], version="v5") as found:
        assert [file.name for file in found.files] == ["good"]
    unknown, no_trace = found.left_out
    assert "no known track is 99.00 m long" in unknown
    assert "this is no trace" in no_trace
    with (
        pytest.raises(DataError, match=r"no known track is 99\.00 m.*this is no trace"),
        open_traces([run / "stranger.csv", tmp_path / "notes.txt"], version="v5"),
    ):
        pass


def test_a_log_tells_its_version(tmp_path: Path):
    rows = lap(load_track("first_lap")).splitlines()[1:]
    text = "Sensor list ['FRONT_FACING_CAMERA'], network DEEP, simapp_version 5.0, training_algorithm x\n"
    (tmp_path / "a.log").write_text(text + "".join(f"SIM_TRACE_LOG:{row}\n" for row in rows))
    with open_traces([tmp_path / "*.log"]) as found:
        assert [(file.version, file.track) for file in found.files] == [("v5", "first_lap")]


def test_tracks_that_the_user_has_are_known(own_tracks: Path, tmp_path: Path):
    angle = np.linspace(0, 2 * np.pi, 61)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    circle[-1] = circle[0]
    ring = Track("ring", 3 * circle, 2.5 * circle, 3.5 * circle, closed=True)
    write_route(ring, own_tracks / "ring.npy")
    (tmp_path / "a.csv").write_text(lap(ring))
    with open_traces([tmp_path / "a.csv"], version="v5") as found:
        assert found.files[0].track == "ring"


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("folder", ["logs", "logs-fast"])
def test_what_is_found_is_what_the_index_says(reference_data: Path, monkeypatch: pytest.MonkeyPatch, folder: str):
    """Of every recording: the route and direction, and the version, of which two fit where nothing tells."""
    monkeypatch.setenv("HOTLAP_TRACKS", str(reference_data / "tracks"))
    wrong = []
    for file in read_index(reference_data / folder / "index.csv"):
        recorded = read_trace(file.path)
        length = float(np.median(recorded.steps.track_length))
        route = the_route(routes_of(recorded.steps), file.name, length, None).name
        listed = find_route(file, recorded.steps, reference_data / "tracks").name
        if route != listed or file.version not in versions_of(recorded):
            wrong.append((file.name, route, listed, versions_of(recorded)))
    assert not wrong
