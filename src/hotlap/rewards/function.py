"""A loaded reward function: calls it, checks what it returns, and explains its failures."""

from __future__ import annotations

import difflib
import math
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from hotlap.deepracer.reward_inputs import KEYS, OLD_KEYS
from hotlap.errors import FailedCall, RewardError, RewardStopped
from hotlap.rewards import guard
from hotlap.rewards.guard import is_interrupt
from hotlap.rewards.lines import hanging, keys_read, source_of
from hotlap.rewards.params import RewardParams, batch_of_one
from hotlap.rewards.running import Stopped, running

LIMIT: Final = 1e5
"""Rewards lie within [-LIMIT, LIMIT]."""

_get_ident = threading.get_ident

Where = tuple[int | str, float] | str | None
"""An (episode, step) pair, or any text; it is only read when something fails."""

_TOLD: Final = (
    "steps", "progress", "x", "y", "heading", "speed", "steering_angle", "distance_from_center", "track_width",
    "all_wheels_on_track", "is_offtrack", "closest_waypoints",
)  # fmt: skip
"""The inputs that an error tells, whatever the line reads."""


class RewardFunction:
    """A user's reward function, called with the checks of the original.

    Args:
        path: Its file, as it shall appear in errors.
        function: The file's `reward_function`, if it has one.
        batch_function: The file's `reward_function_batch`, if it has one; without a `reward_function` it is asked about
            single steps too, as a batch of one.
        namespace: The globals of the file's module.
    """

    def __init__(
        self,
        path: Path,
        function: Callable[[dict[str, Any]], Any] | None,
        batch_function: Callable[[dict[str, Any]], Any] | None = None,
        namespace: dict[str, Any] | None = None,
    ) -> None:
        self.path = path
        any_function = function or batch_function
        assert any_function is not None
        self.function = function
        self.batch_function = batch_function
        self.namespace = {} if namespace is None else namespace
        self._folder = str(path.parent) if path.parent != Path() else str(Path(_file_of(any_function)).parent)
        guard.install()

    def __repr__(self) -> str:
        return f"RewardFunction({str(self.path)!r})"

    def __call__(self, params: dict[str, Any], where: Where = None) -> float:
        """The reward of one step.

        Args:
            params: A dictionary of the function's own, as `RewardParams.rows` makes them.
            where: Says in an error where the run stood.

        Raises:
            RewardError: If the function raises, or returns what is not a finite number within [-1e5, 1e5]. Names the
                file, the line, where the run stood, and the inputs. Also if it does not return, or does to this process
                what it must not; see `hotlap.rewards.guard`.
        """
        function = self.function
        if function is None:
            value = float(self._batch_answer(batch_of_one(params), 1, where or _where(None, params))[0])
        else:
            value = self._answer(function, params, where)
            if type(value) is not float:
                value = self._as_float(function, value, params, where)
        if -LIMIT <= value <= LIMIT:  # not so for NaN
            return value
        self._refused(function or self.batch_function, f"returned {_number_word(value)}", params, where)

    def call_batch(
        self, params: RewardParams, columns: Mapping[str, np.ndarray], episodes: Sequence[int | str]
    ) -> np.ndarray:
        """The rewards (n,) float64 of a batch of worlds by the file's `reward_function_batch`.

        Args:
            params: Made for the routes that the columns name.
            columns: One row per world, see `hotlap.rewards.params.COLUMNS`.
            episodes: Number or name of each world's episode, for errors.

        Raises:
            RewardError: As in a single call. A wrong reward is told with the episode, step and inputs of its world.
        """
        assert self.batch_function is not None, f"{self.path} has no reward_function_batch"
        steps = columns["steps"]
        rewards = np.empty(len(steps))
        for rows, inputs in params.batches(columns):
            where = _where((episodes[rows[0]], steps[rows[0]]), inputs)
            if len(rows) > 1:
                where += f" (the first of {len(rows)} in the batch)"
            values = self._batch_answer(inputs, len(rows), where)
            wrong = np.flatnonzero(~(np.abs(values) <= LIMIT))
            if len(wrong):
                row = rows[wrong[0]]
                one = next(params.rows({key: column[[row]] for key, column in columns.items()}))
                what = f"returned {_number_word(values[wrong[0]])}"
                self._refused(self.batch_function, what, one, (episodes[row], steps[row]))
            rewards[rows] = values
        return rewards

    def _answer(self, function: Callable[[dict[str, Any]], Any], inputs: dict[str, Any], where: Where) -> Any:
        """What the user's function returns, whatever that is."""
        running.call = where, self._folder, _get_ident()
        try:
            if not running.armed or sys.stdout is not running.output or sys.stderr is not running.errors:
                guard.prepare()
            running.active = True
            value = function(inputs)
            running.active = False
        except BaseException as error:
            running.active = False
            self._raised(error, inputs, where)
        return value

    def _batch_answer(self, inputs: dict[str, Any], count: int, where: Where) -> np.ndarray:
        """Rewards of ``count`` worlds (count,), which may be wrong."""
        assert self.batch_function is not None
        value = self._answer(self.batch_function, inputs, where)
        expected = f"an array of shape ({count},), one reward for each car of the batch"
        try:
            values = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            values = None
        if value is None or values is None:
            self._refused(self.batch_function, f"returned {_value_word(value)}", inputs, where, expected)
        if values.shape != (count,):
            what = f"returned an array of shape {values.shape}" if values.ndim else f"returned {_value_word(value)}"
            self._refused(self.batch_function, what, inputs, where, expected)
        return values

    def _as_float(
        self, function: Callable[[dict[str, Any]], Any], value: Any, params: dict[str, Any], where: Where
    ) -> float:
        try:
            return float(value.item() if isinstance(value, np.ndarray) else value)
        except (TypeError, ValueError, OverflowError):
            pass
        self._refused(function, f"returned {_value_word(value)}", params, where)

    def _refused(
        self,
        function: Callable[[dict[str, Any]], Any] | None,
        what: str,
        params: dict[str, Any],
        where: Where,
        expected: str = f"a finite number from {-LIMIT:g} to {LIMIT:g}",
    ) -> NoReturn:
        sentence = f"the reward function {what}; expected {expected}."
        code = getattr(function, "__code__", None)
        line = None if code is None else code.co_firstlineno
        place = str(self.path) if line is None else f"{self.path}, line {line}"
        reads = keys_read(self.path, 0, params)
        raise _failed(RewardError, FailedCall(place, line, _where(where, params), sentence, params, reads))

    def _raised(self, error: BaseException, params: dict[str, Any], where: Where) -> NoReturn:
        if is_interrupt(error, Path(self._folder)):
            raise error
        file, line = line_of(error, Path(self._folder, self.path.name))
        place = f"{file}, line {line}" if line else str(self.path)
        reads = keys_read(file, line, params) if line else ()
        sentence = explain_at(error, file, line)
        raise _failed(
            kind_of(error), FailedCall(place, line or None, _where(where, params), sentence, params, reads)
        ) from error


def batched(function: Callable[[dict[str, Any]], Any]) -> RewardFunction:
    """A function that judges many cars at once, for the ``reward`` of an environment or of a race.

    Args:
        function: Is given arrays with one row for each car, such as ``params["speed"]`` of shape (n,), where a reward
            function is given single values (see `RewardParams.batches`), and returns an array of n rewards.
    """
    return RewardFunction(name_of(function), None, function)


def name_of(function: Callable[..., Any]) -> Path:
    """What errors call a function that comes from no reward file."""
    return Path(getattr(function, "__name__", "reward"))


def _failed(kind: type[RewardError], call: FailedCall) -> RewardError:
    where = f", {call.where}" if call.where else ""
    told = dict.fromkeys((*call.reads, *_TOLD))
    inputs = describe({key: call.inputs[key] for key in told if key in call.inputs} or call.inputs)
    error = kind(f"{call.place}{where}: {call.what}\n    Inputs: {inputs}.")
    error.call = call
    return error


def _file_of(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    return code.co_filename if code is not None else ""


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
    if guard.is_too_long(error) and (hangs := hanging(file, line)):
        return f"{explain(error)}; {hangs}."
    source = source_of(file, line)
    joined = ":" if isinstance(error, Stopped) else " in"  # what stopped it is a sentence
    return f"{explain(error)}{f'{joined} `{source}`' if source else ''}.{way_out(error)}"


def explain(error: BaseException) -> str:
    """What an exception says, in plain words where Python's own are bare."""
    if isinstance(error, Stopped):
        return guard.explained(error)
    text = " ".join(str(error).split()).removesuffix(".")
    kind = type(error).__name__
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str) and error.args[0] not in KEYS:
        return f"{kind}: there is no key {error.args[0]!r}"
    if isinstance(error, MemoryError):
        return f"the reward function needs more memory than there is for it ({kind})"
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return f"the reward function ends the program ({kind}{f': {text}' if text not in ('', 'None') else ''})"
    if isinstance(error, RecursionError):
        return f"the reward function calls itself again and again ({kind}: {text})"
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"the reward function reads {str(error.filename)!r}, and there is no such file ({kind})"
    if isinstance(error, AttributeError) and isinstance(error.obj, dict):
        return f"{kind}: a dictionary has no attribute {error.name!r}"
    return f"{kind}: {text}" if text else kind


def way_out(error: BaseException) -> str:
    """A sentence that begins with a space, or nothing."""
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str) and error.args[0] not in KEYS:
        return meant(error.args[0])
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return " Expected it to return a number."
    if isinstance(error, FileNotFoundError) and not os.path.isabs(str(error.filename or "/")):
        return (
            f" It is looked for in {os.getcwd()}, where hotlap was started; to read what lies beside the reward file "
            f"write os.path.join(os.path.dirname(__file__), {str(error.filename)!r})."
        )
    if isinstance(error, AttributeError) and isinstance(error.obj, dict) and "speed" in error.obj:
        close = difflib.get_close_matches(str(error.name).lower(), KEYS, n=1)
        return f' Write params["{close[0] if close else error.name}"].'
    return ""


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


def _value_word(value: Any) -> str:
    return "None (is a `return` missing?)" if value is None else f"{_shortened(value)} ({type(value).__name__})"


def _number_word(value: float) -> str:
    if math.isnan(value):
        return "NaN (a division 0/0, or infinity minus infinity?)"
    return f"{value:g}"


def _where(where: Where, params: Mapping[str, Any]) -> str:
    if isinstance(where, tuple):
        episode, step = where
        return f"episode {repr(episode) if isinstance(episode, str) else episode}, step {int(step)}"
    if where:
        return where
    steps = params.get("steps")
    return f"step {steps:g}" if isinstance(steps, float) else ""
