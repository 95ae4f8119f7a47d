"""``hotlap evaluate DIR --tracks …``: one model on many tracks, and a table of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hotlap.cli.checkpoints import how_sure
from hotlap.cli.console import console, print_json, print_table, prints_to_stderr, progress_bar, screen

if TYPE_CHECKING:
    from hotlap.cli.model_argument import Choice
    from hotlap.config.job import Job
    from hotlap.evaluation.evaluator import Evaluator
    from hotlap.tracks.track import Track

LAPS = 20  # on each track, where nothing else is said


def evaluate_tracks(
    choice: Choice, job: Job, tracks: Sequence[Track], which: Any, *, laps: int | None, workers: int, as_json: bool
) -> None:
    """Drive a checkpoint on each of some tracks, laps that end by their first mistake; print a table.

    Nothing is written into the model's folder.
    """
    from hotlap.evaluation.evaluator import Evaluator, drive
    from hotlap.evaluation.table import tracks_table

    out = console()
    evaluators = [
        Evaluator(
            choice.model,
            job=job,
            track=track,
            checkpoint=which,
            laps=laps or LAPS,
            workers=workers,
            tell=out.print,
        )
        for track in tracks
    ]
    with progress_bar(out) as bar, prints_to_stderr(as_json):
        task = bar.add_task("driving", total=sum(each.num_episodes for each in evaluators), note="")
        drive(evaluators, on_step=lambda done, steps: bar.update(task, completed=done, note=f"{steps:,} steps"))
    mistakes = [_mistakes(each) for each in evaluators]
    first = evaluators[0]
    if as_json:
        print_json(
            {
                "folder": str(first.place),
                "checkpoint": first.checkpoint_name,
                "rules": first.conditions.to_json(),
                "tracks": [
                    {"track": each.track.name, **each.report.to_json(), "mistakes": dict(found.most_common())}
                    for each, found in zip(evaluators, mistakes, strict=True)
                ],
            }
        )
        return
    to = screen()
    to.print(
        f"{first.place}, checkpoint {first.checkpoint_name}. In training: "
        f"{how_sure(first.place, first.checkpoint_name)}."
    )
    to.print(f"Rules: {first.conditions}.")
    reports = [each.report for each in evaluators]
    print_table(
        to, tracks_table([each.track.name for each in evaluators], reports, [_worst(each) for each in mistakes])
    )
    good = sum(report.clean_rate is not None and report.clean_rate.value >= 0.9 for report in reports)
    to.print(f"At least 90 % of the laps are clean on {good} of {len(reports)} tracks.")


def _mistakes(evaluator: Evaluator) -> Counter[int]:
    """How many laps ended by a mistake at which waypoint."""
    ends: Sequence[int] = [
        int(episode.steps.nearest_waypoint[-1]) for episode in evaluator.episodes if not episode.completed
    ]
    return Counter(ends)


def _worst(mistakes: Counter[int]) -> str:
    if not mistakes:
        return "--"
    (waypoint, times), *_ = mistakes.most_common(1)
    return f"{waypoint} ({times})"
