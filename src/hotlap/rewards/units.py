"""Numbers in the wrong unit, found by reading a reward file: angles that are mixed, thresholds that never come."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from hotlap.deepracer.driving import MAX_SPEED, STEERING_LIMIT_DEG
from hotlap.rewards.reading import Given, Reading, called, is_name, key_of

Doubt = tuple[str, int]
"""What to say, and the line."""

_INVERSES: Final = {
    **dict.fromkeys(("atan2", "arctan2", "phase"), "-3.14 to 3.14"),
    **dict.fromkeys(("atan", "arctan", "asin", "arcsin"), "-1.57 to 1.57"),
    **dict.fromkeys(("acos", "arccos"), "0 to 3.14"),
}
"""What gives an angle in radians, and its range."""
_TO_DEGREES: Final = ("degrees", "rad2deg")
_TO_RADIANS: Final = ("radians", "deg2rad")
_SAME_UNIT: Final = ("abs", "fabs", "absolute", "float", "float64", "round", "int", "min", "max", "fmod", "mod")
_STEERING: Final = f"{-STEERING_LIMIT_DEG:g} to {STEERING_LIMIT_DEG:g}"
_IN_DEGREES: Final = {"heading": "-180 to 180", "steering_angle": _STEERING}
_IN_RADIANS: Final = {"objects_heading": "-3.14 to 3.14"}
_MOST_RADIANS: Final = 6.3  # a full turn
_MOST_LOOK_UPS: Final = 10_000  # in a file whose variables all depend on each other they would not end
_DEEPEST: Final = 12  # variables of variables


def wrong_units(reading: Reading) -> Iterator[Doubt]:
    """Radians where degrees are needed or the other way round, and numbers that an input never reaches."""
    with contextlib.suppress(RecursionError):  # a sum of a thousand terms is not looked into
        angles = _Angles(reading)
        yield from _mixed_angles(angles)
        yield from _numbers_that_never_come(angles)


# Angles


class _Angle(NamedTuple):
    """The unit of an expression, and where it comes from."""

    unit: Literal["degrees", "radians"]
    source: ast.expr
    """The input, or the call, that has this unit."""


_Unit = _Angle | Literal["any", "unknown"]
"""``any``: a plain number, which has the unit of what it is added to."""


class _Angles:
    """Follows angles from where their unit is known through variables, sums and functions of the file."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.looked_up = 0

    def of(self, node: ast.expr | None, seen: frozenset[str] = frozenset()) -> _Unit:
        if isinstance(node, ast.Constant):
            return "any" if isinstance(node.value, int | float) else "unknown"
        if isinstance(node, ast.UnaryOp):
            return self.of(node.operand, seen)
        if isinstance(node, ast.BinOp):
            if isinstance(node.op, ast.Add | ast.Sub):
                return _sum(self.of(node.left, seen), self.of(node.right, seen))
            return self.of(node.left, seen) if isinstance(node.op, ast.Mod) else "unknown"
        if isinstance(node, ast.IfExp):
            return _common([self.of(node.body, seen), self.of(node.orelse, seen)])
        if isinstance(node, ast.NamedExpr):
            return self.of(node.value, seen)
        key = key_of(node)
        if key in _IN_DEGREES:
            assert node is not None
            return _Angle("degrees", node)
        if isinstance(node, ast.Subscript) and key_of(node.value) in _IN_RADIANS:
            return _Angle("radians", node.value)
        if isinstance(node, ast.Call):
            return self._call(node, seen)
        if is_name(node):
            return self._followed(ast.unparse(node), self.reading.given, seen)
        return "unknown"

    def _call(self, node: ast.Call, seen: frozenset[str]) -> _Unit:
        name = called(node)
        if name in _INVERSES or name in _TO_RADIANS:
            return _Angle("radians", node)
        if name in _TO_DEGREES:
            return _Angle("degrees", node)
        if name in _SAME_UNIT and node.args:
            return self.of(node.args[0], seen)
        return self._followed(name, self.reading.returned, seen)

    def _followed(self, name: str, table: Given, seen: frozenset[str]) -> _Unit:
        label = f"{name} {table is self.reading.returned}"
        if label in seen:
            return "any"  # in `angle = abs(angle)` what else it is given decides
        self.looked_up += 1
        if self.looked_up > _MOST_LOOK_UPS or len(seen) > _DEEPEST:
            return "unknown"
        return _common([self.of(value, seen | {label}) for value in table.get(name, [None])])


def _sum(left: _Unit, right: _Unit) -> _Unit:
    known = [each for each in (left, right) if isinstance(each, _Angle)]
    if len(known) == 2 and known[0].unit != known[1].unit:
        return "unknown"
    return known[0] if known else "unknown" if "unknown" in (left, right) else "any"


def _common(units: list[_Unit]) -> _Unit:
    known = [each for each in units if isinstance(each, _Angle)]
    if "unknown" in units or len({each.unit for each in known}) > 1:
        return "unknown"
    return known[0] if known else "any"


def _mixed_angles(angles: _Angles) -> Iterator[Doubt]:
    told: set[str] = set()
    for node in angles.reading.nodes:
        pairs: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            pairs = [(node.left, node.right)]
        elif isinstance(node, ast.Compare):
            pairs = list(zip([node.left, *node.comparators[:-1]], node.comparators, strict=True))
        elif isinstance(node, ast.Call) and node.args:
            unit = angles.of(node.args[0])
            if isinstance(unit, _Angle) and (sentence := _wrong_argument(node, unit)):
                yield sentence, node.lineno
        for left, right in pairs:
            units = angles.of(left), angles.of(right)
            sentence = _difference((left, units[0]), (right, units[1]))
            if sentence and sentence not in told:
                told.add(sentence)
                yield sentence, left.lineno


def _wrong_argument(call: ast.Call, angle: _Angle) -> str | None:
    name, written, argument = called(call), ast.unparse(call.func), ast.unparse(call.args[0])
    if angle.unit == "degrees" and name in ("sin", "cos", "tan"):
        return f"{_who(angle)}, but {name}() takes radians; write {written}(math.radians({argument}))"
    if (name in _TO_DEGREES and angle.unit == "degrees") or (name in _TO_RADIANS and angle.unit == "radians"):
        other = "radians" if angle.unit == "degrees" else "degrees"
        return f"{_who(angle)} already, but {name}() takes {other}; write {argument} alone"
    return None


def _difference(*sides: tuple[ast.expr, _Unit]) -> str | None:
    """What to say where one side is in radians and the other in degrees."""
    known = {unit.unit: (node, unit) for node, unit in sides if isinstance(unit, _Angle)}
    if len(known) < 2:
        return None
    node, radians = known["radians"]
    source = radians.source
    variable = ast.unparse(node) if is_name(node) else ""
    who = _who(radians, variable)
    way_out = "change one of them with math.degrees() or math.radians()"
    if isinstance(source, ast.Call) and called(source) in _INVERSES:
        written = ast.unparse(source.func)
        module = written.rpartition(".")[0] or "math"
        way_out = f"write {module}.degrees({written}(...))"
    return f"{who}, but {_who(known['degrees'][1])}; {way_out}"


def _who(angle: _Angle, variable: str = "") -> str:
    """Such as "'heading' is in degrees (-180 to 180)"."""
    key = key_of(angle.source)
    if key is not None:
        scope = (_IN_DEGREES | _IN_RADIANS)[key]
        return f"{key!r} is in {angle.unit} ({scope})"
    assert isinstance(angle.source, ast.Call)
    name = called(angle.source)
    scope = f" ({_INVERSES[name]})" if name in _INVERSES else ""
    begin = f"{variable!r} comes from {name}() and is in" if variable else f"{name}() gives"
    return f"{begin} {angle.unit}{scope}"


# Thresholds


@dataclass(frozen=True)
class _Range:
    """The numbers that an input can have."""

    low: float | None
    """None: negative numbers are not looked at."""
    high: float
    words: str
    always: bool = False
    """Whether to speak of what is always true, too."""
    never: str = "never"


_RANGES: Final = {
    "speed": _Range(
        None, MAX_SPEED, f"'speed' is in m/s and the car drives at most {MAX_SPEED:g} m/s", never="hardly ever"
    ),
    "progress": _Range(None, 100.0, "'progress' is in percent, 0 to 100"),
    "distance_from_center": _Range(
        None, 3.0, "'distance_from_center' is in meters, and a track is about 1 m wide", always=True
    ),
    "track_width": _Range(None, 5.0, "'track_width' is in meters, about 1", always=True),
    "heading": _Range(-180.0, 180.0, f"'heading' is in degrees, {_IN_DEGREES['heading']}"),
    "steering_angle": _Range(-STEERING_LIMIT_DEG, STEERING_LIMIT_DEG, f"'steering_angle' is in degrees, {_STEERING}"),
}
_RADIANS: Final = _Range(-_MOST_RADIANS, _MOST_RADIANS, "", always=True)


class _Threshold(NamedTuple):
    """A comparison of an expression with a number, such that the expression is on the left."""

    node: ast.Compare
    left: ast.expr
    operator: type[ast.cmpop]
    value: float
    named: bool
    """Whether the number has a name, such as ``MAX_SPEED``, which may well be the greatest that there is."""


_TURNED: Final = {ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Lt: ast.Gt, ast.LtE: ast.GtE}


class _Numbers:
    """What a file compares with numbers."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.inputs: dict[str, str] = {}
        """By name, the input that it was given, and nothing else."""
        for name, values in reading.given.items():
            keys = {self.input_of(value) for value in values}
            if len(keys) == 1 and (key := keys.pop()) is not None:
                self.inputs[name] = key

    def input_of(self, node: ast.expr | None) -> str | None:
        """The input that an expression is, by itself or by a name."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("int", "float", "abs"):
            key = self.input_of(node.args[0]) if len(node.args) == 1 else None
            return key if node.func.id != "int" or key == "steps" else None  # the others it changes
        return key_of(node) or (self.inputs.get(ast.unparse(node)) if is_name(node) else None)

    def number(self, node: ast.expr | None) -> float | None:
        if isinstance(node, ast.Constant):
            value = node.value
            return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            positive = self.number(node.operand)
            return None if positive is None else -positive
        if isinstance(node, ast.Name) and len(values := self.reading.given.get(node.id, [])) == 1:
            return self.number(values[0]) if not isinstance(values[0], ast.Name) else None
        return None

    def thresholds(self) -> Iterator[_Threshold]:
        for node in self.reading.nodes:
            if not isinstance(node, ast.Compare):
                continue
            sides = [node.left, *node.comparators]
            for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
                if (value := self.number(right)) is not None:
                    yield _Threshold(node, left, type(operator), value, isinstance(right, ast.Name))
                elif (value := self.number(left)) is not None:
                    turned = _TURNED.get(type(operator), type(operator))
                    yield _Threshold(node, right, turned, value, isinstance(left, ast.Name))


def _numbers_that_never_come(angles: _Angles) -> Iterator[Doubt]:
    numbers = _Numbers(angles.reading)
    for threshold in numbers.thresholds():
        key, sentence = numbers.input_of(threshold.left), None
        if key == "steps":
            sentence = _step_that_never_comes(threshold)
        elif key is not None and key in _RANGES:
            sentence = _outside(threshold, _RANGES[key], _RANGES[key].words)
            if sentence is None and key == "progress":
                sentence = _fraction(threshold)
        elif isinstance(unit := angles.of(threshold.left), _Angle) and unit.unit == "radians":
            variable = ast.unparse(threshold.left) if is_name(threshold.left) else ""
            sentence = _outside(threshold, _RADIANS, _who(unit, variable))
        if sentence:
            yield sentence, threshold.node.lineno


def _step_that_never_comes(threshold: _Threshold) -> str | None:
    operator, value = threshold.operator, threshold.value
    if (operator in (ast.Eq, ast.LtE) and value < 2) or (operator is ast.Lt and value <= 2):
        return (
            f"`{ast.unparse(threshold.node)}` is never true: the first call of an episode has steps = 2, as the first "
            "step only prepares the car; write `steps <= 2`"
        )
    return None


def _outside(threshold: _Threshold, allowed: _Range, words: str) -> str | None:
    operator, value, low, high = threshold.operator, threshold.value, allowed.low, allowed.high
    above, below = value > high, low is not None and value < low
    never = (
        (operator is ast.Gt and (above or (value == high and not threshold.named)))
        or (operator is ast.GtE and above)
        or (operator is ast.Eq and (above or below))
        or (operator is ast.Lt and (below or value == low))
        or (operator is ast.LtE and below)
    )
    always = allowed.always and (operator in (ast.Lt, ast.LtE) and above)
    if not (never or always):
        return None
    return f"`{ast.unparse(threshold.node)}` is {allowed.never if never else 'always'} true: {words}"


def _fraction(threshold: _Threshold) -> str | None:
    """The progress taken for a number from 0 to 1, or for one that meets another exactly."""
    operator, value = threshold.operator, threshold.value
    when, way_out = "", "a whole lap is 100"
    if operator is ast.Eq and 0.0 < value < 100.0:
        when = "hardly ever true"
        if value > 1.0:
            way_out = f"it goes past {value:g} between two steps, so write `>=`"
    elif 0.1 <= value <= 1.0 and operator in (ast.Gt, ast.GtE):
        when = "true nearly all the way"
    elif 0.1 <= value <= 1.0 and operator in (ast.Lt, ast.LtE):
        when = "true only near the start"
    return f"`{ast.unparse(threshold.node)}` is {when}: 'progress' is in percent, 0 to 100; {way_out}" if when else None
