"""Whether a child process that is long silent works or hangs: work takes processor time, a hang takes none."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable

SAID_EVERY_S = 5.0
"""Whoever waits for a child says so this often: a snapshot grows stale, and systemd's patience ends."""

STILL_S = 60.0
"""A child that takes no processor time for so long hangs. Five starts that do fit into anonbox.service's StartLimitIntervalSec."""


def cpu_s(pid: int) -> float:
    """CPU time a process has used, seconds. Raises OSError when there is none of this id.

    By its clock, not by /proc: the redactor may not be looked into, and systemd's ProtectProc= hides it there.
    """
    clock = ctypes.c_int()
    if error := ctypes.CDLL(None).clock_getcpuclockid(ctypes.c_int(pid), ctypes.byref(clock)):
        raise OSError(error, os.strerror(error))
    return time.clock_gettime(clock.value)


class Pulse:
    """Of one child, from now on. pid : a child's that was not waited for; clock : monotonic seconds"""

    def __init__(self, pid: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._pid, self._clock = pid, clock
        self._used, self._since = cpu_s(pid), clock()

    def is_still(self) -> bool:
        """Whether it hangs; to be asked now and then."""
        used, now = cpu_s(self._pid), self._clock()
        if used != self._used:
            self._used, self._since = used, now
        return now - self._since > STILL_S
