"""What a training says about itself when it ends, above all one without clean laps."""

from __future__ import annotations

import json
from types import SimpleNamespace

from hotlap.cli.train_display import how_much, why_nothing
from hotlap.config.job import Job
from hotlap.config.metadata import ModelMetadata
from hotlap.config.template import metadata_json
from hotlap.records.trainer_state import TrainerState
from hotlap.training.trainer import TrainingResult


def reasons(speed: float, track: str, method: str = "ppo") -> str:
    """With five actions at one speed."""
    job = Job().updated(race={"track": track}, training={"method": method})
    described = json.loads(metadata_json())
    actions = [action | {"speed": speed} for action in described["action_space"]]
    metadata = ModelMetadata.from_dict(described | {"action_space": actions})
    records = [SimpleNamespace(completion_mean=12.4, total_steps=34_000)]
    return " ".join(why_nothing(job, metadata, records))  # type: ignore[arg-type]


def test_it_names_how_far_the_cars_got_and_what_makes_the_track_hard():
    text = reasons(1.0, "paperclip")
    for part in ("12 % of the way round", "34,000 steps", "paperclip is", "tightest bend has a radius of", "--clone"):
        assert part in text
    assert "brake" not in text
    assert "--wipe --teacher" in text
    assert "--teacher" not in reasons(1.0, "paperclip", "teacher")


def test_it_names_a_speed_that_the_tightest_bend_forbids():
    text = reasons(3.5, "paperclip")
    assert "The slowest action drives 3.5 m/s" in text
    assert "--clone" not in text


def amounts(*, iteration: int, steps: int, episodes: int, seconds: float) -> str:
    """What is said of 3 iterations, 60 episodes, 4,000 steps and 100 s in all, begun after those that are given."""
    before = TrainerState(
        iteration=iteration, total_steps=steps, num_episodes=episodes, elapsed_s=seconds, sim_time=0.0, seed=0
    )
    result = TrainingResult("stopped", 3, 4000, 60, 100.0, None, stages_s={"collect": 20.0, "update": 10.5})
    return how_much(result, before)


def test_a_resumed_training_tells_its_own_share_from_the_whole():
    whole = "3 iterations, 60 episodes, 4,000 steps in 1 min 40 s"
    stages = "(collect 20.0 s, update 10.5 s)"
    assert amounts(iteration=0, steps=0, episodes=0, seconds=0.0) == f"{whole} {stages}."
    assert amounts(iteration=2, steps=3000, episodes=40, seconds=69.0) == (
        f"This run: 1 iteration, 20 episodes, 1,000 steps in 31.0 s {stages}; in all {whole}."
    )
