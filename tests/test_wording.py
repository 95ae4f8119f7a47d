"""One of a thing is one."""

from __future__ import annotations

import pytest

from hotlap.wording import counted


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 laps"), (1, "1 lap"), (2, "2 laps"), (1200, "1,200 laps")], ids=str
)
def test_things_are_counted_as_people_do(number: int, words: str):
    assert counted(number, "lap") == words
