"""Is it still exploring and learning? Entropy, divergence and losses of the updates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hotlap.analysis.figures.course_axes import (
    Models,
    colors_of,
    draw_courses,
    mark_best,
    steps_axis,
    steps_of,
    values_of,
)
from hotlap.analysis.figures.question import Card, Question, joined
from hotlap.analysis.figures.style import GRAY, UPDATE, WHITE_BOX, new_card, new_cards, say_instead
from hotlap.analysis.read.run_data import Run

_DECIDED = 1.3  # actions that it chooses among, so to speak, when it hardly explores
_AS_SURE = 0.05  # [nat] less than this between beginning and end is no change


def entropy_curve(models: Models, *, num_actions: int | None = None) -> Figure:
    """Entropy of the policy over environment steps.

    Args:
        models: Records by the name of the model.
        num_actions: Of discrete actions; a line shows what choosing evenly among them would give.
    """
    figure, axes = new_card("How unsure it is of its choices: entropy [nat]")
    if num_actions and num_actions > 1:
        even = float(np.log(num_actions))
        axes.axhline(even, color=GRAY, linewidth=0.9, linestyle=(0, (2, 3)))
        axes.annotate(
            f"all {num_actions} actions equally likely",
            (0.99, even),
            xycoords=("axes fraction", "data"),
            xytext=(0, -4),
            va="top",
            ha="right",
            textcoords="offset points",
            color=GRAY,
            fontsize=8.5,
            bbox=WHITE_BOX,
        )
    _draw(axes, models, "entropy")
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(0.0, bottom), top + 0.04 * (top - bottom))
    return _finished(figure, [axes], models)


def divergence_curve(models: Models) -> Figure:
    """How far each update moved the policy: KL divergence and share of clipped steps, over environment steps."""
    titles = ["How far an update moved it: KL divergence [nat]", "Steps at which clipping held it back"]
    figure, axes = new_cards(titles, 4.6)
    _draw(axes[0], models, "approx_kl")
    _draw(axes[1], models, "clip_fraction", percent=True)
    return _finished(figure, axes, models)


def loss_curve(models: Models) -> Figure:
    """Losses of policy and value, and how much of the returns the value explains, over environment steps."""
    titles = ["Loss of the policy", "Loss of the value", "How much of the returns the value explains"]
    figure, axes = new_cards(titles, 6.0)
    _draw(axes[0], models, "policy_loss")
    _draw(axes[1], models, "value_loss")
    _draw(axes[2], models, "explained_variance", percent=True)
    # The first updates explain nothing, sometimes by far: they must not flatten the rest.
    axes[2].set_ylim(bottom=max(axes[2].get_ylim()[0], -55))
    return _finished(figure, axes, models)


def _draw(axes: Axes, models: Models, loss: str, *, percent: bool = False) -> None:
    courses = []
    for color, (name, records) in zip(colors_of(models, UPDATE), models.items(), strict=True):
        values = values_of(records, lambda record: record.losses.get(loss))
        courses.append((steps_of(records), 100 * values if percent else values, color, name if len(models) > 1 else ""))
    if not draw_courses(axes, courses):
        say_instead(axes, "not recorded")
    if percent:
        axes.yaxis.set_major_formatter("{x:.0f} %")


def _finished(figure: Figure, axes: list[Axes], models: Models) -> Figure:
    for each in axes:
        mark_best(each, models, words=False)
    steps_axis(axes[-1], models)
    return figure


def _cards(runs: Sequence[Run]) -> Iterator[Card]:
    known = [run for run in runs if any(record.losses for record in run.iterations)]
    if not known:
        return
    models = {run.name: run.iterations for run in known}
    counts, kinds = {len(run.actions or ()) for run in known}, {_is_discrete(run) for run in known}
    num_actions = counts.pop() if len(counts) == 1 else None
    discrete = kinds.pop() if len(kinds) == 1 else None
    entropy = joined(
        "How unsure the model is which action to take.",
        bool(num_actions and num_actions > 1)
        and "At the dotted line all actions are equally likely, which is where a new model begins.",
        "It falls as the model makes up its mind and tries out less.",
        discrete is True and "Near zero it no longer tries anything out.",
        discrete is False
        and "Where steering and speed are chosen freely the number itself says little and may be negative.",
        "If it falls early while laps are still bad, raise beta_entropy.",
    )
    yield Card("entropy", partial(entropy_curve, models, num_actions=num_actions), entropy)
    divergence = (
        "How far each update moved the model's choices, and at how many steps clipping held it back. Spikes are "
        "violent updates: lower the learning rate or the number of epochs if the reward collapses there."
    )
    yield Card("divergence", partial(divergence_curve, models), divergence)
    losses = (
        "The loss of the policy, which chooses the actions, stays near zero and says little. The loss of the value, "
        "which foretells the rewards to come, grows with the rewards. What matters is how much of them the value "
        "explains; at 0 % it knows nothing of what a place is worth."
    )
    yield Card("losses", partial(loss_curve, models), losses)


def _is_discrete(run: Run) -> bool | None:
    """Whether actions are chosen from a list; None if nothing tells."""
    if run.actions:
        return True
    return bool(np.any(run.steps.action >= 0)) if len(run.steps) else None


def _finding(run: Run) -> str:
    entropy = values_of(run.iterations, lambda record: record.losses.get("entropy"))
    entropy = entropy[np.isfinite(entropy)]
    if len(entropy) < 2:
        return ""
    measured = f"entropy {entropy[-1]:.2f} nat, at first {entropy[0]:.2f}"
    if not run.actions:
        fallen = entropy[0] - entropy[-1]
        if abs(fallen) < _AS_SURE:
            return f"It is about as sure of what to do as at the beginning ({measured})."
        return f"It became {'surer' if fallen > 0 else 'less sure'} of what to do ({measured})."
    first, last = float(np.exp(entropy[0])), float(np.exp(entropy[-1]))
    if last < _DECIDED:
        state = "is sure of its choices and hardly tries anything else"
    elif last > 0.5 * len(run.actions):
        state = "is not sure of its choices yet and tries out a lot"
    else:
        state = "is fairly sure of its choices and still tries some things out"
    return (
        f"It {state}: as if it drew lots among {last:.1f} of its {len(run.actions)} actions, at first among "
        f"{first:.1f} ({measured})."
    )


QUESTION = Question(
    "Is it still exploring and learning?",
    "updates",
    [_cards],
    missing="Entropy, divergence and losses are recorded by hotlap. DeepRacer writes them only into the trainer's own "
    "log (lines that begin with “Policy training>”), which a model's folder does not hold.",
    finding=_finding,
)
