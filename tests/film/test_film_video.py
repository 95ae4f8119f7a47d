"""Videos: the pictures come back, the bytes repeat, and a torn file plays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from video_frames import read_frames

from hotlap.errors import RecordError
from hotlap.film.video import VideoWriter


def frames(num_frames: int = 45) -> np.ndarray:
    """A bright square that walks over a gray ramp."""
    pictures = np.empty((num_frames, 48, 64, 3), np.uint8)
    pictures[:] = np.linspace(40, 120, 64, dtype=np.uint8)[None, None, :, None]
    for i, picture in enumerate(pictures):
        picture[16:32, i % 40 : i % 40 + 16] = (230, 90, 30)
    return pictures


def write(path: Path, pictures: np.ndarray) -> None:
    with VideoWriter(path, 64, 48) as video:
        for picture in pictures:
            video.write(picture)


def test_pictures_come_back(tmp_path):
    write(tmp_path / "new" / "a.mp4", frames())
    seen = read_frames(tmp_path / "new" / "a.mp4")
    assert seen.shape == frames().shape
    # Lossy coding at quality 23, with colors at half resolution along edges.
    assert np.abs(seen.astype(int) - frames()).mean() < 6


def test_equal_frames_give_equal_bytes(tmp_path):
    write(tmp_path / "a.mp4", frames())
    write(tmp_path / "b.mp4", frames())
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_plays_fifteen_frames_per_second_of_h264(tmp_path):
    import av

    write(tmp_path / "a.mp4", frames())
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.average_rate, stream.codec_context.name, stream.pix_fmt) == (15, "h264", "yuv420p")
        assert stream.codec_context.codec_tag == "avc1"


def test_torn_file_plays_its_whole_seconds(tmp_path):
    """A kill leaves what has reached the disk; here the last tenth is missing."""
    write(tmp_path / "a.mp4", frames(60))
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "torn.mp4").write_bytes(data[: int(0.9 * len(data))])
    assert len(read_frames(tmp_path / "torn.mp4")) >= 30


def test_closing_without_frames_leaves_no_file(tmp_path):
    write(tmp_path / "a.mp4", frames(0))
    assert not (tmp_path / "a.mp4").exists()


def test_errors_say_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="even"):
        VideoWriter(tmp_path / "a.mp4", 63, 48)
    with VideoWriter(tmp_path / "a.mp4", 64, 48) as video, pytest.raises(ValueError, match=r"\(48, 64, 3\)"):
        video.write(np.zeros((48, 64), np.uint8))
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="could not be written"):
        VideoWriter(tmp_path / "file" / "a.mp4", 64, 48)
