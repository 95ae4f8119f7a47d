"""Figures of runs show the numbers they are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_run import write_run

from hotlap.analysis import figures
from hotlap.analysis.figures.time_figures import pace_of, step_periods
from hotlap.analysis.read.episodes import Episodes
from hotlap.analysis.read.phases import bins_of, early_and_late, phase_names
from hotlap.analysis.read.run_data import Run
from hotlap.analysis.read.run_reader import read_run
from hotlap.analysis.report.chapters import findings
from hotlap.analysis.report.headline import headline
from hotlap.records.events import EvaluationSummary
from hotlap.records.steps import Steps
from hotlap.records.tallies import Tally


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return read_run(write_run(tmp_path_factory.mktemp("run") / "mine", num_iterations=12, num_episodes=20))


@given(st.integers(0, 400))
def test_early_and_late_are_at_the_ends_and_equally_long(num):
    early, late = early_and_late(num)
    assert early.sum() == late.sum() >= min(num, 1)
    assert not (early & late).any() or num < 2
    assert np.all(np.diff(early.astype(int)) <= 0)
    assert np.all(np.diff(late.astype(int)) >= 0)


@given(st.lists(st.integers(-50, 5000), min_size=1), st.integers(1, 60))
def test_bins_hold_every_value_between_their_edges(values, max_bins):
    numbers = np.array(values)
    bins, edges = bins_of(numbers, max_bins)
    assert len(edges) - 1 <= max_bins
    assert np.all((edges[bins] < numbers) & (numbers < edges[bins + 1]))


def test_driven_speed_is_the_speed_on_the_ring(run):
    """Of a car that drives a fortieth of a lap in each step, and unknown across resets."""
    known = np.isfinite(run.steps.driven_speed)
    radius = np.hypot(run.steps.x, run.steps.y)[known]
    chord = 2 * radius * np.sin(np.pi * 2.5 / 100 * 2) / 2
    np.testing.assert_allclose(run.steps.driven_speed[known], 15 * chord, rtol=1e-6)
    first_or_last = np.diff(run.steps.episode, prepend=-1).astype(bool) | np.diff(run.steps.episode, append=-1).astype(
        bool
    )
    np.testing.assert_array_equal(~known, first_or_last)


def test_exit_map_marks_late_mistakes(run):
    figure = figures.exit_map(run.episodes, run.steps, run.tracks[0])
    (crosses,) = [each for each in figure.axes[0].collections if str(each.get_label()).startswith("mistakes")]
    late = np.arange(len(run.episodes)) >= len(run.episodes) - 48
    failed = late & run.episodes.failed
    np.testing.assert_allclose(
        np.asarray(crosses.get_offsets()), np.stack([run.episodes.x[failed], run.episodes.y[failed]], axis=1)
    )
    assert crosses.get_label() == f"mistakes of the last 48 episodes ({failed.sum()})"


def test_parts_of_a_training_are_called_by_their_number(run):
    """A short training has twenty first and last episodes, which is more than a fifth."""
    for episodes, size in ((run.episodes, 48), (run.episodes.where(np.arange(60)), 20)):
        steps = run.steps.where(run.steps.episode < len(episodes))
        assert phase_names(len(episodes)) == (f"first {size} episodes", f"last {size} episodes")
        for draw in (figures.actions_around_track, figures.action_shares):
            assert draw(steps).axes[0].get_title("left").endswith(f"last {size} episodes")
        legend = figures.distance_figure(episodes).axes[0].get_legend()
        assert [text.get_text() for text in legend.get_texts()] == [f"first {size} episodes", f"last {size} episodes"]


def test_numbers_of_waypoints_stand_above_the_marks_of_exits(run):
    axes = figures.exit_map(run.episodes, run.steps, run.tracks[0]).axes[0]
    numbers = [text for text in axes.texts if text.get_text().isdecimal()]
    assert [text.get_text() for text in numbers] == ["0", "10", "20", "30"]
    assert min(text.get_zorder() for text in numbers) > max(each.get_zorder() for each in axes.collections)


@pytest.mark.parametrize("draw", [figures.best_laps_figure, figures.last_laps_figure])
def test_lines_have_a_mark_where_they_start(run, draw):
    axes = draw(run.steps, run.episodes, run.tracks[0], number=4).axes[0]
    (starts,) = [each for each in axes.collections if each.get_label() == "start"]
    points = np.asarray(starts.get_offsets())
    assert len(points) == 4
    first = np.stack([run.steps.x[run.episodes.first], run.steps.y[run.episodes.first]], axis=1)
    assert all((np.abs(first - point).sum(axis=1) < 1e-9).any() for point in points)
    assert "start" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_maps_show_the_mean_of_each_place(run):
    """A reward that is the same everywhere gives a map of that color alone."""
    same = replace(run.steps, reward=run.steps.x * 0 + 3)
    (image,) = figures.reward_map(same, run.tracks[0]).axes[0].images
    np.testing.assert_allclose(np.asarray(image.get_array().compressed()), 3.0)


def test_waypoint_figure_shows_means_and_counts(run):
    reward, _, exits = figures.waypoint_figure(run.steps, run.episodes).axes[:3]
    late = run.steps.episode >= len(run.episodes) - 48
    expected = [run.steps.reward[late & (run.steps.nearest_waypoint == point)].mean() for point in range(1, 40)]
    np.testing.assert_allclose(np.asarray(reward.get_lines()[1].get_ydata(), dtype=float)[1:40], expected)
    assert sum(bar.get_height() for bar in exits.containers[1]) == run.episodes.failed[-48:].sum()


def test_action_shares_add_up_to_all(run):
    for draw in (figures.actions_over_time, figures.actions_around_track):
        (image,) = draw(run.steps).axes[0].images
        np.testing.assert_allclose(np.ma.sum(image.get_array(), axis=0), 100.0)
    bars = figures.action_shares(run.steps).axes[0].patches
    assert sum(bar.get_width() for bar in bars) == pytest.approx(100.0)


def test_actions_that_are_never_taken_have_a_row(run):
    space = [(-30.0, 1.5), (0.0, 1.5), (30.0, 1.5), (45.0, 4.0)]
    labels = [label.get_text() for label in figures.action_shares(run.steps, space).axes[0].get_yticklabels()]
    assert labels == ["0: −30° 1.5 m/s", "1: 0° 1.5 m/s", "2: +30° 1.5 m/s", "3: +45° 4.0 m/s"]


def test_continuous_commands_are_drawn_as_densities(run):
    continuous = replace(run.steps, action=np.full(len(run.steps), -1))
    for draw in (figures.actions_over_time, figures.actions_around_track):
        for axes in draw(continuous).axes[:2]:
            np.testing.assert_allclose(np.ma.sum(axes.images[0].get_array(), axis=0), 100.0)


def test_endings_add_up_to_all_episodes(run):
    axes = figures.endings_figure(run.episodes).axes[0]
    heights = np.array([[bar.get_height() for bar in container] for container in axes.containers])
    np.testing.assert_allclose(heights.sum(axis=0), 100.0)
    complete = axes.containers[0]
    assert complete.get_label() == "Lap complete"
    assert complete[0].get_center()[0] == 1  # iterations are counted as their checkpoints are
    last = run.episodes.where(run.episodes.iteration == 11)
    assert complete[-1].get_height() == pytest.approx(100 * last.complete.mean())


def test_best_laps_are_the_fastest(run):
    figure = figures.best_laps_figure(run.steps, run.episodes, run.tracks[0], number=3)
    assert figure.axes[0].get_title("left") == "The 3 fastest laps"
    incomplete = run.episodes.where(~run.episodes.complete)
    figure = figures.best_laps_figure(run.steps, incomplete, run.tracks[0])
    assert "longest" in figure.axes[0].get_title("left")


def test_stages_and_pace_are_those_of_the_records(run):
    axes = figures.stages_figure(run.iterations).axes[0]
    assert [container.get_label() for container in axes.containers][:2] == ["collect 17 %", "update 67 %"]
    at, pace = pace_of(run.steps, run.iterations)
    np.testing.assert_array_equal(at, np.arange(12))
    np.testing.assert_allclose(pace, [record.num_steps / 15 / 2.0 for record in run.iterations])


def test_step_periods_leave_out_resets(run):
    periods, iterations = step_periods(run.steps)
    np.testing.assert_allclose(periods, 1 / 15)
    assert len(periods) == len(run.steps) - len(run.episodes)
    assert set(iterations) == set(range(12))


def test_headline_and_findings_name_the_numbers(run):
    facts = {fact.label: fact.value for fact in headline(run)}
    assert facts["Best checkpoint"] == run.iterations[10].checkpoint.removesuffix(".ckpt")
    assert facts["Clean laps"] == "8 of 8"
    assert facts["Steps"] == f"{len(run.steps):,}"
    course, where, actions, exploring = findings(run)
    assert "100 % in the last" in course
    assert "training episodes ended by a mistake" in where
    assert "what counts is the evaluation" in where
    assert "used all 3 actions" in actions
    assert exploring == "It became surer of what to do (entropy 0.30 nat, at first 1.10)."
    known = findings(replace(run, actions=[(-30.0, 1.5), (0.0, 1.5), (30.0, 1.5)]))[3]
    assert "among 1.3 of its 3 actions, at first among 3.0 (entropy 0.30 nat, at first 1.10)" in known


def test_a_perfect_model_does_not_read_like_a_failure(run):
    """It drives all evaluations to the end, though every training episode ends by something that it tries out."""
    laps = EvaluationSummary(32, 100.0, 1.0, 9.0, 12.0, 11.5)
    records = [replace(record, laps_completed=0, evaluation=laps) for record in run.iterations]
    tally = Tally("11_Step-1.ckpt", num_sets=5, num_laps=160, clean_laps=160, clean_times_ms=(12000,) * 159 + (11000,))
    perfect = replace(run, iterations=records, tally=tally)
    facts = {fact.label: (fact.value, fact.detail) for fact in headline(perfect)}
    assert facts["Clean laps"] == ("160 of 160", "in all evaluations of the best checkpoint")
    assert facts["Lap time"][0] == "12.00 s"
    assert "fastest 11.00 s" in facts["Lap time"][1]
    assert facts["First complete lap"] == (f"{records[0].total_steps:,} steps", "in an evaluation, 12 s")
    course = findings(perfect)[0]
    assert course.endswith("100 % in the last: it drives the whole lap.")


@pytest.mark.parametrize(
    ("completion", "words"),
    [(100.0, "100 % in the last: it drives the whole"), (99.7, "99.7 % in the last: it drives nearly")],
)
def test_a_hundred_percent_are_the_whole_lap(run, completion, words):
    laps = EvaluationSummary(32, completion, 0.9, 9.0)
    records = [replace(record, evaluation=laps) for record in run.iterations]
    assert words in findings(replace(run, iterations=records))[0]


@pytest.mark.parametrize("name", sorted(set(figures.__all__) - {"drives_of", "evaluation_figure", "learning_curve"}))
def test_every_figure_copes_with_nothing(name):
    """An empty run is drawn too: a notebook may ask before the first iteration is done."""
    steps = Steps.joined([])
    episodes = Episodes.of(steps)
    arguments = {
        "actions_around_track": (steps,),
        "actions_over_time": (steps,),
        "action_shares": (steps,),
        "best_laps_figure": (steps, episodes, None),
        "last_laps_figure": (steps, episodes, None),
        "distance_figure": (episodes,),
        "endings_figure": (episodes,),
        "exit_map": (episodes, steps, None),
        "reward_map": (steps, None),
        "speed_map": (steps, None),
        "stability_figure": (steps,),
        "stages_figure": ([],),
        "waypoint_figure": (steps, episodes),
        "workers_figure": ([],),
    }.get(name, ({"empty": []},))
    figure = getattr(figures, name)(*arguments)
    figure.canvas.draw()
