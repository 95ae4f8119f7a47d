"""What is said of a failure of a reward function: where, what, why, and the way out."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from hotlap.deepracer.reward_inputs import KEYS, OLD_KEYS
from hotlap.errors import FailedCall, RewardError, RewardStopped
from hotlap.rewards import guard
from hotlap.rewards.lines import hanging, source_of
from hotlap.rewards.running import Stopped

Where = tuple[int | str, float] | str | None
"""An (episode, step) pair, or any text; it is only read when something fails."""

_TOLD: Final = (
    "steps", "progress", "x", "y", "heading", "speed", "steering_angle", "distance_from_center", "track_width",
    "all_wheels_on_track", "is_offtrack", "closest_waypoints",
)  # fmt: skip
"""The inputs that an error tells, whatever the line reads."""


def failed(kind: type[RewardError], call: FailedCall) -> RewardError:
    """The error of a call, with what the function was asked."""
    where = f", {call.where}" if call.where else ""
    told = dict.fromkeys((*call.reads, *_TOLD))
    inputs = describe({key: call.inputs[key] for key in told if key in call.inputs} or call.inputs)
    error = kind(f"{call.place}{where}: {call.what}\n    Inputs: {inputs}.")
    error.call = call
    return error


def line_of(error: BaseException, path: Path) -> tuple[Path, int]:
    """The innermost place of a traceback that lies in the folder of ``path``: file and line; line 0 without one."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).parent == path.parent:
        return Path(error.filename), error.lineno or 0
    place = path, 0
    step = error.__traceback__
    while step is not None:
        file = Path(step.tb_frame.f_code.co_filename)
        if file.parent == path.parent:
            place = file, step.tb_lineno
        step = step.tb_next
    return place


def kind_of(error: BaseException) -> type[RewardError]:
    """`RewardStopped` for what ends a process, such as SystemExit; other exceptions may be due to the machine."""
    return RewardError if isinstance(error, Exception) else RewardStopped


def explain_at(error: BaseException, file: Path, line: int) -> str:
    """What an exception says, the line that raised it, and the way out: a sentence or two."""
    said, way_out = _explained(error)
    if guard.is_too_long(error) and (hangs := hanging(file, line)):
        return f"{said}; {hangs}."
    source = source_of(file, line)
    joined = ":" if isinstance(error, Stopped) else " in"  # what stopped it is a sentence
    return f"{said}{f'{joined} `{source}`' if source else ''}.{way_out}"


def _explained(error: BaseException) -> tuple[str, str]:
    """What an exception says, in plain words where Python's own are bare, and the way out, which may be nothing."""
    text = " ".join(str(error).split()).removesuffix(".")
    kind = type(error).__name__
    match error:
        case Stopped():
            return guard.explained(error), ""
        case KeyError(args=[str(key), *_]) if key not in KEYS:
            return f"{kind}: there is no key {key!r}", meant(key)
        case MemoryError():
            return f"the reward function needs more memory than there is for it ({kind})", ""
        case SystemExit() | KeyboardInterrupt():
            code = f": {text}" if text not in ("", "None", "0") else ""  # wandb makes exit(0) of an exit()
            return f"the reward function ends the program ({kind}{code})", " Expected it to return a number."
        case RecursionError():
            return f"the reward function calls itself again and again ({kind}: {text})", ""
        case FileNotFoundError() if error.filename is not None:
            name = str(error.filename)
            way_out = (
                f" It is looked for in {os.getcwd()}, where hotlap was started; to read what lies beside the reward "
                f"file write os.path.join(os.path.dirname(__file__), {name!r})."
            )
            said = f"the reward function reads {name!r}, and there is no such file ({kind})"
            return said, "" if os.path.isabs(name or "/") else way_out
        case AttributeError(obj=dict() as inputs):
            close = difflib.get_close_matches(str(error.name).lower(), KEYS, n=1)
            way_out = f' Write params["{close[0] if close else error.name}"].' if "speed" in inputs else ""
            return f"{kind}: a dictionary has no attribute {error.name!r}", way_out
    return f"{kind}: {text}" if text else kind, ""


def meant(key: str) -> str:
    """Names the key of the dictionary that ``key`` resembles or was replaced by, or nothing."""
    if key in OLD_KEYS:
        return f" It is a key of 2018 or 2019; today's name for it is {OLD_KEYS[key]}."
    close = difflib.get_close_matches(key.lower(), KEYS, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def describe(inputs: Mapping[str, Any]) -> str:
    """Inputs in one short line; long lists show their ends."""
    return ", ".join(f"{key}={_shortened(value)}" for key, value in inputs.items())


def _shortened(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_shortened, value))})"
    if isinstance(value, list) and len(value) > 4:
        return f"[{_shortened(value[0])}, … {len(value)} in all …, {_shortened(value[-1])}]"
    if isinstance(value, list):
        return f"[{', '.join(map(_shortened, value))}]"
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"array of shape {value.shape}"
    text = repr(value).replace("\n", " ")
    return text if len(text) <= 60 else text[:57] + "..."


def value_word(value: Any) -> str:
    """What a function returned that is no number."""
    return "None (is a `return` missing?)" if value is None else f"{_shortened(value)} ({type(value).__name__})"


def number_word(value: float) -> str:
    """A number that is no reward."""
    if math.isnan(value):
        return "NaN (a division 0/0, or infinity minus infinity?)"
    return f"{value:g}"


def where_of(where: Where, params: Mapping[str, Any]) -> str:
    """Where the run stands, as far as that is known."""
    if isinstance(where, tuple):
        episode, step = where
        return f"episode {repr(episode) if isinstance(episode, str) else episode}, step {int(step)}"
    if where:
        return where
    steps = params.get("steps")
    return f"step {steps:g}" if isinstance(steps, float) else ""
