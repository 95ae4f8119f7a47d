"""What a run says in a few sentences: whether it gets better, where it fails, what it does, whether it explores."""

from __future__ import annotations

import numpy as np

from hotlap.analysis.figures.action_figures import NEVER, action_names
from hotlap.analysis.figures.progress_panels import evaluated
from hotlap.analysis.read.phases import early_and_late, steps_early_and_late
from hotlap.analysis.read.run_data import Run
from hotlap.analysis.report.words import tries_out
from hotlap.deepracer.statuses import STATUS_LABELS, STATUS_NAMES
from hotlap.records.events import IterationRecord

_FEW = 5  # iterations or mistakes: fewer show no course and no place
_WHOLE = 99.995  # [%] a mean of whole laps, whatever the rounding of their sum
_STILL = 2.0  # [%] less than this between two fifths of a training is no change
_WINDOW = 0.1  # of the waypoints
_DECIDED = 1.3  # actions that it chooses among, so to speak, when it hardly explores
_AS_SURE = 0.05  # [nat] less than this between beginning and end is no change
_RARE = 1.0  # [%] an action chosen less often is hardly used


def findings(run: Run) -> list[str]:
    """Sentences about a run, the most important first; empty if too little is known."""
    return [sentence for sentence in (_course(run), _where(run), _why(run), _actions(run), _exploring(run)) if sentence]


def _course(run: Run) -> str:
    """Does it get better?"""
    records = run.iterations
    if len(records) < _FEW:
        return ""
    what, values = "evaluation", evaluated(records, lambda summary: summary.completion_mean)
    if np.isfinite(values).sum() < _FEW:
        what, values = "training", np.array([record.completion_mean for record in records])
    values = values[np.isfinite(values)]
    if len(values) < _FEW:
        return ""
    fifths = [float(part.mean()) for part in np.array_split(values, 5)]
    return (
        f"In {what} it drove {_percent(fifths[0])} of the lap before the first mistake in the first fifth of the "
        f"iterations and {_percent(fifths[4])} in the last: {_trend(fifths[3], fifths[4])}."
    )


def _percent(part: float) -> str:
    """Rounded, but 100 only where nothing is missing."""
    return f"{part:.0f} %" if part >= _WHOLE or part < 99.5 else f"{min(part, 99.9):.1f} %"


def _trend(before: float, last: float) -> str:
    if last >= _WHOLE:
        return "it drives the whole lap"
    if last > 100 - _STILL:
        return "it drives nearly the whole lap"
    if last > before + _STILL:
        return "it was still getting better"
    if last < before - _STILL:
        return "it was getting worse again at the end"
    return "it had stopped getting better"


def _where(run: Run) -> str:
    """Where does it leave the track?"""
    sections = run.sections()
    if len(sections) != 1:
        return ""
    episodes = sections[0].episodes
    _, late = early_and_late(len(episodes))
    exits = episodes.waypoint[late & episodes.failed]
    if late.sum() < _FEW:
        return ""
    ended = f"{_how_many(len(exits), int(late.sum()))} training episodes ended by a mistake"
    if not len(exits):
        return f"{ended}."
    why = tries_out(evaluated=any(record.evaluation for record in run.iterations))
    if len(exits) < _FEW:
        return f"{ended}. {why}"
    num_waypoints = int(run.steps.nearest_waypoint.max()) + 1
    number = np.bincount(exits, minlength=num_waypoints)
    width = max(1, round(_WINDOW * num_waypoints))
    around = np.cumsum(np.concatenate([[0], number, number[:width]]))
    inside = around[width:] - around[:-width]
    begin = int(np.argmax(inside[:num_waypoints]))
    end = (begin + width - 1) % num_waypoints
    share = 100 * inside[begin] / len(exits)
    return f"{ended}, {share:.0f} % of these between waypoints {begin} and {end}, a tenth of the track. {why}"


def _how_many(number: int, total: int) -> str:
    """So many of the last ones, in words at the ends."""
    return f"{'None' if number == 0 else 'All' if number == total > 1 else number} of the last {total}"


def _why(run: Run) -> str:
    """Why do episodes end? Only if there is more than one reason."""
    episodes = run.episodes
    _, late = early_and_late(len(episodes))
    status = episodes.status[late & episodes.failed]
    reasons = np.bincount(status, minlength=len(STATUS_NAMES))
    names = [name for name in STATUS_LABELS if reasons[STATUS_NAMES.index(name)]]
    if len(names) < 2:
        return ""
    names.sort(key=lambda name: -reasons[STATUS_NAMES.index(name)])
    parts = [f"{reasons[STATUS_NAMES.index(name)]} × {STATUS_LABELS[name].lower()}" for name in names]
    return f"Mistakes of the last {late.sum()} training episodes: {', '.join(parts)}."


def _actions(run: Run) -> str:
    """Which actions does it use?"""
    steps = run.steps
    if not np.any(steps.action >= 0):
        return ""
    names = action_names(steps, run.actions)
    taken = steps.action[steps_early_and_late(steps)[1]]
    taken = taken[(taken >= 0) & (taken < len(names))]
    if not len(taken):
        return ""
    share = 100 * np.bincount(taken, minlength=len(names)) / len(taken)
    rare = [name for name, each in zip(names, share, strict=True) if each < _RARE]
    most = int(np.argmax(share))
    text = f"Lately it chose {_command(names[most])} most often ({share[most]:.0f} % of the steps)"
    if not rare:
        return f"{text} and used all {len(names)} actions."
    hardly = "; ".join(_command(name) for name in rare[:4]) + (" and others" if len(rare) > 4 else "")
    return f"{text} and hardly used {len(rare)} of {len(names)} actions ({hardly})."


def _command(name: str) -> str:
    """Steering and speed of an action; its number where they are not known."""
    number, _, command = name.partition(": ")
    return f"number {number}" if command == NEVER else command


def _exploring(run: Run) -> str:
    """Is it still exploring?"""
    entropy = [
        record.losses["entropy"] for record in run.iterations if np.isfinite(record.losses.get("entropy", np.nan))
    ]
    if len(entropy) < 2:
        return ""
    measured = f"entropy {entropy[-1]:.2f} nat, at first {entropy[0]:.2f}"
    if not run.actions:
        fallen = entropy[0] - entropy[-1]
        if abs(fallen) < _AS_SURE:
            return f"It is about as sure of what to do as at the beginning ({measured})."
        return f"It became {'surer' if fallen > 0 else 'less sure'} of what to do ({measured})."
    first, last = float(np.exp(entropy[0])), float(np.exp(entropy[-1]))
    if last < _DECIDED:
        judged = "is sure of its choices and hardly tries anything else"
    elif last > 0.5 * len(run.actions):
        judged = "is not sure of its choices yet and tries out a lot"
    else:
        judged = "is fairly sure of its choices and still tries some things out"
    return (
        f"It {judged}: as if it drew lots among {last:.1f} of its {len(run.actions)} actions, at first among "
        f"{first:.1f} ({measured})."
    )


def best_record(run: Run) -> IterationRecord | None:
    """The iteration that made the best checkpoint; None if it is not known."""
    return next((record for record in reversed(run.iterations) if record.is_best), None)
