"""Load, call, check and profile a user's reward function."""

from hotlap.rewards.function import RewardFunction, batched
from hotlap.rewards.loader import load_reward, load_rewards
from hotlap.rewards.params import RewardParams

__all__ = ["RewardFunction", "RewardParams", "batched", "load_reward", "load_rewards"]
