"""What it costs to bring episodes from workers to the trainer, and weights to the workers."""

from __future__ import annotations

import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from multiprocessing import get_context
from socket import socket
from typing import Any
from uuid import uuid4

import numpy as np

from hotlap.deploy.ray_node import RayNode, set_token
from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.ray_session import accept_shared_views, connect
from hotlap.rollouts.transport import compressed, decompressed, pack, unpack
from hotlap.rollouts.worker import PlayedEpisode

HEAD, FAR = "127.0.0.2", "127.0.0.3"  # every address in 127.0.0.0/8 is this machine's own on Linux
NUM_CARRIERS = 2  # so that the next episode is on the way while one is unpacked
SMALL, LARGE = 1 << 18, 1 << 22  # [bytes] objects that tell what an object costs from what its bytes cost
NUM_OBJECTS = 40
OPEN_SHARES = (1, 64, 256)
NUM_TAKEN = 60


class Carrier:
    """An actor that sends what it was given before, as a rollout worker would."""

    def __init__(self) -> None:
        accept_shared_views()

    def load(self, episodes: Sequence[PlayedEpisode], packed: bool) -> None:
        """Have episodes ready."""
        self.episodes = [pack(episode) for episode in episodes] if packed else episodes

    def send(self) -> Iterator[Any]:
        """Give one after another."""
        for episode in self.episodes:  # noqa: UP028  (Ray sends values into a generator; `yield from` would pass them on)
            yield episode

    def send_objects(self, num_bytes: int) -> Iterator[np.ndarray]:
        """Give `NUM_OBJECTS` arrays of that size."""
        values = np.ones(num_bytes, dtype=np.uint8)
        for _ in range(NUM_OBJECTS):
            yield values

    def put_s(self) -> float:
        """How long it takes to put all episodes into shared memory [s]."""
        import ray

        begin = time.perf_counter()
        for episode in self.episodes:
            ray.put(episode)
        return time.perf_counter() - begin

    def fetch_s(self, weights: Sequence[Any]) -> float:
        """How long it takes to get weights by their reference [s]."""
        import ray

        begin = time.perf_counter()
        ray.get(weights[0])
        return time.perf_counter() - begin

    def hold(self, plans: Sequence[EpisodePlan]) -> Iterator[None]:
        """Give nothing for a long time, as a worker whose episodes are long."""
        time.sleep(3600)
        yield


def frame_bytes(episodes: Sequence[PlayedEpisode]) -> int:
    """Bytes of all observations."""
    return sum(
        values.nbytes for each in episodes if each.experience is not None for values in each.experience.obs.values()
    )


def num_frames(episodes: Sequence[PlayedEpisode]) -> int:
    """Steps that are learned from."""
    return sum(each.experience.num_steps for each in episodes if each.experience is not None)


def compression(episodes: Sequence[PlayedEpisode], repeats: int = 3) -> list[dict[str, Any]]:
    """How small the frames of ``episodes`` become, and what that costs on one core; each episode is one piece.

    Returns:
        One object per way: ``codec``, ``delta`` (each frame less the one before it), ``ratio``, ``encode_us`` and
        ``decode_us`` per frame: the best of ``repeats``.
    """
    stacks = [values for each in episodes if each.experience is not None for values in each.experience.obs.values()]
    codecs: dict[str, tuple[Callable[[np.ndarray], Any], Callable[[Any], np.ndarray]]] = {
        "zlib 1": (
            lambda values: zlib.compress(np.ascontiguousarray(values).data, 1),
            lambda data: np.frombuffer(zlib.decompress(data), np.uint8),
        ),
        "zstandard 1": (compressed, decompressed),
    }
    ways = [(name, delta) for name in codecs for delta in (False, True)]
    encode_s = {way: [0.0] * repeats for way in ways}
    decode_s = {way: [0.0] * repeats for way in ways}
    sizes = dict.fromkeys(ways, 0)
    for repeat in range(repeats):
        for name, delta in ways:
            encode, decode = codecs[name]
            size = 0
            for stack in stacks:
                clock = [time.thread_time()]
                data = encode(_less_the_one_before(stack) if delta else stack)
                clock.append(time.thread_time())
                values = decode(data).reshape(stack.shape)
                restored = np.add.accumulate(values, axis=0, dtype=np.uint8) if delta else values
                clock.append(time.thread_time())
                assert np.array_equal(restored, stack)
                encode_s[name, delta][repeat] += clock[1] - clock[0]
                decode_s[name, delta][repeat] += clock[2] - clock[1]
                size += len(data)
            sizes[name, delta] = size
    per_frame = 1e6 / sum(len(stack) for stack in stacks)
    return [
        {
            "codec": name,
            "delta": delta,
            "ratio": sum(stack.nbytes for stack in stacks) / sizes[name, delta],
            "encode_us": min(encode_s[name, delta]) * per_frame,
            "decode_us": min(decode_s[name, delta]) * per_frame,
        }
        for name, delta in ways
    ]


def _less_the_one_before(frames: np.ndarray) -> np.ndarray:
    """Differences modulo 256; the first frame stays."""
    differences = frames.copy()
    differences[1:] -= frames[:-1]
    return differences


def receive(streams: Sequence[Any]) -> Iterator[Any]:
    """What Ray's generators give, as it comes, taken as a fleet takes it."""
    import ray

    open_streams = list(streams)
    while open_streams:
        ready: list[Any] = ray.wait(open_streams)[0]
        try:
            yield ray.get(next(ready[0]))
        except StopIteration:
            open_streams.remove(ready[0])


def on_one_machine(episodes: Sequence[PlayedEpisode], repeats: int) -> dict[str, Any]:
    """Transport through shared memory, in the present Ray session.

    Returns:
        ``mb_per_s`` (frames, best), ``put_us_per_mb`` (the worker's part of it), ``look_us_per_share`` (the driver's
        look at what is there, for each worker) and ``dispatch_us`` (giving a share to a worker).
    """
    import ray

    *carriers, holder = _carriers(NUM_CARRIERS + 1)
    try:
        ray.get([carrier.load.remote(episodes, False) for carrier in carriers])
        megabytes = frame_bytes(episodes) / 1e6
        seconds, put_s = [], []
        for _ in range(repeats + 1):
            seconds.append(_seconds(receive(_streams(carriers, "send"))))
            put_s.append(ray.get(carriers[0].put_s.remote()))
        plans = [episode.plan for episode in episodes]
        look_us, dispatch_us = _driver_costs(carriers[0], holder, plans)
        slope = np.polyfit(list(look_us), list(look_us.values()), 1)[0]
        return {
            "mb_per_s": NUM_CARRIERS * megabytes / min(seconds[1:]),
            "put_us_per_mb": 1e6 * min(put_s[1:]) / megabytes,
            "look_us_per_share": max(0.0, float(slope)),
            "dispatch_us": dispatch_us,
        }
    finally:
        for each in (*carriers, holder):
            ray.kill(each)


def _driver_costs(carrier: Any, holder: Any, plans: Sequence[EpisodePlan]) -> tuple[dict[int, float], float]:
    """By number of open shares: what a look at them costs [us]; what giving a share to a worker costs [us]."""
    import ray

    held: list[Any] = []
    look_us = {}
    dispatch_us = []
    for num_open in OPEN_SHARES:
        begin, before = time.perf_counter(), len(held)
        while len(held) < num_open - 1:
            held.append(holder.hold.options(num_returns="streaming").remote(plans))
        if len(held) > before:
            dispatch_us.append(1e6 * (time.perf_counter() - begin) / (len(held) - before))
        each_us: list[float] = []
        while len(each_us) < NUM_TAKEN:
            stream = carrier.send.options(num_returns="streaming").remote()
            ray.get(carrier.put_s.remote())  # comes after all of them are there
            for _ in plans:
                begin = time.perf_counter()
                shares = list({each: None for each in (*held, stream)})
                ray.wait(shares, timeout=1.0)
                ready: list[Any] = ray.wait(shares, num_returns=len(shares), timeout=0)[0]
                each_us.append(1e6 * (time.perf_counter() - begin))
                ray.get(next(ready[0]))
        look_us[num_open] = float(np.median(each_us))
    return look_us, min(dispatch_us)


def between_nodes(
    episodes: Sequence[PlayedEpisode], weights: Mapping[str, np.ndarray], repeats: int
) -> dict[str, Any] | None:
    """Transport between two Ray nodes on this machine, each with its own address and object store.

    They are started in a process of their own, because Ray keeps the settings of its first session.

    Returns:
        ``mb_per_s`` (frames, best) with ``raw`` and ``packed`` episodes, unpacking included; ``object_us`` and
        ``object_us_per_mb`` (what Ray takes for an object and for its bytes); ``weights_ms`` (until a worker of the
        other node has them). None where a machine has one loopback address only.
    """
    if sys.platform != "linux":
        return None
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_between_nodes, episodes, weights, repeats).result()


def _between_nodes(
    episodes: Sequence[PlayedEpisode], weights: Mapping[str, np.ndarray], repeats: int
) -> dict[str, Any]:
    accept_shared_views()
    with two_nodes(far_cpus=NUM_CARRIERS) as there:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        strategy = NodeAffinitySchedulingStrategy(there, soft=False)
        carriers = _carriers(NUM_CARRIERS, scheduling_strategy=strategy)
        streams_s: dict[str, list[float]] = {"raw": [], "packed": [], "small": [], "large": []}
        weights_s = []
        for _ in range(repeats + 1):  # the first is warm-up
            for name, packed in (("raw", False), ("packed", True)):
                ray.get([carrier.load.remote(episodes, packed) for carrier in carriers])
                streams_s[name].append(_seconds(map(unpack, receive(_streams(carriers, "send")))))
            for name, num_bytes in (("small", SMALL), ("large", LARGE)):
                streams_s[name].append(_seconds(receive(_streams(carriers, "send_objects", num_bytes))))
            weights_s.append(ray.get(carriers[0].fetch_s.remote([ray.put(dict(weights))])))
        best = {name: min(each[1:]) for name, each in streams_s.items()}
        megabytes = NUM_CARRIERS * frame_bytes(episodes) / 1e6
        small_us, large_us = (1e6 * best[name] / (NUM_CARRIERS * NUM_OBJECTS) for name in ("small", "large"))
        per_mb = max(0.0, (large_us - small_us) / ((LARGE - SMALL) / 1e6))
        return {
            "mb_per_s": {name: megabytes / best[name] for name in ("raw", "packed")},
            "object_us": max(0.0, small_us - per_mb * SMALL / 1e6),
            "object_us_per_mb": per_mb,
            "weights_ms": 1e3 * min(weights_s[1:]),
        }


@contextmanager
def two_nodes(*, far_cpus: int = 1) -> Iterator[str]:
    """Be the driver of a Ray cluster of two nodes on this machine, with addresses `HEAD` and `FAR`; Linux only.

    Only a process that was in no Ray session before can be. Yields Ray's identifier of the other node.
    """
    # What an earlier session in the parent process set to stay on 127.0.0.1 forbids a second node.
    os.environ.pop("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", None)
    set_token(uuid4().hex)
    with socket() as probe:
        probe.bind((HEAD, 0))
        port = probe.getsockname()[1]
    with ExitStack() as stack:
        head = stack.enter_context(closing(RayNode(ip=HEAD, num_cpus=1, port=port)))
        head.wait_until_up()
        far = stack.enter_context(closing(RayNode(ip=FAR, num_cpus=far_cpus, head=head.address)))
        stack.enter_context(closing(connect(head.address, num_workers=0, store_bytes=0)))
        import ray

        while not (ids := [each["NodeID"] for each in ray.nodes() if each["NodeManagerAddress"] == FAR]):
            far.check()
            time.sleep(0.2)
        yield ids[0]


def _carriers(number: int, **options: Any) -> list[Any]:
    import ray

    actor = ray.remote(num_cpus=1, **options)(Carrier)  # type: ignore[call-overload]  # Ray's types know no such options
    return [actor.remote() for _ in range(number)]


def _streams(carriers: Sequence[Any], method: str, *arguments: Any) -> list[Any]:
    return [getattr(each, method).options(num_returns="streaming").remote(*arguments) for each in carriers]


def _seconds(values: Iterator[Any]) -> float:
    """How long it takes until all have come [s]."""
    begin = time.perf_counter()
    for _ in values:
        pass
    return time.perf_counter() - begin
