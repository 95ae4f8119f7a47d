"""Is it still exploring, is it still learning? Entropy, divergence and losses of the updates."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hotlap.analysis.figures.progress_panels import Models, draw_course, label_courses, mark_best, steps_axis, steps_of
from hotlap.analysis.figures.style import GRAY, MODELS, UPDATE, new_card, new_cards, say_instead


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
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1},
        )
    _draw(axes, models, "entropy")
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(0.0, bottom), top + 0.04 * (top - bottom))
    return _finished(figure, [axes], models)


def divergence_curve(models: Models) -> Figure:
    """How far each update moved the policy: KL divergence and share of clipped steps, over environment steps."""
    figure, axes = new_cards(
        ["How far an update moved it: KL divergence [nat]", "Steps at which clipping held it back"], 4.6
    )
    _draw(axes[0], models, "approx_kl")
    _draw(axes[1], models, "clip_fraction", scale=100)
    axes[1].yaxis.set_major_formatter("{x:.0f} %")
    return _finished(figure, axes, models)


def loss_curve(models: Models) -> Figure:
    """Losses of policy and value, and how much of the returns the value explains, over environment steps."""
    titles = ["Loss of the policy", "Loss of the value", "How much of the returns the value explains"]
    figure, axes = new_cards(titles, 6.0)
    _draw(axes[0], models, "policy_loss")
    _draw(axes[1], models, "value_loss")
    _draw(axes[2], models, "explained_variance", scale=100)
    # The first updates explain nothing, sometimes by far: they must not flatten the rest.
    axes[2].set_ylim(bottom=max(axes[2].get_ylim()[0], -55))
    axes[2].yaxis.set_major_formatter("{x:.0f} %")
    return _finished(figure, axes, models)


def _draw(axes: Axes, models: Models, loss: str, *, scale: float = 1.0) -> None:
    ends = []
    colors = (UPDATE,) if len(models) == 1 else MODELS
    for color, (name, records) in zip(colors, models.items(), strict=False):
        values = scale * np.array([record.losses.get(loss, np.nan) for record in records], dtype=np.float64)
        ends.append(draw_course(axes, steps_of(records), values, color, name if len(models) > 1 else " "))
    if not any(name for name, *_ in ends):
        say_instead(axes, "not recorded")
    label_courses(axes, [end for end in ends if end[0].strip()])


def _finished(figure: Figure, axes: list[Axes], models: Models) -> Figure:
    for each in axes:
        mark_best(each, models, words=False)
    steps_axis(axes[-1], models)
    return figure
