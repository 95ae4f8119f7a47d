"""A tree of waypoints."""

from scipy.spatial import cKDTree

trees = {}


def reward_function(params):
    tree = trees.setdefault(len(params["waypoints"]), None) or cKDTree(params["waypoints"])
    trees[len(params["waypoints"])] = tree
    distance, _ = tree.query([params["x"], params["y"]])
    return float(1.0 / (1.0 + 5 * distance))
