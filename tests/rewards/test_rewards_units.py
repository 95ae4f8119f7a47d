"""Radians and degrees that meet, and thresholds that an input never reaches, are found by reading the file."""

from __future__ import annotations

import textwrap

import pytest

from hotlap.rewards.reading import read
from hotlap.rewards.units import wrong_units

BEGIN = """
import math
import numpy as np
from math import atan2, degrees

def angle_of(a, b):
    return math.atan2(b[1] - a[1], b[0] - a[0])

def degrees_of(a, b):
    return math.atan2(b[1] - a[1], b[0] - a[0]) * 180 / math.pi

def reward_function(params):
    heading = params["heading"]
    steering = abs(params.get("steering_angle"))
"""


def told(body: str) -> list[str]:
    return [sentence for sentence, _ in wrong_units(read(BEGIN + textwrap.indent(textwrap.dedent(body), "    ")))]


@pytest.mark.parametrize(
    "body",
    [
        "return math.atan2(1, 2) - heading",
        "return abs(heading - atan2(1, 2))",
        "return np.arctan2(1, 2) + params['heading']",
        "return math.atan(2) - steering",
        "return math.acos(0.2) > heading",
        "direction = math.atan2(1, 2)\nreturn direction < heading",
        "direction = math.atan2(1, 2)\ndirection += 0.1\nturned = direction % 6.28\nreturn turned - heading",
        "first, second = math.asin(0.1), 3\nreturn heading - first",
        "return angle_of((0, 0), (1, 1)) - heading",
        "return 0 < math.atan2(1, 2) < heading",
        "return math.radians(heading) - steering",
        "return math.degrees(math.atan2(1, 2)) - math.atan2(3, 4)",
        "return params['objects_heading'][0] - heading",
        "best = params['heading'] if heading > 0 else -params['heading']\nreturn best - math.atan2(1, 2)",
    ],
)
def test_radians_that_meet_degrees_are_told(body: str):
    (sentence,) = told(body)
    assert "radians" in sentence
    assert "degrees" in sentence


@pytest.mark.parametrize(
    "body",
    [
        "return math.degrees(math.atan2(1, 2)) - heading",
        "return degrees(atan2(1, 2)) - heading",
        "return np.degrees(np.arctan2(1, 2)) - heading",
        "return np.rad2deg(np.arctan2(1, 2)) - heading",
        "return math.atan2(1, 2) * 180 / math.pi - heading",
        "return math.atan2(1, 2) * 57.3 - heading",
        "return math.atan2(1, 2) - heading * math.pi / 180",
        "return math.atan2(1, 2) - math.radians(heading)",
        "direction = math.atan2(1, 2)\ndirection = math.degrees(direction)\nreturn direction - heading",
        "direction = math.atan2(1, 2)\ndirection *= 180 / math.pi\nreturn direction - heading",
        "turn = math.degrees(math.atan2(1, 2))\nif turn > 180:\n    turn -= 360\nreturn turn - heading",
        "return degrees_of((0, 0), (1, 1)) - heading",
        "return unknown(math.atan2(1, 2)) - heading",
        "for heading in (1, 2):\n    math.atan2(1, 2) - heading",
        "return (lambda heading: math.atan2(1, 2) - heading)(0.1)",
        "return math.cos(math.radians(heading)) + math.sin(math.atan2(1, 2))",
        "return heading - steering > 10 or heading > 170 or steering >= 30",
        "heading = math.radians(params['heading'])\nreturn math.atan2(1, 2) - heading",
        "return math.radians(math.degrees(math.atan2(1, 2)) - heading)",
        "a = b\nb = a\nreturn a - heading",
    ],
)
def test_what_is_converted_or_not_known_is_left_alone(body: str):
    assert told(body) == []


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            "direction = np.arctan2(1, 2)\nreturn direction - heading",
            "'direction' comes from arctan2() and is in radians (-3.14 to 3.14), but 'heading' is in degrees "
            "(-180 to 180); write np.degrees(np.arctan2(...))",
        ),
        (
            "return math.atan2(1, 2) - params['steering_angle']",
            "atan2() gives radians (-3.14 to 3.14), but 'steering_angle' is in degrees (-30 to 30); "
            "write math.degrees(math.atan2(...))",
        ),
        (
            "return math.cos(heading)",
            "'heading' is in degrees (-180 to 180), but cos() takes radians; write math.cos(math.radians(heading))",
        ),
        (
            "return math.degrees(heading)",
            "'heading' is in degrees (-180 to 180) already, but degrees() takes radians; write heading alone",
        ),
        (
            "turn = math.atan2(1, 2)\nreturn abs(turn) > 10",
            "`abs(turn) > 10` is never true: atan2() gives radians (-3.14 to 3.14)",
        ),
    ],
)
def test_the_sentence_names_both_sides_and_the_way_out(body: str, sentence: str):
    assert told(body) == [sentence]


def test_the_same_pair_is_told_once():
    assert len(told("road = atan2(1, 2)\nfirst = road - heading\nsecond = road - heading")) == 1


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("params['progress'] == 1", "hardly ever true: 'progress' is in percent, 0 to 100; a whole lap is 100"),
        ("params['progress'] == 50", "write `>=`"),
        ("params['progress'] >= 1", "true nearly all the way"),
        ("params['progress'] > 0.95", "true nearly all the way"),
        ("params['progress'] < 0.5", "true only near the start"),
        ("1 <= params['progress']", "true nearly all the way"),
        ("params['progress'] > 100", "never true: 'progress' is in percent"),
        ("params['distance_from_center'] > 40", "never true: 'distance_from_center' is in meters"),
        ("params['distance_from_center'] <= 25", "always true: 'distance_from_center' is in meters"),
        ("params['track_width'] > 60", "never true: 'track_width' is in meters"),
        ("5 < params['speed']", "hardly ever true: 'speed' is in m/s"),
        ("heading > 270", "never true: 'heading' is in degrees, -180 to 180"),
        ("heading < -180", "never true: 'heading'"),
        ("steering > 45", "never true: 'steering_angle' is in degrees"),
        ("steering > MOST", "never true: 'steering_angle' is in degrees"),
    ],
)
def test_a_threshold_that_never_comes_is_told_with_the_unit(condition: str, words: str):
    (sentence,) = told(f"MOST = 60\nreturn {condition}")
    assert sentence.startswith(f"`{condition}` is ")
    assert words in sentence


@pytest.mark.parametrize(
    "condition",
    [
        "params['progress'] == 100",
        "params['progress'] > 99.9",
        "params['progress'] > 0",
        "params['progress'] < 0.01",
        "int(params['progress']) == 50",
        "params['progress'] / 100 > 0.5",
        "params['progress'] - heading > 0.5",
        "params['distance_from_center'] > 0.4",
        "params['distance_from_center'] > 0.5 * params['track_width']",
        "params['speed'] < 0",
        "params['speed'] > 3.9",
        "params['speed'] < 5",
        "params['speed'] > MOST",
        "heading > 179",
        "steering >= 30",
    ],
)
def test_a_threshold_that_comes_is_left_alone(condition: str):
    assert told(f"MOST = 4.0\nreturn {condition}") == []


def test_variables_that_all_depend_on_each_other_are_given_up():
    names = [f"v{number}" for number in range(40)]
    body = "\n".join(f"{name} = {' + '.join(each for each in names if each != name)}" for name in names)
    assert told(f"{body}\nreturn v0 - heading") == []
