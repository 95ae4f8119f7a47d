"""The environment of a DeepRacer-for-Cloud folder: system.env, run.env and the files of further workers, checked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hotlap.config.base import mistakes, resembling, shown, warn
from hotlap.config.drfc_variables import DEAD, VARIABLES
from hotlap.config.env_file import Assignment, Environment, TrackNames, read_env_file, read_worker_file
from hotlap.errors import ConfigError


@dataclass(frozen=True)
class Environments:
    """What the environment files of a folder say."""

    folder: Path
    """Where run.env, the workers' files and custom_files/ lie: that of an experiment, or the root."""
    run: Environment
    """system.env and run.env, which is worker 1 as well."""
    worker_files: tuple[Environment, ...] = ()
    """What worker-2.env, worker-3.env, … say by themselves; empty without multi-config."""
    has_system: bool = True
    """Whether there is a system.env."""

    @property
    def workers(self) -> tuple[Environment, ...]:
        """The environment of each worker; empty without multi-config. A value stays until a later file replaces it."""
        environments = [self.run]
        for file in self.worker_files:
            own = {name: value for name, value in file.items() if name in VARIABLES and VARIABLES[name].per_worker}
            environments.append({**environments[-1], **own})
        return tuple(environments) if self.worker_files else ()


def read_environments(path: Path, track_names: TrackNames = lambda called: None) -> Environments:
    """Read and check the environment files of a folder.

    Args:
        path: The folder.
        track_names: See `read_env_file`.

    Raises:
        ConfigError: If run.env or a worker's file is absent, cannot be read as such, or sets something to what is not
            allowed. Names file, line, variable, value and what is allowed, a line for each mistake.
    """
    if not path.is_dir():
        what = "this is a file, not a folder" if path.exists() else "there is no such folder"
        raise ConfigError(f"{path}: {what}. Name the folder of DeepRacer-for-Cloud in which run.env lies.")
    system_file = path / "system.env"
    activation = {"DR_DIR": Assignment("DR_DIR", str(path), system_file, 0)}
    system = read_env_file(system_file, activation) if system_file.is_file() else {}
    folder = _run_folder(path, system)
    everything = {**system, **read_env_file(folder / "run.env", {**activation, **system}, track_names=track_names)}
    run = {name: assignment for name, assignment in everything.items() if not _left_open(assignment)}
    _tell_what_is_left_open(everything)
    _check(run)
    late = run.get("DR_EXPERIMENT_NAME")
    if late is not None and late.file != system_file:
        warn(f"{late.place}: DR_EXPERIMENT_NAME has no effect here. It belongs into {system_file}.")
    return Environments(folder, run, _worker_files(folder, run), system_file.is_file())


def _run_folder(path: Path, system: Environment) -> Path:
    """The folder of run.env: that of the experiment, if system.env names one."""
    experiment = system.get("DR_EXPERIMENT_NAME")
    if experiment is None or not experiment.value or _left_open(experiment):
        if not (path / "run.env").is_file():
            raise ConfigError(f"{path}: there is no run.env, so this is no folder of DeepRacer-for-Cloud.")
        return path
    if problem := _problem(experiment):
        raise ConfigError(problem)
    folder = path / "experiments" / experiment.value
    if not os.path.isfile(folder / "run.env"):  # also where the name is longer than any may be
        raise ConfigError(
            f"{experiment.place}: DR_EXPERIMENT_NAME = {shown(experiment.value)}, but there is no {folder / 'run.env'}."
        )
    return folder


def _left_open(assignment: Assignment) -> bool:
    """Whether a variable has its default, because its value is left to another that nothing sets.

    Launch scripts of the original set some variables themselves, such as that of the bucket. What a shell would leave
    of the value counts where it is allowed.
    """
    variable = VARIABLES.get(assignment.name)
    if variable is None:
        return False
    empty = assignment.name == "DR_LOCAL_S3_BUCKET" and not assignment.value
    return (empty or bool(assignment.unset)) and _problem(assignment) is not None


def _tell_what_is_left_open(everything: Environment) -> None:
    """One sentence for each name that nothing sets, with all that was to take it in."""
    open_ones: dict[str, list[Assignment]] = {}
    for assignment in everything.values():
        for name in assignment.unset:
            open_ones.setdefault(name, []).append(assignment)
        if not assignment.unset and _left_open(assignment):
            warn(f"{assignment.place}: {_becomes(assignment)}, since its value is empty.")
    for name, assignments in open_ones.items():
        first = min(assignments, key=lambda each: (each.file.name != "system.env", each.line))
        more = [f"{len(assignments) - 3} more"] if len(assignments) > 3 else []
        effects = [_becomes(each) for each in assignments[: 3 if more else 4]] + more
        # A later line may set it: the original's script reads line by line.
        why = f"has no value yet ({everything[name].place} sets it)" if name in everything else "is not set anywhere"
        warn(f"{first.place}: ${name[:100]} {why}, so {', '.join(effects)}.")


def _becomes(assignment: Assignment) -> str:
    """What counts for a variable whose value is left to others."""
    if not _left_open(assignment):
        return f"{assignment.name[:100]} is {shown(assignment.value)}"
    default = VARIABLES[assignment.name].default
    return f"{assignment.name} " + ("does not count" if default is None else f"has its default, {default!r}")


def _worker_files(folder: Path, run: Environment) -> tuple[Environment, ...]:
    if not VARIABLES["DR_TRAIN_MULTI_CONFIG"].value_in(run):
        return ()
    num_workers = VARIABLES["DR_WORKERS"].value_in(run)
    if num_workers == 1:
        warn(f"{run['DR_TRAIN_MULTI_CONFIG'].place}: DR_TRAIN_MULTI_CONFIG has no effect with DR_WORKERS = 1.")
        return ()
    files: list[Environment] = []
    everything = run
    for number in range(2, num_workers + 1):
        file = folder / f"worker-{number}.env"
        if not file.is_file():
            raise ConfigError(
                f"{file}: there is no such file. With DR_TRAIN_MULTI_CONFIG = True and DR_WORKERS = {num_workers} "
                f"there must be one for each worker from 2 to {num_workers}; worker 1 has run.env."
            )
        files.append(read_worker_file(file))
        everything = {**everything, **files[-1]}
        _check(files[-1], everything)
    return tuple(files)


def _check(environment: Environment, everything: Environment | None = None) -> None:
    """Complain about values that are not allowed, warn about names without effect.

    Args:
        environment: What to look at.
        everything: What counts altogether, if ``environment`` is of a worker's file.
    """
    problems = []
    for name, assignment in environment.items():
        variable = VARIABLES.get(name)
        if variable is None:
            _warn_about_unknown(assignment)
        elif everything is not None and not variable.per_worker:
            warn(f"{assignment.place}: {name} has no effect in the file of a worker; run.env sets it for all.")
        elif problem := _problem(assignment):
            problems.append(problem)
    if not problems:
        problems += _times_in_wrong_order(everything or environment)
    if problems:
        raise ConfigError(mistakes(problems))


def _problem(assignment: Assignment) -> str | None:
    """What is wrong with a value, if anything is."""
    kind = VARIABLES[assignment.name].kind
    try:
        kind.parse(assignment.value)
    except ValueError as error:
        reason = f": {error}" if str(error) else ""
        return (
            f"{assignment.place}: {assignment.name} = {shown(assignment.value)} is not allowed{reason}. "
            f"Allowed: {kind.allowed}."
        )
    return None


def _times_in_wrong_order(environment: Environment) -> Iterator[str]:
    lower, upper = (VARIABLES[f"DR_H2B_{name}_LANE_CHANGE_TIME"] for name in ("LOWER", "UPPER"))
    if lower.value_in(environment) > upper.value_in(environment):
        first, second = (
            f"{variable.name} = {shown(variable.text_in(environment))} "
            f"({environment[variable.name].place if variable.name in environment else 'by default'})"
            for variable in (lower, upper)
        )
        yield f"{first} is not allowed together with {second}. Allowed: at most that."


def _warn_about_unknown(assignment: Assignment) -> None:
    name = assignment.name
    if name in DEAD:
        warn(
            f"{assignment.place}: {name} does nothing, though the original's documentation calls it so. The variable "
            f"that works is {DEAD[name]}."
        )
        return
    ours = name.upper().startswith("DR_")
    close = resembling(name[:100], VARIABLES, cutoff=0.6 if ours else 0.85)
    if ours or close:
        hint = f" Did you mean {close}?" if close else ""
        warn(f"{assignment.place}: {name[:100]} is not a variable of DeepRacer-for-Cloud and has no effect.{hint}")
