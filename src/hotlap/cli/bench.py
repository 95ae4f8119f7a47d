"""``hotlap bench``: how fast this machine simulates, trains and learns."""

from __future__ import annotations

import typer

app = typer.Typer(help="Measure the simulator, the training loop and how fast models learn.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Measure the simulator, the training loop and how fast models learn."""
