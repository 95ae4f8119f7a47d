"""The lines of a training: which figures are of the training, which of the evaluation."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from hotlap.cli.train_display import TrainingDisplay
from hotlap.records.events import EvaluationSummary, IterationRecord


def shown(evaluation: EvaluationSummary | None) -> list[str]:
    """What a training with one iteration prints where there is no terminal."""
    record = IterationRecord(
        iteration=0,
        checkpoint="1_Step-1234.ckpt",
        total_episodes=20,
        total_steps=1234,
        elapsed_s=61.0,
        num_episodes=20,
        num_steps=1234,
        reward_mean=12.3,
        completion_mean=45.6,
        laps_completed=7,
        evaluation=evaluation,
        is_best=evaluation is not None,
    )
    text = StringIO()
    with TrainingDisplay(Console(file=text, highlight=False, soft_wrap=True)) as display:
        display.on_begin("", 0.0, 0)
        display.on_iteration(record)
    return text.getvalue().splitlines()


def test_columns_stand_under_the_group_that_they_belong_to():
    """Also how far the evaluation got, by which the best is chosen as long as no lap is clean."""
    groups, heads, row = shown(EvaluationSummary(32, completion_mean=78.9, clean_rate=0.25, reward_mean=1.0))
    for name, words, values in (
        ("training", ["reward", "complete", "laps"], ["12.3", "45.6%", "7"]),
        ("evaluation", ["clean", "complete", "lap", "s"], ["25%", "78.9%", "–"]),
    ):
        begin = groups.rindex(" ", 0, groups.index(name) - 1) + 1
        end = groups.find(" ", groups.index(name) + len(name) + 1)
        end = len(groups) if end < 0 else end
        assert heads[begin:end].split() == words
        assert row[begin:end].split() == values
    assert row.endswith("best")


def test_an_iteration_without_an_evaluation_has_dashes():
    *_, row = shown(None)
    assert row.split()[6:9] == ["–", "–", "–"]
