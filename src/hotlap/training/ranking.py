"""Which checkpoint is the best: the one that surely drives most laps clean, or by another measure.

The best of many short measurements is mostly a lucky one. So every checkpoint drives the same sets of cars, laps add
up, and checkpoints that may be equally good drive further sets until they are told apart or have driven `MAX_SETS`.
What counts is not the share but the lower end of its interval, which few laps leave low.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

from hotlap.config.job import OUR_METRICS, BestModelMetric
from hotlap.deepracer.metadata_names import BestModelMetric as IndexMetric
from hotlap.evaluation.statistics import Estimate, EvaluationReport, wilson
from hotlap.records.checkpoints import CheckpointName, IndexEntry
from hotlap.records.tallies import Moments, Tally
from hotlap.records.trainer_state import BestCheckpoint

INCOMPLETE_LAP_MS = 999_999  # what a lap that was not finished counts in a mean lap time, as in the original
MAX_SETS = 2  # of cars that a checkpoint drives while training goes on …
MAX_FINAL_SETS = 5  # … and when it ends
NUM_CONTENDERS = 4  # checkpoints, the best one included, that may still turn out to be the best
WORTH_A_CLOSER_LOOK = 0.5  # share of clean laps below which a single set is enough while training goes on
_QUANTILE = 1.96  # of the normal distribution, for an interval of 95 %


def with_laps(tally: Tally, report: EvaluationReport, rewards: Sequence[float]) -> Tally:
    """The tally after one further set of cars.

    Args:
        tally: Before it.
        report: The laps of the set.
        rewards: Sum of rewards of each episode.
    """
    laps = report.laps
    times = [lap.time_ms if lap.complete else INCOMPLETE_LAP_MS for lap in laps]
    return Tally(
        checkpoint=tally.checkpoint,
        num_sets=tally.num_sets + 1,
        num_laps=tally.num_laps + len(laps),
        clean_laps=tally.clean_laps + sum(lap.clean for lap in laps),
        clean_times_ms=(*tally.clean_times_ms, *(round(lap.time_ms) for lap in laps if lap.clean)),
        progress=tally.progress.plus([lap.completion_percentage for lap in laps]),
        reward=tally.reward.plus(rewards),
        laptime=tally.laptime.plus(times),
    )


def candidate(tally: Tally, metric: BestModelMetric = "clean_laps") -> BestCheckpoint:
    """What all laps of a checkpoint say about it; the index file tells its mean lap time [ms] for "laptime", its mean
    reward for "reward", else its mean progress [%]."""
    return BestCheckpoint(
        name=tally.checkpoint,
        metric=tally.mean(_moments(tally, metric)),
        clean_rate=tally.clean_rate,
        lap_time_ms=_median(tally.clean_times_ms),
    )


def estimate(tally: Tally, metric: BestModelMetric = "clean_laps") -> Estimate:
    """The measure of a checkpoint with its 95 % interval; more is better, so lap times count negative."""
    if tally.num_laps == 0:
        return Estimate(0.0, -math.inf, math.inf)
    if metric in OUR_METRICS:
        share = wilson(tally.clean_laps, tally.num_laps)
        assert share is not None
        return share if metric == "clean_laps" else _pace(tally, share)
    moments, num = _moments(tally, metric), tally.num_laps
    mean = moments.total / num
    variance = max(0.0, moments.squares / num - mean * mean)
    half = _QUANTILE * math.sqrt(variance / max(1, num - 1))
    value = -mean if metric == "laptime" else mean
    return Estimate(value, value - half, value + half)


def is_better(new: Tally, old: Tally | None, metric: BestModelMetric = "clean_laps") -> bool:
    """Whether ``new`` becomes the best: by the lower end of its interval, at a tie by more of the lap (by clean laps
    with the measures of the original), then by faster laps. The newer one is better at a complete tie."""
    return old is None or _rank(new, metric) >= _rank(old, metric)


def may_be_better(one: Tally, other: Tally, metric: BestModelMetric = "clean_laps") -> bool:
    """Whether the laps of ``one`` leave open that it is as good as the middle of the interval of ``other``."""
    return estimate(one, metric).high >= _middle(other, metric)


def next_drivers(challenger: Tally, incumbent: Tally | None, metric: BestModelMetric = "clean_laps") -> list[Tally]:
    """Who of the two drives a further set of cars before the better one is chosen; empty when that can be done.

    Whoever has driven fewer sets catches up, so that both are judged by the same cars; then both drive on, unless one
    is clearly better, both have driven `MAX_SETS`, or neither is good enough to be worth it.
    """
    if incumbent is None or not may_be_better(challenger, incumbent, metric):
        return []
    if challenger.num_sets != incumbent.num_sets:
        return [min(challenger, incumbent, key=lambda tally: tally.num_sets)]
    plain = min(challenger.clean_rate, incumbent.clean_rate) < WORTH_A_CLOSER_LOOK
    if plain or challenger.num_sets >= MAX_SETS or not may_be_better(incumbent, challenger, metric):
        return []
    return [challenger, incumbent]


def contenders(
    tallies: Iterable[Tally], best: Tally, metric: BestModelMetric = "clean_laps", *, number: int = NUM_CONTENDERS
) -> list[Tally]:
    """The best checkpoint, and the most promising others up to ``number`` in all."""
    others = sorted(
        (tally for tally in tallies if tally.checkpoint != best.checkpoint),
        key=lambda tally: (_middle(tally, metric), *_rank(tally, metric), _number(tally)),
        reverse=True,
    )
    return [best, *others[: number - 1]]


def final_drivers(tallies: Sequence[Tally], metric: BestModelMetric = "clean_laps") -> list[Tally]:
    """Who of the contenders drives a further set of cars when training ends; empty when the best can be chosen.

    Those who may still be better than the leader catch up with one another and drive on to `MAX_FINAL_SETS`.
    """
    leader = leading(tallies, metric)
    if leader.clean_laps == 0:
        return []
    open_ones = [tally for tally in tallies if tally is leader or may_be_better(tally, leader, metric)]
    fewest = min(tally.num_sets for tally in open_ones)
    if len(open_ones) == 1 or fewest >= MAX_FINAL_SETS:
        return []
    return [tally for tally in open_ones if tally.num_sets == fewest]


def leading(tallies: Iterable[Tally], metric: BestModelMetric = "clean_laps") -> Tally:
    """The best of them."""
    return max(tallies, key=lambda tally: (_rank(tally, metric), _number(tally)))


def index_entry(checkpoint: BestCheckpoint, sim_time: float) -> IndexEntry:
    """What the index file says about an evaluated checkpoint, at a time of the simulation clock [s]."""
    name = CheckpointName.parse(checkpoint.name)
    assert name is not None
    return IndexEntry(name, checkpoint.metric, sim_time)


def index_metric(metric: BestModelMetric) -> IndexMetric:
    """What the index and metrics files, which know no clean laps, name as the measure of the best checkpoint."""
    return "progress" if metric == "clean_laps" or metric == "clean_pace" else metric


def _moments(tally: Tally, metric: BestModelMetric) -> Moments:
    return {"reward": tally.reward, "laptime": tally.laptime}.get(metric, tally.progress)


def _rank(tally: Tally, metric: BestModelMetric) -> tuple[float, float, float]:
    lap_time = _median(tally.clean_times_ms)
    second = tally.mean(tally.progress) if metric in OUR_METRICS else tally.clean_rate
    return estimate(tally, metric).low, second, -math.inf if lap_time is None else -lap_time


def _pace(tally: Tally, share: Estimate) -> Estimate:
    """Time of a clean lap [ms] over the squared share of clean laps, negative: a lap that is not clean costs more than
    the time of a further one."""
    lap_time = _median(tally.clean_times_ms)
    if lap_time is None:
        return Estimate(-math.inf, -math.inf, -math.inf)
    value, low, high = (-lap_time / max(each, 1e-6) ** 2 for each in (share.value, share.low, share.high))
    return Estimate(value, low, high)


def _middle(tally: Tally, metric: BestModelMetric) -> float:
    interval = estimate(tally, metric)
    return (interval.low + interval.high) / 2 if tally.num_laps else -math.inf


def _median(times: Sequence[float]) -> float | None:
    return float(median(times)) if times else None


def _number(tally: Tally) -> int:
    return int(tally.checkpoint.partition("_")[0])
