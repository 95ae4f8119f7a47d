"""Networks, policy, PPO and the episode batch. Knows tensors and specs, not cars."""
