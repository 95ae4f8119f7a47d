"""No zig-zag: keep to the middle, and steer where the road goes instead of swinging left and right."""

import math

LOOK_AHEAD = 0.7  # [m] the front wheels should point at the road this far ahead
MAX_STEERING = 30.0  # [degrees] what the car's steering can do


def road_ahead(params):
    """The first waypoint that is at least LOOK_AHEAD away from the car, in driving direction."""
    waypoints = params["waypoints"]
    index = params["closest_waypoints"][1]
    for i in range(len(waypoints)):
        # The modulo leads from the end of the lap back to its beginning.
        point = waypoints[(index + i) % len(waypoints)]
        if math.hypot(point[0] - params["x"], point[1] - params["y"]) >= LOOK_AHEAD:
            return point
    return waypoints[index]


def reward_function(params):
    # A car that has left the road, or crashed, gets next to nothing for this step.
    if params["is_offtrack"] or params["is_crashed"]:
        return 1e-3

    # The nearer to the middle of the road, the better: 1.0 on the centre line, 0.0 at the border.
    offset = min(params["distance_from_center"] / (params["track_width"] / 2), 1.0)
    reward = (1.0 - offset) ** 2 + 0.1

    # The direction from the car to the road ahead, seen from the driver's seat: positive is left, like the steering.
    x, y = road_ahead(params)
    direction = math.degrees(math.atan2(y - params["y"], x - params["x"]))
    needed = (direction - params["heading"] + 180.0) % 360.0 - 180.0
    needed = min(max(needed, -MAX_STEERING), MAX_STEERING)

    # Steering that differs from it is what draws a zig-zag on the road.
    error = abs(params["steering_angle"] - needed) / (2 * MAX_STEERING)
    reward *= 1.0 - 0.7 * min(error, 1.0)

    return float(reward)
