"""Under which rules an evaluation is driven, in words and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hotlap.config.job import Disturbance, Job
from hotlap.config.race_settings import Race
from hotlap.sim.scene import RaceRules


@dataclass(frozen=True)
class EvaluationRules:
    """What an evaluation asks of a car; under equal rules models can be compared."""

    race: Race
    num_trials: int
    """Laps (continuous) or attempts (not continuous)."""
    continuous: bool
    seed: int
    number_of_resets: int = 0
    """How often the car is put back on the track; 0 ends a trial at its first mistake."""
    off_track_penalty: float = 0.0
    """[s]"""
    collision_penalty: float = 0.0
    """[s]"""
    disturb: Disturbance | None = None
    """What makes pictures harder to read."""

    @classmethod
    def of(cls, job: Job, laps: int | None = None) -> EvaluationRules:
        """The rules of a job; with ``laps`` so many laps from the start line, each ended by its first mistake."""
        settings = job.evaluation
        if laps is not None:
            return cls(job.race, laps, continuous=False, seed=settings.seed, disturb=settings.disturb)
        return cls(
            job.race,
            settings.trials,
            continuous=settings.continuous,
            seed=settings.seed,
            number_of_resets=settings.number_of_resets,
            off_track_penalty=settings.off_track_penalty,
            collision_penalty=settings.collision_penalty,
            disturb=settings.disturb,
        )

    @property
    def num_episodes(self) -> int:
        """Drives from the start line."""
        return 1 if self.continuous else self.num_trials

    @property
    def race_rules(self) -> RaceRules:
        """The same for the simulator."""
        return RaceRules(
            number_of_resets=self.number_of_resets,
            off_track_penalty=self.off_track_penalty,
            collision_penalty=self.collision_penalty,
            number_of_laps=self.num_trials if self.continuous else 1,
        )

    def to_json(self) -> dict[str, Any]:
        """JSON values, under the names of job.toml."""
        return {
            "race_type": self.race.race_type,
            "track": self.race.track,
            "direction": self.race.direction,
            "reverse_dir": self.race.reverse_dir,
            "trials": self.num_trials,
            "continuous": self.continuous,
            "number_of_resets": self.number_of_resets,
            "off_track_penalty": self.off_track_penalty,
            "collision_penalty": self.collision_penalty,
            "seed": self.seed,
            "disturb": self.disturb,
        }

    def __str__(self) -> str:
        trials = f"{self.num_trials} {'lap' if self.continuous else 'trial'}{'s' if self.num_trials > 1 else ''}"
        if self.number_of_resets:
            mistakes = (
                f"{self.number_of_resets} resets at most, penalties {self.off_track_penalty:g} s off the track and "
                f"{self.collision_penalty:g} s for a collision"
            )
        else:
            mistakes = f"{'ended' if self.continuous else 'each ended'} by the first mistake"
        direction = "" if self.race.direction == "as_is" else f", {self.race.direction}"
        turned = ", the other way round" if self.race.reverse_dir else ""
        seen = f", with disturbed pictures ({self.disturb})" if self.disturb else ""
        race = self.race.race_type.replace("_", " ")
        return f"{race}{direction}{turned}, {trials}{' in one go' if self.continuous else ''}, {mistakes}, " + (
            f"seed {self.seed}{seen}"
        )
