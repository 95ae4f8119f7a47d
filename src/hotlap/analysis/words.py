"""How to read each figure of a report, in a few sentences."""

from __future__ import annotations

from textwrap import dedent


def _text(text: str) -> str:
    return " ".join(dedent(text).split())


WORDS = {
    name: _text(text)
    for name, text in {
        "reward": """
            Sum of rewards in an episode. It should rise and level off. Evaluations drive without trying things out, so
            they lie above training. The thin line joins single iterations, the thick one is their smoothed course. The
            dashed line marks the best checkpoint.
            """,
        "rewards": """
            Sum of rewards in an episode, one color per model: of its evaluations, or of its training where there were
            none. Rewards of different reward functions cannot be compared; whether each still rises, can.
            """,
        "completion": """
            How much of the lap the car drove, on average, until its first mistake. 100 % means that every lap was
            complete.
            """,
        "clean_laps": """
            Laps of an evaluation that were completed without a mistake. This is what a race asks for. Single
            evaluations have few laps and jump; trust the course.
            """,
        "lap_times": """
            Time of complete laps; lower is faster. The line is the median of an evaluation, dots are its fastest lap
            (blue) and the fastest lap in training (gray). Times that fall while clean laps stay high mean that it
            learns to race.
            """,
        "lap_times_of_models": """
            Median time of the complete laps of an evaluation; lower is faster. Times on different tracks cannot be
            compared.
            """,
        "exits": """
            Where a mistake ended training episodes: the brighter the cloud, the more of them over the whole training.
            White crosses are those of the last fifth: where it fails now. Numbers are waypoints.
            """,
        "reward_map": """
            Mean reward of a step at each place, over all training episodes. The bright band is where the reward
            function wants the car to be; if it is not where you want the car, mend the reward.
            """,
        "speed_map": """
            Mean speed actually driven at each place in the last fifth of the episodes. It should be high on straights
            and lower before bends, not behind them.
            """,
        "waypoints": """
            The same along the track, from waypoint to waypoint: gray the first fifth of the episodes, color the last.
            A dip of the reward where red bars stand shows the place to work on.
            """,
        "best_laps": """
            The fastest complete laps of the training, colored by driven speed. Smooth lines near the inside of bends
            are fast ones; a zigzag costs time.
            """,
        "last_laps": """
            The newest training episodes, whatever became of them; a cross marks a mistake. Lines that lie close
            together show a settled policy, a wide bundle one that still explores.
            """,
        "evaluation": """
            All trials of the newest evaluation, colored by driven speed; a cross marks a mistake that ended one.
            """,
        "endings": """
            Share of each ending among the training episodes of an iteration. Green should grow. “Immobilized” means
            that it stood still, “Time Up” that it was too slow, “Reversed” that it drove the wrong way.
            """,
        "distances": """
            How far training episodes got from where they started, in the first and the last fifth of them. A peak
            below 100 % is a place that it does not get past; with starts spread over the track it moves about.
            """,
        "actions": """
            How often each action was chosen, iteration by iteration; the stronger the color, the more often. Positive
            steering is left. At first all are equally likely; rows that fade are given up.
            """,
        "commands": """
            How often each steering angle and speed was chosen, iteration by iteration. Positive steering is left. A
            band that narrows shows a policy that settles.
            """,
        "action_shares": """
            The same for the last fifth of the episodes. Actions that are hardly used may be left out of the next
            model's action space: a smaller one learns faster.
            """,
        "actions_track": """
            What it chose at each waypoint in the last fifth of the episodes. Clear blocks are decided places; where a
            column is spread over many rows it is undecided or still exploring.
            """,
        "entropy": """
            How undecided the policy is. It starts near the dotted line, where all actions are equally likely, and
            falls as it makes up its mind. Near zero it no longer explores; if it falls early while laps are still bad,
            raise beta_entropy.
            """,
        "divergence": """
            How far each update moved the policy (KL divergence), and for how many steps clipping held it back. Spikes
            are violent updates: lower the learning rate or the number of epochs if the reward collapses there.
            """,
        "losses": """
            The loss of the policy stays near zero and says little. The loss of the value grows with the rewards. What
            matters is how much of the returns the value explains; at 0 % it knows nothing of what a place is worth.
            """,
        "workers": """
            Training episodes of each worker by itself. Workers on the same track should lie together; on different
            tracks the lowest curve is the track that needs more practice.
            """,
        "stages": """
            Wall-clock of each iteration by stage, and the share of each over all. Collecting is driving, the update is
            learning. Episodes that get longer make every iteration longer.
            """,
        "stability": """
            How evenly the simulator stepped. Commands are given every 67 ms; a simulator that cannot keep up skips,
            and the car drives longer on an old command. Ours steps exactly. Below, how many seconds were simulated in
            a second of wall-clock, where that is recorded.
            """,
    }.items()
}

SIMULATOR_CLOCK = "Minutes are those of the simulator's clock."

NO_RECORDS = "The folder holds no record of iterations."
NO_TRACES = "There are no traces of training episodes, from which these figures are drawn."
NO_LOSSES = _text("""
    Entropy, divergence and losses are recorded by hotlap. DeepRacer writes them only into the trainer's own log (lines
    that begin with “Policy training>”), which a model's folder does not hold.
    """)
NO_TIMES = "Times were not recorded."
