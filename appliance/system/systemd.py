"""What systemd is told: ready, alive, reloading, stopping. Without systemd every call does nothing."""

from __future__ import annotations

import importlib
import os
import socket
import time


def notify(*lines: str) -> bool:
    """Send lines such as "READY=1" to the service manager; False when there is none."""
    state = "\n".join(lines)
    try:
        daemon = importlib.import_module("systemd.daemon")
    except ImportError:
        return _send(state)
    return bool(daemon.notify(state))


def reloading() -> bool:
    """Type=notify-reload wants the time beside the word, so that it can match the READY=1 that follows."""
    return notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog_s() -> float | None:
    """How often the watchdog wants to hear of this process, seconds, half of its limit; None when it does not ask."""
    limit_us = os.environ.get("WATCHDOG_USEC", "")
    asked = os.environ.get("WATCHDOG_PID") or str(os.getpid())
    return int(limit_us) / 2e6 if limit_us.isdigit() and int(limit_us) and asked == str(os.getpid()) else None


def _send(state: str) -> bool:
    """sd_notify(3) in short: one datagram to the socket in NOTIFY_SOCKET, "@" in front meaning an abstract one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        try:
            line.connect("\0" + address[1:] if address[0] == "@" else address)
            line.sendall(state.encode())
        except OSError:
            return False
    return True
