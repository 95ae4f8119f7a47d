"""What all kernels have in common: few arguments, structs whose tables are complete, no look back at the device."""

from __future__ import annotations

import ctypes
import importlib
import inspect
import pkgutil
import re
from typing import Any

import numpy as np
import pytest
import warp as wp

import hotlap.sim
from hotlap.deepracer.track_objects import BotCars, Obstacles
from hotlap.sim.camera import _render_kernel
from hotlap.sim.camera_objects import _paint_kernel
from hotlap.sim.scene import RaceRules, Scene, SceneData
from hotlap.sim.simulator import Simulator
from hotlap.sim.starts import Start, StartTable
from hotlap.sim.state import State, make_state
from hotlap.tracks.catalog import load_track

MOST_ARGUMENTS = 12
MOST_BYTES = 4096  # of a kernel's arguments, on every GPU that there is


def kernels() -> dict[str, wp.Kernel]:
    """All kernels of the simulator by name, those from factories too."""
    found: dict[str, wp.Kernel] = {}
    for info in pkgutil.iter_modules(hotlap.sim.__path__, "hotlap.sim."):
        module = importlib.import_module(info.name)
        found |= {f"{info.name}.{key}": each for key, each in vars(module).items() if isinstance(each, wp.Kernel)}
    for channels in (1, 3):
        found[f"paint {channels}"] = _paint_kernel(channels, 160)
        found |= {f"render {channels} {lit}": _render_kernel(channels, 160, lit) for lit in (False, True)}
    return found


def test_no_kernel_has_more_than_a_dozen_arguments_and_all_fit_on_every_gpu():
    """State and scene are structs, one argument each."""
    found = kernels()
    of_array = ctypes.sizeof(wp.zeros(1, device="cpu").__ctype__())  # more than any number
    assert {"hotlap.sim.race_rules._apply_rules", "hotlap.sim.simulator._begin", "render 1 False"} <= found.keys()
    for name, kernel in found.items():
        arguments = [argument.type for argument in kernel.adj.args]
        assert len(arguments) <= MOST_ARGUMENTS, f"{name} has {len(arguments)} arguments"
        sizes = [ctypes.sizeof(each.ctype) if isinstance(each, type(State)) else of_array for each in arguments]
        assert sum(sizes) <= MOST_BYTES, f"{name} takes {sum(sizes)} bytes"


@pytest.mark.parametrize("struct", [State, SceneData, StartTable], ids=lambda struct: struct.key.rpartition(".")[2])
def test_the_table_of_a_struct_lists_every_field_in_order(struct: Any):
    """What a kernel may read and write is documented, in the order in which the arrays are made."""
    lines = (inspect.getdoc(struct) or "").splitlines()
    first, second, third = (number for number, line in enumerate(lines) if line.startswith("==="))
    width = lines[first].index(" ")
    listed = re.findall(r"\w+", " ".join(line[:width] for line in lines[second:third]))
    assert listed == list(struct.vars)


def test_a_field_that_does_not_exist_can_be_neither_read_nor_set():
    """Type checkers say it before; a kernel that names one does not compile."""
    state = make_state(Scene([load_track("first_lap")]), 1)
    with pytest.raises(AttributeError):
        _ = state.motoin  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="motoin"):
        state.motoin = state.motion  # type: ignore[attr-defined]


def test_arrays_of_a_car_have_an_axis_of_worlds_and_one_of_cars():
    scene = Scene([load_track("first_lap")], obstacles=Obstacles(2), bots=BotCars(3), num_cars=4)
    state = make_state(scene, 5)
    shapes = {name: getattr(state, name).shape for name in State.vars}  # type: ignore[attr-defined]
    of_world = {"objects": (5, 5), "bots": (5, 3), "box_colors": (5, len(scene.boxes))}
    of_world |= dict.fromkeys(("route", "track", "light", "bot_seed", "bot_steps", "bot_pause"), (5,))
    assert shapes == {name: of_world.get(name, (5, 4)) for name in shapes}


@pytest.fixture
def crowded() -> Scene:
    """Two cars in every world, among boxes and bots that change lanes; mishaps are forgiven once."""
    return scene_with(num_cars=2)


def scene_with(num_cars: int) -> Scene:
    return Scene(
        [load_track("first_lap")],
        RaceRules(number_of_resets=1, off_track_penalty=0.2),
        obstacles=Obstacles(2, randomize=True),
        bots=BotCars(2, lane_change=True),
        num_cars=num_cars,
    )


def test_cars_that_start_and_act_alike_are_alike_and_like_one_alone(crowded: Scene):
    """Byte for byte in state and image, whatever else is drawn for the world; they do not meet."""
    num_worlds = 6
    twins = Simulator(crowded, num_worlds, variation=1.0, randomize_domain=True)
    alone = Simulator(scene_with(num_cars=1), num_worlds, variation=1.0, randomize_domain=True, grounds=twins.grounds)
    starts = [Start(ndist=0.15 * k, seed=k, reverse=k % 2 == 1, prepared=k % 3 == 0) for k in range(num_worlds)]
    twins.reset(range(num_worlds), [start for start in starts for _ in range(2)])
    alone.reset(range(num_worlds), starts)
    rng = np.random.default_rng(1)
    ended = set()
    for _ in range(60):
        steering, speed = rng.uniform(-25, 25, (num_worlds, 1)), rng.uniform(1.0, 4.0, (num_worlds, 1))
        twins.command(steering.repeat(2, axis=1), speed.repeat(2, axis=1))
        alone.command(steering, speed)
        twins.step()
        alone.step()
        for name in State.vars:  # type: ignore[attr-defined]
            ours, single = (getattr(each.state, name).numpy() for each in (twins, alone))
            for car in range(ours.shape[1] if ours.shape != single.shape else 1):
                mine = ours[:, car : car + 1] if ours.shape != single.shape else ours
                assert mine.tobytes() == single.tobytes(), f"{name} of car {car}"
        assert twins.images is not None
        assert alone.images is not None
        for car in range(2):
            np.testing.assert_array_equal(twins.images.numpy()[car::2], alone.images.numpy())
        ended |= set(alone.state.status.numpy().ravel().tolist())
    assert len(ended) > 2  # mishaps and pauses happened


def test_cars_of_a_world_that_start_apart_drive_apart():
    """Each from its own start and seed, by its own commands, whichever of the cars it is."""
    sim = Simulator(Scene([load_track("first_lap")], num_cars=2), 2, variation=1.0, camera=None)
    first, second = Start(ndist=0.1, seed=1), Start(ndist=0.6, seed=2)
    sim.reset([0, 1], [first, second, second, first])
    sim.command(np.array([[5.0, -5.0], [-5.0, 5.0]]), np.array([[1.0, 2.0], [2.0, 1.0]]))
    for _ in range(8):
        sim.step()
    motion = sim.state.motion.numpy()
    assert motion[0, 0] == motion[1, 1]
    assert motion[0, 1] == motion[1, 0]
    assert motion[0, 0] != motion[0, 1]


def test_cars_of_a_world_start_on_one_route(crowded: Scene):
    sim = Simulator(crowded, 1, camera=None)
    with pytest.raises(ValueError, match="one route"):
        sim.reset([0], [Start(), Start(reverse=True)])


def test_a_step_does_not_look_back_at_the_device(crowded: Scene, monkeypatch: pytest.MonkeyPatch):
    """Or a GPU would wait for the host in every step."""
    sim = Simulator(crowded, 2, randomize_domain=True)
    sim.reset([0, 1], [Start()] * 4)
    sim.step()

    def refuse(*_: Any) -> None:
        raise AssertionError("a step reads back")

    monkeypatch.setattr(wp.array, "numpy", refuse)
    monkeypatch.setattr(wp.array, "list", refuse)
    sim.step()
    sim.reset([1], [Start()] * 2)
    sim.stop([0])
