def reward_function(params):
    distance = params["distance_from_center"]
    if distance > 40:
        return 0.001
    return params["speed"] if params["all_wheels_on_track"] else 0.001
