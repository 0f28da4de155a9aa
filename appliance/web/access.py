"""Who may ask, and how often: the box's own names against DNS rebinding, an optional PIN whose guessing is slow, no floods."""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOST = re.compile(r"(\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[\w.-]+?)\.?)(:\d+)?", re.ASCII)
"""A Host header: an IPv6 address in brackets, or a name or IPv4 address; a last dot and a port do not count."""

TRIES, WITHIN_S = 5, 60.0
"""Wrong PINs one address may send in that time before none of it is looked at."""

MOST_ADDRESSES = 1000
"""Addresses that are remembered; the oldest are forgotten."""

ASKS_A_SECOND, BURST = 20.0, 40.0
"""What one address may ask in the long run and at once: an open page asks once in two seconds, a fresh one a handful of files."""


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
            if len(lately) < TRIES and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._pin):
                return "in"
            verdict: Literal["ask", "wait"] = "wait" if len(lately) >= TRIES else "ask"
            self._wrong[address] = [*lately, now][:TRIES]
            while len(self._wrong) > MOST_ADDRESSES:
                self._wrong.popitem(last=False)
            return verdict


class Throttle:
    """A WSGI application that turns away whoever asks too often, before any work is done: the pictures need the processor."""

    def __init__(self, app: WSGIApplication, clock: Callable[[], float] = time.monotonic) -> None:
        """clock : monotonic seconds"""
        self._app, self._clock = app, clock
        self._budgets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._may_ask(environ.get("REMOTE_ADDR", "")):
            return self._app(environ, start_response)
        body = b"Too many requests. Wait a second.\n"
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(body)),
            "Retry-After": "1",
            "Cache-Control": "no-store",
        }
        start_response("429 Too Many Requests", list(headers.items()))
        return [body]

    def _may_ask(self, address: str) -> bool:
        """A token bucket for each address: (tokens, when they were counted)."""
        now = self._clock()
        with self._lock:
            tokens, at = self._budgets.pop(address, (BURST, now))
            tokens = min(BURST, tokens + ASKS_A_SECOND * (now - at))
            self._budgets[address] = (tokens - 1 if tokens >= 1 else tokens, now)
            while len(self._budgets) > MOST_ADDRESSES:
                self._budgets.popitem(last=False)
            return tokens >= 1
