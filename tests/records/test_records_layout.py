"""Where the files of a run lie."""

from __future__ import annotations

from hotlap.records.layout import is_record, video_keys


def test_films_lie_where_the_original_puts_them():
    """Under the names of the original's films of a whole evaluation; ours is beside its other files."""
    assert video_keys("20250102030405", 0) == {
        "pip": "mp4/camera-pip/0-video.mp4",
        "chase": "mp4/camera-45degree/0-video.mp4",
        "top": "mp4/camera-topview/0-video.mp4",
        "car": "evaluation-20250102030405/0-video.mp4",
    }
    keys = [key for trial in range(12) for key in video_keys("20250102030405", trial).values()]
    assert len(set(keys)) == 48
    assert all(map(is_record, keys))
