"""A point for each episode or trial to Telegraf: Influx line protocol over UDP, as the original sends it.

    dr_training_episodes,model=M,phase=training,status=Off\\ track,worker=0 elapsed_time=4533i,progress=31i,reward=27i
    dr_eval_episodes,model=M,status=Lap\\ complete,worker=0 elapsed_time=14866i,progress=100i,reset_count=1i

Source: DeepRacer simapp 6.0.5, ``markov/metrics``, and the client library that it uses: one datagram and one line for
each point, names in alphabetical order, no time, so that Telegraf sets it.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from hotlap.deepracer.statuses import STATUS_LABELS
from hotlap.monitoring.sink import Beginning, News, Sink, only
from hotlap.records.episode_log import EpisodeRecord
from hotlap.records.metrics import TrialMetrics


class TelegrafSink(Sink):
    """Sends datagrams, which arrive or not.

    Args:
        host, port: Where Telegraf listens; looked up for every batch, as it may move.
    """

    def __init__(self, host: str, port: int) -> None:
        self.name = f"Telegraf at {host}:{port}"
        self._host, self._port = host, port
        self._model = ""

    def begin(self, training: Beginning) -> None:
        self._model = training.model

    def send(self, news: list[News]) -> None:
        points = [_episode(record, self._model) for _, record in only(EpisodeRecord, news)]
        points += [_trial(trial, self._model) for _, trial in only(TrialMetrics, news)]
        if not points:
            return
        family, kind, protocol, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as sender:
            for point in points:
                sender.sendto(point, address)


def _episode(record: EpisodeRecord, model: str) -> bytes:
    """The point of an episode, in the whole numbers of the metrics files."""
    fields = {
        "elapsed_time": round(1000 * record.sim_s),
        "progress": int(record.progress),
        "reward": round(record.reward),
    }
    tags = {
        "model": model,
        "phase": record.phase,
        "status": STATUS_LABELS[record.status],
        "worker": str(record.worker),
    }
    return _point("dr_training_episodes", tags, fields)


def _trial(trial: TrialMetrics, model: str) -> bytes:
    """The point of a trial of an evaluation job."""
    record = trial.to_record()
    fields = {
        "elapsed_time": int(record["elapsed_time_in_milliseconds"]),
        "progress": int(record["completion_percentage"]),
        "reset_count": int(record["reset_count"]),
    }
    return _point("dr_eval_episodes", {"model": model, "status": str(record["episode_status"]), "worker": "0"}, fields)


def _point(measurement: str, tags: Mapping[str, str], fields: Mapping[str, int]) -> bytes:
    """One line of the protocol."""
    named = "".join(f",{name}={_escaped(tags[name])}" for name in sorted(tags))
    measured = ",".join(f"{name}={fields[name]}i" for name in sorted(fields))
    return f"{measurement}{named} {measured}\n".encode()


def _escaped(text: str) -> str:
    for special in ("\\", ",", "=", " "):
        text = text.replace(special, f"\\{special}")
    return text.replace("\n", "\\n")
