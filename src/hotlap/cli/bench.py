"""``hotlap bench``: how fast this machine simulates, trains, learns and collects with several workers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotlap.cli.console import JsonOption, console, facts, print_json, print_table, prints_to_stderr, screen
from hotlap.deepracer.driving import DEFAULT_TRACK
from hotlap.errors import ConfigError
from hotlap.wording import counted

if TYPE_CHECKING:
    from hotlap.records.events import IterationRecord

app = typer.Typer(
    help="Measure the simulator, the training loop, how soon models learn, and fleets of workers.", no_args_is_help=True
)

TrackOption = Annotated[str, typer.Option(help="Name of a track or path of a route file.")]
ThreadsOption = Annotated[int, typer.Option(min=0, help="Processor threads to use; 0: all.")]


@app.command()
def sim(
    batch: Annotated[int, typer.Option(help="Cars in step.")] = 64,
    seconds: Annotated[float, typer.Option(help="How long to time the drives with a camera.")] = 5.0,
    device: Annotated[str, typer.Option(help="cpu (one core) or cuda.")] = "cpu",
    track: TrackOption = DEFAULT_TRACK,
    as_json: JsonOption = False,
) -> None:
    """Measure the simulator on one core: cars drive along the center line, 160×120 grey images, rules, reward inputs.

    JSON keys: camera_frames_per_s_per_core, physics_steps_per_s_per_core, reward_calls_per_s, device, batch, median,
    stage_us, core_share, num_drives, track, seconds, pinned, machine.
    """
    out = console()
    with prints_to_stderr(True), out.status("Driving …"):
        from hotlap.bench.simulator_speed import bench_sim

        found = bench_sim(track=track, batch=batch, seconds=seconds, device=device)
    if as_json:
        print_json(found)
        return
    median, stages = found["median"], found["stage_us"]

    def best_and_median(key: str) -> str:
        return f"{found[key]:,.0f}, median {median[key]:,.0f}"

    where = "one core" if device == "cpu" else found["machine"]["gpu"]
    _print_table(
        f"Simulator: {batch} cars on {found['track']}, {where}",
        {
            "camera frames/s": best_and_median("camera_frames_per_s_per_core"),
            "physics steps/s": best_and_median("physics_steps_per_s_per_core"),
            "reward calls/s": best_and_median("reward_calls_per_s"),
            "one frame": ", ".join(f"{name} {stages[name]:.1f}" for name in ("rules", "drive", "render")) + " µs",
        },
        found,
    )
    if device == "cpu" and found["core_share"] < 0.9:
        out.print(
            f"Other programs are running: this one got {found['core_share']:.0%} of the core. "
            "Measure again when the machine is quiet.",
            style="yellow",
        )


@app.command()
def train(
    iterations: Annotated[int, typer.Option(help="Iterations that count; one more warms up.")] = 4,
    versus: Annotated[
        str | None, typer.Option(help="sb3: Stable-Baselines3 PPO with the same recipe beside it.")
    ] = None,
    others: Annotated[
        bool, typer.Option(help="Measure the loop with a critic of the state and with a shared encoder, too.")
    ] = True,
    records: Annotated[
        str | None, typer.Option(help="off,on: what traces, metrics, logs and checkpoints cost the loop.")
    ] = None,
    track: TrackOption = DEFAULT_TRACK,
    threads: ThreadsOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure the whole training loop with the stock recipe, from scratch.

    JSON keys: env_steps_per_s, update_samples_per_s, gemm_share, sb3_ratio, dtype, threads, peak_gflops,
    state_critic_env_steps_per_s, shared_encoder_env_steps_per_s, records_cost, records,
    stages_s, num_steps, iterations, sb3, track, machine.
    """
    if records not in (None, "off,on", "on,off"):
        raise ConfigError(f"--records {records!r} is not known; it can be: off,on.")
    out = console()
    with prints_to_stderr(True), out.status("Training …"):
        from hotlap.bench.training_speed import bench_train

        found = bench_train(
            track=track,
            iterations=iterations,
            threads=threads,
            others=others,
            versus=versus,
            records=records is not None,
        )
    if as_json:
        print_json(found)
        return
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in found["stages_s"].items())
    rows = {
        "environment steps/s": f"{found['env_steps_per_s']:,.0f}",
        "samples/s in updates": f"{found['update_samples_per_s']:,.0f}",
        "share of matmul peak": f"{found['gemm_share']:.0%} of {found['peak_gflops']:,.0f} GFLOP/s ({found['dtype']})",
        "time": f"{stages} s for {found['num_steps']:,} steps",
    }
    if found["state_critic_env_steps_per_s"]:
        rows["… with a critic of the state"] = f"{found['state_critic_env_steps_per_s']:,.0f} steps/s"
    if found["shared_encoder_env_steps_per_s"]:
        rows["… with a shared encoder"] = f"{found['shared_encoder_env_steps_per_s']:,.0f} steps/s"
    if found["records_cost"] is not None:
        rows["records and checkpoints"] = f"{found['records_cost']:+.1%} of the loop with evaluations"
    if found["sb3"]:
        used = found["sb3"]["threads"]
        rows["Stable-Baselines3"] = (
            f"{found['sb3']['env_steps_per_s']:,.0f} steps/s ({counted(used, 'thread')}): "
            f"hotlap is {found['sb3_ratio']:.1f} times as fast"
        )
    _print_table(f"Training loop: stock recipe on {found['track']}, {counted(found['threads'], 'thread')}", rows, found)


@app.command()
def learn(
    method: Annotated[
        str | None,
        typer.Option(help="ppo or teacher: measure clean laps after --minutes instead, with the progress as reward."),
    ] = None,
    speed: Annotated[float, typer.Option(help="With --method: the fastest actions, m/s.")] = 4.0,
    minutes: Annotated[float, typer.Option(help="With --method: time of each training.")] = 3.0,
    goal: Annotated[float, typer.Option(help="With --method: share of clean laps that ends a training before.")] = 0.0,
    reward: Annotated[str | None, typer.Option(help="With --method: another reward, a file or an example.")] = None,
    race_type: Annotated[
        str, typer.Option(help="With --method: time_trial, object_avoidance or head_to_bot, at random places.")
    ] = "time_trial",
    number: Annotated[int, typer.Option(min=1, help="With --race-type: how many boxes or cars.")] = 3,
    reverse: Annotated[bool, typer.Option("--reverse", help="With --method: drive the other way round.")] = False,
    seeds: Annotated[int, typer.Option(help="How many trainings, with seeds 0, 1, …")] = 5,
    track: TrackOption = DEFAULT_TRACK,
    max_steps: Annotated[int, typer.Option(help="Where a training ends at the latest.")] = 20_000,
    until: Annotated[str, typer.Option(help="lap: end at the first complete lap; steps: only at --max-steps.")] = "lap",
    out: Annotated[Path | None, typer.Option(help="Folder for curves, picture and result.")] = None,
    threads: ThreadsOption = 0,
    workers: Annotated[int, typer.Option(min=1, help="Rollout workers.")] = 1,
    lag: Annotated[int, typer.Option(min=0, max=1, help="1: collect the next iteration while learning.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure how soon a car learns to complete a lap: stock recipe, center-line reward, several seeds.

    With --method: how many of a hundred laps are clean, and how fast, after so many minutes.

    JSON keys: median_steps, median_seconds, reached, seeds, track, max_steps, until, threads, workers, max_policy_lag,
    files, machine. With --method: clean_share, lap_s_median, reward_per_lap, seconds (medians), seeds (each with
    these), with a teacher also teacher (with steps_per_s) and student (with samples_per_s), method, track, speed,
    reward, race_type, number, reverse, minutes, goal, threads, workers, files, machine.
    """
    to_people = console()
    if method is not None:
        task = {"track": track, "speed": speed, "reward": reward, "race_type": race_type, "number": number}
        settings = {
            "seeds": seeds,
            "minutes": minutes,
            "goal": goal,
            "threads": threads,
            "workers": workers,
            "out": out,
        }
        _clean_laps(method, task | {"reverse": reverse}, settings, as_json)
        return

    def show(seed: int, record: IterationRecord) -> None:
        laps = f", {counted(record.laps_completed, 'lap')}" if record.laps_completed else ""
        to_people.print(
            f"seed {seed}  iteration {record.number:>3}  {record.total_steps:>7,} steps  {record.elapsed_s:>6.1f} s"
            f"  complete {record.completion_mean:5.1f} %{laps}"
        )

    with prints_to_stderr(True):
        from hotlap.bench.first_lap import bench_learn

        found = bench_learn(
            track=track,
            seeds=seeds,
            max_steps=max_steps,
            until=until,  # type: ignore[arg-type]  # checked there
            threads=threads,
            workers=workers,
            max_policy_lag=lag,
            out=out,
            on_iteration=show,
        )
    if as_json:
        print_json(found)
        return
    rows = {
        f"seed {row['seed']}": (
            f"{row['steps']:,} steps, {row['seconds']:.0f} s"
            if row["steps"]
            else f"no lap in {row['total_steps']:,} steps, {row['total_seconds']:.0f} s"
        )
        for row in found["seeds"]
    }
    if found["median_steps"]:
        rows["median"] = f"[bold]{found['median_steps']:,.0f} steps, {found['median_seconds']:.0f} s[/]"
    else:
        rows["median"] = "half of the seeds or more did not get there"
    if out is not None:
        rows["written"] = str(out / next(name for name in found["files"] if name.endswith(".png")))
    _print_table(f"First complete training lap on {found['track']}", rows, found)


def _clean_laps(method: str, task: Mapping[str, Any], settings: Mapping[str, Any], as_json: bool) -> None:
    to_people = console()
    if method not in ("ppo", "teacher"):
        raise ConfigError(f"--method must be ppo or teacher, got {method!r}.")

    def show(seed: int, training: str, record: IterationRecord) -> None:
        if found := record.evaluation:
            lap = f", lap {found.lap_time_median_s:.2f} s" if found.lap_time_median_s else ""
            to_people.print(
                f"seed {seed}  {training or 'ppo':>7} iteration {record.number:>3}  {record.total_steps:>9,} steps  "
                f"{record.elapsed_s:>6.1f} s  {found.clean_rate:4.0%} clean{lap}"
            )

    with prints_to_stderr(True):
        from hotlap.bench.clean_laps import LapTask, bench_clean_laps

        found = bench_clean_laps(LapTask(**task), method=method, on_iteration=show, **settings)  # type: ignore[arg-type]
    if as_json:
        print_json(found)
        return

    def said(row: Mapping[str, Any]) -> str:
        lap = f"{row['lap_s_median']:.2f} s" if row["lap_s_median"] else "no clean lap"
        return (
            f"{row['clean_share']:.0%} clean, {lap}, reward {row['reward_per_lap']:.1f}, after {row['seconds']:.0f} s"
        )

    rows = {f"seed {row['seed']}": said(row) for row in found["seeds"]}
    for stage, pace in (("teacher", "steps_per_s"), ("student", "samples_per_s")):
        if stage in found:
            rows[stage] = f"{said(found[stage])}, {found[stage][pace]:,.0f} {pace.split('_')[0]}/s"
    rows["median"] = f"[bold]{said(found)}[/]"
    if out := settings["out"]:
        rows["written"] = str(out / found["files"][-1])
    _print_table(f"100 laps on {found['track']} at up to {found['speed']:g} m/s, {method}", rows, found)


@app.command()
def fleet(
    workers: Annotated[
        list[int],
        typer.Option(help="Number of workers, one core each; repeat for several. The first is compared with."),
    ] = [1, 2, 4],  # noqa: B006  (typer copies it)
    episodes: Annotated[int, typer.Option(help="Episodes of each worker in a collection.")] = 120,
    worlds: Annotated[int, typer.Option(help="Episodes that each worker plays side by side.")] = 80,
    repeats: Annotated[int, typer.Option(help="Collections of each fleet.")] = 3,
    iterations: Annotated[int, typer.Option(help="Iterations of each training; one more warms up.")] = 4,
    track: TrackOption = DEFAULT_TRACK,
    as_json: JsonOption = False,
) -> None:
    """Measure how fast 1, 2 and 4 workers collect episodes, what transport costs, what the trainer waits for.

    JSON keys: speedup, speedup_median, efficiency, collection, transport_mb_per_s, broadcast_ms,
    broadcast_between_nodes_ms, idle_share, training, compression, costs, episode_steps, policy, episodes, worlds,
    repeats, iterations, track, machine.
    """
    out = console()
    with prints_to_stderr(True), out.status("Training, then collecting …"):
        from hotlap.bench.fleet_speed import bench_fleet

        found = bench_fleet(
            track=track,
            workers=workers,
            episodes=episodes,
            worlds=worlds,
            repeats=repeats,
            iterations=iterations,
        )
    if as_json:
        print_json(found)
        return
    rows = {"in the trainer's process": f"{found['collection']['in_process']['steps_per_s']:,.0f} steps/s"}
    for number, speedup in found["speedup"].items():
        speed = found["collection"][number]["steps_per_s"]
        rows[f"{number} × Ray"] = f"{speed:,.0f} steps/s, [bold]{speedup:.2f}[/] times as fast as {workers[0]}"
    between = found["transport_mb_per_s"]["between_nodes"]
    rows["episodes"] = f"{found['transport_mb_per_s']['same_machine']:,.0f} MB/s through shared memory" + (
        f", {between['raw']:,.0f} between nodes ({between['packed']:,.0f} compressed)" if between else ""
    )
    rows["weights at all workers"] = ", ".join(
        f"{each['at_all_workers']:.0f} ms ({number})" for number, each in found["broadcast_ms"].items()
    )
    rows["trainer waits or plays"] = ", ".join(f"{share:.0%} ({n})" for n, share in found["idle_share"].items())
    _print_table(f"Fleet: {counted(episodes, 'episode')} for each worker on {found['track']}", rows, found)


def _print_table(title: str, rows: dict[str, str], found: dict[str, Any]) -> None:
    machine = found["machine"]
    named = f"{machine['cpu']}, {counted(machine['cores'], 'core')}, torch {machine['versions']['torch']}"
    screen().print(title, style="bold")
    print_table(screen(), facts({**rows, "machine": named}))
