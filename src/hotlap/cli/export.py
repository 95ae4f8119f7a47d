"""``hotlap export``: the archive that a real car installs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hotlap.cli.checkpoint_option import parse_checkpoint
from hotlap.cli.checkpoints import how_sure
from hotlap.cli.console import JsonOption, console, print_json
from hotlap.cli.model_argument import choose_model


def export(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder with a trained model, or s3://bucket/prefix.")],
    which: Annotated[
        str, typer.Option("--checkpoint", help="best, last, a number, or a name such as 5_Step-4912.")
    ] = "best",
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The archive; its name is the model's on the car. Default: model.tar.gz in DIR, or here if DIR is a "
            "bucket.",
        ),
    ] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write an ONNX file beside it, for other uses.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the archive that a DeepRacer car installs, from any checkpoint, also while training runs.

    The graph in the written archive is compared with the network before it is called done.

    JSON keys: folder, checkpoint, in_training (what it drove then, in words), archive,
    archive_bytes, graph_bytes, onnx, largest_difference, num_images,
    same_action (share of rendered frames), doubts.
    """
    chosen = parse_checkpoint(which)
    choice = choose_model(folder, None, needs_reward=False, quiet=True)
    out = console()
    with out.status("Exporting …"):
        from hotlap.export.car_archive import DEFAULT_NAME
        from hotlap.export.exporting import export_model

        archive = output or (Path() if choice.in_bucket else choice.model.path) / DEFAULT_NAME
        result = export_model(choice.model, archive, output=choice.job.training.output, checkpoint=chosen, onnx=onnx)
    if as_json:
        print_json(
            {
                "folder": folder,
                "checkpoint": result.checkpoint,
                "in_training": how_sure(choice.place, result.checkpoint),
                "archive": str(result.archive),
                "archive_bytes": result.archive_bytes,
                "graph_bytes": result.graph_bytes,
                "onnx": str(result.onnx) if result.onnx else None,
                "largest_difference": result.agreement.largest_difference,
                "num_images": result.agreement.num_images,
                "same_action": result.same_action,
                "doubts": result.doubts,
            }
        )
        return
    print(f"{result.archive}: checkpoint {result.checkpoint}, {result.archive_bytes / 1e6:.1f} MB.")
    print(f"In training: {how_sure(choice.place, result.checkpoint)}.")
    if result.onnx:
        print(f"{result.onnx}: the same policy as ONNX.")
    print(
        f"Read back and compared with the network on {result.agreement.num_images} images: largest difference "
        f"{result.agreement.largest_difference:.1g}."
    )
    print(f"Same decision seen through the car's camera as in the simulator: {result.same_action:.0%} of frames.")
    print("On the car the largest steering angle is full lock and the largest speed full throttle: docs/car.md.")
    for doubt in result.doubts:
        out.print(f"Note: {doubt}")
