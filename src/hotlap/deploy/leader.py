"""The host that trains: the head of the cluster, if there are others."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn

from hotlap.api import open_course
from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.deploy.contract import Contract
from hotlap.deploy.interrupts import end_interrupts, interrupt_in, interrupt_on_sigterm
from hotlap.deploy.meeting import End, Meeting
from hotlap.deploy.network import JOIN_S, Network
from hotlap.deploy.printed_lines import LogLines, say
from hotlap.deploy.ray_node import RayNode, set_token
from hotlap.deploy.settings import Settings
from hotlap.deploy.workspace import deliver, not_read, prepare
from hotlap.errors import HotlapError
from hotlap.export.exporting import export_model

CAR_ARCHIVE = "carfile.tar.gz"  # as the original's launchers call it

_LEAVE_S = 15.0

# SageMaker kills 120 s after SIGTERM. So long the present iteration may take to finish; the rest is for the delivery.
_FINISH_S = 75.0


def lead(contract: Contract, settings: Settings, network: Network) -> None:
    """Train, with all hosts of the job, and deliver the model.

    A SIGTERM ends the training after the present iteration, or after 75 s; what it has learned by then is delivered.

    Raises:
        HotlapError: If the user can mend it.
    """
    others = [host for host in contract.hosts if host != contract.host]
    if not others:
        _train(contract, settings, *prepare(contract, settings), num_cpus=contract.num_cpus, cluster=None)
        return
    ip = network.ip_of(contract.host)
    meeting = Meeting((ip, network.port), set_token(contract.identity), say)
    node: RayNode | None = None
    end: End = "failed"
    await_them = others
    try:
        folder, job = prepare(contract, settings)  # first, for what is wrong with the job need not wait for its hosts
        node = RayNode(ip=ip, num_cpus=contract.num_cpus, port=network.ray_port)
        node.wait_until_up()
        cluster = f"{ip}:{network.ray_port}"
        meeting.invite(cluster)
        if missing := meeting.wait_for(others, JOIN_S):
            say(f"training begins without {', '.join(missing)}, not here after {JOIN_S:.0f} s; they may still join.")
        num_cpus = contract.num_cpus + meeting.num_cpus
        _train(contract, settings, folder, job, num_cpus=num_cpus, cluster=cluster)
        end = "done"
    except KeyboardInterrupt:
        end_interrupts()
        await_them = []  # a host that is not here yet is being ended as well
        raise
    finally:
        meeting.end(end, await_them, _LEAVE_S)  # before the head goes: a node whose head vanishes takes it for a crash
        if node is not None:
            node.close()


def _train(
    contract: Contract, settings: Settings, folder: ModelFolder, job: Job, *, num_cpus: int, cluster: str | None
) -> None:
    """Train and deliver, with the hosts that are there."""
    for name in not_read(settings):
        say(f"{name} = {settings.places[name]!r} is not read: this version takes files from channels, not from S3.")
    os.chdir(folder.path)  # a route file in the channel is named relative to it
    try:
        _run(contract, folder, _with_workers(folder, job, settings, num_cpus, cluster))
    except (KeyboardInterrupt, SystemExit):  # Ray turns an early SIGTERM into the latter
        end_interrupts()
        say("stopped before the iteration was finished; all before it are saved.")
    deliver(contract)
    say(f"the model lies in {contract.model_dir}.")
    _export(contract, folder)


def _export(contract: Contract, folder: ModelFolder) -> None:
    """Put the car's archive beside the delivered model; one that no car can drive is delivered without."""
    try:
        result = export_model(folder, contract.model_dir / CAR_ARCHIVE)
    except HotlapError as error:
        say(f"no archive for the car: {error}")
        return
    say(f"{result.archive} is for the car: checkpoint {result.checkpoint}.")
    for doubt in result.doubts:
        say(f"note: {doubt}")


def _run(contract: Contract, folder: ModelFolder, job: Job) -> None:
    with open_course(folder, job, resume=True, listener=LogLines()) as course:
        trainer, delivered = course.trainer, False

        def stop(number: int, _: FrameType | None) -> None:
            course.stop()
            say(f"{signal.Signals(number).name}: the training ends after this iteration, or in {_FINISH_S:.0f} s.")
            interrupt_on_sigterm()
            signal.signal(signal.SIGALRM, time_is_up)
            interrupt_in(_FINISH_S)

        def time_is_up(*_: object) -> NoReturn:
            nonlocal delivered
            if not delivered:  # now, in case that nothing stops what swallows interrupts
                delivered = True
                deliver(contract)
            raise KeyboardInterrupt

        signal.signal(signal.SIGTERM, stop)  # only now, because Ray sets its own when it connects
        track = ", ".join(map(str, trainer.pools))
        if trainer.cloned:
            say(f"begins with checkpoint {trainer.cloned} of {job.training.clone_from}.")
        say(f"{folder.path}: {track}, {job.num_workers} workers, {trainer.state.iteration} iterations done before.")
        try:
            result = course.run()
        finally:
            end_interrupts()
    best = f"; best checkpoint {result.best.name}, {result.best.clean_rate:.0%} clean laps" if result.best else ""
    say(f"training ended: {result.reason}, {result.iterations} iterations, {result.total_steps} steps{best}.")


def _with_workers(folder: ModelFolder, job: Job, settings: Settings, num_cpus: int, cluster: str | None) -> Job:
    """As many workers as there are processors, unless the job says how many; at most one per episode."""
    job = job.updated(training={"cluster": cluster})
    if settings.sets("training", "workers") or job.num_workers > 1:
        return job
    num_workers = min(num_cpus, folder.hyperparameters.num_episodes_between_training)
    return job.updated(training={"workers": num_workers})
