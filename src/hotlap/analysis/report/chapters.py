"""What a report shows: questions, and the figures that answer them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from hotlap.analysis import figures
from hotlap.analysis.figures.time_figures import pace_of
from hotlap.analysis.read.phases import early_and_late, first_number
from hotlap.analysis.read.run_data import Run, Section
from hotlap.analysis.report import words

MAX_SECTIONS = 6  # tracks of one run that are drawn; more would bury the rest
_MANY = 200  # laps of an evaluation that are drawn


@dataclass(frozen=True)
class Card:
    """A figure and the words under it."""

    name: str
    """Of its PNG."""
    draw: Callable[[], Figure]
    words: str
    label: str = ""
    """Model and track, where there are several."""


@dataclass(frozen=True)
class Chapter:
    """A question and the figures that answer it."""

    title: str
    anchor: str
    cards: list[Card]
    missing: str = ""
    """What to say if there are no figures."""

    def rows(self) -> list[list[Card]]:
        """The cards in rows of the same figure, of several models or tracks."""
        rows: dict[str, list[Card]] = {}
        for card in self.cards:
            rows.setdefault(card.name.partition("-")[0], []).append(card)
        return list(rows.values())


def chapters(runs: Sequence[Run]) -> list[Chapter]:
    """The chapters of a report about one run, or of several side by side."""
    found = [
        Chapter("Does it get better?", "progress", [*_progress(runs)], words.NO_RECORDS),
        Chapter("Where does it leave the track?", "track", [*_places(runs)], words.NO_TRACES),
        Chapter("Which line does it drive?", "lines", [*_lines(runs)], words.NO_TRACES),
        Chapter("Why do episodes end?", "endings", [*_endings(runs)], words.NO_TRACES),
        Chapter("Which actions does it use?", "actions", [*_actions(runs)], words.NO_TRACES),
        Chapter("Is it still exploring and learning?", "updates", [*_updates(runs)], words.NO_LOSSES),
        Chapter("How do the workers compare?", "workers", [*_workers(runs)]),
        Chapter("Where does the time go?", "time", [*_time(runs)], words.NO_TIMES),
    ]
    return [chapter for chapter in found if chapter.cards or chapter.missing]


def _progress(runs: Sequence[Run]) -> Iterator[Card]:
    models = {run.name: run.iterations for run in runs if run.iterations}
    if not models:
        return
    clock = "" if all(run.wall_clock for run in runs) or len(models) > 1 else f" {words.SIMULATOR_CLOCK}"
    yield Card("reward", partial(figures.reward_curve, models), words.reward(models) + clock)
    yield Card("completion", partial(figures.completion_curve, models), words.completion(models))
    yield Card("clean_laps", partial(figures.clean_rate_curve, models), words.clean_laps(models))
    yield Card("lap_times", partial(figures.lap_time_curve, models), words.lap_times(models))


def _places(runs: Sequence[Run]) -> Iterator[Card]:
    for _, section, suffix, label in _sections(runs):
        steps, episodes, track = section.steps, section.episodes, section.track
        _, late = early_and_late(len(episodes))
        exits = words.exits(episodes, late, numbered=track is not None)
        for name, draw, text in (
            ("exits", partial(figures.exit_map, episodes, steps, track), exits),
            ("reward_map", partial(figures.reward_map, steps, track), words.REWARD_MAP),
            ("speed_map", partial(figures.speed_map, steps, track), words.SPEED_MAP),
            ("waypoints", partial(figures.waypoint_figure, steps, episodes), words.waypoints(episodes)),
        ):
            yield Card(f"{name}{suffix}", draw, text, label)


def _lines(runs: Sequence[Run]) -> Iterator[Card]:
    for _, section, suffix, label in _sections(runs):
        driven = section.steps, section.episodes, section.track
        best = words.best_laps(section.episodes)
        yield Card(f"best_laps{suffix}", partial(figures.best_laps_figure, *driven), best, label)
        yield Card(f"last_laps{suffix}", partial(figures.last_laps_figure, *driven), words.LAST_LAPS, label)
    for run, suffix, label in _each(runs):
        if run.evaluations:
            last = run.evaluations[-1]
            driven = last.steps, last.episodes, last.track
            draw = partial(figures.last_laps_figure, *driven, number=_MANY, title="The newest evaluation")
            num_trials = len(last.episodes)
            yield Card(f"evaluation{suffix}", draw, words.evaluation(min(num_trials, _MANY), num_trials), label)


def _endings(runs: Sequence[Run]) -> Iterator[Card]:
    for run, suffix, label in _each(runs):
        if len(run.episodes):
            draw = partial(figures.endings_figure, run.episodes, first=first_number(run.iterations))
            yield Card(f"endings{suffix}", draw, words.endings(run.episodes), label)
            yield Card(f"distances{suffix}", partial(figures.distance_figure, run.episodes), words.DISTANCES, label)


def _actions(runs: Sequence[Run]) -> Iterator[Card]:
    for run, suffix, label in _each(runs):
        if not len(run.steps):
            continue
        choices = run.steps, run.actions
        discrete = bool(np.any(run.steps.action >= 0))
        draw = partial(figures.actions_over_time, *choices, first=first_number(run.iterations))
        yield Card(f"actions{suffix}", draw, words.ACTIONS if discrete else words.COMMANDS, label)
        if discrete:
            draw = partial(figures.action_shares, *choices)
            yield Card(f"action_shares{suffix}", draw, words.ACTION_SHARES, label)
    for run, section, suffix, label in _sections(runs):
        draw = partial(figures.actions_around_track, section.steps, run.actions)
        yield Card(f"actions_track{suffix}", draw, words.ACTIONS_TRACK, label)


def _updates(runs: Sequence[Run]) -> Iterator[Card]:
    models = {run.name: run.iterations for run in runs if any(record.losses for record in run.iterations)}
    if not models:
        return
    counts = {len(run.actions or ()) for run in runs if run.name in models}
    num_actions = counts.pop() if len(counts) == 1 else None
    kinds = {_is_discrete(run) for run in runs if run.name in models}
    discrete = kinds.pop() if len(kinds) == 1 else None
    text = words.entropy(discrete=discrete, line=bool(num_actions and num_actions > 1))
    yield Card("entropy", partial(figures.entropy_curve, models, num_actions=num_actions), text)
    yield Card("divergence", partial(figures.divergence_curve, models), words.DIVERGENCE)
    yield Card("losses", partial(figures.loss_curve, models), words.LOSSES)


def _is_discrete(run: Run) -> bool | None:
    """Whether actions are chosen from a list; None if nothing tells."""
    if run.actions:
        return True
    return bool(np.any(run.steps.action >= 0)) if len(run.steps) else None


def _workers(runs: Sequence[Run]) -> Iterator[Card]:
    for run, suffix, label in _each(runs):
        if any(record.workers for record in run.iterations):
            names = {worker: track.name for worker, track in run.tracks.items() if track is not None}
            draw = partial(figures.workers_figure, run.iterations, names)
            yield Card(f"workers{suffix}", draw, words.WORKERS, label)


def _time(runs: Sequence[Run]) -> Iterator[Card]:
    for run, suffix, label in _each(runs):
        if any(record.stages_s for record in run.iterations):
            yield Card(f"stages{suffix}", partial(figures.stages_figure, run.iterations), words.STAGES, label)
        if len(run.steps):
            draw = partial(figures.stability_figure, run.steps, run.iterations)
            paced = len(pace_of(run.steps, run.iterations)[0]) > 0
            yield Card(f"stability{suffix}", draw, words.stability(paced=paced), label)


def _each(runs: Sequence[Run]) -> Iterator[tuple[Run, str, str]]:
    """Every run with the ending of its files' names and its label, which are empty for a single run."""
    for i, run in enumerate(runs):
        yield (run, f"-model{i + 1}", run.name) if len(runs) > 1 else (run, "", "")


def _sections(runs: Sequence[Run]) -> Iterator[tuple[Run, Section, str, str]]:
    """Every run's sections with the ending of their files' names and their label."""
    for run, suffix, label in _each(runs):
        sections = [section for section in run.sections() if len(section.steps)][:MAX_SECTIONS]
        for j, section in enumerate(sections):
            part = f"-{j + 1}" if len(sections) > 1 else ""
            yield run, section, suffix + part, " · ".join(part for part in (label, section.title) if part)
