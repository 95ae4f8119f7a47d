"""What a run leaves behind: checkpoints, traces, metrics, video."""
