"""What works on one folder of another machine, whichever way: a thread of its own, the only one that touches that folder."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.config import Config
from appliance.daemon.journal import Journal
from appliance.daemon.store import Box
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


class Carrier(threading.Thread):
    """Works on one share, round after round. What it says of itself may be read from any thread."""

    folder: str

    def __init__(self, config: Config, box: Box, journal: Journal, monotonic: Callable[[], float]) -> None:
        super().__init__(name="share", daemon=True)  # a call that hangs in the kernel must not keep the process from ending
        self.config, self._box, self._journal, self._monotonic = config, box, journal, monotonic
        self._point = config.shares.mounts / self.folder
        self._ended = threading.Event()
        self._heard_at = monotonic()
        self.fault = self.clash = ""
        self.left: Counter[str] = Counter()

    def run(self) -> None:
        while not self._ended.is_set():
            self.turn()
            self._ended.wait(self.config.intake.sweep_s)

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

    def view(self, now: float) -> Share:
        return Share(self.folder, self.state(now))

    def state(self, now: float) -> ShareState:
        """now : monotonic seconds"""
        return "away" if self.fault or now - self._heard_at > HANG_S else "connected"

    def end(self) -> None:
        self._ended.set()

    def _alive(self) -> None:
        self._heard_at = self._monotonic()

    def _round(self, root: int) -> None:
        raise NotImplementedError
