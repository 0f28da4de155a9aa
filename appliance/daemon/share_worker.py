"""What works on one folder of another machine that the box mounts (anonbox shares), whichever way: a thread, the only one that touches it.

A server that hangs holds up neither the pictures in work nor the watchdog. Nothing is read or written where nothing is mounted. At every
moment a picture is whole at one side at least. That a file is gone from a share never means that anything is to be deleted.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from appliance.daemon.parts import Host, PartView
from appliance.status.snapshot import Share, ShareState
from appliance.system.faults import BoxTrouble, describe

log = logging.getLogger(__name__)

HANG_S = 30.0
"""A share that answers nothing for so long is away; longer than the mount options let one call last."""


@contextmanager
def opened(point: Path) -> Iterator[int]:
    """The top folder of what is mounted at `point`. Raises OSError; ENODEV where nothing is mounted.

    Opened and not only looked at: that is what makes an automount point mount. All further steps go from this descriptor, so that a
    share that is unmounted meanwhile can never turn into the folder below it.
    """
    root = os.open(point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if device_of(root) == point.parent.stat().st_dev:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        yield root
    finally:
        os.close(root)


def device_of(file: int) -> int:
    return os.fstat(file).st_dev


class ShareWorker(threading.Thread):
    """Works on one share, round after round. What it says of itself may be read from any thread."""

    folder: str

    def __init__(self, host: Host) -> None:
        super().__init__(name="share", daemon=True)  # a call that hangs in the kernel must not keep the process from ending
        self._host, self._box, self._journal, self._monotonic = host, host.box, host.journal, host.monotonic
        self._point = host.places.shares / self.folder
        self._ended, self._begun = threading.Event(), False
        self._again = threading.Event()
        self._heard_at = host.monotonic()
        self.fault = self.clash = ""
        self.left: Counter[str] = Counter()

    def begin(self) -> None:
        """Start the thread at the first call."""
        if not self._begun:
            self._begun = True
            self.start()

    def run(self) -> None:
        while not self._ended.is_set():
            self.turn()
            self._again.wait(self._host.config.intake.sweep_s)
            self._again.clear()

    def turn(self) -> None:
        """One round, and what came of it."""
        fault = self.fault
        try:
            with opened(self._point) as root:
                self._alive()
                self._round(root)
            fault = ""
        except BoxTrouble as error:
            log.warning("network share, %s: waits for the box: %s", self.folder, error)
        except OSError as error:
            fault = describe(error)
        if fault != self.fault:
            log.warning("network share, %s: %s", self.folder, fault or "is back")
        self.fault = fault
        self._alive()

    def view(self, now: float) -> PartView:
        return PartView(clash=self.clash, left=self.left, shares=(Share(self.folder, self.state(now)),))

    def state(self, now: float) -> ShareState:
        """now : monotonic seconds"""
        return "away" if self.fault or now - self._heard_at > HANG_S else "connected"

    def close(self) -> None:
        self._ended.set()
        self._again.set()
        if self.is_alive():
            self.join(2.0)  # one that hangs ends with the process

    def _alive(self) -> None:
        self._heard_at = self._monotonic()

    def _round(self, root: int) -> None:
        raise NotImplementedError


Worker = TypeVar("Worker", bound=ShareWorker)


class ShareEnd(Generic[Worker]):
    """What the loop sees of one share: nothing where none is configured."""

    def __init__(self, worker: Worker | None) -> None:
        self.worker = worker

    def look(self, now: float) -> None:
        if self.worker:
            self.worker.begin()

    def view(self, now: float) -> PartView:
        return self.worker.view(now) if self.worker else PartView()

    def due_at(self) -> float:
        return -math.inf  # its worker has a clock of its own

    def close(self) -> None:
        if self.worker:
            self.worker.close()
