"""``hotlap import``: make a model folder of a DeepRacer model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hotlap.cli.checkpoint_option import parse_checkpoint
from hotlap.cli.console import JsonOption, console, print_json
from hotlap.shell import quoted


def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="A DeepRacer archive (.tar.gz, .tar or .zip), a frozen graph (.pb), s3://bucket/prefix or a "
            "folder laid out like such a prefix, or a TensorFlow checkpoint in one; or an archive of a hotlap model.",
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The model folder to make.")],
    which: Annotated[str, typer.Option("--checkpoint", help="Which of several: best, last, or a number.")] = "best",
    metadata: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its model_metadata.json, if it is not with the model.")
    ] = None,
    track: Annotated[str | None, typer.Option(help="Track of the model folder (see `hotlap tracks list`).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a model folder of a DeepRacer model, to evaluate it and to train on; TensorFlow is not needed.

    Nothing is written before the network computes what the model's own graph computes. Then `hotlap evaluate DIR`
    drives it and `hotlap train DIR --resume` trains on. An archive of a hotlap model folder is unpacked as it is.

    JSON keys: source, folder, checkpoint, network, sensor, action_space_type, num_outputs, read_from,
    largest_difference, num_images, value (compared, by_names or fresh), value_largest_difference, written, kept,
    remarks; of a hotlap model source, folder, checkpoint, written.
    """
    from hotlap.export.clone_source import without_steps
    from hotlap.export.packed_model import packed_root, unpack_model
    from hotlap.records.address import is_s3
    from hotlap.tracks.catalog import load_track

    if not is_s3(source) and (root := packed_root(Path(source))) is not None:
        _report_unpacked(source, folder, unpack_model(Path(source), root, folder), as_json)
        return
    chosen = without_steps(parse_checkpoint(which))
    if track is not None:
        load_track(track)
    out = console()
    with out.status("Importing …"):
        from hotlap.export.importing import import_model

        result = import_model(source, folder, which=chosen, metadata_file=metadata, track=track)
    policy = result.policy
    if as_json:
        value = policy.value_agreement
        print_json(
            {
                "source": source,
                "folder": str(folder),
                "checkpoint": str(result.checkpoint),
                "network": result.metadata.network,
                "sensor": result.metadata.camera,
                "action_space_type": result.metadata.action_space.type,
                "num_outputs": result.num_outputs,
                "read_from": policy.read_from,
                "largest_difference": policy.agreement.largest_difference,
                "num_images": policy.agreement.num_images,
                "value": policy.value,
                "value_largest_difference": value.largest_difference if value else None,
                "written": result.written,
                "kept": result.kept,
                "remarks": result.remarks,
            }
        )
        return
    out.print(f"Took checkpoint {result.checkpoint} from {source}.")
    print(
        f"{folder}: checkpoint {result.checkpoint}, {result.metadata.network}, {result.metadata.camera}, "
        f"{result.metadata.action_space.type} actions ({result.num_outputs} outputs)."
    )
    print(
        f"Compared with {policy.read_from} on {policy.agreement.num_images} images: largest difference "
        f"{policy.agreement.largest_difference:.1g}."
    )
    if result.kept:
        print(f"Kept as they were: {', '.join(result.kept)}.")
    for remark in result.remarks:
        out.print(f"Note: {remark}")
    print(_next(folder))


def _report_unpacked(source: str, folder: Path, written: list[str], as_json: bool) -> None:
    """Say what became of an archive of a hotlap model."""
    from hotlap.records.checkpoints import CheckpointStore

    store = CheckpointStore(folder)
    best, kept = store.best(), store.list()
    checkpoint = str(best.name if best else kept[-1]) if kept else None
    if as_json:
        print_json({"source": source, "folder": str(folder), "checkpoint": checkpoint, "written": written})
        return
    drives = f"checkpoint {checkpoint} drives" if checkpoint else "it is not trained yet"
    print(f"{folder}: unpacked a hotlap model, {len(written)} files; {drives}.")
    if "reward_function.py" in written:
        print("Its reward_function.py is a program that a training runs on your machine: read it first.")
    print(_next(folder) if checkpoint else f"Next: hotlap train {quoted(folder)}")


def _next(folder: Path) -> str:
    words = quoted(folder)
    return f"Next: hotlap evaluate {words}, or hotlap train {words} --resume"
