"""The one schema of control steps: what its description lists is what it has."""

from __future__ import annotations

import re
from dataclasses import fields

import numpy as np
import pytest

from hotlap.deepracer.statuses import Status
from hotlap.deepracer.trace import TRACE_COLUMNS
from hotlap.records.steps import Steps


def test_the_description_lists_every_column_in_order_with_its_type():
    rows = re.findall(r"^    ([a-z_, ]+?) +(int64|int8|float|bool)(?: |$)", Steps.__doc__, flags=re.MULTILINE)
    listed = {name: dtype for names, dtype in rows for name in names.split(", ")}
    assert list(listed) == [each.name for each in fields(Steps)]
    for name, column in Steps.of(step=[1, 2]).columns.items():
        assert column.dtype == np.dtype(listed[name]), name
        assert column.shape == (2,)


def test_every_column_of_a_trace_is_one_of_the_steps():
    assert set(TRACE_COLUMNS.values()) == {each.name for each in fields(Steps)} - {"iteration", "worker"}


def test_columns_come_in_any_type_and_keep_their_precision():
    steps = Steps.of(step=[1.0, 2.0], x=np.zeros(2, np.float32), y=[3, 4], done=np.array([0, 1]), worker=2)
    assert (steps.step.dtype, steps.x.dtype, steps.y.dtype) == (np.int64, np.float32, np.float64)
    assert steps.done.tolist() == [False, True]
    assert steps.worker.tolist() == [2, 2]
    with pytest.raises(TypeError, match="colour"):
        Steps.of(step=[1], colour=[2])


def test_a_lap_counts_from_the_step_after_the_one_that_completes_it():
    """At its start a lap may be complete already: the prepare step tells what was before."""
    status = [Status.PREPARE, *[Status.IN_PROGRESS] * 4]
    steps = Steps.of(step=np.arange(5), status=status, progress=[100.0, 50.0, 100.0, 1.0, 100.0])
    assert steps.lap.tolist() == [0, 0, 0, 1, 1]


def test_episodes_begin_where_the_steps_begin_again():
    steps = Steps.of(step=[2, 3, 1, 2, 1, 1], episode=[0, 0, 0, 0, 1, 1], iteration=[0, 0, 0, 0, 0, 1])
    assert steps.begins.tolist() == [True, False, True, False, True, True]
    assert Steps.joined([steps, steps.where(steps.begins)]).step.tolist() == [2, 3, 1, 2, 1, 1, 2, 1, 1, 1]
    assert len(Steps.joined([])) == 0
