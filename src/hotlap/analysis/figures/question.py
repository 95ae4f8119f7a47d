"""A question about runs, the figures that answer it, and what is said of them: one file each.

Such a file draws its figures, says under each how to read it, and ends with its `Question`; a report asks those that
``hotlap.analysis.report.chapters`` lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure

from hotlap.analysis.read.run_data import Run, Section

NO_TRACES = "There are no traces of training episodes, from which these figures are drawn."

MAX_SECTIONS = 6  # tracks of one run that are drawn; more would bury the rest


@dataclass(frozen=True)
class Card:
    """A figure and the words under it, which speak only of what is drawn."""

    name: str
    """Of its PNG."""
    draw: Callable[[], Figure]
    words: str
    label: str = ""
    """Model and track, where there are several."""


Cards = Callable[[Sequence[Run]], Iterable[Card]]
"""Gives the cards of one run, or of several side by side."""


@dataclass(frozen=True)
class Question:
    """A question and how it is answered."""

    title: str
    anchor: str
    cards: Sequence[Cards]
    missing: str = ""
    """What to say if there are no figures; empty: the question is left out."""
    finding: Callable[[Run], str] = lambda run: ""
    """The answer in a sentence or two; empty if too little is known."""


def for_each_run(cards_of: Callable[[Run], Iterable[Card]]) -> Cards:
    """Cards of every run by itself, with its name on them if there are several."""

    def cards(runs: Sequence[Run]) -> Iterator[Card]:
        for run, suffix, label in _named(runs):
            for card in cards_of(run):
                yield replace(card, name=card.name + suffix, label=label)

    return cards


def for_each_track(cards_of: Callable[[Run, Section], Iterable[Card]]) -> Cards:
    """Cards of every track of every run by itself."""

    def cards(runs: Sequence[Run]) -> Iterator[Card]:
        for run, suffix, label in _named(runs):
            sections = [section for section in run.sections() if len(section.steps)][:MAX_SECTIONS]
            for number, section in enumerate(sections, start=1):
                part = f"-{number}" if len(sections) > 1 else ""
                title = " · ".join(name for name in (label, section.title) if name)
                for card in cards_of(run, section):
                    yield replace(card, name=card.name + suffix + part, label=title)

    return cards


def _named(runs: Sequence[Run]) -> Iterator[tuple[Run, str, str]]:
    """Every run with the ending of its files' names and its label, which are empty for a single run."""
    for number, run in enumerate(runs, start=1):
        yield (run, f"-model{number}", run.name) if len(runs) > 1 else (run, "", "")


def joined(*sentences: str | bool | np.bool_) -> str:
    """Those sentences that apply, one after the other."""
    return " ".join(each for each in sentences if isinstance(each, str))


def tries_out(*, evaluated: bool) -> str:
    """Why a training is no race, and what counts instead."""
    counts = "; what counts is the evaluation" if evaluated else ""
    return f"In training the car tries things out on purpose, so mistakes are part of it{counts}."
