"""The state observation: what a teacher is told of its car where the model sees pictures; ours, not the original's."""

from __future__ import annotations

from typing import Final, NamedTuple

STATE: Final = "STATE"
"""Its name among the sensors in model_metadata.json."""
VISIBLE_STATE: Final = "VISIBLE_STATE"
"""The name of a sensor that tells only what a single picture shows, too: how the road goes on and what stands in view,
but not where on the track the car is, no speeds, nothing of what came before. What a teacher does that sees no more, a
student that sees pictures can do, also on a track that it has never seen."""
STATES: Final = (STATE, VISIBLE_STATE)

DISTANCES_AHEAD: Final = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0)
"""Along the center line from the car's front point, where the road ahead is told [m]."""
NUM_OBJECTS_AHEAD: Final = 3
"""Objects that are told: the next ones, those beside the car included."""
BESIDE: Final = 0.75
"""So far behind the front point an object is still beside the car [m along the center line]."""
VIEW: Final = (0.634, 0.1)
"""An object shows in a picture if it is ahead, and no farther to a side than the first of these times as far as it is
ahead, which is half of what the camera sees there, plus the second [m], as its middle need not be seen."""
LAP_HARMONICS: Final = 3
"""Waves per lap of the finest pair that tells where on the lap the car is."""


class StateValue(NamedTuple):
    """One number of the state observation."""

    name: str
    unit: str
    scale: float
    """The number is the quantity in its unit, divided by this: most lie within -1 and 1."""
    meaning: str


_OF_CAR: Final = (
    StateValue("offset", "half widths", 1.0, "from the center line to the car's front point, left positive"),
    StateValue("sin_heading", "", 1.0, "sine of the heading to the center line, left positive"),
    StateValue("cos_heading", "", 1.0, "its cosine"),
    StateValue("half_width", "m", 1.0, "half of the track's width"),
    StateValue("forward_speed", "m/s", 4.0, "of the center of gravity in the car's frame"),
    StateValue("sideways_speed", "m/s", 1.0, "the same to the left"),
    StateValue("yaw_rate", "rad/s", 4.0, "how fast it turns, left positive"),
    StateValue("wheel_angle", "deg", 30.0, "of the front wheels, left positive"),
    StateValue("rim_speed", "m/s", 4.0, "of the wheels' rims"),
    StateValue("commanded_steering", "deg", 30.0, "steering angle of the action before; 0 at the start"),
    StateValue("commanded_speed", "m/s", 4.0, "speed of the action before; 0 at the start"),
)
_OF_EPISODE: Final = (
    StateValue("progress", "%", 100.0, "share of the lap that is done"),
    StateValue("steps", "steps", 300.0, "how long the episode has lasted"),
    StateValue("against", "", 1.0, "1 where it drives against the order of the route file, else 0"),
    StateValue("x", "m", 10.0, "of the front point, in the track's frame"),
    StateValue("y", "m", 10.0, "the same"),
    StateValue("sin_yaw", "", 1.0, "sine of the heading in the track's frame"),
    StateValue("cos_yaw", "", 1.0, "its cosine"),
)
_OF_LAP: Final = tuple(
    StateValue(f"{wave}_lap_{k}", "", 1.0, f"{meaning} of {k} times the lap's angle, 2 pi for the whole lap")
    for k in range(1, LAP_HARMONICS + 1)
    for wave, meaning in (("sin", "sine"), ("cos", "cosine"))
)
_OF_ROAD: Final = tuple(
    StateValue(f"road_{what}_{distance:g}", unit, scale, meaning)
    for distance in DISTANCES_AHEAD
    for what, unit, scale, meaning in (
        ("ahead", "m", distance, "the center line so far on: ahead of the front point, in the car's frame"),
        ("left", "m", distance, "the same point: to the left"),
        ("sin", "", 1.0, "sine of its direction there in the car's frame"),
    )
)
_OF_OBJECTS: Final = tuple(
    StateValue(f"object_{k}_{what}", unit, scale, meaning)
    for k in range(NUM_OBJECTS_AHEAD)
    for what, unit, scale, meaning in (
        ("there", "", 1.0, "1 if there is such an object; else all that is told of it is 0"),
        ("gap", "m", 5.0, "along the center line from the front point; negative beside the car"),
        ("offset", "half widths", 1.0, "from the center line, left positive"),
        ("ahead", "m", 5.0, "ahead of the front point, in the car's frame"),
        ("left", "m", 5.0, "to the left of it"),
        ("speed", "m/s", 4.0, "how fast it drives; 0 for what stands"),
    )
)

_UNSEEN: Final = (
    "forward_speed",
    "sideways_speed",
    "yaw_rate",
    "wheel_angle",
    "rim_speed",
    "commanded_steering",
    "commanded_speed",
    "progress",
    "steps",
    "against",
    "x",
    "y",
    "sin_yaw",
    "cos_yaw",
    *(value.name for value in _OF_LAP),
    *(f"object_{k}_speed" for k in range(NUM_OBJECTS_AHEAD)),
)

STATE_VALUES: Final = (*_OF_CAR, *_OF_EPISODE, *_OF_LAP, *_OF_ROAD, *_OF_OBJECTS)
"""All of them, in order."""
VISIBLE: Final = tuple(number for number, value in enumerate(STATE_VALUES) if value.name not in _UNSEEN)
"""Which of them `VISIBLE_STATE` tells; those of an object that is not in view (`VIEW`) are 0."""
