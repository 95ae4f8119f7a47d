"""The batched world on Warp: a fixed scene, a changing state, one control step of 1/15 s."""

import os

import warp as wp

wp.config.log_level = wp.LOG_ERROR  # no banner, no note for each kernel that is loaded
wp.config.enable_backward = False  # nothing differentiates through the world, and kernels compile in half the time


def _start_warp() -> None:
    """Initialize Warp without its warning that there is no CUDA driver.

    Most machines have none, and ``hotlap doctor`` says so. The warning is printed by native code that no setting
    reaches, so the standard error stream itself is turned away for that moment; real failures are exceptions.
    """
    try:
        kept = os.dup(2)
    except OSError:  # no such stream, as under pythonw
        wp.init()
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        wp.init()
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


_start_warp()
