"""Object avoidance as in the guide; works without objects too."""

import math


def reward_function(params):
    reward = 1e-3 if not params["all_wheels_on_track"] else 1.0 - params["distance_from_center"] / params["track_width"]
    places = params["objects_location"]
    if places:
        _, ahead = params["closest_objects"]
        x, y = places[ahead]
        distance = math.hypot(params["x"] - x, params["y"] - y)
        same_lane = params["objects_left_of_center"][ahead] == params["is_left_of_center"]
        if same_lane and distance < 0.5:
            reward = 1e-3
        elif same_lane and distance < 0.8:
            reward *= 0.5
    return float(max(reward, 1e-3))
