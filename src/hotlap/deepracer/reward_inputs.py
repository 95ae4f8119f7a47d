"""What a reward function is told: 27 keys, their types and units.

Source: DeepRacer simapp, ``markov/agent_ctrl/constants.py``, whose order this is.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple


class RewardInput(NamedTuple):
    """One key of the dictionary."""

    kind: Literal["bool", "float", "ints", "points", "bools", "floats"]
    """``float`` and ``bool``; ``ints`` a list of two; ``points`` a list of (x, y); of objects: lists of one each."""
    unit: str = ""
    of: Literal["car", "track", "objects"] = "car"
    """``track``: the same at every step of a track; ``objects``: there is a value only where there are some."""


REWARD_INPUTS: Final = {
    "all_wheels_on_track": RewardInput("bool"),
    "x": RewardInput("float", "m"),
    "y": RewardInput("float", "m"),
    "heading": RewardInput("float", "deg"),
    "distance_from_center": RewardInput("float", "m"),
    "projection_distance": RewardInput("float", "m"),
    "progress": RewardInput("float", "%"),
    "steps": RewardInput("float"),
    "speed": RewardInput("float", "m/s"),
    "steering_angle": RewardInput("float", "deg"),
    "track_width": RewardInput("float", "m"),
    "track_length": RewardInput("float", "m", of="track"),
    "waypoints": RewardInput("points", "m", of="track"),
    "closest_waypoints": RewardInput("ints"),
    "is_left_of_center": RewardInput("bool"),
    "is_reversed": RewardInput("bool"),
    "closest_objects": RewardInput("ints", of="objects"),
    "objects_location": RewardInput("points", "m", of="objects"),
    "objects_left_of_center": RewardInput("bools", of="objects"),
    "object_in_camera": RewardInput("bool", of="objects"),
    "objects_speed": RewardInput("floats", "m/s", of="objects"),
    "objects_heading": RewardInput("floats", "rad", of="objects"),
    "objects_distance_from_center": RewardInput("floats", "m", of="objects"),
    "objects_distance": RewardInput("floats", "m", of="objects"),
    "is_crashed": RewardInput("bool"),
    "is_offtrack": RewardInput("bool"),
    "sim_time": RewardInput("float", "s"),
}

KEYS: Final = tuple(REWARD_INPUTS)

OF_TRACK: Final = tuple(key for key, each in REWARD_INPUTS.items() if each.of == "track")
OF_OBJECTS: Final = tuple(key for key, each in REWARD_INPUTS.items() if each.of == "objects")

OLD_KEYS: Final = {
    "on_track": "'all_wheels_on_track'",
    "car_orientation": "'heading' (in degrees now)",
    "throttle": "'speed' (in m/s now)",
    "steering": "'steering_angle' (in degrees now)",
    "closest_waypoint": "'closest_waypoints' (two numbers now)",
    "dist_closest_bot": "'objects_distance'",
    "flag_unsafe": "'is_crashed'",
    "bot_car_progress": "'objects_distance'",
    "bot_car_lane_match": "'objects_left_of_center'",
    "is_bot_in_camera": "'object_in_camera'",
}
"""Keys and arguments of 2018 and 2019 that are gone, with today's name for each."""
