"""When a seed learned a lap, what is written about it, and what a machine's result tells of the machine."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from hotlap.bench.first_lap import COLUMNS, SeedResult, _median, _write, bench_learn
from hotlap.bench.machine import provenance
from hotlap.errors import ConfigError, RecordError
from hotlap.records.events import IterationRecord


def record(iteration: int, steps: int, laps: int) -> IterationRecord:
    return IterationRecord(
        iteration=iteration,
        checkpoint=f"{iteration + 1}_Step-{steps}.ckpt",
        total_episodes=20 * (iteration + 1),
        total_steps=steps,
        elapsed_s=0.01 * steps,
        num_episodes=20,
        num_steps=700,
        reward_mean=12.5,
        completion_mean=10.0 * (iteration + 1),
        laps_completed=laps,
    )


LEARNED = SeedResult(0, [record(0, 700, 0), record(1, 1500, 0), record(2, 2600, 2), record(3, 4000, 0)], 1.5)
FAILED = SeedResult(1, [record(0, 900, 0)], 1.5)


def test_first_lap_is_that_of_the_first_iteration_with_one():
    """Steps and seconds are those at the end of the iteration in which a training episode first completed the lap."""
    found = LEARNED.to_dict()
    assert (found["steps"], found["seconds"], found["iterations"], found["laps"]) == (2600, 26.0, 4, 2)
    assert FAILED.first_lap is None
    assert FAILED.to_dict()["steps"] is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3.0, 1.0, 2.0], 2.0), ([None, 1.0, 2.0], 2.0), ([None, None, 2.0], None), ([None, 1.0], None)],
)
def test_seeds_that_never_got_there_count_as_the_slowest(values, expected):
    """The median is over all seeds: leaving the failures out would flatter."""
    assert _median(values) == expected


def test_files_tell_the_whole_story_and_no_path(tmp_path: Path):
    """One CSV per seed, a picture, a JSON; nothing in them says where they were written or on whose machine."""
    results = [LEARNED, FAILED]
    summary = {
        "median_steps": None,
        "median_seconds": None,
        "reached": 1,
        "workers": 2,
        "max_policy_lag": 1,
        "seeds": [result.to_dict() for result in results],
        "track": "copper_oval",
        "max_steps": 900,
        "until": "lap",
        "threads": 2,
        "files": [],
        "machine": provenance(),
    }
    _write(tmp_path, "copper_oval", results, summary)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(summary["files"])
    with (tmp_path / "learn_copper_oval_seed0.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["steps"], row["completion_mean"], row["laps"]) for row in rows] == [
        ("700", "10.0", "0"),
        ("1500", "20.0", "0"),
        ("2600", "30.0", "2"),
        ("4000", "40.0", "0"),
    ]
    text = (tmp_path / "learn_copper_oval.json").read_text(encoding="utf-8")
    assert json.loads(text) == summary
    assert str(tmp_path) not in text
    assert str(Path.home()) not in text
    assert (tmp_path / "learn_copper_oval.png").read_bytes().startswith(b"\x89PNG")


def test_results_that_cannot_be_written_are_an_error(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(RecordError, match="--out"):
        _write(blocked, "copper_oval", [FAILED], {"files": []})


def test_impossible_arguments_are_named():
    with pytest.raises(ConfigError, match="--seeds"):
        bench_learn(seeds=0)
    with pytest.raises(ConfigError, match="--until"):
        bench_learn(until="noon")  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_training_stops_at_its_step_limit(tmp_path: Path):
    """One real iteration: it ends with the iteration that passes the limit, and its curve is written."""
    seen = []
    found = bench_learn(
        track="copper_oval", seeds=1, max_steps=1, out=tmp_path, on_iteration=lambda seed, each: seen.append(each)
    )
    assert len(seen) == 1
    assert found["track"] == "copper_oval"
    assert found["seeds"][0]["total_steps"] == seen[0].total_steps >= 20
    assert (tmp_path / "learn_copper_oval_seed0.csv").read_text().count("\n") == 2
