"""What a policy sees and what it may do: plain descriptions, without tensors of any car."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DiscreteActions:
    """A choice among ``num`` actions, numbered from 0."""

    num: int

    def __post_init__(self) -> None:
        if self.num < 1:
            raise ValueError(f"num must be at least 1, got {self.num}")


@dataclass(frozen=True)
class ContinuousActions:
    """One number per dimension between ``low`` and ``high``, in the units of the environment.

    The network works in [-1, 1] in every dimension; the environment maps that range linearly to [low, high].
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or not self.low:
            raise ValueError(f"low and high must be equally long and not empty, got {self.low} and {self.high}")
        if any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"low must not exceed high, got {self.low} and {self.high}")

    @property
    def num_dims(self) -> int:
        return len(self.low)


ActionSpec = DiscreteActions | ContinuousActions
