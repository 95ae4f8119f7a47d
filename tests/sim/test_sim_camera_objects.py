"""Boxes in the picture: against a slow reference, by hand, and what they hide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import warp as wp
from camera_reference import BoxReference, photograph, to_grey

from hotlap.sim.camera import DEEPRACER_CAMERA, V1_CAMERA, CameraRenderer, PinholeCamera
from hotlap.sim.camera_objects import ObjectCameraRenderer
from hotlap.sim.light import Light, sample_light
from hotlap.sim.objects import OBJECT_DTYPE, SHAPES, Box, RaceObject
from hotlap.tracks.ground import Ground, bake_ground
from hotlap.tracks.themes import THEMES
from hotlap.tracks.track import Track

PLAIN = replace(THEMES["desert"], road_grain=0.0, field_grain=0.0, line_grain=0.0)
POSE = (-3.0, 0.0, 0.05)
SUN_FROM = np.array([0.5, -0.1, 0.9]) / np.sqrt(0.5**2 + 0.1**2 + 0.9**2)
Place = tuple[float, float, float]


@pytest.fixture(scope="module")
def ground() -> Ground:
    angle = np.linspace(0.0, 2.0 * np.pi, 81)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    center, inner, outer = (circle * axes for axes in ((3.2, 2.0), (2.44, 1.24), (3.96, 2.76)))
    return bake_ground(Track("oval", center, inner, outer, True), PLAIN, texel=0.01)


@pytest.fixture(scope="module")
def empty(ground: Ground) -> np.ndarray:
    """The photograph without any object."""
    return photograph(ground, DEEPRACER_CAMERA, *POSE).astype(float)


def rows(places: Sequence[Place]) -> np.ndarray:
    objects = np.zeros(len(places), dtype=OBJECT_DTYPE)
    for row, place in zip(objects, places, strict=True):
        row["x"], row["y"], row["yaw"] = place
    return objects


def render(
    ground: Ground,
    pose: Place,
    places: Sequence[Place],
    boxes: Sequence[tuple[int, Box]],
    *,
    camera: PinholeCamera = DEEPRACER_CAMERA,
    color: bool = True,
    light: np.ndarray | None = None,
    device: str = "cpu",
) -> np.ndarray:
    """What a car at ``pose`` sees of the ground and of ``boxes``, each part of the object with its number."""
    renderer = ObjectCameraRenderer(
        [ground],
        camera,
        1,
        device,
        color=color,
        lights=None if light is None else wp.array(light[None], dtype=Light, device=device),
        boxes=boxes,
        objects=wp.array(rows(places)[None], dtype=RaceObject, device=device),
        box_colors=wp.array(np.array([[box.color for _, box in boxes]]), dtype=wp.vec3, device=device),
    )
    image = wp.zeros(renderer.image_shape, dtype=wp.uint8, device=device)
    index, mask = wp.zeros(1, dtype=int, device=device), wp.ones((1, 1), dtype=int, device=device)
    renderer.render(wp.array([[pose]], dtype=wp.vec3, device=device), index, mask, image)
    return image.numpy()[0]


def expected_faces(box: Box, place: Place) -> np.ndarray:
    """Daylight on the front, left, back, right and top of a box: ambient, sun and the lamp by their angles."""
    x, y, yaw = place
    to_lamp = np.array([-x, -y, 15.0]) / np.linalg.norm([x, y, 15.0])
    normals = [(np.cos(yaw + k * np.pi / 2), np.sin(yaw + k * np.pi / 2), 0.0) for k in range(4)] + [(0.0, 0.0, 1.0)]
    by_sun, by_lamp = np.maximum(np.array(normals) @ np.stack([SUN_FROM, to_lamp], axis=1), 0.0).T
    share = 0.5 + np.outer(by_sun, [1.0, 1.0, 0.8]) + (0.225 / 0.55 * by_lamp)[:, None]
    return np.round(np.array(box.color) * np.minimum(share, 1.0))


def references(places: Sequence[Place], boxes: Sequence[tuple[int, Box]]) -> list[BoxReference]:
    found = []
    for number, box in boxes:
        x, y, yaw = places[number]
        middle = x + box.ahead * np.cos(yaw), y + box.ahead * np.sin(yaw)
        sides = box.half_length, box.half_width, box.bottom, box.top
        found.append(BoxReference(*middle, yaw, *sides, expected_faces(box, places[number])))
    return found


NOWHERE = [(-9.0, 0.0, 0.0)]
CARTON = SHAPES["amazon_box_obstacle"].boxes[0]
RED, BLUE = replace(CARTON, color=(230, 40, 30)), replace(CARTON, color=(20, 40, 240))
SCENES: dict[str, tuple[list[Place], list[tuple[int, Box]]]] = {
    "near": ([(-2.25, 0.05, 0.4)], [(0, CARTON)]),
    "far": ([(1.4, 0.6, 1.1)], [(0, CARTON)]),
    "at the side": ([(-2.1, 0.62, 0.0), (-2.5, -0.5, 1.3)], [(0, RED), (1, BLUE)]),
    "half hidden": ([(-1.6, 0.1, 0.2), (-0.8, 0.3, 0.9), (0.0, -0.3, -0.4)], [(0, RED), (1, BLUE), (2, CARTON)]),
    "listed from near to far and back": ([(0.0, 0.0, 0.3), (-1.0, 0.1, 0.0)], [(1, RED), (0, BLUE)]),
    "one inside the other": (
        [(-1.7, 0.1, 0.2), (-1.55, 0.0, 1.0)],
        [(0, RED), (1, BLUE)],
    ),
    "behind": ([(-5.0, 0.0, 0.0), (-2.0, 0.0, 0.0)], [(0, RED), (1, BLUE)]),
    "car": ([(-2.0, 0.1, 0.5)], [(0, box) for box in SHAPES["bot_car"].boxes]),
    "lower than the camera": (
        [(-2.0, 0.1, 0.5)],
        [(0, replace(RED, top=0.1)), (0, replace(BLUE, ahead=0.6, top=0.05))],
    ),
}


@pytest.mark.parametrize("scene", SCENES)
def test_agrees_with_the_supersampled_original_pipeline(ground: Ground, empty: np.ndarray, scene: str) -> None:
    """Against 1280×960 rays and Pillow: as near as the ground alone is, and edges within a share of a pixel's step."""
    places, boxes = SCENES[scene]
    image = render(ground, POSE, places, boxes).astype(float)
    bare = render(ground, POSE, NOWHERE, [(0, CARTON)]).astype(float)
    photo = photograph(ground, DEEPRACER_CAMERA, *POSE, boxes=references(places, boxes)).astype(float)
    changed = np.abs(photo - empty).max(axis=-1) > 0
    assert changed.sum() > 30  # there is something to see
    difference = np.abs(image - photo)
    assert difference[~changed].mean() <= np.abs(bare - empty)[~changed].mean() + 0.01
    assert difference[changed].mean() < 2.2
    assert np.median(difference[changed]) <= 1.0


@pytest.mark.parametrize(
    "camera", [V1_CAMERA, replace(DEEPRACER_CAMERA, width=200, height=150)], ids=["v1", "wider than a piece"]
)
def test_other_cameras_agree_too(ground: Ground, camera: PinholeCamera) -> None:
    places, boxes = SCENES["half hidden"]
    image = render(ground, POSE, places, boxes, camera=camera).astype(float)
    photo = photograph(ground, camera, *POSE, boxes=references(places, boxes))
    assert np.abs(image - photo).mean() < 1.5


def test_grey_is_the_grey_of_the_color_image(ground: Ground) -> None:
    places, boxes = SCENES["half hidden"]
    grey = render(ground, POSE, places, boxes, color=False)
    assert np.abs(grey - to_grey(render(ground, POSE, places, boxes))).max() <= 2.0
    light = sample_light(np.random.default_rng(3))
    grey = render(ground, POSE, places, boxes, color=False, light=light)
    assert np.abs(grey - to_grey(render(ground, POSE, places, boxes, light=light))).max() <= 2.0


def test_a_box_ahead_hides_the_ground_and_the_walls_behind_it(ground: Ground) -> None:
    """Where its near side is by hand, there is nothing but its color; below its foot and beside it nothing changes."""
    distance, camera = 1.0, DEEPRACER_CAMERA
    eye = camera.forward_m
    box = Box(0.2, 0.2, 0.0, 0.25, (250, 20, 20))
    place = (-3.0 + eye + distance + 0.2, 0.0, 0.0)
    image = render(ground, (-3.0, 0.0, 0.0), [place], [(0, box)])
    bare = render(ground, (-3.0, 0.0, 0.0), NOWHERE, [(0, box)])
    angles = np.arctan2([camera.height_m, camera.height_m - 0.25], distance) - camera.pitch_rad
    foot, top = 59.5 + camera.focal_px * np.tan(angles)
    # A column's depth grows with the row: the side gets narrower from its top to its foot by a few columns.
    depth = distance * np.cos(camera.pitch_rad) + np.array([-0.12, 0.13033]) * np.sin(camera.pitch_rad)
    half = camera.focal_px * 0.2 / depth.max()
    inside = image[int(top) + 2 : int(foot) - 1, int(79.5 - half) + 2 : int(79.5 + half) - 1]
    np.testing.assert_array_equal(inside, np.broadcast_to(expected_faces(box, place)[2], inside.shape))
    widest = int(camera.focal_px * 0.2 / depth.min()) + 3
    np.testing.assert_array_equal(image[int(foot) + 3 :], bare[int(foot) + 3 :])
    np.testing.assert_array_equal(image[: int(top) - 3], bare[: int(top) - 3])
    np.testing.assert_array_equal(image[:, : 79 - widest], bare[:, : 79 - widest])
    np.testing.assert_array_equal(image[:, 80 + widest :], bare[:, 80 + widest :])


def test_the_order_of_boxes_does_not_matter(ground: Ground) -> None:
    places, boxes = SCENES["half hidden"]
    np.testing.assert_array_equal(
        render(ground, POSE, places, boxes), render(ground, POSE, places, list(reversed(boxes)))
    )


def test_without_a_box_in_view_the_picture_is_that_of_the_plain_camera(ground: Ground) -> None:
    for color in (False, True):
        plain = CameraRenderer([ground], DEEPRACER_CAMERA, 1, "cpu", color=color)
        image = wp.zeros(plain.image_shape, dtype=wp.uint8)
        plain.render(wp.array([[POSE]], dtype=wp.vec3), wp.zeros(1, dtype=int), wp.ones((1, 1), dtype=int), image)
        seen = render(ground, POSE, [(-4.0, 0.0, 0.0)], [(0, CARTON)], color=color)
        np.testing.assert_array_equal(seen, image.numpy()[0])


def test_every_place_is_rendered_safely(ground: Ground) -> None:
    """Boxes anywhere around the camera and over it, in wide, level and steep cameras: only colors of this world."""
    rng = np.random.default_rng(4)
    cameras = [
        replace(DEEPRACER_CAMERA, width=40, height=30),
        PinholeCamera(0.1, 0.4, 0.0, 2.2, width=200, height=40),
        PinholeCamera(0.1, 0.2, 0.9, 1.2, width=40, height=30),
    ]
    dark = replace(ground, rgb=np.zeros_like(ground.rgb), wall_colors=np.zeros((4, 3)), sky=(0.0, 0.0, 0.0))
    for camera in cameras:
        reds = 0
        for _ in range(40):
            place = (POSE[0] + rng.uniform(-0.4, 0.8), POSE[1] + rng.uniform(-0.5, 0.5), rng.uniform(-9, 9))
            image = render(dark, POSE, [place], [(0, RED)], camera=camera)
            assert (image <= RED.color).all()
            reds += int(image.any())
        assert reds > 12


@pytest.mark.gpu
@pytest.mark.skipif(not wp.is_cuda_available(), reason="no CUDA device")
@pytest.mark.parametrize("color", [False, True])
def test_cuda_equals_cpu(ground: Ground, color: bool) -> None:
    """Up to rounding in float32, which may move a ray across an edge."""
    places, boxes = SCENES["half hidden"]
    cpu, cuda = (render(ground, POSE, places, boxes, color=color, device=device) for device in ("cpu", "cuda"))
    difference = np.abs(cpu.astype(int) - cuda)
    assert (difference > 0).mean() < 0.01
    assert difference.mean() < 0.1
