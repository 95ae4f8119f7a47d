"""Which car was recorded, where several versions log alike: the one that repeats the recorded drive clearly better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hotlap.records.steps import Steps
from hotlap.sim.vehicle import VEHICLES
from hotlap.validation.drift import HORIZONS, OBSERVER_GAINS, cut_windows, find_windows, replay, replay_errors

FEWEST = 10  # windows of a second
_CLEARLY = 0.9  # of the next best car's error: below it, at every horizon, the best one is the one that drove
_COMPARED = ("0.5", "1", "2")  # [s] longer replays tell less, for every error grows in them


def different_cars(versions: Sequence[str]) -> list[str]:
    """The versions whose cars differ; of those with one car the last."""
    found: dict[object, str] = {}
    for version in versions:
        car = "v2" if version == "v1" else version
        found[VEHICLES[car], OBSERVER_GAINS[car]] = version
    return list(found.values())


def car_errors(steps: Steps, versions: Sequence[str]) -> dict[str, dict[str, float]]:
    """Median error [m] with which the car of each version repeats a drive, by horizon; empty if it is too short."""
    windows = cut_windows([(steps, find_windows(steps))])
    if sum(windows.horizon >= HORIZONS["1"]) < FEWEST:
        return {}
    return {
        version: replay_errors(windows, replay(windows, VEHICLES[version], OBSERVER_GAINS[version]))["median_m"]
        for version in versions
    }


def clearly_best(errors: Mapping[str, Mapping[str, float]]) -> str | None:
    """The version whose car repeats the drive clearly better than all others, over every stretch; None without one."""
    if not errors:
        return None
    best, *others = sorted(errors, key=lambda version: errors[version]["1"])
    horizons = [each for each in _COMPARED if each in errors[best]]
    clear = all(errors[best][each] < _CLEARLY * errors[other][each] for other in others for each in horizons)
    return best if clear else None
