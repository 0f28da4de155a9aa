"""What the box says before it has a daemon: on the page, to systemd and in the log."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import appliance
from appliance.errors import AnonBoxError, why_not
from appliance.status import journald, snapshot
from appliance.status.snapshot import Snapshot, State
from appliance.system.systemd import notify

log = logging.getLogger(__name__)

PATIENCE_S = 60
"""systemd is asked for so much more time at each repetition."""

IDLE: Mapping[str, Any] = {"waiting": 0, "working": 0, "batch": None, "left": {}, "sticks": (), "shares": (), "images_per_minute": 0}
"""What the last run's snapshot no longer tells; its counts and its record do."""


class Announcer:
    """Says what the box is doing before it has a daemon, and why it never got one: in the log once, on the page and to systemd every time.

    started_at : Unix seconds
    Where a box runs already, the page is that one's: this one will be refused, and leaves it alone.
    """

    def __init__(self, status: Path, started_at: float) -> None:
        self._status, self._started_at = status, started_at
        self._said = ""
        self._last = snapshot.last(status) or Snapshot("Starting")
        self._is_second = _is_in_use(status.parent)

    def __call__(self, text: str) -> None:
        if text != self._said:
            log.info("%s", text)
            self._said = text
        minutes = int(time.time() - self._started_at) // 60
        detail = f"{text[:1].upper()}{text[1:]}{f' ({minutes} min so far)' if minutes else ''}."
        self._show("Starting", detail, final=False)
        notify(f"STATUS=Starting. {detail}", f"EXTEND_TIMEOUT_USEC={PATIENCE_S * 1_000_000}")

    @contextmanager
    def until_ready(self) -> Iterator[None]:
        """Say so when the box is told to stop meanwhile; from then on the daemon does."""
        try:
            yield
        except SystemExit:
            self._show("Stopped", "", final=True)
            raise

    def give_up(self, error: AnonBoxError) -> None:
        """Say what this process ends with; that stands until the next one says something else."""
        detail = why_not(error)
        self._show("Needs attention", detail, final=True)
        notify(f"STATUS=Needs attention. {detail}")
        journald.tell("Needs attention", detail)

    def _show(self, state: State, detail: str, final: bool) -> None:
        times: dict[str, Any] = {"started_at": self._started_at, "written_at": time.time()}
        now = replace(self._last, state=state, detail=detail, final=final, **IDLE, version=appliance.__version__, **times)
        if self._is_second:
            return
        try:
            self._status.parent.mkdir(parents=True, exist_ok=True)
            snapshot.write(self._status, now)
        except OSError as error:
            log.warning("status.json cannot be written: %s", error.strerror)


def _is_in_use(state: Path) -> bool:
    """Whether a box runs on these folders: it holds a lock (daemon.store)."""
    try:
        lock = os.open(state / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
