"""The name under which servers know a training."""

from __future__ import annotations

from pathlib import Path

from news import beginning

from hotlap.monitoring.run_id import KEY, run_id


def test_a_training_keeps_its_name_and_another_has_another(tmp_path: Path):
    """Over any number of resumes; begun anew in the same place it is another training. A damaged file is no error."""
    name = run_id(beginning(tmp_path))
    assert len(name) == 16
    assert run_id(beginning(tmp_path, num_iterations=3)) == name
    assert run_id(beginning(tmp_path, num_iterations=9)) == name
    assert run_id(beginning(tmp_path)) != name
    for damaged in ("", "[]", '{"run": 5}', '{"run": "../x"}'):
        (tmp_path / KEY).write_text(damaged)
        assert len(run_id(beginning(tmp_path, num_iterations=3))) == 16
