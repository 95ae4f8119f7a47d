"""A reward function that goes wrong in the middle of a training costs that iteration, and nothing before it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from hotlap_process import WAIT_S, Hotlap, end
from tiny_model import CENTER_LINE, write_model
from trained_folder import curve, episodes, log, played, weights

from hotlap.config.model_folder import ModelFolder
from hotlap.errors import RewardError
from hotlap.records.checkpoints import CheckpointStore
from hotlap.rewards import guard
from hotlap.training.trainer import Trainer

NUM_ITERATIONS = 2
SWALLOWING = """
while True:
    try:
        time.sleep(0.01)
    except:
        pass
"""
FILLING = """
kept = []
while True:
    kept.append(b"x" * (1 << 20))
    time.sleep(0.0005)
"""
DEEDS = {
    "loop": ("while True:\n    pass", "has not returned after 1 s"),
    "exit": ("os._exit(1)", r"os\._exit\(\) ends the process"),
    "memory": ("bytearray(1 << 60)", "MemoryError"),
    "growth": (FILLING, "has filled the memory"),
    "interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
}


def going_wrong(deed: str) -> str:
    """A function that does so in every iteration but the first, which is recorded then."""
    return (
        "import os, pathlib, time\n"
        "PROGRESS = pathlib.Path(__file__).parent / 'metrics' / 'progress.jsonl'\n"
        "def reward_function(params):\n"
        "    if params['steps'] > 4 and PROGRESS.stat().st_size:\n"
        f"{textwrap.indent(deed.strip(), ' ' * 8)}\n"
        "    return 1.0 - params['distance_from_center'] / params['track_width']\n"
    )


def model_in(folder: Path, reward: str, limit_s: float = 1.0) -> ModelFolder:
    return write_model(folder, reward=reward, training={"max_iterations": NUM_ITERATIONS, "worker_timeout_s": limit_s})


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training with the mended function."""
    model = model_in(tmp_path_factory.mktemp("undisturbed"), CENTER_LINE)
    assert Trainer(model).run().iterations == NUM_ITERATIONS
    return model.path


def assert_goes_on_when_mended(model: ModelFolder, undisturbed: Path) -> None:
    """Its first iteration is there; mended and resumed, it equals the other training."""
    assert curve(model.path) == curve(undisturbed)[:1]
    assert [name.number for name in CheckpointStore(model.path).list()] == [0, 1]
    model = model_in(model.path, CENTER_LINE)
    assert Trainer(model, resume=True).run().iterations == NUM_ITERATIONS
    assert weights(model.path) == weights(undisturbed)
    assert curve(model.path) == curve(undisturbed)
    assert episodes(model.path) == episodes(undisturbed)
    assert played(model.path, 1) == played(undisturbed, 1)
    assert log(model.path) == log(undisturbed)


@pytest.mark.parametrize("deed", DEEDS)
def test_a_training_goes_on_when_the_function_is_mended(
    undisturbed: Path, tmp_path: Path, deed: str, monkeypatch: pytest.MonkeyPatch
):
    """With the same bytes as if it had never gone wrong."""
    if deed == "growth":
        if not guard._own_memory():
            pytest.skip("growth of memory is seen on Linux only")
        most = guard._own_memory() + (1 << 29)  # less than this machine has
        monkeypatch.setattr(guard, "memory_left", lambda: (max(most - guard._own_memory(), 0), most))
    body, said = DEEDS[deed]
    model = model_in(tmp_path, going_wrong(body), 30 if deed == "growth" else 1)
    with pytest.raises(RewardError, match=rf"reward_function.py, line \d+, episode \d+, step 5: .*{said}"):
        Trainer(model).run()
    assert_goes_on_when_mended(model, undisturbed)


def test_a_loop_that_swallows_every_exception_ends_the_command(undisturbed: Path, tmp_path: Path):
    """With code 2 and the sentence, because nothing else ends it; `--resume` goes on all the same."""
    model = model_in(tmp_path / "model", going_wrong(SWALLOWING))
    with Hotlap(tmp_path).fork("train", model.path) as process:
        said = end(process)
    assert process.returncode == 2, said
    assert "reward_function.py, line " in said
    assert "step 5: the reward function has not returned after 1 s" in said
    assert "It does not let itself be stopped: the process ends." in said
    assert "Traceback" not in said
    assert_goes_on_when_mended(model, undisturbed)


def test_a_flood_of_lines_reaches_neither_terminal_nor_logs(tmp_path: Path):
    """A hundred pass in a whole training, over all the worlds that have a copy of the function."""
    body = "for _ in range(100):\n    sys.stdout.write('flood\\n')\n    print('flood', file=sys.stderr)"
    reward = going_wrong(body).replace("and PROGRESS.stat().st_size", "").replace("import os", "import os, sys")
    model = model_in(tmp_path / "model", reward, limit_s=30)
    with Hotlap(tmp_path).fork("train", model.path) as process:
        said = process.communicate(WAIT_S)[0]
    assert process.returncode == 0, said
    assert said.splitlines().count("flood") == 100
    assert said.count("has written 100 lines") == 1
    for path in (model.path / "logs").rglob("*.log"):
        assert "flood" not in path.read_text()
