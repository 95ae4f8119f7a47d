"""The sensors that are simulated, by their names in model_metadata.json; somebody's own can be added."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hotlap.deepracer.sensors import OWN_SHAPES, SIMULATED, observation_shapes
from hotlap.deepracer.state_values import STATE, VISIBLE_STATE
from hotlap.sim.camera import DEEPRACER_CAMERA, V1_CAMERA, PinholeCamera
from hotlap.sim.simulator import Simulator
from hotlap.sim.state_observation import observe_state, visible_part


@dataclass(frozen=True)
class SensorKind:
    """How a sensor is read."""

    shape: tuple[int, ...]
    """Of one observation; three axes are a picture (channels, height, width), uint8, one axis numbers, float32."""

    observe: Callable[[Simulator, np.ndarray], np.ndarray]
    """What the cars of some worlds see now, (n, num_cars, *shape), a copy; takes the simulator and the worlds."""

    camera: Callable[[float], PinholeCamera] | None = None
    """The camera that the simulator is to render, by the metadata version; None: it needs none."""

    part: Callable[[np.ndarray], np.ndarray] | None = None
    """What this sensor makes of what ``observe`` gives, which others may share, a copy; None: it takes all."""


def register(name: str, kind: SensorKind) -> None:
    """Let ``sensor`` in model_metadata.json name a sensor, beside the camera; workers get to know of it, too."""
    SENSORS[name] = kind
    OWN_SHAPES[name] = kind.shape


def observe(sensors: Mapping[str, SensorKind], simulator: Simulator, worlds: np.ndarray) -> dict[str, np.ndarray]:
    """What the cars of some worlds see now with these sensors: by name, (n, num_cars, *shape); copies."""
    found = {each: each(simulator, worlds) for each in {kind.observe for kind in sensors.values()}}
    return {
        name: found[kind.observe] if kind.part is None else kind.part(found[kind.observe])
        for name, kind in sensors.items()
    }


def own_sensors() -> dict[str, SensorKind]:
    """The sensors that somebody has registered."""
    return {name: SENSORS[name] for name in OWN_SHAPES}


def _pictures(simulator: Simulator, worlds: np.ndarray) -> np.ndarray:
    assert simulator.images is not None
    images = simulator.images.numpy()
    return images.reshape(simulator.num_worlds, simulator.num_cars, 1, *images.shape[1:])[worlds]


def _front_camera(version: float) -> PinholeCamera:
    return DEEPRACER_CAMERA if version >= 3 else V1_CAMERA


SENSORS = {name: SensorKind(shape, _pictures, _front_camera) for name, shape in observation_shapes(SIMULATED).items()}
SENSORS[STATE] = SensorKind(observation_shapes([STATE])[STATE], observe_state)
SENSORS[VISIBLE_STATE] = SensorKind(
    observation_shapes([VISIBLE_STATE])[VISIBLE_STATE], observe_state, part=visible_part
)
