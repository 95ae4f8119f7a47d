"""``hotlap validate``: compare the simulator with recordings of the original."""

from __future__ import annotations

import typer

from hotlap.cli import validate_camera, validate_logs

app = typer.Typer(help="Compare the simulator with recordings of the original.", no_args_is_help=True)
app.command("logs")(validate_logs.logs)
app.command("camera")(validate_camera.camera)
