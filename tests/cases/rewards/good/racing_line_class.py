"""The most copied form: a class with a racing line in it."""

import math


class Reward:
    def __init__(self, verbose=False):
        self.first_racingpoint_index = 0
        self.verbose = verbose

    def reward_function(self, params):
        track = params["waypoints"]

        def dist_2_points(x1, x2, y1, y2):
            return abs(abs(x1 - x2) ** 2 + abs(y1 - y2) ** 2) ** 0.5

        def closest(car):
            distances = [dist_2_points(p[0], car[0], p[1], car[1]) for p in track]
            index = distances.index(min(distances))
            return index, distances[index]

        index, distance = closest([params["x"], params["y"]])
        if params["steps"] <= 2:
            self.first_racingpoint_index = index
        reward = max(1e-3, 1 - distance / (params["track_width"] * 0.5))
        optimal = 2.5
        reward += max(0, 1 - abs(optimal - params["speed"]) / optimal)
        if params["progress"] == 100:
            reward += 10 * math.exp(-params["steps"] / 300)
        if not params["all_wheels_on_track"]:
            reward = 1e-3
        if self.verbose:
            print("index", index)
        return reward


reward_object = Reward()


def reward_function(params):
    return float(reward_object.reward_function(params))
