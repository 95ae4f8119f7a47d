"""Event files, read by TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path

import pytest
from news import NOON, beginning, news_of
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hotlap.monitoring.tensorboard_events import TensorBoardEvents


def scalars(folder: Path, run: str) -> dict[str, list[tuple[float, int, float]]]:
    """Time [s], step and value of the points under each name."""
    reader = EventAccumulator(str(folder / "logs" / "tensorboard" / run), purge_orphaned_data=True)
    reader.Reload()
    return {
        name: [(each.wall_time, each.step, each.value) for each in reader.Scalars(name)]
        for name in reader.Tags()["scalars"]
    }


def write(folder: Path, *numbers: int, resumed_after: int = 0) -> None:
    """Tell of some iterations, in a process of its own as far as the sink knows.

    The last iteration before is told again, without its episodes.
    """
    sink = TensorBoardEvents()
    sink.begin(beginning(folder, num_iterations=resumed_after))
    if resumed_after:
        sink.send(news_of(resumed_after - 1)[-1:])
    for number in numbers:
        sink.send(news_of(number))
    sink.end()


def test_tensorboard_reads_what_was_told(tmp_path: Path):
    """Iterations against steps, training episodes against their number; what is not finite is left out."""
    write(tmp_path, 0, 1)
    iterations = scalars(tmp_path, "iterations")
    assert iterations["training/reward"] == [(NOON + 3, 100, 1.5), (NOON + 103, 200, 2.5)]
    assert iterations["evaluation/clean_rate"] == [(NOON + 3, 100, 0.5), (NOON + 103, 200, 0.5)]
    assert iterations["update/policy_loss"][0][2] == 0.25
    assert iterations["progress/elapsed"][1][2] == 20.0
    assert "update/entropy" not in iterations
    assert scalars(tmp_path, "episodes")["episode/reward"] == [
        (NOON + 1, 1, 27.5),
        (NOON + 1, 2, 28.5),
        (NOON + 101, 3, 29.5),
        (NOON + 101, 4, 30.5),
    ]


def test_a_resumed_training_forgets_what_came_after_its_checkpoint(tmp_path: Path):
    """Killed after three iterations whose last checkpoint was not yet there; every point is there once."""
    write(tmp_path, 0, 1, 2)
    write(tmp_path, 2, 3, resumed_after=2)
    write(tmp_path, 4, resumed_after=4)
    assert [step for _, step, _ in scalars(tmp_path, "iterations")["training/reward"]] == [100, 200, 300, 400, 500]
    assert [step for _, step, _ in scalars(tmp_path, "episodes")["episode/reward"]] == list(range(1, 11))


def test_a_training_that_begins_anew_begins_with_an_empty_page(tmp_path: Path):
    write(tmp_path, 0, 1, 2)
    write(tmp_path, 0)
    assert [step for _, step, _ in scalars(tmp_path, "iterations")["training/reward"]] == [100]
    assert len(scalars(tmp_path, "episodes")["episode/reward"]) == 2


@pytest.mark.parametrize("run", ["iterations", "episodes"])
def test_nothing_else_lies_there(tmp_path: Path, run: str):
    """TensorBoard would take any file for a run's."""
    write(tmp_path, 0)
    assert len(list((tmp_path / "logs" / "tensorboard" / run).iterdir())) == 1
