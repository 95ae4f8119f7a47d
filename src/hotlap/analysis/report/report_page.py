"""The page of a report: HTML that loads nothing from anywhere, for small screens and large ones, light and dark."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

import numpy as np

from hotlap import __version__
from hotlap.analysis.read.run_data import Evaluation, Run
from hotlap.analysis.report.chapters import Card, Chapter
from hotlap.analysis.report.findings import findings
from hotlap.analysis.report.headline import headline
from hotlap.deepracer.statuses import STATUS_NAMES

MAX_EVALUATIONS = 12  # rows of the table
_MAX_NAMED = 3  # tracks under the title


@dataclass(frozen=True)
class Picture:
    """A figure as PNG for a light and a dark page."""

    light: bytes
    dark: bytes
    width: int
    height: int


def page_of(runs: Sequence[Run], chapters: Sequence[Chapter], pictures: Mapping[str, Picture]) -> str:
    """The HTML of a report.

    Args:
        runs: What it is about.
        chapters: What it shows of them.
        pictures: By the name of the card.
    """
    title = " and ".join(run.name for run in runs) if len(runs) < 3 else f"{len(runs)} models"
    parts = [
        _headline(runs),
        *(_findings(run, f" of {run.name}" if len(runs) > 1 else "") for run in runs),
        *(_chapter(chapter, pictures) for chapter in chapters),
        _evaluations(runs),
        _notes(runs),
    ]
    links = "".join(f'<li><a href="#{chapter.anchor}">{escape(chapter.title)}</a></li>' for chapter in chapters)
    links += '<li><a href="#evaluations">Evaluations</a></li>' if any(run.evaluations for run in runs) else ""
    links += '<li><a href="#notes">Notes</a></li>'
    return _PAGE.format(
        title=escape(title),
        style=files("hotlap.analysis.report").joinpath("report.css").read_text(encoding="utf-8"),
        links=links,
        subtitle=escape(_subtitle(runs)),
        body="\n".join(part for part in parts if part),
        version=escape(__version__),
    )


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title} – hotlap</title>
<style>
{style}</style>
</head>
<body>
<nav aria-label="Contents"><ol>{links}</ol></nav>
<main>
<header><h1>{title}</h1><p>{subtitle}</p></header>
{body}
<footer>Written by hotlap {version}. A click enlarges a figure. The figures are also PNG files in the folder beside
this page, and functions in hotlap.analysis.figures.</footer>
</main>
</body>
</html>
"""


def _subtitle(runs: Sequence[Run]) -> str:
    driven = [track for run in runs for track in (*run.tracks.values(), *(each.track for each in run.evaluations))]
    tracks = dict.fromkeys(track.name for track in driven if track is not None)
    *first, last = tracks or ["an unknown track"]
    places = f"{', '.join(first)} and {last}" if first else last
    if len(tracks) > _MAX_NAMED:
        places = f"{len(tracks)} tracks"
    return f"Trained on {places}" if len(runs) == 1 else f"Side by side, on {places}"


def _headline(runs: Sequence[Run]) -> str:
    if len(runs) == 1:
        tiles = "".join(
            f"<div><dt>{escape(fact.label)}</dt><dd>{escape(fact.value)}<small>{escape(fact.detail)}</small></dd></div>"
            for fact in headline(runs[0])
        )
        return f'<dl class="tiles">{tiles}</dl>'
    facts = [headline(run) for run in runs]
    head = "".join(f'<th scope="col" class="model{i + 1}">{escape(run.name)}</th>' for i, run in enumerate(runs))
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0].label)}</th>'
        + "".join(f"<td>{escape(fact.value)}<small>{escape(fact.detail)}</small></td>" for fact in row)
        + "</tr>"
        for row in zip(*facts, strict=True)
    )
    head = f"<thead><tr><td></td>{head}</tr></thead>"
    return f'<div class="scroll"><table class="side">{head}<tbody>{rows}</tbody></table></div>'


def _findings(run: Run, whose: str) -> str:
    sentences = findings(run)
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<section class="findings"><h2>What the records{escape(whose)} say</h2><ul>{items}</ul></section>'


def _chapter(chapter: Chapter, pictures: Mapping[str, Picture]) -> str:
    rows = chapter.rows()
    if not rows:
        content = f'<p class="missing">{escape(chapter.missing)}</p>'
    elif all(len(row) == 1 for row in rows):
        content = f'<div class="packed">{"".join(_card(card, pictures[card.name]) for card in chapter.cards)}</div>'
    else:
        content = "".join(_row(row, pictures) for row in rows)
    return f'<section id="{chapter.anchor}"><h2>{escape(chapter.title)}</h2>{content}</section>'


def _row(cards: Sequence[Card], pictures: Mapping[str, Picture]) -> str:
    """The same figure of several models or tracks, with its words once."""
    words = dict.fromkeys(card.words for card in cards)
    common = len(words) == 1
    figures = "".join(_card(card, pictures[card.name], words=not common) for card in cards)
    caption = f'<p class="words">{escape(next(iter(words)))}</p>' if common else ""
    return f'<div class="row"><div class="models">{figures}</div>{caption}</div>'


def _card(card: Card, picture: Picture, *, words: bool = True) -> str:
    label = f"<h3>{escape(card.label)}</h3>" if card.label else ""
    name = escape(" ".join(part for part in (card.name.replace("_", " "), card.label) if part))
    caption = f"<figcaption>{escape(card.words)}</figcaption>" if words else ""
    return (
        f'<figure>{label}<label><input type="checkbox" aria-label="enlarge"><picture>'
        f'<source media="(prefers-color-scheme: dark) and (not print)" srcset="{_data(picture.dark)}">'
        f'<img alt="{name}" width="{picture.width}" height="{picture.height}" src="{_data(picture.light)}">'
        f"</picture></label>{caption}</figure>"
    )


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"


def _evaluations(runs: Sequence[Run]) -> str:
    rows = [(run, each) for run in runs for each in reversed(run.evaluations[-MAX_EVALUATIONS:])]
    if not rows:
        return ""
    left_out = sum(len(run.evaluations) for run in runs) - len(rows)
    earlier = f" {left_out} earlier evaluations are left out." if left_out else ""
    columns = ["Model"] if len(runs) > 1 else []
    columns += ["Evaluation", "Laps", "Complete", "Clean", "Median lap", "Fastest lap", "Off track", "Crashes"]
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    lines = "".join(
        "<tr>"
        + (f"<td>{escape(run.name)}</td>" if len(runs) > 1 else "")
        + "".join(f"<td>{escape(cell)}</td>" for cell in _evaluation_row(evaluation))
        + "</tr>"
        for run, evaluation in rows
    )
    return (
        '<section id="evaluations"><h2>Evaluations</h2><div class="scroll"><table class="laps">'
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
        '<p class="words">From the traces of evaluations, the newest first. A clean lap is complete without any '
        f"mishap. Times are those on the track, with penalties that were served.{earlier}</p></section>"
    )


def _evaluation_row(evaluation: Evaluation) -> list[str]:
    steps, episodes = evaluation.steps, evaluation.episodes
    count = {
        name: np.add.reduceat(steps.status == STATUS_NAMES.index(name), episodes.first, dtype=np.int64)
        for name in ("off_track", "crashed", "reversed", "immobilized")
    }
    complete = episodes.complete
    clean = complete & (sum(count.values()) == 0)
    times = episodes.seconds[complete]
    return [
        _date(evaluation.name),
        f"{len(episodes)}",
        f"{complete.sum()}",
        f"{clean.sum()}",
        f"{np.median(times):.2f} s" if len(times) else "–",
        f"{times.min():.2f} s" if len(times) else "–",
        f"{count['off_track'].sum()}",
        f"{count['crashed'].sum()}",
    ]


def _date(stamp: str) -> str:
    """A stamp YYYYMMDDhhmmss as date and time; other names as they are."""
    if len(stamp) != 14 or not stamp.isdecimal():
        return stamp
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]} {stamp[8:10]}:{stamp[10:12]}"


def _notes(runs: Sequence[Run]) -> str:
    items = "".join(
        f"<li>{escape(f'{run.name}: ' if len(runs) > 1 else '')}{escape(note)}</li>"
        for run in runs
        for note in run.notes
    )
    content = f"<ul>{items}</ul>" if items else "<p>Everything that was looked for was there and could be read.</p>"
    return f'<section id="notes" class="notes"><h2>Notes</h2>{content}</section>'
