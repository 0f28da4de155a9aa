"""The daemon's end of the line: keeps redactor processes alive, hands them descriptors, and judges what comes back.

Two processes: one whose lanes share it, and one for the files that have to run alone, started when the first of them comes. So a crash
or an endless job among those costs no other file anything.
"""

from __future__ import annotations

import logging
import os
import queue
import select
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from appliance.config import Config
from appliance.errors import AnonBoxError, BadConfig, BadFile, DeviceLost, MustRunAlone, RedactorDown
from appliance.redactor import Progress, ignore, wire
from appliance.redactor.child import Child, start
from appliance.redactor.patience import Patience
from appliance.system.liveness import cpu_s
from appliance.types import EngineInfo, Header, Report

log = logging.getLogger("anonbox.redactor")

POLL_S = 1.0
"""How often a job that says nothing is asked about, at least."""

IDLE_S = 0.5
"""How long to wait for a lane before asking again whether the process lives."""

PROGRAM = (sys.executable, "-I", "-m", "appliance.redactor.process")
"""-I: nothing is imported from the folder the user happens to be in."""

SPARE_LANES = 1
"""More lanes than cores by default: while one waits for the disk, the daemon or Python's lock, another has work for its core."""

MOST_STARTS, STARTS_WITHIN_S = 5, 60.0
"""More starts than this in that time mean a broken machine, not a hostile file."""

REST_S, OLDEST_S = 20.0, 3600.0
"""A process that has worked is replaced by a fresh one after so long without a file, which is where examinations end, and at the
latest at that age: one that a file took over does not see the next patient's. The next one starts before the old one ends."""

LOOK_S = 5.0
"""How often it is looked whether one has to go."""


class Keeper:
    """Keeps one redactor process of so many lanes; the first is started by `open` or when it is needed."""

    def __init__(self, lanes: int, begin: Callable[[int, Callable[[str], None]], Child]) -> None:
        self._lanes, self._begin = lanes, begin
        self._starts: deque[float] = deque(maxlen=MOST_STARTS)
        self._lock = threading.Lock()
        self._idle_since = time.monotonic()
        self.closed = False
        self.child: Child | None = None

    def open(self, say: Callable[[str], None] = lambda text: None) -> None:
        self.child = self._start(say)

    def line(self) -> tuple[Child, socket.socket]:
        """A lane nobody uses. Its child may die between these two lines, and with it all its lanes: hence the short waits."""
        while True:
            child = self.living()
            with suppress(queue.Empty):
                return child, child.take(IDLE_S)

    def give_back(self, child: Child, line: socket.socket) -> None:
        self._idle_since = time.monotonic()
        child.give_back(line)

    def living(self) -> Child:
        """Raises RedactorDown."""
        with self._lock:
            if self.child is None or not self.child.lives:
                if self.child:
                    self.child.bury()
                try:
                    self.child = self._start()
                except BadConfig as error:  # it was good when the box started, and it is not this picture's fault that it no longer is
                    raise RedactorDown(str(error)) from error
            return self.child

    def dismiss(self, child: Child, *, at_once: bool) -> None:
        """Give this child no more files, unless another thread did; the next call starts a new one.

        at_once : it is of no more use; else the files in its other lanes are finished
        """
        with self._lock:
            if self.child is child:
                self.child = None
                log.warning("the redactor is replaced (exit status %s)", child.process.poll())
        child.bury() if at_once else child.retire()

    def refresh(self, keep: bool) -> None:
        """Replace a process that is due. keep : there has to be one, even while there is nothing to do"""
        child, now = self.child, time.monotonic()
        if child is None or not child.used or (child.busy and now - child.since < OLDEST_S):
            return
        if not child.busy and now - self._idle_since < REST_S and now - child.since < OLDEST_S:
            return
        fresh = None
        if keep:
            try:
                fresh = self._begin(self._lanes, lambda text: None)
            except (AnonBoxError, OSError) as error:
                log.warning("no fresh redactor: %s", type(error).__name__)
                child.since = now  # tried again when this one is as old once more
                return
        with self._lock:
            if self.closed or self.child is not child:
                unused = fresh
            else:
                self.child, unused = fresh, child
        if unused:
            unused.retire()

    def close(self) -> None:
        with self._lock:
            self.closed = True
            child, self.child = self.child, None
        if child:
            child.bury()

    def _start(self, say: Callable[[str], None] = lambda text: None) -> Child:
        if self.closed:
            raise RedactorDown("the redactor was closed")
        now = time.monotonic()
        if len(self._starts) == MOST_STARTS and now - self._starts[0] < STARTS_WITHIN_S:
            raise RedactorDown(f"the redactor was started {MOST_STARTS} times in {STARTS_WITHIN_S:.0f} s; waiting before the next try")
        self._starts.append(now)
        return self._begin(self._lanes, say)


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
        self._shared = Keeper(self._lanes, lambda lanes, say: self._begin(lanes, say, alone=False))
        self._apart = Keeper(1, lambda lanes, say: self._begin(lanes, say, alone=True))
        self._shared.open(say)
        self._over = threading.Event()
        self._refresher = threading.Thread(target=self._refresh, daemon=True, name="refresher")
        self._refresher.start()

    @property
    def info(self) -> EngineInfo:
        child = self._shared.child
        if child is None:
            raise RedactorDown("the redactor is not running")
        return child.info

    @property
    def is_sandboxed(self) -> bool:
        return self._shared.living().locked

    @property
    def lanes(self) -> int:
        return self._lanes

    @property
    def process_id(self) -> int:
        """Of the living redactor whose lanes share it."""
        return self._shared.living().process.pid

    def cpu_s(self) -> float:
        """CPU time the living redactors have used, seconds."""
        apart = self._apart.child
        return cpu_s(self.process_id) + (cpu_s(apart.process.pid) if apart and apart.lives else 0.0)

    def peak_mib(self) -> int:
        """The most memory a living redactor ever had resident, MiB."""
        children = [self._shared.living(), *([self._apart.child] if self._apart.child else [])]
        return max(peak_mib(child.process.pid) for child in children)

    def redact(
        self, source: int, target: int, *, alone: bool = False, on_progress: Progress = ignore, header: Header | None = None
    ) -> Report:
        keeper = self._apart if alone else self._shared
        child, line = keeper.line()
        try:
            wire.send(line, self._order(header), (source, target))
            answer = self._answer(child, line, on_progress)
        except TimeoutError as error:
            keeper.dismiss(child, at_once=alone)
            if alone:
                raise BadFile("timeout", f"the picture took longer than {self._config.limits.job_s:.0f} s (limits.job_s)") from error
            raise MustRunAlone(f"no answer within {self._config.limits.job_s:.0f} s") from error
        except (OSError, EOFError, ValueError) as error:
            keeper.dismiss(child, at_once=True)
            if alone:
                raise BadFile("crash", "the picture made the redactor crash; keep it for the maker of this box") from error
            raise DeviceLost("redactor", "the process ended while it worked") from error
        finally:
            keeper.give_back(child, line)
        return self._read(answer, keeper, child)

    def close(self) -> None:
        self._over.set()
        self._shared.close()
        self._apart.close()
        self._refresher.join()

    def _order(self, header: Header | None) -> dict[str, Any]:
        """What the redactor is told of a file, with what the site lets DICOM headers keep."""
        if header is None:
            return {}
        site = self._config.dicom
        kept = replace(header, retain_characteristics=site.retain_characteristics, retain_device=site.retain_device)
        return {"header": replace(kept, shift_dates=site.shift_dates, uids=site.uids).to_json()}

    def _refresh(self) -> None:
        while not self._over.wait(LOOK_S):
            self._shared.refresh(keep=True)
            self._apart.refresh(keep=False)

    def _answer(self, child: Child, line: socket.socket, on_progress: Progress) -> dict[str, Any]:
        """What comes of a job. Raises TimeoutError when it works too long without a word, or does nothing for so long."""
        limit_s = self._config.limits.job_s
        patience = Patience(limit_s, lambda: cpu_s(child.process.pid), lambda: child.busy)
        told = (0, 0)
        while True:
            if not select.select([line], [], [], min(POLL_S, limit_s / 4))[0]:
                if patience.is_over():
                    raise TimeoutError
                on_progress(*told)
                continue
            answer, _ = wire.receive(line)
            if "progress" not in answer:
                return answer
            told = wire.progress(answer)
            patience.hear(told[0])
            on_progress(*told)

    def _read(self, answer: dict[str, Any], keeper: Keeper, child: Child) -> Report:
        if "done" in answer:
            return Report.from_json(answer["done"])
        if "bad_file" in answer:
            raise BadFile(*answer["bad_file"])
        if "alone" in answer:
            raise MustRunAlone(answer["alone"])
        if "os_error" in answer:
            raise OSError(answer["os_error"], os.strerror(answer["os_error"]))
        keeper.dismiss(child, at_once=True)
        raise DeviceLost(*answer["device_lost"])

    def _begin(self, lanes: int, say: Callable[[str], None], *, alone: bool) -> Child:
        return start(self._program, lambda descriptors: self._settings(descriptors, alone), self._config, lanes, say)

    def _settings(self, descriptors: tuple[int, ...], alone: bool) -> str:
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
            alone=alone,
        ).to_json()


def peak_mib(process_id: int) -> int:
    """The most memory a process ever had resident, MiB. Raises RedactorDown when it has ended."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    raise RedactorDown("the redactor ended")
