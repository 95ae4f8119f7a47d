"""Progress per step: the farther along the track since the last step, the more reward."""

SAFE_MARGIN = 0.2  # [m] nearer to the border than this, progress is worth less

LAST = {"distance": 0.0}  # what the step before left behind


def reward_function(params):
    # Metres driven along the centre line since the start of the episode. Progress is in percent of a lap.
    distance = params["progress"] / 100.0 * params["track_length"]

    # The first call of an episode, with 2 steps, has no step of this episode before it.
    gained = distance - LAST["distance"] if params["steps"] > 2 else 0.0
    LAST["distance"] = distance
    if gained < -params["track_length"] / 2:  # the next lap has begun, where several are driven in one go
        gained += params["track_length"]

    # Leaving the road, or a crash, costs more than two metres bring.
    if params["is_offtrack"] or params["is_crashed"]:
        return -5.0

    # Detours and zig-zag gain less in a step, speed gains more. Whatever the speed, a whole lap brings the same: fast
    # cars learn because they get it sooner.
    reward = 3.0 * gained

    # Speed is worth less if the car is about to leave the road.
    margin = params["track_width"] / 2 - params["distance_from_center"]
    if margin < SAFE_MARGIN or not params["all_wheels_on_track"]:
        reward *= 0.25

    return float(reward)
