"""All figures under one name, for notebooks: each is a function of data that gives a Matplotlib figure.

from hotlap.analysis import figures, read_run

run = read_run("models/mine")
figures.exit_map(run.episodes, run.steps, run.tracks[0])
"""

from hotlap.analysis.figures.action_figures import action_shares, actions_around_track, actions_over_time
from hotlap.analysis.figures.ending_figures import distance_figure, endings_figure
from hotlap.analysis.figures.evaluation_figure import evaluation_figure
from hotlap.analysis.figures.learning_curve import learning_curve
from hotlap.analysis.figures.line_figures import best_laps_figure, drives_of, last_laps_figure
from hotlap.analysis.figures.map_figures import exit_map, reward_map, speed_map, waypoint_figure
from hotlap.analysis.figures.progress_figures import clean_rate_curve, completion_curve, lap_time_curve, reward_curve
from hotlap.analysis.figures.time_figures import stability_figure, stages_figure
from hotlap.analysis.figures.update_figures import divergence_curve, entropy_curve, loss_curve
from hotlap.analysis.figures.worker_figures import workers_figure

__all__ = [
    "action_shares",
    "actions_around_track",
    "actions_over_time",
    "best_laps_figure",
    "clean_rate_curve",
    "completion_curve",
    "distance_figure",
    "divergence_curve",
    "drives_of",
    "endings_figure",
    "entropy_curve",
    "evaluation_figure",
    "exit_map",
    "lap_time_curve",
    "last_laps_figure",
    "learning_curve",
    "loss_curve",
    "reward_curve",
    "reward_map",
    "speed_map",
    "stability_figure",
    "stages_figure",
    "waypoint_figure",
    "workers_figure",
]
