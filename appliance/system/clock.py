"""The box's age: a clock that no wrong date can push. Retention and the end of an examination go by it.

A box without a clock battery may boot in 1970 and jump to today, or back. So age counts the monotonic seconds the box has been
running, and what it was switched off for by the wall clock, never less than nothing and at most a day a time. A wall clock that
jumps backwards adds nothing; one that jumps forwards adds nothing while the box runs and at most a day over a restart. The worst
that follows is that originals are kept for longer than configured, by the time the box was off beyond a day.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path

LONGEST_OFF_S = 86400.0
"""Time without power that counts at most, seconds."""

TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised to a reliable server."""

TIMEX_BYTES = 512
"""Room for struct timex, which has 208 bytes; nothing of it is read."""

SYNCHRONISED = Path("/run/systemd/timesync/synchronized")


@dataclass(frozen=True)
class Mark:
    """What is remembered of the clocks: age, and monotonic and wall clock at that age, seconds; boot tells reboots apart."""

    boot: str
    monotonic: float
    wall: float
    age: float


class Age:
    """The age clock, continued from the mark that was written last."""

    def __init__(self, last: Mark | None, boot: str, monotonic: float, wall: float) -> None:
        self.rebooted = last is None or not boot or boot != last.boot or monotonic < last.monotonic
        self._boot, self._start, self._age = boot, monotonic, 0.0
        if last is not None:
            off = min(max(wall - last.wall, 0.0), LONGEST_OFF_S) if self.rebooted else monotonic - last.monotonic
            self._age = last.age + off

    def at(self, monotonic: float) -> float:
        """Age in seconds at a monotonic time."""
        return self._age + monotonic - self._start

    def mark(self, monotonic: float, wall: float) -> Mark:
        return Mark(self._boot, monotonic, wall, self.at(monotonic))


def boot_id() -> str:
    """Changes with every boot of the machine; "" where the kernel does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def is_trusted() -> bool:
    """Whether the kernel, or systemd-timesyncd, knows the clock to follow a time server.

    Results do not depend on it; the times on the page and the retention of originals do.
    """
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))  # all zero: change nothing, only say how it is
    return state not in (-1, TIME_ERROR) or SYNCHRONISED.exists()
