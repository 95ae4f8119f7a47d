"""The environment of one car: Gymnasium's contract, and what a reward function's author sees."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from hotlap.envs.registration import register
from hotlap.envs.time_trial import TimeTrialEnv, TimeTrialVectorEnv
from hotlap.errors import ConfigError, RewardError, TrackError

STEERING = {"low": -30.0, "high": 30.0}
CONTINUOUS = {
    "action_space": {"steering_angle": STEERING, "speed": {"low": 0.5, "high": 2.0}},
    "action_space_type": "continuous",
    "sensor": ["FRONT_FACING_CAMERA"],
    "version": "5",
}


@pytest.fixture(scope="module")
def env() -> TimeTrialEnv:
    return TimeTrialEnv()


def drive(env: gymnasium.Env, seed: int, num_steps: int) -> tuple[list[bytes], list[float], list[dict]]:
    """Images, rewards and infos of a drive with random actions, over the ends of episodes."""
    obs, info = env.reset(seed=seed)
    actions = np.random.default_rng(seed).integers(5, size=num_steps)
    images, rewards, infos = [obs.tobytes()], [], [info]
    for action in actions:
        obs, reward, terminated, truncated, info = env.step(action)
        images.append(obs.tobytes())
        rewards.append(reward)
        infos.append(info)
        if terminated or truncated:
            obs, info = env.reset()
            images.append(obs.tobytes())
            infos.append(info)
    return images, rewards, infos


@pytest.mark.parametrize(
    ("metadata", "observation"),
    [(None, "camera"), (CONTINUOUS, "camera"), (None, "state"), (CONTINUOUS, "both")],
)
def test_gymnasium_checker_finds_nothing_wrong(metadata, observation):
    """Gymnasium's own checker passes, rendering included, and warns of nothing but of unbounded numbers."""
    register()
    made = gymnasium.make("hotlap/TimeTrial-v0", render_mode="rgb_array", metadata=metadata, observation=observation)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "(?s).*observation space (min|max)imum value is (-)?infinity")
        check_env(made.unwrapped)
    made.reset(seed=0)
    picture = made.render()
    assert picture.shape == (480, 640, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50  # a picture, not a plane


def test_a_vector_environment_shows_what_each_car_sees():
    """As many pictures as cars, each that of a single environment in the same place; none unless asked for."""
    envs = TimeTrialVectorEnv(2, render_mode="rgb_array", start="line", spread=0.0)
    envs.reset(seed=0)
    one, other = envs.render()
    env = TimeTrialEnv(render_mode="rgb_array", start="line", spread=0.0)
    env.reset(seed=0)
    np.testing.assert_array_equal(one, env.render())
    np.testing.assert_array_equal(one, other)
    assert TimeTrialVectorEnv(2).render() is None


@pytest.mark.parametrize(
    "imports",
    ["import gymnasium, hotlap", "import hotlap, gymnasium", "from gymnasium import spaces, make; import hotlap"],
)
def test_importing_hotlap_makes_the_environment_known(imports):
    """`gymnasium.make` knows the name in a fresh process once hotlap is imported, in whichever order."""
    script = f"{imports}; import gymnasium; print(gymnasium.spec('hotlap/TimeTrial-v0').id)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "hotlap/TimeTrial-v0", done.stderr


def test_gymnasium_imports_hotlap_by_a_prefix():
    """`hotlap:` before the name imports the package, as everywhere in Gymnasium."""
    script = (
        "import gymnasium; env = gymnasium.make('hotlap:hotlap/TimeTrial-v0', max_steps=3); env.reset(seed=0); "
        "print(env.step(2)[0].shape)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("(120, 160, 1)"), done.stderr


def test_same_seed_same_drive(env):
    """A seed fixes starts, cars and images over several episodes, to the byte; another seed gives others."""
    first = drive(env, 7, 60)
    assert drive(env, 7, 60) == first
    assert drive(TimeTrialEnv(), 7, 60) == first
    other = drive(env, 8, 60)
    assert other[0][0] != first[0][0]
    assert other[2][0]["ndist"] != first[2][0]["ndist"]


def test_cars_differ_between_episodes_unless_told_otherwise():
    """From the same place with the same actions, `spread` alone makes episodes differ."""

    def path(spread: float, seed: int) -> list[tuple[float, float]]:
        env = TimeTrialEnv(spread=spread, start="line")
        env.reset(seed=seed)
        infos = [env.step(2)[4] for _ in range(12)]
        return [(info["x"], info["y"]) for info in infos]

    assert path(0.0, 1) == path(0.0, 2)
    assert path(1.0, 1) != path(1.0, 2)


def test_start_can_be_chosen(env):
    """`ndist` places the car on the center line at that fraction of the lap, heading along it."""
    track = env.race.scene.tracks[0]
    env.reset(seed=0, options={"ndist": 0.25})
    info = env.step(2)[4]
    x, y, yaw = track.pose_at(0.25 * track.length)
    # The car's reported point lies ahead of its origin, which is what is put on the line.
    ahead = np.array([info["x"] - float(x), info["y"] - float(y)])
    assert np.hypot(*ahead) == pytest.approx(0.14, abs=1e-3)
    assert np.arctan2(ahead[1], ahead[0]) == pytest.approx(float(yaw), abs=1e-3)
    assert info["heading"] == pytest.approx(np.degrees(float(yaw)), abs=0.01)


def test_episode_is_truncated_after_max_steps():
    """`max_steps` actions, then time is up; no rule of the race ended it."""
    env = TimeTrialEnv(max_steps=4)
    env.reset(seed=0)
    ends = [env.step(2)[2:] for _ in range(4)]
    assert [(terminated, truncated) for terminated, truncated, _ in ends] == [(False, False)] * 3 + [(False, True)]
    assert ends[-1][2]["status"] == "time_up"


def test_leaving_the_track_terminates_and_asks_for_a_reset(env):
    """Full lock at full speed ends off track; another step without a reset is refused."""
    env.reset(seed=3)
    for _ in range(300):
        _, _, terminated, truncated, info = env.step(0)
        if terminated:
            break
    assert terminated
    assert not truncated
    assert info["status"] == "off_track"
    assert not info["all_wheels_on_track"]
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


def test_continuous_actions_drive_as_the_discrete_ones_they_name():
    """Actions in [-1, 1] that map onto the listed commands give the same drive, and beyond the range nothing more."""
    discrete, continuous = TimeTrialEnv(spread=0.0), TimeTrialEnv(spread=0.0, metadata=CONTINUOUS)
    assert continuous.action_space == gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    for env in (discrete, continuous):
        env.reset(seed=5)
    # 1 m/s is a third of the way from 0.5 to 2 m/s; 30 degrees are the limit.
    speed = 2.0 / 3.0 - 1.0
    for index, steering in [(2, 0.0), (3, 0.5), (4, 1.0), (4, 4.0), (0, -1.0), (2, 0.0)]:
        one = discrete.step(index)
        other = continuous.step(np.array([steering, speed], dtype=np.float32))
        # The scaled action is a float32: commands agree to seven digits, and pictures nearly everywhere.
        assert one[4]["x"] == pytest.approx(other[4]["x"], abs=1e-5)
        assert np.mean(one[0] != other[0]) < 0.01


def test_actions_that_do_not_exist_are_refused(env):
    env.reset(seed=0)
    for action in (-1, 5):
        with pytest.raises(IndexError, match=f"from 0 to 4, got {action}"):
            env.step(action)


def test_reward_is_asked_about_the_state_before_the_action():
    """The reward function sees the pose in which the action was chosen, and that action's command."""
    seen = []

    def reward(params):
        seen.append((params["x"], params["steering_angle"], params["speed"], params["steps"]))
        return float(len(seen))

    env = TimeTrialEnv(reward=reward, spread=0.0)
    env.reset(seed=0)
    steps = [env.step(action) for action in (4, 0, 2)]
    assert [step[1] for step in steps] == [1.0, 2.0, 3.0]
    assert [each[1:] for each in seen] == [(30.0, 1.0, 2.0), (-30.0, 1.0, 3.0), (0.0, 1.0, 4.0)]
    assert seen[0][0] != seen[2][0]
    assert [each[0] for each in seen] == [step[4]["x"] for step in steps]


def test_failing_reward_names_file_line_episode_and_step(tmp_path: Path):
    """An error of the user's code is theirs to find: file, line, which episode, which step."""
    file = tmp_path / "my_reward.py"
    file.write_text(
        "episodes = 0\n"
        "def reward_function(params):\n"
        "    global episodes\n"
        "    episodes += params['steps'] == 2\n"
        "    if episodes == 2 and params['steps'] == 4:\n"
        "        return 1.0 / 0.0\n"
        "    return 1.0\n"
    )
    env = TimeTrialEnv(reward=file)
    env.reset(seed=0)
    for _ in range(5):
        env.step(2)
    env.reset()
    env.step(2)
    env.step(2)
    with pytest.raises(RewardError) as caught:
        env.step(2)
    message = str(caught.value)
    assert message.startswith(f"{file}, line 6, episode 1, step 4: ZeroDivisionError")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"start": "anywhere"}, ValueError, '"random"'),
        ({"max_steps": 0}, ValueError, "at least 1"),
        ({"track": "no_such_track"}, TrackError, "no_such_track"),
        ({"reward": "no_such_reward"}, RewardError, "no_such_reward"),
        ({"metadata": CONTINUOUS | {"action_space": []}}, ConfigError, "action_space"),
        ({"metadata": CONTINUOUS | {"sensor": ["LIDAR"]}}, ConfigError, "LIDAR"),
    ],
)
def test_bad_arguments_are_named(options, error, words):
    with pytest.raises(error, match=words):
        TimeTrialEnv(**options)


def test_what_is_told_is_the_same_with_and_without_the_camera():
    """A drive by the state alone renders nothing and goes like any other."""
    told, alone = (TimeTrialVectorEnv(3, observation=observation) for observation in ("both", "state"))
    assert alone.race.simulator.images is None
    both, _ = told.reset(seed=4)
    state, _ = alone.reset(seed=4)
    rng = np.random.default_rng(0)
    for _ in range(40):
        assert both["camera"].shape == (3, 120, 160, 1)
        np.testing.assert_array_equal(both["state"], state)
        assert told.single_observation_space.contains({name: values[0] for name, values in both.items()})
        assert alone.single_observation_space.contains(state[0])
        actions = rng.integers(5, size=3)
        both, *of_both = told.step(actions)
        state, *of_state = alone.step(actions)
        for one, other in zip(of_both[:3], of_state[:3], strict=True):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="observation must be"):
        TimeTrialEnv(observation="radar")
