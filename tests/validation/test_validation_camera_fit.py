"""The fit of poses and camera: it must find again what a drive was rendered with, and explain the real frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hotlap.errors import DataError
from hotlap.sim.camera import V1_CAMERA
from hotlap.tracks.catalog import load_track
from hotlap.tracks.themes import THEMES
from hotlap.validation.camera_fit import (
    Eye,
    Scenery,
    Setting,
    fit_dashes,
    fit_poses,
    fit_setting,
    search_drive,
    to_grey,
)
from hotlap.validation.camera_report import (
    classify_ours,
    classify_real,
    draw_comparison,
    load_frames,
    validate_camera,
)

SETTING = Setting(replace(V1_CAMERA, height_m=0.13, pitch_rad=0.27), (0.3, 0.5, 0.4, 0.3))


@pytest.fixture(scope="module")
def scenery() -> Scenery:
    return Scenery(load_track("first_lap"), THEMES["reinvent_2018"], texel=0.005)


@pytest.fixture(scope="module")
def drive(scenery: Scenery) -> np.ndarray:
    """Poses (30, 3), 5 cm apart along the track, swaying a little."""
    s = 2.6 + 0.05 * np.arange(30)
    x, y, yaw = scenery.track.pose_at(s)
    sway = 0.06 * np.sin(3.0 * s)
    return np.column_stack([x - sway * np.sin(yaw), y + sway * np.cos(yaw), np.unwrap(yaw) + 0.1 * np.cos(2.0 * s)])


@pytest.fixture(scope="module")
def film(scenery: Scenery, drive: np.ndarray) -> np.ndarray:
    return Eye(scenery.with_walls(SETTING.margins), SETTING.camera, color=True).see(drive)


def test_poses_are_found_again(scenery: Scenery, drive: np.ndarray, film: np.ndarray) -> None:
    """From 2 cm and 2 degrees away, to within a pixel near the car: 1.5 mm, 0.1 degrees."""
    eye = Eye(scenery.with_walls(SETTING.margins), SETTING.camera)
    poses = drive + np.random.default_rng(0).uniform(-1.0, 1.0, drive.shape) * (0.02, 0.02, 0.035)
    for sigma in (3.0, 1.0):
        poses, _ = fit_poses(to_grey(film), eye, poses, sigma=sigma, iterations=6)
    error = np.abs(poses - drive)
    assert error[:, :2].max() < 0.0015
    assert np.degrees(error[:, 2].max()) < 0.1


def test_camera_and_walls_are_found_again(scenery: Scenery, drive: np.ndarray, film: np.ndarray) -> None:
    """Together with the poses, from a camera that is 5 mm too high, 0.6 degrees too steep and walls off by 5 cm."""
    wrong = SETTING.from_vector(np.add(SETTING.to_vector(), (0.005, 0.01, -0.01, 0.05, -0.05, 0.05, -0.05)))
    setting, poses, grey = wrong, drive[::3], to_grey(film[::3])
    for _ in range(4):
        setting, poses = fit_setting(grey, scenery, setting, poses, sigma=2.0)
        eye = Eye(scenery.with_walls(setting.margins), setting.camera)
        poses, _ = fit_poses(grey, eye, poses, sigma=2.0, iterations=2)
    error = np.abs(setting.to_vector() - SETTING.to_vector())
    assert error[0] < 0.0007
    assert error[1:3].max() < 0.003
    # East and north are in view on this drive.
    assert error[[4, 5]].max() < 0.03


def test_drive_is_found_without_a_guess(scenery: Scenery, drive: np.ndarray, film: np.ndarray) -> None:
    """The search comes near enough, on the whole track, for the refinement to arrive at the true poses."""
    drive, film = drive[:20], film[:20]
    poses = search_drive(film, scenery, SETTING, lambda step, share: None)
    eye = Eye(scenery.with_walls(SETTING.margins), SETTING.camera)
    for sigma in (6.0, 3.0):
        poses, _ = fit_poses(to_grey(film), eye, poses, sigma=sigma, iterations=8)
    poses = fit_dashes(to_grey(film), eye, poses, scenery.track, 0.1016)
    assert (np.abs(poses - drive).max(axis=1) < 0.02).mean() >= 0.9  # a fifth of a dash


def test_colors_tell_the_classes(scenery: Scenery, drive: np.ndarray, film: np.ndarray) -> None:
    """The classifier of real frames, given our own, finds what we know they show."""
    ours = classify_ours(scenery, SETTING, drive[::10])
    real = np.stack([classify_real(image) for image in film[::10]])
    assert (ours == real).mean() > 0.98


@pytest.mark.data
def test_real_frames_are_explained(reference_data: Path, tmp_path: Path) -> None:
    """Every thirtieth frame, one round of fitting: the goals are 8 grey levels and 97 %, met on all frames."""
    names, frames = load_frames(reference_data / "frames", every=30)
    track = load_track(str(reference_data / "tracks" / "reinvent_base.npy"))
    report = validate_camera(names, frames, track, every=30, rounds=1)
    result = report.to_json()
    assert result["grey_diff_median"] <= 8.0
    assert result["class_agreement"] >= 0.965
    # The nominal camera of that car, pitched 15 degrees and 1.13 rad wide; its height was lower than nominal.
    assert report.setting.camera.pitch_rad == pytest.approx(0.2618, abs=0.015)
    assert report.setting.camera.hfov_rad == pytest.approx(1.13, abs=0.03)
    (path,) = draw_comparison(report, frames, track, tmp_path, num=1, scale=2)
    assert Image.open(path).size == (3 * 160 * 2, 120 * 2)


def test_missing_and_mixed_frames_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no camera frames found"):
        load_frames(tmp_path / "absent")
    for index, size in enumerate([(160, 120), (80, 60)]):
        Image.new("RGB", size).save(tmp_path / f"{index}.png")
    with pytest.raises(DataError, match="differ in size"):
        load_frames(tmp_path)
