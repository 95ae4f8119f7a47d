"""Stay inside the borders: drive where you like on the road, but keep a hand's breadth from its edge."""

SAFE_MARGIN = 0.20  # [m] nearer to the border than this, the reward fades


def reward_function(params):
    # A car that has left the road, or crashed, gets next to nothing for this step.
    if params["is_offtrack"] or params["is_crashed"]:
        return 1e-3

    # How far the front of the car is from the nearer border; negative beyond it.
    margin = params["track_width"] / 2 - params["distance_from_center"]

    # Full reward in the middle, less and less over the last 20 cm.
    reward = min(max(margin / SAFE_MARGIN, 0.0), 1.0)

    # One wheel over the line is a warning before the whole car is out.
    if not params["all_wheels_on_track"]:
        reward *= 0.2

    return float(reward + 1e-3)
