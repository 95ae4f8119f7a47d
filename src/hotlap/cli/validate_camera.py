"""``hotlap validate camera``: our camera images against real frames of the original."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hotlap.cli.console import JsonOption, console, print_json, screen


def camera(
    frames: Annotated[Path, typer.Argument(help="Folder of consecutive real frames, PNG of 160×120.")],
    route: Annotated[
        Path | None,
        typer.Option(help="Route file of the track they show. Default: ../tracks/reinvent_base.npy beside the folder."),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Use every so many frames only.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the pictures: real, ours, difference.")] = Path(
        "validate-camera"
    ),
    pictures: Annotated[int, typer.Option(min=0, help="Number of pictures.")] = 12,
    as_json: JsonOption = False,
) -> None:
    """Compare our camera with real frames.

    Finds the pose that explains each frame, and once for all the camera's height, pitch and field of view and the
    distances of the walls; then compares grey levels and what is seen where.

    JSON keys: grey_diff_median (median over the frames of the mean absolute grey difference, of 255), class_agreement
    (share of pixels of the same class: road, edge_line, center_line, field, wall), num_frames, camera (height_m,
    pitch_rad, hfov_rad, forward_m), field_margin_m (per wall), confusion (share of pixels, real class by ours), frames
    (name, x, y, yaw_deg, grey_diff, class_agreement of each), pictures (paths).
    """
    from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn
    from rich.progress import Progress as ProgressBar

    from hotlap.tracks.catalog import load_track
    from hotlap.validation.camera_report import draw_comparison, load_frames, validate_camera

    names, images = load_frames(frames, every=every)
    track = load_track(str(route or frames.resolve().parent / "tracks" / "reinvent_base.npy"))
    to_people = console()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with ProgressBar(*columns, console=to_people, transient=True, disable=not to_people.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def show(step: str, share: float) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(f"fitting: {step}", total=1.0)
            bar.update(tasks[step], completed=share)

        report = validate_camera(names, images, track, every=every, progress=show)
    paths = draw_comparison(report, images, track, out, num=pictures) if pictures else []
    result = {**report.to_json(), "pictures": [str(path) for path in paths]}
    if as_json:
        print_json(result)
        return

    fitted = report.setting.camera
    stdout = screen()
    stdout.print(f"mean grey difference   {result['grey_diff_median']} of 255 (median of {len(names)} frames)")
    stdout.print(f"classes that agree     {100 * float(report.agreement.mean()):.2f} % of pixels")
    stdout.print(
        f"camera                 {fitted.height_m:.4f} m high, pitched {fitted.pitch_rad:.4f} rad, "
        f"{fitted.hfov_rad:.3f} rad wide"
    )
    if paths:
        stdout.print(f"pictures               {out}", markup=False, soft_wrap=True)
