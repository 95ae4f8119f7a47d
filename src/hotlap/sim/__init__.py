"""The batched world on Warp: a fixed scene, a changing state, one control step of 1/15 s."""
