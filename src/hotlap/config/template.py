"""The files that a new model folder starts with; their comments are the texts that stand under the fields."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.fields import FieldInfo

from hotlap.config.base import Config
from hotlap.config.hyperparameters import STARTER, Hyperparameters
from hotlap.config.job import Job
from hotlap.deepracer.metadata_names import NETWORKS, SHALLOW
from hotlap.deepracer.sensors import FRONT_CAMERA, SIMULATED

STARTER_STEERING_DEG = (-30.0, -15.0, 0.0, 15.0, 30.0)
STARTER_SPEED = 1.0  # [m/s] DeepRacer-for-Cloud begins with 0.6, which is learned no sooner and takes longer to watch
FAST = 1.5  # [m/s] from here on a bend may be too tight for the fastest action


def job_toml(job: Job) -> str:
    """``job`` as a job.toml in which every key is explained; a key without a value stands there as a comment."""
    lines = ["# How this model trains and is evaluated. A key that you delete takes its default."]
    for name, field in Job.model_fields.items():
        value = getattr(job, name)
        if isinstance(value, Config):
            lines += _section(name, value, field.description)
        else:
            lines += ["", *_comment(field.description), *_tables(name, value or _example(field), comment=not value)]
    return "\n".join(lines) + "\n"


def _section(name: str, section: Config, description: str | None) -> list[str]:
    """A table of TOML, and after it the tables inside of it."""
    lines, inner = ["", *_comment(description), f"[{name}]"], []
    for key, setting in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, Config):
            inner += _section(f"{name}.{key}", value, setting.description)
            continue
        line = f"# {key} = {_toml_value(_example(setting))}" if value is None else f"{key} = {_toml_value(value)}"
        lines += [*_comment(setting.description), line]
    return lines + inner


def _example(field: FieldInfo) -> Any:
    """What stands in the file, as a comment, for a key without a value."""
    assert field.examples
    return field.examples[0]


def _tables(name: str, tables: Sequence[Mapping[str, Any]], *, comment: bool) -> list[str]:
    """An array of tables, or an example of one."""
    lines = []
    for table in tables:
        lines += [f"[[{name}]]", *(f"{key} = {_toml_value(value)}" for key, value in table.items())]
    return [f"# {line}" for line in lines] if comment else lines


def starter_speeds(speed: float) -> list[float]:
    """Speeds [m/s] of a new model's actions, up to ``speed``: with a fast one come slower ones, to brake for bends."""
    if speed < FAST:
        return [speed]
    number = math.ceil(speed)
    return [round(STARTER_SPEED + (speed - STARTER_SPEED) * k / (number - 1), 2) for k in range(number)]


def metadata_json(speed: float = STARTER_SPEED) -> str:
    """A model_metadata.json with the front camera and five steering angles at each of `starter_speeds`."""
    metadata = {
        "action_space": [
            {"steering_angle": steering, "speed": each}
            for each in starter_speeds(speed)
            for steering in STARTER_STEERING_DEG
        ],
        "sensor": [FRONT_CAMERA],
        "neural_network": SHALLOW,
        "training_algorithm": "clipped_ppo",
        "action_space_type": "discrete",
        "version": "5",
    }
    return json.dumps(metadata, indent=2) + "\n"


def hyperparameters_json(settings: Hyperparameters = STARTER) -> str:
    """A hyperparameters.json with the keys that PPO uses."""
    return json.dumps(settings.effective("clipped_ppo"), indent=2) + "\n"


def folder_readme() -> str:
    """A README.md that explains the files; JSON has no room for comments."""
    settings = {
        key: field.description or "" for key, field in Hyperparameters.model_fields.items() if key != "sac_alpha"
    }
    return f"""\
# A hotlap model

`hotlap train .` trains it, `hotlap evaluate .` races it, `hotlap reward check reward_function.py` looks for mistakes.

{_table("file", "says", _FILES)}

The first three are written as for AWS DeepRacer.

## model_metadata.json

{_table("key", "meaning", _METADATA)}

## hyperparameters.json

{_table("key", "meaning", settings)}
"""


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


_FILES = {
    "reward_function.py": "what good driving is: called after every step, returns a number",
    "model_metadata.json": "what the car sees and what it can do",
    "hyperparameters.json": "how the network learns",
    "job.toml": "track, stop rules, rules of evaluation; explained in the file itself",
}
_METADATA = {
    "action_space": """The actions to choose from: `steering_angle` in degrees (positive is left, at most 30) and
        `speed` in m/s (0.1 to 4). Slow cars learn to stay on the road sooner.""",
    "sensor": f"What the car sees with, a list of one camera: {_names(SIMULATED)}.",
    "neural_network": f"""How many layers the network has, from few to many: {_names(NETWORKS)}. More layers learn more
        slowly.""",
    "training_algorithm": "How it learns: `clipped_ppo`, the only one that hotlap has.",
    "action_space_type": """`discrete`: a list of actions. `continuous`: an object in which `steering_angle` and `speed`
        have `low` and `high`.""",
    "version": "Which generation of the DeepRacer car drives; keep 5, unless you bring a model made for another.",
}


def _table(left: str, right: str, rows: Mapping[str, str]) -> str:
    """A table of Markdown; a line break or a bar in a text would end its row or cell."""
    cells = {key: " ".join(text.split()).replace("|", r"\|") for key, text in rows.items()}
    return "\n".join([f"| {left} | {right} |", "|---|---|", *(f"| `{key}` | {text} |" for key, text in cells.items())])


def _comment(text: str | None) -> list[str]:
    return textwrap.wrap(text or "", width=100, initial_indent="# ", subsequent_indent="# ")


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    # JSON's texts, numbers and booleans are TOML's as well.
    assert isinstance(value, str | bool | int | float)
    return json.dumps(value, ensure_ascii=False)
