"""Does the chosen best checkpoint drive as cleanly as any other? Three trainings, every checkpoint, many fresh laps.

Trains three models on different tracks, keeps every checkpoint, and lets each drive laps with cars that training never
used. Beside the choice of `hotlap.training.ranking` stands what the most clean laps of one set of cars would have
chosen. A choice holds if its share of clean laps is not below the interval of any other checkpoint.

What is done is kept in the work folder, so that a second call goes on there.

Run: python benchmarks/selection.py WORK [--laps 300] [--iterations 20] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hotlap.config.hyperparameters import STARTER
from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.config.template import hyperparameters_json, job_toml, metadata_json
from hotlap.evaluation.evaluator import Evaluator
from hotlap.evaluation.statistics import wilson
from hotlap.records.checkpoints import CheckpointName, CheckpointStore
from hotlap.records.events import IterationRecord, ProgressLog
from hotlap.records.folder import Folder
from hotlap.records.tallies import TallyLog
from hotlap.rewards import examples
from hotlap.training.trainer import Trainer

# Track, seed, reward function, speed [m/s].
MODELS = (
    ("first_lap", 1, "follow_center_line", 1.5),
    ("copper_oval", 2, "progress_per_step", 2.0),
    ("paperclip", 3, "stay_inside_borders", 1.0),
)
FRESH_SEED = 4_242_424_242  # of the evaluations; training's cars come from other seeds


def trained(folder: Path, track: str, seed: int, reward: str, speed: float, iterations: int) -> ModelFolder:
    """The model, trained as far as asked; goes on where an earlier call was interrupted."""
    folder.mkdir(parents=True, exist_ok=True)
    source = Path(examples.__path__[0]) / f"{reward}.py"
    (folder / "reward_function.py").write_text(source.read_text())
    (folder / "model_metadata.json").write_text(metadata_json(speed))
    endless = STARTER.model_copy(update={"term_cond_avg_score": 1e9})  # the stock one ends a training at 350
    (folder / "hyperparameters.json").write_text(hyperparameters_json(endless))
    job = Job().updated(
        race={"track": track},
        training={
            "seed": seed,
            "max_minutes": 0,
            "max_iterations": iterations,
            "goal_clean_share": 0,
            "keep_checkpoints": "all",
            "threads": 1,
        },
    )
    (folder / "job.toml").write_text(job_toml(job))
    model = ModelFolder(folder)
    if not (folder / "trained").exists():
        with Trainer(model, resume=True) as trainer:
            print(f"{folder.name}: training from iteration {trainer.state.iteration}", flush=True)
            result = trainer.run()
        (folder / "trained").write_text(json.dumps(result.stages_s))
    return model


def fresh_laps(model: ModelFolder, name: CheckpointName, laps: int) -> int:
    """How many laps of cars that training never used the checkpoint drives clean."""
    known = model.path / f"fresh_{laps}.json"
    clean: dict[str, int] = json.loads(known.read_text()) if known.exists() else {}
    if str(name) not in clean:
        job = model.job.updated(evaluation={"seed": FRESH_SEED})
        report = Evaluator(model, job=job, checkpoint=name, laps=laps).run()
        clean[str(name)] = sum(lap.clean for lap in report.laps)
        known.write_text(json.dumps(clean))
        print(f"{model.path.name}: {name} drives {clean[str(name)]} of {laps} laps clean", flush=True)
    return clean[str(name)]


def first_set_rank(record: IterationRecord) -> tuple[float, float, float, int]:
    """By most clean laps of one set of cars, then most of the lap, then the faster lap, then the newer."""
    evaluation = record.evaluation
    assert evaluation is not None
    lap_time = evaluation.lap_time_median_s
    speed = -lap_time if lap_time is not None else float("-inf")
    return evaluation.clean_rate, evaluation.completion_mean, speed, record.iteration


def judged(model: ModelFolder, laps: int) -> dict[str, Any]:
    """What each rule chose, and how that drives beside all others."""
    store = CheckpointStore(model.path)
    records = ProgressLog(Folder(model.path)).read()
    names = [name for record in records if (name := CheckpointName.parse(record.checkpoint))]
    fresh = {str(name): wilson(fresh_laps(model, name, laps), laps) for name in names}
    entry = store.best()
    assert entry is not None
    shares = {name: share for name, share in fresh.items() if share is not None}
    tallies = TallyLog(store.store).read()

    def choice(name: str) -> dict[str, Any]:
        mine = shares[name]
        return {
            "checkpoint": name,
            "fresh": asdict(mine),
            "holds": all(mine.value >= other.low for other in shares.values()),
            "behind_best": max(other.value for other in shares.values()) - mine.value,
        }

    old = max(records, key=first_set_rank)
    assert old.evaluation is not None
    chosen = tallies[str(entry.name)]
    return {
        "model": model.path.name,
        "new_rule": choice(str(entry.name)) | {"in_training": f"{chosen.clean_laps} of {chosen.num_laps}"},
        "old_rule": choice(old.checkpoint) | {"in_training": f"{old.evaluation.clean_rate:.1%} of one set"},
        "checkpoints": {
            name: asdict(share) | {"laps_in_training": tallies[name].num_laps} for name, share in shares.items()
        },
        "laps_new": sum(tally.num_laps for tally in tallies.values()),
        "laps_old": sum(record.evaluation.num_laps for record in records if record.evaluation),
        "stages_s": json.loads((model.path / "trained").read_text()),
    }


def main() -> None:
    """Train, drive, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--laps", type=int, default=300)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    models = [
        trained(options.work / f"{track}_seed{seed}", track, seed, reward, speed, options.iterations)
        for track, seed, reward, speed in MODELS
    ]
    results = [judged(model, options.laps) for model in models]
    for result in results:
        for rule in ("new_rule", "old_rule"):
            chosen = result[rule]
            share = chosen["fresh"]
            print(
                f"{result['model']:>24} {rule}: {chosen['checkpoint']:>16} in training {chosen['in_training']:>18}, "
                f"fresh {share['value']:.1%} ({share['low']:.1%} to {share['high']:.1%}), "
                f"{chosen['behind_best']:.1%} behind the best: {'holds' if chosen['holds'] else 'DOES NOT HOLD'}"
            )
        print(f"{'':>24} evaluation laps: {result['laps_new']} (one set each: {result['laps_old']})")
    if options.json:
        options.json.write_text(json.dumps({"laps": options.laps, "models": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
