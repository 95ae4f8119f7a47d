"""``hotlap doctor``: what this machine has and what is missing, or what becomes of a folder."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from hotlap.cli.console import JsonOption, print_json, prints_to_stderr, screen
from hotlap.cli.doctor_folder import examine_folder, print_report
from hotlap.cli.doctor_folders import examine_folders, print_folders
from hotlap.cli.model_argument import DrfcOption
from hotlap.wording import counted

MIN_PYTHON = (3, 11)
MIN_MEMORY_GIB = 4.0
MIN_DISK_GIB = 2.0

# extra: (package that it brings, what it is good for)
EXTRAS = {
    "sb3": ("stable_baselines3", "comparing with Stable-Baselines3: hotlap bench train --versus sb3"),
    "onnx": ("onnx", "ONNX files: hotlap export DIR --onnx"),
    "cluster": ("ray", "several rollout workers, on this machine or a cluster: hotlap train --workers N"),
    "cloudwatch": ("boto3", "telling Amazon CloudWatch how a training goes: [monitoring] in job.toml"),
    "wandb": ("wandb", "telling Weights & Biases how a training goes"),
    "mlflow": ("mlflow", "telling MLflow how a training goes"),
    "dev": ("pytest", "running the tests"),
}

Status = Literal["ok", "missing", "broken"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    name: str
    status: Status
    """``ok``, ``missing`` (works without), or ``broken`` (something essential does not work)."""
    detail: str
    """What was found."""
    way_out: str | None = None
    """What to do about it."""


def doctor(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            help="Look at this model folder or folder of DeepRacer-for-Cloud instead, or at all of them below DIR.",
        ),
    ] = None,
    drfc: DrfcOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what this machine has, and what is missing; or what a folder asks for that works, differs or is ignored.

    Exit code 1 if something essential does not work, or if a folder cannot be trained yet.

    JSON keys: ok, findings (each with name, status, detail, way_out). With a folder: ok, folder, problems, warnings,
    trained; of DeepRacer-for-Cloud also works, differs, ignored (each with variable, text, set: value, file, line).
    With a folder of folders: ok, folder, complete, folders (each with folder, kind, ok, text, trained, warnings).
    """
    if folder is not None or drfc is not None:
        ok = _look_into(folder, drfc, as_json)
    else:
        with prints_to_stderr(True):
            findings = examine()
        ok = all(finding.status != "broken" for finding in findings)
        if as_json:
            print_json({"ok": ok, "findings": [asdict(finding) for finding in findings]})
        else:
            _print(findings)
    if not ok:
        raise typer.Exit(1)


def _look_into(folder: Path | None, drfc: Path | None, as_json: bool) -> bool:
    out = screen()
    several = examine_folders(folder) if folder is not None and drfc is None else None
    if several is not None:
        if as_json:
            print_json(several.to_json())
        else:
            print_folders(several, out)
        return several.ok
    report = examine_folder(folder, drfc)
    if as_json:
        print_json(report.to_json())
    else:
        print_report(report, out)
    return not report.problems


def examine() -> list[Finding]:
    """Look at everything, in the order in which one thing needs another; nothing that fails stops the rest."""
    looks: list[tuple[str, Callable[[], Finding]]] = [
        ("system", _system),
        ("python", _python),
        ("processor", _processor),
        ("memory", _memory),
        ("disk", _disk),
        ("torch", _torch),
        ("arithmetic", _arithmetic),
        ("warp", _warp),
        ("simulator", lambda: _simulator("cpu")),
        ("gpu", _gpu),
        ("environment", _environment),
        ("video", _video),
        ("tracks", _tracks),
    ]
    findings = []
    for name, look in looks:
        try:
            findings.append(look())
        except Exception as error:
            # Whatever a broken installation does, the doctor goes on to the next patient.
            text = " ".join(str(error).split()) or "no further word"
            findings.append(
                Finding(name, "broken", f"{type(error).__name__}: {text}", "Install again: pip install -e . --upgrade")
            )
    return findings + [_extra(name) for name in EXTRAS]


def _system() -> Finding:
    import platform

    return Finding("system", "ok", f"{platform.system()} {platform.release()}, {platform.machine()}")


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < MIN_PYTHON:
        needed = ".".join(map(str, MIN_PYTHON))
        return Finding("python", "broken", found, f"Install Python {needed} or newer.")
    return Finding("python", "ok", found)


def _processor() -> Finding:
    from hotlap.bench.machine import cpu_name, load_average
    from hotlap.resources import num_processors

    load = load_average()
    cores = num_processors()
    busy = f"; load {load:g}" if load is not None else ""
    return Finding("processor", "ok", f"{cpu_name()}, {counted(cores, 'core')}{busy}")


def _memory() -> Finding:
    from hotlap.bench.machine import memory_gib

    size = memory_gib()
    if size is None:
        return Finding("memory", "ok", "the system does not tell")
    if size < MIN_MEMORY_GIB:
        way_out = f"Training takes about {MIN_MEMORY_GIB:g} GiB; set a lower training.step_cap in job.toml."
        return Finding("memory", "missing", f"{size:.1f} GiB", way_out)
    return Finding("memory", "ok", f"{size:.1f} GiB")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    if free < MIN_DISK_GIB:
        return Finding("disk", "missing", f"{free:.1f} GiB free here", "A training writes about 1 GiB; make room.")
    return Finding("disk", "ok", f"{free:.1f} GiB free here")


def _torch() -> Finding:
    import torch

    product = torch.ones(8, 8) @ torch.ones(8, 8)
    assert float(product.sum()) == 512.0, "a matrix product is wrong"
    return Finding("torch", "ok", f"{torch.__version__}, {counted(torch.get_num_threads(), 'thread')}")


def _arithmetic() -> Finding:
    import torch

    from hotlap.rl.precision import compute_dtype

    dtype = str(compute_dtype("auto", torch.device("cpu"))).removeprefix("torch.")
    found = f"{dtype} ({torch.backends.cpu.get_cpu_capability()})"
    if dtype == "bfloat16":
        return Finding("arithmetic", "ok", f"{found}, which this processor multiplies faster than float32")
    return Finding("arithmetic", "ok", f"{found}; the processor does not multiply bfloat16")


def _warp() -> Finding:
    import warp as wp

    import hotlap.sim  # noqa: F401  (starts Warp without its banner)

    return Finding("warp", "ok", f"{wp.config.version}, devices {', '.join(str(each) for each in wp.get_devices())}")


def _gpu() -> Finding:
    import warp as wp

    devices = wp.get_cuda_devices()
    if not devices:
        return Finding("gpu", "missing", "no CUDA device", "Nothing to do: everything runs on the processor.")
    found = _simulator(str(devices[0]))
    names = ", ".join(f"{device.name} ({device.total_memory / 2**30:.0f} GiB)" for device in devices)
    return Finding("gpu", found.status, f"{names}; {found.detail}", found.way_out)


def _simulator(device: str) -> Finding:
    """Drive one step with the camera; the first time this compiles the kernels."""
    import numpy as np

    from hotlap.deepracer.driving import DEFAULT_TRACK
    from hotlap.sim.scene import Scene
    from hotlap.sim.simulator import Simulator
    from hotlap.sim.starts import Start
    from hotlap.tracks.catalog import load_track

    begin = time.perf_counter()
    simulator = Simulator(Scene([load_track(DEFAULT_TRACK)], device=device), 1)
    simulator.reset([0], [Start(prepared=True)])
    simulator.command(np.zeros(1), np.ones(1))
    for _ in range(2):
        simulator.step()
    seconds = time.perf_counter() - begin
    assert simulator.images is not None
    image = simulator.images.numpy()
    moved = float(simulator.state.motion.numpy()["u"][0, 0])
    if not (moved > 0.0 and image.max() > image.min()):
        detail = f"the car drives {moved:g} m/s and the image has grey values {image.min()} to {image.max()}"
        return Finding("simulator", "broken", detail, "Delete Warp's kernel cache and try again.")
    return Finding("simulator", "ok", f"kernels compile and a car drives ({seconds:.1f} s)")


def _environment() -> Finding:
    import gymnasium

    from hotlap.envs.registration import TIME_TRIAL, register

    register()
    gymnasium.spec(TIME_TRIAL)
    return Finding("environment", "ok", f"gymnasium {gymnasium.__version__} knows {TIME_TRIAL}")


def _video() -> Finding:
    import av

    try:
        av.codec.Codec("libx264", "w")
    except ValueError:
        way_out = "Install PyAV's own wheel: pip install --only-binary av --force-reinstall av"
        return Finding("video", "missing", f"PyAV {av.__version__} without the H.264 encoder", way_out)
    return Finding("video", "ok", f"PyAV {av.__version__} encodes H.264")


def _tracks() -> Finding:
    from hotlap.errors import TrackError
    from hotlap.tracks.catalog import list_tracks, load_track, user_folder

    own = [entry.name for entry in list_tracks() if not entry.built_in]
    problems = []
    for name in own:
        try:
            load_track(name)
        except TrackError as error:
            problems.append(str(error))
    found = f"{len(list_tracks()) - len(own)} built in, {len(own)} of your own in {user_folder()}"
    if problems:
        return Finding("tracks", "missing", f"{found}, {len(problems)} of them unusable", problems[0])
    return Finding("tracks", "ok", found)


def _extra(name: str) -> Finding:
    package, purpose = EXTRAS[name]
    if find_spec(package) is None:
        return Finding(f"extra {name}", "missing", f"for {purpose}", f"pip install 'hotlap[{name}]'")
    return Finding(f"extra {name}", "ok", f"for {purpose}")


def _print(findings: list[Finding]) -> None:
    from rich.markup import escape
    from rich.table import Table

    marks = {"ok": "[green]✓[/]", "missing": "[yellow]–[/]", "broken": "[red]✗[/]"}
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for finding in findings:
        text = escape(finding.detail)
        if finding.way_out:
            text += f"\n[{'red' if finding.status == 'broken' else 'yellow'}]{escape(finding.way_out)}[/]"
        table.add_row(marks[finding.status], finding.name, text)
    out = screen()
    out.print(table)
    broken = [finding.name for finding in findings if finding.status == "broken"]
    out.print(
        f"[red]Not usable yet: {', '.join(broken)}.[/]" if broken else "[green]This machine is ready to train.[/]"
    )
