"""Trainings that leave everything in a bucket, whose server comes and goes."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from s3_server import S3Server
from tiny_model import write_model

from hotlap.cli import main as command_line
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import ConfigError, RecordError, RewardError
from hotlap.records import output
from hotlap.records.address import S3Prefix
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.events import IterationRecord, ProgressLog
from hotlap.records.leftovers import leftovers
from hotlap.records.opening import open_store
from hotlap.training.course import Course
from hotlap.training.listener import Silence
from hotlap.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("coarse_figures")


class Bystander(Silence):
    """Listens; after certain iterations it does something."""

    def __init__(self, after: dict[int, Callable[[], None]]) -> None:
        self.after = after
        self.iterations: list[int] = []
        self.messages: list[str] = []

    def on_iteration(self, record: IterationRecord) -> None:
        self.iterations.append(record.iteration)
        self.after.get(record.iteration, lambda: None)()

    def on_message(self, message: str) -> None:
        self.messages.append(message)

    def wait_for(self, words: str, times: int = 1) -> None:
        """Until it was told so."""
        deadline = time.monotonic() + 60
        while sum(words in message for message in self.messages) < times:
            assert time.monotonic() < deadline, self.messages
            time.sleep(0.02)


def in_bucket(model: ModelFolder, place: str, **training: Any) -> Any:
    """The model's job, with its output at a place."""
    return model.job.updated(training={"output": place, **training})


def contents(server: S3Server, place: str) -> dict[str, str]:
    """Key and MD5 of all files below a prefix, as another library sees them."""
    parsed = S3Prefix.parse(place)
    client = server.client()
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=parsed.bucket, Prefix=f"{parsed.prefix}/"):
        for entry in page.get("Contents", []):
            digest = entry["ETag"].strip('"')
            key = entry["Key"].removeprefix(f"{parsed.prefix}/")
            found[key] = md5(read(server, place, key)) if "-" in digest else digest  # what came in parts has no MD5
    return found


def read(server: S3Server, place: str, key: str) -> bytes:
    parsed = S3Prefix.parse(place)
    body = server.client().get_object(Bucket=parsed.bucket, Key=f"{parsed.prefix}/{key}")["Body"].read()
    assert isinstance(body, bytes)
    return body


def files(folder: Path) -> dict[str, str]:
    """Key and MD5 of all files below a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): md5(path.read_bytes()) for path in paths}


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def lasting(found: dict[str, str]) -> dict[str, str]:
    """What must be the same, byte by byte, wherever a training leaves it."""
    kept = {
        key: data
        for key, data in found.items()
        if key.startswith(("model/", "training-simtrace/", "logs/training/", "ip/hyper"))
    }
    kept |= {key: data for key, data in found.items() if key.startswith("metrics/") and key.endswith(".json")}
    return {key: data for key, data in kept.items() if not key.endswith(".state.json")}  # holds times


def curve(place: str | Path) -> list[tuple[int, str, int, float]]:
    """The recorded iterations, without what the clock says."""
    records = ProgressLog(open_store(place)).read()
    return [(each.iteration, each.checkpoint, each.total_steps, each.reward_mean) for each in records]


def assert_same_training(server: S3Server, place: str, folder: Path) -> None:
    """The bucket holds what the folder holds, nothing is missing and nothing too much."""
    there, here = lasting(contents(server, place)), lasting(files(folder))
    assert there.keys() == here.keys()
    assert {key for key in here if there[key] != here[key]} == set()
    assert curve(place) == curve(folder)
    assert CheckpointStore(place).load("last").name == CheckpointStore(folder).load("last").name
    assert CheckpointStore(place).load("best").name == CheckpointStore(folder).load("best").name


@pytest.fixture
def own_server(s3_server: S3Server) -> S3Server:
    """One that may be stopped."""
    if s3_server.given:
        pytest.skip("a server that is not ours is not stopped")
    return s3_server


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A training of three iterations in a folder."""
    model = write_model(tmp_path_factory.mktemp("undisturbed") / "model")
    Trainer(model).run()
    return model


def test_a_bucket_gets_what_a_folder_gets_though_its_server_stops(
    own_server: S3Server, s3_bucket: str, undisturbed: ModelFolder
):
    """Training does not wait for it; the end does. Two lines tell of the outage."""
    place = f"s3://{s3_bucket}/models/tiny"

    def start() -> None:
        listener.wait_for("takes no files")
        own_server.start()

    listener = Bystander({0: own_server.stop, 1: start})
    result = Trainer(undisturbed, job=in_bucket(undisturbed, place), listener=listener).run()
    assert (result.reason, result.iterations) == ("max_iterations", 3)
    assert listener.iterations == [0, 1, 2]
    assert [" no files" in each or "files again" in each for each in listener.messages] == [True, True]
    assert_same_training(own_server, place, undisturbed.path)
    there = contents(own_server, place)
    assert there["model/model_metadata.json"] == md5(undisturbed.metadata_file.read_bytes())
    assert there["reward_function.py"] == md5(undisturbed.reward_file.read_bytes())
    assert read(own_server, place, "ip/done") == b"done"
    assert set(json.loads(read(own_server, place, "ip/ip.json"))) == {"IP"}
    assert {"model/.ready", "model/.finished"} <= there.keys()
    assert not [key for key in there if key.startswith(".training") or key == "model/.lock"]
    assert leftovers(place) == []


def test_a_place_is_taken_once_and_not_overwritten(s3_server: S3Server, s3_bucket: str, tmp_path: Path):
    """As a folder: refused, resumed, wiped; and refused while another training holds it."""
    place = f"s3://{s3_bucket}/a"
    model = write_model(tmp_path / "model")
    job = in_bucket(model, place, max_iterations=1)
    with (
        Trainer(model, job=job),
        pytest.raises(RecordError, match=rf"s3://{s3_bucket}/a is being trained already, by process"),
    ):
        Trainer(model, job=job, wipe=True).open()
    with pytest.raises(RecordError, match=r"is not empty: it holds \d+ files such as .*--resume.*--wipe"):
        Trainer(model, job=job).open()
    assert Trainer(model, job=job, resume=True).run().iterations == 1
    assert len(CheckpointStore(place).list()) == 2
    with pytest.raises(RecordError, match=r"is not empty"):
        Trainer(model, job=job).open()
    client = s3_server.client()
    for key in ("a/mine.txt", "b/model/other", "a/evaluation-20250101000000/evaluation-simtrace/0-iteration.csv"):
        client.put_object(Bucket=s3_bucket, Key=key, Body=b"1")
    with Trainer(model, job=job, wipe=True) as trainer:
        assert trainer.state.iteration == 0
    there = contents(s3_server, place)
    begun = ("model/.ready", "model/.finished", "model/model_metadata.json")
    assert {key for key in there if key.startswith("model/")} == set(begun)
    assert not [key for key in there if "simtrace" in key]
    assert "mine.txt" in there
    assert contents(s3_server, f"s3://{s3_bucket}/b").keys() == {"model/other"}


@pytest.mark.slow
def test_a_training_in_a_bucket_goes_on_where_it_ended(
    s3_server: S3Server, s3_bucket: str, undisturbed: ModelFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """On this machine or on another one: the same bytes as without the break."""
    place = f"s3://{s3_bucket}/models/parts"
    for machine, iterations in (("first", 1), ("second", 3)):
        monkeypatch.setenv("HOTLAP_STATE", str(tmp_path / machine))
        Trainer(undisturbed, job=in_bucket(undisturbed, place, max_iterations=iterations), resume=True).run()
    assert_same_training(s3_server, place, undisturbed.path)


def test_what_is_wrong_with_a_bucket_is_said_before_anything_begins(
    s3_server: S3Server, s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = write_model(tmp_path / "model")
    with pytest.raises(ConfigError, match="there is no such bucket"):
        Trainer(model, job=in_bucket(model, "s3://hotlap-no-such-bucket/a")).open()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(ConfigError, match="the secret key is wrong"):
        Trainer(model, job=in_bucket(model, f"s3://{s3_bucket}/a")).open()
    monkeypatch.undo()
    assert contents(s3_server, f"s3://{s3_bucket}/a") == {}


def test_a_server_that_is_away_at_the_end_gets_the_rest_later(
    own_server: S3Server,
    s3_bucket: str,
    undisturbed: ModelFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """By `hotlap upload`, which can be called again and again."""
    monkeypatch.setattr(output, "AWAY_S", 0.5)
    place = f"s3://{s3_bucket}/late"
    listener = Bystander({})
    try:
        with Trainer(undisturbed, job=in_bucket(undisturbed, place), listener=listener) as trainer:
            own_server.stop()
            trainer.store.put("model/1_Step-1.safetensors", b"weights")
        assert [each for each in listener.messages if "could not be uploaded" in each and "`hotlap upload`" in each]
        assert [each.model for each in leftovers(place)] == [place]
        assert run_command(monkeypatch, "upload", place) == 1
        assert "cannot be reached" in capsys.readouterr().err
    finally:
        own_server.start()
    monkeypatch.setattr(output, "AWAY_S", 60.0)
    assert run_command(monkeypatch, "upload", place, "--json") == 0
    rows = json.loads(capsys.readouterr().out)["places"]
    assert [(row["place"], row["left"], row["error"]) for row in rows] == [(place, 0, None)]
    assert run_command(monkeypatch, "upload", place) == 0
    assert "Nothing waits" in capsys.readouterr().err
    assert read(own_server, place, "model/1_Step-1.safetensors") == b"weights"
    assert {"model/.finished", "ip/done", "metrics/progress.jsonl"} <= contents(own_server, place).keys()
    assert not [key for key in contents(own_server, place) if key.startswith(".training")]


@pytest.mark.parametrize("away", [False, True])
def test_a_training_without_an_iteration_blocks_nothing(
    away: bool, own_server: S3Server, s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Neither what it left in the bucket, nor what waits here because the server was away when it failed."""
    monkeypatch.setattr(output, "HURRY_S", 60.0)  # a machine that tests share is slow
    place = f"s3://{s3_bucket}/failed"
    broken = write_model(tmp_path / "model", reward="def reward_function(params):\n    raise ValueError('no')\n")
    trainer = Trainer(broken, job=in_bucket(broken, place)).open()
    if away:
        own_server.stop()
    try:
        with pytest.raises(RewardError):
            trainer.run()
    finally:
        if away:
            own_server.start()
    assert [each.model for each in leftovers(place)] == [place] * away
    model = write_model(tmp_path / "model", training={"max_iterations": 1})
    assert Trainer(model, job=in_bucket(model, place, max_iterations=1)).run().iterations == 1
    assert leftovers(place) == []
    Trainer(model, job=model.job.updated(training={"max_iterations": 1})).run()
    assert_same_training(own_server, place, model.path)
    with pytest.raises(RecordError, match="--resume"):
        Trainer(model, job=in_bucket(model, place)).open()


@pytest.mark.slow
def test_a_server_that_is_away_at_the_end_gets_the_rest_from_the_next_training(
    own_server: S3Server, s3_bucket: str, undisturbed: ModelFolder, monkeypatch: pytest.MonkeyPatch
):
    """Which begins where the last one ended, though the bucket does not know of it yet."""
    monkeypatch.setattr(output, "AWAY_S", 0.5)
    place = f"s3://{s3_bucket}/late"
    try:
        job = in_bucket(undisturbed, place, max_iterations=2)
        assert Trainer(undisturbed, job=job, listener=Bystander({0: own_server.stop})).run().iterations == 2
    finally:
        own_server.start()
    assert leftovers(place)
    monkeypatch.setattr(output, "AWAY_S", 60.0)
    Trainer(undisturbed, job=in_bucket(undisturbed, place), resume=True).run()
    assert_same_training(own_server, place, undisturbed.path)
    assert leftovers(place) == []


def test_what_waits_is_not_mixed_into_a_training_from_elsewhere(
    own_server: S3Server, s3_bucket: str, undisturbed: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another machine trained the place meanwhile: what waits here is told to be past, and can be dropped."""
    monkeypatch.setattr(output, "AWAY_S", 0.2)
    place = f"s3://{s3_bucket}/elsewhere"
    job = in_bucket(undisturbed, place)
    try:
        with Trainer(undisturbed, job=job):
            own_server.stop()
    finally:
        own_server.start()
    here = os.environ["HOTLAP_STATE"]
    monkeypatch.setenv("HOTLAP_STATE", str(tmp_path / "another machine"))
    # Another machine had to wait until the sign of life of this one had expired.
    for entry in own_server.client().list_objects_v2(Bucket=s3_bucket)["Contents"]:
        own_server.client().delete_object(Bucket=s3_bucket, Key=entry["Key"])
    with Trainer(undisturbed, job=job, wipe=True):
        pass
    there = contents(own_server, place)
    monkeypatch.setenv("HOTLAP_STATE", here)
    with pytest.raises(RecordError, match=rf"was trained from elsewhere since.*hotlap upload {place} --discard"):
        Trainer(undisturbed, job=job, resume=True).open()
    assert run_command(monkeypatch, "upload", place) == 1
    assert contents(own_server, place) == there
    assert run_command(monkeypatch, "upload", place, "--discard") == 0
    assert leftovers(place) == []
    Trainer(undisturbed, job=job, resume=True).open().close()


def test_the_command_line_trains_evaluates_and_resumes_in_a_bucket(
    s3_server: S3Server,
    s3_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """Wherever the model's own folder is: the bucket alone is enough to go on."""
    place = f"s3://{s3_bucket}/cli/tiny"
    model = write_model(tmp_path / "model", training={"max_iterations": 1})
    (model.path / "helper.py").write_text("FACTOR = 2")
    assert run_command(monkeypatch, "train", str(model.path), "--output", f"{place}/", "--json") == 0
    ended = json.loads(capsys.readouterr().out)
    assert (ended["folder"], ended["learning_curve"]) == (place, f"{place}/learning_curve.png")
    there = contents(s3_server, place)
    assert read(s3_server, place, "learning_curve.png").startswith(b"\x89PNG")
    assert {"job.toml", "tracks/ring.npy", "helper.py", "hyperparameters.json", "model_metadata.json"} <= there.keys()
    assert not any((model.path / name).exists() for name in ("model", "metrics", "training-simtrace"))

    model.reward_file.unlink()
    (model.path / "ring.npy").unlink()
    assert run_command(monkeypatch, "evaluate", place, "--laps", "2", "--json") == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert evaluated["folder"] == place
    there = contents(s3_server, place)
    for name in ("metrics", "trace", "figure"):
        assert evaluated[name].removeprefix(f"{place}/") in there
    (films,) = evaluated["videos"]
    for name in ("pip", "chase", "top", "car"):
        assert films[name].removeprefix(f"{place}/") in there

    assert run_command(monkeypatch, "train", place, "--resume", "--iterations", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["iterations"] == 2
    assert len(curve(place)) == 2
    assert run_command(monkeypatch, "jobs", "--json") == 0
    jobs = [job for job in json.loads(capsys.readouterr().out)["jobs"] if job["folder"] == place]
    assert [(job["state"], job["iterations"]) for job in jobs] == [("finished", 1), ("finished", 2)]
    assert run_command(monkeypatch, "train", place) == 2
    assert "is not empty" in capsys.readouterr().err


def test_an_evaluation_of_a_model_that_is_not_there(
    s3_bucket: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert run_command(monkeypatch, "evaluate", f"s3://{s3_bucket}/nothing") == 2
    assert f"There is no model at s3://{s3_bucket}/nothing" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_twenty_iterations_while_the_server_stops_three_times(own_server: S3Server, s3_bucket: str, tmp_path: Path):
    """Stopped in the middle of whatever it does; a reader looks on and never finds a name without its file."""
    place = f"s3://{s3_bucket}/models/long"
    down: dict[int, bool] = {}
    problems: list[str] = []
    looks = 0
    ended = threading.Event()

    def stop(outage: int) -> Callable[[], None]:
        def call() -> None:
            listener.wait_for("takes files again", outage - 1)
            listener.ends_server = True  # in the middle of the next iteration

        return call

    def start(outage: int) -> Callable[[], None]:
        def call() -> None:
            listener.wait_for("takes no files", outage)
            own_server.start()

        return call

    def look() -> None:
        """Read the names in the bucket, then what they name."""
        nonlocal looks
        from botocore.exceptions import BotoCoreError, ClientError

        while not ended.wait(0.005):  # as often as an iteration has time for
            for key in ("model/.coach_checkpoint", "model/deepracer_checkpoints.json"):
                try:
                    first = read(own_server, place, key).decode()
                    found = {each.stem for each in CheckpointStore(place).list()}
                    named = [word for word in first.replace('"', " ").split() if word.endswith(".ckpt")]
                    missing = [name for name in named if name.removesuffix(".ckpt") not in found]
                    if (
                        missing and read(own_server, place, key).decode() == first
                    ):  # else it was replaced while we looked
                        problems.append(f"{key} names {missing}")
                    looks += 1
                except (BotoCoreError, ClientError, RecordError):
                    continue  # stopped, or not written yet

    class Watcher(Bystander):
        ends_server = False

        def on_stage(self, stage: str, total: int | None) -> None:
            if self.ends_server and stage == "update":
                self.ends_server = False
                own_server.stop()

        def on_iteration(self, record: IterationRecord) -> None:
            down[record.iteration] = own_server._process is None
            super().on_iteration(record)

    listener = Watcher({2: stop(1), 5: start(1), 8: stop(2), 11: start(2), 14: stop(3), 17: start(3)})
    reader = threading.Thread(target=look)
    reader.start()
    model = write_model(tmp_path / "model", training={"max_iterations": 20})
    begin = time.monotonic()
    assert Trainer(model, job=in_bucket(model, place), listener=listener).run().iterations == 20
    seconds = time.monotonic() - begin
    ended.set()
    reader.join()
    assert listener.iterations == list(range(20))
    assert sum(down.values()) >= 6  # iterations that ended while nobody answered
    assert sum("takes no files" in each for each in listener.messages) == 3
    assert sum("takes files again" in each for each in listener.messages) == 3
    assert problems == []
    assert looks >= 3  # how many there are depends on the machine
    Trainer(model).run()
    assert_same_training(own_server, place, model.path)
    traces = [key for key in contents(own_server, place) if key.startswith("training-simtrace/")]
    assert len(traces) == 20
    print(f"{seconds:.1f} s, {looks} looks, {sum(down.values())} iterations without a server", file=sys.stderr)
    for message in listener.messages:
        print(message, file=sys.stderr)


def test_a_course_in_a_bucket_goes_on_after_its_teacher(s3_server: S3Server, s3_bucket: str, tmp_path: Path):
    """Its three trainings leave there what they leave in folders, stopped between two of them or not."""
    place = f"s3://{s3_bucket}/course"
    model = write_model(
        tmp_path / "model",
        training={"method": "teacher", "max_minutes": 60},
        teacher={"iterations": 2, "episodes": 3},
        student={"iterations": 1, "episodes": 3, "samples": 128, "memory": 60},
        polish={"iterations": 1},
    )

    class Stops(Silence):
        def on_message(self, message: str) -> None:
            if "The teacher is done" in message:
                course.stop()

    course = Course(model, job=in_bucket(model, place), listener=Stops())
    assert course.run().reason == "stopped"
    Course(model, job=in_bucket(model, place), resume=True).run()
    assert sorted(path.name for path in model.path.iterdir() if path.is_dir()) == []
    Course(model).run()
    for stage in ("/teacher", "/student", ""):
        assert_same_training(s3_server, place + stage, model.path / stage.strip("/"))


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """Run `hotlap` in this process; the exit code."""
    monkeypatch.setattr(sys, "argv", ["hotlap", *arguments])
    try:
        command_line.main()
    except SystemExit as exit:
        return exit.code
    return 0
