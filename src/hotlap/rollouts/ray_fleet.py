"""Rollout workers as processes on one machine or many, with Ray.

What holds at any time: every planned episode of an open batch is either here, or outstanding in exactly one task of
one worker, or waiting for a worker, or ruled out by the step cap. When a worker ends, hangs or raises, the outstanding
episodes of its tasks wait again, and what it may still send is not read; so no episode is lost and none comes twice.
When Ray itself ends, this happens to all workers, and a new session takes its place; episodes that are here do not
depend on it, because they are copied out of its shared memory.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from hotlap.errors import HotlapError, RewardError, RewardStopped, TrainingError
from hotlap.rl.networks import acting_part
from hotlap.rollouts.episode_ledger import EpisodeLedger
from hotlap.rollouts.model import RolloutSetup
from hotlap.rollouts.ray_actor import Pulse
from hotlap.rollouts.ray_crew import POLL_S, RayCrew, RayWorker, Task
from hotlap.rollouts.ray_session import (
    RaySession,
    RaySessionLost,
    accept_shared_views,
    connect,
    reason,
    spilled_bytes,
    user_error,
)
from hotlap.rollouts.request import CollectRequest
from hotlap.rollouts.transport import unpack
from hotlap.rollouts.worker import PlayedEpisode

PULSE_EVERY_S = 1.0
START_TIMEOUT_S = 300.0  # [s] for building a race, which may compile the simulator on a busy machine
MAX_ATTEMPTS = 5  # workers that may be lost with an episode
MAX_RAISING = 3  # workers on which a reward function may fail before it is believed
MAX_HANGS = 2  # workers that may hang with an episode
MAX_SESSIONS = 3  # sessions that may be lost in a row without an episode
CONNECT_TRIES = 10
CONNECT_EVERY_S = 3.0  # [s] between two tries to join a cluster again
STORE_EVERY_S = 10.0  # [s] between two looks at the object stores
FRAME_BYTES = 120 * 160


class RayBatch:
    """See `Batch`."""

    def __init__(self, fleet: RayFleet, key: int, request: CollectRequest, arrays: Mapping[str, np.ndarray]) -> None:
        self.fleet, self.key = fleet, key
        self.request, self.arrays = request, arrays
        self.ledger = EpisodeLedger(request.plans, request.step_cap)
        self.weights: object = None
        """Ray's reference to ``arrays``; None until they are needed in this session."""
        self.hangs: Counter[int] = Counter()
        """How many workers hung with an episode, by number."""
        self.raised: dict[int, HotlapError] = {}
        """By index of the worker: what the user's files raised there."""
        self.error: HotlapError | None = None

    def result(self, on_step: Callable[[int, int], None] | None = None) -> list[PlayedEpisode]:
        """See `Batch.result`."""
        while not self.ledger.finished:
            if self.error is not None:
                self.cancel()
                raise self.error
            self.fleet.advance(POLL_S)
            if on_step is not None:
                on_step(len(self.ledger.episodes), self.ledger.num_steps)
        self.fleet.close_batch(self)
        return self.ledger.result()

    def cancel(self) -> None:
        """See `Batch.cancel`."""
        self.fleet.close_batch(self)


class RayFleet:
    """Workers as Ray actors; see `hotlap.rollouts.fleet.Fleet`.

    Args:
        setup: What to play.
        num_workers: How many workers to have; fewer play until a cluster has room for all.
        cluster: Address of a running Ray cluster; None: workers on this machine.
        timeout_s: A worker that makes no step for so long, or does not answer, is ended [s].
        step_cap: Most steps of a batch that explores, by which the object store is measured.
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
        step_cap: int = 10_000,
        on_message: Callable[[str], None] = print,
    ) -> None:
        self.timeout_s, self.on_message = timeout_s, on_message
        self.workers: list[RayWorker] = []
        self._batches: list[RayBatch] = []
        self._keys = itertools.count()
        self._pulses_at = self._store_at = 0.0
        accept_shared_views()
        self._sessions_lost = 0
        # Two iterations at the step cap, the weights, and room.
        self._connect = partial(connect, cluster, num_workers=num_workers, store_bytes=3 * step_cap * FRAME_BYTES)
        self._session = self._connect()
        self._hire = partial(RayCrew, setup, num_workers, spread=cluster is not None, on_message=on_message)
        try:
            import ray

            self._ray = ray
            self._settle()
        except BaseException:
            self.close()
            raise

    def start(self, request: CollectRequest) -> RayBatch:
        """See `Fleet.start`."""
        assert request.weights is not None
        weights = acting_part(request.weights)
        arrays = {name: weight.detach().cpu().numpy().copy() for name, weight in weights.items()}
        batch = RayBatch(self, next(self._keys), replace(request, weights=None), arrays)
        self._batches.append(batch)
        self.advance(0.0)
        return batch

    def close(self) -> None:
        """See `Fleet.close`."""
        try:
            self._session.check()
            for worker in self.workers:
                worker.end()
        except RaySessionLost:
            pass  # its workers have ended with it
        self._tell_continued()
        self._session.close()

    def advance(self, timeout_s: float) -> None:
        """Take what has come, wait for it at most ``timeout_s``, give out what waits, look after the workers."""
        try:
            self._session.check()
            self._crew.fill()
            for batch in self._batches:
                self._give_out(batch)
            self._take(timeout_s)
            self._feel_pulses()
            return
        except RaySessionLost as error:
            lost = str(error)
        # Not while the error lives, whose traceback holds references of the session.
        self._replace_session(lost)
        self._settle()

    def close_batch(self, batch: RayBatch) -> None:
        """Forget a batch; what is still played of it is not needed."""
        if batch not in self._batches:
            return
        self._batches.remove(batch)
        batch.weights = None  # its owner may keep it beyond the session
        for worker in self.workers:
            tasks = [task for task in worker.tasks if task.batch is batch]
            if any(task.outstanding for task in tasks) and not self._lost():
                worker.drop(batch)
            worker.tasks = [task for task in worker.tasks if task not in tasks]
        self._look_at_store()

    # The session

    def _settle(self) -> None:
        """Get the workers of a new session ready."""
        while True:
            self._spilled = 0 if self._session.owned else spilled_bytes()
            self._crew = self._hire(self._session)
            self.workers = self._crew.workers
            try:
                self._crew.wait(self._feel_pulses)
                return
            except RaySessionLost as error:
                lost = str(error)
            self._replace_session(lost)

    def _lost(self) -> bool:
        try:
            self._session.check()
        except RaySessionLost:
            return True
        return False

    def _replace_session(self, lost: str) -> None:
        """Open another session; what all workers were to play is planned again.

        Raises:
            TrainingError: If it is lost again and again, or cannot be joined again.
        """
        self._sessions_lost += 1
        if self._sessions_lost > MAX_SESSIONS:
            raise TrainingError(
                f"{lost.rstrip('.')}, {self._sessions_lost} times in a row before an episode was played to its end. "
                "Look for what ends it, such as too little memory for so many workers; with --resume the training "
                "goes on after its last finished iteration."
            )
        tasks = [task for worker in self.workers for task in worker.tasks]
        again = "started" if self._session.owned else "joined"
        self.on_message(f"{lost} It is {again} again with new workers. {_planned_again(tasks)}".rstrip())
        for task in tasks:
            task.batch.ledger.give_back(task.outstanding)
        del tasks
        # Ray names objects alike in every session: a reference from this one would free another's object.
        self._session.close()
        self._crew.close()
        for batch in self._batches:
            batch.weights = None
        self._session = self._join_again()

    def _join_again(self) -> RaySession:
        # A cluster may take long to come again; one of our own that a busy machine could not start gets a second try.
        for _ in range(1 if self._session.owned else CONNECT_TRIES - 1):
            try:
                return self._connect()
            except TrainingError:
                time.sleep(CONNECT_EVERY_S)
        try:
            return self._connect()
        except TrainingError as error:
            raise TrainingError(
                f"{error} Ray had ended in the middle of the training; with --resume it goes on after its last "
                "finished iteration."
            ) from error

    # Giving out and taking episodes

    def _give_out(self, batch: RayBatch) -> None:
        """Divide the waiting episodes of a batch among the workers that may play them."""
        if not batch.ledger.waiting:
            return
        ready = [worker for worker in self.workers if worker.ready]
        able = [worker for worker in ready if worker.index not in batch.raised]
        if not able:
            if ready:
                batch.error = next(reversed(batch.raised.values()))
            return
        if batch.ledger.attempts:  # planned again: to those first that have least to do
            able.sort(key=lambda worker: sum(len(task.outstanding) for task in worker.tasks))
        if batch.weights is None:  # one copy into shared memory, from which all workers of a machine read
            batch.weights = self._ray.put(batch.arrays)
        plans = batch.ledger.give_out()
        for k, worker in enumerate(able[: len(plans)]):
            worker.play(batch, plans[k :: len(able)])

    def _take(self, timeout_s: float) -> None:
        """Take the episodes that have come; wait for the first at most ``timeout_s``."""
        while True:
            tasks = {task.episodes: (worker, task) for worker in self.workers for task in worker.tasks}
            starting = [worker.starting for worker in self.workers if worker.starting is not None]
            if not tasks and not starting:
                time.sleep(timeout_s)
                return
            waiting = [*tasks, *starting]
            self._ray.wait(waiting, timeout=timeout_s)
            self._session.check()
            # All at once, because a look at a thousand workers takes longer than taking an episode.
            ready, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)
            taken = [tasks[each] for each in ready if each in tasks]
            if not taken:
                return
            timeout_s = 0.0
            for worker, task in taken:
                if task in worker.tasks:  # it may be lost meanwhile
                    self._take_from(worker, task)

    def _take_from(self, worker: RayWorker, task: Task) -> None:
        """Take the next episodes of a task, or learn why there are none."""
        self._session.check()
        ledger = task.batch.ledger
        end = ledger.end
        try:
            # A view of shared memory that is freed when Ray has ended would end this process.
            episodes = [copy.deepcopy(unpack(each)) for each in self._ray.get(next(task.episodes))]
        except StopIteration:
            worker.tasks.remove(task)
            if task.outstanding:  # a worker leaves out only what cannot fit under the cap
                ledger.cut(min(task.outstanding))
        except self._ray.exceptions.RayTaskError as error:
            self._raised(worker, task, error)
        except self._ray.exceptions.RayError as error:
            self._lose(worker, reason(error))
        else:
            for episode in episodes:
                task.outstanding.discard(episode.plan.number)
                ledger.take(episode)
            self._sessions_lost = 0
        if ledger.end < end:
            self._spare_what_is_beyond(task.batch)

    def _spare_what_is_beyond(self, batch: RayBatch) -> None:
        """Let nobody play what the step cap rules out."""
        end = batch.ledger.end
        for worker in self.workers:
            for task in worker.tasks:
                if task.batch is batch and any(number >= end for number in task.outstanding):
                    task.outstanding = {number for number in task.outstanding if number < end}
                    worker.drop(batch, end)

    # Workers that fail

    def _raised(self, worker: RayWorker, task: Task, error: Exception) -> None:
        """Code on a worker raised while it played a task."""
        blame = user_error(error)
        if blame is None:
            self._lose(worker, reason(error))
            return
        worker.tasks.remove(task)
        batch = task.batch
        batch.raised[worker.index] = blame
        if isinstance(blame, RewardStopped):  # others need not wait for as long
            batch.error = blame
            return
        others = [each for each in self.workers if each.ready and each.index not in batch.raised]
        if not others or len(batch.raised) >= MAX_RAISING:
            batch.error = blame
            return
        batch.ledger.give_back(task.outstanding)
        self.on_message(f"{worker} could not play on: {blame} {_planned_again([task])}")

    def _lose(self, worker: RayWorker, why: str) -> None:
        """Replace a worker; its episodes are planned again elsewhere."""
        self._session.check()
        name, tasks = str(worker), worker.end()
        self.on_message(f"{name} {why}. {_planned_again(tasks)}".rstrip())
        worker.spawn()
        for task in tasks:
            ledger = task.batch.ledger
            ledger.give_back(task.outstanding)
            number, attempts = max(ledger.attempts.items(), key=lambda item: item[1], default=(0, 0))
            if attempts >= MAX_ATTEMPTS:
                task.batch.error = TrainingError(
                    f"episode {number} could not be played to its end: {attempts} workers were lost with it, the last "
                    f"{why}. Look for what ends them, such as a reward function that crashes in compiled code, or too "
                    "little memory for so many workers."
                )

    def _tell_continued(self) -> None:
        for process in self._session.take_continued():
            self.on_message(f"a process of Ray was stopped ({process}); it was told to go on.")

    def _feel_pulses(self) -> None:
        """End workers that hang."""
        self._session.check()
        now = time.monotonic()
        if now - self._pulses_at < PULSE_EVERY_S:
            return
        self._pulses_at = now
        self._tell_continued()
        asked = {worker.pulse: worker for worker in self.workers if worker.pulse is not None}
        answered, missing = self._ray.wait(list(asked), num_returns=len(asked), timeout=0) if asked else ([], [])
        for reference in answered:
            worker, asked[reference].pulse = asked[reference], None
            try:
                self._check_pulse(worker, self._ray.get(reference))
            except self._ray.exceptions.RayError:
                continue  # the process is gone, which what it was to do will tell
        for reference in missing:
            worker, silent_s = asked[reference], now - asked[reference].pulse_asked
            if silent_s > (self.timeout_s if worker.ready else START_TIMEOUT_S):
                task = worker.tasks[0] if worker.tasks else None  # they are played in order
                self._hangs(worker, f"has not answered for {silent_s:.0f} s", task)
        for worker in self.workers:
            if worker.busy and worker.pulse is None:
                worker.ask_pulse()

    def _check_pulse(self, worker: RayWorker, pulse: Pulse) -> None:
        """End a worker if its pulse says that it makes no steps."""
        if pulse.stopping:
            # It is in something that Python cannot interrupt; the same awaits every worker.
            task = next((task for task in worker.tasks if task.batch.key == pulse.batch), None)
            stopped = RewardStopped(pulse.stopping)
            if task is not None:
                task.batch.error = stopped
            self._hangs(worker, "does not return from the reward function", task, stopped)
            return
        if pulse.idle_s <= (START_TIMEOUT_S if pulse.loading else self.timeout_s):
            return
        task = next((task for task in worker.tasks if task.batch.key == pulse.batch), None)
        why = f"{'is not ready' if pulse.loading else 'has made no step'} after {pulse.idle_s:.0f} s"
        error = None
        if pulse.where:
            why += f", in {pulse.where}"
            error = RewardError(
                f"{pulse.where}: the reward function has not returned after {pulse.idle_s:.0f} s; expected an answer "
                "within milliseconds."
            )
        self._hangs(worker, why, task, error)

    def _hangs(self, worker: RayWorker, why: str, task: Task | None, error: HotlapError | None = None) -> None:
        """Replace a worker that hangs; what hangs on two is believed to hang everywhere.

        Args:
            worker: The worker.
            why: What it does not do.
            task: What it should be playing; None: nothing, or something that is not needed any more.
            error: What a user's file is to blame for.
        """
        if not worker.ready:
            self._crew.start_failed(worker, why, error)
            return
        self._lose(worker, why)
        if task is None:
            return
        batch = task.batch
        batch.hangs.update(task.outstanding)
        numbers = sorted(number for number, hangs in batch.hangs.items() if hangs >= MAX_HANGS)
        if not numbers:
            return
        batch.error = error or TrainingError(
            f"episode {_listed(numbers)}: {MAX_HANGS} workers in turn made no step for {self.timeout_s:.0f} s. Look "
            "for compiled code that does not return in the reward function; if the machine is only slow, raise "
            "training.worker_timeout_s."
        )

    def _look_at_store(self) -> None:
        """Say when episodes had to be moved to disk."""
        if time.monotonic() - self._store_at < STORE_EVERY_S or self._lost():
            return
        self._store_at = time.monotonic()
        spilled = spilled_bytes()
        if spilled > self._spilled:
            self.on_message(
                f"the object store was full: {(spilled - self._spilled) / 2**20:.0f} MiB of episodes went over the "
                "disk. Lower training.step_cap, or give Ray more memory (ray start --object-store-memory)."
            )
            self._spilled = spilled


def _planned_again(tasks: Sequence[Task]) -> str:
    numbers = sorted(number for task in tasks for number in task.outstanding)
    return f"Planned again: episode {_listed(numbers)}." if numbers else ""


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:6]))
    return f"{shown} and {len(numbers) - 6} more" if len(numbers) > 6 else shown
