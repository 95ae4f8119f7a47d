"""What a training prints where nobody watches a terminal: one line for each thing that happens, at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from hotlap.records.events import IterationRecord
from hotlap.training.listener import Silence


def say(message: str) -> None:
    """Print one line, now; also from a signal handler, which may interrupt a print that is under way."""
    _print(f"hotlap: {message}\n")


def say_plainly(lines: Sequence[str]) -> None:
    """Print lines as they are, for those who know them."""
    _print("".join(f"{line}\n" for line in lines))


def _print(text: str) -> None:
    rest = text.encode()
    while rest:  # a pipe may take a part at a time
        rest = rest[os.write(sys.stdout.fileno(), rest) :]


class LogLines(Silence):
    """Prints a line per iteration, as ``name=value`` for the filters of log services, and the original's lines."""

    def on_iteration(self, record: IterationRecord) -> None:
        values: dict[str, float | str] = {
            "iteration": record.number,
            "episodes": record.total_episodes,
            "steps": record.total_steps,
            "minutes": round(record.elapsed_s / 60, 1),
            "reward": round(record.reward_mean, 3),
            "completion": round(record.completion_mean, 2),
        }
        if record.evaluation is not None:
            values["clean"] = round(record.evaluation.clean_rate, 4)
            values["eval_completion"] = round(record.evaluation.completion_mean, 2)
        values |= {name: round(value, 5) for name, value in record.losses.items()}
        say(" ".join(f"{name}={value}" for name, value in values.items()) + " best" * record.is_best)

    def on_message(self, message: str) -> None:
        say(message)

    def on_log(self, lines: Sequence[str]) -> None:
        say_plainly(lines)
