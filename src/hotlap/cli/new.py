"""`hotlap new`: a model folder to begin with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hotlap.cli.console import JsonOption, print_json
from hotlap.deepracer.driving import DEFAULT_TRACK, MAX_SPEED, MIN_SPEED
from hotlap.shell import quoted


def new(
    directory: Annotated[Path, typer.Argument(help="The folder to make.", metavar="DIR")],
    reward: Annotated[
        str | None,
        typer.Option(
            help="A shipped reward function (see `hotlap reward examples`), or a file to copy. Default: "
            "follow_center_line, with a fast car progress_per_step."
        ),
    ] = None,
    track: Annotated[str, typer.Option(help="Track to train on (see `hotlap tracks list`).")] = DEFAULT_TRACK,
    speed: Annotated[
        float, typer.Option(help="Speed of the fastest actions, m/s; from 1.5 on there are slower ones, too.")
    ] = 1.0,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a model folder with commented files. Files that exist are kept."""
    from hotlap.config.base import warn
    from hotlap.config.job import Job
    from hotlap.config.metadata import ModelMetadata
    from hotlap.config.race_settings import Generated
    from hotlap.config.template import FAST, folder_readme, hyperparameters_json, job_toml, metadata_json
    from hotlap.envs.cornering import speed_doubts
    from hotlap.errors import ConfigError
    from hotlap.rewards import load_reward
    from hotlap.tracks.pool import track_pool
    from hotlap.unfinished import write_whole

    if not MIN_SPEED <= speed <= MAX_SPEED:
        raise ConfigError(f"--speed must be {MIN_SPEED:g} to {MAX_SPEED:g} m/s, got {speed:g}.")
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"{directory}: this is a file; name a folder that may be made.")
    track_pool(track, generated=dict(Generated()))
    fast = speed >= FAST
    reward = reward or ("progress_per_step" if fast else "follow_center_line")
    job = Job().updated(race={"track": track})
    metadata = metadata_json(speed)
    files = {
        "reward_function.py": load_reward(reward).path.read_bytes(),
        "model_metadata.json": metadata.encode(),
        "hyperparameters.json": hyperparameters_json().encode(),
        "job.toml": job_toml(job).encode(),
        "README.md": folder_readme().encode(),
    }
    kept = [] if force else [name for name in files if (directory / name).exists()]
    if any((directory / name).read_bytes() != files[name] for name in kept) and len(kept) == len(files):
        raise ConfigError(
            f"{directory}: all files of a model folder are there already. --force replaces them by new ones."
        )
    try:
        for name, content in files.items():
            if name not in kept:
                write_whole(directory / name, content)
    except OSError as error:
        raise ConfigError(f"{error.filename or directory}: cannot be written ({error.strerror}).") from None

    for sentence in speed_doubts(job, ModelMetadata.from_dict(json.loads(metadata))):
        warn(sentence)
    written = [name for name in files if name not in kept]
    if as_json:
        print_json({"folder": str(directory), "written": written, "kept": kept})
        return
    if not written:
        print(f"{directory}: nothing was to be written, all files of a model folder are there already.")
    else:
        print(f"{directory}: wrote {', '.join(written)}.")
        if kept:
            print(f"Kept as they were: {', '.join(kept)}.")
    reward_file = directory / "reward_function.py"
    print(
        f"Next: edit {reward_file}, which says what good driving is (it works as it is, too), then\n"
        f"      hotlap reward check {quoted(reward_file)}\n"
        f"      hotlap train {quoted(directory)}"
        + (" --teacher      # a teacher makes fast cars drive clean laps in minutes: docs/teacher.md" if fast else "")
    )
