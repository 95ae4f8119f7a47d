"""The batched world on Warp: a fixed scene, a changing state, one control step of 1/15 s."""

import warp as wp

# No banner, and no warning that there is no CUDA driver: most machines have none, and `hotlap doctor` says so.
wp.config.log_level = wp.LOG_ERROR
wp.config.enable_backward = False  # nothing differentiates through the world, and kernels compile in half the time
