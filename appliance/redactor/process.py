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
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliance.engine import EngineOptions, open_engine
from appliance.engine.choose import precision_for
from appliance.engine.model import load_model
from appliance.errors import AnonBoxError, BadConfig, BadFile, BadFileCode, DeviceLost, MustRunAlone
from appliance.formats import Limits
from appliance.formats.reduce import use_gpu
from appliance.redactor import Progress, sandbox, wire
from appliance.redactor.detector import Detector
from appliance.redactor.redact import redact
from appliance.redactor.room import Room
from appliance.redactor.warmup import warm_up
from appliance.types import Header, Report

log = logging.getLogger("anonbox.redactor")

LARGEST_SAMPLE, ROOM_FOR_HEADERS = 8, 64 * 2**20
"""Bytes of a 16-bit RGBA pixel, and bytes beside the pixels: no result is larger."""

BEHIND = 10
"""Niceness of the process for large and suspect files: the others get nine tenths of a busy machine."""

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
    if settings.alone:
        os.nice(BEHIND)
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
    room = None if settings.alone else Room(settings.memory_mib << 19)  # half of it: decoders keep some, and files are read before
    worker = Worker(detector, limits, settings.max_bytes, room)
    lanes = [threading.Thread(target=_lane, args=(line, worker), daemon=True) for line in lines]
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
    """A fault outside any file's work: end the process, so that the daemon sees a crash and no half-dead lane."""
    log.critical("%s", place_of(failure.exc_value))
    os._exit(70)  # sysexits EX_SOFTWARE


def place_of(error: BaseException | None) -> str:
    """An error's type and place; its message may quote the picture."""
    place = error.__traceback__ if error else None
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else "unknown place"
    return f"{type(error).__name__} in {where}"


def _keep_memory() -> None:
    """Let the next picture have the memory of the last one, instead of having the kernel zero it anew."""
    libc = ctypes.CDLL(None)
    for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
        libc.mallopt(option, KEPT)


@dataclass(frozen=True)
class Worker:
    """What every lane works with. room : None where files run alone"""

    detector: Detector
    limits: Limits
    max_bytes: int
    room: Room | None

    def work(self, source: int, target: int, tell: Progress, header: Header | None) -> dict[str, Any]:
        """Redact one file; the answer to the daemon. Beside others a failure that another file may have caused accuses nobody."""
        try:
            return deliver(target, *self._redact(read_whole(source, self.max_bytes), tell, header))
        except BadFile as error:
            return {"bad_file": [error.code, error.reason]}
        except DeviceLost as error:
            return {"device_lost": [error.call, error.detail]}
        except MustRunAlone as error:
            return {"alone": str(error)}
        except MemoryError:
            return self._failed("too-large", "the picture needs more memory than limits.memory_mib allows")
        except Exception as error:  # noqa: BLE001 whatever a decoder raises ends as a refusal of the file
            log.critical("%s", place_of(error))
            return self._failed("crash", "the picture made the redactor crash; keep it for the maker of this box")

    def _redact(self, data: bytes, tell: Progress, header: Header | None) -> tuple[bytes, Report]:
        if self.room is None:
            return redact(data, self.detector, self.limits, tell, header=header)
        with self.room.share(lambda: tell(0, 0)) as share:
            return redact(data, self.detector, self.limits, tell, share, header)

    def _failed(self, code: BadFileCode, reason: str) -> dict[str, Any]:
        return {"bad_file": [code, reason]} if self.room is None else {"alone": f"it failed beside others: {code}"}


def _lane(line: socket.socket, worker: Worker) -> None:
    """Serve one picture after another until the daemon hangs up."""
    while True:
        try:
            order, descriptors = wire.receive(line)
        except (EOFError, ConnectionError):
            return
        source, target = descriptors
        try:
            answer = worker.work(source, target, _teller(line), wire.header(order))
        finally:
            os.close(source)
            os.close(target)
        wire.send(line, answer)


def _teller(line: socket.socket) -> Progress:
    """Tells the daemon of a job's progress, not too often."""
    next_at = time.monotonic() + wire.WORD_EVERY_S

    def tell(done: int, total: int) -> None:
        nonlocal next_at
        now = time.monotonic()
        if now >= next_at:
            next_at = now + wire.WORD_EVERY_S
            wire.send(line, {"progress": [done, total]})

    return tell


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
    """Read a file once, whole. Raises BadFile when it is too large, cannot be read, or changed its size meanwhile; whether it changed
    otherwise, the daemon sees. By lseek and not by fstat, which many a glibc makes of a call that could test names."""
    try:
        size = os.lseek(source, 0, os.SEEK_END)
        if size > max_bytes:
            raise BadFile("too-large", f"the file has {size / 2**20:.0f} MiB, limit is {max_bytes / 2**20:.0f} MiB (limits.file_mib)")
        parts, position = [], 0
        while part := os.pread(source, min(size + 1, max_bytes + 1 - position), position):
            parts.append(part)
            position += len(part)
        after = os.lseek(source, 0, os.SEEK_END)
    except OSError as error:
        raise BadFile("unreadable", f"the file cannot be read: {error.strerror}") from error
    if not size == position == after:
        raise BadFile("incomplete", "the file changed while it was read")
    return b"".join(parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
