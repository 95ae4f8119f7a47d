"""Follow the centre line: the nearer to the middle of the road, the more reward."""


def reward_function(params):
    # A car that has left the road, or crashed, gets next to nothing for this step.
    if params["is_offtrack"] or params["is_crashed"]:
        return 1e-3

    # 0.0 on the centre line, 1.0 at the border.
    half_width = params["track_width"] / 2
    offset = min(params["distance_from_center"] / half_width, 1.0)

    # A smooth curve tells the car at every step in which direction better lies; stairs would not.
    reward = (1.0 - offset) ** 2

    # A little extra with all wheels inside keeps the car from living on the border.
    if params["all_wheels_on_track"]:
        reward += 0.1

    return float(reward)
