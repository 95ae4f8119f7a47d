"""The view from behind and above: where the car is in it, what covers what, and how the camera follows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import warp as wp

from hotlap.deepracer.track_objects import BotCars, Obstacles
from hotlap.film.car_mesh import car_paint, car_trim, car_wheel
from hotlap.film.chase_view import BEHIND, FOLLOW_CAMERA, ChaseView, FollowCamera
from hotlap.film.mesh import Mesh, box
from hotlap.film.mesh_renderer import FOOTPRINT_DTYPE, PLACEMENT_DTYPE, MeshRenderer
from hotlap.sim.light import DAYLIGHT
from hotlap.sim.scene import RaceRules, Scene
from hotlap.sim.simulator import Simulator
from hotlap.sim.starts import Start
from hotlap.tracks.catalog import load_track
from hotlap.tracks.ground import Ground, bake_ground
from hotlap.tracks.track import Track


@pytest.fixture(scope="module")
def track() -> Track:
    return load_track("first_lap")


@pytest.fixture(scope="module")
def ground(track: Track) -> Ground:
    return bake_ground(track, texel=0.01)


def simulator(track: Track, ground: Ground, **settings: object) -> Simulator:
    scene = Scene([track], RaceRules(number_of_resets=9, off_track_penalty=2.0), **settings)
    return Simulator(scene, 1, grounds=[ground])


def chase(race: Simulator) -> ChaseView:
    return ChaseView(race, race.color_camera()[0])


def is_red(picture: np.ndarray) -> np.ndarray:
    """Where the car's paint is."""
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return (red > 2 * green + 30) & (red > 2 * blue + 30)


def test_the_car_stands_in_the_lower_middle_with_the_road_ahead(track, ground):
    """From the start line: the car where its pose projects to, the road from the lower edge to beyond it."""
    race = simulator(track, ground)
    race.reset([0], [Start()])
    picture = chase(race).picture().copy()
    assert picture.shape == (480, 640, 3)
    rows, columns = np.nonzero(is_red(picture))
    assert columns.mean() == pytest.approx(320, abs=2)
    depression = math.atan2(FOLLOW_CAMERA.height_m - 0.05, BEHIND) - FOLLOW_CAMERA.pitch_rad
    assert rows.mean() == pytest.approx(240 + FOLLOW_CAMERA.focal_px * math.tan(depression), abs=20)
    assert 30 < np.ptp(columns) < 80
    road = np.array([64, 63, 61])
    for row in (220, 260, 470):
        assert np.abs(picture[row, 338:350].astype(int).mean(axis=0) - road).max() < 15
    field = picture[400, 10].astype(int)
    assert field[1] > field[2] + 30  # green


def test_nothing_is_red_without_the_car(track, ground):
    """What the test above finds is the car, not the scenery."""
    race = simulator(track, ground)
    race.reset([0], [Start()])
    view = chase(race)
    view._ground.render(_behind(race), race.state.track, view._active, view._image)
    assert not is_red(view._image.numpy()[0]).any()


def _behind(race: Simulator) -> wp.array:
    motion = race.state.motion.numpy()[0, 0]
    pose = motion["x"] - BEHIND * math.cos(motion["yaw"]), motion["y"] - BEHIND * math.sin(motion["yaw"]), motion["yaw"]
    return wp.array([[pose]], dtype=wp.vec3)


def test_equal_drives_give_equal_pictures_that_move(track, ground):
    pictures = []
    for _ in range(2):
        race = simulator(track, ground)
        race.reset([0], [Start(seed=5)])
        view = chase(race)
        shown = []
        for _ in range(4):
            shown.append(view.picture().copy())
            race.command(np.array([20.0]), np.array([2.0]))
            race.step()
        pictures.append(np.array(shown))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0][2] != pictures[0][3]).any()


def test_wheels_steer(track, ground):
    """Two cars at one place differ by their front wheels alone."""
    seen = []
    for steer in (0.0, 0.5):
        race = simulator(track, ground)
        race.reset([0], [Start()])
        motion = race.state.motion.numpy().copy()
        motion["steer"] = steer
        race.state.motion.assign(motion)
        seen.append(chase(race).picture().astype(int).copy())
    rows, columns = np.nonzero(np.abs(seen[0] - seen[1]).max(axis=2))
    assert len(rows) > 20
    paint_rows, _ = np.nonzero(is_red(seen[0].astype(np.uint8)))
    assert rows.mean() < paint_rows.mean()  # ahead
    assert columns.min() < 310
    assert columns.max() > 330


def test_a_car_that_serves_a_penalty_is_pale_now_and_then(track, ground):
    """Half a second pale, half a second solid, as in the original."""
    race = simulator(track, ground)
    race.reset([0], [Start()])
    view = chase(race)
    solid = is_red(view.picture()).sum()
    race.state.pause_left.fill_(2.0)
    red = [is_red(view.picture()).sum() for _ in range(30)]
    pale = [count < 0.5 * solid for count in red]
    assert pale[:6] == [True] * 6
    assert pale[8:14] == [False] * 6
    assert 13 <= sum(pale) <= 17


@pytest.mark.parametrize(
    ("what", "height"),
    [({"obstacles": Obstacles(positions=((0.08, 1.0),))}, 0.25), ({"bots": BotCars(number=1, min_distance=1.5)}, 0.12)],
)
def test_objects_are_seen_where_they_are(track, ground, what, height):
    """Against an empty track only pixels around the object's place differ, and its shadow's."""
    seen = []
    for settings in ({}, what):
        race = simulator(track, ground, **settings)
        race.reset([0], [Start()])
        seen.append(chase(race).picture().astype(int).copy())
    item = race.state.objects.numpy()[0][0]
    motion = race.state.motion.numpy()[0, 0]
    dx, dy = item["x"] - motion["x"], item["y"] - motion["y"]
    cos, sin = math.cos(motion["yaw"]), math.sin(motion["yaw"])
    ahead, left = BEHIND + dx * cos + dy * sin, dy * cos - dx * sin
    pitch = FOLLOW_CAMERA.pitch_rad
    up = 0.5 * height - FOLLOW_CAMERA.height_m
    depth = ahead * math.cos(pitch) - up * math.sin(pitch)
    row = 240 - FOLLOW_CAMERA.focal_px * (up * math.cos(pitch) + ahead * math.sin(pitch)) / depth
    column = 320 - FOLLOW_CAMERA.focal_px * left / depth
    rows, columns = np.nonzero(np.abs(seen[0] - seen[1]).max(axis=2) > 40)
    assert len(rows) > 300
    assert rows.mean() == pytest.approx(row, abs=25)
    assert columns.mean() == pytest.approx(column, abs=25)
    assert np.ptp(rows) < 160
    assert np.ptp(columns) < 160


def test_the_follow_camera_settles_behind_the_car_and_looks_at_it(ground):
    """A car that stands still is seen from behind at the original's distance, whatever there was before."""
    middle = 0.5 * (np.array(ground.rectangle[:2]) + np.array(ground.rectangle[2:]))
    camera = FollowCamera(ground)
    camera.follow(middle[0], middle[1], 0.0)
    poses = [camera.follow(middle[0] + 0.3, middle[1], 2.0) for _ in range(150)]
    yaws = np.array([yaw for *_, yaw in poses])
    assert (np.abs(np.diff(yaws)) < 0.25).all()  # no jumps
    x, y, yaw = poses[-1]
    assert yaw == pytest.approx(2.0, abs=0.01)
    assert math.dist((x, y), (middle[0] + 0.3, middle[1])) == pytest.approx(1.5 * math.cos(0.314), abs=0.01)


def test_the_follow_camera_stays_within_the_walls(ground):
    x_min, y_min, x_max, y_max = ground.rectangle
    camera = FollowCamera(ground)
    for x, y, yaw in ((x_min + 0.3, y_min + 0.3, 0.7), (x_max - 0.2, y_max - 0.2, -2.3)):
        for _ in range(30):
            at_x, at_y, _ = camera.follow(x, y, yaw)
            assert x_min < at_x < x_max
            assert y_min < at_y < y_max


def test_the_follow_camera_is_behind_a_car_that_was_put_back(ground):
    """It does not glide there: the car may be behind it."""
    middle = 0.5 * (np.array(ground.rectangle[:2]) + np.array(ground.rectangle[2:]))
    camera = FollowCamera(ground)
    camera.follow(middle[0], middle[1], 0.0)
    x, y, yaw = camera.follow(middle[0] - 1.5, middle[1], 0.5)
    assert yaw == pytest.approx(0.5)
    assert math.dist((x, y), (middle[0] - 1.5, middle[1])) == pytest.approx(BEHIND)


def test_the_follow_camera_turns_the_short_way_round(ground):
    middle = 0.5 * (np.array(ground.rectangle[:2]) + np.array(ground.rectangle[2:]))
    camera = FollowCamera(ground)
    yaws = [camera.follow(middle[0], middle[1], yaw)[2] for yaw in (3.1, -3.1, -3.1, -3.0)]
    assert min(math.cos(yaw) for yaw in yaws) < -0.99
    assert max(math.cos(yaw) for yaw in yaws) < -0.99


# Meshes


@pytest.mark.parametrize("body", [car_paint(), car_trim(), car_wheel(), box((-0.1, 0.1), 0.2, (0.0, 0.3), (9, 9, 9))])
def test_normals_have_length_one_and_point_outward(body: Mesh):
    """Outward: moved along its normals, a closed body grows (its volume by the divergence theorem)."""
    np.testing.assert_allclose(np.linalg.norm(body.normals, axis=2), 1.0, atol=1e-9)
    edges = body.corners[:, 1:] - body.corners[:, :1]
    face = np.cross(edges[:, 0], edges[:, 1])
    agree = np.sign(np.einsum("ij,ij->i", face, body.normals.mean(axis=1)))
    volume = np.sum(agree * np.einsum("ij,ij->i", face, body.corners[:, 0])) / 6
    assert volume > 0


def paint(
    bodies: list[Mesh], places: list[tuple[float, float]], opacity: float = 1.0, shadow: bool = False
) -> np.ndarray:
    """Bodies before a gray ground, seen from (0, 0) along x."""
    image = np.full((480, 640, 3), 120, np.uint8)
    placements: np.ndarray = np.zeros(len(bodies), dtype=PLACEMENT_DTYPE)
    placements["x"], placements["y"] = np.array(places).T
    placements["opacity"], placements["tint"] = opacity, 1.0
    footprints: np.ndarray = np.zeros(len(bodies) if shadow else 0, dtype=FOOTPRINT_DTYPE)
    if shadow:
        footprints["x"], footprints["y"] = np.array(places).T
        footprints["half_length"] = footprints["half_width"] = 0.1
        footprints["opacity"] = 1.0
    MeshRenderer(FOLLOW_CAMERA, bodies).paint(image, (0.0, 0.0, 0.0), DAYLIGHT, placements, footprints)
    return image


def cube(color: tuple[int, int, int]) -> Mesh:
    return box((-0.1, 0.1), 0.1, (0.0, 0.2), color)


def test_near_bodies_hide_far_ones_in_any_order():
    red, blue = cube((250, 0, 0)), cube((0, 0, 250))
    one = paint([red, blue], [(1.5, 0.0), (1.75, 0.0)])
    other = paint([blue, red], [(1.75, 0.0), (1.5, 0.0)])
    np.testing.assert_array_equal(one, other)
    assert one[..., 0].astype(int).max() > 200
    alone = paint([red], [(1.5, 0.0)])
    front = (alone[..., 0] > 150) & (alone[..., 2] == 0)
    np.testing.assert_array_equal(one[front], alone[front])


def test_pale_bodies_let_the_ground_through():
    """Colors are mixed by opacity, to a level of rounding."""
    solid, none = paint([cube((250, 40, 10))], [(1.5, 0.0)]), paint([cube((0, 0, 0))], [(1.5, 0.0)], opacity=0.0)
    assert (none == 120).all()
    pale = paint([cube((250, 40, 10))], [(1.5, 0.0)], opacity=0.3)
    np.testing.assert_allclose(pale, 0.7 * 120 + 0.3 * solid, atol=1.0)


def test_a_body_covers_the_pixels_that_it_projects_to():
    """A thin plate across the view axis: its area in pixels is that of its projection."""
    plate = box((-0.001, 0.001), 0.15, (0.0, 0.2), (0, 0, 0))
    image = paint([plate], [(2.0, 0.0)])
    area = np.sum(120.0 - image[..., 1]) / 120.0
    pitch, height = FOLLOW_CAMERA.pitch_rad, FOLLOW_CAMERA.height_m

    def seen(z: float) -> tuple[float, float]:
        depth = 2.0 * math.cos(pitch) - (z - height) * math.sin(pitch)
        row = -FOLLOW_CAMERA.focal_px * ((z - height) * math.cos(pitch) + 2.0 * math.sin(pitch)) / depth
        return row, FOLLOW_CAMERA.focal_px * 0.3 / depth

    (low, wide), (high, narrow) = seen(0.0), seen(0.2)
    assert area == pytest.approx((low - high) * 0.5 * (wide + narrow), rel=0.02)


def test_shadows_darken_the_ground_around_a_body_and_nothing_far():
    shaded = paint([cube((0, 0, 0))], [(1.5, 0.0)], shadow=True).astype(int)
    plain = paint([cube((0, 0, 0))], [(1.5, 0.0)]).astype(int)
    darker = plain[..., 0] - shaded[..., 0]
    assert darker.min() == 0
    assert 20 < darker.max() <= 60
    rows, columns = np.nonzero(darker)
    body_rows, body_columns = np.nonzero(plain[..., 0] < 60)
    assert abs(columns - body_columns.mean()).max() < 1.5 * np.ptp(body_columns)
    assert rows.max() < body_rows.max() + 40


def test_what_is_behind_the_camera_is_not_drawn():
    assert (paint([cube((250, 0, 0))], [(-1.5, 0.0)], shadow=True) == 120).all()
    assert (paint([cube((250, 0, 0))], [(0.0, 0.0)], shadow=True) == 120).all()
