"""A copy of a model folder that can be trained elsewhere: its files, its tracks, and no earlier training."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.config.template import job_toml
from hotlap.errors import RecordError
from hotlap.records.address import absolute, is_s3
from hotlap.records.lock import FolderLock
from hotlap.tracks.catalog import is_built_in, load_track
from hotlap.tracks.pool import names_of
from hotlap.tracks.route_file import write_route
from hotlap.unfinished import copy_whole, write_whole

TRACKS = "tracks"
PICTURES = (".png", ".mp4")  # of earlier trainings and evaluations
_ENVIRONMENTS = (".env",)  # of DeepRacer-for-Cloud: what they say stands in the copy's job.toml, which counts there


def copy_model(model: ModelFolder, job: Job, destination: Path, *, portable: bool = False) -> ModelFolder:
    """Copy what a training needs: the model's files, and what lies beside its reward function, which may read it.

    Of folders there only Python packages come along. Tracks that do not come with hotlap are copied as well. What
    ``job`` says is written into the copy's job.toml.

    Args:
        model: The model.
        job: Its settings.
        destination: Made if it does not exist; files of the same name there are replaced.
        portable: Name the copied tracks relative to the copy, which then is to be trained from inside. Otherwise their
            paths are absolute.

    Raises:
        TrackError: If a track cannot be loaded.
        RecordError: If something could not be written.
    """
    try:
        destination.mkdir(parents=True, exist_ok=True)
        for path in model.reward_file.parent.iterdir():
            if path.name.startswith(".") or path.suffix in (*PICTURES, *_ENVIRONMENTS):
                continue
            if path.is_file():
                copy_whole(path, destination / path.name)
            elif (path / "__init__.py").is_file():
                ignored = shutil.ignore_patterns("__pycache__")
                target = destination / path.name
                shutil.copytree(path, target, ignore=ignored, copy_function=copy_whole, dirs_exist_ok=True)
        copy_whole(model.reward_file, destination / "reward_function.py")
        copy_whole(model.metadata_file, destination / "model_metadata.json")
        copy_whole(model.hyperparameters_file, destination / "hyperparameters.json")
        folder = destination / TRACKS
        moved = _copy_tracks(job, folder, Path(TRACKS) if portable else folder.resolve())
        write_whole(destination / "job.toml", job_toml(_moved(job, moved)).encode())
    except (OSError, shutil.Error) as error:
        raise RecordError(
            f"{model.path} could not be copied to {destination} ({error}). Check that there is room and that this user "
            "may write there."
        ) from error
    return ModelFolder(destination)


def trained_copy(model: ModelFolder, job: Job, place: str | Path) -> tuple[ModelFolder, Job]:
    """What is trained at ``place``, and its settings: a copy of the model if that is another folder.

    Raises:
        RecordError: If a training holds that folder at this moment; see also `copy_model`.
    """
    if is_s3(place):
        return model, job
    job = job.model_copy(update={"training": job.training.model_copy(update={"output": None})})
    if absolute(place) == absolute(model.path):
        return model, job
    with FolderLock(place):
        copy = copy_model(model, job, Path(place))
    return copy, copy.job


def _copy_tracks(job: Job, folder: Path, named: Path) -> dict[str, str]:
    """Write the user's tracks into ``folder``; what ``race.track`` says then, by what it said, if that is called
    ``named``."""
    names = {words: names_of(words) for words in dict.fromkeys(race.track for race in (job.race, *job.races))}
    moved: dict[str, str] = {}
    for track in dict.fromkeys(name for several in names.values() for name in several):
        if is_built_in(track):
            continue  # every hotlap has it
        route = load_track(track)
        name = route.name
        taken = {Path(each).stem for each in moved.values()}
        while name in taken:
            name += "-"
        folder.mkdir(exist_ok=True)
        write_route(route, folder / f"{name}.npy")
        moved[track] = str(named / f"{name}.npy")
    return {words: ", ".join(moved.get(name, name) for name in several) for words, several in names.items() if several}


def _moved(job: Job, tracks: dict[str, str]) -> Job:
    """``job`` with its tracks where they are now, and other paths in it absolute."""
    changes: dict[str, Any] = {"track": tracks.get(job.race.track, job.race.track)}
    workers = [
        each | {"track": tracks.get(each["track"], each["track"])} if "track" in each else each for each in job.workers
    ]
    training = job.training
    if training.clone_from and Path(training.clone_from).exists():
        training = training.model_copy(update={"clone_from": str(Path(training.clone_from).resolve())})
    return job.model_copy(
        update={"race": job.race.model_copy(update=changes), "workers": tuple(workers), "training": training}
    )
