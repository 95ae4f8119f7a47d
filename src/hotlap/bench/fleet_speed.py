"""How fast workers collect episodes, how soon these are at the trainer, and what the trainer waits for.

Fleets play with the weights of a short training of the stock recipe, so that episodes are as long and as different as
they are in a training. Every worker gets as many of them, whatever the size of its fleet: what is lost then is what
the fleet costs, and not that a worker with half the work ends with few long episodes sooner. Fleets take turns, so that
a busy machine slows all of them alike.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from hotlap.bench.machine import provenance
from hotlap.bench.recipe import stock_model
from hotlap.bench.transport_speed import between_nodes, compression, frame_bytes, num_frames, on_one_machine
from hotlap.config.job import Training
from hotlap.config.model_folder import ModelFolder
from hotlap.deepracer.driving import DEFAULT_TRACK
from hotlap.errors import ConfigError, MissingExtraError
from hotlap.records.events import IterationRecord
from hotlap.rollouts.fleet import Fleet, InProcessFleet
from hotlap.rollouts.model import rollout_setup
from hotlap.rollouts.plan import EpisodePlan, StartRule, plan_training
from hotlap.rollouts.ray_fleet import RayFleet
from hotlap.rollouts.ray_session import connect
from hotlap.rollouts.request import CollectRequest
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.training.trainer import Trainer
from hotlap.unfinished import scratch_folder

IN_PROCESS = "in_process"
CARRIED = 16  # episodes that are sent to and fro to measure transport
TRAINING_WORKERS = (1, 2)


@dataclass
class _Crew:
    """A fleet that is there when it is its turn, and how it did."""

    build: Callable[[], Fleet]
    num_workers: int
    plans: Sequence[EpisodePlan]
    """What it plays in a collection."""
    fleet: Fleet = field(init=False)
    seconds: list[float] = field(default_factory=list)
    worker_cpu_s: list[float] = field(default_factory=list)
    """Of all workers together."""
    put_s: list[float] = field(default_factory=list)
    """Until weights are in shared memory."""
    weights_s: list[float] = field(default_factory=list)
    """Until all workers have them, and have built their networks of them."""
    take_s: list[float] = field(default_factory=list)
    """For the driver to take all episodes when all are there."""
    checksums: dict[int, int] = field(default_factory=dict)
    """Of the actions, by number of the episode."""
    episode_steps: list[int] = field(default_factory=list)

    @property
    def num_steps(self) -> int:
        """Of a collection."""
        return sum(self.episode_steps)

    @property
    def steps_per_s(self) -> float:
        """Of the fastest collection."""
        return self.num_steps / min(self.seconds)

    @property
    def steps_per_s_median(self) -> float:
        """Of the median collection."""
        return self.num_steps / float(np.median(self.seconds))

    @contextmanager
    def turn(self, weights: Mapping[str, torch.Tensor], worlds: int) -> Iterator[None]:
        """Have the fleet, after it has filled the ``worlds`` of each worker once.

        Idle fleets would take memory from those that play.
        """
        with closing(self.build()) as self.fleet:
            self.fleet.start(CollectRequest(self.plans[: worlds * self.num_workers], weights)).result()
            yield

    def cpu_s(self) -> float:
        """Processor time that the workers have used so far [s]."""
        if not isinstance(self.fleet, RayFleet):
            return time.process_time()
        times = [psutil.Process(worker.info.pid).cpu_times() for worker in self.fleet.workers if worker.info]
        return sum(each.user + each.system for each in times)


def bench_fleet(
    *,
    track: str = DEFAULT_TRACK,
    workers: Sequence[int] = (1, 2, 4),
    episodes: int = 120,
    worlds: int = 80,
    repeats: int = 3,
    iterations: int = 4,
) -> dict[str, Any]:
    """Measure collecting with one worker in this process and with Ray workers, transport, and a training's stages.

    Args:
        track: Name or route file.
        workers: Numbers of Ray workers, one core each; the first is what the others are compared with.
        episodes: How many each worker plays in a collection.
        worlds: How many of them each worker plays side by side; the others wait their turn.
        repeats: How often each fleet plays them; as many as it plays side by side come before, as warm-up.
        iterations: Of the trainings, evaluations included; one more comes before them.

    Returns:
        JSON-ready; see benchmarks/README.md.

    Raises:
        ConfigError: If an argument is not possible.
        MissingExtraError: If Ray or zstandard is not installed.
    """
    if not workers or min(workers) < 1 or len(set(workers)) < len(workers):
        raise ConfigError(f"--workers must be different positive numbers, got {' '.join(map(str, workers))}.")
    if min(episodes, worlds, repeats, iterations) < 1:
        raise ConfigError(
            f"--episodes, --worlds, --repeats and --iterations must be at least 1; got {episodes}, {worlds}, {repeats} "
            f"and {iterations}."
        )
    for package in ("ray", "zstandard"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "cluster", "Measuring a fleet")
    with _threads():
        return _bench(track, tuple(workers), episodes, worlds, repeats, iterations)


def _bench(
    track: str, workers: Sequence[int], episodes: int, worlds: int, repeats: int, iterations: int
) -> dict[str, Any]:
    options = {"seed": 0, "eval_every": 1, "eval_laps": Training().eval_laps, "max_iterations": iterations + 1}
    with scratch_folder() as folder:
        trainings = {}
        for num_workers in TRAINING_WORKERS:
            path = folder / str(num_workers)
            path.mkdir()
            model = stock_model(path, track=track, training=options | {"workers": num_workers})
            trainings[num_workers] = training, weights = _train(model)
        training, weights = trainings[TRAINING_WORKERS[0]]
        setup = replace(rollout_setup(model, model.job), num_worlds=min(worlds, episodes))
    torch.set_num_threads(1)
    num_episodes = episodes * max(workers)
    plans = plan_training([StartRule()], job_seed=0, iteration=0, num_episodes=num_episodes, first_number=0)
    in_process = InProcessFleet(setup)
    # Compiles what is compiled, before other processes do the same.
    played = in_process.start(CollectRequest(plans[:episodes], weights)).result()
    num_bytes, num_frame_bytes = sum(map(_bytes, played)), frame_bytes(played)
    num_steps = sum(episode.num_steps for episode in played)
    carried, num_learned = played[:CARRIED], num_frames(played)
    del played  # half a gigabyte
    arrays = {name: weight.numpy() for name, weight in weights.items()}
    far = between_nodes(carried, arrays, repeats)
    with ExitStack() as stack:
        num_cpus = max(*workers, 3)  # the carriers of `on_one_machine`
        stack.enter_context(closing(connect(None, num_workers=num_cpus, store_bytes=2 * num_bytes * max(workers))))
        near = on_one_machine(carried, repeats)
        crews = {IN_PROCESS: _Crew(lambda: in_process, 1, plans[:episodes])}
        crews |= {str(n): _Crew(partial(RayFleet, setup, n), n, plans[: episodes * n]) for n in workers}
        first = crews[str(workers[0])]
        step_costs = _measure(crews, first, weights, setup.num_worlds, repeats)
    speedup = {str(n): crews[str(n)].steps_per_s / first.steps_per_s for n in workers}
    return {
        "speedup": speedup,
        "speedup_median": {str(n): crews[str(n)].steps_per_s_median / first.steps_per_s_median for n in workers},
        "efficiency": {str(n): speedup[str(n)] * workers[0] / n for n in workers},
        "collection": {name: _collection(crew, crews[IN_PROCESS]) for name, crew in crews.items()},
        "transport_mb_per_s": {"same_machine": near["mb_per_s"], "between_nodes": far["mb_per_s"] if far else None},
        "broadcast_ms": {
            name: {"put": 1e3 * min(crew.put_s), "at_all_workers": 1e3 * min(crew.weights_s)}
            for name, crew in crews.items()
            if crew.put_s
        },
        "broadcast_between_nodes_ms": far["weights_ms"] if far else None,
        "idle_share": {str(n): each.idle_share for n, (each, _) in trainings.items()},
        "training": {str(n): each.to_dict() for n, (each, _) in trainings.items()},
        "compression": compression(carried),
        "costs": {
            **step_costs,
            "take_us": 1e6 * min(first.take_s) / len(first.plans),
            "look_us_per_share": near["look_us_per_share"],
            "dispatch_us": near["dispatch_us"],
            "put_us_per_mb": near["put_us_per_mb"],
            "put_weights_ms": 1e3 * min(first.put_s),
            "load_weights_ms": 1e3 * min(first.weights_s),
            "object_us": far["object_us"] if far else None,
            "object_us_per_mb": far["object_us_per_mb"] if far else None,
            "frame_bytes": num_frame_bytes / num_learned,
            "step_bytes": num_bytes / num_steps,
            "weights_bytes": sum(array.nbytes for array in arrays.values()),
            **training.costs,
        },
        "episode_steps": crews[str(max(workers))].episode_steps,
        "policy": f"stock recipe after {iterations + 1} iterations",
        "episodes": episodes,
        "worlds": worlds,
        "repeats": repeats,
        "iterations": iterations,
        "track": track if not track.endswith(".npy") else Path(track).stem,
        "machine": provenance(),
    }


@dataclass(frozen=True)
class _TrainingTimes:
    """What some iterations of a training took, the first one left out as warm-up."""

    stages_s: dict[str, float]
    """Wall-clock of the trainer by stage [s]; collect and evaluate are what it waited for."""
    num_steps: int
    num_iterations: int
    costs: dict[str, float]
    """Of updating and saving, of the best iteration, by their names in benchmarks/scaling_simulation.py."""

    @property
    def idle_share(self) -> float:
        """Share of its time that the trainer waits for episodes."""
        return (self.stages_s["collect"] + self.stages_s["evaluate"]) / sum(self.stages_s.values())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"stages_s": self.stages_s, "num_steps": self.num_steps, "iterations": self.num_iterations}


def _train(model: ModelFolder) -> tuple[_TrainingTimes, dict[str, torch.Tensor]]:
    """A training's times, and the weights of the policy after it."""
    with Trainer(model) as trainer:
        trainer.run()
        records: list[IterationRecord] = trainer.progress.read()[1:]
        weights = {name: each for name, each in trainer.network.state_dict().items() if name.startswith("policy.")}
    names = ("collect", "update", "evaluate", "checkpoint", "record")
    times = _TrainingTimes(
        stages_s={name: sum(record.stages_s.get(name, 0.0) for record in records) for name in names},
        num_steps=sum(record.num_steps for record in records),
        num_iterations=len(records),
        costs={
            "update_us_per_step": min(
                # The first step of an episode is not executed, and not learned from.
                1e6 * record.stages_s["update"] / (record.num_steps - record.num_episodes)
                for record in records
            ),
            "checkpoint_ms": min(1e3 * record.stages_s["checkpoint"] for record in records),
            "record_us_per_step": min(1e6 * record.stages_s["record"] / record.num_steps for record in records),
        },
    )
    return times, weights


@contextmanager
def _threads() -> Iterator[None]:
    """Give torch back its threads afterwards."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _measure(
    crews: Mapping[str, _Crew],
    first: _Crew,
    weights: Mapping[str, torch.Tensor],
    worlds: int,
    repeats: int,
) -> dict[str, Any]:
    """Let all crews play, in turn, again and again, and the ``first`` once more for what taking episodes costs.

    Args:
        crews: By name.
        first: One of them.
        weights: To play with.
        worlds: That each worker has.
        repeats: How often.

    Returns:
        What a step costs (`_step_costs`).
    """
    rows: list[np.ndarray] = []
    for _ in range(repeats):
        for crew in crews.values():
            with crew.turn(weights, worlds):
                steps = _collect(crew, weights)
                if isinstance(crew.fleet, RayFleet):
                    _weigh_broadcast(crew, weights)
                    if crew is first:
                        _weigh_taking(crew, weights)
                else:
                    rows.append(steps)
    return _step_costs(np.concatenate(rows))


def _collect(crew: _Crew, weights: Mapping[str, torch.Tensor]) -> np.ndarray:
    """Play all episodes once.

    Returns:
        One row per call of ``on_step``: processor time of this thread [s], episodes finished, steps played.
    """
    steps: list[tuple[float, int, int]] = []
    busy, begin = crew.cpu_s(), time.perf_counter()
    batch = crew.fleet.start(CollectRequest(crew.plans, weights))
    episodes = batch.result(lambda done, played: steps.append((time.thread_time(), done, played)))
    crew.seconds.append(time.perf_counter() - begin)
    crew.worker_cpu_s.append(crew.cpu_s() - busy)
    crew.episode_steps = [each.num_steps for each in episodes]
    crew.checksums = {each.plan.number: zlib.crc32(each.actions.tobytes()) for each in episodes}
    return np.array(steps)


def _weigh_broadcast(crew: _Crew, weights: Mapping[str, torch.Tensor]) -> None:
    """Send weights to all workers of a Ray fleet, as when it starts a batch, but with nothing to play."""
    import ray

    assert isinstance(crew.fleet, RayFleet)
    begin = time.perf_counter()
    reference = ray.put({name: weight.numpy() for name, weight in weights.items()})
    crew.put_s.append(time.perf_counter() - begin)
    _wait_for_workers(crew, reference)
    crew.weights_s.append(time.perf_counter() - begin - crew.put_s[-1])


def _weigh_taking(crew: _Crew, weights: Mapping[str, torch.Tensor]) -> None:
    """Let the driver take episodes that are all there already."""
    import ray

    batch = crew.fleet.start(CollectRequest(crew.plans, weights))
    _wait_for_workers(crew, ray.put({name: weight.numpy() for name, weight in weights.items()}))
    begin = time.perf_counter()
    batch.result()
    crew.take_s.append(time.perf_counter() - begin)


def _wait_for_workers(crew: _Crew, weights: Any) -> None:
    """Wait until the workers of a Ray fleet have done all that they were given, and have loaded ``weights``."""
    assert isinstance(crew.fleet, RayFleet)
    streams = [
        worker.actor.play.options(num_returns="streaming").remote(-1, CollectRequest([]), weights)
        for worker in crew.fleet.workers
    ]
    for stream in streams:
        assert not list(stream)


def _step_costs(rows: np.ndarray) -> dict[str, Any]:
    """What a worker's processor does for a control step, and for the end of an episode.

    Args:
        rows: One per call of ``on_step``: time [s], episodes finished, steps played. Where a collection begins there is
            no time between two.

    Returns:
        ``step_us``: pairs of a number of worlds and the median time of a step of so many, by doublings of that number;
        ``episode_end_us``: what a step takes longer for each episode that ends with it, on average.
    """
    seconds, ended, worlds = np.diff(rows, axis=0).T
    us = 1e6 * seconds
    quiet = (worlds > 0) & (ended == 0)
    doublings = np.floor(np.log2(np.maximum(worlds, 1)))
    step_us = []
    for doubling in np.unique(doublings[quiet]):
        alike = quiet & (doublings == doubling)
        step_us.append([float(worlds[alike].mean()), float(np.median(us[alike]))])
    ending = (worlds > 0) & (ended > 0)
    longer = us[ending] - [time_of_step(step_us, number) for number in worlds[ending]]
    return {"step_us": step_us, "episode_end_us": max(0.0, float(longer.sum() / ended[ending].sum()))}


def time_of_step(step_us: Sequence[Sequence[float]], num_worlds: float) -> float:
    """What a step of so many worlds takes [us], between the times that are known, and beyond them along a line."""
    numbers, times = zip(*step_us, strict=True)
    if num_worlds <= numbers[-1] or len(numbers) == 1:
        return float(np.interp(num_worlds, numbers, times))
    slope = (times[-1] - times[-2]) / (numbers[-1] - numbers[-2])
    return times[-1] + slope * (num_worlds - numbers[-1])


def _collection(crew: _Crew, alone: _Crew) -> dict[str, Any]:
    """How a crew did, JSON-ready."""
    share = [cpu / seconds / crew.num_workers for cpu, seconds in zip(crew.worker_cpu_s, crew.seconds, strict=True)]
    same = [crew.checksums[number] == checksum for number, checksum in alone.checksums.items()]
    return {
        "steps_per_s": crew.steps_per_s,
        "steps_per_s_median": crew.steps_per_s_median,
        "seconds": crew.seconds,
        "core_share": float(np.median(share)),
        "cpu_us_per_step": 1e6 * min(crew.worker_cpu_s) / crew.num_steps,
        "same_episodes": sum(same) / len(same),
    }


def _bytes(episode: PlayedEpisode) -> int:
    """Of all arrays of an episode."""
    columns = [*episode.steps.columns.values(), episode.actions]
    if (experience := episode.experience) is not None:
        columns += [*experience.obs.values(), experience.actions, experience.log_probs, experience.rewards]
        columns += (experience.final_obs or {}).values()
    return sum(column.nbytes for column in columns)
