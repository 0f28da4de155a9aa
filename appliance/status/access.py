"""Who may ask: the box's own names against DNS rebinding, and an optional PIN whose guessing is slow."""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
import threading
from collections import OrderedDict
from collections.abc import Collection
from typing import Literal

HOST = re.compile(r"(\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[\w.-]+?)\.?)(:\d+)?", re.ASCII)
"""A Host header: an IPv6 address in brackets, or a name or IPv4 address; a last dot and a port do not count."""

TRIES, WITHIN_S = 5, 60.0
"""Wrong PINs one address may send in that time before none of it is looked at."""

MOST_ADDRESSES = 1000
"""Addresses whose wrong PINs are remembered; the oldest are forgotten."""


def own_names() -> frozenset[str]:
    """The names this machine is called by, full and short, lower case."""
    name = socket.gethostname().lower()
    return frozenset({"localhost", name, name.partition(".")[0]})


def host_allowed(header: str, names: Collection[str]) -> bool:
    """Whether a Host header names this box: an address, *.local or one of `names`. Anything else may be DNS rebinding."""
    match = HOST.fullmatch(header.lower())
    if not match:
        return False
    host = match["address"] or match["name"]
    return host in names or host.endswith(".local") or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Pin:
    """The PIN, and who guessed wrong lately. Empty: everybody may look."""

    def __init__(self, pin: str) -> None:
        self._pin = pin.encode()
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, given: str | None, address: str, now: float) -> Literal["in", "ask", "wait"]:
        """Whether the caller is let in, asked for the PIN, or told to wait. given : what was sent; now : monotonic seconds"""
        if not self._pin:
            return "in"
        if given is None:
            return "ask"
        with self._lock:
            lately = [at for at in self._wrong.pop(address, []) if now - at < WITHIN_S]
            if len(lately) < TRIES and hmac.compare_digest(given.encode(), self._pin):
                return "in"
            verdict: Literal["ask", "wait"] = "wait" if len(lately) >= TRIES else "ask"
            self._wrong[address] = [*lately, now][:TRIES]
            while len(self._wrong) > MOST_ADDRESSES:
                self._wrong.popitem(last=False)
            return verdict
