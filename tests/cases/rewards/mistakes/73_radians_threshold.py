import math
def reward_function(params):
    w, (a, b) = params["waypoints"], params["closest_waypoints"]
    road = math.atan2(w[b][1] - w[a][1], w[b][0] - w[a][0])
    if abs(road) > 45:
        return 0.5
    return params["speed"] if params["all_wheels_on_track"] else 0.001
