"""The batched world on Warp: a fixed scene, a changing state, one control step of 1/15 s."""

import warp as wp

wp.config.quiet = True  # no banner, no compiler chatter
wp.config.enable_backward = False  # nothing differentiates through the world, and kernels compile in half the time
