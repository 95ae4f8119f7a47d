"""Rollout workers as processes on one machine or many, with Ray.

What holds at any time: every planned episode of an open batch is either here, or outstanding in exactly one share of
one worker, or waiting for a worker. When a worker ends, hangs or raises, the outstanding episodes of its shares wait
again, and what it may still send is not read; so no episode is lost and none comes twice. Workers never play beyond
the plan, so that what is under way is bounded by the step cap of an iteration.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

import hotlap
from hotlap.errors import HotlapError, RewardError, TrainingError
from hotlap.rollouts.model import RolloutSetup
from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.ray_actor import Hello, Pulse, RolloutActor
from hotlap.rollouts.ray_session import accept_shared_views, connect, spilled_bytes
from hotlap.rollouts.worker import PlayedEpisode, within_cap

POLL_S = 0.5  # [s] longest wait before the workers' pulses are looked at
PULSE_EVERY_S = 1.0
PATIENCE_S = 30.0  # [s] after which training begins with the workers that are there
MAX_ATTEMPTS = 8  # workers that an episode may outlive
MAX_RAISING = 3  # workers on which a reward function may fail before it is believed
MAX_STILLBORN = 3  # attempts in a row to start a worker
FRAME_BYTES = 120 * 160


@dataclass(eq=False)
class _Share:
    """Episodes of a batch that one worker was given at once."""

    batch: RayBatch
    episodes: Any
    """Ray's generator of references to played episodes."""
    outstanding: set[int]
    """Numbers of those that have not come."""


@dataclass(eq=False)
class _Worker:
    """A place in the fleet and the process that holds it now."""

    index: int
    actor: Any = None
    hello: Any = None
    """Reference to the answer of a process that starts; None once it has come."""
    info: Hello | None = None
    shares: list[_Share] = field(default_factory=list)
    pulse: Any = None
    pulse_asked: float = 0.0
    stillborn: int = 0
    """Processes in a row that ended before they could play."""

    @property
    def ready(self) -> bool:
        return self.info is not None

    def __str__(self) -> str:
        return f"worker {self.index}" + (f" (process {self.info.pid} on {self.info.address})" if self.info else "")


class RayBatch:
    """See `Batch`."""

    def __init__(
        self,
        fleet: RayFleet,
        key: int,
        weights: Any,
        plans: Sequence[EpisodePlan],
        explore: bool,
        step_cap: int | None,
    ) -> None:
        self.fleet, self.key = fleet, key
        self.weights, self.explore, self.step_cap = weights, explore, step_cap
        self.plans = {plan.number: plan for plan in plans}
        self.waiting = set(self.plans)
        """Numbers of the episodes that no worker has."""
        self.episodes: dict[int, PlayedEpisode] = {}
        self.beyond_cap: set[int] = set()
        self.attempts: Counter[int] = Counter()
        self.hangs: Counter[int] = Counter()
        self.raised: dict[int, HotlapError] = {}
        """By index of the worker: what the user's files raised there."""
        self.error: HotlapError | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        return len(self.episodes) + len(self.beyond_cap) == len(self.plans)

    def result(self, on_step: Callable[[int, int], None] | None = None) -> list[PlayedEpisode]:
        """See `Batch.result`."""
        while not self.finished:
            if self.error is not None:
                self.cancel()
                raise self.error
            self.fleet.advance(POLL_S)
            if on_step is not None:
                on_step(len(self.episodes), sum(episode.num_steps for episode in self.episodes.values()))
        self.fleet.close_batch(self)
        return within_cap(self.episodes.values(), self.step_cap)

    def cancel(self) -> None:
        """See `Batch.cancel`."""
        self.fleet.drop_batch(self)


class RayFleet:
    """Workers as Ray actors; see `hotlap.rollouts.fleet.Fleet`.

    Args:
        setup: What to play.
        num_workers: How many workers to have; fewer play until a cluster has room for all.
        cluster: Address of a running Ray cluster; None: workers on this machine.
        timeout_s: A worker that makes no step for so long, or does not answer, is ended [s].
        on_message: Told in one line what happens to workers.

    Raises:
        MissingExtraError: If Ray is not installed.
        TrainingError: If Ray or no worker can be started.
        HotlapError: What is wrong with the user's files.
    """

    concurrent = True

    def __init__(
        self,
        setup: RolloutSetup,
        num_workers: int,
        *,
        cluster: str | None = None,
        timeout_s: float = 60.0,
        on_message: Callable[[str], None] = print,
    ) -> None:
        self.timeout_s, self.on_message = timeout_s, on_message
        self._batches: list[RayBatch] = []
        self._keys = itertools.count()
        self._pulses_at = 0.0
        self._spilled = 0
        self.workers = [_Worker(index) for index in range(num_workers)]
        # Two iterations at the usual step cap, the weights, and room.
        store_bytes = 3 * 10_000 * FRAME_BYTES
        accept_shared_views()
        self._session = connect(cluster, num_workers=num_workers, store_bytes=store_bytes)
        try:
            import ray

            self._ray = ray
            self._setup = ray.put(setup)
            self._actor = ray.remote(  # type: ignore[call-overload]  # Ray's types know no concurrency groups
                num_cpus=1,
                concurrency_groups={"health": 1},
                scheduling_strategy="DEFAULT" if cluster is None else "SPREAD",
            )(RolloutActor)
            for worker in self.workers:
                self._spawn(worker)
            self._wait_for_workers()
        except BaseException:
            self.close()
            raise

    def start(
        self,
        weights: Mapping[str, torch.Tensor],
        plans: Sequence[EpisodePlan],
        *,
        explore: bool,
        step_cap: int | None = None,
    ) -> RayBatch:
        """See `Fleet.start`."""
        # One copy into shared memory, from which all workers of a machine read.
        arrays = {name: weight.detach().cpu().numpy() for name, weight in weights.items()}
        batch = RayBatch(self, next(self._keys), self._ray.put(arrays), plans, explore, step_cap)
        self._batches.append(batch)
        self.advance(0.0)
        return batch

    def close(self) -> None:
        """See `Fleet.close`."""
        for worker in self.workers:
            if worker.actor is not None:
                self._ray.kill(worker.actor)
                worker.actor = worker.hello = worker.info = worker.pulse = None
                worker.shares = []
        self._session.close()

    def advance(self, timeout_s: float) -> None:
        """Take what has come, wait for it at most ``timeout_s``, give out what waits, look after the workers."""
        self._welcome()
        for batch in self._batches:
            self._give_out(batch)
        self._take(timeout_s)
        if time.monotonic() - self._pulses_at > PULSE_EVERY_S:
            self._pulses_at = time.monotonic()
            self._feel_pulses()

    def close_batch(self, batch: RayBatch) -> None:
        """Forget a batch that is finished."""
        self._batches.remove(batch)
        for worker in self.workers:
            worker.shares = [share for share in worker.shares if share.batch is not batch]
        spilled = spilled_bytes()
        if spilled > self._spilled:
            self.on_message(
                f"the object store is full: {spilled / 2**20:.0f} MiB of episodes go over the disk. Lower "
                "training.step_cap, or give Ray more memory (ray start --object-store-memory)."
            )
        self._spilled = max(spilled, self._spilled)

    def drop_batch(self, batch: RayBatch) -> None:
        """Let nobody play a batch any more."""
        if batch not in self._batches:
            return
        self._batches.remove(batch)
        for worker in self.workers:
            if any(share.batch is batch for share in worker.shares):
                worker.actor.drop.options(concurrency_group="health").remote(batch.key)
                worker.shares = [share for share in worker.shares if share.batch is not batch]

    def _spawn(self, worker: _Worker) -> None:
        """Start a process for a place; it is ready when it has said hello."""
        worker.actor = self._actor.remote(self._setup)
        worker.hello, worker.info, worker.pulse = worker.actor.hello.remote(), None, None

    def _wait_for_workers(self) -> None:
        """Wait for all workers, and after a while for one."""
        begin = told = time.monotonic()
        while not all(worker.ready for worker in self.workers):
            starting = [worker.hello for worker in self.workers if not worker.ready]
            self._ray.wait(starting, num_returns=len(starting), timeout=POLL_S)
            self._welcome(quiet=True)
            now, num_ready = time.monotonic(), sum(worker.ready for worker in self.workers)
            if num_ready and now - begin > PATIENCE_S:
                self.on_message(
                    f"{num_ready} of {len(self.workers)} workers are there and begin; the others join when Ray has "
                    "room for them (one CPU each)."
                )
                return
            if not num_ready and now - told > PATIENCE_S:
                self.on_message(
                    f"no worker has started after {now - begin:.0f} s; waiting for the cluster to have room."
                )
                told = now

    def _welcome(self, *, quiet: bool = False) -> None:
        """Let workers play that have become ready."""
        starting = [worker for worker in self.workers if worker.hello is not None]
        if not starting:
            return
        ready, _ = self._ray.wait([worker.hello for worker in starting], num_returns=len(starting), timeout=0)
        for worker in starting:
            if worker.hello not in ready:
                continue
            try:
                worker.info = self._ray.get(worker.hello)
            except self._ray.exceptions.RayError as error:
                self._stillborn(worker, error)
                continue
            worker.hello, worker.stillborn = None, 0
            if worker.info.version != hotlap.__version__:
                raise TrainingError(
                    f"{worker} has hotlap {worker.info.version}, the trainer {hotlap.__version__}. Install the same "
                    "version on all machines of the cluster."
                )
            if not quiet:
                self.on_message(f"{worker} joined.")

    def _stillborn(self, worker: _Worker, error: Exception) -> None:
        """A process ended before it could play."""
        user_error = _user_error(error)
        if user_error is not None:
            raise user_error
        worker.stillborn += 1
        if worker.stillborn >= MAX_STILLBORN:
            raise TrainingError(
                f"{MAX_STILLBORN} attempts in a row to start worker {worker.index} failed: {_reason(error)}. "
                "Check the memory and the installation of the machines that workers run on."
            ) from error
        self._spawn(worker)

    def _give_out(self, batch: RayBatch) -> None:
        """Divide the waiting episodes of a batch among the workers that may play them."""
        able = [worker for worker in self.workers if worker.ready and worker.index not in batch.raised]
        if not batch.waiting or not able:
            return
        plans = [batch.plans[number] for number in sorted(batch.waiting)]
        if len(batch.plans) > len(plans):  # planned again: to those first that have least to do
            able.sort(key=lambda worker: sum(len(share.outstanding) for share in worker.shares))
        for k, worker in enumerate(able[: len(plans)]):
            part = plans[k :: len(able)]
            episodes = worker.actor.play.options(num_returns="streaming").remote(
                batch.key, batch.weights, part, batch.explore, batch.step_cap
            )
            worker.shares.append(_Share(batch, episodes, {plan.number for plan in part}))
        batch.waiting.clear()

    def _take(self, timeout_s: float) -> None:
        """Take the episodes that have come; wait for the first at most ``timeout_s``."""
        while True:
            shares = {share.episodes: (worker, share) for worker in self.workers for share in worker.shares}
            starting = [worker.hello for worker in self.workers if worker.hello is not None]
            if not shares and not starting:
                return
            ready, _ = self._ray.wait([*shares, *starting], num_returns=1, timeout=timeout_s, fetch_local=False)
            if not ready or ready[0] not in shares:
                return
            timeout_s = 0.0
            self._take_from(*shares[ready[0]])

    def _take_from(self, worker: _Worker, share: _Share) -> None:
        """Take the next episode of a share, or learn why there is none."""
        batch = share.batch
        try:
            episode: PlayedEpisode = self._ray.get(next(share.episodes))
        except StopIteration:
            worker.shares.remove(share)
            batch.beyond_cap |= share.outstanding  # a worker leaves out only what cannot fit under the cap
        except self._ray.exceptions.RayTaskError as error:
            worker.shares.remove(share)
            self._raised(worker, share, error)
        except self._ray.exceptions.RayError as error:
            self._lose(worker, f"ended: {_reason(error)}")
        else:
            share.outstanding.discard(episode.plan.number)
            batch.episodes[episode.plan.number] = episode

    def _raised(self, worker: _Worker, share: _Share, error: Exception) -> None:
        """Code on a worker raised while it played a share."""
        user_error = _user_error(error)
        if user_error is None:
            worker.shares.append(share)
            self._lose(worker, f"failed: {_reason(error)}")
            return
        batch = share.batch
        batch.raised[worker.index] = user_error
        num_ready = sum(each.ready for each in self.workers)
        if len(batch.raised) >= min(num_ready, MAX_RAISING):
            batch.error = user_error
            return
        self._plan_again(share)
        self.on_message(f"{worker} could not play on: {user_error} Its episodes are planned again on other workers.")

    def _lose(self, worker: _Worker, why: str) -> None:
        """Replace a worker; its episodes are planned again elsewhere."""
        shares, worker.shares = worker.shares, []
        numbers = sorted(number for share in shares for number in share.outstanding)
        again = f" Its episodes {_listed(numbers)} are planned again." if numbers else ""
        self.on_message(f"{worker} {why}.{again}")
        self._ray.kill(worker.actor)
        for share in shares:
            self._plan_again(share)
        self._spawn(worker)

    def _plan_again(self, share: _Share) -> None:
        batch = share.batch
        batch.waiting |= share.outstanding
        batch.attempts.update(share.outstanding)
        number, attempts = max(batch.attempts.items(), key=lambda item: item[1], default=(0, 0))
        if attempts >= MAX_ATTEMPTS:
            batch.error = TrainingError(
                f"episode {number} could not be played to its end in {attempts} attempts on several workers; the "
                "messages before say what became of them."
            )

    def _feel_pulses(self) -> None:
        """End workers that hang."""
        now = time.monotonic()
        for worker in self.workers:
            if not worker.ready or not worker.shares:
                worker.pulse = None
                continue
            if worker.pulse is None:
                worker.pulse = worker.actor.pulse.options(concurrency_group="health").remote()
                worker.pulse_asked = now
                continue
            if not self._ray.wait([worker.pulse], timeout=0)[0]:
                if now - worker.pulse_asked > self.timeout_s:
                    self._lose(worker, f"has not answered for {self.timeout_s:.0f} s")
                continue
            try:
                pulse: Pulse = self._ray.get(worker.pulse)
            except self._ray.exceptions.RayError as error:
                self._lose(worker, f"ended: {_reason(error)}")
                continue
            worker.pulse = None
            if pulse.idle_s > self.timeout_s:
                self._hangs(worker, pulse)

    def _hangs(self, worker: _Worker, pulse: Pulse) -> None:
        """A worker makes no steps; what hangs twice on the same episode is believed to hang always."""
        share = worker.shares[0]  # they are played in order
        batch = share.batch
        batch.hangs.update(share.outstanding)
        self._lose(
            worker, f"has made no step for {pulse.idle_s:.0f} s" + (f", in {pulse.where}" if pulse.where else "")
        )
        number, hangs = batch.hangs.most_common(1)[0]
        if hangs < 2:
            return
        if pulse.where:
            batch.error = RewardError(
                f"{pulse.where}, episode {number}: the reward function has not returned for {self.timeout_s:.0f} s, "
                "on two workers. Expected an answer within milliseconds; look for a loop that does not end."
            )
        else:
            batch.error = TrainingError(
                f"episode {number} made no step for {self.timeout_s:.0f} s on two workers. If the machine is only "
                "slow, raise training.worker_timeout_s."
            )


def _user_error(error: Exception) -> HotlapError | None:
    """What a user's file is to blame for."""
    cause = getattr(error, "cause", error)
    return cause if isinstance(cause, HotlapError) else None


def _reason(error: Exception) -> str:
    """The last line of an error, which names it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:6]))
    return f"{shown} and {len(numbers) - 6} more" if len(numbers) > 6 else shown
