"""The table of all readers of files that may come from strangers."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import numpy as np
from drfc_folder import RUN_ENV, SYSTEM_ENV, WORKER_ENV
from fuzz_arrays import METADATA, frame, odd_frame, odd_route, odd_weights, weights_file
from fuzz_choices import mutated
from fuzz_driver import Reader
from fuzz_graphs import GRAPH_READERS
from fuzz_json import odd_json
from fuzz_settings import odd_env, odd_toml
from fuzz_tables import odd_table, zipped

from hotlap.analysis.read.action_space import action_space_of
from hotlap.analysis.read.episodes import Episodes, in_order
from hotlap.analysis.read.iterations import records_of, results_of, sound_records
from hotlap.archives.archive import as_folder
from hotlap.bounded import read_bounded
from hotlap.config.drfc import DrfcFolder
from hotlap.config.hyperparameters import STARTER, Hyperparameters
from hotlap.config.job import BestModelMetric, Job
from hotlap.config.metadata import ModelMetadata
from hotlap.deploy.contract import read_contract
from hotlap.errors import RecordError
from hotlap.jobs.record import ClusterJob, JobRecord, ProcessId
from hotlap.jobs.registry import JobRegistry, progress_of
from hotlap.monitoring.run_id import KEY, run_id
from hotlap.monitoring.sink import Beginning
from hotlap.records.checkpoints import CheckpointName, CheckpointStore
from hotlap.records.claim import CLAIM, read_holder
from hotlap.records.episode_log import EpisodeLog, EpisodeRecord
from hotlap.records.events import PROGRESS, EvaluationSummary, IterationRecord, ProgressLog, WorkerSummary
from hotlap.records.folder import Folder
from hotlap.records.lock import _holder
from hotlap.records.log_file import LogFile
from hotlap.records.log_lines import TRAINER_LOG
from hotlap.records.metrics import TrainingMetrics, TrialMetrics, _in_file, read_metrics
from hotlap.records.mirrored import MirrorNote
from hotlap.records.steps import Steps
from hotlap.records.tallies import Moments, Tally, TallyLog
from hotlap.records.trace_reader import MAX_BYTES, read_trace
from hotlap.records.trainer_state import BestCheckpoint, TrainerState
from hotlap.records.uploaded import NOTES, Uploaded
from hotlap.tracks.catalog import BUILT_IN_FOLDER, load_track
from hotlap.tracks.track import Track
from hotlap.training.ranking import candidate, estimate
from hotlap.validation.camera_report import load_frames
from hotlap.validation.recordings import open_traces
from hotlap.validation.traces import read_trace as read_recording

# Settings

MODEL = {
    "action_space": [{"steering_angle": -30, "speed": 1.5, "index": 0}, {"steering_angle": 30.0, "speed": 2}],
    "sensor": ["FRONT_FACING_CAMERA"],
    "neural_network": "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW",
    "training_algorithm": "clipped_ppo",
    "action_space_type": "discrete",
    "lidar_config": {"num_sectors": 8},
    "version": "5",
}
JOB = """\
[race]
track = "first_lap"
race_type = "object_avoidance"
start_position_offset = 0.25
[race.obstacles]
number = 2
positions = [[0.25, -1], [0.5, 1]]
[training]
seed = 3
max_minutes = 10
best_model_metric = "progress"
[evaluation]
trials = 5
[[workers]]
[[workers]]
track = "paperclip"
[workers.obstacles]
number = 1
"""


def read_drfc(folder: Path) -> None:
    """Everything that a folder of DeepRacer-for-Cloud says, but for the model's own files."""
    drfc = DrfcFolder(folder)
    assert drfc.job.num_workers >= 1
    assert drfc.evaluation_job.num_workers == 1
    assert isinstance(drfc.film, bool)
    for fate in ("works", "differs", "ignored"):
        drfc.rows(fate)  # type: ignore[arg-type]  # one of them


# Tracks


def read_track(folder: Path) -> None:
    """A route, and what a race asks of it."""
    track = load_track(folder / "route.npy")
    for each in (track, track.reversed()):
        points = each.point_at(np.linspace(0, each.length, 7))
        place = each.locate(points)
        assert np.isfinite(place.s).all()
        assert np.isfinite(each.curvature_at(place.s)).all()
        assert each.contains(points).dtype == bool
    assert isinstance(track, Track)


# Records of runs

RECORD = IterationRecord(
    iteration=0,
    checkpoint="1_Step-70.ckpt",
    total_episodes=2,
    total_steps=70,
    elapsed_s=3.5,
    num_episodes=2,
    num_steps=70,
    reward_mean=1.5,
    completion_mean=12.0,
    laps_completed=1,
    lap_time_best_s=9.5,
    evaluation=EvaluationSummary(2, 50.0, 0.5, 3.0, 9.0, 8.5),
    losses={"policy": -0.1},
    stages_s={"collect": 2.0},
    workers=[WorkerSummary(0, "first_lap", 2, 70, 1.5, 12.0, 1)],
)
EPISODE = EpisodeRecord(0, "training", 0, 0, "ring", False, 0.5, 7, 34, 1.5, 100.0, "lap_complete", 0.0, 2.25, 2.25)
EPISODES = [
    _in_file(replace(EPISODE, progress=30.0 * number, status=status), number=number, trial=number)
    for number, status in ((1, "off_track"), (2, "lap_complete"))
]
TALLY = {
    "iteration": 0,
    "tally": asdict(
        Tally("1_Step-70.ckpt", 1, 2, 1, (9_000,), Moments(150.0, 12_500.0), Moments(9.5, 50.0), Moments(1e6, 1e12))
    ),
}
TRIAL = TrialMetrics(0.0, 9.0, 100.0, "lap_complete", 1, off_track_count=1).to_record()
STATE = TrainerState(
    iteration=1,
    total_steps=70,
    num_episodes=2,
    elapsed_s=3.5,
    sim_time=3.0,
    seed=0,
    worker_episodes=(2,),
    best=BestCheckpoint("1_Step-70.ckpt", 45.0, 0.5, None),
    extra={"first_checkpoint": 0, "record": json.loads(RECORD.to_line())},
)
JOB_RECORD = JobRecord(
    id="1",
    folder="/models/first-lap",
    process=ProcessId(2**30, 1.0, "elsewhere"),
    cluster=ClusterJob("http://head:8265", "raysubmit_1", "/shared"),
    iterations=3,
    clean_rate=0.5,
)
NAMES = {
    "best_checkpoint": {"name": "1_Step-70.ckpt", "avg_eval_metric": 45.0, "time_stamp": 1.0},
    "last_checkpoint": {"name": "2_Step-90.ckpt", "avg_eval_metric": None, "time_stamp": 1.0},
}
RESOURCES = {
    "current_host": "algo-1",
    "hosts": ["algo-1", "algo-2"],
    "instance_groups": [{"instance_group_name": "trainer", "instance_type": "a", "hosts": ["algo-1", "algo-2"]}],
}
HOLDER = {"pid": 7, "host": "elsewhere", "since": "2026-01-01T12:00:00+00:00"}
MIRRORED = {"model": "s3://bucket/prefix", "endpoint": None, "token": "a"}
UPLOADED = [["metrics/a", [1, 2, 3]], ["model/.lock", None], ["model/b", "unread"], ["model/c", "gone"]]
TRACE = b"""\
episode,steps,X,Y,yaw,steer,throttle,action,reward,done,all_wheels_on_track,progress,closest_waypoint,track_len,\
tstamp,episode_status,pause_duration,obstacle_crash_counter,wall_clock
0,1.0,1.5,-0.5,90.0,-30.0,1.5,0,1.0,False,True,0.5,1,17.71,10.0,in_progress,0.0,0,10.0
0,2.0,1.6,-0.4,91.0,30.0,2.0,1,0.5,True,False,1.5,2,17.71,10.1,off_track,0.0,0,10.1
1,1.0,1.7,-0.3,92.0,0.0,2.0,1,0.25,False,True,99.5,118,17.71,11.0,in_progress,0.0,0,11.0
1,2.0,1.8,-0.2,93.0,0.0,2.0,1,0.25,True,True,100.0,0,17.71,11.1,lap_complete,0.0,0,11.1
"""
LOG = b"head\nTraining> a\nTraining> b\nTesting> c\n"
RECORDINGS = b"file,version,role,track\nlogs/trace.csv,v4,check,oval\n"


def read_weights(folder: Path) -> None:
    loaded = CheckpointStore(folder).load(3)
    assert isinstance(loaded.metadata.get("seed", 0), object)
    assert len(loaded.weights) <= 10


def read_progress(folder: Path) -> None:
    """What `hotlap jobs` and `hotlap analyze` make of it."""
    records = ProgressLog(Folder(folder)).read()
    sound, num_damaged = sound_records(records)
    assert len(sound) + num_damaged == len(records)
    for record in sound:
        json.loads(record.to_line())
    progress = progress_of(folder)
    assert progress.iterations is None or progress.iterations >= 0
    assert progress.clean_rate is None or isinstance(progress.clean_rate, float)


def read_episodes(folder: Path) -> None:
    """All of them, and those that a resumed training keeps."""
    for record in EpisodeLog(Folder(folder)).read():
        json.loads(record.to_line())
    for record in EpisodeLog(Folder(folder), num_trained=2, num_evaluated=1).read():
        assert record.iteration < 2


def read_tallies(folder: Path) -> None:
    """What `hotlap checkpoints` shows, and what a resumed training keeps."""
    for tally in TallyLog(Folder(folder)).read().values():
        for metric in get_args(BestModelMetric):
            interval = estimate(tally, metric)
            assert not interval.low > interval.high
            candidate(tally, metric)
    TallyLog(Folder(folder, sync=False), num_iterations=2)


def resume_lines(folder: Path) -> None:
    """As a resumed training does, which knows how many bytes stay: they are whole lines then, and none is read."""
    store = Folder(folder, sync=False)
    before = (folder / PROGRESS).stat().st_size if (folder / PROGRESS).exists() else 0
    log = ProgressLog(store, num_iterations=2, kept=700)
    assert log.num_bytes <= min(700, before)
    if store.exists(PROGRESS):
        assert log.num_bytes == len(store.get(PROGRESS))
        assert store.get(PROGRESS)[-1:] in (b"", b"\n")


def resume_log(folder: Path) -> None:
    """The same of a log, which gets its head again if that is not there."""
    log = LogFile(Folder(folder, sync=False), TRAINER_LOG, ["head"], kept=40)
    log.write()
    assert b"head\n" in (folder / TRAINER_LOG).read_bytes()


def read_training_metrics(folder: Path) -> None:
    """As an analysis reads it, and as a resumed training does."""
    key = "metrics/TrainingMetrics.json"
    results, _ = results_of(read_metrics(Folder(folder), key), 0)
    for record in records_of(results, Steps.joined([]), Episodes.of(Steps.joined([])), best_number=None):
        json.loads(record.to_line())
    TrainingMetrics(Folder(folder, sync=False), num_episodes=2)


def read_own_trace(folder: Path) -> None:
    data = read_bounded_trace(folder / "trace.csv")
    steps = in_order([read_trace(data, source="trace.csv", worker=1, iteration=2).steps])
    episodes = Episodes.of(steps)
    assert int(episodes.num_steps.sum()) == len(steps)
    assert len(records_of(results_of((), 0)[0], steps, episodes, best_number=1)) <= len(steps)


def read_bounded_trace(path: Path) -> bytes:
    """As the reader of runs does."""
    try:
        return read_bounded(path, MAX_BYTES)
    except OSError as error:
        raise RecordError(f"{path.name}: {error.strerror}.") from None


def best_checkpoint(folder: Path) -> None:
    store = CheckpointStore(folder)
    for entry in (store.best(), store.last()):
        if entry is not None:
            assert isinstance(entry.name, CheckpointName)
            assert entry.avg_eval_metric is None or isinstance(entry.avg_eval_metric, float)


def holder_of_lock(folder: Path) -> None:
    assert _holder(folder).isprintable()


def holder_of_bucket(folder: Path) -> None:
    note = read_holder(Folder(folder))  # type: ignore[arg-type]  # it gets, as buckets do
    assert all(value.isprintable() and len(value) <= 100 for value in note.values())


def recordings(folder: Path) -> None:
    with open_traces([folder]) as found:
        for each in found.files:
            assert each.path.parent == folder


def zip_of(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("run/training-simtrace/0-iteration.csv"), content)
    return file.getvalue()


def unpack_zip(folder: Path) -> None:
    """As the readers of runs do: whatever comes out lies inside."""
    with as_folder(folder / "a.zip", lambda name: 1 << 20) as inside:
        assert inside.is_dir()


def odd_log(choices):
    table = odd_table(TRACE)(choices)
    return b"noise\n".join(b"SIM_TRACE_LOG:" + line + b"\n" for line in table.splitlines()[1:]) or b"SIM_TRACE_LOG:"


def lines(*records: object) -> bytes:
    return "".join(f"{json.dumps(each)}\n" for each in records).encode()


def odd_lines(line: object) -> Callable:
    """Between two good lines an odd one."""
    make = odd_json(line)

    def make_lines(choices):
        return mutated(lines(line) + make(choices) + b"\n" + lines(line), choices, most=choices.below(2))

    return make_lines


def json_reader(file: str, read: Callable[[Path], object], sample: object, *more: object, **options: object) -> Reader:
    """Of a JSON file like ``sample``."""
    samples = [json.dumps(each).encode() for each in (sample, *more)]
    return Reader(file, read, samples, odd_json(sample), **options)  # type: ignore[arg-type]


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    FIRST_LAP = np.load(BUILT_IN_FOLDER / "first_lap.npy", allow_pickle=False)[::2]
    FIRST_LAP = np.concatenate([FIRST_LAP[:-1], FIRST_LAP[:1]])
SAVED_ROUTE = (BUILT_IN_FOLDER / "first_lap.npy").read_bytes()
MULTI = RUN_ENV + "DR_TRAIN_MULTI_CONFIG=True\n"
TWO = SYSTEM_ENV.replace("DR_WORKERS=1", "DR_WORKERS=2")

READERS: dict[str, Reader] = {
    **GRAPH_READERS,
    "model_metadata": json_reader(
        "model_metadata.json", lambda folder: ModelMetadata.load(folder / "model_metadata.json"), MODEL
    ),
    "action_space": json_reader("model_metadata.json", action_space_of, MODEL),
    "hyperparameters": json_reader(
        "hyperparameters.json",
        lambda folder: Hyperparameters.load(folder / "hyperparameters.json"),
        STARTER.model_dump(),
        {name: str(value) for name, value in STARTER.model_dump().items()},
    ),
    "job": Reader("job.toml", lambda folder: Job.load(folder / "job.toml"), [JOB.encode()], odd_toml(JOB)),
    "run_env": Reader("run.env", read_drfc, [RUN_ENV.encode()], odd_env(RUN_ENV), {"system.env": SYSTEM_ENV.encode()}),
    "system_env": Reader(
        "system.env", read_drfc, [SYSTEM_ENV.encode()], odd_env(SYSTEM_ENV), {"run.env": RUN_ENV.encode()}, named=".env"
    ),
    "worker_env": Reader(
        "worker-2.env",
        read_drfc,
        [WORKER_ENV.encode()],
        odd_env(WORKER_ENV),
        {"system.env": TWO.encode(), "run.env": MULTI.encode()},
    ),
    "route": Reader("route.npy", read_track, [SAVED_ROUTE], odd_route(FIRST_LAP), slow=3),
    "checkpoint": Reader(
        "model/3_Step-70.safetensors",
        read_weights,
        [weights_file(METADATA)],
        odd_weights,
        named="3_Step-",
    ),
    "checkpoint_names": json_reader("model/deepracer_checkpoints.json", best_checkpoint, NAMES),
    "trainer_state": json_reader(
        "model/3_Step-70.state.json",
        lambda folder: TrainerState.from_json(Folder(folder / "model").get("3_Step-70.state.json"), source="3_Step-70"),
        json.loads(STATE.to_json()),
        named="3_Step-70",
    ),
    "progress": Reader(
        "metrics/progress.jsonl",
        read_progress,
        [lines(json.loads(RECORD.to_line()))],
        odd_lines(json.loads(RECORD.to_line())),
    ),
    "episodes": Reader(
        "metrics/episodes.jsonl",
        read_episodes,
        [lines(json.loads(EPISODE.to_line()))],
        odd_lines(json.loads(EPISODE.to_line())),
    ),
    "tallies": Reader("metrics/checkpoints.jsonl", read_tallies, [lines(TALLY)], odd_lines(TALLY)),
    "resumed_progress": Reader(
        "metrics/progress.jsonl",
        resume_lines,
        [lines(json.loads(RECORD.to_line()))],
        odd_lines(json.loads(RECORD.to_line())),
    ),
    "resumed_log": Reader("logs/training/training-sagemaker.log", resume_log, [LOG], odd_table(LOG)),
    "run_id": json_reader(
        KEY,
        lambda folder: run_id(Beginning("model", Folder(folder), num_iterations=1)),
        {"run": "0123456789abcdef"},
    ),
    "training_metrics": json_reader(
        "metrics/TrainingMetrics.json",
        read_training_metrics,
        {"metrics": EPISODES, "version": 2.0, "best_model_metric": "progress"},
    ),
    "evaluation_metrics": json_reader(
        "metrics/evaluation/evaluation-20260101120000.json",
        lambda folder: read_metrics(Folder(folder), "metrics/evaluation/evaluation-20260101120000.json"),
        {"metrics": [TRIAL]},
    ),
    "trace": Reader("trace.csv", read_own_trace, [TRACE], odd_table(TRACE)),
    "recording": Reader("trace.csv", lambda folder: read_recording(folder / "trace.csv"), [TRACE], odd_table(TRACE)),
    "zipped_recording": Reader(
        "trace.csv.gz",
        lambda folder: read_recording(folder / "trace.csv.gz"),
        [],
        zipped(odd_table(TRACE)),
    ),
    "log": Reader(
        "trace.log",
        lambda folder: read_recording(folder / "trace.log"),
        [b"".join(b"SIM_TRACE_LOG:" + line + b"\n" for line in TRACE.splitlines()[1:])],
        odd_log,
    ),
    "zip": Reader("a.zip", unpack_zip, [zip_of(TRACE)], lambda choices: mutated(zip_of(TRACE), choices, most=4)),
    "recordings": Reader("index.csv", recordings, [RECORDINGS], odd_table(RECORDINGS), {"trace.csv": TRACE}),
    "frame": Reader("frame.png", load_frames, [frame()], odd_frame),
    "job_record": json_reader("1.json", lambda folder: JobRegistry(folder).get("1"), asdict(JOB_RECORD), named="'1'"),
    "resources": json_reader("input/config/resourceconfig.json", lambda folder: read_contract(folder, {}), RESOURCES),
    "channels": json_reader(
        "input/config/inputdataconfig.json",
        lambda folder: read_contract(folder, {}),
        {"model": {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}},
    ),
    "lock": json_reader(".training.json", holder_of_lock, HOLDER),
    "mirrored": json_reader("bucket.json", MirrorNote.read, MIRRORED),
    "uploaded": Reader(
        NOTES, lambda folder: len(Uploaded(folder).differences()), [lines(*UPLOADED)], odd_lines(UPLOADED[0])
    ),
    "claim": json_reader(CLAIM, holder_of_bucket, {"token": "a", **HOLDER}),
}
