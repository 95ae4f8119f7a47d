"""From job.toml to the race that a worker drives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_model import write_model

from hotlap.deepracer.track_objects import BotCars, Obstacles
from hotlap.envs.race import RaceConfig
from hotlap.envs.race_tracks import tracks_of
from hotlap.rollouts.model import race_config


def race_of(folder: Path, **race: Any) -> RaceConfig:
    model = write_model(folder, race=race, built_in_network=True)
    return race_config(model, model.job.race, tracks_of(model.job.race, seed=0))


def test_obstacles_stand_only_in_races_of_their_type(tmp_path: Path):
    """Their settings may be there all the same."""
    obstacles = {"number": 3, "min_distance": 1.5, "randomize": True, "kind": "amazon_box_obstacle"}
    config = race_of(tmp_path / "1", race_type="object_avoidance", obstacles=obstacles)
    assert config.obstacles == Obstacles(number=3, min_distance=1.5, randomize=True, kind="amazon_box_obstacle")
    assert race_of(tmp_path / "2", obstacles=obstacles).obstacles is None
    fixed = race_of(tmp_path / "3", race_type="object_avoidance", obstacles={"positions": [[0.25, -1], [0.5, 1]]})
    assert fixed.obstacles == Obstacles(positions=((0.25, -1.0), (0.5, 1.0)))


def test_bot_cars_drive_only_in_races_of_their_type(tmp_path: Path):
    bots = {"number": 2, "speed": 0.7, "lane_change": True, "penalty": 2.0}
    config = race_of(tmp_path / "1", race_type="head_to_bot", bots=bots)
    assert config.bots == BotCars(number=2, speed=0.7, lane_change=True, penalty=2.0)
    assert config.obstacles is None
    assert race_of(tmp_path / "2", race_type="object_avoidance", bots=bots).bots is None


def test_domain_randomization_is_a_setting_of_any_race(tmp_path: Path):
    assert race_of(tmp_path / "1", randomize_domain=True).randomize_domain
    assert not race_of(tmp_path / "2").randomize_domain
