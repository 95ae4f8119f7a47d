# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Read a run
#
# What a training leaves behind, in tables and figures: first with the community's own library
# [deepracer-utils](https://github.com/aws-deepracer-community/deepracer-utils), then with the figures of
# `hotlap analyze`. The cells are the same for a model that hotlap trained and for a log folder of DeepRacer or
# DeepRacer-for-Cloud.
#
# Needs `pip install hotlap deepracer-utils jupytext notebook`. Open it with Jupyter as a notebook, or make one of it
# with `jupytext --to ipynb read_a_run.py`.

# %%
import os

import matplotlib.pyplot as plt
from deepracer.logs import ActionBreakdownUtils, AnalysisUtils, DeepRacerLog, PlottingUtils, TrainingMetrics
from deepracer.tracks import Track

from hotlap.analysis import figures, findings, read_run

FOLDER = os.environ.get("RUN_FOLDER", "../models/mine")  # of a model or of its logs
TRACK = os.environ.get("RUN_TRACK")  # name or route file, if the track is not recognized

# %% [markdown]
# ## With deepracer-utils

# %%
log = DeepRacerLog(FOLDER)
log.load()
steps = log.dataframe()
print(log.fh.type.name, log.agent_and_network())
steps.head()

# %%
episodes = AnalysisUtils.simulation_agg(steps.copy(), secondgroup="unique_episode")
episodes.nlargest(5, "progress")

# %%
AnalysisUtils.analyze_training_progress(episodes, title="Training")
AnalysisUtils.scatter_aggregates(episodes, title="Episodes")

# %%
metrics = TrainingMetrics("", fname=f"{FOLDER}/metrics/TrainingMetrics.json")
metrics.plotProgress(method=["mean", "max"])
plt.show()

# %% [markdown]
# The library draws on a route file. hotlap recognizes the track by the logged positions, so none has to be named.

# %%
run = read_run(FOLDER, tracks=[TRACK] if TRACK else [])
driven = run.tracks[0]
assert driven is not None, run.notes
track = Track(driven.name, driven.to_rows())
best = episodes.nlargest(2, "progress")["unique_episode"].tolist()
PlottingUtils.plot_laps(best, steps, track, section_to_plot="unique_episode", style="modern")

# %%
ActionBreakdownUtils.action_breakdown(steps, track, iteration_ids=[0])

# %%
log.stability.print_summary()

# %%
evaluation = DeepRacerLog(FOLDER)
evaluation.load_evaluation_trace()
laps = evaluation.dataframe()
PlottingUtils.plot_evaluations(laps, track)
AnalysisUtils.simulation_agg(laps.copy(), firstgroup="stream", is_eval=True)

# %% [markdown]
# ## With hotlap
#
# Each figure of the report is a function that gives a Matplotlib figure.

# %%
for sentence in findings(run):
    print(sentence)
for note in run.notes:
    print("note:", note)

# %%
figures.completion_curve({run.name: run.iterations})

# %%
figures.exit_map(run.episodes, run.steps, driven)

# %%
figures.waypoint_figure(run.steps, run.episodes)

# %%
figures.best_laps_figure(run.steps, run.episodes, driven)

# %%
figures.actions_around_track(run.steps, run.actions)

# %%
figures.endings_figure(run.episodes)
