"""A plan on the device: deserialised, its tensors checked, bound to the slots' memory, and put into streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from appliance.engine import STRIDE
from appliance.engine.bridge import Library
from appliance.engine.cuda import Cuda, Graph, Mapped
from appliance.engine.plans import Plan
from appliance.errors import BadConfig, DeviceLost

TRACKS = 2
"""Streams with an execution context each: while one picture is computed the next is already queued behind it."""

ALIGNMENT = 256
"""Bytes; TensorRT wants tensors to begin at multiples of it."""

BYTES = {"FLOAT": 4, "HALF": 2, "UINT8": 1}
KERNELS = {"FLOAT": "planes_float32", "HALF": "planes_float16"}

Kernel = Callable[[int, int, int, int, int, Any], None]


@dataclass(frozen=True)
class Port:
    """A tensor that goes in or out. kind : "FLOAT", "HALF" or "UINT8" """

    name: str
    is_input: bool
    kind: str
    shape: tuple[int, ...]

    @property
    def picture_bytes(self) -> int:
        """Bytes of one picture of the batch."""
        size = BYTES[self.kind]
        for side in self.shape[1:]:
            size *= side
        return size


@dataclass(frozen=True)
class Blocks:
    """The memory of all slots, each kind in one piece, so that neighbours make a batch.

    pixels : (slots, height, width, 3); score : (slots, height / 4, width / 4); geometry : (slots, height / 4, width / 4, 5) or None
    """

    pixels: Mapped
    score: Mapped
    geometry: Mapped | None = None

    def address(self, port: Port, first: int) -> int:
        """Where the pictures from slot `first` on lie for this port, as the GPU sees it."""
        block = {"pixels": self.pixels, "score": self.score, "geometry": self.geometry}[port.name]
        if block is None:
            raise DeviceLost("set_tensor_address", f"there is no memory for {port.name}")
        return block.pointer + first * port.picture_bytes


@dataclass(eq=False)
class Track:
    """One stream and what runs in it. planes : the kernel's output, device memory; graphs : by first slot"""

    stream: Any
    context: Any
    planes: Any = None
    graphs: dict[int, Graph] = field(default_factory=dict)


class Program:
    """Belongs to the thread of its Cuda. Raises DeviceLost when a call fails, BadConfig when the plan is not one of ours."""

    def __init__(self, cuda: Cuda, library: Library, runtime: Any, content: bytes, plan: Plan, cubin: bytes | None) -> None:
        self.plan, self._cuda, self._library = plan, cuda, library
        self._engine = checked(runtime.deserialize_cuda_engine(content), "deserialize_cuda_engine", "the plan does not fit this device")
        self.ports = ports_of(library.module, self._engine)
        self.size = check_ports(self.ports, plan)
        self._feed = next(port for port in self.ports if port.is_input)
        self._kernel: Kernel | None = None
        if plan.preprocess == "kernel":
            if cubin is None:
                raise BadConfig("engine.name", "the plan needs the preprocess kernel, which was not kept; run anonbox engine build")
            self._kernel = cuda.kernel(cubin, KERNELS[self._feed.kind])
        self.tracks = [self._track() for _ in range(TRACKS)]

    @property
    def has_geometry(self) -> bool:
        return any(port.name == "geometry" for port in self.ports)

    @property
    def memory_bytes(self) -> int:
        """Device memory of the execution contexts."""
        return TRACKS * self._library.memory_of(self._engine)

    def track(self, first: int) -> Track:
        return self.tracks[first // self.plan.batch % TRACKS]

    def launch(self, blocks: Blocks, first: int) -> Track:
        """Queue the pictures of slots first .. first + batch - 1; the stream they are in."""
        track = self.track(first)
        if first in track.graphs:
            track.graphs[first].launch()
        else:
            self.enqueue(track, blocks, first)
        return track

    def capture(self, blocks: Blocks, firsts: range) -> None:
        """Make a graph for each of these first slots. Each has run once before, as TensorRT wants it."""
        for first in firsts:
            track = self.track(first)
            self.enqueue(track, blocks, first)
            self._cuda.synchronize(track.stream)
            track.graphs[first] = self._cuda.capture(track.stream, partial(self.enqueue, track, blocks, first))

    def close(self) -> None:
        """Contexts before their engine, and the engine before the runtime, which is the caller's."""
        for track in self.tracks:
            for graph in track.graphs.values():
                graph.close()
            track.graphs.clear()
            track.context = track.planes = track.stream = None
        self._engine = self._kernel = None

    def _track(self) -> Track:
        context = checked(self._engine.create_execution_context(), "create_execution_context", "not enough device memory?")
        planes = self._cuda.device_memory(self.plan.batch * self._feed.picture_bytes) if self._kernel else None
        return Track(self._cuda.stream(), context, planes)

    def enqueue(self, track: Track, blocks: Blocks, first: int) -> None:
        for port in self.ports:
            address = int(track.planes) if port.name == "planes" else blocks.address(port, first)
            checked(track.context.set_tensor_address(port.name, address), "set_tensor_address", port.name)
        if self._kernel:
            height, width = self.size
            start = blocks.pixels.pointer + first * height * width * 3
            self._kernel(start, int(track.planes), height, width, self.plan.batch, track.stream)
        checked(track.context.execute_async_v3(track.stream.handle), "execute_async_v3", "see the log for TensorRT's message")


@dataclass(eq=False)
class Device:
    """What the owning thread holds; freed in reverse order. memory : the slots'; events : one a slot"""

    cuda: Cuda
    runtime: Any = None
    programs: list[Program] = field(default_factory=list)
    memory: Blocks | None = None
    events: list[Any] = field(default_factory=list)

    @property
    def blocks(self) -> Blocks:
        if self.memory is None:
            raise DeviceLost("GPU", "there is no memory for slots")
        return self.memory


def checked(result: Any, call: str, hint: str) -> Any:
    """TensorRT says no with False or None, not with an exception. Raises DeviceLost."""
    if result is None or result is False:
        raise DeviceLost(call, hint)
    return result


def ports_of(trt: Any, engine: Any) -> tuple[Port, ...]:
    """The engine's tensors, by name."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    return tuple(
        Port(
            name,
            engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT,
            engine.get_tensor_dtype(name).name,
            tuple(int(side) for side in engine.get_tensor_shape(name)),
        )
        for name in names
    )


def check_ports(ports: tuple[Port, ...], plan: Plan) -> tuple[int, int]:
    """(height, width) px of the pictures the engine takes. Raises BadConfig unless its tensors are those that slots show."""
    feeds = [port for port in ports if port.is_input]
    name, axes = ("planes", (2, 3)) if plan.preprocess == "kernel" else ("pixels", (1, 2))
    if len(feeds) != 1 or feeds[0].name != name or len(feeds[0].shape) != 4:
        raise BadConfig("weights", f"the plan's inputs are {feeds}, must be `{name}`")
    feed, batch = feeds[0], plan.batch
    height, width = feed.shape[axes[0]], feed.shape[axes[1]]
    planes = (batch, 3, height, width)
    shape = {"pixels": (batch, height, width, 3), "planes": planes}[name]
    score = (batch, height // STRIDE, width // STRIDE)
    expected = {name: shape, "score": score, "geometry": (*score, 5)}
    kinds = {"pixels": ("UINT8",), "planes": tuple(KERNELS), "score": ("UINT8",), "geometry": ("FLOAT",)}
    for port in ports:
        if port.shape != expected.get(port.name) or port.kind not in kinds[port.name]:
            raise BadConfig("weights", f"the plan has {port}, this box needs {expected} of type {kinds}")
        if port.name != "planes" and port.picture_bytes % ALIGNMENT:
            raise BadConfig("weights", f"a picture's {port.name} has {port.picture_bytes} bytes, must be a multiple of {ALIGNMENT}")
    if "score" not in {port.name for port in ports}:
        raise BadConfig("weights", "the plan has no output `score`")
    return height, width
