"""Columns that grow step by step, read episode by episode."""

from __future__ import annotations

import numpy as np

from hotlap.rollouts.transcript import Transcript


def test_an_episode_is_read_as_it_was_written_whatever_else_was_played():
    """Worlds begin and end at different steps; there are more steps than there is room for at first."""
    rng = np.random.default_rng(0)
    transcript = Transcript(3)
    expected: dict[int, list] = {0: [], 1: [], 2: []}
    lengths = {0: 7, 1: 400, 2: 0}  # of the present episodes; world 2 plays nothing at first
    transcript.begin(np.array([0, 1]))
    num_read = 0
    for step in range(1500):
        if step == 300:
            lengths[2] = 500
            transcript.begin(np.array([2]))
        worlds = np.array([world for world in range(3) if lengths[world]])
        numbers, pictures = rng.random((len(worlds), 2)), rng.integers(256, size=(len(worlds), 4, 4), dtype=np.uint8)
        transcript.write(worlds, {"number": numbers, "step": np.full(len(worlds), step)}, {"camera": pictures})
        for row, world in enumerate(worlds.tolist()):
            expected[world].append((numbers[row], step, pictures[row]))
        over = [world for world in worlds.tolist() if len(expected[world]) == lengths[world]]
        for world in over:
            columns = transcript.read(world)
            assert transcript.num_steps(np.array([world])) == [len(expected[world])]
            np.testing.assert_array_equal(columns["number"], [each[0] for each in expected[world]])
            np.testing.assert_array_equal(columns["step"], [each[1] for each in expected[world]])
            chosen = np.arange(1, len(expected[world]), 2)
            seen = transcript.observations(world, chosen)["camera"]
            np.testing.assert_array_equal(seen, [expected[world][k][2] for k in chosen])
            num_read += 1
            expected[world] = []
            lengths[world] = int(rng.integers(2, 300))
        if over:
            transcript.begin(np.array(over))
    assert num_read > 20


def test_what_no_episode_needs_is_forgotten():
    """Pictures of a thousand steps would not fit into memory."""
    transcript = Transcript(2)
    for step in range(1000):
        if step % 10 == 0:
            transcript.begin(np.array([0, 1]))
        transcript.write(np.array([0, 1]), {"x": np.zeros(2)}, {"camera": np.zeros((2, 1))})
        assert len(transcript._seen) <= 10
    assert len(transcript._columns["x"]) <= 512
