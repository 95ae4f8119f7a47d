"""The report: one page that needs nothing else, its figures as files, and an answer to every kind of folder."""

from __future__ import annotations

import json
import re
import shutil
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from log_folders import write_real_log
from PIL import Image
from synthetic_run import ring, write_run
from typer.testing import CliRunner

from hotlap.analysis.figures import style
from hotlap.analysis.figures.map_figures import reward_map
from hotlap.analysis.read.episodes import Episodes
from hotlap.analysis.read.run_reader import read_run
from hotlap.analysis.report import report_writer
from hotlap.analysis.report.chapters import chapters
from hotlap.analysis.report.dark_page import PAPER, turn_dark
from hotlap.analysis.report.report_writer import write_report
from hotlap.cli.main import app
from hotlap.errors import RecordError
from hotlap.tracks.track import Track

INERT = {
    "data",
    "http-equiv",
    "content",
    "charset",
    "lang",
    "name",
    "class",
    "id",
    "alt",
    "type",
    "aria-label",
    "scope",
}


class Page(HTMLParser):
    """What a browser would fetch, and what a reader sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.anchors: set[str] = set()
        self.words: list[str] = []
        self._captions: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "poster", "data", "style"):
                self.addresses.append(value)
            if name == "id":
                self.anchors.add(value)

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def open_tags(self) -> int:
        return len(self.tags)


@pytest.fixture(scope="module", autouse=True)
def small_figures():
    """With a tenth of the pixels, which nothing here depends on."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(style, "_CARD_DPI", 50)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run") / "mine", evaluations=("20260102030405",))


@pytest.fixture(scope="module")
def report(folder, tmp_path_factory):
    return write_report([read_run(folder)], tmp_path_factory.mktemp("out") / "report.html")


def test_the_page_needs_nothing_else(report):
    """Every address is a picture within the page or a place on it, and the page forbids the browser all others."""
    text = report.page.read_text(encoding="utf-8")
    page = Page(text)
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in page.addresses)
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= page.anchors
    assert "script" not in page.tags
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|https?:", re.sub(r"base64,[^\"]*", "", text))


def test_every_figure_is_on_the_page_in_light_and_dark_and_in_a_file(report):
    page = Page(report.page.read_text(encoding="utf-8"))
    pictures = [Image.open(BytesIO(b64decode(each.partition(",")[2]))) for each in page.addresses if each[0] == "d"]
    assert len(pictures) == 2 * len(report.figures)
    corners = [picture.convert("RGB").getpixel((0, 0)) for picture in pictures]
    assert set(corners[0::2]) == {tuple(bytes.fromhex(PAPER[1:]))}  # sources of dark pages come first
    assert set(corners[1::2]) == {(255, 255, 255)}
    for path, picture in zip(report.figures, pictures[1::2], strict=True):
        with Image.open(path) as file:
            assert file.size == picture.size
    assert sorted(path.name for path in report.figures[0].parent.iterdir()) == sorted(
        path.name for path in report.figures
    )


def test_everything_that_is_promised_is_drawn(report):
    names = {path.stem for path in report.figures}
    assert {"reward", "completion", "clean_laps", "lap_times", "entropy", "divergence", "losses"} <= names
    assert {"reward_map", "speed_map", "exits", "waypoints", "best_laps", "last_laps", "evaluation"} <= names
    assert {"endings", "distances", "actions", "action_shares", "actions_track", "stages", "stability"} <= names


def test_words_stand_under_each_figure(folder):
    for chapter in chapters([read_run(folder)]):
        for card in chapter.cards:
            assert len(card.words) > 60


def words_of(run, **parts):
    """The words under each figure of a run that differs in some parts."""
    return {card.name: card.words for chapter in chapters([replace(run, **parts)]) for card in chapter.cards}


def test_words_speak_of_what_is_drawn(folder):
    """Each figure that has several cases has words for each of them."""
    run = read_run(folder)
    words = words_of(run)
    longest = run.episodes.where(~run.episodes.complete)
    assert "fastest complete laps" in words["best_laps"]
    steps = run.steps.where(np.isin(run.steps.episode, np.flatnonzero(~run.episodes.complete)))
    incomplete = words_of(run, steps=steps, episodes=Episodes.of(steps))
    assert len(Episodes.of(steps)) == len(longest)
    assert "fastest" not in incomplete["best_laps"]
    assert "None of them ended with a complete lap" in incomplete["endings"]
    assert "Off track" in words["endings"]
    assert "Immobilized" not in words["endings"]

    assert "Numbers are waypoints" in words["exits"]
    assert "Numbers" not in words_of(run, driven=dict.fromkeys(run.driven))["exits"]
    steps = run.steps.where(np.isin(run.steps.episode, np.flatnonzero(run.episodes.complete)))
    assert "No mistake" in words_of(run, steps=steps, episodes=Episodes.of(steps))["exits"]

    plain = [replace(record, evaluation=None, is_best=False, lap_time_best_s=None) for record in run.iterations]
    unmarked = words_of(run, iterations=plain)
    assert "Evaluations" in words["reward"]
    assert "dashed" in words["reward"]
    assert "valuations" not in unmarked["reward"] + unmarked["completion"]
    assert "dashed" not in unmarked["reward"]
    assert "thin line" not in words["reward"]  # six iterations are not smoothed
    assert unmarked["clean_laps"].startswith("No evaluations")
    assert unmarked["lap_times"].startswith("No lap")

    assert "dotted line" not in words["entropy"]  # the folder has no metadata
    assert "dotted line" in words_of(run, actions=[(0.0, 1.0), (30.0, 1.0)])["entropy"]
    continuous = replace(run.steps, action=np.full(len(run.steps), -1))
    assert "may be negative" in words_of(run, steps=continuous)["entropy"]

    assert words["evaluation"].startswith("All trials")
    (one,) = run.evaluations
    many = replace(one, episodes=one.episodes.where(np.zeros(250, dtype=int)))
    assert words_of(run, evaluations=[many])["evaluation"].startswith("The last 200 of 250 trials")


def test_names_cannot_write_markup(tmp_path, monkeypatch):
    blank = report_writer.Picture(b"", b"", 1, 1)  # words are what is asked about
    monkeypatch.setattr(report_writer, "_draw", lambda card, folder: (folder / f"{card.name}.png", blank))
    run = read_run(write_run(tmp_path / "<script>alert(1)<", num_iterations=2))
    run.notes.append("<img src=x onerror=alert(1)>")
    page = Page(write_report([run], tmp_path / "report.html").page.read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert "<script>alert(1)<" in page.text
    assert not [address for address in page.addresses if address == "x"]


@pytest.mark.usefixtures("drawn_once")
def test_models_stand_side_by_side(folder, tmp_path):
    other = write_run(tmp_path / "other", num_iterations=3, progress=False)
    report = write_report([read_run(folder), read_run(other)], tmp_path / "both.html")
    names = {path.stem for path in report.figures}
    assert {"reward", "completion", "exits-model1", "exits-model2", "stages-model1"} <= names
    assert "stages-model2" not in names  # a log of the original without wall-clock
    page = Page(report.page.read_text(encoding="utf-8"))
    assert page.tags.count("table") == 2  # headline and evaluations
    assert {"mine", "other"} <= {word.strip() for word in page.words}


@pytest.mark.usefixtures("drawn_once")
def test_each_track_of_several_workers_is_drawn(tmp_path):
    large = ring(3.0)
    tracks = (ring(), Track("large", large.center, large.inner, large.outer, closed=True))
    report = write_report([read_run(write_run(tmp_path / "two", num_workers=2, tracks=tracks))], tmp_path / "two.html")
    names = {path.stem for path in report.figures}
    assert {"exits-1", "exits-2", "reward_map-1", "reward_map-2", "workers"} <= names
    assert "large (worker 1)" in Page(report.page.read_text(encoding="utf-8")).text


@pytest.mark.usefixtures("drawn_once")
@pytest.mark.parametrize("kept", ["metrics", "training-simtrace", "evaluation-20260102030405"])
def test_a_part_of_a_run_is_reported_with_notes_on_the_rest(folder, tmp_path, kept):
    shutil.copytree(folder / kept, tmp_path / "part" / kept)
    run = read_run(tmp_path / "part")
    report = write_report([run], tmp_path / "part.html")
    text = Page(report.page.read_text(encoding="utf-8")).text
    assert all(note in text for note in run.notes)
    assert bool(run.notes)
    assert report.figures


@pytest.mark.usefixtures("drawn_once")
def test_one_short_iteration_is_reported(tmp_path):
    run = read_run(write_run(tmp_path / "young", num_iterations=1, num_episodes=1))
    assert write_report([run], tmp_path / "young.html").figures


def test_dark_figures_keep_what_lies_on_maps(folder):
    """The neutral colors around a map are turned; its pixels stay."""
    run = read_run(folder)
    figure = reward_map(run.steps, run.tracks[0])
    figure.canvas.draw()
    light = np.asarray(figure.canvas.buffer_rgba()).copy()
    figure.set_layout_engine("none")
    turn_dark(figure)
    figure.canvas.draw()
    dark = np.asarray(figure.canvas.buffer_rgba())
    box = figure.axes[0].get_window_extent()
    height = light.shape[0]
    inside = (
        slice(height - int(box.y1) + 2, height - int(box.y0) - 2),
        slice(int(box.x0) + 2, int(box.x1) - 2),
    )
    np.testing.assert_array_equal(light[inside], dark[inside])
    assert not np.array_equal(light, dark)


def test_unwritable_page_is_explained(folder, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "taken").write_text("")
    (tmp_path / "page.html").mkdir()
    for page in ("file/report.html", "taken.html", "page.html"):  # the folder, that of the figures, the page itself
        with pytest.raises(RecordError, match=r"could not be written.*--output"):
            write_report([read_run(folder)], tmp_path / page)
    with pytest.raises(RecordError, match="has no ending"):
        write_report([read_run(folder)], tmp_path / "report")


def test_command_writes_the_report_and_says_what_it_holds(folder, report, tmp_path):
    """Equal runs give equal pages."""
    result = CliRunner().invoke(app, ["analyze", str(folder), "--output", str(tmp_path / "r.html"), "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["report"] == str(tmp_path / "r.html")
    assert (tmp_path / "r.html").is_file()
    assert answer["models"][0]["headline"]["Clean laps"] == "6 of 8"
    assert (tmp_path / "r.html").read_bytes() == report.page.read_bytes()
    again = [tmp_path / "r" / path.rpartition("/")[2] for path in answer["figures"]]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in report.figures]


def test_command_explains_what_it_cannot_do(folder, tmp_path):
    for arguments, words in (
        ([], "which folder?"),
        ([str(tmp_path / "absent")], "does not exist"),
        ([str(tmp_path)], "nothing readable about a run"),
        ([str(folder), str(folder)], "named twice"),
        ([str(tmp_path / str(i)) for i in range(7)], "at most 6 models"),
    ):
        result = CliRunner().invoke(app, ["analyze", *arguments])
        assert words in " ".join(str(result.exception).split())


@pytest.mark.data
@pytest.mark.usefixtures("drawn_once")
def test_a_real_log_is_reported(reference_data, tmp_path):
    real = write_real_log(reference_data, tmp_path)
    run = read_run(real.folder, tracks=[real.route])
    report = write_report([run], tmp_path / "real.html")
    names = {path.stem for path in report.figures}
    assert {"reward", "completion", "clean_laps", "exits", "actions", "stability", "evaluation"} <= names
    assert "entropy" not in names
    assert "Policy training" in Page(report.page.read_text(encoding="utf-8")).text
