"""Whether the clock can be trusted. Results do not depend on it; the times on the page and the retention of originals do."""

from __future__ import annotations

import ctypes
from pathlib import Path

TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised to a reliable server."""

TIMEX_BYTES = 512
"""Room for struct timex, which has 208 bytes; nothing of it is read."""

SYNCHRONISED = Path("/run/systemd/timesync/synchronized")


def is_trusted() -> bool:
    """Whether the kernel, or systemd-timesyncd, knows the clock to follow a time server."""
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))  # all zero: change nothing, only say how it is
    return state not in (-1, TIME_ERROR) or SYNCHRONISED.exists()
