"""The stages of a training with a teacher."""

from __future__ import annotations

import pytest

from hotlap.config.teaching import Student, Teacher, with_numbers


@pytest.mark.parametrize(
    ("minutes", "objects", "expected"),
    [
        (0.0, False, (600, 64, 8)),
        (3.0, False, (600, 64, 8)),
        (6.0, False, (600, 64, 16)),
        (60.0, False, (600, 64, 32)),
        (0.0, True, (600, 128, 16)),
        (60.0, True, (600, 128, 64)),
    ],
)
def test_more_time_and_objects_give_more_iterations(minutes: float, objects: bool, expected: tuple[int, int, int]):
    teacher, student = with_numbers(Teacher(), Student(), minutes, objects=objects)
    assert (teacher.iterations, teacher.episodes, student.iterations) == expected


def test_numbers_that_are_given_stay():
    given = Teacher(iterations=3, episodes=5), Student(iterations=2, samples=7)
    assert with_numbers(*given, 60.0, objects=True) == given
