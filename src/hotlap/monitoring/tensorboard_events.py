"""Event files for TensorBoard, beside the other files of the model.

    logs/tensorboard/iterations/events.out.tfevents.…    against environment steps
    logs/tensorboard/episodes/events.out.tfevents.…      training episodes, against their number

Two folders, because a training that resumes begins a new file in each, whose first event tells TensorBoard to forget
what came after the checkpoint, and that goes by the step of the same axis.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from hotlap.checksum import crc32c, masked
from hotlap.monitoring.sink import Beginning, News, Sink, only
from hotlap.monitoring.values import episode_values, iteration_values
from hotlap.records.episode_log import EpisodeRecord
from hotlap.records.events import IterationRecord

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

FOLDER = "logs/tensorboard"


class TensorBoardEvents(Sink):
    """Writes the event files of a training."""

    name = "TensorBoard"

    def begin(self, training: Beginning) -> None:
        # The axes begin anew, or the last iteration comes again.
        self._iterations = _EventFile(training, "iterations", training.num_steps)
        self._episodes = _EventFile(training, "episodes", training.num_episodes + 1)

    def send(self, news: list[News]) -> None:
        self._iterations.add(
            (at, record.total_steps, iteration_values(record)) for at, record in only(IterationRecord, news)
        )
        self._episodes.add(
            (at, record.episode + 1, episode_values(record))
            for at, record in only(EpisodeRecord, news)
            if record.phase == "training"
        )


class _EventFile:
    """One file that grows."""

    def __init__(self, training: Beginning, folder: str, first_step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self._store = training.store
        self._descriptions = {f"update/{name}": text for name, text in training.measures.items()}
        folder = f"{FOLDER}/{folder}"
        if training.num_iterations == 0:
            for key in self._store.list(folder):
                self._store.delete(key)
        now = time.time()
        # TensorBoard reads files in the order of their names.
        self._key = f"{folder}/events.out.tfevents.{int(now):010d}.{training.num_iterations:06d}"
        first = [Event(wall_time=now, file_version="brain.Event:2")]
        if training.num_iterations:
            first.append(Event(wall_time=now, step=first_step, session_log=SessionLog(status=SessionLog.START)))
        self._append(first)

    def add(self, points: Iterable[tuple[float, int, dict[str, float]]]) -> None:
        """Append points of time [s], step and values by name; all of them or none."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata

        def value_of(name: str, value: float) -> Summary.Value:
            # TensorBoard shows the description of a tag's first value; those of later ones cost little.
            text = self._descriptions.get(name)
            metadata = SummaryMetadata(summary_description=text) if text else None
            return Summary.Value(tag=name, simple_value=value, metadata=metadata)

        events = [
            Event(
                wall_time=at,
                step=step,
                summary=Summary(value=[value_of(name, value) for name, value in values.items()]),
            )
            for at, step, values in points
        ]
        if events:
            self._append(events)

    def _append(self, events: Sequence[Event]) -> None:
        self._store.append(self._key, b"".join(_record(event.SerializeToString()) for event in events))


def _record(content: bytes) -> bytes:
    """As event files hold it. TensorBoard's own `RecordWriter` takes a quarter of a second to import.

    Source: tensorflow, `core/lib/io/record_writer.cc`.
    """
    length = len(content).to_bytes(8, "little")
    return b"".join(part + masked(crc32c(part)).to_bytes(4, "little") for part in (length, content))
