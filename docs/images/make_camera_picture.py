"""Draw ``camera.png``: what the car sees on some tracks, in color for people and in grey as the policy gets it.

Run: python docs/images/make_camera_picture.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from hotlap.sim.scene import Scene
from hotlap.sim.simulator import Simulator
from hotlap.sim.starts import Start
from hotlap.tracks.catalog import load_track

VIEWS = (("first_lap", 0.12), ("first_lap", 0.62), ("needle_eye", 0.3), ("grand_tour", 0.45))
SIZE = (480, 360)


def view(track: str, ndist: float) -> Image.Image:
    """The color picture of a standing car, with the policy's grey one in its corner."""
    simulator = Simulator(Scene([load_track(track)]), 1)
    simulator.reset([0], [Start(ndist=ndist)])
    renderer, images = simulator.color_camera(scale=2)
    simulator.look(renderer, images)
    picture = Image.fromarray(images.numpy()[0]).resize(SIZE, Image.Resampling.BICUBIC)
    assert simulator.images is not None
    grey = Image.fromarray(simulator.images.numpy()[0])
    picture.paste(grey, (picture.width - grey.width - 8, 8))
    return picture


def main() -> None:
    pictures = [view(track, ndist) for track, ndist in VIEWS]
    width, height = pictures[0].size
    sheet = np.zeros((2 * height, 2 * width, 3), dtype=np.uint8)
    for k, picture in enumerate(pictures):
        row, column = divmod(k, 2)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = np.asarray(picture)
    Image.fromarray(sheet).save(Path(__file__).with_name("camera.png"), optimize=True)


if __name__ == "__main__":
    main()
