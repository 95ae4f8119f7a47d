"""Load, call, check and profile a user's reward function."""

from hotlap.rewards.function import RewardFunction
from hotlap.rewards.loader import load_reward, load_rewards
from hotlap.rewards.params import RewardParams

__all__ = ["RewardFunction", "RewardParams", "load_reward", "load_rewards"]
