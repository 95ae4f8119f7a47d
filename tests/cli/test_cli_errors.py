"""How the command line prints what a user has to mend."""

from __future__ import annotations

import pytest

from hotlap.cli import main
from hotlap.errors import RewardError


def test_an_indented_line_of_an_error_stays_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Filled by itself, so that what happened is not lost among the inputs."""

    def fails(**_: object) -> None:
        raise RewardError(f"f.py, line 3: {'it fails ' * 20}\n    Inputs: {'speed=1.5, ' * 20}")

    monkeypatch.setattr(main, "app", fails)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    inputs = [line for line in lines if "speed" in line]
    assert lines[0].startswith("hotlap: f.py, line 3: it fails")
    assert inputs[0].startswith("    Inputs: speed=1.5")
    assert all(line.startswith("    ") for line in inputs)
    assert not any("fails" in line for line in inputs)
    assert max(map(len, lines)) <= 110
