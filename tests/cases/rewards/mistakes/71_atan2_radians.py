import math
def reward_function(params):
    waypoints, closest = params["waypoints"], params["closest_waypoints"]
    ahead, behind = waypoints[closest[1]], waypoints[closest[0]]
    track_direction = math.atan2(ahead[1] - behind[1], ahead[0] - behind[0])
    direction_diff = abs(track_direction - params["heading"])
    return 0.5 if direction_diff > 10.0 or params["is_offtrack"] else 1.0
