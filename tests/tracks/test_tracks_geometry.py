"""Track geometry against Shapely in float64, and against cases small enough to work out by hand."""

from __future__ import annotations

import bisect
from pathlib import Path

import numpy as np
import pytest
import shapely
from shapely.geometry import LineString, Point, Polygon

from hotlap.tracks import Track, list_tracks, load_track

OWN = [entry.name for entry in list_tracks() if entry.built_in]
# Both compute in float64, with other orders of summation over up to 90 m.
ROUNDING = 1e-9


def square(*, side: float = 4.0, width: float = 1.0) -> Track:
    """A square, counter-clockwise from the origin, a waypoint at each corner and the middle of each side."""
    unit = np.array([[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1], [0.5, 1], [0, 1], [0, 0.5], [0, 0]], dtype=float)
    center = unit * side
    middle = np.array([side / 2, side / 2])
    inward = np.sign(middle - center) * 0.5 * width
    return Track("square", center, center + inward, center - inward, closed=True)


def straight() -> Track:
    """Along +x from the origin, 6 m long and 1 m wide, a waypoint every 2 m."""
    x = np.arange(0.0, 7.0, 2.0)
    line = np.stack([x, np.zeros_like(x)], axis=1)
    return Track("straight", line, line + np.array([0, 0.5]), line - np.array([0, 0.5]), closed=False)


def ring(*, radius: float = 3.0, clockwise: bool = False) -> Track:
    angle = np.linspace(0, 2 * np.pi, 241)
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    around[-1] = around[0]
    if clockwise:
        around = around[::-1]
    return Track("ring", radius * around, (radius - 0.5) * around, (radius + 0.5) * around, closed=True)


def points_around(track: Track, count: int, seed: int = 0) -> np.ndarray:
    """Points on and far off the road, among them exact waypoints and border points."""
    x_min, y_min, x_max, y_max = track.bounds
    free = np.random.default_rng(seed).uniform((x_min - 1, y_min - 1), (x_max + 1, y_max + 1), (count, 2))
    return np.concatenate([free, track.center[::7]])


def assert_agrees_with_shapely(track: Track, count: int) -> None:
    points = points_around(track, count)
    center, inner, outer = (LineString(line) for line in (track.center, track.inner, track.outer))
    geometries = shapely.points(points)

    assert track.length == pytest.approx(center.length, abs=ROUNDING)
    s = shapely.line_locate_point(center, geometries)
    located = track.locate(points)
    np.testing.assert_allclose(located.s, s, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(located.distance, shapely.distance(center, geometries), rtol=0, atol=ROUNDING)

    nearest = shapely.line_interpolate_point(center, s)
    at_inner = shapely.line_interpolate_point(inner, shapely.line_locate_point(inner, nearest))
    at_outer = shapely.line_interpolate_point(outer, shapely.line_locate_point(outer, nearest))
    # Where two border points are equally near, rounding of the center point decides: such points are left out.
    clear = np.hypot(*(shapely.get_coordinates(nearest) - track.point_at(located.s)).T) < ROUNDING
    width = shapely.distance(at_inner, at_outer)
    agree = np.abs(located.width - width) < 1e-6
    assert agree[clear].mean() > 0.99
    left = (shapely.distance(at_inner, geometries) < shapely.distance(at_outer, geometries)) != (not track.ccw)
    assert (located.is_left == left)[agree].mean() > 0.99

    road = Polygon(track.outer, [track.inner]) if track.closed else Polygon(np.vstack([track.outer, track.inner[::-1]]))
    np.testing.assert_array_equal(track.contains(points), shapely.contains_properly(road, geometries))

    fractions = [center.project(Point(vertex)) / center.length for vertex in track.center[:-1]] + [1.0]
    count_waypoints = len(track.center)
    # A point whose projection is a waypoint lies on either side of it by rounding.
    between = np.min(np.abs(s[:, None] / center.length - fractions), axis=1) > 1e-12
    for i in np.flatnonzero(between):
        following = bisect.bisect_right(fractions, s[i] / center.length)
        assert located.waypoints[i].tolist() == [(following - 1) % count_waypoints, following % count_waypoints]


@pytest.mark.parametrize("direction", ["as_is", "reversed"])
@pytest.mark.parametrize("name", OWN)
def test_own_tracks_agree_with_shapely(name: str, direction: str) -> None:
    """Projection, width, side, road and waypoints are what Shapely's float64 geometry says."""
    assert_agrees_with_shapely(load_track(name, direction=direction), 300)  # type: ignore[arg-type]


@pytest.mark.data
def test_real_tracks_agree_with_shapely(reference_data: Path) -> None:
    """The same on every fourth real route and on the odd ones among them."""
    files = sorted((reference_data / "tracks").glob("*.npy"))
    odd = {"China_eval_track", "New_York_Eval_Track", "Straight_track", "Tokyo_Training_track", "reinvent_base_2019"}
    for i, file in enumerate(files):
        if i % 4 == 0 or file.stem in odd:
            assert_agrees_with_shapely(load_track(file), 80)


def test_square_by_hand() -> None:
    """A point 0.3 m inside the first side of a 4 m square."""
    track = square()
    located = track.locate(np.array([1.0, 0.3]))
    assert track.length == 16.0
    assert float(located.s) == 1.0
    assert float(located.distance) == pytest.approx(0.3)
    assert bool(located.is_left)
    assert float(located.n) == pytest.approx(0.3)
    assert float(located.width) == pytest.approx(1.0)
    assert located.waypoints.tolist() == [0, 1]


def test_waypoints_bisect_to_the_right() -> None:
    """On a waypoint the segment that begins there counts; the last segment ends at the closing waypoint."""
    track = square()
    points = np.array([[0.0, 0.0], [2.0, 0.0], [1.9, 0.0], [0.0, 1.0]])
    assert track.closest_waypoints(points).tolist() == [[0, 1], [1, 2], [0, 1], [7, 8]]


def test_end_of_open_track_wraps_the_next_waypoint() -> None:
    """Exactly at and beyond the end the fraction is 1: previous is the last waypoint, next is 0."""
    track = straight()
    assert track.closest_waypoints(np.array([[6.0, 0.0], [9.0, 0.4], [-1.0, 0.0]])).tolist() == [[3, 0], [3, 0], [0, 1]]


def test_border_points_are_off_the_road() -> None:
    """Containment is strict at the outer border, at the hole, and at the ends of an open road."""
    inside, on_outer, on_inner, in_hole = [1.0, 0.0], [1.0, -0.5], [1.0, 0.5], [2.0, 2.0]
    assert square().contains(np.array([inside, on_outer, on_inner, in_hole])).tolist() == [True, False, False, False]
    assert straight().contains(np.array([[0.0, 0.0], [1e-9, 0.0], [6.0, 0.1]])).tolist() == [False, True, False]


def test_equally_near_stretches_give_the_earlier_one() -> None:
    """In the middle of the square all four sides are equally near."""
    assert float(square().project(np.array([2.0, 2.0]))) == 2.0


def test_left_is_left_in_driving_direction() -> None:
    """A point has one side on a track driven one way, and the other side on the same track reversed."""
    for track in (ring(), ring(clockwise=True), straight()):
        for direction in (track, track.reversed()):
            x, y, yaw = direction.pose_at(np.linspace(0.1, 0.9, 17) * track.length)
            left = np.stack([x - 0.2 * np.sin(yaw), y + 0.2 * np.cos(yaw)], axis=1)
            right = np.stack([x + 0.2 * np.sin(yaw), y - 0.2 * np.cos(yaw)], axis=1)
            assert direction.locate(left).is_left.all()
            assert not direction.locate(right).is_left.any()


def test_reversed_twice_is_the_same_track() -> None:
    """Reversal keeps start, road and length, turns s into length - s, and undoes itself."""
    for name in OWN:
        track = load_track(name)
        back = track.reversed()
        assert back.ccw is not track.ccw
        assert back.length == pytest.approx(track.length)
        points = points_around(track, 50)
        np.testing.assert_array_equal(back.contains(points), track.contains(points))
        s = np.linspace(0.05, 0.95, 31) * track.length
        np.testing.assert_allclose(back.point_at(track.length - s), track.point_at(s), atol=1e-9)
        if track.closed:
            np.testing.assert_array_equal(back.center[0], track.center[0])
        np.testing.assert_array_equal(back.reversed().center, track.center)


def test_pose_faces_the_next_waypoint() -> None:
    """Between waypoints and exactly on them; loops wrap, open tracks end."""
    x, y, yaw = square().pose_at(np.array([1.0, 4.0, 5.0, 16.0, 17.0, -1.0]))
    np.testing.assert_allclose(np.stack([x, y], axis=1), [[1, 0], [4, 0], [4, 1], [0, 0], [1, 0], [0, 1]], atol=1e-12)
    np.testing.assert_allclose(np.degrees(yaw), [0, 90, 90, 0, 0, -90])
    x, y, yaw = straight().pose_at(np.array([6.0, 99.0, -3.0]))
    assert x.tolist() == [6.0, 6.0, 0.0]
    assert yaw.tolist() == [0.0, 0.0, 0.0]


def test_points_of_a_pose_project_back() -> None:
    """point_at, then project, returns s."""
    for name in OWN:
        track = load_track(name)
        s = np.linspace(0.0, 0.999, 200) * track.length
        np.testing.assert_allclose(track.project(track.point_at(s)), s, atol=1e-9)


def test_curvature_of_a_circle() -> None:
    """1/R on a circle, negative when it is driven clockwise, 0 on a straight."""
    s = np.linspace(0, 18, 50)
    # The chords of 240 waypoints lie within R (1 - cos(pi / 240)) = 0.26 mm of the circle.
    np.testing.assert_allclose(ring().curvature_at(s), 1 / 3, rtol=0.02)
    np.testing.assert_allclose(ring(clockwise=True).curvature_at(s), -1 / 3, rtol=0.02)
    np.testing.assert_allclose(straight().curvature_at(s), 0.0, atol=1e-12)
    assert ring().min_radius == pytest.approx(3.0, rel=0.02)
    assert straight().min_radius == np.inf


def test_lanes_lie_half_way_to_the_borders() -> None:
    track = ring()
    np.testing.assert_allclose(np.hypot(*track.lane("inner").T), 2.75)
    np.testing.assert_allclose(np.hypot(*track.lane("outer").T), 3.25)


def test_repeated_waypoints_are_dropped_and_the_closing_one_is_kept() -> None:
    """A repeat in the middle, and one before the closing row, whose own borders stay."""
    track = square()
    rows = track.to_rows()
    doubled = np.concatenate([rows[:4], rows[3:4], rows[4:], rows[-1:]])
    doubled[-2, 2:] += 0.01
    again = Track("doubled", doubled[:, :2], doubled[:, 2:4], doubled[:, 4:], closed=True)
    np.testing.assert_array_equal(again.to_rows(), rows)


def test_any_leading_shape_gives_the_same_numbers() -> None:
    """One point, a list and a grid of points: the same answers in the same places."""
    track = load_track("first_lap")
    points = points_around(track, 23)[:24].reshape(2, 3, 4, 2)
    located = track.locate(points)
    assert located.waypoints.shape == (2, 3, 4, 2)
    one = track.locate(points[1, 2, 3])
    for whole, single in zip(located, one, strict=True):
        np.testing.assert_array_equal(whole[1, 2, 3], single)
    np.testing.assert_array_equal(track.contains(points)[1, 2, 3], track.contains(points[1, 2, 3]))


def test_tracks_cannot_be_changed() -> None:
    track = square()
    with pytest.raises(ValueError, match="read-only"):
        track.center[0, 0] = 1.0
