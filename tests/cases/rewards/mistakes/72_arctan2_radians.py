import numpy as np
class Line:
    def direction(self, a, b):
        return np.arctan2(b[1] - a[1], b[0] - a[0])
line = Line()
def reward_function(params):
    w, (a, b) = params["waypoints"], params["closest_waypoints"]
    heading = params["heading"]
    road = line.direction(w[a], w[b])
    if heading > road + 10 or heading < road - 10:
        return 0.1 if params["all_wheels_on_track"] else 0.001
    return params["speed"]
