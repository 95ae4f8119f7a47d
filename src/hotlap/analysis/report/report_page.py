"""The page of a report: HTML that loads nothing from anywhere, for small screens and large ones, light and dark.

``report_page.html.j2`` is the page; here stands what is filled in.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from hotlap import __version__
from hotlap.analysis.read.run_data import Evaluation, Run
from hotlap.analysis.report.chapters import Chapter, findings
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
    environment = Environment(
        loader=PackageLoader("hotlap.analysis", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_url"] = _data_url
    shown = [(run, each) for run in runs for each in reversed(run.evaluations[-MAX_EVALUATIONS:])]
    return environment.get_template("report_page.html.j2").render(
        runs=runs,
        subtitle=_subtitle(runs),
        headlines=list(zip(*map(headline, runs), strict=True)),
        findings=[(run, findings(run)) for run in runs],
        chapters=chapters,
        pictures=pictures,
        columns=("Evaluation", "Laps", "Complete", "Clean", "Median lap", "Fastest lap", "Off track", "Crashes"),
        evaluations=[(run, _evaluation_row(each)) for run, each in shown],
        num_left_out=sum(len(run.evaluations) for run in runs) - len(shown),
        version=__version__,
    )


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"


def _subtitle(runs: Sequence[Run]) -> str:
    driven = [track for run in runs for track in (*run.tracks.values(), *(each.track for each in run.evaluations))]
    tracks = dict.fromkeys(track.name for track in driven if track is not None)
    *first, last = tracks or ["an unknown track"]
    places = f"{', '.join(first)} and {last}" if first else last
    if len(tracks) > _MAX_NAMED:
        places = f"{len(tracks)} tracks"
    return f"Trained on {places}" if len(runs) == 1 else f"Side by side, on {places}"


def _evaluation_row(evaluation: Evaluation) -> list[str]:
    """The cells of an evaluation, in the order of the table's columns."""
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
