"""Print the table of docs/reward-check.md: what `hotlap reward check` says of files, as Markdown.

    python benchmarks/reward_mistakes.py tests/cases/rewards/mistakes/*.py

With `--seconds` before the files there is a column of the time that each took.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from hotlap.envs.practice import Practice
from hotlap.rewards.report import RewardReport
from hotlap.rewards.watched import check_watched
from hotlap.tracks.catalog import load_track


def sentence(report: RewardReport, file: Path) -> str:
    """The first thing that was said, without what differs from machine to machine."""
    said = next((each.message for each in report.problems if each.level != "note"), "")
    for folder in (f"{file.absolute().parent}/", f" in {Path.cwd()}, where"):
        said = said.replace(folder, " in the folder where" if folder.startswith(" in") else "")
    return said.replace("|", "\\|").replace("\n", " ").removesuffix(".")


def main() -> None:
    with_seconds = sys.argv[1] == "--seconds"
    tracks = [load_track("first_lap"), load_track("river_run")]
    practice = Practice(tracks)
    print(f"| file | verdict |{' seconds |' if with_seconds else ''} what it says first |")
    print("|---|---|---|" + ("---|" if with_seconds else ""))
    for name in sys.argv[1 + with_seconds :]:
        begin = time.monotonic()
        races, routes, needed = (Practice(tracks) if with_seconds else practice).races_for(name)
        report = check_watched(name, races, routes, needed=needed)
        seconds = f" {time.monotonic() - begin:.1f} |" if with_seconds else ""
        print(f"| `{Path(name).stem}` | {report.verdict} |{seconds} {sentence(report, Path(name))} |", flush=True)


if __name__ == "__main__":
    main()
