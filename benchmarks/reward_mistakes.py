"""Print the table of docs/reward-check.md: what `hotlap reward check` says of files, as Markdown.

    python benchmarks/reward_mistakes.py tests/cases/rewards/mistakes/*.py

With `--seconds` before the files there is a column of the time that each took.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from hotlap.envs.practice import races_for
from hotlap.rewards.source_check import Problem, reads_objects
from hotlap.rewards.watched import check_watched
from hotlap.tracks.catalog import load_track
from hotlap.tracks.track import Track

_driven: dict[bool, Any] = {}


def driven(file: str, tracks: list[Track]) -> Any:
    """`races_for`, driven once for all files outside model folders."""
    try:
        with_objects = reads_objects(Path(file).read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        with_objects = False
    if with_objects not in _driven:
        _driven[with_objects] = races_for(file, tracks)
    return _driven[with_objects]


def sentence(problems: list[Problem], file: Path) -> str:
    """The first thing that was said, without the inputs, the path, and what only the console would refuse."""
    said = [each for each in problems if each.level != "note"]
    text = said[0].message.replace(f"{file.absolute().parent}/", "") if said else ""
    begin, _, rest = text.partition(" Inputs: ")
    return f"{begin}{rest[rest.find(' So do') :] if ' So do' in rest else ''}".replace("|", "\\|").replace("\n", " ")


def main() -> None:
    with_seconds = sys.argv[1] == "--seconds"
    tracks = [load_track("first_lap"), load_track("river_run")]
    print(f"| file | verdict |{' seconds |' if with_seconds else ''} what it says first |")
    print("|---|---|---|" + ("---|" if with_seconds else ""))
    for name in sys.argv[1 + with_seconds :]:
        begin = time.monotonic()
        races, routes, needed = (races_for if with_seconds else driven)(name, tracks)
        report = check_watched(name, races, routes, needed=needed)
        seconds = f" {time.monotonic() - begin:.1f} |" if with_seconds else ""
        verdict = (
            "error"
            if not report.ok
            else "warning"
            if any(each.level == "warning" for each in report.problems)
            else "ok"
        )
        print(f"| `{Path(name).stem}` | {verdict} |{seconds} {sentence(report.problems, Path(name))} |", flush=True)


if __name__ == "__main__":
    main()
