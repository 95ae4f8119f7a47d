"""The stages of a training with a teacher: [teacher], [student] and [polish] in job.toml."""

from __future__ import annotations

from pydantic import Field

from hotlap.config.base import Config

_USUAL_MINUTES = 3.0
_MOST = 4.0  # times as many
_MOST_ITERATIONS = 600


class Teacher(Config):
    """Of a training by training.method = "teacher", the first stage: a small network that sees the simulator's state
    learns the reward function."""

    iterations: int = Field(default=0, ge=0)
    """Iterations; in the last fifth, but 30 at most, it explores less and less. 0: until its laps do not get better any
    more, 600 at most."""

    minutes: float = Field(default=0.0, ge=0)
    """Longest time [min]; 0: 55 % of training.max_minutes or --minutes."""

    episodes: int = Field(default=64, ge=1)
    """Episodes in an iteration."""


class Student(Config):
    """The second stage: the model learns to do with its sensors what the teacher does, on its own drives."""

    iterations: int = Field(default=0, ge=0)
    """Iterations, over which it learns more and more slowly; fewer if the goal is reached before. 0: 8, and with
    --minutes beyond three in proportion more, up to 32."""

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


def with_iterations(teacher: Teacher, student: Student, minutes: float) -> tuple[Teacher, Student]:
    """The stages with numbers of iterations where they have none, for ``--minutes``; 0: nothing was asked for."""
    share = min(max(minutes / _USUAL_MINUTES, 1.0), _MOST)
    return (
        teacher.model_copy(update={"iterations": teacher.iterations or _MOST_ITERATIONS}),
        student.model_copy(update={"iterations": student.iterations or round(8 * share)}),
    )
