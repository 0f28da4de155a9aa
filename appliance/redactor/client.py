"""The daemon's end of the line: starts the redactor process, hands it descriptors, replaces it when it dies."""

from __future__ import annotations

import logging
import os
import queue
import select
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.config import Config
from appliance.errors import BadConfig, BadFile, DeviceLost, RedactorDown
from appliance.redactor import wire
from appliance.system.liveness import SAID_EVERY_S, Pulse, cpu_s
from appliance.types import EngineInfo, Report

log = logging.getLogger("anonbox.redactor")

START_S = 600.0
"""A first start may have to compile the model; on a Jetson that takes minutes."""
IDLE_S = 0.5
"""How long to wait for a lane before asking again whether the process lives."""

PROGRAM = (sys.executable, "-I", "-m", "appliance.redactor.process")
"""-I: nothing is imported from the folder the user happens to be in."""

SPARE_LANES = 1
"""More lanes than cores by default: while one waits for the disk, the daemon or Python's lock, another has work for its core."""

MOST_STARTS, STARTS_WITHIN_S = 5, 60.0
"""More starts than this in that time mean a broken machine, not a hostile file."""


@dataclass(frozen=True, eq=False)
class _Child:
    """One redactor process and its lanes' ends of the line. A line is closed by whoever holds it last, never under a reader."""

    process: subprocess.Popen[bytes]
    info: EngineInfo
    idle: queue.SimpleQueue[socket.socket] = field(default_factory=queue.SimpleQueue)
    buried: threading.Event = field(default_factory=threading.Event)

    def give_back(self, line: socket.socket) -> None:
        self.idle.put(line)
        if self.buried.is_set():
            self._close_idle()

    def bury(self) -> None:
        self.buried.set()
        self.process.kill()
        self.process.wait()
        self._close_idle()

    def _close_idle(self) -> None:
        while True:
            try:
                self.idle.get_nowait().close()
            except queue.Empty:
                return


class RedactorProcess:
    """See redactor.Redactor. Started at once: a configuration that cannot work is refused here, before any file is touched."""

    def __init__(
        self, config: Config, cache: Path, program: tuple[str, ...] = PROGRAM, say: Callable[[str], None] = lambda text: None
    ) -> None:
        """cache : folder for compiled models, made when missing; program : the command that settings are added to
        say : called every few seconds with what is going on, until the first redactor is ready
        """
        self._config, self._cache, self._program = config, cache, program
        self._lanes = config.engine.lanes or len(os.sched_getaffinity(0)) + SPARE_LANES
        self._starts: deque[float] = deque(maxlen=MOST_STARTS)
        self._lock = threading.Lock()
        self._closed = False
        self.is_sandboxed = False
        self._child: _Child | None = self._start(say)

    @property
    def info(self) -> EngineInfo:
        child = self._child
        if child is None:
            raise RedactorDown("the redactor is not running")
        return child.info

    @property
    def lanes(self) -> int:
        return self._lanes

    @property
    def process_id(self) -> int:
        """Of the living redactor."""
        return self._living().process.pid

    def cpu_s(self) -> float:
        """CPU time the living redactor has used, seconds."""
        return cpu_s(self._living().process.pid)

    def peak_mib(self) -> int:
        """The most memory the living redactor ever had resident, MiB."""
        child = self._living()
        for line in Path(f"/proc/{child.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1024
        raise RedactorDown("the redactor ended")

    def redact(self, source: int, target: int, *, alone: bool = False) -> Report:
        child, line = self._idle_line()
        try:
            wire.send(line, {}, (source, target))
            answer, _ = wire.receive(line)
        except TimeoutError as error:
            self._replace(child)
            if alone:
                raise BadFile("timeout", f"the picture took longer than {self._config.limits.job_s:.0f} s (limits.job_s)") from error
            raise DeviceLost("redactor", f"no answer within {self._config.limits.job_s:.0f} s") from error
        except (OSError, EOFError, ValueError) as error:
            self._replace(child)
            if alone:
                raise BadFile("crash", "the picture made the redactor crash; keep it for the maker of this box") from error
            raise DeviceLost("redactor", "the process ended while it worked") from error
        finally:
            child.give_back(line)
        return self._read(answer, child)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            child, self._child = self._child, None
        if child:
            child.bury()

    def _read(self, answer: dict[str, Any], child: _Child) -> Report:
        if "done" in answer:
            return Report.from_json(answer["done"])
        if "bad_file" in answer:
            raise BadFile(*answer["bad_file"])
        if "os_error" in answer:
            raise OSError(answer["os_error"], os.strerror(answer["os_error"]))
        self._replace(child)
        raise DeviceLost(*answer["device_lost"])

    def _idle_line(self) -> tuple[_Child, socket.socket]:
        """A lane nobody uses. Its child may die between these two lines, and with it all its lanes: hence the short waits."""
        while True:
            child = self._living()
            with suppress(queue.Empty):
                return child, child.idle.get(timeout=IDLE_S)

    def _living(self) -> _Child:
        with self._lock:
            if self._child is None or self._child.process.poll() is not None:
                if self._child:
                    self._child.bury()
                try:
                    self._child = self._start()
                except BadConfig as error:  # it was good when the box started, and it is not this picture's fault that it no longer is
                    raise RedactorDown(str(error)) from error
            return self._child

    def _replace(self, child: _Child) -> None:
        """End this child, unless another thread did; the next call starts a new one."""
        with self._lock:
            if self._child is child:
                self._child = None
                log.warning("the redactor is replaced (exit status %s)", child.process.poll())
                child.bury()

    def _start(self, say: Callable[[str], None] = lambda text: None) -> _Child:
        if self._closed:
            raise RedactorDown("the redactor was closed")
        now = time.monotonic()
        if len(self._starts) == MOST_STARTS and now - self._starts[0] < STARTS_WITHIN_S:
            raise RedactorDown(f"the redactor was started {MOST_STARTS} times in {STARTS_WITHIN_S:.0f} s; waiting before the next try")
        self._starts.append(now)
        pairs = [socket.socketpair() for _ in range(self._lanes)]
        theirs = tuple(theirs.fileno() for _, theirs in pairs)
        process = subprocess.Popen([*self._program, self._settings(theirs)], pass_fds=theirs, stdin=subprocess.DEVNULL)
        for _, end in pairs:
            end.close()
        lines = [ours for ours, _ in pairs]
        try:
            _await_words(lines[0], process.pid, say)
            child = _Child(process, self._greeting(lines[0]))
        except BaseException:
            process.kill()
            process.wait()
            for line in lines:
                line.close()
            raise
        for line in lines:
            line.settimeout(self._config.limits.job_s)
            child.idle.put(line)
        return child

    def _settings(self, descriptors: tuple[int, ...]) -> str:
        config = self._config
        return wire.Settings(
            parent=os.getpid(),
            lanes=descriptors,
            engine=config.engine.name,
            fallback="" if config.engine.fallback == "none" else config.engine.fallback,
            precision=config.engine.precision,
            threads=config.engine.threads,
            cache=str(self._cache),
            mode=config.detect.mode,
            threshold=config.detect.threshold,
            max_pixels=config.limits.megapixels * 10**6,
            max_bytes=config.limits.file_mib * 2**20,
            memory_mib=config.limits.memory_mib,
        ).to_json()

    def _greeting(self, line: socket.socket) -> EngineInfo:
        line.settimeout(START_S)
        try:
            answer, _ = wire.receive(line)
        except (OSError, EOFError, ValueError) as error:
            raise RedactorDown("the redactor ended while it started; what it said stands above") from error
        if "bad_config" in answer:
            raise BadConfig(*answer["bad_config"])
        if "down" in answer:
            raise RedactorDown(answer["down"])
        self.is_sandboxed = bool(answer["locked"])
        if not self.is_sandboxed:
            log.warning("this kernel or processor has no seccomp filter: the redactor runs without a sandbox")
        return EngineInfo(**answer["ready"])


def _await_words(line: socket.socket, pid: int, say: Callable[[str], None]) -> None:
    """Wait until the starting redactor says something, or ends. Raises RedactorDown when it hangs, or takes longer than START_S."""
    pulse, until = Pulse(pid), time.monotonic() + START_S
    while True:
        say("preparing the network; the first time this takes long")
        if select.select([line], [], [], SAID_EVERY_S)[0]:
            return
        if pulse.is_still() or time.monotonic() > until:
            raise RedactorDown("the redactor hangs while it starts")
