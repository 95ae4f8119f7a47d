"""The stages of a training with a teacher: [teacher], [student] and [polish] in job.toml."""

from __future__ import annotations

from pydantic import Field

from hotlap.config.base import Config

_USUAL_MINUTES = 3.0
_MOST = 4.0  # times as many
_TEACHER_ITERATIONS, _TEACHER_EPISODES, _STUDENT_ITERATIONS = 600, 64, 8
_MORE_WITH_OBJECTS = 2  # times as many: each drive meets but a few of the ways in which objects stand


class Teacher(Config):
    """Of a training by training.method = "teacher", the first stage: a small network that sees the simulator's state
    learns the reward function."""

    iterations: int = Field(default=0, ge=0)
    """Iterations; in the last fifth, but 30 at most, it explores less and less. 0: until its laps do not get better any
    more, 600 at most."""

    minutes: float = Field(default=0.0, ge=0)
    """Longest time [min]; 0: 55 % of training.max_minutes or --minutes."""

    episodes: int = Field(default=0, ge=0)
    """Episodes in an iteration. 0: 64, and 128 with obstacles or bot cars."""


class Student(Config):
    """The second stage: the model learns to do with its sensors what the teacher does, on its own drives."""

    iterations: int = Field(default=0, ge=0)
    """Iterations, fewer if the goal is reached before; over the last eight it learns more and more slowly. 0: 8, with
    obstacles or bot cars 16, and with --minutes beyond three in proportion more, up to four times as many."""

    minutes: float = Field(default=0.0, ge=0)
    """Longest time [min]; 0: 85 % of what is left."""

    episodes: int = Field(default=64, ge=1)
    """Episodes in an iteration; in the first ones the teacher drives."""

    samples: int = Field(default=12_288, ge=1)
    """Steps that an iteration learns from, drawn from those that are remembered."""

    memory: int = Field(default=40_000, ge=1)
    """Steps that are remembered, 20 kB each with a camera."""

    randomize: bool = False
    """For real cars: learn from pictures that are changed at random (light, blur, noise, dirt, the camera a little
    askew), each time anew, and drive in light of other colors in every episode."""

    mirror: bool = False
    """Learn from half of the steps mirrored, left for right. Every action needs its counterpart."""


class Polish(Config):
    """The third stage: PPO goes on from the student. In its first iteration only the value learns, so that it never
    ends with a worse policy than the student's."""

    iterations: int = Field(default=20, ge=1)
    """Iterations at most, the first included; fewer if the goal is reached before."""


def with_numbers(teacher: Teacher, student: Student, minutes: float, *, objects: bool) -> tuple[Teacher, Student]:
    """The stages with numbers of iterations and episodes where they have none.

    Args:
        teacher, student: Settings.
        minutes: From ``--minutes``; 0: nothing was asked for.
        objects: Whether there are obstacles or bot cars.
    """
    share = min(max(minutes / _USUAL_MINUTES, 1.0), _MOST)
    more = _MORE_WITH_OBJECTS if objects else 1
    return (
        teacher.model_copy(
            update={
                "iterations": teacher.iterations or _TEACHER_ITERATIONS,
                "episodes": teacher.episodes or more * _TEACHER_EPISODES,
            }
        ),
        student.model_copy(update={"iterations": student.iterations or round(more * _STUDENT_ITERATIONS * share)}),
    )
