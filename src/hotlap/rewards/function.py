"""A loaded reward function: calls it, checks what it returns, and explains its failures."""

from __future__ import annotations

import difflib
import linecache
import math
import re
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from hotlap.deepracer.reward_inputs import KEYS, OLD_KEYS
from hotlap.errors import RewardError, RewardStopped
from hotlap.rewards import guard
from hotlap.rewards.guard import Stopped, is_interrupt, running
from hotlap.rewards.params import RewardParams

LIMIT: Final = 1e5
"""Rewards lie within [-LIMIT, LIMIT]."""

_get_ident = threading.get_ident

Where = tuple[int, float] | str | None
"""An (episode, step) pair, or any text; it is only read when something fails."""


class RewardFunction:
    """A user's reward function, called with the checks of the original.

    Args:
        path: Its file, as it shall appear in errors.
        function: The file's `reward_function`.
        batch_function: The file's `reward_function_batch`, if it has one.
        namespace: The globals of the file's module.
    """

    def __init__(
        self,
        path: Path,
        function: Callable[[dict[str, Any]], Any],
        batch_function: Callable[[dict[str, Any]], Any] | None = None,
        namespace: dict[str, Any] | None = None,
    ) -> None:
        self.path = path
        self.function = function
        self.batch_function = batch_function
        self.namespace = {} if namespace is None else namespace
        code = getattr(function, "__code__", None)
        self._folder = str(path.parent) if path.parent != Path() else str(Path(_file_of(function)).parent)
        guard.install()
        self._line = f", line {code.co_firstlineno}" if code is not None else ""

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
        running.where, running.folder, running.thread = where, self._folder, _get_ident()
        running.number += 1
        try:
            if not running.armed or sys.stdout is not running.output or sys.stderr is not running.errors:
                guard.prepare()
            running.active = True
            value = self.function(params)
            running.active = False
        except BaseException as error:
            running.active = False
            self._raised(error, params, where)
        if type(value) is not float:
            value = self._as_float(value, params, where)
        if -LIMIT <= value <= LIMIT:  # not so for NaN
            return value
        self._refused(f"returned {_number_word(value)}", params, where)

    def call_batch(self, params: RewardParams, columns: Mapping[str, np.ndarray], where: Where = None) -> np.ndarray:
        """The rewards (n,) float64 of a batch of worlds by the file's `reward_function_batch`.

        Args:
            params: Made for the routes that the columns name.
            columns: One row per world, see `hotlap.rewards.params.COLUMNS`.
            where: Says in an error where the run stood.

        Raises:
            RewardError: As in a single call; a wrong reward is shown with the inputs of its world.
        """
        assert self.batch_function is not None, f"{self.path} has no reward_function_batch"
        rewards = np.empty(len(columns["route"]))
        for rows, inputs in params.batches(columns):
            running.where, running.folder, running.thread = where, self._folder, _get_ident()
            running.number += 1
            try:
                if not running.armed or sys.stdout is not running.output or sys.stderr is not running.errors:
                    guard.prepare()
                running.active = True
                values = np.asarray(self.batch_function(inputs), dtype=np.float64)
                running.active = False
            except BaseException as error:
                running.active = False
                self._raised(error, inputs, where)
            if values.shape != rows.shape:
                raise RewardError(
                    f"{self.path}: reward_function_batch returned an array of shape {values.shape} for {len(rows)} "
                    f"worlds; expected {rows.shape}, one reward each."
                )
            wrong = np.flatnonzero(~(np.abs(values) <= LIMIT))
            if len(wrong):
                one = next(params.rows({key: column[rows[wrong[:1]]] for key, column in columns.items()}))
                self._refused(f"returned {_number_word(values[wrong[0]])} for one of the worlds", one, where)
            rewards[rows] = values
        return rewards

    def _as_float(self, value: Any, params: dict[str, Any], where: Where) -> float:
        try:
            return float(value.item() if isinstance(value, np.ndarray) else value)
        except (TypeError, ValueError, OverflowError):
            pass
        shown = "None (is a `return` missing?)" if value is None else f"{_shortened(value)} ({type(value).__name__})"
        self._refused(f"returned {shown}", params, where)

    def _refused(self, what: str, params: dict[str, Any], where: Where) -> NoReturn:
        raise RewardError(
            f"{self.path}{self._line}{_where(where, params)}: the reward function {what}; expected a finite number "
            f"from {-LIMIT:g} to {LIMIT:g}. Inputs: {describe(params)}."
        )

    def _raised(self, error: BaseException, params: dict[str, Any], where: Where) -> NoReturn:
        if is_interrupt(error, Path(self._folder)):
            raise error
        file, line = line_of(error, self.path)
        source = linecache.getline(str(file), line).strip() if line else ""
        at = f", line {line}" if line else ""
        raise kind_of(error)(
            f"{file}{at}{_where(where, params)}: {explain(error)}{f' in `{source}`' if source else ''}. "
            f"Inputs: {describe(params, source)}."
        ) from error


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


def explain(error: BaseException) -> str:
    """What an exception says, with the key that was probably meant."""
    if isinstance(error, Stopped):
        return guard.explained(error)
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str) and error.args[0] not in KEYS:
        return f"KeyError: there is no key {error.args[0]!r}.{meant(error.args[0])}".removesuffix(".")
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}".removesuffix(".") if text else type(error).__name__


def meant(key: str) -> str:
    """Names the key of the dictionary that ``key`` resembles or was replaced by, or nothing."""
    if key in OLD_KEYS:
        return f" It is a key of 2018 or 2019; today's name for it is {OLD_KEYS[key]}."
    close = difflib.get_close_matches(key.lower(), KEYS, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def describe(params: Mapping[str, Any], source: str = "") -> str:
    """The inputs in one short line, those that the line ``source`` reads first.

    Long lists show their ends; empty ones are left out unless the line reads them.
    """
    shown = []
    read = [key for key in params if re.search(rf"[\"']{re.escape(str(key))}[\"']", source)]
    for key in [*read, *(key for key in params if key not in read)]:
        value = params[key]
        if key in read:
            shown.append(f"{key}={_shortened(value)}")
            continue
        if isinstance(value, list | np.ndarray) and (
            len(value) == 0 or (key == "closest_objects" and not np.any(value))
        ):
            continue
        shown.append(f"{key}={_shortened(value)}")
    return ", ".join(shown)


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


def _number_word(value: float) -> str:
    if math.isnan(value):
        return "NaN (a division 0/0, or infinity minus infinity?)"
    return f"{value:g}"


def _where(where: Where, params: Mapping[str, Any]) -> str:
    if isinstance(where, tuple):
        return f", episode {where[0]}, step {int(where[1])}"
    if where:
        return f", {where}"
    steps = params.get("steps")
    return f", step {steps:g}" if isinstance(steps, float) else ""
