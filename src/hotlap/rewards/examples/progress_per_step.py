"""Progress per step: the farther along the track in the same number of steps, the more reward."""

STEPS_PER_SECOND = 15.0


def reward_function(params):
    # A car that has left the road, or crashed, gets next to nothing for this step.
    if params["is_offtrack"] or params["is_crashed"]:
        return 1e-3

    # Metres driven along the centre line since the start of the episode. Progress is in percent of a lap.
    distance = max(params["progress"], 0.0) / 100.0 * params["track_length"]

    # The extra second keeps the very first steps, when the car has hardly moved, from counting too much.
    seconds = params["steps"] / STEPS_PER_SECOND + 1.0

    # Average speed along the track in m/s: detours and zig-zag make it smaller, speed makes it larger.
    reward = distance / seconds

    # Speed is worth nothing if the car is about to leave the road.
    margin = params["track_width"] / 2 - params["distance_from_center"]
    if not params["all_wheels_on_track"]:
        reward *= 0.1
    elif margin < 0.2:
        reward *= 0.5

    # The lap is complete at exactly 100.
    if params["progress"] == 100.0:
        reward += 10.0

    return float(reward + 1e-3)
