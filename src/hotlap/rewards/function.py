"""A loaded reward function: calls it, and checks what it returns."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from hotlap.errors import FailedCall, RewardError
from hotlap.rewards import guard
from hotlap.rewards.explain import Where, explain_at, failed, kind_of, line_of, number_word, value_word, where_of
from hotlap.rewards.guard import is_interrupt
from hotlap.rewards.lines import keys_read
from hotlap.rewards.params import RewardParams, batch_of_one
from hotlap.rewards.running import running

LIMIT: Final = 1e5
"""Rewards lie within [-LIMIT, LIMIT]."""

_get_ident = threading.get_ident


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
            value = float(self._batch_answer(batch_of_one(params), 1, where or where_of(None, params))[0])
        else:
            value = self._answer(function, params, where)
            if type(value) is not float:
                value = self._as_float(function, value, params, where)
        if -LIMIT <= value <= LIMIT:  # not so for NaN
            return value
        self._refused(function or self.batch_function, f"returned {number_word(value)}", params, where)

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
            where = where_of((episodes[rows[0]], steps[rows[0]]), inputs)
            if len(rows) > 1:
                where += f" (the first of {len(rows)} in the batch)"
            values = self._batch_answer(inputs, len(rows), where)
            wrong = np.flatnonzero(~(np.abs(values) <= LIMIT))
            if len(wrong):
                row = rows[wrong[0]]
                one = next(params.rows({key: column[[row]] for key, column in columns.items()}))
                what = f"returned {number_word(values[wrong[0]])}"
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
            self._refused(self.batch_function, f"returned {value_word(value)}", inputs, where, expected)
        if values.shape != (count,):
            what = f"returned an array of shape {values.shape}" if values.ndim else f"returned {value_word(value)}"
            self._refused(self.batch_function, what, inputs, where, expected)
        return values

    def _as_float(
        self, function: Callable[[dict[str, Any]], Any], value: Any, params: dict[str, Any], where: Where
    ) -> float:
        try:
            return float(value.item() if isinstance(value, np.ndarray) else value)
        except (TypeError, ValueError, OverflowError):
            pass
        self._refused(function, f"returned {value_word(value)}", params, where)

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
        raise failed(RewardError, FailedCall(place, line, where_of(where, params), sentence, params, reads))

    def _raised(self, error: BaseException, params: dict[str, Any], where: Where) -> NoReturn:
        if is_interrupt(error, Path(self._folder)):
            raise error
        file, line = line_of(error, Path(self._folder, self.path.name))
        place = f"{file}, line {line}" if line else str(self.path)
        reads = keys_read(file, line, params) if line else ()
        sentence = explain_at(error, file, line)
        raise failed(
            kind_of(error), FailedCall(place, line or None, where_of(where, params), sentence, params, reads)
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


def _file_of(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    return code.co_filename if code is not None else ""
