"""The same recipe by Stable-Baselines3's PPO on the same environment, for comparison.

It is given what helps it: all cars step in one batch, images come as its network reads them, and its own number of
torch threads is tried.
"""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hotlap.bench.recipe import STOCK, STOCK_REWARD, stock_metadata_json
from hotlap.envs.time_trial import TimeTrialVectorEnv
from hotlap.errors import MissingExtraError
from hotlap.resources import num_processors

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

FEATURES = 512


def require_sb3() -> None:
    """Raises MissingExtraError if Stable-Baselines3 is not installed."""
    if find_spec("stable_baselines3") is None:
        raise MissingExtraError("stable-baselines3", "sb3", "The comparison with Stable-Baselines3")


def sb3_environment(env: TimeTrialVectorEnv) -> VecEnv:
    """``env`` as Stable-Baselines3 wants it: channels first, and reset in the step that ends an episode."""
    require_sb3()
    from gymnasium import spaces
    from stable_baselines3.common.vec_env import VecEnv

    class BatchedTimeTrial(VecEnv):
        def __init__(self) -> None:
            single = env.single_observation_space
            assert isinstance(single, spaces.Box)
            height, width, channels = single.shape
            observations = spaces.Box(0, 255, (channels, height, width), np.uint8)
            self.render_mode = None
            super().__init__(env.num_envs, observations, env.single_action_space)

        def reset(self) -> np.ndarray:
            seeds = [seed for seed in self._seeds if seed is not None]
            obs, _ = env.reset(seed=seeds if len(seeds) == env.num_envs else None)
            self._reset_seeds()
            return _channels_first(obs)

        def step_async(self, actions: np.ndarray) -> None:
            self.actions = actions

        def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
            obs, rewards, terminated, truncated, _ = env.step(self.actions)
            over = terminated | truncated
            infos: list[dict[str, Any]] = [{} for _ in range(env.num_envs)]
            if over.any():
                last = _channels_first(obs)
                for world in np.flatnonzero(over):
                    infos[world] = {
                        "terminal_observation": last[world],
                        "TimeLimit.truncated": bool(truncated[world] and not terminated[world]),
                    }
                obs, _ = env.reset(options={"reset_mask": over})
            return _channels_first(obs), rewards.astype(np.float32), over, infos

        def close(self) -> None:
            env.close()

        def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
            return [getattr(env, attr_name)] * env.num_envs

        def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
            setattr(env, attr_name, value)

        def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
            return [getattr(env, method_name)(*args, **kwargs)]

        def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
            return [False] * env.num_envs

    return BatchedTimeTrial()


def _channels_first(obs: np.ndarray) -> np.ndarray:
    """A view; one channel may as well come first."""
    num_envs, height, width, channels = obs.shape
    assert channels == 1
    return obs.reshape(num_envs, channels, height, width)


def measure_sb3(
    *,
    track: str,
    num_steps: int,
) -> dict[str, Any]:
    """Train the stock recipe with Stable-Baselines3's PPO, and time collecting and training.

    Its network is the shallow one (its ``NatureCNN`` with 512 features), its towers are separate. It has no Huber
    loss; the mean squared error costs the same.

    Args:
        track: Name or route file.
        num_steps: Steps of an iteration, rounded to whole minibatches.

    Returns:
        JSON-ready, of the fastest number of threads: ``env_steps_per_s``, ``threads``, ``num_steps``, ``collect_s``,
        ``update_s``; ``tried`` with the steps/s by number of threads; ``version``.
    """
    require_sb3()
    import stable_baselines3

    before = torch.get_num_threads()
    runs = {}
    try:
        for count in sorted({1, num_processors()}):
            torch.set_num_threads(count)
            runs[count] = _train(track, num_steps)
    finally:
        torch.set_num_threads(before)
    best = max(runs, key=lambda count: runs[count]["env_steps_per_s"])
    return {
        **runs[best],
        "threads": best,
        "tried": {str(count): run["env_steps_per_s"] for count, run in runs.items()},
        "version": stable_baselines3.__version__,
    }


def _train(track: str, num_steps: int) -> dict[str, Any]:
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback

    num_envs, batch_size = STOCK.num_episodes_between_training, STOCK.batch_size
    whole = int(np.lcm(num_envs, batch_size))
    steps_per_env = max(1, round(num_steps / whole)) * whole // num_envs

    class Stopwatch(BaseCallback):
        """Notes when each collection begins and ends."""

        def __init__(self) -> None:
            super().__init__()
            self.begins: list[float] = []
            self.ends: list[float] = []

        def _on_rollout_start(self) -> None:
            self.begins.append(time.perf_counter())

        def _on_rollout_end(self) -> None:
            self.ends.append(time.perf_counter())
            # The first iteration only warms up.
            assert isinstance(self.model, PPO)
            self.model.n_epochs = STOCK.num_epochs if len(self.ends) > 1 else 1

        def _on_training_end(self) -> None:
            self.begins.append(time.perf_counter())

        def _on_step(self) -> bool:
            return True

    env = TimeTrialVectorEnv(
        num_envs,
        track=track,
        reward=STOCK_REWARD,
        metadata=json.loads(stock_metadata_json()),
    )
    model = PPO(
        "CnnPolicy",
        sb3_environment(env),
        learning_rate=STOCK.lr,
        n_steps=steps_per_env,
        batch_size=batch_size,
        n_epochs=STOCK.num_epochs,
        gamma=STOCK.discount_factor,
        gae_lambda=0.95,
        clip_range=0.2,
        ent_coef=STOCK.beta_entropy,
        vf_coef=1.0,
        policy_kwargs={
            "share_features_extractor": False,
            "features_extractor_kwargs": {"features_dim": FEATURES},
            "net_arch": [],
        },
        seed=0,
        device="cpu",
    )
    watch = Stopwatch()
    total = steps_per_env * num_envs * 2
    model.learn(total, callback=watch)
    begins, ends = np.array(watch.begins), np.array(watch.ends)
    collect_s = float((ends[1:] - begins[1:-1]).sum())
    update_s = float((begins[2:] - ends[1:]).sum())
    counted = steps_per_env * num_envs
    return {
        "env_steps_per_s": counted / (collect_s + update_s),
        "num_steps": counted,
        "collect_s": collect_s,
        "update_s": update_s,
    }
