"""What a training without clean laps says about itself."""

from __future__ import annotations

import json
from types import SimpleNamespace

from hotlap.cli.train_display import why_nothing
from hotlap.config.job import Job
from hotlap.config.metadata import ModelMetadata
from hotlap.config.template import metadata_json


def reasons(speed: float, track: str) -> str:
    job = Job().updated(race={"track": track})
    metadata = ModelMetadata.from_dict(json.loads(metadata_json(speed)))
    records = [SimpleNamespace(completion_mean=12.4, total_steps=34_000)]
    return " ".join(why_nothing(job, metadata, records))  # type: ignore[arg-type]


def test_it_names_how_far_the_cars_got_and_what_makes_the_track_hard():
    text = reasons(1.0, "paperclip")
    for part in ("12 % of the way round", "34,000 steps", "paperclip is", "tightest bend has a radius of", "--clone"):
        assert part in text
    assert "brake" not in text


def test_it_names_a_speed_that_the_tightest_bend_forbids():
    text = reasons(3.5, "paperclip")
    assert "The slowest action drives 3.5 m/s" in text
    assert "--clone" not in text
