"""Speed on straights: keep to the middle, drive fast where the road is straight and slowly where it bends."""

import math

LOOK_AHEAD = 1.5  # [m] of road that decides how fast to drive
FAST = 4.0  # [m/s] worth driving on a straight, if your actions offer it
SLOW = 1.0  # [m/s] worth driving in a sharp bend


def bend_ahead(params):
    """By how many degrees the road turns over the next LOOK_AHEAD metres."""
    waypoints = params["waypoints"]
    previous, following = params["closest_waypoints"]
    here = waypoints[previous]
    directions = []
    distance = 0.0
    for i in range(len(waypoints)):
        # The modulo leads from the end of the lap back to its beginning.
        point = waypoints[(following + i) % len(waypoints)]
        length = math.hypot(point[0] - here[0], point[1] - here[1])
        if length > 1e-6:  # the first waypoint stands in the list twice
            directions.append(math.degrees(math.atan2(point[1] - here[1], point[0] - here[0])))
            distance += length
        here = point
        if distance > LOOK_AHEAD:
            break
    if not directions:
        return 0.0
    return max(abs((direction - directions[0] + 180.0) % 360.0 - 180.0) for direction in directions)


def reward_function(params):
    # A car that has left the road, or crashed, gets next to nothing for this step.
    if params["is_offtrack"] or params["is_crashed"]:
        return 1e-3

    # The nearer to the middle of the road, the better: 1.0 on the centre line, 0.0 at the border.
    offset = min(params["distance_from_center"] / (params["track_width"] / 2), 1.0)
    reward = (1.0 - offset) ** 2 + 0.1

    # 0.0 on a straight, 1.0 where the road turns by 60 degrees or more.
    bend = min(bend_ahead(params) / 60.0, 1.0)
    good_speed = FAST + bend * (SLOW - FAST)

    # At the right speed the reward doubles; it falls off on either side. Staying on the road still comes first.
    error = min(abs(params["speed"] - good_speed) / FAST, 1.0)
    reward *= 2.0 - error

    if not params["all_wheels_on_track"]:
        reward *= 0.2

    return float(reward)
