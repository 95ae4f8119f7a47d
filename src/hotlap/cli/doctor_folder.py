"""``hotlap doctor DIR`` and ``hotlap doctor --drfc DIR``: what a folder asks for, and what becomes of it."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotlap.errors import HotlapError, MissingExtraError, RewardError, TrackError

if TYPE_CHECKING:
    from rich.console import Console

    from hotlap.config.drfc import DrfcFolder, Row
    from hotlap.config.job import Job
    from hotlap.config.model_folder import ModelFolder
    from hotlap.rewards.loader import RewardSource

_TITLES = {"works": "Works as in the original", "differs": "Works differently", "ignored": "Means nothing here"}


@dataclass(frozen=True)
class FolderReport:
    """What was found in a folder whose files are right."""

    folder: Path
    """Of the model."""
    problems: list[str]
    """What keeps it from being trained on this machine."""
    warnings: list[str]
    """What is possible but probably not meant, or has no effect."""
    trained: str | None
    """What there is to go on with, if there is an earlier training, and how."""
    rows: dict[str, list[Row]]
    """``works``, ``differs`` and ``ignored`` variables; empty for a model folder."""

    def to_json(self) -> dict[str, Any]:
        """JSON values under the keys that the command documents."""
        rows = {
            fate: [
                {
                    "variable": row.variable,
                    "text": row.text,
                    "set": [
                        {"value": each.value, "file": str(each.file), "line": each.line} for each in row.assignments
                    ],
                }
                for row in rows
            ]
            for fate, rows in self.rows.items()
        }
        found = {"folder": str(self.folder), "problems": self.problems, "warnings": self.warnings}
        return {"ok": not self.problems, **found, "trained": self.trained, **rows}


def examine_folder(folder: Path | None, drfc: Path | None) -> FolderReport:
    """Read all files of a model folder, or of one of DeepRacer-for-Cloud.

    Args:
        folder: Either.
        drfc: The latter, whatever else lies in it.

    Raises:
        ConfigError: If they are wrong.
    """
    from hotlap.cli.earlier_model import earlier_model
    from hotlap.cli.model_argument import choose_model, open_drfc, settings_doubts
    from hotlap.config.availability import unavailable
    from hotlap.config.base import ConfigWarning
    from hotlap.config.drfc import is_drfc_folder
    from hotlap.envs.cornering import speed_doubts

    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConfigWarning)
            rows: dict[str, list[Row]] = {}
            read: DrfcFolder | None = None
            model: ModelFolder
            if folder is not None and drfc is None and is_drfc_folder(folder):
                folder, drfc = None, folder
            if drfc is not None and folder is None:
                read = open_drfc(drfc)
                model, job = read.model, read.job
                rows = {"works": read.rows("works"), "differs": read.rows("differs"), "ignored": read.rows("ignored")}
            else:
                model = choose_model(folder, drfc).model
                job = model.job
            problems = [*unavailable(model.metadata), *_problems(job), *_reward_problems(model)]
            trained, foreign = (None, None) if job.training.output else earlier_model(model.path, read)
            problems += [foreign] if foreign else []
            doubtful = [*settings_doubts(model, job), *speed_doubts(job, model.metadata)]
    except HotlapError:
        for each in caught:  # they may be why
            warnings.warn(each.message, each.category, stacklevel=2)
        raise
    told = [str(each.message) for each in caught if issubclass(each.category, ConfigWarning)]
    remarks = read.remarks if read else []
    return FolderReport(model.path, problems, [*remarks, *told, *doubtful], trained, rows)


def print_report(report: FolderReport, out: Console) -> None:
    """Variables of each kind, each on a line of its own so that it can be copied; warnings; and the verdict."""
    from rich.markup import escape
    from rich.padding import Padding

    for fate, rows in report.rows.items():
        out.print(_TITLES[fate], style="bold")
        if not rows:
            out.print("None of the variables that are set.")
        if fate == "ignored":
            texts = dict.fromkeys(row.text for row in rows)
            pairs = [(", ".join(row.variable for row in rows if row.text == text), text) for text in texts]
        else:
            pairs = [(_values(row), row.text) for row in rows]
        for names, text in pairs:
            out.print(names, soft_wrap=fate != "ignored")
            out.print(Padding(text, (0, 0, 0, 4), style="dim", expand=False), soft_wrap=False)
        out.print()
    for text in report.warnings:
        out.print(text, style="yellow")
    for text in report.problems:
        out.print(text, style="red")
    color, verdict = "green", f" {report.trained}." if report.trained else ": Ready to train."
    if report.problems:
        color, verdict = "red", ": Cannot be trained yet."
    out.print(f"{escape(str(report.folder))}[{color}]{verdict}[/]", markup=True)


def _values(row: Row) -> str:
    """The variable with its value, and below it those of the workers that have another than the one before them."""
    first, *others = row.assignments
    lines, last = [f"{row.variable}={first.value}"], first.value
    for each in others:
        if each.value != last:
            lines.append(f"    {each.file.name}: {each.value}")
        last = each.value
    return "\n".join(lines)


def _problems(job: Job) -> list[str]:
    """Tracks, models and libraries that the job needs and that are not there."""
    from hotlap.envs.race_tracks import tracks_of
    from hotlap.monitoring.monitor import open_sinks
    from hotlap.records.address import is_s3

    problems: dict[str, None] = {}
    for race in job.races:
        try:
            tracks_of(race, seed=job.training.seed)
        except TrackError as error:
            problems[str(error)] = None
    source = job.training.clone_from
    if source and not is_s3(source) and not Path(source).exists():
        problems[
            f"{source}: there is no such model, but training.clone_from (DR_LOCAL_S3_PRETRAINED_PREFIX) names it."
        ] = None
    try:
        open_sinks(job.monitoring.model_copy(update={"prometheus_port": None}))  # which may be free when it counts
    except MissingExtraError as error:
        problems[str(error)] = None
    return list(problems)


def _reward_problems(model: ModelFolder) -> list[str]:
    """What can be told of a reward function without executing it."""
    from hotlap.rewards.loader import compile_reward, read_reward

    try:
        source = read_reward(model.reward_file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            names = compile_reward(source).co_names
    except RewardError as error:
        return [str(error)]
    problems = _missing_packages(source)
    if not {"reward_function", "reward_function_batch"}.intersection(names) and b"import *" not in source.text:
        problems.append(
            f"{model.reward_file}: there is no reward_function in it. It must define `def reward_function(params):`."
        )
    return problems


def _missing_packages(source: RewardSource) -> list[str]:
    """A sentence for each package that a reward function imports and that is not there, unless it is in a `try`."""
    file, tree = source.path, ast.parse(source.text)
    optional = {id(inner) for each in ast.walk(tree) if isinstance(each, ast.Try) for inner in ast.walk(each)}
    lines: dict[str, int] = {}
    for node in ast.walk(tree):
        if id(node) in optional:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        else:
            continue
        for name in names:
            lines.setdefault(name.partition(".")[0], node.lineno)
    return [
        f"{file}, line {line}: the package {name} is not installed. Install it, or put the module beside this file."
        for name, line in lines.items()
        if not _is_there(name, file.parent)
    ]


def _is_there(module: str, folder: Path) -> bool:
    """Whether a module can be imported, from the folder of a reward function as well; nothing is executed."""
    try:
        return find_spec(module) is not None or PathFinder.find_spec(module, [str(folder)]) is not None
    except ValueError:  # it is loaded and came from nowhere, as __main__ does
        return True
