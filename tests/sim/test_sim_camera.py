"""The camera against a slow reference, against geometry by hand, and against itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import warp as wp
from camera_reference import photograph, to_grey

from hotlap.sim.camera import DEEPRACER_CAMERA, V1_CAMERA, CameraRenderer, PinholeCamera
from hotlap.tracks.ground import Ground, bake_ground
from hotlap.tracks.themes import THEMES
from hotlap.tracks.track import Track

PLAIN = replace(
    THEMES["reinvent_2018"],
    wall_light=(0.3, 0.6, 0.9, 1.2),
    sky=(200.0, 210.0, 220.0),
    road_grain=0.0,
    field_grain=0.0,
    line_grain=0.0,
)
POSES = np.array([[1.5, 0.0, 1.6], [-1.1, -0.7, -0.4], [0.3, 0.85, 3.0], [-1.7, 0.5, -2.2], [2.1, 1.2, 0.7]])


def make_oval(name: str = "oval", *, scale: float = 1.0) -> Track:
    angle = np.linspace(0.0, 2.0 * np.pi, 81)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    center, inner, outer = (scale * circle * axes for axes in ((1.6, 1.0), (1.22, 0.62), (1.98, 1.38)))
    return Track(name, center, inner, outer, True)


@pytest.fixture(scope="module")
def ground() -> Ground:
    return bake_ground(make_oval(), PLAIN, texel=0.002)


def render(
    grounds: list[Ground],
    camera: PinholeCamera,
    poses: np.ndarray,
    *,
    track: np.ndarray | None = None,
    active: np.ndarray | None = None,
    color: bool = False,
    before: int = 0,
    device: str = "cpu",
) -> np.ndarray:
    num_worlds = len(poses)
    renderer = CameraRenderer(grounds, camera, num_worlds, device, color=color)
    image = wp.full(renderer.image_shape, before, dtype=wp.uint8, device=device)
    track = np.zeros(num_worlds) if track is None else track
    active = np.ones(num_worlds) if active is None else active
    renderer.render(
        wp.array(np.asarray(poses)[:, None], dtype=wp.vec3, device=device),
        wp.array(track.astype(np.int32), dtype=wp.int32, device=device),
        wp.array(active.astype(np.int32)[:, None], dtype=wp.int32, device=device),
        image,
    )
    return image.numpy()


@pytest.mark.parametrize("camera", [DEEPRACER_CAMERA, V1_CAMERA], ids=["v3", "v1"])
def test_agrees_with_the_supersampled_original_pipeline(ground: Ground, camera: PinholeCamera) -> None:
    """Against 1280×960 rays and Pillow: one grey level on average; a rim of a pixel at near edges may differ more."""
    images = render([ground], camera, POSES)
    for image, pose in zip(images, POSES, strict=True):
        difference = np.abs(image - to_grey(photograph(ground, camera, *pose)))
        assert difference.mean() < 1.1
        assert np.percentile(difference, 99) < 18.0


def test_color_agrees_with_the_supersampled_original_pipeline(ground: Ground) -> None:
    images = render([ground], DEEPRACER_CAMERA, POSES[:2], color=True)
    for image, pose in zip(images, POSES[:2], strict=True):
        difference = np.abs(image.astype(float) - photograph(ground, DEEPRACER_CAMERA, *pose))
        assert difference.mean() < 1.4


def test_grey_is_the_grey_of_the_color_image(ground: Ground) -> None:
    """Up to rounding, once in the texels of either and once in either image."""
    grey = render([ground], DEEPRACER_CAMERA, POSES)
    color = render([ground], DEEPRACER_CAMERA, POSES, color=True)
    assert np.abs(grey - to_grey(color)).max() <= 2.0


@pytest.mark.parametrize(
    "camera", [replace(DEEPRACER_CAMERA, width=240, height=180), replace(V1_CAMERA, width=36, height=27)]
)
def test_any_resolution(ground: Ground, camera: PinholeCamera) -> None:
    """Images wider than a launch's piece are joined without seam, small ones are as right as large ones."""
    image = render([ground], camera, POSES[:1])[0]
    assert np.abs(image - to_grey(photograph(ground, camera, *POSES[0]))).mean() < 2.0


def test_wide_and_level_and_steep_cameras(ground: Ground) -> None:
    for pitch, hfov in ((0.0, 2.2), (0.9, 1.2), (-0.3, 1.0)):
        camera = PinholeCamera(0.1, 0.4, pitch, hfov)
        image = render([ground], camera, POSES[:1])[0]
        assert np.abs(image - to_grey(photograph(ground, camera, *POSES[0]))).mean() < 1.5


def test_wall_meets_field_where_geometry_says(ground: Ground) -> None:
    """Facing the east wall squarely over bare field, its foot is in the row whose ray has the slope height/distance."""
    camera, distance = DEEPRACER_CAMERA, 2.6
    x = ground.rectangle[2] - distance - camera.forward_m
    column = render([ground], camera, np.array([[x, -2.0, 0.0]]))[0, :, 80].astype(float)
    angle = np.arctan2(camera.height_m, distance) - camera.pitch_rad
    foot = 0.5 * camera.height - 0.5 + camera.focal_px * np.tan(angle)
    wall = np.dot(ground.wall_colors[1], (0.2989, 0.587, 0.114))
    np.testing.assert_allclose(column[: int(foot) - 1], wall, atol=1.0)
    rows = np.arange(int(foot) - 1, int(foot) + 4)
    field = column[rows[-1]]
    assert field > 1.5 * wall
    # The rows in between are mixtures: half-way in brightness is the edge.
    assert np.interp(0.5 * (wall + field), column[rows], rows) == pytest.approx(foot, abs=0.2)


def test_sky_begins_over_the_wall_where_geometry_says(ground: Ground) -> None:
    camera = replace(DEEPRACER_CAMERA, pitch_rad=0.0)
    distance = 2.6
    x = ground.rectangle[2] - distance - camera.forward_m
    column = render([ground], camera, np.array([[x, -2.0, 0.0]]))[0, :, 80].astype(float)
    top = 0.5 * camera.height - 0.5 - camera.focal_px * (ground.wall_height - camera.height_m) / distance
    wall, sky = np.dot(ground.wall_colors[1], (0.2989, 0.587, 0.114)), np.dot(ground.sky, (0.2989, 0.587, 0.114))
    np.testing.assert_allclose(column[: int(top) - 1], sky, atol=1.0)
    rows = np.arange(int(top) - 1, int(top) + 4)
    assert np.interp(-0.5 * (wall + sky), -column[rows], rows) == pytest.approx(top, abs=0.2)


def test_mirrored_pose_gives_mirrored_image() -> None:
    """The oval is symmetric about its x axis; with equal walls and no light from the side so is every view."""
    theme = replace(PLAIN, wall_light=(1.0, 1.0, 1.0, 1.0))
    ground = bake_ground(make_oval(), theme, texel=0.004)
    even = replace(ground, rgb=np.array([[40] * 3, [100] * 3, [230] * 3, [160] * 3], dtype=np.uint8)[ground.labels])
    left, right = render([even], DEEPRACER_CAMERA, np.array([[0.4, 0.7, 0.5], [0.4, -0.7, -0.5]]))
    # The dashes alone are not symmetric, and no pixel sees exactly the mirrored texels.
    assert np.abs(left[:, ::-1].astype(float) - right).mean() < 3.0


def test_inactive_and_lost_worlds_keep_their_images(ground: Ground) -> None:
    poses = np.array([POSES[0], POSES[1], [np.nan, 0.0, 0.0], [0.0, np.inf, 0.0]])
    images = render([ground], DEEPRACER_CAMERA, poses, active=np.array([1, 0, 1, 1]), before=7)
    assert (images[0] != 7).mean() > 0.9
    assert (images[1:] == 7).all()


def test_batch_equals_single_worlds(ground: Ground) -> None:
    batch = render([ground], DEEPRACER_CAMERA, POSES)
    for image, pose in zip(batch, POSES, strict=True):
        np.testing.assert_array_equal(render([ground], DEEPRACER_CAMERA, pose[None])[0], image)


def test_every_world_sees_its_own_track(ground: Ground) -> None:
    other = bake_ground(make_oval("wide", scale=1.3), THEMES["desert"], texel=0.006)
    poses = POSES[[0, 0, 1]]
    images = render([ground, other], DEEPRACER_CAMERA, poses, track=np.array([1, 0, 1]))
    for image, pose, seen in zip(images, poses, (other, ground, other), strict=True):
        np.testing.assert_array_equal(render([seen], DEEPRACER_CAMERA, pose[None])[0], image)


def test_every_pose_is_rendered_safely(ground: Ground) -> None:
    """Anywhere, even beyond the walls and face to face with them: only colors of this world, and none left out."""
    rng = np.random.default_rng(5)
    poses = np.column_stack([rng.uniform(-6.0, 6.0, (400, 2)), rng.uniform(-10.0, 10.0, 400)])
    for camera in (DEEPRACER_CAMERA, replace(V1_CAMERA, width=40, height=30)):
        images = render([ground], camera, poses, before=255)
        brightest = max(ground.grey.max(), round(float(to_grey(np.array(ground.sky)))))
        assert images.max() <= brightest + 1


def test_camera_over_the_walls_is_refused(ground: Ground) -> None:
    with pytest.raises(ValueError, match=r"below the walls' top of 1\.0 m, got 1\.2 m"):
        CameraRenderer([ground], replace(DEEPRACER_CAMERA, height_m=1.2), 1, "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not wp.is_cuda_available(), reason="no CUDA device")
@pytest.mark.parametrize("color", [False, True])
def test_cuda_equals_cpu(ground: Ground, color: bool) -> None:
    """Up to rounding in float32, which may move a ray across the edge of a texel."""
    cpu, cuda = (render([ground], DEEPRACER_CAMERA, POSES, color=color, device=device) for device in ("cpu", "cuda"))
    difference = np.abs(cpu.astype(int) - cuda)
    assert (difference > 0).mean() < 0.01
    assert difference.mean() < 0.05
