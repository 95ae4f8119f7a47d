"""The films of a trial: each step is drawn in every way, each into a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from hotlap.film.pictures import (
    HEIGHT,
    OVERLAY_HEIGHT,
    WIDTH,
    CarAndMap,
    Chase,
    ChaseAndMap,
    FromAbove,
    Picture,
    Shot,
)
from hotlap.film.readings import Color
from hotlap.film.top_view import TopView
from hotlap.film.video import VideoWriter
from hotlap.records.drives import Drive
from hotlap.tracks.track import Track

FPS = 15  # real time
HELD_FRAMES = FPS  # the last frame of a trial stays a second, so that its end can be read
_INSET_HEIGHT = 132


def pictures(track: Track, color_of: Callable[[float], Color]) -> dict[str, Picture]:
    """All ways to film trials, by name.

    Args:
        track: Where they were driven.
        color_of: The color of a line that is driven at a speed [m/s].
    """
    return {
        "car": CarAndMap(TopView(track, color_of, HEIGHT)),
        "chase": Chase(),
        "top": FromAbove(TopView(track, color_of, HEIGHT, width=WIDTH, head=OVERLAY_HEIGHT)),
        "pip": ChaseAndMap(TopView(track, color_of, _INSET_HEIGHT, min_car_length=13)),
    }


def film_trial(
    folder: Path,
    pictures: Mapping[str, Picture],
    drive: Drive,
    shots: Iterable[Shot],
    *,
    on_frame: Callable[[], None] = lambda: None,
) -> dict[str, Path]:
    """Write the films of one trial into a folder.

    Args:
        folder: Where they go.
        pictures: Ways to film it, by name; each is used for one trial at a time.
        drive: The trial.
        shots: What was seen at its steps.
        on_frame: Called after every step.

    Returns:
        The files by the names of the pictures.

    Raises:
        RecordError: If they cannot be written.
    """
    files = {name: folder / f"{name}.mp4" for name in pictures}
    with ExitStack() as open_files:
        writers = {
            name: open_files.enter_context(VideoWriter(files[name], picture.width, picture.height, FPS))
            for name, picture in pictures.items()
        }
        for picture in pictures.values():
            picture.begin(drive)
        # Encoding is most of the work and needs no interpreter: a step is encoded while the next is drawn.
        pool = open_files.enter_context(ThreadPoolExecutor(len(pictures)))
        encoding: list[Future[None]] = []
        for i, shot in zip(range(len(drive)), shots, strict=False):
            frames = {name: picture.frame(i, shot) for name, picture in pictures.items()}
            times = 1 + (HELD_FRAMES if i == len(drive) - 1 else 0)
            _wait(encoding)
            encoding = [pool.submit(_write, writers[name], frame.copy(), times) for name, frame in frames.items()]
            on_frame()
        _wait(encoding)
    return files


def _write(writer: VideoWriter, frame: np.ndarray, times: int) -> None:
    for _ in range(times):
        writer.write(frame)


def _wait(tasks: Iterable[Future[None]]) -> None:
    for task in tasks:
        task.result()
