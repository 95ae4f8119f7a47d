"""Clean laps with a teacher on twelve routes of DeepRacer, short, long, narrow, open, both directions, at 2 and 4 m/s.

Every row is `hotlap bench learn --method teacher` with one seed. Trainings may run side by side, one processor thread
each: each takes longer than alone, so what it reaches in its minutes is the least that it reaches alone.

Run: python benchmarks/routes.py FOLDER_OF_ROUTES [--minutes 5] [--jobs 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from hotlap.bench.clean_laps import LapTask, bench_clean_laps
from hotlap.bench.machine import provenance

# Route, whether it is driven against its order of waypoints.
ROUTES = (
    ("reInvent2019_wide", False),
    ("Bowtie_track", True),
    ("reinvent_base_2019", False),
    ("Mexico_track_eval", True),
    ("China_eval_track", False),
    ("New_York_Eval_Track", True),
    ("Tokyo_Training_track", False),
    ("2022_summit_speedway", True),
    ("2022_reinvent_champ", False),
    ("thunder_hill_open", False),
    ("Spain_track", True),
    ("Monaco", False),
)
SPEEDS = (2.0, 4.0)  # [m/s]


def row(task: LapTask, minutes: float, threads: int) -> dict[str, Any]:
    """What came of one training."""
    found = bench_clean_laps(task, method="teacher", seeds=1, minutes=minutes, threads=threads)
    names = ("track", "speed", "reverse", "clean_share", "lap_s_median", "seconds", "teacher", "student")
    return {name: found[name] for name in names}


def main() -> None:
    """Train, drive, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("routes", type=Path, metavar="FOLDER_OF_ROUTES")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    tasks = [
        LapTask(str(options.routes / f"{name}.npy"), speed, reverse=reverse)
        for speed in SPEEDS
        for name, reverse in ROUTES
    ]
    rows: list[dict[str, Any]] = []
    print(
        "| route | driven | m/s | clean | lap s | teacher: clean | lap s | seconds |\n|---|---|---|---|---|---|---|---|"
    )
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        running = [pool.submit(row, task, options.minutes, 1 if options.jobs > 1 else 0) for task in tasks]
        for each in as_completed(running):
            found = each.result()
            rows.append(found)
            laps = (f"{of['clean_share']:.0%} | {of['lap_s_median'] or '–'}" for of in (found, found["teacher"]))
            print(
                f"| {found['track']} | {'against' if found['reverse'] else 'as is'} | {found['speed']:g} | "
                f"{' | '.join(laps)} | {found['seconds']:.0f} |",
                flush=True,
            )
            if options.json:
                rows.sort(key=lambda each: (each["speed"], each["track"]))
                about = {"minutes": options.minutes, "jobs": options.jobs, "machine": provenance()}
                options.json.write_text(json.dumps({"routes": rows} | about, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
