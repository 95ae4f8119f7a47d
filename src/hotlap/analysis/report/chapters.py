"""What a report asks of runs: the questions in their order, their figures, and what the records answer in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hotlap.analysis.figures import (
    action_figures,
    ending_figures,
    line_figures,
    map_figures,
    progress_figures,
    time_figures,
    update_figures,
    worker_figures,
)
from hotlap.analysis.figures.question import Card, Question
from hotlap.analysis.read.run_data import Run

QUESTIONS = (
    progress_figures.QUESTION,
    map_figures.QUESTION,
    line_figures.QUESTION,
    ending_figures.QUESTION,
    action_figures.QUESTION,
    update_figures.QUESTION,
    worker_figures.QUESTION,
    time_figures.QUESTION,
)


@dataclass(frozen=True)
class Chapter:
    """A question and the figures that answer it."""

    question: Question
    cards: list[Card]

    def rows(self) -> list[list[Card]]:
        """The cards in rows of the same figure, of several models or tracks."""
        rows: dict[str, list[Card]] = {}
        for card in self.cards:
            rows.setdefault(card.name.partition("-")[0], []).append(card)
        return list(rows.values())


def chapters(runs: Sequence[Run]) -> list[Chapter]:
    """The chapters of a report about one run, or of several side by side."""
    found = [Chapter(each, [card for cards in each.cards for card in cards(runs)]) for each in QUESTIONS]
    return [chapter for chapter in found if chapter.cards or chapter.question.missing]


def findings(run: Run) -> list[str]:
    """Sentences about a run, the most important first; empty if too little is known."""
    return [sentence for question in QUESTIONS if (sentence := question.finding(run))]
