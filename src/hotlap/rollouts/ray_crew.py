"""The workers of a Ray fleet, seen from the trainer: processes that are started, made ready, asked and ended.

A worker is a number in the fleet. The process that plays for it first says hello, then prepares, then is ready; when it
is lost, another one takes its part. Ray starts a process when there is room for it, now or hours later.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import hotlap
from hotlap.errors import HotlapError, TrainingError
from hotlap.rollouts.model import RolloutSetup
from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.ray_actor import Hello, RolloutActor
from hotlap.rollouts.ray_session import RaySession, reason, user_error

if TYPE_CHECKING:
    from hotlap.rollouts.ray_fleet import RayBatch

POLL_S = 0.5  # [s] longest wait before pulses are looked at
PATIENCE_S = 30.0  # [s] without a new worker, after which training begins with those that are there
SAY_EVERY_S = 60.0  # [s] between two messages that there is no worker
REST_S = 60.0  # [s] before a worker whose processes cannot be made ready is tried again
MAX_STARTS = 3  # processes in a row that cannot be made ready before their worker rests


@dataclass(eq=False)
class Task:
    """Episodes of a batch that one worker was given at once."""

    batch: RayBatch
    episodes: Any
    """Ray's generator of references to played episodes."""
    outstanding: set[int]
    """Numbers of those that have not come and are needed."""


class RayWorker:
    """Talks to one process at a time: asks it to prepare, to play, for its pulse. What it answers is a Ray reference.

    Args:
        index: Number of the worker.
        actor_class: Ray's remote class of `RolloutActor`.
    """

    def __init__(self, index: int, actor_class: Any) -> None:
        self.index = index
        self._actor_class = actor_class
        self.actor: Any = None
        """None: there is no process, nor is one asked for."""
        self.info: Hello | None = None
        """Known when the process has said hello."""
        self.starting: Any = None
        """Reference to what a process that starts answers next."""
        self.tasks: list[Task] = []
        """What it is to play; it does so in order."""
        self.pulse: Any = None
        self.pulse_asked = 0.0
        self.failures = 0
        """Processes in a row that could not be made ready."""
        self.rests_until = 0.0
        """When another process is to be tried, on the clock of `time.monotonic`."""

    def __str__(self) -> str:
        return f"worker {self.index}" + (f" (process {self.info.pid} on {self.info.address})" if self.info else "")

    @property
    def ready(self) -> bool:
        """Whether it can play."""
        return self.actor is not None and self.starting is None

    @property
    def busy(self) -> bool:
        """Whether it has something to do."""
        return self.info is not None and (self.starting is not None or bool(self.tasks))

    def spawn(self) -> None:
        """Ask Ray for a new process, which comes when there is room for it."""
        self.end()
        self.actor = self._actor_class.remote()
        # What the user has made of his own may lie beside his program.
        self.starting = self._beside("hello", [os.path.abspath(folder) for folder in sys.path])

    def prepare(self, info: Hello, setup: Any, race: int, *, packed: bool) -> None:
        """Let a process that has said hello build what it needs; see `RolloutActor.prepare`."""
        self.info = info
        self.starting = self.actor.prepare.remote(setup, race, packed)

    def play(self, batch: RayBatch, plans: Sequence[EpisodePlan]) -> None:
        """Let it play episodes, after those that it has already."""
        episodes = self.actor.play.options(num_returns="streaming").remote(
            batch.key, replace(batch.request, plans=plans), batch.weights
        )
        self.tasks.append(Task(batch, episodes, {plan.number for plan in plans}))

    def drop(self, batch: RayBatch, first: int = 0) -> None:
        """Let it know that no episode of ``batch`` from number ``first`` on is needed."""
        self._beside("drop", batch.key, first)

    def ask_pulse(self) -> None:
        """Ask how it does."""
        self.pulse = self._beside("pulse")
        self.pulse_asked = time.monotonic()

    def end(self) -> list[Task]:
        """End the process; returns what it had to play, whose episodes are not read any more."""
        import ray

        if self.actor is not None and ray.is_initialized():
            ray.kill(self.actor)
        tasks = self.tasks
        self.actor = self.info = self.starting = self.pulse = None
        self.tasks = []
        return tasks

    def _beside(self, method: str, *args: Any) -> Any:
        """Call a method that is answered while another one runs."""
        return getattr(self.actor, method).options(concurrency_group="health").remote(*args)


class RayCrew:
    """All workers of a fleet in one session of Ray; sees to it that each has a process.

    Args:
        setup: What to play.
        num_workers: How many there are.
        session: When it is lost, its crew is of no use.
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
        self._say_at = self._there_at + PATIENCE_S
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
        """Bring every worker without a ready process one step nearer to it, if the step before is done."""
        now = time.monotonic()
        for worker in self.workers:
            if worker.actor is None and now >= worker.rests_until:
                worker.spawn()
        starting = {worker.starting: worker for worker in self.workers if worker.starting is not None}
        if starting:
            answered, _ = self._ray.wait(list(starting), num_returns=len(starting), timeout=0)
            for reference in answered:
                self._go_on_starting(starting[reference])
        if any(worker.info is not None for worker in self.workers):
            self._there_at, self._say_at = now, now + PATIENCE_S
        elif now > self._say_at:
            self._say_at = now + SAY_EVERY_S
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
            worker: Whose process it is.
            why: What became of it.
            error: What the user has to mend, if it is that.

        Raises:
            HotlapError: Before the first episode what the user has to mend; later if there is no worker left.
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
        worker.rests_until = time.monotonic() + REST_S
        if error:
            why = f"could not be made ready: {str(error).rstrip('.')}"
        self._on_message(f"{name} {why}. Training goes on without it; it is tried again in {REST_S:.0f} s.")
