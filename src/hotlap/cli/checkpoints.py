"""``hotlap checkpoints``: what each checkpoint of a model has driven, and which are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotlap.cli.console import JsonOption, columns, print_json, print_table, screen
from hotlap.cli.model_argument import DrfcOption, choose_model

if TYPE_CHECKING:
    from hotlap.records.tallies import Tally


def checkpoints(
    folder: Annotated[
        str | None, typer.Argument(metavar="DIR", help="Model folder with a trained model, or s3://bucket/prefix.")
    ] = None,
    drfc: DrfcOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the checkpoints of a model: how many evaluation laps each drove clean, how fast, and which are kept.

    training.keep_checkpoints in job.toml says which stay: "all", "best 5", "every 10", or a number of the newest.

    JSON keys: folder, checkpoints (each with number, name, steps, laps, clean_laps, clean_rate, low, high, lap_time_s,
    kept, best, last).
    """
    from hotlap.records.checkpoints import CheckpointName, CheckpointStore
    from hotlap.records.tallies import TallyLog
    from hotlap.training.ranking import candidate, estimate

    choice = choose_model(folder, drfc, command="checkpoints", needs_reward=False, quiet=True)
    place = choice.place
    store = CheckpointStore(place)
    kept, tallies, best = store.list(), TallyLog(store.store).read(), store.best()
    driven = {name: tally for text, tally in tallies.items() if (name := CheckpointName.parse(text))}
    rows: list[dict[str, Any]] = []
    for name in sorted({*kept, *driven}):
        tally = driven.get(name)
        interval = estimate(tally) if tally else None
        lap_time = candidate(tally).lap_time_ms if tally else None
        rows.append(
            {
                "number": name.number,
                "name": str(name),
                "steps": name.steps,
                "laps": tally.num_laps if tally else 0,
                "clean_laps": tally.clean_laps if tally else 0,
                "clean_rate": interval.value if interval else None,
                "low": interval.low if interval else None,
                "high": interval.high if interval else None,
                "lap_time_s": lap_time / 1000 if lap_time else None,
                "kept": name in kept,
                "best": best is not None and name == best.name,
                "last": bool(kept) and name == kept[-1],
            }
        )
    if not rows:
        store.refuse_foreign()
    if as_json:
        print_json({"folder": str(place), "checkpoints": rows})
        return
    if not rows:
        print(f"{place} has no checkpoint yet.")
        return
    table = columns("number", "steps", "laps", "clean", "95 % interval", "lap s", "mark", left=("mark",))
    for row in rows:
        clean = "–" if row["clean_rate"] is None else f"{row['clean_rate']:.0%}"
        between = "–" if row["low"] is None else f"{100 * row['low']:.1f}–{100 * row['high']:.1f} %"
        lap = "–" if row["lap_time_s"] is None else f"{row['lap_time_s']:.2f}"
        marks = [word for word in ("best", "last") if row[word]] + ([] if row["kept"] else ["not kept"])
        shown = (str(row["number"]), f"{row['steps']:,}", str(row["laps"]), clean, between, lap)
        table.add_row(*shown, ", ".join(marks))
    print_table(screen(), table)
    if not all(row["kept"] for row in rows):
        print(
            "not kept: its weights were deleted to save room, only its results are left; training.keep_checkpoints in "
            "job.toml says which stay."
        )


def how_sure(place: str | Path, name: str) -> str:
    """Which checkpoint of the model at ``place`` this is, and what it drove in training, with the interval.

    ``checkpoint 12 (best): 157 of 160 laps clean (true share between 94.6 and 99.4 %, with 95 % certainty)``
    """
    from hotlap.records.checkpoints import CheckpointStore
    from hotlap.records.tallies import TallyLog

    store = CheckpointStore(place)
    best, kept = store.best(), store.list()
    marks = [
        word
        for word, found in (("best", best and best.name), ("last", kept[-1] if kept else None))
        if found is not None and str(found) == name
    ]
    words = f"checkpoint {name.partition('_')[0]}" + (f" ({', '.join(marks)})" if marks else "")
    tally = TallyLog(store.store).read().get(name)
    return f"{words}: {_laps(tally)}" if tally and tally.num_laps else f"{words}: it has not driven in an evaluation"


def _laps(tally: Tally) -> str:
    from hotlap.training.ranking import estimate

    interval = estimate(tally)
    low, high = (f"{100 * share:.1f}".removesuffix(".0") for share in (interval.low, interval.high))
    between = f"true share between {low} and {high} %, with 95 % certainty"
    return f"{tally.clean_laps} of {tally.num_laps} laps clean ({between})"
