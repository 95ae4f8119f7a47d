"""How fast a fleet of any size would train: a simulation of its events, from costs that were measured.

Simulated are a trainer and its workers, in iterations. The trainer sends its weights once to every node, gives each
worker its share of the episodes, takes episodes as they come, learns from all of them, and saves. A worker plays its
share side by side; each control step takes as long as it has episodes that are not over, so that the longest episode of
all keeps the trainer waiting. An episode goes through the link of the trainer's machine, behind those before it, and
then through the trainer's event loop, one at a time.
"""

from __future__ import annotations

import heapq
import itertools
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from hotlap.bench.fleet_speed import time_of_step
from hotlap.errors import ConfigError

GBIT = 1e9 / 8  # [bytes/s]
ITERATIONS = 4  # the first of them is not counted: with a lag of one it has nothing to overlap with
SPEED_SPREAD = 0.05  # machines and moments differ: standard deviation of the logarithm of a worker's speed


@dataclass(frozen=True)
class Costs:
    """What things take; times in microseconds if not said otherwise. Measured by `hotlap bench fleet`."""

    step_us: tuple[tuple[float, float], ...]
    """A control step of a worker: numbers of worlds and times, see `time_of_step`."""
    episode_end_us: float
    """The end of an episode, at the worker."""
    put_us_per_mb: float
    """Bringing an episode into shared memory, at the worker."""
    encode_us: float
    """Compressing a frame, at the worker."""
    decode_us: float
    """The reverse, at the trainer."""
    ratio: float
    """How many frames travel in the room of one, compressed."""
    frame_bytes: float
    step_bytes: float
    """Of a step's frame and all that belongs to it."""
    weights_bytes: float
    put_weights_ms: float
    """Bringing the weights into shared memory, at the trainer [ms]."""
    load_weights_ms: float
    """Until a worker on the same machine has them and has built its network of them [ms]."""
    dispatch_us: float
    """Giving a worker its share, at the trainer."""
    take_us: float
    """Taking an episode that is there, at the trainer."""
    look_us_per_share: float
    """Looking what is there, at the trainer, for each worker that has not said that it is done."""
    object_us: float
    """Ray's way of an object from node to node, if the link were infinitely fast …"""
    object_us_per_mb: float
    """… and for its bytes."""
    update_us_per_step: float
    """Learning from a step, all epochs."""
    checkpoint_ms: float
    """Writing the checkpoint of an iteration [ms]."""
    record_us_per_step: float
    """Writing traces and metrics."""

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Costs:
        """From the result of `hotlap bench fleet`.

        Raises:
            ConfigError: If it is none, or was measured where two nodes could not be had.
        """
        try:
            (way,) = (way for way in found["compression"] if way["codec"] == "zstandard 1" and not way["delta"])
            values = {**found["costs"], **{name: way[name] for name in ("encode_us", "decode_us", "ratio")}}
            steps = tuple((float(number), float(us)) for number, us in values.pop("step_us"))
            names = [field.name for field in fields(cls) if field.name != "step_us"]
            return cls(step_us=steps, **{name: float(values[name]) for name in names})
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"the costs are not complete ({type(error).__name__}: {error}). Expected what "
                "`hotlap bench fleet --json` prints on Linux; measure again."
            ) from None

    def episode_bytes(self, num_steps: float, *, packed: bool) -> float:
        """What travels for an episode."""
        return num_steps * (self.step_bytes - (self.frame_bytes * (1 - 1 / self.ratio) if packed else 0.0))


@dataclass(frozen=True)
class Setting:
    """A trainer and its workers."""

    num_workers: int
    num_episodes: int
    """In an iteration."""
    link_gbit: float | None = None
    """Of every machine [Gbit/s]; None: all workers are on the trainer's machine."""
    packed: bool = False
    """Whether frames are compressed."""
    lag: int = 0
    """1: the next collection begins before the update."""
    workers_per_node: int = 16
    cores_per_node: int = 16
    speed_spread: float = SPEED_SPREAD
    even: bool = False
    """Let every worker end when it would if all episodes had the same length and all workers the same speed."""
    worlds: int | None = None
    """How many episodes a worker plays side by side; None: all that it has."""


@dataclass(frozen=True)
class Outcome:
    """What came of a simulation."""

    steps_per_s: float
    iteration_s: float


def simulate(costs: Costs, setting: Setting, episode_steps: Sequence[int]) -> Outcome:
    """Run some iterations with episodes whose lengths are drawn from ``episode_steps``; the same draws every time."""
    rng = np.random.default_rng(0)
    lengths = rng.choice(np.asarray(episode_steps), (ITERATIONS, setting.num_episodes))
    now = 0.0
    ahead: list[Arrival] | None = None
    ends = []
    for k in range(ITERATIONS):
        if ahead is None:
            arrivals = play(costs, setting, lengths[k], rng, now)
            now += _start_s(costs, setting)
        else:
            arrivals = ahead
        if k:  # while the workers play
            now += 1e-3 * costs.checkpoint_ms + 1e-6 * costs.record_us_per_step * lengths[k - 1].sum()
        now = take(costs, setting, arrivals, now)
        if setting.lag and k + 1 < ITERATIONS:
            ahead = play(costs, setting, lengths[k + 1], rng, now)
            now += _start_s(costs, setting)
        now += 1e-6 * costs.update_us_per_step * (lengths[k].sum() - setting.num_episodes)
        ends.append(now)
    seconds = ends[-1] - ends[0]
    return Outcome(steps_per_s=float(lengths[1:].sum() / seconds), iteration_s=seconds / (ITERATIONS - 1))


@dataclass(frozen=True)
class Arrival:
    """Something that a worker has for the trainer."""

    time_s: float
    num_steps: float
    """Of the episode; 0: the worker says that there is none left."""


def play(
    costs: Costs, setting: Setting, lengths: Sequence[float] | np.ndarray, rng: np.random.Generator, begin: float
) -> list[Arrival]:
    """What the workers have for the trainer after a collection that it started at ``begin`` [s], in order of time."""
    num_workers, per_node = setting.num_workers, setting.workers_per_node
    slowness = np.exp(setting.speed_spread * rng.standard_normal(num_workers))
    shares = [_ends(lengths[k::num_workers], setting.worlds) for k in range(num_workers)]
    num_nodes = -(-num_workers // per_node)
    on_node = [min(per_node, num_workers - node * per_node) for node in range(num_nodes)]
    busy = [0] * num_nodes
    played: list[list[Arrival]] = [[] for _ in shares]
    starts = _starts(costs, setting, begin)
    step_us = [time_of_step(costs.step_us, number) for number in range(len(shares[0]) + 1)]
    # What happens next: time, worker, number of its episodes that are over (-1: it has its weights).
    events = [(start, k, -1) for k, start in enumerate(starts)]
    heapq.heapify(events)
    while events:
        now, k, over = heapq.heappop(events)
        node, share = k // per_node, shares[k]
        if over < 0:
            busy[node] += 1
        else:
            crowding = max(1.0, busy[node] / setting.cores_per_node)
            _, num_steps = share[over]
            now += crowding * slowness[k] * 1e-6 * _send_us(costs, setting, num_steps)
            played[k].append(Arrival(now, num_steps))
        following = over + 1
        if following == len(share):
            busy[node] -= 1
            played[k].append(Arrival(now, 0))
            continue
        steps = share[following][0] - (share[over][0] if over >= 0 else 0)
        side_by_side = min(len(share) - following, setting.worlds or len(share))
        # Workers that share a core take turns.
        crowding = max(1.0, min(busy[node], on_node[node]) / setting.cores_per_node)
        heapq.heappush(events, (now + crowding * slowness[k] * 1e-6 * steps * step_us[side_by_side], k, following))
    if setting.even:
        played = [
            _evened(costs, setting, each, start, float(np.mean(lengths)))
            for each, start in zip(played, starts, strict=True)
        ]
    return sorted(itertools.chain(*played), key=lambda arrival: arrival.time_s)


def _ends(lengths: Sequence[float] | np.ndarray, worlds: int | None) -> list[tuple[float, float]]:
    """When the episodes of a worker end, in steps since it began, and how long each was; those that end first first."""
    free = [0.0] * min(worlds or len(lengths), len(lengths))
    ends = []
    for num_steps in lengths:
        end = heapq.heappop(free) + num_steps
        heapq.heappush(free, end)
        ends.append((end, num_steps))
    return sorted(ends)


def _evened(
    costs: Costs, setting: Setting, arrivals: Sequence[Arrival], start: float, num_steps: float
) -> list[Arrival]:
    """What a worker that began at ``start`` [s] has for the trainer, in the time of even episodes; see `Setting`."""
    number = len(arrivals) - 1
    even_s = 1e-6 * (num_steps * time_of_step(costs.step_us, number) + number * _send_us(costs, setting, num_steps))
    pace = even_s / (arrivals[-1].time_s - start)
    return [Arrival(start + pace * (each.time_s - start), each.num_steps) for each in arrivals]


def take(costs: Costs, setting: Setting, arrivals: Sequence[Arrival], begin: float) -> float:
    """When the trainer has taken everything, if it begins with that at ``begin`` [s]."""
    here, link_free = [], begin
    for arrival in arrivals:
        time_s = max(arrival.time_s, begin)
        if arrival.num_steps and setting.link_gbit is not None:
            num_bytes = costs.episode_bytes(arrival.num_steps, packed=setting.packed)
            link_free = time_s = max(time_s, link_free) + _transfer_s(costs, setting.link_gbit, num_bytes)
        here.append((time_s, arrival.num_steps))
    here.sort()  # that a worker is done need not pass the link
    now, taken, num_open = begin, 0, setting.num_workers
    while taken < len(here):
        now = max(now, here[taken][0])
        there = here[taken : bisect_right(here, (now, math.inf))]
        now += 1e-6 * costs.look_us_per_share * num_open
        for _, num_steps in there:
            now += 1e-6 * (costs.take_us + (costs.decode_us * num_steps if setting.packed else 0.0))
            num_open -= not num_steps
        taken += len(there)
    return now


def _starts(costs: Costs, setting: Setting, begin: float) -> list[float]:
    """When each worker has its weights and its share [s]; every node gets the weights once."""
    given = begin + 1e-3 * costs.put_weights_ms
    link_free = given
    starts = []
    for k in range(setting.num_workers):
        given += 1e-6 * costs.dispatch_us
        if k % setting.workers_per_node == 0:
            on_node = given
            if setting.link_gbit is not None:
                transfer_s = _transfer_s(costs, setting.link_gbit, costs.weights_bytes)
                on_node = link_free = max(given, link_free) + transfer_s
        starts.append(max(given, on_node) + 1e-3 * costs.load_weights_ms)
    return starts


def _start_s(costs: Costs, setting: Setting) -> float:
    """What starting a collection takes of the trainer's time [s]."""
    return 1e-3 * costs.put_weights_ms + 1e-6 * costs.dispatch_us * setting.num_workers


def _send_us(costs: Costs, setting: Setting, num_steps: float) -> float:
    """What the end of an episode takes of the worker's time."""
    encode_us = costs.encode_us * num_steps if setting.packed else 0.0
    megabytes = costs.episode_bytes(num_steps, packed=setting.packed) / 1e6
    return costs.episode_end_us + encode_us + costs.put_us_per_mb * megabytes


def _transfer_s(costs: Costs, link_gbit: float, num_bytes: float) -> float:
    """How long an object occupies the trainer's link, or Ray's one object manager there if that is slower."""
    return max(num_bytes / (link_gbit * GBIT), 1e-6 * (costs.object_us + costs.object_us_per_mb * num_bytes / 1e6))


# What a setting would gain if something cost nothing, by the names of the figure.
FREE: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "playing": ({"step_us": ((1.0, 0.0),), "episode_end_us": 0.0, "put_us_per_mb": 0.0}, {}),
    "stragglers": ({}, {"even": True}),
    "weights": ({"weights_bytes": 0.0, "load_weights_ms": 0.0, "put_weights_ms": 0.0}, {}),
    "link": ({}, {"link_gbit": 1e6}),
    "Ray's object transfer": ({"object_us": 0.0, "object_us_per_mb": 0.0}, {}),
    "event loop": ({"take_us": 0.0, "look_us_per_share": 0.0, "dispatch_us": 0.0, "decode_us": 0.0}, {}),
    "update": ({"update_us_per_step": 0.0}, {}),
    "saving": ({"checkpoint_ms": 0.0, "record_us_per_step": 0.0}, {}),
}


def savings(costs: Costs, setting: Setting, episode_steps: Sequence[int]) -> dict[str, float]:
    """By what share an iteration would be shorter if one thing cost nothing, by the names of `FREE`."""
    whole = simulate(costs, setting, episode_steps).iteration_s
    return {
        name: float(
            1.0 - simulate(replace(costs, **less), replace(setting, **other), episode_steps).iteration_s / whole
        )
        for name, (less, other) in FREE.items()
        if setting.link_gbit is not None or "link_gbit" not in other
    }


@dataclass(frozen=True)
class Scenario:
    """What becomes of a kind of fleet as it grows."""

    name: str
    costs: Costs
    setting: Setting
    """With any number of workers."""
    episodes_per_worker: int | None = 20
    """None: the number of episodes of ``setting``, however many workers share them."""

    def grown(self, num_workers: int) -> Setting:
        """The setting with so many workers."""
        per_worker = self.episodes_per_worker
        num_episodes = per_worker * num_workers if per_worker else self.setting.num_episodes
        return replace(self.setting, num_workers=num_workers, num_episodes=num_episodes)

    def sizes(self, most: int) -> list[int]:
        """Numbers of workers that are simulated: powers of two, as far as there is an episode for each."""
        sizes = [2**k for k in range(most.bit_length()) if 2**k <= most]
        return [n for n in sizes if n <= self.grown(n).num_episodes]


def scenarios(costs: Costs, gpu_steps_per_s: float) -> list[Scenario]:
    """The kinds of fleet that are compared: trainers on a processor and on a GPU, links, compression, a lag."""
    gpu = replace(costs, update_us_per_step=1e6 / gpu_steps_per_s)
    wide = Setting(1, 20, link_gbit=10.0, packed=True)
    return [
        Scenario("processor, 10 Gbit/s", costs, wide),
        Scenario("GPU, 1 Gbit/s, frames as they are", gpu, replace(wide, link_gbit=1.0, packed=False)),
        Scenario("GPU, 1 Gbit/s", gpu, replace(wide, link_gbit=1.0)),
        Scenario("GPU, 10 Gbit/s, frames as they are", gpu, replace(wide, packed=False)),
        Scenario("GPU, 10 Gbit/s", gpu, wide),
        Scenario("GPU, 25 Gbit/s, frames as they are", gpu, replace(wide, link_gbit=25.0, packed=False)),
        Scenario("GPU, 25 Gbit/s", gpu, replace(wide, link_gbit=25.0)),
        Scenario("GPU, 10 Gbit/s, lag of one", gpu, replace(wide, lag=1)),
        Scenario("GPU, 10 Gbit/s, 20 episodes in all", gpu, wide, episodes_per_worker=None),
    ]


WORTHWHILE = 1.25  # twice the workers must train so much faster, or the fleet is as large as it should be


def grow(scenario: Scenario, episode_steps: Sequence[int], most: int, *, all_savings: bool) -> dict[str, Any]:
    """Simulate a scenario with 1, 2, 4, … workers.

    Args:
        scenario: What grows.
        episode_steps: See `simulate`.
        most: Largest number of workers.
        all_savings: Whether `savings` are wanted for every number of workers.

    Returns:
        JSON-ready: ``steps_per_s`` by number of workers, ``enough`` (the number of workers from which on twice as many
        are not `WORTHWHILE`; None: all are), ``saturated_by`` (what an iteration would gain most from if it cost
        nothing, with twice as many; playing, which more workers do, aside), ``saturated_share`` (how much) and, if
        ``all_savings``, ``savings`` by number of workers.
    """
    sizes = scenario.sizes(most)
    speeds = {n: simulate(scenario.costs, scenario.grown(n), episode_steps).steps_per_s for n in sizes}
    costly = {n: savings(scenario.costs, scenario.grown(n), episode_steps) for n in (sizes if all_savings else [])}
    enough = next((n for n, twice in itertools.pairwise(sizes) if speeds[twice] < WORTHWHILE * speeds[n]), None)
    by, share = None, None
    if enough is not None:
        there = costly.get(2 * enough) or savings(scenario.costs, scenario.grown(2 * enough), episode_steps)
        share, by = max((share, name) for name, share in there.items() if name != "playing")
    return {
        "name": scenario.name,
        "steps_per_s": {str(n): speed for n, speed in speeds.items()},
        "enough": enough,
        "saturated_by": by,
        "saturated_share": share,
        "savings": {str(n): shares for n, shares in costly.items()},
    }


def validate(found: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """What the simulation says of the collections that `hotlap bench fleet` measured, by number of workers.

    Returns:
        ``measured_s`` and ``measured_median_s``, ``processor_s`` (what the workers' processor time comes to when it is
        shared among as many cores as they can use), ``simulated_s``, and ``error`` (simulated over measured, less one).
    """
    costs, cores = Costs.read(found), found["machine"]["cores"]
    rows = {}
    for name, collection in found["collection"].items():
        if not name.isdigit():
            continue
        num_workers = int(name)
        episode_steps = found["episode_steps"][: found["episodes"] * num_workers]
        setting = Setting(
            num_workers,
            len(episode_steps),
            workers_per_node=num_workers,
            cores_per_node=cores,
            speed_spread=0.0,
            worlds=found["worlds"],
        )
        arrivals = play(costs, setting, episode_steps, np.random.default_rng(0), 0.0)
        simulated_s = take(costs, setting, arrivals, 0.0)
        rows[name] = {
            "measured_s": min(collection["seconds"]),
            "measured_median_s": float(np.median(collection["seconds"])),
            "processor_s": 1e-6 * collection["cpu_us_per_step"] * sum(episode_steps) / min(num_workers, cores),
            "simulated_s": simulated_s,
            "error": simulated_s / min(collection["seconds"]) - 1.0,
        }
    return rows
