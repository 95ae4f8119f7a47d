"""What a training job prints can be filtered by a log service."""

from __future__ import annotations

import re
from pathlib import Path

from hotlap.deploy.printed_lines import LogLines
from hotlap.records.events import EvaluationSummary, IterationRecord
from hotlap.records.log_lines import episode_line, epoch_line

# Of the original's notebook.
DEFINITIONS = (
    r"^Training>.*Total reward=(.*?),",
    r"^Policy training>.*Surrogate loss=(.*?),",
    r"^Policy training>.*Entropy=(.*?),",
    r"^Testing>.*Total reward=(.*?),",
)

DOCS = Path(__file__).resolve().parents[2] / "docs" / "deploy.md"


def test_the_metric_definitions_of_the_manual_find_their_numbers(capfd):
    """Each pattern takes its own number from the line of an iteration, and no other's."""
    record = IterationRecord(
        iteration=3,
        checkpoint="4_Step-900.ckpt",
        total_episodes=80,
        total_steps=900,
        elapsed_s=60.0,
        num_episodes=20,
        num_steps=200,
        reward_mean=-41.25,
        completion_mean=38.5,
        laps_completed=1,
        losses={"policy_loss": -0.01, "entropy": 1.5, "approx_kl": 0.002},
        evaluation=EvaluationSummary(num_laps=4, completion_mean=60.0, clean_rate=0.25, reward_mean=50.0),
    )
    LogLines().on_iteration(record)
    line = capfd.readouterr().out
    pattern = re.search(r'"Regex": f"(.+)"\}', DOCS.read_text())
    names = re.search(r"for name in \((.+)\)", DOCS.read_text())
    assert pattern
    assert names
    found = {}
    for name in re.findall(r'"(\w+)"', names[1]):
        match = re.search(pattern[1].replace("{name}", name), line)
        assert match, name
        found[name] = float(match[1])
    assert found == {
        "reward": -41.25,
        "completion": 38.5,
        "clean": 0.25,
        "eval_completion": 60.0,
        "policy_loss": -0.01,
        "entropy": 1.5,
        "approx_kl": 0.002,
    }


def test_the_metric_definitions_of_the_original_find_their_numbers(capfd):
    """Its lines are printed as they are, among ours, and each definition takes one number."""
    lines = LogLines()
    lines.on_message("Training> is what the next line is about")
    lines.on_log(
        [
            episode_line("Training", episode=19, reward=-102.88, total_steps=19019, iteration=1),
            epoch_line(0, policy_loss=-0.5, kl=7e-06, entropy=2.5, lr=0.00025),
            episode_line("Testing", episode=19, reward=1359.12, total_steps=20015, iteration=2),
        ]
    )
    printed = capfd.readouterr().out.splitlines()
    found = [[match[1] for line in printed if (match := re.search(each, line))] for each in DEFINITIONS]
    assert found == [["-102.88"], ["-0.5"], ["2.5"], ["1359.12"]]
