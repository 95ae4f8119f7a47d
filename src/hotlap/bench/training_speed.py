"""How fast the whole training loop is, what share of the machine's arithmetic it reaches, and beside whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hotlap.bench.machine import provenance
from hotlap.bench.recipe import stock_model
from hotlap.bench.records_cost import measure_records_cost
from hotlap.deepracer.driving import DEFAULT_TRACK
from hotlap.errors import ConfigError
from hotlap.records.events import IterationRecord
from hotlap.resources import num_processors
from hotlap.rl.flops import forward_flops, matmul_peak, update_flops
from hotlap.rl.ppo import minibatch_size
from hotlap.rl.precision import compute_dtype
from hotlap.rollouts.model import build_network
from hotlap.training.listener import Silence
from hotlap.training.trainer import Trainer
from hotlap.unfinished import scratch_folder

RECORDS_REPEATS = 3  # trainings with records and without
MAX_SB3_STEPS = 1280  # per iteration: an iteration of Stable-Baselines3 takes about half a minute with them


@dataclass(frozen=True)
class LoopSpeed:
    """What some iterations of training took, the first one left out as warm-up."""

    num_steps: int
    num_samples: int
    """Samples that went through each tower in updates."""
    stages_s: dict[str, float]
    """Wall-clock by stage [s]."""
    flops: float
    """Operations that collecting and updating need, counted from the table of networks."""
    peak: float
    """Highest matrix-multiply rate seen between the iterations [FLOP/s]."""

    @property
    def seconds(self) -> float:
        """Wall-clock of collecting and updating [s]."""
        return self.stages_s["collect"] + self.stages_s["update"]


class _PeakMeter(Silence):
    """Measures the matrix-multiply peak between iterations, under the load that they had."""

    def __init__(self, dtype: torch.dtype, num_threads: int) -> None:
        self.dtype, self.num_threads = dtype, num_threads
        self.peak = matmul_peak(dtype, num_threads)

    def on_iteration(self, record: IterationRecord) -> None:
        self.peak = max(self.peak, matmul_peak(self.dtype, self.num_threads, repeats=5))


def bench_train(
    *,
    track: str = DEFAULT_TRACK,
    iterations: int = 4,
    threads: int = 0,
    others: bool = True,
    versus: str | None = None,
    records: bool = False,
) -> dict[str, Any]:
    """Train with the stock recipe from scratch, and time it.

    Args:
        track: Name or route file.
        iterations: How many count; one more comes before them.
        threads: Processor threads; 0: all.
        others: Measure the loop with a critic of the state and with a shared encoder, too.
        versus: ``"sb3"``: train the same recipe with Stable-Baselines3 on the same environment.
        records: Measure what it costs to leave records behind, too.

    Returns:
        JSON-ready: ``env_steps_per_s`` (steps over the wall-clock of collecting and updating),
        ``update_samples_per_s`` (samples over that of updating; each goes through both towers), ``gemm_share`` (share
        of ``peak_gflops``, the machine's matrix-multiply peak in the same ``dtype`` with the same ``threads``, that
        collecting and updating reach), ``sb3_ratio`` (None without ``versus``), ``state_critic_env_steps_per_s``
        and ``shared_encoder_env_steps_per_s`` (None without ``others``), ``records_cost`` and ``records`` (see
        `measure_records_cost`; None without ``records``), ``stages_s``, ``num_steps``, ``iterations``, ``sb3`` (what
        was measured there, or None), ``track`` and ``machine``.

    Raises:
        ConfigError: If an argument is not possible.
        MissingExtraError: If Stable-Baselines3 is wanted and not installed.
    """
    if iterations < 1:
        raise ConfigError(f"--iterations must be at least 1, got {iterations}.")
    if versus not in (None, "sb3"):
        raise ConfigError(f"--versus {versus!r} is not known; it can be: sb3.")
    if versus:
        from hotlap.bench.sb3 import require_sb3

        require_sb3()
    options = {"seed": 0, "threads": threads, "max_iterations": iterations + 1}
    separate = _measure_loop(track, options)
    num_threads = torch.get_num_threads()
    steps_per_s = separate.num_steps / separate.seconds
    versus_sb3 = None
    if versus:
        from hotlap.bench.sb3 import measure_sb3

        versus_sb3 = measure_sb3(track=track, num_steps=min(separate.num_steps // iterations, MAX_SB3_STEPS))
    state = _measure_loop(track, options | {"critic": "state"}) if others else None
    one_tower = _measure_loop(track, options | {"shared_encoder": True}) if others else None
    cost: dict[str, Any] = {"records_cost": None, "records": None}
    if records:
        options = {"seed": 0, "threads": threads}
        cost = measure_records_cost(track=track, iterations=iterations, repeats=RECORDS_REPEATS, options=options)
    peak = max(separate.peak, one_tower.peak if one_tower else 0.0)
    return {
        "env_steps_per_s": steps_per_s,
        "update_samples_per_s": separate.num_samples / separate.stages_s["update"],
        "gemm_share": separate.flops / separate.seconds / peak,
        "sb3_ratio": steps_per_s / versus_sb3["env_steps_per_s"] if versus_sb3 else None,
        "dtype": str(_dtype()).removeprefix("torch."),
        "threads": num_threads,
        "peak_gflops": peak / 1e9,
        "state_critic_env_steps_per_s": state.num_steps / state.seconds if state else None,
        "shared_encoder_env_steps_per_s": one_tower.num_steps / one_tower.seconds if one_tower else None,
        **cost,
        "stages_s": separate.stages_s,
        "num_steps": separate.num_steps,
        "iterations": iterations,
        "sb3": versus_sb3,
        "track": track if not track.endswith(".npy") else Path(track).stem,
        "machine": provenance(),
    }


def _dtype() -> torch.dtype:
    return compute_dtype("auto", torch.device("cpu"))


def _measure_loop(track: str, options: dict[str, Any]) -> LoopSpeed:
    """Train in a folder that is deleted afterwards."""
    with scratch_folder() as folder:
        meter = _PeakMeter(_dtype(), options.get("threads") or num_processors())
        trainer = Trainer(stock_model(folder, track=track, training=options), listener=meter)
        trainer.run()
        records = trainer.progress.read()[1:]
    settings = trainer.hyperparameters
    num_steps = sum(record.num_steps for record in records)
    num_samples = 0
    for record in records:
        # The first step of an episode is not executed, and not learned from.
        learned = record.num_steps - record.num_episodes
        size = minibatch_size(settings.batch_size, learned)
        num_samples += learned // size * size * settings.num_epochs
    # Acting asks the policy's tower, and the update asks the value's once for every step.
    one_tower = forward_flops(build_network(trainer.metadata, critic="shared"))
    return LoopSpeed(
        num_steps=num_steps,
        num_samples=num_samples,
        stages_s={name: sum(record.stages_s[name] for record in records) for name in records[0].stages_s},
        flops=num_samples * update_flops(trainer.network) + 2.0 * num_steps * one_tower,
        peak=meter.peak,
    )
