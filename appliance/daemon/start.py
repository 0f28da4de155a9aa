"""The start: opens the daemon. A disk that is full or fails is waited for, said so on the page, and tried again by itself."""

from __future__ import annotations

import os
import queue
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import FrameType

from appliance.config import Config
from appliance.daemon.loop import Daemon
from appliance.daemon.reporter import SLOWEST_S, Board, View
from appliance.daemon.state import as_state
from appliance.redactor import Redactor
from appliance.system.systemd import notify, watchdog_s

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Pauses between tries double from the first to the longest."""

JOURNAL_ROOM = 1 << 20
"""With less room than this, bytes, an I/O error of the journal is put down to it."""


def run_box(
    config: Config,
    redactor: Redactor,
    reload: Callable[[], Config],
    *,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] | None = None,
) -> int:
    """Open the daemon, as soon as the disk lets it, and run it until SIGTERM or SIGINT; the exit code. Main thread only.

    reload : reads the configuration again, for SIGHUP; clock : Unix seconds; monotonic : seconds
    wait : waits so many seconds, or less when a signal came
    Raises BadConfig when a folder cannot be used.
    """
    signals = _Signals()
    with ExitStack() as undo:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            undo.callback(signal.signal, number, signal.signal(number, signals.on_signal))
        opening = _Opening(config, redactor, clock, monotonic)
        pause_s = FIRST_PAUSE_S
        while (daemon := opening.attempt()) is None:
            opening.sit_out(pause_s, signals, wait or signals.wait)
            if signals.is_stopping:
                opening.give_up()
                return 0
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        signals.hand_over(daemon)
        return daemon.run(reload)


class _Signals:
    """Keeps signals until there is a daemon, and passes them on from then on: none is lost in between."""

    def __init__(self) -> None:
        self._kept: list[int] = []
        self._daemon: Daemon | None = None
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()  # may be filled from a signal handler

    @property
    def is_stopping(self) -> bool:
        return any(number != signal.SIGHUP for number in self._kept)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._daemon is None:
            self._kept.append(number)
            self._wake.put(None)
        else:
            self._daemon.on_signal(number, frame)

    def hand_over(self, daemon: Daemon) -> None:
        self._daemon = daemon
        for number in self._kept:
            daemon.on_signal(number, None)

    def wait(self, seconds: float) -> None:
        with suppress(queue.Empty):
            self._wake.get(timeout=seconds)


class _Opening:
    """Tries to open the daemon, and shows why it cannot."""

    def __init__(self, config: Config, redactor: Redactor, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._config, self._redactor, self._clock, self._monotonic = config, redactor, clock, monotonic
        self._board = Board(config.folders.state / "status.json", redactor.info, clock())
        self._fault = View("Starting")

    def attempt(self) -> Daemon | None:
        """The daemon; None when the disk fails. Raises BadConfig."""
        try:
            return Daemon(self._config, self._redactor, clock=self._clock, monotonic=self._monotonic, board=self._board)
        except (OSError, sqlite3.Error) as error:
            self._fault = View(*as_state(error, self._is_short()))
        return None

    def _is_short(self) -> bool:
        try:
            status = os.statvfs(self._config.folders.state)
        except OSError:
            return False
        return status.f_bavail * status.f_frsize < max(self._config.intake.min_free_mib << 20, JOURNAL_ROOM)

    def sit_out(self, pause_s: float, signals: _Signals, wait: Callable[[float], None]) -> None:
        """Show the fault, and keep showing it, for so long or until the process is to stop; to systemd a box that waits is up."""
        until = self._monotonic() + pause_s
        step_s = min(SLOWEST_S, watchdog_s() or SLOWEST_S)
        while (now := self._monotonic()) < until and not signals.is_stopping:
            if self._board.post(self._fault, None, now, self._clock()):
                notify("READY=1", f"STATUS={self._fault.state}. {self._fault.detail}")
            notify("WATCHDOG=1")
            wait(min(step_s, until - now))

    def give_up(self) -> None:
        notify("STOPPING=1")
        self._board.post(View("Stopped"), None, self._monotonic(), self._clock())
