"""The places of a Ray fleet: how they are filled with workers that are ready to play, and what if that fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import hotlap
from hotlap.errors import HotlapError, TrainingError
from hotlap.rollouts.model import RolloutSetup
from hotlap.rollouts.ray_actor import RolloutActor
from hotlap.rollouts.ray_errors import reason, user_error
from hotlap.rollouts.ray_session import RaySession
from hotlap.rollouts.ray_worker import RayWorker

POLL_S = 0.5  # [s] longest wait before pulses are looked at
PATIENCE_S = 30.0  # [s] without a new worker, after which training begins with those that are there
TELL_EVERY_S = 60.0  # [s] between two messages that there is no worker
REST_S = 60.0  # [s] before a place where workers cannot be made ready is tried again
MAX_STARTS = 3  # attempts in a row to make a worker ready before its place rests


class RayPlaces:
    """Keeps every place filled. Ray starts a process for it when there is room, now or hours later.

    Args:
        setup: What to play.
        num_workers: How many places there are.
        session: Where; when it is lost, its places are of no use.
        spread: Use as many machines as possible.
        on_message: Told in one line what happens.
    """

    def __init__(
        self,
        setup: RolloutSetup,
        num_workers: int,
        session: RaySession,
        *,
        spread: bool,
        on_message: Callable[[str], None],
    ) -> None:
        import ray

        self._ray = ray
        self._session = session
        self._on_message = on_message
        self._num_races = len(setup.races)
        self._setup: Any = ray.put(setup)
        self._address = ray.util.get_node_ip_address()
        self._begun = False
        self._there_at = time.monotonic()
        self._tell_at = self._there_at + PATIENCE_S
        actor_class = ray.remote(  # type: ignore[call-overload]  # Ray's types know no concurrency groups
            num_cpus=1,
            concurrency_groups={"health": 1},
            scheduling_strategy="SPREAD" if spread else "DEFAULT",
        )(RolloutActor)
        self.workers = [RayWorker(index, actor_class) for index in range(num_workers)]

    def wait(self, look_after_them: Callable[[], None]) -> None:
        """Wait for all workers; when a while has brought no new one, for one.

        Args:
            look_after_them: Called now and then.

        Raises:
            TrainingError: If none can be started.
            HotlapError: What is wrong with the user's files.
        """
        seen, seen_at = 0, time.monotonic()
        while True:
            self.fill()
            look_after_them()
            starting = [worker.starting for worker in self.workers if worker.starting is not None]
            if not starting:
                break
            num_there = sum(worker.info is not None for worker in self.workers)
            num_ready = sum(worker.ready for worker in self.workers)
            if num_there + num_ready > seen:
                seen, seen_at = num_there + num_ready, time.monotonic()
            if num_ready and num_there == num_ready and time.monotonic() - seen_at > PATIENCE_S:
                self._on_message(
                    f"{num_ready} of {len(self.workers)} workers are there and begin; the others join when Ray has "
                    "room for them (one CPU each)."
                )
                break
            self._ray.wait(starting, timeout=POLL_S)
        self._begun = True

    def fill(self) -> None:
        """Bring every place one step nearer to a worker that plays, if it has made the step before."""
        now = time.monotonic()
        for worker in self.workers:
            if worker.actor is None and now >= worker.empty_until:
                worker.spawn()
        starting = {worker.starting: worker for worker in self.workers if worker.starting is not None}
        if starting:
            answered, _ = self._ray.wait(list(starting), num_returns=len(starting), timeout=0)
            for reference in answered:
                self._go_on_starting(starting[reference])
        if any(worker.info is not None for worker in self.workers):
            self._there_at, self._tell_at = now, now + PATIENCE_S
        elif now > self._tell_at:
            self._tell_at = now + TELL_EVERY_S
            self._on_message(
                f"for {now - self._there_at:.0f} s there has been no worker; Ray starts them when it has room (one CPU "
                "each)."
            )

    def close(self) -> None:
        """End all workers, and keep no reference of the session."""
        for worker in self.workers:
            worker.end()
        self._setup = None

    def _go_on_starting(self, worker: RayWorker) -> None:
        """Take the answer of a process that starts."""
        try:
            answer = self._ray.get(worker.starting)
        except self._ray.exceptions.RayError as error:
            self.start_failed(worker, reason(error), user_error(error))
            return
        if worker.info is None:
            if answer.version != hotlap.__version__:
                what = f"has hotlap {answer.version}, the trainer {hotlap.__version__}"
                way_out = "Install the same version on all machines of the cluster."
                self.start_failed(worker, what, TrainingError(f"a worker on {answer.address} {what}. {way_out}"))
                return
            # On one machine both read the same memory.
            packed = answer.address != self._address
            worker.prepare(answer, self._setup, worker.index % self._num_races, packed=packed)
            return
        worker.starting, worker.failures = None, 0
        if self._begun:
            self._on_message(f"{worker} joined.")

    def start_failed(self, worker: RayWorker, why: str, error: HotlapError | None) -> None:
        """A process could not be made ready: try again, go on without it, or give up if that helps nowhere.

        Args:
            worker: Its place.
            why: What became of it.
            error: What the user has to mend, if it is that.

        Raises:
            HotlapError: Before the first episode what the user has to mend; later if there is no place left.
            RaySessionLost: If it is because Ray has ended.
        """
        self._session.check()
        name = str(worker)
        worker.end()
        worker.failures += 1
        num_starts = 1 if error else MAX_STARTS
        if (error and not self._begun) or all(each.failures >= num_starts for each in self.workers):
            raise error or TrainingError(
                f"no worker can be started: {MAX_STARTS} attempts in a row failed, the last worker {why}. Check the "
                "memory and the installation of the machines that workers run on."
            )
        if worker.failures < num_starts:
            self._on_message(f"{name} {why} before it could play; another one is started.")
            worker.spawn()
            return
        worker.empty_until = time.monotonic() + REST_S
        if error:
            why = f"could not be made ready: {str(error).rstrip('.')}"
        self._on_message(f"{name} {why}. Training goes on without it; it is tried again in {REST_S:.0f} s.")
