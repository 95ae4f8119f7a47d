"""What the simulation makes of a fleet, and that the page says what the files say."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scaling
from scaling import bench_scaling, tables, write_page
from scaling_simulation import GBIT, Costs, Setting, play, savings, scenarios, simulate, take, validate

from hotlap.bench.fleet_speed import time_of_step
from hotlap.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "benchmarks" / "results" / "bench_fleet.json"
PAGE = ROOT / "docs" / "scaling.md"

FREE_LUNCH = Costs(**dict.fromkeys(Costs.__dataclass_fields__, 0.0) | {"ratio": 1.0, "step_us": ((1.0, 0.0),)})
STEPS = [30, 50, 80, 200, 400]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return json.loads(RESULT.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def costs(found: dict[str, Any]) -> Costs:
    return Costs.read(found)


def collect_s(costs: Costs, setting: Setting, lengths: list[int]) -> float:
    arrivals = play(costs, setting, lengths, np.random.default_rng(0), 0.0)
    return take(costs, setting, arrivals, 0.0)


# What is simulated


def test_a_worker_plays_as_long_as_its_steps_take():
    """By hand: two episodes of 30 and 50 steps side by side, then the longer alone."""
    costs = replace(FREE_LUNCH, step_us=((1, 1100.0), (2, 1200.0)), episode_end_us=10_000.0)
    setting = Setting(1, 2, speed_spread=0.0)
    first, second, done = play(costs, setting, [50, 30], np.random.default_rng(0), 5.0)
    assert (first.num_steps, second.num_steps, done.num_steps) == (30, 50, 0)
    assert first.time_s == pytest.approx(5.0 + 30 * 0.0012 + 0.01)
    assert second.time_s == done.time_s == pytest.approx(first.time_s + 20 * 0.0011 + 0.01)


def test_episodes_beyond_the_worlds_wait_their_turn():
    """By hand: of 50, 30 and 40 steps the first two begin, the third when the second ends, and ends last, alone."""
    costs = replace(FREE_LUNCH, step_us=((1, 1000.0), (2, 1500.0)))
    arrivals = play(costs, Setting(1, 3, speed_spread=0.0, worlds=2), [50, 30, 40], np.random.default_rng(0), 0.0)
    assert [each.num_steps for each in arrivals] == [30, 50, 40, 0]
    assert [each.time_s for each in arrivals[:3]] == pytest.approx([0.045, 0.075, 0.095])


def test_workers_on_a_core_of_their_own_share_the_work_and_on_one_core_take_turns():
    """Where a step costs nothing but its worlds, two workers take half the time; on a single core, all of it."""
    costs = replace(FREE_LUNCH, step_us=((1, 100.0), (2, 200.0)))
    lengths = [100] * 8
    alone = collect_s(costs, Setting(1, 8, speed_spread=0.0), lengths)
    assert collect_s(costs, Setting(2, 8, speed_spread=0.0), lengths) == pytest.approx(alone / 2)
    assert collect_s(costs, Setting(2, 8, cores_per_node=1, speed_spread=0.0), lengths) == pytest.approx(alone)


def test_the_longest_episode_keeps_all_waiting():
    """With as many workers as episodes, a collection takes as long as the longest; evened out, as their mean."""
    costs = replace(FREE_LUNCH, step_us=((1, 1000.0),))
    setting = Setting(len(STEPS), len(STEPS), speed_spread=0.0)
    assert collect_s(costs, setting, STEPS) == pytest.approx(1e-3 * max(STEPS))
    assert collect_s(costs, replace(setting, even=True), STEPS) == pytest.approx(1e-3 * np.mean(STEPS))


def test_all_episodes_pass_one_link():
    """However many workers send: bytes over bandwidth, and less for compressed frames by what these are smaller."""
    costs = replace(FREE_LUNCH, frame_bytes=19_200.0, step_bytes=20_000.0, ratio=2.0)
    for num_workers in (1, 4, 64):
        setting = Setting(num_workers, 64, link_gbit=1.0, speed_spread=0.0)
        assert collect_s(costs, setting, [100] * 64) == pytest.approx(6400 * 20_000 / GBIT)
        packed = replace(setting, packed=True)
        assert collect_s(costs, packed, [100] * 64) == pytest.approx(6400 * (20_000 - 9_600) / GBIT)
        assert collect_s(costs, replace(setting, link_gbit=None), [100] * 64) == 0.0


def test_weights_pass_the_link_once_for_every_node():
    costs = replace(FREE_LUNCH, weights_bytes=1e6)
    setting = Setting(32, 32, link_gbit=1.0, workers_per_node=16, speed_spread=0.0)
    assert collect_s(costs, setting, [10] * 32) == pytest.approx(2 * 1e6 / GBIT)
    assert collect_s(costs, replace(setting, workers_per_node=32), [10] * 32) == pytest.approx(1e6 / GBIT)


def test_the_trainer_takes_episodes_one_after_another():
    """And looks at all that still play: once, if all are there at once."""
    costs = replace(FREE_LUNCH, take_us=200.0, look_us_per_share=5.0)
    lengths = [10] * 40
    # Forty episodes, and four workers that say that there is none left.
    assert collect_s(costs, Setting(4, 40, speed_spread=0.0), lengths) == pytest.approx(44 * 200e-6 + 4 * 5e-6)


@pytest.mark.parametrize("lag", [0, 1])
def test_no_part_is_faster_than_it_can_be(costs: Costs, lag: int):
    """Training is slower than the update alone, the link alone, and all workers at their best."""
    for scenario in scenarios(costs, gpu_steps_per_s=50_000.0):
        for num_workers in (1, 8, 16):
            setting = replace(scenario.grown(num_workers), lag=lag)
            speed = simulate(scenario.costs, setting, STEPS).steps_per_s
            of_all = 1.0 - setting.num_episodes / (np.mean(STEPS) * setting.num_episodes)
            assert speed <= 1e6 / scenario.costs.update_us_per_step / of_all * 1.2  # lengths are drawn
            assert speed <= setting.link_gbit * GBIT / costs.episode_bytes(1, packed=setting.packed) * 1.01
            assert speed <= num_workers * 20 * 1e6 / time_of_step(costs.step_us, 20) * 1.2  # workers differ


def test_a_lag_hides_the_shorter_of_playing_and_learning():
    """Where playing takes as long as the update, an iteration takes half as long with a lag as without."""
    costs = replace(FREE_LUNCH, step_us=((1, 1000.0),), update_us_per_step=1000.0)
    setting = Setting(1, 1, speed_spread=0.0)
    waiting = simulate(costs, setting, [101]).iteration_s
    assert waiting == pytest.approx(0.101 + 0.100)
    assert simulate(costs, replace(setting, lag=1), [101]).iteration_s == pytest.approx(0.101)


def test_what_is_free_already_saves_nothing_and_what_is_nearly_all_saves_nearly_all():
    costs = replace(FREE_LUNCH, update_us_per_step=1000.0, step_us=((1, 1.0),))
    saved = savings(costs, Setting(4, 8, link_gbit=1.0, speed_spread=0.0), STEPS)
    assert saved["update"] == pytest.approx(1.0, abs=1e-3)
    assert {name for name, share in saved.items() if share != 0.0} == {"update", "playing", "stragglers"}


def test_more_workers_train_faster_until_something_is_full(costs: Costs):
    """With as many episodes for each worker, speed never falls by more than the luck of the draw."""
    for scenario in scenarios(costs, gpu_steps_per_s=100_000.0):
        sizes = scenario.sizes(64)
        assert sizes == ([1, 2, 4, 8, 16, 32, 64] if scenario.episodes_per_worker else [1, 2, 4, 8, 16])
        speeds = [simulate(scenario.costs, scenario.grown(n), STEPS).steps_per_s for n in sizes]
        assert all(more > 0.9 * less for less, more in pairwise(speeds))


def test_costs_that_are_not_complete_are_named(found: dict[str, Any], tmp_path: Path):
    path = tmp_path / "fleet.json"
    for name in ("object_us", "take_us"):
        broken = json.loads(json.dumps(found))
        broken["costs"][name] = None
        path.write_text(json.dumps(broken))
        with pytest.raises(ConfigError, match="hotlap bench fleet --json"):
            bench_scaling(path)
    path.write_text("not json")
    with pytest.raises(ConfigError, match=r"fleet\.json"):
        bench_scaling(path)
    with pytest.raises(ConfigError, match=r"nowhere\.json"):
        bench_scaling(tmp_path / "nowhere.json")
    with pytest.raises(ConfigError, match="--most"):
        bench_scaling(RESULT, most=1)


# What is written


def test_the_page_says_what_was_measured(found: dict[str, Any]):
    """All tables that need no long simulation are those of the committed result."""
    text = PAGE.read_text(encoding="utf-8")
    parts = tables(found, {"validation": validate(found), "scenarios": [], "most": 1024})
    for name in ("measured", "frames", "links", "validation"):
        assert f"<!-- begin {name} -->\n{parts[name]}\n<!-- end {name} -->" in text, f"renew the page: {name}"


@pytest.mark.slow
def test_the_page_says_what_is_simulated(tmp_path: Path):
    """All of the page, from the committed result."""
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"))
    bench_scaling(RESULT, page=page)
    assert page.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


def test_marked_parts_of_a_page_are_replaced_and_no_others(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- begin one -->\nold\n<!-- end one -->\nafter\n")
    write_page(page, {"one": r"new \1"})
    assert page.read_text() == "before\n<!-- begin one -->\nnew \\1\n<!-- end one -->\nafter\n"
    with pytest.raises(ConfigError, match="begin two"):
        write_page(page, {"two": ""})


def test_the_script_simulates_and_draws(tmp_path: Path):
    """The JSON holds every scenario, and what holds it up; the picture is one."""
    figure = tmp_path / "scaling.png"
    words = [sys.executable, scaling.__file__, str(RESULT), "--most", "16", "--figure", str(figure), "--json"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert set(printed) == {"validation", "scenarios", "gpu_steps_per_s", "most", "machine"}
    processor = printed["scenarios"][0]
    assert list(processor["steps_per_s"]) == ["1", "2", "4", "8", "16"]
    assert (processor["enough"], processor["saturated_by"]) == (1, "update")
    assert figure.read_bytes().startswith(b"\x89PNG")
