"""Inside a narrow strip."""

from shapely.geometry import LineString, Point


def reward_function(params):
    strip = LineString(params["waypoints"]).buffer(0.2 * params["track_width"])
    return 1.0 if strip.contains(Point(params["x"], params["y"])) else 0.01
