"""Several models: which differences are beyond chance, and several checkpoints in one simulator."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tiny_model import ROUND_AND_ROUND, write_model

from hotlap.config.model_folder import ModelFolder
from hotlap.evaluation.comparison import differences
from hotlap.evaluation.evaluator import Evaluator, drive
from hotlap.evaluation.rules import EvaluationRules
from hotlap.evaluation.statistics import EvaluationReport, LapResult
from hotlap.evaluation.table import comparison_table, differences_in_words
from hotlap.training.trainer import Trainer


def report(num_clean: int, num_laps: int, *, lap_s: float = 10.0, seed: int = 0) -> EvaluationReport:
    """So many clean laps about so long, the rest ended by a mistake."""
    random = np.random.default_rng(seed)
    done = [
        LapResult(k, round(1000 * (lap_s + random.normal())), 100.0, "lap_complete", clean=True)
        for k in range(num_clean)
    ]
    return EvaluationReport((*done, *(LapResult(k, 5000, 40.0, "off_track") for k in range(num_laps - num_clean))))


def test_a_sure_difference_is_found_with_its_direction():
    """99 of 100 against 70 of 100, whichever comes first; the table of Fisher's test by hand: p = 2e-9."""
    for order in ((0, 1), (1, 0)):
        reports = [[report(99, 100), report(70, 100, seed=1)][each] for each in order]
        (found,) = differences(reports)
        assert (found.measure, found.better, found.worse) == ("clean_rate", order[0], order[1])
        assert (found.better_value, found.worse_value) == (0.99, 0.70)
        assert 1e-10 < found.p_value < 1e-7


def test_faster_laps_are_found():
    """Both drive every lap clean; one needs a second less."""
    (found,) = differences([report(50, 50, lap_s=11), report(50, 50, lap_s=10, seed=1)])
    assert (found.measure, found.better, found.worse) == ("lap_time_s", 1, 0)
    assert found.better_value < found.worse_value
    (sentence,) = differences_in_words("ab", [report(50, 50, lap_s=11), report(50, 50, lap_s=10, seed=1)], [found])
    assert "chance alone would show this" in sentence
    rare = replace(found, p_value=0.00068)
    assert "once in 1,500 times, p = 0.00068)." in differences_in_words("ab", [report(1, 1)] * 2, [rare])[0]


def test_equal_models_seldom_differ():
    """At most one comparison in twenty of four equal models finds anything: Holm's promise for all pairs together."""
    random = np.random.default_rng(7)
    found = 0
    for trial in range(200):
        equal = [report(int(random.binomial(40, 0.8)), 40, seed=4 * trial + k) for k in range(4)]
        found += bool(differences(equal))
    assert found <= 18  # 10 expected at most; more than 18 of 200 has a chance of 1 in 150


@pytest.mark.parametrize("laps", [(), (LapResult(1, 3000, 20.0, "off_track"),)])
def test_few_laps_say_nothing(laps):
    """Without laps, without complete ones, and with three of three."""
    assert differences([EvaluationReport(laps), EvaluationReport(laps), report(3, 3)]) == []
    assert "No difference is beyond chance" in differences_in_words("ab", [report(1, 1)] * 2, [])[0]


def test_the_table_has_a_line_for_each_model():
    """Clean share with its interval, completion, median and best lap, total; DNF if a lap was not finished."""
    output = io.StringIO()
    laps = tuple(
        LapResult(k, time, 100.0, "lap_complete", clean=True) for k, time in enumerate((10_000, 11_000, 13_500))
    )
    missed = (*laps[:2], LapResult(3, 4_000, 50.0, "off_track"))
    names = ["models/[a]@3", "models/b@12"]
    Console(file=output, width=80).print(comparison_table(names, [EvaluationReport(laps), EvaluationReport(missed)]))
    lines = [" ".join(line.split()) for line in output.getvalue().splitlines()]
    assert "models/[a]@3 100% 44% to 100% 100% 00:11.000 00:10.000 00:34.500" in lines
    assert "models/b@12 67% 21% to 94% 67% 00:10.500 00:10.000 DNF" in lines


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """Two checkpoints that drive laps, some of them clean."""
    model = write_model(
        tmp_path_factory.mktemp("model"), actions=ROUND_AND_ROUND, training={"max_iterations": 1, "eval_laps": 1}
    )
    Trainer(model).run()
    return model


def test_a_shared_simulator_changes_nothing(model: ModelFolder, tmp_path: Path):
    """Checkpoints that drive one after the other in the same simulator drive as each would alone."""
    alone = [Evaluator(model, checkpoint=number, laps=4).run() for number in (0, 1, 0)]
    first = Evaluator(model, checkpoint=0, laps=4)
    second = Evaluator(model, checkpoint=1, laps=4)
    third = Evaluator(model, checkpoint=0, laps=4)
    counts: list[tuple[int, int]] = []
    drive([first, second, third], on_step=lambda done, steps: counts.append((done, steps)))
    assert [each.report for each in (first, second, third)] == alone
    assert counts == sorted(counts)
    assert counts[-1] == (12, sum(played.num_steps for each in (first, second, third) for played in each.episodes))
    assert [each.fleet for each in (first, second, third)] == [None] * 3
    fleet = first.open().fleet
    assert second.open(first).fleet is fleet
    other = Evaluator(model, job=model.job.updated(evaluation={"seed": 1}), checkpoint=0, laps=4)
    assert other.open(second).fleet is not fleet
    fleet = third.open().fleet
    assert Evaluator(model, checkpoint=0, laps=4, reward=True).open(third).fleet is not fleet


def test_rules_are_said(model: ModelFolder):
    """As they were driven: laps side by side know neither resets nor penalties."""
    job = model.job.updated(race={"direction": "cw"}, evaluation={"off_track_penalty": 2.5, "trials": 3})
    text = str(EvaluationRules.of(job))
    assert "cw, 3 laps in one go" in text
    assert "penalties 2.5 s off the track and 5 s for a collision, seed 0" in text
    laps = EvaluationRules.of(job, 50)
    assert str(laps) == "time trial, cw, 50 trials, each ended by the first mistake, seed 0"
    assert laps.to_json().items() >= {"trials": 50, "number_of_resets": 0, "off_track_penalty": 0.0}.items()
    assert (laps.num_episodes, EvaluationRules.of(job).num_episodes) == (50, 1)
