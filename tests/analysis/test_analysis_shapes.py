"""What people export is recognized by what is in it: folders, archives, logs, several workers, single traces."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from synthetic_run import write_run
from typer.testing import CliRunner

from hotlap.analysis.read.run_files import find_run
from hotlap.analysis.read.run_reader import read_run
from hotlap.cli.analyze import analyze
from hotlap.errors import RecordError

STAMP = "20260101120000"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run") / "run", num_iterations=2, evaluations=(STAMP,), progress=False)


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("two") / "run", num_iterations=2, num_workers=2, progress=False)


def console(run: Path, folder: Path) -> Path:
    """Laid out as the console does it, a folder around."""
    inside = folder / "job-1"
    shutil.copytree(run / "training-simtrace", inside / "sim-trace" / "training" / "training-simtrace")
    shutil.copytree(
        run / f"evaluation-{STAMP}" / "evaluation-simtrace",
        inside / "sim-trace" / "evaluation" / STAMP / "evaluation-simtrace",
    )
    log(run, inside / "logs" / "training" / "training-1-robomaker.log")
    shutil.copy(run / "ring.npy", inside)
    return folder


def log(run: Path, path: Path, prefix: str = "") -> Path:
    """The traces of training as a log, among other lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["Using the following hyper-parameters", '{"num_episodes_between_training": 8,', "}"]
    for trace in sorted((run / "training-simtrace").glob("*.csv")):
        lines += [f"{prefix}SIM_TRACE_LOG:{row}" for row in trace.read_text().splitlines()[1:]] + ["Uploading, please"]
    path.write_text("\n".join(lines))
    return path


def tarred(folder: Path, path: Path, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for each in sorted(folder.iterdir()):
            archive.add(each, each.name)
    return path


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.rglob("*")):
            archive.write(each, each.relative_to(folder))
    return path


SHAPES: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "folder": (lambda run, tmp: run, "training traces of 1 worker and traces of 1 evaluation"),
    "log archive": (
        lambda run, tmp: tarred(console(run, tmp / "console"), tmp / "download"),
        "training traces of 1 worker and traces of 1 evaluation",
    ),
    "zip": (
        lambda run, tmp: zipped(console(run, tmp / "console"), tmp / "model.bin"),
        "training traces of 1 worker and traces of 1 evaluation",
    ),
    "robomaker log": (lambda run, tmp: log(run, tmp / "x"), "training traces of 1 worker (read from logs)"),
    "ROS 2 log": (
        lambda run, tmp: log(run, tmp / "x-simulation.log", "[agent-1] "),
        "training traces of 1 worker (read from logs)",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_says_the_same(run: Path, tmp_path: Path, shape: str):
    """The steps are those of the folder it was made from, and a sentence tells what was taken."""
    make, taken = SHAPES[shape]
    place = make(run, tmp_path)
    got, wanted = read_run(place, tracks=[run / "ring.npy"]), read_run(run)
    assert got.taken == f"Took {taken} from {place}."
    np.testing.assert_array_equal(got.steps.x, wanted.steps.x)
    np.testing.assert_array_equal(got.steps.iteration, wanted.steps.iteration)
    np.testing.assert_array_equal(got.steps.episode, wanted.steps.episode)
    assert got.tracks[0] is not None
    assert got.tracks[0].name == "ring"


@pytest.mark.parametrize("named", ["{}", "worker-{}", "worker_{}"])
def test_folders_of_several_workers(two_workers: Path, tmp_path: Path, named: str):
    for worker in (0, 1):
        shutil.copytree(two_workers / str(worker), tmp_path / "run" / named.format(worker))
    found = find_run(tmp_path / "run")
    assert found.taken == "training traces of 2 workers"
    assert {(file.worker, file.iteration) for file in found.training} == {(w, i) for w in (0, 1) for i in (0, 1)}


def test_a_trace_is_known_by_what_is_in_it(run: Path, tmp_path: Path):
    """Renamed and packed it is one; what is named like a table but holds something else is none."""
    content = (run / "training-simtrace" / "0-iteration.csv").read_bytes()
    (tmp_path / "mine.csv.gz").write_bytes(gzip.compress(content))
    (tmp_path / "shopping.csv").write_text("item,price\nmilk,1\n")
    found = find_run(tmp_path)
    assert [file.path.name for file in found.training] == ["mine.csv.gz"]
    assert len(read_run(tmp_path / "mine.csv.gz").steps) == len(content.splitlines()) - 1


def test_several_runs_are_not_mixed(run: Path, tmp_path: Path):
    for name in ("a", "b"):
        shutil.copytree(run, tmp_path / name)
    with pytest.raises(RecordError, match=r"holds 2 runs \(a, b\)\. Name the folder of one"):
        find_run(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"hello", "is a file, but no trace"), (b"", "is a file"), (b"PK\x03\x04 cut", "cannot be used: it is cut short")],
)
def test_other_files_are_refused_in_a_sentence(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(RecordError, match=message):
        read_run(tmp_path / "x")


def test_an_archive_of_something_else(tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("hello")
    with pytest.raises(RecordError, match=r"holds nothing readable about a run.*there is only notes\.txt"):
        read_run(tarred(tmp_path / "in", tmp_path / "a.tar.gz"))


def test_an_archive_for_a_car(tmp_path: Path):
    """What `hotlap export` and the console write has a graph and no records."""
    (tmp_path / "in" / "agent").mkdir(parents=True)
    (tmp_path / "in" / "agent" / "model.pb").write_bytes(b"graph")
    (tmp_path / "in" / "model_metadata.json").write_text("{}")
    with pytest.raises(RecordError) as raised:
        read_run(tarred(tmp_path / "in", tmp_path / "model.tar.gz"))
    assert "is an archive for a car and holds no records of the training. Give the folder" in str(raised.value)


@pytest.mark.parametrize("content", [{}, {"notes.txt": "hello"}, {"metrics/progress.jsonl": "x\n" * 20_000}])
def test_errors_are_sentences_with_one_space_between_them(tmp_path: Path, content: dict[str, str]):
    for name, text in content.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(RecordError) as raised:
        read_run(tmp_path)
    assert "  " not in str(raised.value)


@pytest.mark.parametrize(
    ("output", "page"),
    [
        (None, "run.html"),
        ("mine", "mine.html"),
        ("new/sub/mine", "new/sub/mine.html"),
        ("mine.htm", "mine.htm"),
        ("v1.2", "v1.2.html"),
        ("there", "there/run.html"),
        ("old.report", "old.report"),
    ],
)
def test_the_report_goes_where_it_is_expected(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str | None, page: str
):
    """A name gets its ending, a folder takes the report in, a file is taken as it is, and parents are made."""
    from hotlap.cli.analyze import _page

    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "old.report").write_text("old")
    (tmp_path / "run.tar.gz").write_bytes(b"x")
    found = _page(None if output is None else Path(output), [Path("run.tar.gz")])
    assert found == Path(page)
    assert found.parent.is_dir()


@pytest.mark.usefixtures("drawn_once")
def test_the_command_reports_on_an_archive(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    place = zipped(console(run, tmp_path / "console"), tmp_path / "logs.zip")
    app = typer.Typer()
    app.command()(analyze)
    outcome = CliRunner().invoke(app, [str(place), "--output", "out/report", "--json"])
    assert outcome.exit_code == 0, outcome.output
    result = json.loads(outcome.stdout)
    assert result["models"][0]["taken"].startswith("Took training traces of 1 worker")
    assert (tmp_path / "out" / "report.html").is_file()
