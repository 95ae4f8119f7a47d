"""Every variable of DeepRacer-for-Cloud's environment files: what it may hold, and what becomes of it here.

They stand in drfc_variables.csv, a row for each:

- ``kind``: what it may hold, as `kind_called` says.
- ``default``: what the original's scripts take if it is not set; two quotes for an empty text.
- ``setting``: the key of job.toml that it sets.
- ``fallback``: another variable, which counts if this one is not set.
- ``parameters``: its keys in the parameters that launchers write, each after the part it belongs to (see `drfc_yaml`).
- ``fate``: whether it works, differs or is ignored.
- ``text``: what it does here, how that differs from the original, or why it does nothing; empty: it sets its setting.

Source: deepracer-for-cloud `defaults/template-*.env`, `docs/reference.md`, `scripts/*/prepare-config.py`,
`bin/activate.sh`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from hotlap.config.drfc_kinds import Kind, kind_called
from hotlap.config.env_file import Assignment, Environment

Fate = Literal["works", "differs", "ignored"]


@dataclass(frozen=True)
class Variable:
    """A row of the table."""

    name: str
    kind: Kind
    default: str | None
    setting: str | None
    fallback: str | None
    parameters: tuple[tuple[str, str], ...]
    """Part and key of each place among the launcher's parameters."""
    fate: Fate
    text: str
    per_worker: bool
    """Whether a worker-N.env can set it."""

    def assignment_in(self, environment: Environment) -> Assignment | None:
        """Where it is set, or else its fallback."""
        return environment.get(self.name) or (environment.get(self.fallback) if self.fallback else None)

    def text_in(self, environment: Environment) -> str | None:
        """What it is set to, by itself or its fallback; else its default."""
        assignment = self.assignment_in(environment)
        return self.default if assignment is None else assignment.value

    def value_in(self, environment: Environment) -> Any:
        """The same as a value; only for environments that were checked."""
        text = self.text_in(environment)
        return None if text is None else self.kind.parse(text)


def _variables() -> dict[str, Variable]:
    with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # What a worker's race is made of, and the older names of that.
    of_workers = [row for row in rows if row["setting"].startswith("race.") or "worker:" in row["parameters"]]
    per_worker = {row[column] for row in of_workers for column in ("variable", "fallback")}
    return {
        row["variable"]: Variable(
            name=row["variable"],
            kind=kind_called(row["kind"]),
            default=row["default"].replace("''", "") if row["default"] else None,
            setting=row["setting"] or None,
            fallback=row["fallback"] or None,
            parameters=tuple(
                (part, key) for each in row["parameters"].split() for part, _, key in [each.partition(":")]
            ),
            fate=row["fate"],  # type: ignore[arg-type]
            text=row["text"] or f"sets {row['setting']}",
            per_worker=row["variable"] in per_worker,
        )
        for row in rows
    }


VARIABLES: Final = _variables()

DEAD: Final = {
    "DR_TRAIN_ROUND_ROBIN_ADVANCE_DISTANCE": "DR_TRAIN_ROUND_ROBIN_ADVANCE_DIST",
}
"""Names that the original's documentation gives to variables which its scripts call otherwise: they do nothing."""
