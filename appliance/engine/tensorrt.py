"""The GPU engine: TensorRT, in a thread of its own that owns the device; slots lie in memory that CPU and GPU share.

A lane calls run(), which hands its slot to that thread and sleeps. The thread keeps up to two launches in flight, so the GPU has its
next picture before it is done with the last, while other lanes decode and rewrite on the CPU. Where it measured faster, neighbouring
slots that wait together go as one batch. Nothing is copied between decoder and mask: the network's first kernel reads the frame where
the decoder wrote it, its last one writes the score map where the mask is made.
"""

from __future__ import annotations

import gc
import logging
import queue
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from appliance.engine import STRIDE, EngineOptions, Slot, measure, plans
from appliance.engine.bridge import Library, open_library
from appliance.engine.cuda import Cuda
from appliance.engine.plans import Choice, Key
from appliance.engine.program import TRACKS, Blocks, Device, Program
from appliance.errors import BadConfig, DeviceLost
from appliance.types import EngineInfo

log = logging.getLogger("anonbox.engine")

CLOSED = DeviceLost("TensorRT run", "the engine is closed")


def open_engine(options: EngineOptions) -> TensorRtEngine:
    """Load the plan that was built for this device (appliance.engine.build builds it). Raises BadConfig when there is none, DeviceLost."""
    return TensorRtEngine(options)


def key_of(library: Library, cuda: Cuda, options: EngineOptions) -> Key:
    """What a plan for this model must have been built for."""
    sources = plans.sources(options.model, library.is_strongly_typed, options.precision)
    files = {str(source.precision): source.sha256 for source in sources}
    return Key(f"{library.name} {library.version}", cuda.name, cuda.capability, files)


@dataclass(frozen=True, eq=False)
class _Call:
    """A request to the owning thread. work : a slot's index, or a function to run there on the Device"""

    work: Any
    answer: Future[Any] = field(default_factory=Future)


class TensorRtEngine:
    """See engine.Engine. choice : use these plans, whatever is on record; the builder's way to measure a candidate"""

    def __init__(self, options: EngineOptions, choice: Choice | None = None) -> None:
        self._options = options
        self._choice = choice
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: list[_Call] = []
        self._flying: deque[tuple[Any, list[_Call]]] = deque()
        self._lost: DeviceLost | None = None
        self._slots: list[Slot] = []
        self._info = EngineInfo("", "", "", "")
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._own, args=(ready,), name="gpu", daemon=True)
        self._thread.start()
        ready.result()

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def slots(self) -> Sequence[Slot]:
        return self._slots

    @property
    def choice(self) -> Choice:
        if self._choice is None:
            raise CLOSED
        return self._choice

    def run(self, slot: Slot) -> None:
        slots = self._slots
        if slots and (not (0 <= slot.index < len(slots)) or slots[slot.index] is not slot):
            raise DeviceLost("TensorRT run", "the slot belongs to another engine")
        self._ask(slot.index)

    def facts(self) -> measure.Facts:
        facts: measure.Facts = self._ask(measure.facts)
        return facts

    def time_ms(self) -> float:
        """Milliseconds a picture takes on the GPU when launches follow each other, median of three tries."""
        time: float = self._ask(measure.time_ms)
        return time

    def time_feeds_ms(self) -> dict[str, float]:
        """The same with the frame in mapped memory, and in device memory with a copy before: what zero-copy is worth here."""
        times: dict[str, float] = self._ask(measure.time_feeds_ms)
        return times

    def close(self) -> None:
        with self._lock:
            self._lost = self._lost or CLOSED
            self._calls.put(None)
        self._thread.join()

    def _ask(self, work: Any) -> Any:
        with self._lock:  # so that nothing is put behind the last request, where nobody would answer it
            if self._lost:
                raise DeviceLost(self._lost.call, self._lost.detail)
            call = _Call(work)
            self._calls.put(call)
        return call.answer.result()

    def _own(self, ready: Future[None]) -> None:
        """The owning thread: open, serve, free. Whatever ends it, nobody is left waiting for an answer."""
        try:
            device = self._open()
        except BaseException as error:  # noqa: BLE001 it is raised where the engine is opened
            ready.set_exception(error)
            return
        ready.set_result(None)
        loss = DeviceLost("GPU thread", "it ended by a fault in the program; see the log")
        try:
            self._serve(device)
            loss = CLOSED
        except DeviceLost as error:
            log.error("%s", error)
            loss = error
        finally:
            self._abandon(loss)
            self._slots = []  # their memory is freed here, by the thread that owns it
            _free(device)

    def _open(self) -> Device:
        library, options = open_library(), self._options
        cuda = Cuda()
        device = Device(cuda)
        try:
            choice = self._choice or _find(library, cuda, options)
            device.runtime = library.module.Runtime(library.logger)
            cubin = _file(options, choice.kernel) if choice.kernel else None
            for plan in [plan for plan in (choice.single, choice.group) if plan]:
                content = _file(options, (plan.file, plan.sha256))
                device.programs.append(Program(cuda, library, device.runtime, content, plan, cubin))
            self._choice = choice
            device.memory, self._slots = _slots(cuda, device.programs, options.slots)
            device.events = [cuda.event() for _ in range(options.slots)]
            for program in device.programs:
                _warm_up(device, program, options.slots)
        except BaseException:
            _free(device)
            raise
        precision, module = choice.single.precision, library.name
        self._info = EngineInfo(f"{module} {library.version}", precision, options.sha256[:12], cuda.name)
        return device

    def _serve(self, device: Device) -> None:
        """Answer requests until close(). Raises DeviceLost at the first failed call: a GPU's errors stay, so nothing more is tried."""
        waiting, flying = self._waiting, self._flying
        closing = False
        while not closing or waiting or flying:
            while not closing and (not self._calls.empty() or not (waiting or flying)):
                call = self._calls.get()
                closing = call is None
                waiting += [call] if call else []
            is_question = bool(waiting) and callable(waiting[0].work)
            if waiting and not is_question and len(flying) < TRACKS:
                self._launch(device)
            elif flying:
                event, calls = flying[0]
                device.cuda.wait(event)
                flying.popleft()
                for call in calls:
                    call.answer.set_result(None)
            elif is_question:
                waiting[0].answer.set_result(waiting[0].work(device))
                del waiting[0]

    def _launch(self, device: Device) -> None:
        """Launch what has waited longest, and its neighbours with it if they make a batch."""
        program, first = _choose(device.programs, [call.work for call in self._waiting])
        members = range(first, first + program.plan.batch)
        calls = [call for call in self._waiting if call.work in members]
        self._flying.append((device.events[first], calls))
        self._waiting[:] = [call for call in self._waiting if call not in calls]
        track = program.launch(device.blocks, first)
        device.cuda.record(device.events[first], track.stream)

    def _abandon(self, loss: DeviceLost) -> None:
        """Tell everybody who waits, and everybody who comes later."""
        with self._lock:
            self._lost = loss
            while not self._calls.empty():
                call = self._calls.get()
                self._waiting += [call] if call else []
        for call in [*self._waiting, *(call for _, calls in self._flying for call in calls)]:
            call.answer.set_exception(DeviceLost(loss.call, loss.detail))
        self._waiting.clear()
        self._flying.clear()


def _choose(programs: list[Program], waiting: list[Any]) -> tuple[Program, int]:
    """The program to run, and its first slot. A batch is taken only when the oldest request belongs to it and all of it waits:
    a slot nobody asked for may be in somebody's hands."""
    if len(programs) > 1:
        batch = programs[1].plan.batch
        first = waiting[0] // batch * batch
        if set(range(first, first + batch)) <= {work for work in waiting if not callable(work)}:
            return programs[1], first
    return programs[0], waiting[0]


def _find(library: Library, cuda: Cuda, options: EngineOptions) -> Choice:
    key = key_of(library, cuda, options)
    choice = plans.find(options.cache, key, plans.family(options.model)) if options.cache else None
    if choice is None:
        where = f"no plan for {key.device} and {key.library} in {options.cache}"
        raise BadConfig("engine.name", f"{where}; run anonbox engine build")
    return choice


def _file(options: EngineOptions, file: tuple[str, str]) -> bytes:
    if options.cache is None:
        raise BadConfig("folders.state", "TensorRT needs a folder for its plans")
    return plans.load(options.cache, *file)


def _slots(cuda: Cuda, programs: list[Program], count: int) -> tuple[Blocks, list[Slot]]:
    """Mapped memory for all slots, and the slots that show it."""
    height, width = programs[0].size
    cells = (count, height // STRIDE, width // STRIDE)
    geometry = cuda.mapped((*cells, 5), np.float32) if programs[0].has_geometry else None
    blocks = Blocks(cuda.mapped((count, height, width, 3), np.uint8), cuda.mapped(cells, np.uint8), geometry)
    views = [(blocks.pixels.array[i], blocks.score.array[i], geometry.array[i] if geometry else None) for i in range(count)]
    return blocks, [Slot(index, *view) for index, view in enumerate(views)]


def _warm_up(device: Device, program: Program, slots: int) -> None:
    """Run every place once, as a graph where that was chosen: lazily loaded kernels are there before the first picture, and before
    the redactor locks itself in."""
    firsts = range(0, slots - slots % program.plan.batch, program.plan.batch)
    if program.plan.uses_graph:
        program.capture(device.blocks, firsts)
    for first in firsts:
        device.cuda.synchronize(program.launch(device.blocks, first).stream)


def _free(device: Device) -> None:
    """Everything in reverse order, in the thread that made it; pycuda frees what is no longer named."""
    for program in device.programs:
        program.close()
    device.programs.clear()
    device.events.clear()
    device.runtime = device.memory = None
    gc.collect()
    with suppress(DeviceLost):  # of a lost device nothing can be given back
        device.cuda.close()
