"""Lights of a world: what they make of its surfaces, and what domain randomization draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import warp as wp
from camera_reference import photograph, to_grey

from hotlap.sim.camera import DEEPRACER_CAMERA, CameraRenderer
from hotlap.sim.light import DAYLIGHT, LIGHT_DTYPE, Light, sample_light
from hotlap.sim.scene import Scene
from hotlap.sim.simulator import Simulator
from hotlap.sim.starts import Start
from hotlap.tracks.catalog import load_track
from hotlap.tracks.ground import Ground, bake_ground
from hotlap.tracks.themes import THEMES

POSES = np.array([[2.0, -1.0, 0.4], [5.0, 3.0, -2.0], [1.0, 0.5, 2.6]])
SUN_FROM = np.array([0.5, -0.1, 0.9]) / np.sqrt(0.5**2 + 0.1**2 + 0.9**2)
UP = (0.0, 0.0, 1.0)
WALLS_FACE = [(0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0)]


@pytest.fixture(scope="module")
def ground() -> Ground:
    return bake_ground(load_track("first_lap"), THEMES["desert"], texel=0.006)


def light(sun: tuple[float, float, float], lamp: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    row = np.zeros((), dtype=LIGHT_DTYPE)
    row["sun"], row["lamp"] = sun, lamp
    return row


def share(lights: np.ndarray, normal: tuple[float, ...]) -> np.ndarray:
    """Share of its color that a surface shows, red, green and blue: ambient, sun by its angle, lamp on what is flat."""
    by_sun = max(float(np.dot(normal, SUN_FROM)), 0.0)
    return np.minimum(0.5 + by_sun * lights["sun"] + normal[2] * lights["lamp"], 1.0)


def under(ground: Ground, lights: np.ndarray) -> Ground:
    """The ground with the colors that it has under other lights."""
    dimming = share(lights, UP) / share(DAYLIGHT, UP)
    walls = [share(lights, normal) / share(DAYLIGHT, normal) for normal in WALLS_FACE]
    return replace(
        ground, rgb=np.round(ground.rgb * dimming).astype(np.uint8), wall_colors=ground.wall_colors * np.array(walls)
    )


def render(ground: Ground, lights: list[np.ndarray] | None, *, color: bool, num_worlds: int = len(POSES)) -> np.ndarray:
    table = None if lights is None else wp.array(np.array(lights), dtype=Light)
    renderer = CameraRenderer([ground], DEEPRACER_CAMERA, num_worlds, "cpu", color=color, lights=table)
    image = wp.zeros(renderer.image_shape, dtype=wp.uint8)
    poses = wp.array(POSES[:num_worlds, None], dtype=wp.vec3)
    renderer.render(poses, wp.zeros(num_worlds, dtype=int), wp.ones((num_worlds, 1), dtype=int), image)
    return image.numpy()


LIGHTS = [light((0.1, 0.9, 0.3)), light((0.7, 0.0, 0.2), (0.3, 0.0, 0.1)), light((0.0, 0.0, 0.0))]


def test_lights_change_ground_and_walls_as_lambert_says(ground: Ground) -> None:
    """Each world looks as the reference camera sees a ground painted in the colors of its own light."""
    images = render(ground, LIGHTS, color=True)
    for image, lights, pose in zip(images, LIGHTS, POSES, strict=True):
        difference = np.abs(image.astype(float) - photograph(under(ground, lights), DEEPRACER_CAMERA, *pose))
        assert difference.mean() < 1.4
        unlit = np.abs(image.astype(float) - photograph(ground, DEEPRACER_CAMERA, *pose))
        assert unlit.mean() > 10.0  # the lights did matter


def test_the_sky_is_no_lit_surface(ground: Ground) -> None:
    bright = replace(ground, wall_height=0.14, sky=(200.0, 210.0, 220.0))
    top = render(bright, [light((0.0, 0.0, 0.0))] * len(POSES), color=True)[:, 0]
    np.testing.assert_array_equal(top, np.broadcast_to([200, 210, 220], top.shape))


def test_daylight_is_what_is_drawn_without_lights(ground: Ground) -> None:
    """In color to the byte; grey was rounded once in the texels and is now rounded only at the end."""
    daylight = [DAYLIGHT] * len(POSES)
    np.testing.assert_array_equal(render(ground, daylight, color=True), render(ground, None, color=True))
    grey = render(ground, daylight, color=False).astype(int)
    assert np.abs(grey - render(ground, None, color=False)).max() <= 1


def test_grey_is_the_grey_of_the_lit_color_image(ground: Ground) -> None:
    """Not the grey of daylight dimmed: a blue light leaves little of a yellow line."""
    grey = render(ground, LIGHTS, color=False)
    assert np.abs(grey - to_grey(render(ground, LIGHTS, color=True))).max() <= 1.5


def test_lights_are_drawn_from_the_whole_range() -> None:
    """Every color channel of the sun is uniform between 0 and 1; the attenuated lamp is seldom bright."""
    rng = np.random.default_rng(0)
    drawn = np.array([sample_light(rng) for _ in range(4000)])
    np.testing.assert_allclose(np.quantile(drawn["sun"], [0.1, 0.5, 0.9], axis=0).T, [[0.1, 0.5, 0.9]] * 3, atol=0.03)
    assert abs(np.corrcoef(drawn["sun"].T)[0, 1]) < 0.06
    assert np.median(drawn["lamp"]) < 0.01


def drive(randomize_domain: bool, seeds: list[int], *, num_steps: int = 4) -> Simulator:
    sim = Simulator(Scene([load_track("first_lap")]), len(seeds), variation=1.0, randomize_domain=randomize_domain)
    sim.reset(range(len(seeds)), [Start(ndist=0.2, seed=seed) for seed in seeds])
    for _ in range(num_steps):
        sim.command(np.full(len(seeds), 4.0), np.full(len(seeds), 1.5))
        sim.step()
    return sim


def test_an_episode_has_its_own_light_from_its_own_seed() -> None:
    """Not its neighbors', and the same again; the next episode in a world has another."""
    many = drive(True, [5, 6, 7])
    assert len({row.tobytes() for row in many.state.light.numpy()}) == 3
    alone = drive(True, [6])
    assert many.images is not None
    assert alone.images is not None
    np.testing.assert_array_equal(many.images.numpy()[1], alone.images.numpy()[0])
    before = many.state.light.numpy().copy()
    many.reset([1], [Start(seed=8)])
    assert (many.state.light.numpy() == before).tolist() == [True, False, True]


def test_only_the_light_differs() -> None:
    """With and without domain randomization the same car drives the same way; without it all is in daylight."""
    on, off = drive(True, [5, 6]), drive(False, [5, 6])
    for name in ("motion", "vehicle", "jitter_seed", "progress"):
        assert getattr(on.state, name).numpy().tobytes() == getattr(off.state, name).numpy().tobytes(), name
    assert (off.state.light.numpy() == DAYLIGHT).all()
    assert on.images is not None
    assert off.images is not None
    assert np.abs(on.images.numpy().astype(int) - off.images.numpy()).mean() > 3.0


def test_films_show_the_light_that_the_car_drove_in() -> None:
    sim = drive(True, [5, 6])
    renderer, pictures = sim.color_camera()
    sim.look(renderer, pictures)
    assert sim.images is not None
    assert np.abs(to_grey(pictures.numpy()) - sim.images.numpy()).max() <= 1.5
