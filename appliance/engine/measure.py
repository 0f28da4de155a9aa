"""What an engine on a GPU says of itself when asked: facts of the device, and times. Runs in the thread that owns the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from appliance.engine.cuda import Cuda, Mapped
from appliance.engine.program import Device, Program

RUNS = 50
"""Launches in a row that are timed together."""


@dataclass(frozen=True)
class Facts:
    """What only the device can say; for selftest.

    is_integrated, can_map : device attributes; is_one_address : every slot has one address for CPU and GPU
    copied_bytes : between CPU and GPU, by all of this engine's calls so far
    """

    is_integrated: bool
    can_map: bool
    is_one_address: bool
    copied_bytes: int
    free_bytes: int
    memory_bytes: int


def facts(device: Device) -> Facts:
    cuda, blocks = device.cuda, device.blocks
    mapped = [block for block in (blocks.pixels, blocks.score, blocks.geometry) if block]
    return Facts(
        is_integrated=bool(cuda.attribute("INTEGRATED")),
        can_map=bool(cuda.attribute("CAN_MAP_HOST_MEMORY")),
        is_one_address=all(block.is_one_address for block in mapped),
        copied_bytes=cuda.copied_bytes,
        free_bytes=cuda.free_bytes(),
        memory_bytes=sum(program.memory_bytes for program in device.programs),
    )


def time_ms(device: Device) -> float:
    """Milliseconds a picture takes on the GPU when launches follow each other, by the group's plan where there is one."""
    program, blocks = device.programs[-1], device.blocks
    return _median_ms(device.cuda, program, lambda: program.launch(blocks, 0)) / program.plan.batch


def time_feeds_ms(device: Device) -> dict[str, float]:
    """The same with the frame in mapped memory, and in device memory with a copy before: what zero-copy is worth here."""
    program = device.programs[0]
    blocks, cuda = device.blocks, device.cuda
    frame = blocks.pixels.array[0]
    copied = cuda.device_memory(frame.nbytes)
    elsewhere = replace(blocks, pixels=Mapped(blocks.pixels.array, int(copied)))
    track = program.track(0)

    def with_copy() -> None:
        cuda.copy(copied, frame, track.stream)
        program.enqueue(track, elsewhere, 0)

    times = {"mapped": _median_ms(cuda, program, lambda: program.enqueue(track, blocks, 0))}
    times["device"] = _median_ms(cuda, program, with_copy)
    return times


def _median_ms(cuda: Cuda, program: Program, launch: Callable[[], object]) -> float:
    """Milliseconds a launch, of RUNS in a row in one stream; the median of three such rows."""
    stream, rows = program.track(0).stream, []
    for _ in range(3):
        start, end = cuda.timer(), cuda.timer()
        cuda.record(start, stream)
        for _ in range(RUNS):
            launch()
        cuda.record(end, stream)
        cuda.wait(end)
        rows.append(cuda.milliseconds(start, end) / RUNS)
    return sorted(rows)[1]
