"""Distance to a line with Shapely."""

from shapely.geometry import LineString, Point

line = None


def reward_function(params):
    global line
    if line is None:
        line = LineString(params["waypoints"])
    distance = line.distance(Point(params["x"], params["y"]))
    return float(max(1e-3, 1.0 - 2 * distance / params["track_width"]))
