"""The redactor process: opens the engine, warms up, locks itself in, then carries pictures from descriptor to descriptor.

Started by client.py as `python -m appliance.redactor.process`, with wire.Settings on the command line and one socket a lane
inherited. Each lane is a thread; the native libraries release the GIL, so lanes use all cores.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import socket
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance.engine import EngineOptions, open_engine
from appliance.engine.choose import precision_for
from appliance.engine.model import load_model
from appliance.errors import AnonBoxError, BadConfig, BadFile, DeviceLost
from appliance.formats import Limits
from appliance.formats.reduce import use_gpu
from appliance.redactor import sandbox, wire
from appliance.redactor.detector import Detector
from appliance.redactor.redact import redact
from appliance.redactor.warmup import warm_up
from appliance.types import Report

log = logging.getLogger("anonbox.redactor")

LARGEST_SAMPLE, ROOM_FOR_HEADERS = 8, 64 * 2**20
"""Bytes of a 16-bit RGBA pixel, and bytes beside the pixels: no result is larger."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT = 2**30
"""Freed memory that glibc keeps instead of giving it back, bytes: with two lanes it gave back and got 14 MiB for every 1080p file, a
tenth of the CPU time. The peak stays what it was."""


def main(argument: str) -> int:
    settings = wire.Settings(**json.loads(argument))
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.INFO)
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the daemon, which lets pictures in hand be finished
        signal.signal(ignored, signal.SIG_IGN)
    sandbox.die_with(settings.parent)
    _keep_memory()
    lines = [socket.socket(fileno=descriptor) for descriptor in settings.lanes]
    try:
        detector = _open(settings)
        limits = Limits(max_pixels=settings.max_pixels)
        on_gpu = detector.engine.info.name.startswith("tensorrt")  # and not on what the configuration allows in its place
        if on_gpu:
            use_gpu()
        warm_up(detector, limits)
        sandbox.limit_resources(settings.memory_mib, LARGEST_SAMPLE * settings.max_pixels + ROOM_FOR_HEADERS)
        locked = sandbox.lock_down(gpu=on_gpu)
    except BadConfig as error:
        wire.send(lines[0], {"bad_config": [error.key, error.problem]})
        return 1
    except (AnonBoxError, RuntimeError) as error:  # OpenVINO raises RuntimeError, of many lines
        wire.send(lines[0], {"down": str(error).strip().splitlines()[-1]})
        return 1
    wire.send(lines[0], {"ready": asdict(detector.engine.info), "locked": locked})
    threading.excepthook = _give_up
    lanes = [threading.Thread(target=_lane, args=(line, detector, limits, settings.max_bytes), daemon=True) for line in lines]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    return 0


def _open(settings: wire.Settings) -> Detector:
    cache = Path(settings.cache)
    model = load_model(settings.mode, precision=precision_for(settings.engine, settings.precision, settings.mode, cache))
    options = EngineOptions(model.path, model.sha256, len(settings.lanes), settings.threads, cache, settings.precision)
    engine = open_engine(settings.engine, options, settings.fallback)
    return Detector(engine, settings.mode, settings.threshold or model.threshold, model.again)


def _give_up(failure: threading.ExceptHookArgs) -> None:
    """A fault nobody foresaw: end the process, so that the daemon sees a crash and no half-dead lane. Its message may quote the
    picture, so only its type and place are logged."""
    place = failure.exc_traceback
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else "unknown place"
    log.critical("%s in %s; the redactor ends", failure.exc_type.__name__, where)
    os._exit(70)  # sysexits EX_SOFTWARE


def _keep_memory() -> None:
    """Let the next picture have the memory of the last one, instead of having the kernel zero it anew."""
    libc = ctypes.CDLL(None)
    for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
        libc.mallopt(option, KEPT)


def _lane(line: socket.socket, detector: Detector, limits: Limits, max_bytes: int) -> None:
    """Serve one picture after another until the daemon hangs up."""
    while True:
        try:
            _, descriptors = wire.receive(line)
        except (EOFError, ConnectionError):
            return
        source, target = descriptors
        try:
            answer = deliver(target, *redact(read_whole(source, max_bytes), detector, limits))
        except BadFile as error:
            answer = {"bad_file": [error.code, error.reason]}
        except DeviceLost as error:
            answer = {"device_lost": [error.call, error.detail]}
        except MemoryError:
            answer = {"bad_file": ["too-large", "the picture needs more memory than limits.memory_mib allows"]}
        finally:
            os.close(source)
            os.close(target)
        wire.send(line, answer)


def deliver(target: int, finished: bytes, report: Report) -> dict[str, Any]:
    """Write the result; the answer to the daemon. A disk that fails is not the file's fault, and the one OSError that is answered:
    any other comes from a decoder and is a crash."""
    rest = memoryview(finished)
    try:
        while rest:
            rest = rest[os.write(target, rest) :]
    except OSError as error:
        return {"os_error": error.errno}
    return {"done": report.to_json()}


def read_whole(source: int, max_bytes: int) -> bytes:
    """Read a file once, whole. Raises BadFile when it is too large, cannot be read, or changed meanwhile."""
    try:
        before = os.fstat(source)
        if before.st_size > max_bytes:
            size, limit = before.st_size / 2**20, max_bytes / 2**20
            raise BadFile("too-large", f"the file has {size:.0f} MiB, limit is {limit:.0f} MiB (limits.file_mib)")
        with open(source, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
        after = os.fstat(source)
    except OSError as error:
        raise BadFile("unreadable", f"the file cannot be read: {error.strerror}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise BadFile("incomplete", "the file changed while it was read")
    return data


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
